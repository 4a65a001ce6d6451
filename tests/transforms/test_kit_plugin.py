"""The plugin, from outside: what pytest collects, runs and says."""

from __future__ import annotations

import contextlib
import importlib
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from transforms.kit_project import FILES, written

pytest_plugins = "pytester"
PLUGIN = "airflow_dataquality.testing.plugin"
INI = "[pytest]\ndq_transforms = transforms\ntestpaths = tests\n"
Runs = Callable[..., pytest.RunResult]


@pytest.fixture(scope="module")
def uri(postgres: EmbeddedPostgres) -> Iterator[str]:
    yield postgres.create_database("kit_plugin")
    postgres.drop_database("kit_plugin")


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import once what the runs need: a run in this process forgets what it was the first to import.

    With it goes what importlib_metadata has put in the place of Python's own finder, which it has disabled.
    """
    for module in ("airflow.sdk", "airflow_dataquality.operators.incremental_summary", "importlib_metadata", "psycopg",
                   "sqlglot.optimizer.scope", *(f"airflow_dataquality.testing.{each}" for each in (
                       "collect", "plugin", "structure"))):  # fmt: skip
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(module)


@pytest.fixture
def run(pytester: pytest.Pytester, uri: str) -> Runs:
    """Run pytest in a project with these files, on the session's Postgres."""

    def go(*arguments: str, files: Mapping[str, str] | None = None, tests: str = "") -> pytest.RunResult:
        written(pytester.path / "transforms", files)
        (pytester.path / "tests").mkdir(exist_ok=True)
        (pytester.path / "tests" / "test_flights.py").write_text(tests, encoding="utf-8")
        pytester.makeini(INI)
        return pytester.runpytest_inprocess("-p", PLUGIN, "--dq-connection", uri, "-rs", *arguments)

    return go


def says(result: pytest.RunResult, *words: str) -> None:
    shown = result.stdout.str()
    assert [word for word in words if word not in shown] == []


def test_the_wheel_announces_the_plugin() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    # Its name is its module, or else -p would register the same plugin twice.
    assert project["entry-points"]["pytest11"] == {PLUGIN: PLUGIN}


def test_every_transform_is_tested_without_a_test(run: Runs) -> None:
    result = run("-v")
    result.assert_outcomes(passed=28, skipped=3)
    says(
        result,
        "transforms/flights/daily_flights.yaml::renders PASSED",
        "transforms/flights/daily_flights.yaml::inputs PASSED",
        "transforms/flights/daily_flights.yaml::columns PASSED",
        "transforms/flights/daily_flights.yaml::idempotent PASSED",
        "transforms/flights/daily_flights.yaml::checks_on_one_row PASSED",
        "transforms/raw/flights.yaml::columns PASSED",
        "it refuses to be empty, as it says: some_rows: row_count is 0",
        "there is no file",
        "test it with some, t.run(files=…)",
    )


TESTS = """
import pytest

def test_cancelled_are_counted(transform, rows):
    t = transform("flights.daily_flights")
    t.given("raw.flights", rows("ds, carrier, origin, dep_time",
                                "2013-01-01, UA, EWR, 517", "2013-01-01, UA, EWR, NULL"))
    assert t.run(ds="2013-01-01").rows == rows("carrier, flights, cancelled", "UA, 2, 1")
    assert t.cte("delays").run().count == 2

@pytest.mark.parametrize("cancelled", [1, 2])
def test_it_is_wrong(transform, rows, cancelled):
    t = transform("daily_flights").given("raw.flights", rows("carrier", "UA", "AA"))
    assert t.run().rows == rows("carrier, cancelled", "UA, 0", f"AA, {cancelled}")

def test_it_is_not_there(transform):
    transform("flights.dayly_flights")
"""


def test_the_fixtures_and_what_a_failure_shows(run: Runs) -> None:
    result = run("tests", tests=TESTS)
    result.assert_outcomes(passed=1, failed=3)
    result.stdout.fnmatch_lines(
        [
            "E*flights.daily_flights has 2 rows, expected are 2:",
            "E*  carrier  cancelled",
            "E*  UA       0",
            "E*- AA       1          expected",
            "E*+ AA       0          cancelled is 0, expected 1",
            "E*there is no transform 'flights.dayly_flights'",
            "E*did you mean 'flights.daily_flights'*",
        ]
    )


