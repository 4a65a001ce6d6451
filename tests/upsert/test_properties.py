"""Whatever the table and the batch: the result is that of a dict, twice is once, and the counts are true."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from airflow_dataquality.plans.upsert import STRATEGIES
from support import Database

Row = dict[str, Any]

KEYS = ["k 1", "select"]
VALUES = ["a", "b ä", "d"]
TYPES = {"k 1": "int", "select": "varchar(20)", "a": "int", "b ä": "varchar(20)", "d": "int DEFAULT 7"}

numbers = st.integers(0, 3)
texts = st.sampled_from(["", "x", "it's", 'a"b', "é\\n", "NULL", "{{ ds }}"])
KNOWN = {"k 1": numbers, "select": texts}
VALUE = {name: st.none() | (texts if "varchar" in kind else numbers) for name, kind in TYPES.items()}


@dataclass(frozen=True)
class Case:
    """A table, a batch, and how it is upserted."""

    target: tuple[Row, ...]
    batch: tuple[Row, ...]
    columns: tuple[str, ...]
    arguments: dict[str, Any]
    unique: bool
    source: str

    def update(self) -> list[str]:
        wanted = self.arguments.get("update_columns")
        return [c for c in self.columns if c not in KEYS] if wanted is None else list(wanted)

    def insert(self) -> list[str]:
        return list(self.arguments.get("insert_columns") or self.columns)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    strategy = draw(st.sampled_from(STRATEGIES))
    nulls = "match" if strategy in ("auto", "update_insert") else "error"
    how_nulls = draw(st.sampled_from([nulls, "match", "drop", "error"]))
    possible = {**VALUE, **KNOWN} if how_nulls == "error" and draw(st.integers(0, 3)) else VALUE
    rows = draw(st.lists(st.fixed_dictionaries(VALUE), max_size=5))
    every = strategy == "delete_insert" or draw(st.booleans())
    values = VALUES if every else draw(st.lists(st.sampled_from(VALUES), unique=True))
    columns = draw(st.permutations([*KEYS, *values]))
    batch = draw(st.lists(st.fixed_dictionaries({c: possible[c] for c in columns}), max_size=6))
    arguments: dict[str, Any] = {
        "strategy": strategy, "on_null_keys": how_nulls, "skip_unchanged": draw(st.booleans())
    }  # fmt: skip
    if "a" in columns and draw(st.integers(0, 3)):
        arguments |= {"on_duplicate_keys": "keep_last", "order_by": "a"}
    if draw(st.integers(0, 5)) == 0:
        arguments["update_columns"] = draw(st.lists(st.sampled_from(values), unique=True)) if values else []
    if draw(st.integers(0, 5)) == 0:
        arguments["insert_columns"] = [*KEYS, *[c for c in values if draw(st.booleans())]]
    unique = strategy == "on_conflict" or draw(st.booleans())
    source = draw(st.sampled_from(["sql", "mappings", "sequences", "batches"]))
    target = {key(row): row for row in rows}
    return Case(tuple(target.values()), tuple(batch), tuple(columns), arguments, unique, source)


def key(row: Row) -> tuple[Any, ...]:
    return tuple(row[column] for column in KEYS)


def model(case: Case) -> tuple[dict[Any, list[Row]], dict[str, int]] | None:
    """What may become of each key, and the counts; None if the batch is to be refused."""
    how = case.arguments
    batch = list(case.batch)
    dropped = 0
    if any(None in key(row) for row in batch):
        if how["on_null_keys"] == "error":
            return None
        if how["on_null_keys"] == "drop":
            batch = [row for row in batch if None not in key(row)]
            dropped = len(case.batch) - len(batch)
    groups: dict[Any, list[Row]] = {}
    for row in batch:
        groups.setdefault(key(row), []).append(row)
    surplus = len(batch) - len(groups)
    if surplus and "order_by" not in how:
        return None
    result: dict[Any, list[Row]] = {key(row): [row] for row in case.target}
    counts = {"inserted": 0, "updated": 0, "unchanged": 0, "duplicates": surplus, "null_keys_dropped": dropped}
    for each, rows in groups.items():
        last = max((-1 if row["a"] is None else row["a"]) for row in rows) if "a" in case.columns else None
        newest = [r for r in rows if last is None or (-1 if r["a"] is None else r["a"]) == last]
        word, result[each] = applied(case, result.get(each), newest)
        counts[word] = counts.get(word, 0) + 1
    return result, counts


def applied(case: Case, before: list[Row] | None, newest: list[Row]) -> tuple[str, list[Row]]:
    if before is None:
        default = {"k 1": None, "select": None, "a": None, "b ä": None, "d": 7}
        return "inserted", [default | {c: row[c] for c in case.insert()} for row in newest]
    after = [before[0] | {c: row[c] for c in case.update()} for row in newest]
    same = before[0] in after and all(row == before[0] for row in after)
    if not case.update() or (case.arguments["skip_unchanged"] and same):
        return "unchanged", before
    if case.arguments["skip_unchanged"] and before[0] in after:
        return "either", after
    return "updated", after


class Tables:
    """The table of one case, on one database."""

    def __init__(self, database: Database) -> None:
        self.session, self.sql = database.session, database.session.dialect

    def create(self, case: Case) -> None:
        self.session.execute("DROP TABLE IF EXISTS target")
        listed = ", ".join(f"{self.sql.identifier(name)} {kind}" for name, kind in TYPES.items())
        unique = f", UNIQUE ({self.sql.identifiers(KEYS)})" if case.unique else ""
        self.session.execute(f"CREATE TABLE target ({listed}{unique})")
        if case.target:
            from airflow_dataquality.model import Table

            rows = [[row[column] for column in TYPES] for row in case.target]
            self.session.execute(self.sql.insert(Table("target"), list(TYPES), rows))

    def rows(self) -> list[Row]:
        found = self.session.query(f"SELECT {self.sql.identifiers(TYPES)} FROM target")
        return [dict(zip(TYPES, row, strict=True)) for row in found]

    def source(self, case: Case, batch: list[Row]) -> dict[str, Any]:
        template = any("{{" in str(row) for row in batch)  # which a SELECT's text would be
        if case.source == "mappings" or (case.source == "sql" and (template or not batch)):
            return {"rows": batch} if batch else {"rows": [], "columns": case.columns}
        if case.source == "batches":
            return {"rows": lambda: (batch[i : i + 2] for i in range(0, len(batch), 2)), "columns": case.columns}
        if case.source == "sequences":
            return {"rows": ([row[c] for c in case.columns] for row in batch), "columns": case.columns}
        return {"sql": " UNION ALL ".join(self._select(row, case.columns) for row in batch)}

    def _select(self, row: Row, columns: tuple[str, ...]) -> str:
        types = {column: TYPES[column].removesuffix(" DEFAULT 7") for column in columns}
        items = (f"CAST({self.sql.literal(row[c])} AS {types[c]}) AS {self.sql.identifier(c)}" for c in columns)
        return f"SELECT {', '.join(items)}"


@settings(
    max_examples=110,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
def test_the_result_is_that_of_a_dict(case: Case, database: Database, upsert: Callable[..., dict[str, Any]]) -> None:
    tables = Tables(database)
    tables.create(case)
    batch = list(case.batch)
    expected = model(case)
    if case.arguments["strategy"] not in database.session.dialect.strategies:
        case.arguments["strategy"] = "auto"
    try:
        outcome = upsert("target", KEYS, **case.arguments, **tables.source(case, batch))
    except AirflowException as error:
        refused = "is refused" in str(error)
        if not refused and (expected is not None or "are not in order" not in str(error)):
            raise
        assert {key(row): row for row in tables.rows()} == {key(row): row for row in case.target}
        event("refused")
        return
    event(f"upserted by {outcome['strategy']}")
    assert expected is not None, "keys that are errors were let through"
    result, counts = expected
    found = {key(row): row for row in tables.rows()}
    assert len(found) == len(tables.rows())
    assert found.keys() == result.keys()
    for each, candidates in result.items():
        assert found[each] in candidates
    either = counts.pop("either", 0)
    if not either:
        assert {word: outcome[word] for word in counts} == counts
    assert outcome["rows_staged"] == len(case.batch)
    assert sum(outcome[word] for word in counts) == len(case.batch)
    random.shuffle(batch)
    again = upsert("target", KEYS, **case.arguments, **tables.source(case, batch))
    assert again["inserted"] == 0
    if not set(case.update()) <= set(case.insert()):  # a new row gets a default first, and its value the second time
        return
    assert {key(row): row for row in tables.rows()} == found, "twice is not once"
    if case.arguments["skip_unchanged"]:
        assert again["updated"] == 0
