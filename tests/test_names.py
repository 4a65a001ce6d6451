"""Whatever a schema, table, column, index, constraint or partition value is called, the rows are the rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL, Composable, Identifier, Literal

from airflow_dataquality import maintenance
from fingerprint import fingerprint
from publishing import left_beside, publish
from support import Warehouse

Connection = psycopg.Connection[Any]

LIMIT = 63  # https://www.postgresql.org/docs/current/limits.html
WORDS = ["select", "user", "Table", "ORDER", "default", "null", "q", "o", "t", "s", "v", "stage", "ds", "__dq_stage_",
         "%s", "%(a)s", "{}", "{0}", ":a", "$1", "--", "/*", ";", "a.b", '"', '""', "'", "\\", "E'\\'", " ", "\t\n",
         "É", "größe", "漢字", "😀", "x" * 63, "é" * 31, "\u00a0", "-", "#}"]  # fmt: skip
CHARACTERS = st.sampled_from([*list("aZ0_ \"'%\\{}.;:$-/*?@\n"), "é", "漢", "😀"])


def fits(name: str) -> bool:
    return 0 < len(name.encode()) <= LIMIT and not is_template(name)


def is_template(text: str) -> bool:
    """Two braces are Jinja's: run by hand, the operator says that they were not rendered."""
    return "{{" in text or "{%" in text


NAMES = st.one_of(st.sampled_from(WORDS), st.text(CHARACTERS, min_size=1, max_size=63)).filter(fits)
TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "a ", "a", "NULL", "null", "\\N", "\\", "it's", "''", "2013-2-1", "1", "1.0", "true", *WORDS]
    ),
    st.text(CHARACTERS, max_size=30),
).filter(lambda text: not is_template(text))
ZONES = [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1))  # noqa: DTZ001 - st.datetimes wants them naive
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "varchar(40)": TEXTS.filter(lambda text: len(text) <= 40),
    "date": st.dates(date(1, 1, 1)),
    "timestamp": MOMENTS,
    "timestamptz": st.builds(lambda moment, zone: moment.replace(tzinfo=zone), MOMENTS, st.sampled_from(ZONES)),
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "numeric": st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**9), max_value=10**9),
}

HARD = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def db(warehouse: Warehouse) -> Iterator[Connection]:
    """A connection to a database whose settings are not the usual ones."""
    with warehouse.connect() as connection:
        database = Identifier(connection.info.dbname)
        for setting, value in {
            "timezone": "Asia/Kathmandu",
            "datestyle": "SQL, DMY",
            "extra_float_digits": "0",
        }.items():
            connection.execute(
                SQL("ALTER DATABASE {} SET {} = {}").format(database, Identifier(setting), Literal(value))
            )
        yield connection


def text(connection: Connection, composed: Composable) -> str:
    return composed.as_string(connection)


def select(connection: Connection, columns: tuple[str, str], kind: str, pairs: list[tuple[Any, int]]) -> str:
    """A SELECT of these rows."""
    parts = [
        SQL("SELECT CAST({} AS {}) AS {}, {} AS {}").format(
            Literal(key),
            SQL(kind),
            Identifier(columns[0]),
            Literal(number),
            Identifier(columns[1]),  # type: ignore[arg-type]
        )
        for key, number in pairs
    ]
    return text(connection, SQL(" UNION ALL ").join(parts))


@settings(HARD, max_examples=12)
@given(
    place=st.tuples(NAMES, NAMES).filter(lambda names: not names[0].startswith("pg_")),
    columns=st.tuples(NAMES, NAMES).filter(lambda names: len(set(names)) == 2),
    objects=st.tuples(NAMES, NAMES).filter(lambda names: len(set(names)) == 2),
    values=st.tuples(TEXTS, TEXTS).filter(lambda texts: len(set(texts)) == 2),
)
def test_any_name_round_trips(
    db: Connection, place: tuple[str, str], columns: tuple[str, str], objects: tuple[str, str], values: tuple[str, str]
) -> None:
    schema, name = map(Identifier, place)
    if place[1] in objects:
        objects = ("an index", "a constraint")
    db.execute(SQL("DROP SCHEMA IF EXISTS {0} CASCADE; CREATE SCHEMA {0}").format(schema))
    try:
        table = text(db, Identifier(*place))
        key, number = map(Identifier, columns)
        a, b = values

        def there() -> list[tuple[Any, ...]]:
            return sorted(db.execute(SQL("SELECT {}, {} FROM {}").format(key, number, Identifier(*place))).fetchall())

        assert publish(table, select(db, columns, "text", [(a, 1), (b, 2)]))["exchange"] == "create"
        assert there() == sorted([(a, 1), (b, 2)])
        db.execute(SQL("CREATE INDEX {} ON {}.{} ({}, {})").format(Identifier(objects[0]), schema, name, number, key))
        db.execute(SQL("ALTER TABLE {}.{} ADD CONSTRAINT {} UNIQUE ({}, {})").format(
            schema, name, Identifier(objects[1]), key, number))  # fmt: skip
        db.execute(SQL("COMMENT ON COLUMN {}.{}.{} IS {}").format(schema, name, key, Literal(a)))
        before = fingerprint(db, table)
        assert publish(table, select(db, columns, "text", [(a, 3), (b, 4)]), keep_previous=1)["exchange"] == "swap"
        assert there() == sorted([(a, 3), (b, 4)])
        outcome = publish(table, select(db, columns, "text", [(a, 5), (a, 6)]), partition={columns[0]: a})
        assert (outcome["exchange"], outcome["partition"]) == ("overwrite", {columns[0]: a})
        assert there() == sorted([(a, 5), (a, 6), (b, 4)])
        assert maintenance.rollback("warehouse", table)["exchange"] == "swap"
        assert there() == sorted([(a, 1), (b, 2)])
        assert fingerprint(db, table) == before
    finally:
        db.execute(SQL("DROP SCHEMA {} CASCADE").format(schema))


