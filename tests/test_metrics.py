"""Every metric's value, on every dialect."""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_dataquality.checks import check
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.engine.measure import Scan, measure
from airflow_dataquality.engine.schema import same_type
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Column, Metric, Partition, Table
from airflow_dataquality.results import Measurement
from airflow_dataquality.vocabulary import KINDS, WRITABLE
from support import Database, Warehouse

GOLDEN = Path(__file__).parent / "golden"
T = Table("flights")

ROWS: tuple[tuple[Any, ...], ...] = (
    (1, 1.5, "AA", "2013-02-01 00:00:00", "EWR", True),
    (2, 2.5, "it's", "2013-02-02 00:00:00", "EWR", False),
    (2, None, "", "2013-02-02 00:00:00", "JFK", None),
    (None, 10.0, "ünï", None, "JFK", True),
    (3, 4.0, None, "2013-02-03 12:00:00", None, True),
)
FLIGHTS = "n integer, x double precision, s text, ts timestamp, origin text, late boolean"
HEALTH = tuple(word for word, kind in KINDS.items() if kind.health)


def fill(database: Database, table: Table, columns: str, rows: Sequence[Sequence[Any]] = ()) -> None:
    session = database.session
    name = session.dialect.table(table)
    session.execute(f"CREATE TABLE {name} ({columns})")
    if rows:
        values = ", ".join(f"({', '.join(map(session.dialect.literal, row))})" for row in rows)
        session.execute(f"INSERT INTO {name} VALUES {values}")


def value(database: Database, word: str, column: Any = None, *, table: Table = T, **arguments: Any) -> Any:
    return one(database, word, column, table=table, **arguments).value


def one(
    database: Database,
    word: str,
    column: Any = None,
    *,
    table: Table = T,
    key: dict[str, Any] | None = None,
    production: Table | None = None,
    **arguments: Any,
) -> Measurement:
    metric = check(word, column, equal_to=1, **arguments).metric
    what = Partition.of(table, key)
    columns = database.session.columns(table)
    held = Partition.of(production, key) if production else None
    found = measure(database.session, [metric], what, columns=columns, production=held)[metric]
    assert found.error is None, found.error
    return found


@pytest.fixture
def flights(database: Database) -> Database:
    fill(database, T, FLIGHTS, ROWS)
    return database