def test_what_is_named_is_run_alone(run: Runs) -> None:
    run("transforms/flights/daily_flights.yaml").assert_outcomes(passed=5, skipped=1)
    run("transforms/flights/same.yaml::idempotent").assert_outcomes(passed=1)
    run("-m", "not dq_structural", tests="def test_it(): pass").assert_outcomes(passed=1, deselected=31)
    run("--dq-no-structural", tests="def test_it(): pass").assert_outcomes(passed=1)


def test_without_a_folder_nothing_is_collected(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(transform): pass\ndef test_two(rows): assert len(rows('a', '1')) == 1")
    result = pytester.runpytest_inprocess("-p", PLUGIN)
    result.assert_outcomes(passed=1, errors=1)
    says(result, "nobody says where the transforms are", 'write dq_transforms = "transforms"')


SAME = "kind: create_table_as\ninputs: [raw.flights]\noutput: {table: analytics.same}\n"


@pytest.mark.parametrize(
    ("files", "failed", "words"),
    [
        ({"flights/same.sql": "SELECT {{ dss }} AS x FROM raw.flights\n"}, {"same.yaml::renders"},
         ["transforms/flights/same.sql:1:", "the template names 'dss'", "ds"]),
        ({"flights/same.sql": "SELECT ds,\n  lenght(carrier) AS x\nFROM raw.flights\n"},
         {"same.yaml::renders", "same.yaml::idempotent"},
         ["transforms/flights/same.sql:2: flights.same", "lenght(character varying) does not exist",
          "Hint: No function"]),
        ({"flights/same.sql": "SELECT name, ds FROM raw.flights, raw.carriers\n"}, {"same.yaml::inputs"},
         ["transforms/flights/same.sql:1:", "reads raw.carriers, which is no input", "add it to inputs"]),
        ({"flights/same.yaml": SAME.replace("raw.flights", "raw.flight"),
          "flights/same.sql": "SELECT * FROM raw.flight"},
         {"same.yaml::inputs"}, ["same.yaml:2:", "raw.flight is no transform's output", "did you mean 'raw.flights'"]),
        ({"flights/same.sql": "SELECT carrier, clock_timestamp() AS made_at,\n now() AS loaded_at\nFROM raw.flights\n"},
         {"same.yaml::idempotent"},
         ["transforms/flights/same.sql:1: flights.same run twice makes other rows, in made_at, loaded_at",
          "now(), random()"]),
        ({"flights/busiest.sql": "CREATE TABLE IF NOT EXISTS analytics.busiest (ds date, origin text);\nINSERT INTO "
          "analytics.busiest SELECT ds, origin FROM analytics.daily_flights;\n"},
         {"busiest.yaml::idempotent"}, ["busiest run twice makes other rows, 1 the first time, 2 the second",
                                        "delete, before the INSERT"]),
        ({"flights/daily_flights.sql": "SELECT ds, carrier, origin, count(*) AS flight, 0 AS cancelled "
          "FROM raw.flights WHERE ds = '{{ ds }}' "
          "GROUP BY 1, 2, 3\n"}, {"busiest.yaml::columns", "daily_flights.yaml::columns"},
         ["transforms/flights/busiest.sql:5: flights.busiest reads flights of analytics.daily_flights",
          "did you mean 'flight'", "or have transforms/flights/daily_flights.sql make it"]),
        ({"other/late.yaml": "kind: create_table_as\ninputs: [raw.carriers]\noutput: {table: other.late}\n",
          "other/late.sql": "SELECT carrier, titel FROM raw.carriers\n"},
         {"carriers.yaml::columns", "late.yaml::columns"},
         ["transforms/other/late.sql:1:", "titel", "transforms/raw/carriers.yaml"]),
        ({"flights/daily_flights.yaml": """
            kind: create_table_as
            inputs: [raw.flights]
            output: {table: analytics.daily_flights, partition: ds}
            checks: [{name: many, check: min, column: flights, condition: {geq_to: 2}}]
          """}, {"daily_flights.yaml::checks_on_one_row"},
         ["transforms/flights/daily_flights.yaml: flights.daily_flights: with inputs of one row", "many: ",
          "say why not, in",
          "transforms/flights/tests/structural.yaml", 'skip: {checks_on_one_row: "…"}']),
        ({"flights/ratings.py": "def run(inputs, output):\n    for row in inputs['analytics.daily_flights'].rows():\n"
          "        yield {'carrier': row['carier']}\n"}, {"ratings.yaml::idempotent"},
         ["ratings.py:3: flights.ratings: KeyError: 'carier'", "yield {'carrier': row['carier']}",
          "mend the function there"]),
        ({"flights/broken.yaml": "kind: create_table_is\n"}, {"broken.yaml::header"},
         ["transforms/flights/broken.yaml:1:", "did you mean 'create_table_as'"]),
        ({"flights/pipeline.yaml": "owners: me\n"}, {"pipeline.yaml::header"},
         ["pipeline.yaml:1:", "did you mean 'owner'"]),
    ],
)  # fmt: skip
def test_structural_failures_name_file_place_and_fix(
    run: Runs, files: dict[str, str], failed: set[str], words: list[str]
) -> None:
    headers = {each.partition("::")[0] for each in failed}
    folders = ("flights", "raw", "other")
    named = [
        f"transforms/{folder}/{each}"
        for folder in folders
        for each in headers
        if f"{folder}/{each}" in {**FILES, **files}
    ]
    result = run("-rfE", *named, files=files)
    shown = result.stdout.str()
    found = {line.partition(" - ")[0].rpartition("/")[2] for line in shown.splitlines() if line.startswith("FAILED")}
    assert found == failed
    says(result, *words)


def test_a_structural_test_is_switched_off_with_a_reason(run: Runs) -> None:
    files = {
        "flights/same.sql": "SELECT carrier, now() AS loaded_at FROM raw.flights\n",
        "flights/tests/structural.yaml": 'same:\n  skip: {idempotent: "loaded_at is when it was loaded"}\n',
    }
    result = run("transforms/flights/same.yaml", files=files)
    result.assert_outcomes(passed=3, skipped=1)
    says(result, "SKIPPED [1] transforms/flights/same.yaml:1: flights.same idempotent: loaded_at is when it was loaded")


def test_rows_that_suit_a_transform(run: Runs) -> None:
    files = {
        "flights/same.sql": "SELECT 1 / dep_time AS x FROM raw.flights\n",
        "flights/tests/structural.yaml": "same: {one_row: {raw.flights: {dep_time: 517}}}\n",
    }
    run("transforms/flights/same.yaml", files=files).assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sam: {skip: {renders: x}}", ["structural.yaml:1: no transform 'sam'", "did you mean 'same'"]),
        ("same:\n  skip: {idempotentt: x}", ["structural.yaml:2: no structural test 'idempotentt'", "did you mean"]),
        ("same:\n  skip:\n    renders:", ["structural.yaml:3: renders is skipped without a reason", "say why"]),
        ("same: {skips: {}}", ["structural.yaml:1: unknown key 'skips'", "did you mean 'skip'"]),
        ("same: [", ["structural.yaml is not valid YAML"]),
        (
            "same: {one_row: {raw.flights: {dep_tim: 1}}}",
            ["raw.flights has no column 'dep_tim'", "did you mean 'dep_time'"],
        ),
    ],
)
def test_mistakes_in_reasons_are_named(run: Runs, text: str, words: list[str]) -> None:
    result = run("transforms/flights/same.yaml", files={"flights/tests/structural.yaml": text + "\n"})
    assert result.parseoutcomes()["failed"] >= 1
    says(result, *words)