@pytest.mark.parametrize("native", [False, True], ids=["plain", "partitioned"])
@pytest.mark.parametrize("kind", VALUES)
def test_any_partition_value_round_trips(db: Connection, kind: str, native: bool) -> None:
    """The values as Python has them and as the database prints them name the same partition."""
    by = SQL("PARTITION BY LIST (k)" if native else "")

    @settings(HARD, max_examples=2)
    @given(st.lists(VALUES[kind], min_size=2, max_size=2, unique=True), st.booleans())
    def round_trip(values: list[Any], null: bool) -> None:
        a, b = [None, values[1]] if null else values
        db.execute(SQL("DROP TABLE IF EXISTS t; CREATE TABLE t (k {}, n int) {}").format(SQL(kind), by))  # type: ignore[arg-type]
        for value, numbers in ((a, [1]), (b, [2, 3]), (a, [4, 5])):
            rows = [(value, number) for number in numbers]
            outcome = publish("t", select(db, ("k", "n"), kind, rows), partition={"k": value})
            assert outcome["exchange"] == ("attach" if native else "overwrite")
        printed = outcome["partition"]["k"]
        assert (printed is None) == (a is None)
        assert (
            publish("t", select(db, ("k", "n"), kind, [(a, 6)]), partition={"k": printed})["partition"]["k"] == printed
        )
        of_a = SQL("k IS NOT DISTINCT FROM {}").format(Literal(a))
        assert db.execute(SQL("SELECT n FROM t ORDER BY n")).fetchall() == [(2,), (3,), (6,)]
        assert db.execute(SQL("SELECT n FROM t WHERE {}").format(of_a)).fetchall() == [(6,)]

    round_trip()


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        ("date", ["2013-02-01", "2013-2-1", "20130201", date(2013, 2, 1), "1 Feb 2013"]),
        ("timestamp", ["2013-02-01", "2013-02-01T00:00", datetime(2013, 2, 1)]),  # noqa: DTZ001 - it has no zone
        ("timestamptz", ["2013-02-01 00:00Z", "2013-02-01 05:45+05:45", datetime(2013, 2, 1, tzinfo=UTC)]),
        ("int", [7, "7", " 7", "007"]),
        ("numeric", [1.5, "1.5", "1.50", Decimal("1.500")]),
        ("numeric(9, 2)", [1.5, "1.5", "1.50"]),
        ("bool", [True, "t", "yes", "1"]),
    ],
)
def test_a_partition_has_one_spelling_in_the_ledger(db: Connection, kind: str, spellings: list[Any]) -> None:
    db.execute(SQL("CREATE TABLE t (k {}, n int)").format(SQL(kind)))  # type: ignore[arg-type]
    for number, spelling in enumerate(spellings):
        publish("t", select(db, ("k", "n"), kind, [(spellings[0], number)]), partition={"k": spelling})
    assert db.execute("SELECT n FROM t").fetchall() == [(len(spellings) - 1,)]
    assert len(db.execute("SELECT DISTINCT partition FROM dataquality.publication").fetchall()) == 1


@pytest.mark.parametrize("shared", [40, 62])
def test_names_with_one_beginning_are_told_apart(db: Connection, shared: int) -> None:
    names = ["x" * shared + end for end in "ab"]
    never = [{"check": "row_count", "condition": {"equal_to": 0}}]
    for name in names:
        publish(name, f"SELECT '{name}' AS v", keep_previous=2)
        publish(name, f"SELECT '{name}2' AS v", keep_previous=2)
        with pytest.raises(AirflowException, match="row_count"):
            publish(name, f"SELECT '{name}3' AS v", checks=never)
    left = left_beside(db)
    assert len(left) == 4
    assert all(len(name) <= LIMIT for name in left)
    found = {db.execute(SQL("SELECT v FROM {}").format(Identifier(name))).fetchone() for name in left}
    assert found == {(name + version,) for name in names for version in ("", "3")}
    for name in names:
        maintenance.rollback("warehouse", name)
        assert db.execute(SQL("SELECT v FROM {}").format(Identifier(name))).fetchall() == [(name,)]


def test_indexes_with_one_beginning_are_told_apart(db: Connection) -> None:
    db.execute("CREATE TABLE t (a int, b int)")
    for number in range(12):
        db.execute(SQL("CREATE INDEX {} ON t (a)").format(Identifier("i" * 61 + f"{number:02}")))
    before = fingerprint(db, "t")
    for _ in range(2):
        assert publish("t", "SELECT 1 AS a, 2 AS b", keep_previous=1)["exchange"] == "swap"
        assert fingerprint(db, "t") == before