CASES: list[tuple[str, Any, dict[str, Any], Any]] = [
    ("row_count", None, {}, 5),
    ("null_count", "n", {}, 1),
    ("null_ratio", "n", {}, 0.2),
    ("true_ratio", "late", {}, 0.75),
    ("distinct_count", "n", {}, 3),
    ("distinct_count", "s", {}, 4),
    ("unique_violations", "n", {}, 1),
    ("unique_violations", ["n", "origin"], {}, 0),
    ("unique_violations", ["n", "ts"], {}, 1),
    ("min", "x", {}, 1.5),
    ("max", "s", {}, "ünï"),
    ("mean", "n", {}, 2.0),
    ("mean", "x", {}, 4.5),
    ("stddev", "x", {}, statistics.stdev([1.5, 2.5, 10, 4])),
    ("stddev", "n", {}, statistics.stdev([1, 2, 2, 3])),
    ("sum", "n", {}, 8),
    ("quantile", "x", {"q": 0.5}, 3.25),
    ("quantile", "x", {"q": 0}, 1.5),
    ("quantile", "x", {"q": 1}, 10.0),
    ("quantile", "n", {"q": 0.3}, 1.9),
    ("min_length", "s", {}, 0),
    ("max_length", "s", {}, 4),
    ("empty_count", "s", {}, 1),
    ("pattern_violations", "s", {"pattern": "^[A-Z]+$"}, 3),
    ("pattern_violations", "s", {"pattern": r"^[^']*$"}, 1),
    ("values_outside", "s", {"values": ["AA", "it's", None]}, 2),
    ("values_outside", "n", {"values": [1, 2.0]}, 1),
    ("values_outside", "s", {"values": ["back\\slash", "AA", "it's", "", "ünï"]}, 0),
    ("schema", None, {"columns": ["n", "x", "s", "ts", "origin", "late"]}, 0),
    ("schema", None, {"columns": ["n", "x", "gone"]}, 5),
    ("column_count", None, {}, 6),
    ("custom_sql", None, {"sql": "SELECT COUNT(*) FROM {table} WHERE s LIKE '%A%'"}, 1),
    ("custom_sql", None, {"sql": "WITH q AS (SELECT MAX(n) AS m FROM {table}) SELECT m FROM q; ; -- done"}, 3),
    ("custom_sql", None, {"sql": "SELECT 7 -- no table"}, 7),
    ("check_statement", None, {"statement": "COUNT(*) = 5"}, 1),
    ("check_statement", None, {"statement": "x > 2 -- or NULL"}, 0),
    ("orphan_count", "origin", {"references": "airports", "referenced_columns": ["code"]}, 2),
    ("orphan_count", ["n", "origin"], {"references": "pairs"}, 2),
]
SCOPED: list[tuple[str, Any, dict[str, Any], Any]] = [
    ("row_count", None, {}, 2),
    ("null_count", "x", {}, 0),
    ("null_ratio", "x", {}, 0.0),
    ("true_ratio", "late", {}, 0.5),
    ("column_count", None, {}, 6),
    ("distinct_count", "s", {}, 2),
    ("unique_violations", "n", {}, 0),
    ("unique_violations", ["origin", "ts"], {}, 0),
    ("unique_violations", ["origin"], {}, 1),
    ("max", "x", {}, 2.5),
    ("mean", "n", {}, 1.5),
    ("stddev", "x", {}, math.sqrt(0.5)),
    ("quantile", "x", {"q": 0.25}, 1.75),
    ("max_length", "s", {}, 4),
    ("pattern_violations", "s", {"pattern": "^[A-Z]+$"}, 1),
    ("values_outside", "s", {"values": ["AA"]}, 1),
    ("custom_sql", None, {"sql": "SELECT COUNT(*) FROM {table}"}, 2),
    ("custom_sql", None, {"sql": "WITH q AS (SELECT n FROM {table}) SELECT SUM(n) FROM q;"}, 3),
    ("check_statement", None, {"statement": "n < 3"}, 1),
    ("orphan_count", "origin", {"references": "airports", "referenced_columns": ["code"]}, 0),
]


def same(found: Any, expected: Any) -> bool:
    return bool(found == (pytest.approx(expected) if isinstance(expected, float) else expected))


def refer(database: Database) -> None:
    fill(database, Table("airports"), "code text", [["EWR"], ["LGA"]])
    fill(database, Table("pairs"), "n integer, origin text", [[1, "EWR"], [None, "JFK"]])


def test_value_of_each_kind(flights: Database) -> None:
    refer(flights)
    wrong = [
        (word, column, found, expected)
        for word, column, arguments, expected in CASES
        if not same(found := value(flights, word, column, **arguments), expected)
    ]
    assert not wrong


def test_ansi_sql_gives_the_same_values(warehouse: Warehouse) -> None:
    """The base dialect, on a database that understands most of the standard."""
    with warehouse.connect() as connection:
        database = Database(DbApiSession(connection, Dialect()), warehouse.conn_id)
        fill(database, T, FLIGHTS, ROWS)
        refer(database)
        cases = [case for case in CASES if ";" not in case[2].get("sql", "")]
        assert [c for c in cases if not same(value(database, c[0], c[1], **c[2]), c[3])] == []


@pytest.mark.parametrize("way", ["clause", "clause beside others", "key", "clause with a comment"])
def test_value_in_a_scope(flights: Database, way: str) -> None:
    refer(flights)
    scope: dict[str, Any] = {
        "key": {"key": {"origin": "EWR"}},
        "clause with a comment": {"partition_clause": "origin = 'EWR' -- Newark"},
    }.get(way, {"partition_clause": "origin = 'EWR' OR 1 = 0"})
    if way != "clause beside others":
        assert [c for c in SCOPED if not same(value(flights, c[0], c[1], **c[2], **scope), c[3])] == []
        return
    metrics = [check(word, column, equal_to=1, **arguments, **scope).metric for word, column, arguments, _ in SCOPED]
    others = [check("mean", "x", equal_to=1).metric, check("distinct_count", "x", equal_to=1).metric]
    what = Partition(T)
    found = measure(flights.session, [*others, *metrics], what, columns=flights.session.columns(T))
    assert [(m, found[m]) for m, case in zip(metrics, SCOPED, strict=True) if not same(found[m].value, case[3])] == []
    assert found[others[0]].value == pytest.approx(4.5)


