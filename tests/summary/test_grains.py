"""Partitions of every grain, keys of every type with NULL, names that need quotes, shards, and types that stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from airflow_dataquality.measures import (
    ActiveDays,
    Count,
    DaysSinceLast,
    FirstSeen,
    LastSeen,
    Latest,
    Max,
    Mean,
    Measure,
    Rolling,
    Sum,
)
from airflow_dataquality.plans.summary import Definition, compute, merge, step
from support import Database, on

Run = Callable[..., list[tuple[Any, ...]]]
both = on("postgres", "redshift")

MEASURES: dict[str, Measure] = {
    "n": Count(),
    "total": Sum("miles"),
    "since": DaysSinceLast(),
    "first": FirstSeen(),
    "last": LastSeen(),
    "where": Latest("miles", order_by="miles"),
    "recent": Rolling(Mean("miles"), days=2),
    "active": ActiveDays(62),
}

# The column's type, as it is made and as the catalog prints it; its values, in order; days from each to the last.
GRAINS: dict[str, tuple[str, str, list[Any], list[int]]] = {
    "date": ("DATE", "date", ["2012-02-28", "2012-02-29", "2012-03-01"], [2, 1, 0]),
    "hour": (
        "TIMESTAMP",
        "timestamp without time zone",
        ["2012-02-28 23:00:00", "2012-02-29 00:00:00", "2012-02-29 01:00:00"],
        [1, 0, 0],
    ),
    "hour where clocks change": (
        "TIMESTAMPTZ",
        "timestamp with time zone",
        ["2012-03-24 23:00:00+00", "2012-03-25 00:00:00+00", "2012-03-25 01:00:00+00"],
        [1, 0, 0],
    ),
    "day as text": (
        "VARCHAR(10)",
        "character varying(10)",
        ["2012-02-28", "2012-02-29", "2012-03-01"],
        [2, 1, 0],
    ),
    "month as text": ("VARCHAR(7)", "character varying(7)", ["2011-12", "2012-01", "2012-02"], [62, 31, 0]),
    "hour as text": (
        "VARCHAR(13)",
        "character varying(13)",
        ["2012-02-28T23", "2012-02-29T00", "2012-02-29T01"],
        [1, 0, 0],
    ),
    "day as a number": ("INT", "integer", [20120228, 20120229, 20120301], [2, 1, 0]),
    "month as a number": ("BIGINT", "bigint", [201112, 201201, 201202], [62, 31, 0]),
}


class Summary:
    """A summary of the table ``facts`` in the table ``s``, one partition after the other."""

    def __init__(self, database: Database, run: Run, definition: Definition, types: dict[str, str]) -> None:
        self.sql = database.session.dialect
        self.run, self.definition, self.types = run, definition, types

    def typed(self, value: Any) -> str:
        return f"CAST({self.sql.literal(value)} AS {self.types[self.definition.partition_column]})"

    def facts(self, *values: Any) -> str:
        ds = self.sql.identifier(self.definition.partition_column)
        listed = ", ".join(map(self.sql.literal, values))
        return f"(SELECT * FROM facts WHERE {ds} IN ({listed}))"

    def at_once(self, values: list[Any]) -> str:
        ages = {value: len(values) - 1 - number for number, value in enumerate(values)}
        last = self.typed(values[-1])
        return compute(self.sql, self.definition, self.facts(*values), last, self.types, ages=ages)

    def one_by_one(self, values: list[Any]) -> list[tuple[Any, ...]]:
        first, *rest = values
        alone = compute(self.sql, self.definition, self.facts(first), self.typed(first), self.types)
        self.run("DROP TABLE IF EXISTS s", f"CREATE TABLE s AS {alone}")
        for value in rest:
            today = step(self.sql, self.definition, "p", self.facts(value), self.typed(value), self.types)
            self.run("DROP TABLE IF EXISTS p", "ALTER TABLE s RENAME TO p", f"CREATE TABLE s AS {today}")
        return self.run(f"SELECT {self.sql.identifiers(self.definition.columns)} FROM s")


def definition(**changes: Any) -> Definition:
    return replace(Definition(("k",), "ds", tuple(MEASURES.items())), **changes)


@both
@pytest.mark.parametrize("grain", GRAINS)
def test_every_grain_is_counted_in_its_periods_and_in_days(database: Database, run: Run, grain: str) -> None:
    made, kind, values, days = GRAINS[grain]
    literal = database.session.dialect.literal
    rows = ", ".join(f"({literal(value)}, {n}, {n})" for n, value in enumerate(values))
    run(f"CREATE TABLE facts (ds {made}, k INT, miles INT)", f"INSERT INTO facts VALUES {rows}")
    summary = Summary(database, run, definition(), {"k": "integer", "ds": kind})
    assert summary.one_by_one(values) == run(summary.at_once(values))
    seen = {row[0]: row for row in run('SELECT k, since, active, recent, "first", "last", ds FROM s')}
    assert [row[1] for row in seen.values()] == days
    assert [row[2] for row in seen.values()] == [1, 1, 1]
    assert [row[3] for row in seen.values()] == [None, 1.0, 2.0]
    assert all(row[4] == row[5] for row in seen.values())
    assert seen[2][5] == seen[2][6]


KEYS = {
    "text": ("VARCHAR(20)", "character varying(20)", ["''", "'it''s'", "'ü'"]),
    "char": ("CHAR(3)", "character(3)", ["''", "'a'", "'abc'"]),
    "int": ("INT", "integer", ["0", "-1", "7"]),
    "smallint": ("SMALLINT", "smallint", ["0", "-1", "7"]),
    "numeric": ("NUMERIC(10,2)", "numeric(10,2)", ["0", "0.01", "-7.50"]),
    "double": ("DOUBLE PRECISION", "double precision", ["0", "0.5", "-1e300"]),
    "date": ("DATE", "date", ["'1970-01-01'", "'2012-02-29'", "'1900-01-01'"]),
    "timestamp": ("TIMESTAMP", "timestamp without time zone", ["'1970-01-01'", "'2012-02-29 12:00'", "'1900-01-01'"]),
    "timestamptz": ("TIMESTAMPTZ", "timestamp with time zone", ["'1970-01-01 00:00:00+00'", "'2012-02-29 12:00+02'"]),
    "boolean": ("BOOLEAN", "boolean", ["FALSE", "TRUE"]),
    "time": ("TIME", "time without time zone", ["'00:00'", "'12:00'"]),
}
POSTGRES_KEYS = {
    "uuid": ("UUID", "uuid", ["'00000000-0000-0000-0000-000000000000'", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'"]),
    "interval": ("INTERVAL", "interval", ["'0'", "'1 day'", "'1 month'"]),
    "bytea": ("BYTEA", "bytea", ["''", "'x'"]),
    "inet": ("INET", "inet", ["'10.0.0.1'", "'::1'"]),
    "array": ("INT[]", "integer[]", ["'{}'", "'{1,NULL}'"]),
    "unlimited text": ("TEXT", "text", ["''", "'x'"]),
}


def check_key(database: Database, run: Run, made: str, kind: str, values: list[str]) -> None:
    """The first value comes on both days, the last on the second, NULL on both."""
    first, last = values[0], values[-1]
    run(
        f"CREATE TABLE facts (ds DATE, k {made}, miles INT)",
        "INSERT INTO facts VALUES " + ", ".join(f"('2012-02-28', {value}, 1)" for value in [*values[:-1], "NULL"]),
        f"INSERT INTO facts VALUES ('2012-02-29', {first}, 2), ('2012-02-29', {last}, 3), ('2012-02-29', NULL, 4)",
    )
    few = definition(measures=tuple(m for m in MEASURES.items() if m[0] in ("n", "total", "active")))
    summary = Summary(database, run, few, {"k": kind, "ds": "date"})
    days = ["2012-02-28", "2012-02-29"]
    assert summary.one_by_one(days) == run(summary.at_once(days))
    assert [row[1:] for row in run("SELECT 0, n, total, active FROM s WHERE k IS NULL")] == [(2, 5, 2)]
    assert [row[1:] for row in run(f"SELECT 0, n, total, active FROM s WHERE k = {first}")] == [(2, 3, 2)]
    assert run("SELECT COUNT(*) FROM s") == [(len(values) + 1,)]


@both
@pytest.mark.parametrize("key", KEYS)
def test_keys_of_every_type_with_null(database: Database, run: Run, key: str) -> None:
    check_key(database, run, *KEYS[key])


@on("postgres")
@pytest.mark.parametrize("key", POSTGRES_KEYS)
def test_keys_that_only_postgres_has(database: Database, run: Run, key: str) -> None:
    check_key(database, run, *POSTGRES_KEYS[key])


@on("postgres")
@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("boolean", "FALSE", "TRUE"),
        ("uuid", "'00000000-0000-0000-0000-000000000000'", "'6ba7b810-9dad-11d1-80b4-00c04fd430c8'"),
        ("jsonb", "'1'", "'2'"),
    ],
)
def test_the_latest_value_may_be_of_any_type_that_sorts(
    database: Database, run: Run, kind: str, low: str, high: str
) -> None:
    run(
        f"CREATE TABLE facts (ds DATE, k INT, v {kind})",
        f"INSERT INTO facts VALUES ('2012-02-28', 1, {high}), ('2012-02-29', 1, {low}), ('2012-02-29', 1, NULL)",
    )
    latest = definition(measures=(("latest", Latest("v", order_by="v")),))
    summary = Summary(database, run, latest, {"k": "integer", "ds": "date"})
    assert summary.one_by_one(["2012-02-28", "2012-02-29"]) == run(summary.at_once(["2012-02-28", "2012-02-29"]))
    assert run(f"SELECT latest = {low} FROM s") == [(True,)]


@both
def test_names_may_be_words_of_sql_with_quotes_and_beyond_ascii(database: Database, run: Run) -> None:
    key, ds, long = 'say "hi"', "select", "ü" * 31 + "x"
    assert len(long.encode()) == 63
    column = database.session.dialect.identifier
    run(
        f"CREATE TABLE facts ({column(ds)} DATE, {column(key)} INT, {column('dq_1')} INT, miles INT)",
        "INSERT INTO facts VALUES ('2012-02-28', 1, 1, 1), ('2012-02-29', 1, 2, 1), ('2012-02-29', 2, NULL, 1)",
    )
    named = (
        (long, Sum("miles")),
        ("group", Mean('dq_1 + "dq_1"')),
        ("from where", Rolling(Max("miles"), days=2)),
        ("dq_2", Latest("miles", order_by="dq_1")),
        ("ö'%s", ActiveDays(2)),
    )
    d = Definition((key, "dq_1"), ds, named)
    d.check(fold=str.lower)
    summary = Summary(database, run, d, {key: "integer", "dq_1": "integer", ds: "date"})
    days = ["2012-02-28", "2012-02-29"]
    assert summary.one_by_one(days) == run(summary.at_once(days))
    assert run("SELECT COUNT(*) FROM s") == [(3,)]


@on("postgres")
def test_shards_are_all_subjects_and_each_once(database: Database, run: Run) -> None:
    """Although the facts have another type of number, which has another hash."""
    run(
        "CREATE TABLE facts (ds date, k int, city text, miles int)",
        "INSERT INTO facts SELECT '2012-02-28', NULLIF(i % 40, 0), NULLIF(i % 3, 0)::text, i "
        "FROM generate_series(1, 200) AS i",
        "INSERT INTO facts SELECT '2012-02-29', NULLIF(i % 50, 0), NULLIF(i % 3, 0)::text, i "
        "FROM generate_series(1, 200) AS i",
    )
    d = definition(keys=("k", "city"))
    types = {"k": "numeric(10,0)", "city": "character varying(1)", "ds": "date"}
    summary = Summary(database, run, d, types)
    sql, value = summary.sql, summary.typed("2012-02-29")
    first = compute(sql, d, summary.facts("2012-02-28"), summary.typed("2012-02-28"), types)
    run(f"CREATE TABLE p AS {first}", "ALTER TABLE p ALTER k TYPE numeric(10, 0)")
    shards = [sql.shard(d.keys, number, 3, types) for number in range(3)]
    parts = [run(step(sql, d, "p", summary.facts("2012-02-29"), value, types, shard=shard)) for shard in shards]
    assert all(parts)
    whole = run(step(sql, d, "p", summary.facts("2012-02-29"), value, types))
    assert sorted([row for part in parts for row in part], key=str) == whole
    days = ["2012-02-28", "2012-02-29"]
    ages = {"2012-02-28": 1, "2012-02-29": 0}
    pieces = [run(compute(sql, d, summary.facts(*days), value, types, ages=ages, shard=shard)) for shard in shards]
    assert sorted([row for piece in pieces for row in piece], key=str) == run(summary.at_once(days))


@both
def test_a_column_has_one_type_however_the_summary_is_made(database: Database, run: Run) -> None:
    run(
        "CREATE TABLE facts (ds DATE, k INT, miles NUMERIC(9,2))",
        "INSERT INTO facts VALUES ('2012-02-28', 1, 1.25), ('2012-02-29', 1, 2)",
    )
    summary = Summary(database, run, definition(), {"k": "integer", "ds": "date"})
    sql, d, value = summary.sql, summary.definition, summary.typed("2012-02-29")
    alone = compute(sql, d, summary.facts("2012-02-28"), value, summary.types)
    made = {
        "alone": alone,
        "at_once": summary.at_once(["2012-02-28", "2012-02-29"]),
        "stepped": step(sql, d, f"({alone})", summary.facts("2012-02-29"), value, summary.types),
        "merged": merge(sql, d, f"({alone})", f"({alone})", value, summary.types),
    }
    types = {}
    for name, select in made.items():
        run(f"CREATE TABLE {name} AS {select}")
        types[name] = run(f"SELECT column_name, data_type FROM information_schema.columns WHERE table_name = '{name}'")
    assert len(types["alone"]) == len(d.columns)
    assert all(found == types["alone"] for found in types.values())


@both
def test_an_expression_is_taken_as_it_is(database: Database, run: Run) -> None:
    text = "'two\n  lines -- (; /*'"
    run("CREATE TABLE facts (ds DATE, k INT, v VARCHAR(30))", f"INSERT INTO facts VALUES ('2012-02-28', 1, {text})")
    d = definition(measures=(("n", Count(f"CASE v WHEN {text} THEN 1 END")), ("v", Max(f"v\n|| {text}"))))
    summary = Summary(database, run, d, {"k": "integer", "ds": "date"})
    assert [row[2:] for row in summary.one_by_one(["2012-02-28"])] == [(1, "two\n  lines -- (; /*" * 2)]


@both
def test_bits_are_counted_and_shifted_and_lost_at_the_end(database: Database, run: Run) -> None:
    sql, width = database.session.dialect, 62
    full = (1 << width) - 1
    numbers = [0, 1, full, full // 3, 0xF0F0F0F0F0F0F0F, *(1 << bit for bit in range(width)), 0x3A5C96E1B20F4D87]
    counted = ", ".join(sql.count_bits(f"CAST({number} AS BIGINT)") for number in numbers)
    assert run(f"SELECT {counted}") == [tuple(number.bit_count() for number in numbers)]
    for by in (1, 2, 61, 62, 63, 200):
        shifted = ", ".join(sql.shifted(f"CAST({number} AS BIGINT)", by, width) for number in numbers)
        assert run(f"SELECT {shifted}") == [tuple((number << by) & full for number in numbers)]
