"""500 checks on 100 columns: beside the best plan written by hand, one SELECT, and Airflow's own operators."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dataquality.checks import check
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import Check, Metric, Partition, Table
from airflow_dataquality.operators.check import DataQualityCheckOperator
from benchmarks.measuring import race, recorded
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import CONNECTION, NO_JIT, connected, hook, processor_seconds, version

if TYPE_CHECKING:
    import psycopg

TABLE = "bench.wide"
KEPT = 1.15
OURS, ENGINE, BY_HAND = "DataQualityCheckOperator", "engine alone", "by hand: 2 statements, jit off"
SINGLE = "by hand: 1 SELECT, defaults"
AIRFLOW, AIRFLOW_JIT = "Airflow's check operators, jit off", "Airflow's check operators, defaults"

# Of each kind of column: how many, its type, and its value, made of a hash {h}.
COLUMNS = {
    "i": (25, "integer", "({h} % (10 ^ (1 + {c} % 7))::bigint)::integer"),
    "f": (20, "double precision", "({h} % 100000000) / 1000.0"),
    "n": (15, "numeric(12, 2)", "({h} % 1000000) / 100.0"),
    "t": (25, "text", "left(md5(({h} % (10 ^ (1 + {c} % 6))::bigint)::text), 4 + {c} % 12)"),
    "d": (15, "timestamp", "timestamp '2013-01-01' + ({h} % 31536000) * interval '1 second'"),
}
# The fifth number of a column, beside its NULLs, smallest, largest and distinct values.
FIFTH = {"i": "mean", "f": "mean", "n": "mean", "t": "max_length", "d": "null_ratio"}

Numbers = dict[tuple[str, str], Any]


def run(uri: str, *, quick: bool = False) -> Report:
    """Measure all sides in turn, on one table."""
    rows, rounds = (2_000, 1) if quick else (500_000, 7)
    with connected(uri) as connection:
        collation = fill(connection, rows)
        sides = {
            OURS: operator,
            ENGINE: engine,
            BY_HAND: by_hand,
            SINGLE: single_select,
            AIRFLOW: lambda: airflow_operators(NO_JIT),
            AIRFLOW_JIT: lambda: airflow_operators(CONNECTION),
        }
        timed = race(
            sides, rounds, fewer={SINGLE: 3, AIRFLOW: 1, AIRFLOW_JIT: 1}, cpu=lambda: processor_seconds(connection)
        )
        with recorded() as messages:
            operator()
        scans = [m for m in messages if 'FROM "bench"."wide"' in m.sql and not m.sql.startswith("EXPLAIN")]
        setting = {
            "rows": rows,
            "columns": 100,
            "checks": 500,
            "text collation": collation,
            **versions(version(connection)),
        }
    lines = [
        {
            "side": side,
            "rounds": len(timed.seconds[side]),
            "median s": timed.median(side),
            "÷ by hand, median of pairs": timed.ratio(side, BY_HAND),
            "CPU s": statistics.median(timed.cpu[side]),
            "CPU ÷ by hand": timed.cpu_ratio(side, BY_HAND),
        }
        for side in sides
    ]
    return Report(
        "500 checks on 100 columns",
        setting,
        lines,
        agree=all(same(timed.answers[BY_HAND], timed.answers[side]) for side in sides),
        bars={
            f"the operator takes at most {KEPT} × the plan by hand": timed.ratio(OURS, BY_HAND) <= KEPT,
            "it scans the table twice": len(scans) == 2,
        },
        notes=[f"{len(messages)} messages, of which the scans took {sum(m.seconds for m in scans):.2f} s"],
    )


def fill(connection: psycopg.Connection[Any], rows: int) -> str:
    """Make the table anew; the same values on every machine. Returns the collation of its texts."""
    found = connection.execute("SELECT 1 FROM pg_collation WHERE collname = 'en-US-x-icu'").fetchone()
    collation = "en-US-x-icu" if found else "default"
    columns, values = [], []
    for number, (name, (kind, value)) in enumerate(_columns().items()):
        collated = f' COLLATE "{collation}"' if kind == "text" else ""
        columns.append(f"{name} {kind}{collated}")
        hashed = f"(hashint8extended(g, {number}) & 9223372036854775807)"
        known = f"hashint8extended(g, {number + 1000}) % 50 <> 0"
        values.append(f"CASE WHEN {known} THEN {value.format(h=hashed, c=number)} END")
    connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    connection.execute(f"CREATE TABLE {TABLE} ({', '.join(columns)})")
    connection.execute(f"INSERT INTO {TABLE} SELECT {', '.join(values)} FROM generate_series(1, {rows}) AS g")
    connection.execute(f"VACUUM ANALYZE {TABLE}")
    return collation


def _columns() -> dict[str, tuple[str, str]]:
    return {
        f"{letter}{number:02}": (kind, value)
        for letter, (count, kind, value) in COLUMNS.items()
        for number in range(count)
    }


def _wanted() -> list[tuple[str, str]]:
    return [
        (word, column)
        for column in _columns()
        for word in ("null_count", "min", "max", FIFTH[column[0]], "distinct_count")
    ]


def _condition(word: str, column: str) -> dict[str, Any]:
    least = {"t": "", "d": "1900-01-01"}.get(column[0], -1)
    return {"geq_to": least if word in ("min", "max") else 0}


def our_checks() -> list[Check]:
    """The 500 checks."""
    return [check(word, column, **_condition(word, column)) for word, column in _wanted()]


# -- the sides


def operator() -> Numbers:
    """Ours, end to end."""
    task = DataQualityCheckOperator(
        task_id="checks", conn_id=CONNECTION, table=TABLE, checks=our_checks(), ledger_schema=None
    )
    task.execute({})
    return {(result.check_type, result.column or ""): result.actual for result in task.check_results}


def engine() -> Numbers:
    """Ours, without resolving, judging and reporting."""
    what = Partition(Table.parse(TABLE))
    with open_session(hook()) as session:
        metrics = [check.metric for check in our_checks()]
        measured = measure(session, [Metric("row_count"), *metrics], what, columns=session.columns(what.table))
    return {(metric.kind, metric.columns[0]): measured[metric].value for metric in metrics}


_ITEMS = {
    "null_count": "count(*) - count({c})",
    "min": "min({c})",
    "max": "max({c})",
    "mean": "avg({c})::float8",
    "max_length": "max(length({c}))",
    "null_ratio": "(count(*) - count({c}))::float8 / count(*)",
    "distinct_count": "count(DISTINCT {c})",
}


def by_hand() -> Numbers:
    """The fastest plan known: plain aggregates in one parallel scan; distincts in one, compared by bytes."""
    plain = [(word, column) for word, column in _wanted() if word != "distinct_count"]
    distinct = [(word, column) for word, column in _wanted() if word == "distinct_count"]
    by_bytes = ' COLLATE "C"'
    items = [
        [_ITEMS[word].format(c=column) for word, column in plain],
        [f"count(DISTINCT {column}{by_bytes if column[0] == 't' else ''})" for _, column in distinct],
    ]
    with contextlib.closing(hook().get_conn()) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SET LOCAL jit = off")
        found: Numbers = {}
        for listed, sql in zip((plain, distinct), items, strict=True):
            cursor.execute(f"SELECT {', '.join(sql)} FROM {TABLE}")
            found |= zip(listed, cursor.fetchone(), strict=True)
        cursor.execute("COMMIT")
    return found


def single_select() -> Numbers:
    """What one would write first."""
    items = [_ITEMS[word].format(c=column) for word, column in _wanted()]
    with contextlib.closing(hook().get_conn()) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(items)} FROM {TABLE}")
        return dict(zip(_wanted(), cursor.fetchone(), strict=True))


def airflow_operators(conn_id: str) -> Numbers:
    """Airflow's own: a UNION ALL needs one type, so numbers, texts and times are three column operators.

    The fifth number of each column is a check statement of ``SQLTableCheckOperator``, which does not tell values.
    """
    from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator, SQLTableCheckOperator

    words = {"null_check": "null_count", "min": "min", "max": "max", "distinct_check": "distinct_count"}
    found: Numbers = {}
    for letters in ("ifn", "t", "d"):
        mapping: dict[str, dict[str, Any]] = {column: {} for column in _columns()}
        for word, column in _wanted():
            theirs = {ours: name for name, ours in words.items()}.get(word)
            counts = theirs in ("null_check", "distinct_check")
            if theirs and (column[0] in letters if not counts else letters == "ifn"):
                least: Any = _as_selected(_condition(word, column)["geq_to"], column, counts=counts)
                mapping[column][theirs] = {"geq_to": least}
        mapping = {column: checks for column, checks in mapping.items() if checks}
        columns = SQLColumnCheckOperator(task_id="columns", conn_id=conn_id, table=TABLE, column_mapping=mapping)
        columns.execute({})
        found |= {
            (words[name], column): answer["result"]
            for column, checks in columns.column_mapping.items()
            for name, answer in checks.items()
        }
    statements = {
        f"{word}_{column}": {"check_statement": f"{_ITEMS[word].format(c=column)} >= 0"}
        for word, column in _wanted()
        if word not in words.values()
    }
    SQLTableCheckOperator(task_id="table", conn_id=conn_id, table=TABLE, checks=statements).execute({})
    return found


def _as_selected(bound: Any, column: str, *, counts: bool) -> Any:
    if column[0] != "d" or counts:
        return bound
    from datetime import datetime

    return datetime.fromisoformat(bound)


# -- the same numbers


def same(expected: Mapping[tuple[str, str], Any], found: Mapping[tuple[str, str], Any]) -> bool:
    """Whether what a side tells is what was expected, up to the order in which floats were added."""
    return bool(found) and all(_equal(expected[key], value) for key, value in found.items())


def _equal(one: Any, other: Any) -> bool:
    texts: Sequence[str] = (str(one), str(other))
    with contextlib.suppress(ValueError):
        return math.isclose(float(texts[0]), float(texts[1]), rel_tol=1e-9)
    return texts[0] == texts[1]