def test_every_kind_is_tested() -> None:
    elsewhere = {"freshness", "row_count_ratio", "lost_keys", "unseen_values", "churn_ratio", "mean_shift", *HEALTH}
    assert {case[0] for case in CASES} | elsewhere == set(WRITABLE)


def test_a_composite_key_with_null_repeats_nothing(database: Database) -> None:
    fill(database, T, "a integer, b text", [[1, None], [1, None], [2, "x"], [2, "x"], [2, "x"]])
    assert value(database, "unique_violations", ["a", "b"]) == 2
    assert value(database, "unique_violations", ["a", "b"], partition_clause="a = 1") == 0


def test_freshness_is_seconds(database: Database) -> None:
    then = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=2)
    fill(database, T, "ts timestamp", [[then], [then - timedelta(days=1)], [None]])
    assert value(database, "freshness", "ts") == pytest.approx(7200, abs=30)


def test_comparison_with_production(database: Database) -> None:
    columns = "ds text, k integer, c text"
    fill(database, T, columns, [["d1", 1, "a"], ["d1", 2, "b"], ["d1", None, "new"], ["d1", 9, None]])
    held = [["d1", 1, "a"], ["d1", None, "a"], ["d1", 3, "b"], ["d1", 3, "b"], ["d0", 8, "old"]]
    fill(database, Table("held"), columns, held)
    compared = {"key": {"ds": "d1"}, "production": Table("held")}
    assert value(database, "row_count_ratio", **compared) == pytest.approx(1.0)
    assert value(database, "lost_keys", "k", **compared) == 1
    assert value(database, "unseen_values", "c", **compared) == 1
    assert value(database, "churn_ratio", ["k"], **compared) == pytest.approx((1 + 2) / 3)
    assert value(database, "lost_keys", "k", partition_clause="c = 'a'", **compared) == 1


SHIFTS: dict[str, tuple[list[float | None], list[float | None], float | None]] = {
    "none": ([1, 5], [5, 1], 0),
    "one deviation": ([2, 4], [2 + math.sqrt(2), 4 + math.sqrt(2)], 1),
    "downwards": ([2, 4], [1, None, 1], 2 / math.sqrt(2)),
    "of what is always the same": ([3, 3], [3, 4], math.inf),
    "of what stays the same": ([3, 3], [3], 0),
    "of one value": ([3], [4], math.inf),
    "to nothing that is known": ([1, 2], [None], None),
}


@pytest.mark.parametrize(("held", "staged", "expected"), SHIFTS.values(), ids=SHIFTS)
def test_shift_of_a_mean(
    held: list[float | None], staged: list[float | None], expected: float | None, database: Database
) -> None:
    columns = "ds text, x double precision"
    fill(database, T, columns, [["d1", x] for x in staged] + [["d2", 1e6]])
    fill(database, Table("held"), columns, [["d1", x] for x in held] + [["d0", 1e6]])
    found = value(database, "mean_shift", "x", key={"ds": "d1"}, production=Table("held"))
    assert found == (expected if expected in (None, math.inf) else pytest.approx(expected))


def test_comparison_with_nothing_is_absent(database: Database) -> None:
    columns = "ds text, c text"
    fill(database, T, columns, [["d1", "a"], ["d1", "b"]])
    fill(database, Table("held"), columns, [["d0", "a"]])
    compared = {"key": {"ds": "d1"}, "production": Table("held")}
    for word, column in (("row_count_ratio", None), ("lost_keys", "c"), ("churn_ratio", "c")):
        assert one(database, word, column, **compared).absent
        assert one(database, word, column).absent
    fill(database, Table("numbers"), "ds text, x integer", [["d1", 1]])
    fill(database, Table("no_numbers"), "ds text, x integer", [["d1", None]])
    nothing_known = {"key": {"ds": "d1"}, "production": Table("no_numbers")}
    assert one(database, "mean_shift", "x", table=Table("numbers"), **nothing_known).absent
    # Categories that production holds in any partition are not new, although this partition is.
    assert value(database, "unseen_values", "c", **compared) == 1


