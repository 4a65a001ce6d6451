"""Transforms that are given rows and run, on a real Postgres."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.testing.kit import Kit
from airflow_dataquality.testing.rows import Rows, rows
from airflow_dataquality.testing.subject import Subject
from transforms.kit_project import written


@pytest.fixture(scope="module")
def uri(postgres: EmbeddedPostgres) -> Iterator[str]:
    yield postgres.create_database("kit")
    postgres.drop_database("kit")


@pytest.fixture(scope="module")
def kit(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kit]:
    made = Kit(written(tmp_path_factory.mktemp("kit") / "transforms"), connection=uri)
    assert made.project.mistakes == ()
    yield made
    made.close()


@pytest.fixture
def transform(kit: Kit) -> Iterator[Callable[[str], Subject]]:
    with kit.sandbox() as box:
        yield lambda name: Subject(kit, box, kit.project.transform(name))


Transforms = Callable[[str], Subject]


def test_the_issues_example(transform: Transforms) -> None:
    t = transform("flights.daily_flights")
    t.given(
        "raw.flights", rows("ds, carrier, origin, dep_time", "2013-01-01, UA, EWR, 517", "2013-01-01, UA, EWR, NULL")
    )
    run = t.run(ds="2013-01-01")
    assert run.rows == rows("carrier, flights, cancelled", "UA, 2, 1")
    assert run.columns == ("ds", "carrier", "origin", "flights", "cancelled")
    assert run.types["flights"] == "bigint"
    assert "raw.flights WHERE ds = '2013-01-01' -- of the day" in run.sql
    assert t.cte("delays").run().count == 2
    assert t.subquery("late").run().rows == rows("dep_time", "NULL", "517")
    assert t.run(ds="2013-01-02").rows == rows()
    assert run.rows[0]["ds"] == dt.date(2013, 1, 1)
    assert run.rows == [{"flights": 2, "carrier": "UA"}]
    assert [each.status for each in t.checks().results] == ["fail", "skip"]


def test_omitted_columns_get_values_of_their_types_and_the_runs_day(transform: Transforms) -> None:
    t = transform("same").given("raw.flights", rows("carrier", "UA"))
    run = t.run(ds="2014-05-06")
    assert run.rows[0] == {
        "ds": dt.date(2014, 5, 6), "carrier": "UA", "origin": "", "dep_time": 0, "fare": Decimal(0), "on_time": False,
        "tags": [], "doc": {}, "seen": dt.datetime(1970, 1, 1, tzinfo=dt.UTC), "weight": 0.0,
    }  # fmt: skip
    assert run.types["carrier"] == "character varying(8)"
    assert t.run(ds="2014-05-07").rows == rows("ds", "2014-05-07")


ALL = "ds, carrier, origin, dep_time, fare, on_time, tags, doc, seen, weight"


@pytest.mark.parametrize(
    ("line", "same", "other"),
    [
        ("2013-01-01, UA, 'NULL', 1, 1.50, TRUE, {a,b}, {\"a\": 1}, 2013-01-01 05:00+00, 0.3",
         ("20130101, UA, \"NULL\", 1, 1.5, t, '{\"a\", \"b\"}', '{ \"a\" : 1.0 }', 2013-01-01 06:00+01, "
         "0.30000000000000004"),
         '2013-01-01, UA, NULL, 1, 1.50, true, {a,b}, {"a": 1}, 2013-01-01 05:00+00, 0.3'),
        ("infinity, Ü'\"\\, 'a, b', -1, NaN, NULL, {}, null, infinity, NaN",
         ("infinity", "Ü'\"\\", "a, b", -1, Decimal("NaN"), None, [], "null", "infinity", float("nan")),
         "infinity, Ü'\"\\, 'a, b', -1, NaN, NULL, {}, NULL, infinity, NaN"),
        ((dt.date(2013, 1, 1), "NULL", None, 0, 2, False, ["a", None, 'x, "y"'], {"b": [True, 1]},
          dt.datetime(2013, 1, 1, 5, tzinfo=dt.UTC), 1e300),
         ("2013-01-01, 'NULL', NULL, 0, 2.0, false, '{a,NULL,\"x, \\\"y\\\"\"}', {\"b\": [true, 1]}, "
         "2013-01-01 05:00Z, 1e300"),
         ("2013-01-01, 'NULL', NULL, 0, 2.0, false, '{a,NULL,\"x, \\\"y\\\"\"}', {\"b\": [1, 1]}, "
         "2013-01-01 05:00Z, 1e300")),
    ],
)  # fmt: skip
def test_values_survive_and_compare_by_their_types(transform: Transforms, line: Any, same: Any, other: Any) -> None:
    found = transform("same").given("raw.flights", rows(ALL, line)).run().rows
    assert found == rows(ALL, same)
    assert found != rows(ALL, other)
    assert rows(ALL, same) == found


def test_order_does_not_count_and_multiplicity_does(transform: Transforms) -> None:
    found = transform("same").given("raw.flights", rows("carrier", "A", "B", "A")).run().rows
    assert found == rows("carrier", "B", "A", "A")
    assert found != rows("carrier", "B", "B", "A")
    assert found != rows("carrier", "B", "A")
    assert found != rows()


def test_a_difference_tells_rows_and_values(transform: Transforms) -> None:
    found = transform("same").given("raw.flights", rows("carrier, dep_time", "UA, 1", "AA, 2", "DL, 3")).run().rows
    assert found.difference(rows("carrier, dep_time", "UA, 1", "AA, 20", "B6, 9")) == [
        "flights.same has 3 rows, expected are 3:",
        "  carrier  dep_time",
        "  UA       1",
        "- AA       20        expected",
        "+ AA       2         dep_time is 2, expected 20",
        "- B6       9         expected, and missing",
        "+ DL       3         not expected",
    ]


def test_an_upsert_continues_what_is_there(transform: Transforms) -> None:
    t = transform("aircraft")
    t.given("analytics.aircraft", rows("carrier, dearest", "UA, 10", "B6, 7"))
    t.given("raw.flights", rows("carrier, fare", "UA, 20", "UA, 15", "AA, 1"))
    assert t.run().rows == rows("carrier, dearest", "UA, 20", "B6, 7", "AA, 1")
    t.given("raw.flights", rows("carrier, fare", "AA, 2"))
    assert t.run().rows == rows("carrier, dearest", "UA, 20", "B6, 7", "AA, 2")


def test_statements_and_what_they_read(transform: Transforms) -> None:
    t = transform("busiest").given("analytics.daily_flights", rows("origin, flights", "EWR, 3", "JFK, 2"))
    assert t.run(ds="2013-01-01").rows == rows("ds, origin", "2013-01-01, EWR")
    assert t.run(ds="2013-01-01").count == 1


def test_transforms_of_one_test_see_each_other(transform: Transforms) -> None:
    transform("daily_flights").given("raw.flights", rows("carrier, origin", "UA, EWR")).run()
    assert transform("busiest").run().rows == rows("origin", "EWR")


def test_a_function_reads_the_sandbox(transform: Transforms) -> None:
    t = transform("ratings").given("analytics.daily_flights", rows("carrier, flights", "UA, 3", "AA, 1"))
    assert t.run(ds="2013-01-02").rows == rows("ds, carrier, rating", "2013-01-02, UA, .75", "2013-01-02, AA, .25")


def test_files_are_loaded(transform: Transforms, tmp_path: Path) -> None:
    (tmp_path / "some.csv").write_text("carrier,n\nUA,1\n")
    run = transform("loaded").run(ds="2013-01-03", files=str(tmp_path / "some.csv"))
    assert run.rows == rows("ds, carrier, n", "2013-01-03, UA, 1")


def test_a_summary_continues_its_past(transform: Transforms) -> None:
    t = transform("carrier_summary").given(
        "raw.flights", rows("ds, carrier, fare", "2013-01-01, UA, 2", "2013-01-02, UA, 3")
    )
    assert t.run(ds="2013-01-01").rows == rows("carrier, flights, fares", "UA, 1, 2")
    assert t.run(ds="2013-01-02").rows == rows("carrier, flights, fares", "UA, 2, 5")


@pytest.mark.parametrize(
    ("name", "act", "words"),
    [
        ("daily_flight", lambda t: t, ["no transform 'daily_flight'", "did you mean 'daily_flights'"]),
        ("daily_flights", lambda t: t.given("raw.flight", rows("ds")),
         ["does not read raw.flight", "did you mean 'raw.flights'", "daily_flights.yaml"]),
        ("daily_flights", lambda t: t.given("raw.flights", rows("carier", "UA")),
         ["raw.flights has no column 'carier'", "did you mean 'carrier'"]),
        ("daily_flights", lambda t: t.given("raw.flights", rows("carrier, dep_time", "UA, 1", "UA, early")),
         ["raw.flights, row 2, column dep_time: 'early' is no integer", "write what Postgres reads as integer"]),
        ("daily_flights", lambda t: t.given("raw.flights", rows("carrier", "UA", "much too long")),
         ["row 2, column carrier", "'much too long' is no character varying(8)", "too long"]),
        ("daily_flights", lambda t: t.given("raw.flights", rows("dep_time", "null")),
         ["'null' is no integer", "NULL is written in capitals"]),
        ("daily_flights", lambda t: t.given("raw.flights", rows("doc", "{a}")), ["'{a}' is no jsonb"]),
        ("daily_flights", lambda t: t.run().rows == rows("carriers", "UA"),
         ["flights.daily_flights has no column 'carriers'", "did you mean 'carrier'"]),
        ("daily_flights", lambda t: t.run().rows == rows("flights", "two"),
         ["expected rows, row 1, column flights: 'two' is no bigint"]),
        ("daily_flights", lambda t: t.run(ds="yesterday"), ["ds is 'yesterday', no day"]),
        ("daily_flights", lambda t: t.cte("delay").run(),
         ["daily_flights.sql", "no CTE 'delay'", "did you mean 'delays'", "late"]),
        ("ratings", lambda t: t.cte("x").run(), ["is no SELECT", "kind python"]),
        ("raw.flights", lambda t: t.run(), ["flights.yaml", "there is nothing to run"]),
        ("daily_flights", lambda t: t.checks(), ["has made no table yet", "t.run()"]),
        ("loaded", lambda t: t.run(), ["loaded.yaml", "there is no file", "2013-01-01.csv"]),
        ("aircraft", lambda t: t.given("raw.flights", rows("carrier", "NULL")).run(),
         ["aircraft.sql", "NULL", "carrier"]),
    ],
)  # fmt: skip
def test_mistakes_get_clear_words(
    transform: Transforms, name: str, act: Callable[[Subject], Any], words: list[str]
) -> None:
    with pytest.raises(DataQualityError) as told:
        act(transform(name))
    assert [word for word in words if word not in str(told.value)] == []
    assert "Hint:" in str(told.value)
    assert "dq_test_" not in str(told.value)


def schemas(uri: str) -> list[str]:
    with psycopg.connect(uri) as other:
        return [row[0] for row in other.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'dq_test_%'")]


def test_nothing_is_left_behind(transform: Transforms, uri: str) -> None:
    before = schemas(uri)
    transform("same").given("raw.flights", rows("carrier", "UA")).run()
    assert schemas(uri) == before


def test_a_summary_leaves_nothing_behind_either(kit: Kit, uri: str) -> None:
    before = schemas(uri)
    other = Kit(kit.folder, connection=uri)
    with other.sandbox() as box:
        t = Subject(other, box, other.project.transform("carrier_summary")).given("raw.flights", rows("carrier", "UA"))
        assert t.run().count == 1
        assert len(schemas(uri)) > len(before)
    assert len(schemas(uri)) == len(before) + 1  # the ledger
    other.close()
    assert schemas(uri) == before


@pytest.mark.parametrize(
    ("name", "table", "most"),
    [
        ("daily_flights", "raw.flights", 24),
        ("aircraft", "raw.flights", 60),
        ("busiest", "analytics.daily_flights", 24),
        ("ratings", "analytics.daily_flights", 24),
    ],
)
def test_a_test_is_few_statements(kit: Kit, name: str, table: str, most: int) -> None:
    """Each takes a third of a millisecond; the bar is 100 ms for all of them, once the columns are known."""

    def one() -> int:
        before = kit.sent
        with kit.sandbox() as box:
            t = Subject(kit, box, kit.project.transform(name))
            found = t.given(table, rows("carrier, origin", "UA, EWR")).run().rows
            assert found == Rows.of([{column.name: found[0][column.name] for column in found.columns}])
        return kit.sent - before

    one()
    assert one() <= most


def wrong(kit: Kit, tmp_path: Path, uri: str, files: dict[str, str]) -> Kit:
    return Kit(written(tmp_path / "transforms", files), connection=uri)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"flights/same.sql": "SELECT ds,\n  carrier || 1 / dep_time AS x\nFROM raw.flights"},
         ["same.sql", "division by zero"]),
        ({"flights/same.sql": "SELECT ds,\n  lenght(carrier) AS x\nFROM raw.flights"},
         ["same.sql:2: flights.same", "lenght", "lenght(carrier) AS x", "No function matches"]),
        ({"flights/same.yaml": "kind: create_table_as\ninputs: [raw.flights]\n"
          "output: {table: analytics.same, primary_key: [ds]}\n"},
         ["same.sql", "do not have the primary key (ds)", "(ds)=(2013-01-01)", "a key is there once"]),
        ({"flights/same.yaml": "kind: create_table_as\ninputs: [raw.flights]\n"
          "output: {table: analytics.same, partition: ds}\n",
          "flights/same.sql": "SELECT '2012-12-31'::date AS ds FROM raw.flights"},
         ["same.sql", "rows are not of ds=2013-01-01, but of ds=2012-12-31 (2 rows)", "filter by it"]),
    ],
)  # fmt: skip
def test_what_the_database_refuses_has_its_place(
    kit: Kit, tmp_path: Path, uri: str, files: dict[str, str], words: list[str]
) -> None:
    other = wrong(kit, tmp_path, uri, files)
    with other.sandbox() as box, pytest.raises(DataQualityError) as told:
        Subject(other, box, other.project.transform("same")).given("raw.flights", rows("carrier", "UA", "AA")).run()
    other.close()
    assert [word for word in words if word not in str(told.value)] == []


def test_types_of_the_header_are_the_tables(kit: Kit, tmp_path: Path, uri: str) -> None:
    files = {"flights/same.yaml": """
        kind: create_table_as
        inputs: [raw.flights]
        output: {table: analytics.same, columns: {dep_time: {type: bigint}}}
    """}  # fmt: skip
    other = wrong(kit, tmp_path, uri, files)
    with other.sandbox() as box:
        run = Subject(other, box, other.project.transform("same")).given("raw.flights", rows("dep_time", "5")).run()
        assert (run.types["dep_time"], run.rows == rows("dep_time", "5")) == ("bigint", True)
    other.close()


UNTYPED = {"raw/carriers.yaml": """
    kind: no_op
    output: {table: raw.carriers, columns: {carrier: {type: text}, name: what it is called}}