def test_a_postgres_of_its_own(pytester: pytest.Pytester) -> None:
    written(pytester.path / "transforms")
    pytester.makeini(INI)
    result = pytester.runpytest_inprocess("-p", PLUGIN, "transforms/flights/daily_flights.yaml")
    result.assert_outcomes(passed=5, skipped=1)


def test_a_database_that_is_not_there(pytester: pytest.Pytester) -> None:
    written(pytester.path / "transforms")
    pytester.makeini(INI)
    address = "postgresql://me:secret@127.0.0.1:1/none"
    result = pytester.runpytest_inprocess(
        "-p", PLUGIN, "--dq-connection", address, "transforms/flights/same.yaml::renders"
    )
    result.assert_outcomes(failed=1)
    says(result, "postgresql://me@127.0.0.1:1/none", "is not to be had", "look at --dq-connection")
    assert "secret" not in result.stdout.str()


def test_the_plugin_costs_nothing_where_it_is_not_used(pytester: pytest.Pytester) -> None:
    script = (
        f"import sys, pytest; before = set(sys.modules); import {PLUGIN}; print(*sorted(set(sys.modules) - before))"
    )
    result = pytester.run(sys.executable, "-c", script)
    assert result.outlines == ["airflow_dataquality airflow_dataquality.testing airflow_dataquality.testing.plugin"]