def test_empty_table(database: Database) -> None:
    fill(database, T, FLIGHTS)
    refer(database)
    for word, column, arguments, _ in CASES:
        found = one(database, word, column, **arguments)
        no_answer = word == "check_statement" and found.value is None
        assert (found.rows == 0) is (no_answer or (not KINDS[word].counts_empty and word != "check_statement")), word
    assert value(database, "row_count") == 0


def test_of_no_known_values_none_is_true(database: Database) -> None:
    fill(database, T, "late boolean, n integer", [[None, 1], [None, 2], [True, 3]])
    assert value(database, "true_ratio", "late", partition_clause="n < 3") is None
    assert value(database, "true_ratio", "late") == 1


def test_one_value_has_no_deviation(database: Database) -> None:
    fill(database, T, "x double precision", [[1.0], [None]])
    assert value(database, "stddev", "x") is None


def test_deviation_is_sound_far_from_zero(database: Database) -> None:
    fill(database, T, "x double precision", [[1e9 + offset] for offset in (4, 7, 13, 16)])
    assert value(database, "stddev", "x") == pytest.approx(statistics.stdev([4, 7, 13, 16]), rel=1e-9)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    numbers=st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=2, max_size=12),
    q=st.sampled_from([0, 0.05, 0.25, 0.5, 0.75, 0.9, 1]),
)
def test_quantile_and_deviation_agree_with_python(database: Database, numbers: list[float], q: float) -> None:
    database.session.execute("DROP TABLE IF EXISTS flights")
    fill(database, T, "x double precision", [[number] for number in numbers])
    ordered = sorted(numbers)
    position = q * (len(ordered) - 1)
    low, high = ordered[math.floor(position)], ordered[math.ceil(position)]
    expected = low + (high - low) * (position - math.floor(position))
    assert value(database, "quantile", "x", q=q) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert value(database, "stddev", "x") == pytest.approx(statistics.stdev(numbers), rel=1e-6, abs=1e-6)


def test_nan_and_infinity_are_ordinary_values(warehouse: Warehouse, request: pytest.FixtureRequest) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE flights (x float8)")
        connection.execute("INSERT INTO flights VALUES ('NaN'), ('NaN'), ('Infinity'), ('-Infinity'), (1), (NULL)")
        session = DbApiSession(connection, dialect_for("postgres"))
        words = ("null_count", "distinct_count", "unique_violations", "min", "max", "mean", "stddev")
        metrics = {word: check(word, "x", equal_to=0).metric for word in words}
        found = measure(session, metrics.values(), Partition(T), columns=session.columns(T))
    values = {word: found[metric].value for word, metric in metrics.items()}
    assert {word: values[word] for word in words[:4]} == {
        "null_count": 1,
        "distinct_count": 4,
        "unique_violations": 1,
        "min": -math.inf,
    }
    assert all(math.isnan(values[word]) for word in words[4:])


ODD_NAMES = ['a "quoted" b', "select", "Größe 大", "x" * 63, "back\\slash", "{curly}", "%s", "it's"]


def test_names_of_every_kind(database: Database) -> None:
    for name in ODD_NAMES:
        table, quoted = Table(name), database.session.dialect.identifier(name)
        fill(database, table, f"{quoted} integer, b text", [[1, "x"], [1, "x"], [None, "y"]])
        assert value(database, "null_count", name, table=table) == 1, name
        assert value(database, "mean", name, table=table, partition_clause="b = 'x'") == 1
        assert value(database, "stddev", name, table=table) == 0
        assert value(database, "quantile", name, table=table, q=0.5) == 1
        assert value(database, "unique_violations", [name, "b"], table=table) == 1
        sql = "SELECT COUNT(*) FROM {table}"
        assert value(database, "custom_sql", table=table, sql=sql, partition_clause="b = 'y'") == 1


ODD_TEXTS = ["it's", "back\\slash", "\\'", "new\nline", "大", '"', "%s", "{x}", "a' OR '1'='1", ""]