""", "flights/names.yaml": "kind: create_table_as\ninputs: [raw.carriers]\noutput: {table: analytics.names}\n",
    "flights/names.sql": "SELECT name FROM raw.carriers"}  # fmt: skip


def test_columns_are_looked_up_where_no_header_tells(kit: Kit, tmp_path: Path, uri: str) -> None:
    other = wrong(kit, tmp_path, uri, UNTYPED)
    with psycopg.connect(uri, autocommit=True) as connection:
        with other.sandbox() as box, pytest.raises(SpecError) as told:
            Subject(other, box, other.project.transform("names")).run()
        assert "carriers.yaml:2: raw.carriers: nobody tells what raw.carriers looks like: no type of name" in str(
            told.value
        )
        assert "columns: {name: {type: integer}, …}" in str(told.value)
        connection.execute("CREATE SCHEMA raw; CREATE TABLE raw.carriers (carrier text, name varchar(20))")
        with other.sandbox() as box:
            run = (
                Subject(other, box, other.project.transform("names"))
                .given("raw.carriers", rows("name", "United"))
                .run()
            )
            assert (run.types, run.count) == ({"name": "character varying(20)"}, 1)
        assert connection.execute("SELECT count(*) FROM raw.carriers").fetchone() == (0,)
        connection.execute("DROP SCHEMA raw CASCADE")
    other.close()


def test_a_wrong_type_names_the_header(kit: Kit, tmp_path: Path, uri: str) -> None:
    files = {
        **UNTYPED,
        "raw/carriers.yaml": "kind: no_op\noutput:\n  table: raw.carriers\n  columns:\n    name: {type: texxt}\n",
    }
    other = wrong(kit, tmp_path, uri, files)
    with other.sandbox() as box, pytest.raises(SpecError, match=r"carriers.yaml:5: .*the type 'texxt' of name is none"):
        Subject(other, box, other.project.transform("names")).run()
    other.close()