def test_texts_of_every_kind(database: Database) -> None:
    session = database.session
    fill(database, T, "s text")
    mark = "?" if database.kind == "sqlite" else "%s"
    for text in ODD_TEXTS:
        with contextlib.closing(session.connection.cursor()) as cursor:
            cursor.execute(f"INSERT INTO flights VALUES ({mark})", [text])
    for conforming in ("on", "off"):
        if database.kind == "postgres":
            session.execute(f"SET standard_conforming_strings = {conforming}")
            session.execute("SET escape_string_warning = off")
        for text in ODD_TEXTS:
            assert value(database, "values_outside", "s", values=[text]) == len(ODD_TEXTS) - 1, text
            assert value(database, "row_count", key={"s": text}) == 1, text


def test_outside_partition(database: Database) -> None:
    fill(database, T, "ds date, hour integer", [["2013-02-01", 1], ["2013-02-02", 1], [None, 1], ["2013-02-01", None]])
    key = (("ds", "2013-02-01"), ("hour", 1))
    metric = Metric("outside_partition", ("ds", "hour"), (("key", key),))
    found = measure(database.session, [metric], Partition(T), columns=database.session.columns(T))
    assert found[metric].value == 3


def test_schema_says_what_differs(database: Database) -> None:
    fill(database, T, "a integer, b text")
    found = one(database, "schema", columns={"a": "int" if database.kind == "postgres" else "integer", "c": None})
    assert (found.value, found.detail) == (2, "missing: c; unexpected: b")
    assert one(database, "schema", columns={"a": "date", "b": "text"}).detail == (
        f"of another type: a is {database.session.columns(T)[0].type}, not date"
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("int4", "integer", True),
        ("VARCHAR (10)", "character varying(10)", True),
        ("decimal(10, 2)", "numeric(10,2)", True),
        ("timestamptz(3)", "timestamp(3) with time zone", True),
        ("timestamp", "timestamp without time zone", True),
        ("text[]", "text[]", True),
        ("int[]", "integer[]", True),
        ("numeric(10,2)", "numeric", False),
        ("int", "bigint", False),
        ("timestamp", "timestamp with time zone", False),
    ],
)
def test_spellings_of_types(one: str, other: str, same: bool) -> None:
    assert same_type(one, other, dialect_for("postgres").type_names) is same


@pytest.mark.parametrize("name", ["ansi", "postgres", "redshift", "sqlite"])
def test_golden_sql(name: str, request: pytest.FixtureRequest) -> None:
    """The statements themselves, to be read. Write them anew with UPDATE_GOLDEN=1."""
    import os

    words = ("null_count", "null_ratio", "min", "max", "mean", "stddev", "sum", "distinct_count", "unique_violations")
    checks = [check(word, "dep_delay", geq_to=0) for word in words]
    checks += [
        check("quantile", "dep_delay", q=0.9, leq_to=60),
        check("max_length", "carrier", leq_to=2),
        check("empty_count", "carrier"),
        check("pattern_violations", "carrier", pattern="^[A-Z0-9]{2}$"),
        check("values_outside", "origin", values=["EWR", "JFK"], partition_clause="region = 'EU'"),
        check("distinct_count", "carrier", geq_to=1),
        check("unique_violations", ["ds", "carrier"]),
        check("true_ratio", "late", geq_to=0.5),
        check("true_ratio", "late", geq_to=0.5, partition_clause="region = 'EU'"),
        check("freshness", "ts", leq_to="26h"),
        check("orphan_count", "carrier", references="airlines"),
        check("custom_sql", sql="SELECT COUNT(*) FROM {table};", equal_to=1),
    ]
    checks += [check(word, leq_to=1) for word in HEALTH if word in dialect_for(name).templates]
    columns = [Column("carrier", "text", "text"), Column("dep_delay", "integer", "number")]
    columns += [Column("late", "boolean", "boolean")]
    what = Partition(Table("flights", "analytics"), (("ds", "2013-02-01"),))
    scan = Scan.of(dialect_for(name), [c.metric for c in checks], what, columns=columns)
    text = ";\n\n".join(scan.statements()) + ";\n"
    golden = GOLDEN / f"measure_{name}.sql"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
