"""The documentation: everything is in it, and what it shows works."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality import errors, examples, maintenance, measures
from airflow_dataquality.baseline import Baseline
from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.cli import get_dq_commands
from airflow_dataquality.demo import dags
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.compare import COMPARING
from airflow_dataquality.engine.tables import TABLES
from airflow_dataquality.operators.anomaly_test import AnomalyTestOperator
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator, summary_from_config
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from airflow_dataquality.operators.redshift_upsert import RedshiftUpsertOperator
from airflow_dataquality.operators.saved_tests import PlanSavedTestsOperator, SavedTestsOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from airflow_dataquality.operators.upsert import UpsertOperator
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator
from airflow_dataquality.plans.summary import Definition
from airflow_dataquality.sensors.partition import (
    PartitionSensor,
    RedshiftExternalPartitionSensor,
    S3PartitionSensor,
    wait_for,
)
from airflow_dataquality.spec import checks_from
from airflow_dataquality.transforms import dags_from, load, operator_of, run
from airflow_dataquality.transforms.header import SETTINGS
from airflow_dataquality.transforms.linting import lint
from airflow_dataquality.transforms.model import COMMON, OPTIONS
from airflow_dataquality.transforms.model import Settings as PipelineSettings
from airflow_dataquality.transforms.reading import read_header
from airflow_dataquality.transforms.tasks import LoadFilesOperator, PythonTransformOperator, SqlScriptOperator
from airflow_dataquality.vocabulary import KINDS, WRITABLE
from support import Warehouse
from transforms.flights_project import written

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "pages"
OPERATORS = [
    StageCheckExchangeOperator,
    UpsertOperator,
    RedshiftUpsertOperator,
    DataQualityCheckOperator,
    ZScoreAnomalyOperator,
    TableStatisticsOperator,
    AnomalyTestOperator,
    IncrementalSummaryOperator,
    ParallelBackfillOperator,
    PlanSavedTestsOperator,
    SavedTestsOperator,
    SqlScriptOperator,
]

FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)


def page(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return [match["body"] for match in FENCE.finditer(text) if match["language"] == language]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """What fills the pages when the site is built."""
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- everything is documented


def test_every_check_has_an_entry_and_an_example(hooks: ModuleType) -> None:
    text = hooks.on_page_markdown(page("reference/checks.md"))
    for word in WRITABLE:
        assert f"## `{word}` {{ #{word} }}\n\n{KINDS[word].doc}" in text
    assert set(hooks.EXAMPLES) == set(WRITABLE)


def test_every_example_of_a_check_is_one_in_python_and_in_yaml(hooks: ModuleType) -> None:
    text = hooks.checks()
    in_python = [eval(block, {"check": check}) for block in blocks(text, "python")]  # noqa: S307 - our own page
    in_yaml = [made for block in blocks(text, "yaml") for made in checks_from(yaml.safe_load(block))]
    assert len(in_python) == len(WRITABLE)
    assert in_python == in_yaml


def test_every_parameter_of_a_check_is_in_its_entry(hooks: ModuleType) -> None:
    for word in WRITABLE:
        entry = hooks._check(word)
        for name in KINDS[word].params:
            assert f"`{name.rstrip('?')}`" in entry, f"{word}: {name}"


def test_every_column_of_the_ledger_has_an_entry(hooks: ModuleType) -> None:
    text = hooks.on_page_markdown(page("reference/ledger.md"))
    for table, columns in TABLES.items():
        assert f"### `{table}`" in text
        for name, (_, doc) in columns.items():
            assert f"| `{name}` |" in text
            assert doc in text


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_argument_of_an_operator_is_documented(operator: type) -> None:
    documented = set(re.findall(r":param (\w+):", operator.__doc__ or ""))
    arguments = {
        name for name, p in inspect.signature(operator.__init__).parameters.items() if p.kind is p.KEYWORD_ONLY
    }
    assert arguments <= documented
    assert {"conn_id", "retry_on_failure", "database"} <= documented
    assert f"::: {operator.__module__}.{operator.__name__}" in page("reference/operators.md")


@pytest.mark.parametrize("operator", [PythonTransformOperator, LoadFilesOperator])
def test_every_argument_that_an_operator_adds_is_documented(operator: Any) -> None:
    documented = set(re.findall(r":param (\w+):", operator.__doc__))
    assert set(inspect.signature(operator.__init__).parameters) - {"self"} == documented
    assert f"::: {operator.__module__}.{operator.__name__}" in page("reference/operators.md")


@pytest.mark.parametrize("sensor", [PartitionSensor, RedshiftExternalPartitionSensor, S3PartitionSensor, wait_for])
def test_every_argument_of_a_sensor_is_documented(sensor: Any) -> None:
    documented = set(re.findall(r":param (\w+):", sensor.__doc__))
    assert set(inspect.signature(sensor).parameters) - {"self", "kwargs"} == documented
    assert f"::: {sensor.__module__}.{sensor.__name__}" in page("reference/sensors.md")


def test_every_argument_of_a_check_is_documented() -> None:
    for function in (check, anomaly):
        documented = set(re.findall(r":param (\w+):", function.__doc__ or ""))
        assert set(inspect.signature(function).parameters) == documented


def test_every_command_and_error_has_an_entry(hooks: ModuleType) -> None:
    commands = hooks.on_page_markdown(page("reference/cli.md"))
    for command in (command for group in get_dq_commands() for command in group.subcommands):
        _, _, entry = commands.partition(f"## `airflow dq {command.name}`\n\n{command.help}.")
        entry, _, _ = entry.partition("\n## ")
        assert entry, command.name
        for argument in command.args:
            assert f"| {hooks._flags(argument)} | {argument.kwargs['help']} |" in entry
    tree = hooks.on_page_markdown(page("reference/errors.md"))
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.DataQualityError):
            assert name in tree


def test_every_key_of_a_transform_is_documented(hooks: ModuleType) -> None:
    assert list(hooks.KEYS["header"]) == list(COMMON)
    assert list(hooks.KEYS["pipeline"]) == list(SETTINGS)
    text = hooks.on_page_markdown(page("guides/transforms.md"))
    of_kinds = text.partition("## Keys of each kind")[2]
    for kind, keys in OPTIONS.items():
        assert f"| `{kind}` |" in text
        missing = [key for key in keys if not re.search(rf"^\| `{key}` \| \S", of_kinds, re.MULTILINE)]
        assert not missing, kind
    # Nothing is said of a key that is none.
    known = {**OPTIONS, "all": {key for keys in OPTIONS.values() for key in keys}}
    for kind, said in hooks.KEYS["kinds"].items():
        assert set(said) <= set(known[kind])


@pytest.mark.parametrize("function", [dags_from, load, operator_of, run])
def test_every_argument_about_transforms_is_documented(function: Any) -> None:
    documented = set(re.findall(r":param (\w+):", function.__doc__))
    assert set(inspect.signature(function).parameters) == documented
    assert f"::: {function.__module__}.{function.__name__}" in page("reference/transforms.md")


def test_every_page_is_in_the_navigation() -> None:
    # The file has MkDocs' own tags, which only MkDocs reads.
    listed = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "docs" / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md")} == listed


def test_every_example_is_on_a_page_or_in_the_readme() -> None:
    shown = {
        name for path in PAGES.rglob("*.md") for name in re.findall(r'^--8<-- "(.+)"$', path.read_text(), re.MULTILINE)
    }
    assert all((ROOT / name).exists() for name in shown)
    dags_shown = {Path(name).stem for name in shown if re.fullmatch(r"example_dags/\w+\.py", name)}
    assert dags_shown | {"dq_publish_corrupted_batch"} == {
        file.stem for file in examples.files() if re.fullmatch(r"\w+\.py", str(file))
    }


def test_the_readme_leads_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert targets
    missing = [target for target in targets if not (ROOT / target).exists()]
    assert not missing


def test_messages_that_are_explained_are_messages_of_the_package() -> None:
    files = (path.read_text(encoding="utf-8") for path in (ROOT / "airflow_dataquality").rglob("*.py"))
    source = re.sub(r'"\s+f?"', "", "\n".join(files))  # texts that go on in the next line
    ours, _, _ = page("guides/troubleshooting.md").partition("## Afterwards")
    messages = re.findall(r"^### (.+)$", ours, re.MULTILINE)
    assert len(messages) > 10
    for message in messages:
        for part in re.split(r"…|'swap'|row_count is 0, expected > 0|: (?=rolled)|: (?=missing)|(?<=it), ", message):
            words = part.strip(" ():,;")
            assert words in source, f"{message}: nothing says {words!r}"


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(PAGES.rglob("*.md"))], ids=lambda path: path.name)
def test_words_that_help_no_reader(path: Path) -> None:
    assert not re.findall(r"\b(simply|just|obviously|easily)\b", path.read_text(encoding="utf-8"), re.IGNORECASE)


# -- what is shown works


@pytest.fixture
def flights(warehouse: Warehouse) -> Warehouse:
    """A few flights in the form of the demo's."""
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA analytics")
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            "CREATE TABLE raw.flights AS SELECT d::date AS ds, c AS carrier, o AS origin, 1 AS dep_time, "
            "5 AS dep_delay, 7 AS arr_delay, 100 AS distance, 'ORD' AS dest "
            "FROM generate_series('2013-02-01', '2013-02-03', '1 day'::interval) d, "
            "unnest('{UA,DL}'::text[]) c, unnest('{EWR,JFK}'::text[]) o"
        )
    return warehouse


@pytest.fixture
def readme_operator(tmp_path: Path) -> Any:
    """The operator of the README's DAG, from a DAG folder beside the examples' files."""
    code, *_ = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
    examples.copy(tmp_path)
    file = tmp_path / "readme.py"
    file.write_text(code, encoding="utf-8")
    (task,) = dags.load(str(file))["daily_flights"].tasks
    return task


def publish(operator: Any, day: str) -> dict[str, Any]:
    operator = operator.prepare_for_execution()  # a copy, as templates are rendered in place
    operator.resolve_template_files()
    context = {"ds": day}
    operator.render_template_fields(context)
    summary: dict[str, Any] = operator.execute(context)
    return summary


def test_the_readmes_dag_publishes(flights: Warehouse, readme_operator: Any) -> None:
    first, again = publish(readme_operator, "2013-02-01"), publish(readme_operator, "2013-02-01")
    second = publish(readme_operator, "2013-02-02")
    assert [(s["published"], s["exchange"], s["rows"], s["passed"]) for s in (first, again, second)] == [
        (True, "create", 4, 5),
        (True, "overwrite", 4, 5),
        (True, "overwrite", 4, 5),
    ]


def test_the_queries_of_the_pages_run(flights: Warehouse, readme_operator: Any) -> None:
    publish(readme_operator, "2013-02-01")
    rejected = StageCheckExchangeOperator(
        task_id="blocked",
        conn_id=flights.conn_id,
        table="analytics.daily_flights",
        sql="SELECT *, NULL AS carrier FROM (SELECT ds, origin, 1 AS flights, 0 AS cancelled, 1.0 AS dep_delay, "
        "1 AS distance FROM raw.flights) AS f WHERE ds = '2013-02-02'",
        partition={"ds": "2013-02-02"},
        checks=[check("null_count", "carrier")],
    )
    with pytest.raises(Exception, match="was not published") as blocked:
        rejected.execute({})
    publish(readme_operator, "2013-02-03")
    with flights.connect() as connection:
        connection.execute(
            "CREATE TABLE raw.volume AS SELECT '2013-01-01'::date + d AS ds FROM generate_series(0, 30) d, "
            "generate_series(1, CASE d WHEN 30 THEN 1 ELSE 50 + d % 3 END)"
        )
    ZScoreAnomalyOperator(
        task_id="anomalies", conn_id=flights.conn_id, table="raw.volume", partition={"ds": "2013-01-31"}
    ).execute({})
    queries = blocks(page("reference/ledger.md"), "sql")
    assert len(queries) >= 5
    with flights.connect() as connection:
        answers = [connection.execute(query).fetchall() for query in queries]
        (kept,) = connection.execute(blocks(page("guides/rejected-rows.md"), "sql")[0]).fetchall()
        holders = blocks(page("guides/troubleshooting.md"), "sql")
        for query in holders:
            connection.execute(query)
    assert all(answers)
    assert holders
    assert f"{kept[0]}.{kept[1]}" in str(blocked.value)


@pytest.fixture
def roles(flights: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """The roles of the page on grants, for as long as a test takes: roles belong to the whole server."""
    with flights.connect() as connection:
        connection.execute("CREATE ROLE loader LOGIN PASSWORD 'loader'; CREATE ROLE analytics_owner")
        connection.execute("GRANT USAGE ON SCHEMA raw TO loader; GRANT SELECT ON raw.flights TO loader")
        yield connection
        connection.execute("DROP OWNED BY loader, analytics_owner CASCADE; DROP ROLE loader, analytics_owner")


def become_loader(flights: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", re.sub(r"//[^@]*@", "//loader:loader@", flights.uri))


def test_the_grants_of_the_page_are_enough(
    flights: Warehouse, roles: psycopg.Connection[Any], readme_operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(readme_operator, "2013-02-01")  # makes the table, as its owner
    roles.execute("DROP SCHEMA dataquality CASCADE")
    roles.execute(blocks(page("guides/database.md"), "sql")[0])
    become_loader(flights, monkeypatch)
    assert publish(readme_operator, "2013-02-02")["exchange"] == "overwrite"
    owners = roles.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'dataquality'").fetchall()
    assert owners == [("loader",)]


def test_swapping_needs_membership_in_the_owner(
    flights: Warehouse, roles: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    roles.execute("CREATE TABLE analytics.daily_flights (n int)")
    roles.execute("GRANT CREATE, USAGE ON SCHEMA analytics TO analytics_owner")
    roles.execute("ALTER TABLE analytics.daily_flights OWNER TO analytics_owner")
    roles.execute(blocks(page("guides/database.md"), "sql")[0])
    become_loader(flights, monkeypatch)
    operator = StageCheckExchangeOperator(
        task_id="whole", conn_id=flights.conn_id, table="analytics.daily_flights", sql="SELECT 1 AS n"
    )
    assert operator.execute({})["exchange"] == "overwrite"
    (membership,) = [block for block in blocks(page("guides/database.md"), "sql") if "analytics_owner" in block]
    roles.execute(membership)
    assert operator.execute({})["exchange"] == "swap"


def test_rolling_back_twice_ends_where_it_began(flights: Warehouse) -> None:
    def version(number: int) -> None:
        StageCheckExchangeOperator(
            task_id="version", conn_id=flights.conn_id, table="analytics.versions", keep_previous=1,
            sql=f"SELECT {number} AS n",
        ).execute({})  # fmt: skip

    def found() -> list[tuple[Any, ...]]:
        with flights.connect() as connection:
            return connection.execute("SELECT n FROM analytics.versions").fetchall()

    version(1)
    version(2)
    maintenance.rollback(flights.conn_id, "analytics.versions")
    assert found() == [(1,)]
    maintenance.rollback(flights.conn_id, "analytics.versions")
    assert found() == [(2,)]
    with flights.connect() as connection:
        recorded = connection.execute("SELECT rows, dag_id FROM dataquality.publication").fetchall()
    assert recorded == [(1, None)] * 4


def operator_for(flights: Warehouse, sql: str, **arguments: Any) -> StageCheckExchangeOperator:
    return StageCheckExchangeOperator(
        task_id="claims", conn_id=flights.conn_id, table="analytics.claims", sql=sql, **arguments
    )


@pytest.mark.parametrize("mode", ["create", "swap", "overwrite", "attach"])
def test_a_table_that_does_not_exist_is_created_whatever_the_mode(flights: Warehouse, mode: str) -> None:
    assert operator_for(flights, "SELECT 1 AS n", exchange=mode).execute({})["exchange"] == "create"


@pytest.mark.parametrize(
    ("sql", "says", "arguments"),
    [
        ("SELECT 1 AS n WHERE false", "not_empty", {}),
        ("SELECT 2 AS n", "rows are not of n=1, but of n=2", {"partition": {"n": 1}}),
        (
            "SELECT 0 AS n",
            "division by zero",
            {"checks": [check("custom_sql", sql="SELECT 1/n FROM {table}", geq_to=0)]},
        ),
    ],
    ids=["not_empty", "rows_in_partition", "error"],
)
def test_what_blocks_whatever_fail_on_says(flights: Warehouse, sql: str, says: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(AirflowException, match=says):
        operator_for(flights, sql, fail_on="never", **arguments).execute({})


def test_what_does_not_block(flights: Warehouse) -> None:
    failing = [check("max", "n", leq_to=0), check("min", "n", geq_to=9, severity="warn")]
    summary = operator_for(flights, "SELECT 1 AS n", fail_on="never", checks=failing).execute({})
    assert (summary["published"], summary["failed"], summary["warned"], summary["score"]) == (True, 1, 1, 0.375)
    with pytest.raises(AirflowException, match="1 of"):
        operator_for(flights, "SELECT 1 AS n", fail_on="warn", checks=failing[1:]).execute({})
    skipped = operator_for(flights, "SELECT 1 AS n WHERE false", allow_empty=True, checks=failing).execute({})
    assert (skipped["published"], skipped["rows"], skipped["skipped"]) == (True, 0, 2)


def test_dicts_of_airflows_operators_on_the_page_run(flights: Warehouse) -> None:
    code = [block for block in blocks(page("guides/moving-over.md"), "python") if "DataQualityCheckOperator(" in block]
    for block in code:
        made: dict[str, Any] = {"DataQualityCheckOperator": DataQualityCheckOperator}
        tree = block.rstrip().replace("DataQualityCheckOperator(\n", "operator = DataQualityCheckOperator(\n", 1)
        exec(tree, made)  # noqa: S102 - our own page
        summary = made["operator"].execute({})
        assert (summary["passed"], summary["failed"]) == (len(made["operator"]._checks), 0)
    assert len(code) == 2


def test_the_operator_of_the_page_runs_without_a_scheduler(flights: Warehouse) -> None:
    (code,) = [block for block in blocks(page("guides/publish.md"), "python") if "execute({})" in block]
    made: dict[str, Any] = {"StageCheckExchangeOperator": StageCheckExchangeOperator, "check": check}
    exec(code, made)  # noqa: S102 - our own page
    assert (made["summary"]["published"], made["summary"]["rows"]) == (True, 1)


def test_tolerance_is_in_percent_in_rules_and_a_fraction_in_the_operators_dicts() -> None:
    (rule,) = checks_from({"check": "row_count", "condition": {"equal_to": 100, "tolerance": 10}})
    (column,) = checks_from({"distance": {"min": {"equal_to": 100, "tolerance": 0.1}}})
    assert str(rule.expect) == str(column.expect) == "between 90 and 110"


# -- anomalies


def test_the_readmes_search_for_anomalies_runs(flights: Warehouse, readme_operator: Any) -> None:
    publish(readme_operator, "2013-02-01")
    operator = made(of_readme("ZScoreAnomalyOperator"))
    operator.partition = {"ds": operator.partition["ds"].replace("{{ ds }}", "2013-02-01")}
    found = operator.execute({})
    assert found["anomalies"] == []
    assert found["skipped"], "one day is no history"


def test_the_rules_of_the_page_on_anomalies_are_rules() -> None:
    (text,) = blocks(page("guides/anomalies.md"), "yaml")
    assert [type(rule.expect) for rule in checks_from(yaml.safe_load(text))] == [Baseline, Baseline]


# -- summaries and backfills


def test_the_readmes_summary_and_backfill_run(
    flights: Warehouse, readme_operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "example_dags")
    with flights.connect() as connection:
        connection.execute("ALTER TABLE raw.flights ADD tailnum text")
    summary = made(of_readme("IncrementalSummaryOperator"))
    summary.partition = "2013-02-01"
    assert summary.execute({})["published"]
    publish(readme_operator, "2013-02-01")
    assert made(of_readme("ParallelBackfillOperator")).execute({})["partitions"] == 365


def test_the_guides_own_measure_is_one() -> None:
    (code,) = (code for code in blocks(page("guides/summary.md"), "python") if "class Spread" in code)
    found = {**vars(measures), "dataclass": dataclass}
    exec(code, found)  # noqa: S102 - our own page
    definition = Definition(("k",), "ds", (("spread", found["Spread"]("distance")),))
    definition.check()
    assert definition.columns == ["k", "ds", "spread", "spread__low", "spread__high"]


def test_the_guides_configuration_makes_an_operator(tmp_path: Path) -> None:
    (text,) = (text for text in blocks(page("guides/summary.md"), "text") if text.startswith("conn_id"))
    (tmp_path / "aircraft.conf").write_text(text)
    operator = summary_from_config(tmp_path / "aircraft.conf")
    assert operator.task_id == "aircraft"
    assert list(operator.measures) == ["flights_total", "miles_total", "last_origin", "flights_28d", "active_28d"]


def test_the_guides_table_of_comparisons_is_whole() -> None:
    named = re.findall(r"^\| `(\w+)` \|", page("guides/backfill.md"), re.MULTILINE)
    assert set(COMPARING) <= set(named)


# -- transforms


def test_each_kind_has_the_operator_that_the_page_says(tmp_path: Path) -> None:
    project = load(written(tmp_path), cache=False)
    said = dict(re.findall(r"^\| `(\w+)` \| .* \| \[`(\w+)`\]", page("guides/transforms.md"), re.MULTILINE))
    assert set(said) == set(OPTIONS)
    for transform in project.transforms.values():
        assert type(operator_of(transform, conn_id="warehouse")).__name__ == said[transform.kind]


def test_the_mistake_on_the_page_is_what_lint_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(examples.directory() / "transforms", "transforms")
    for name in ("weather.sql", "weather.yaml"):
        file = Path("transforms", "staging", name)
        file.write_text(file.read_text().replace("is_bad", "is_low"))
    (shown,) = (text for text in blocks(page("guides/transforms.md"), "text") if "error:" in text)
    assert "\n".join(map(str, lint("transforms"))) + "\n" == shown


def test_the_number_of_examples_on_the_page() -> None:
    count = len(load(examples.directory() / "transforms", cache=False).transforms)
    assert {14: "fourteen"}[count] in page("guides/transforms.md")


def test_the_readmes_header_is_one(tmp_path: Path) -> None:
    (text,) = (text for text in blocks((ROOT / "README.md").read_text(encoding="utf-8"), "yaml") if "kind:" in text)
    file = tmp_path / "fact_flights.yaml"
    file.write_text(text)
    (tmp_path / "fact_flights.sql").write_text("SELECT 1")
    read = read_header(file, "warehouse", PipelineSettings(), {"fact_flights.sql"})
    assert read.mistakes == []
    assert read.transform is not None


# -- upserts


def of_readme(operator: str) -> str:
    """The README's snippet of an operator."""
    (code,) = (
        code
        for code in blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
        if code.startswith(f"{operator}(")
    )
    return code


def made(code: str, **names: Any) -> Any:
    """The operator that a snippet makes."""
    operators = {operator.__name__: operator for operator in OPERATORS}
    return eval(code.strip(), {**operators, **vars(measures), "check": check, **names})  # noqa: S307 - our own page


@pytest.fixture
def customers(flights: Warehouse) -> Warehouse:
    """The table of the pages' examples."""
    with flights.connect() as connection:
        connection.execute(
            "CREATE TABLE analytics.customers (customer_id bigint PRIMARY KEY, email text NOT NULL, city text, "
            "updated_at timestamptz NOT NULL DEFAULT now(), loaded_at timestamptz DEFAULT now());"
            "CREATE TABLE analytics.bare (customer_id bigint, email text)"
        )
    return flights


def upsert(table: str = "analytics.customers", conn_id: str = "warehouse", **arguments: Any) -> dict[str, Any]:
    operator = UpsertOperator(task_id="upsert", conn_id=conn_id, table=table, keys=["customer_id"], **arguments)
    return operator.execute({})


def test_the_readmes_upsert_runs(customers: Warehouse) -> None:
    row = {"customer_id": 1, "email": "a@example.com", "updated_at": "2024-01-01"}
    code = of_readme("UpsertOperator")
    operator = made(code, changed_customers=lambda: iter([[row, {**row, "updated_at": "2024-01-02"}]]))
    summary = operator.execute({})
    assert (summary["inserted"], summary["duplicates"], summary["passed"]) == (1, 1, 1)


ROW = {"customer_id": 1, "email": ""}
SAID: list[dict[str, Any]] = [
    {"rows": [{**ROW, "customer_id": key} for key in (7, 7, None, 9)]},
    {"rows": [ROW], "checks": [check("empty_count", "email", equal_to=0), check("row_count", greater_than=0)]},
    {"rows": [ROW], "strategy": "delete_insert"},
    {"rows": [{"customer_id": 1, "city": ""}]},
]


@pytest.mark.parametrize("arguments", SAID, ids=["keys", "checks", "strategy", "columns"])
def test_what_the_page_on_upserts_shows_is_what_is_said(customers: Warehouse, arguments: dict[str, Any]) -> None:
    with pytest.raises(AirflowException) as error:
        upsert(**arguments)
    assert f"{error.value}\n" in blocks(page("guides/upsert.md"), "text")


def test_the_log_on_the_page_is_what_is_logged(customers: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="airflow_dataquality"):
        upsert("analytics.bare", rows=[ROW])
    (shown,) = [block for block in blocks(page("guides/upsert.md"), "text") if block.startswith("No on_conflict")]
    assert shown.splitlines() == [line for line in caplog.messages if line in shown]


def test_the_page_on_upserts_lists_the_strategies_in_their_order() -> None:
    table = re.findall(r"^\| (?:first|then) \| (.*) \|$", page("guides/upsert.md"), re.MULTILINE)
    columns = zip(*(row.split(" | ") for row in table), strict=True)
    listed = [[re.findall(r"`(\w+)`", cell)[0] for cell in column if cell != "–"] for column in columns]
    assert listed == [list(dialect_for(name).strategies) for name in ("postgres", "redshift", "sqlite")]


def test_what_an_upsert_returns_is_on_the_page(customers: Warehouse) -> None:
    _, _, text = page("guides/upsert.md").partition("## What it returns")
    own = {"table", "rows_staged", "inserted", "updated", "unchanged", "duplicates", "null_keys_dropped", "strategy"}
    returned = upsert(rows=[ROW])
    assert own <= returned.keys()
    assert not [word for word in own if f"`{word}`" not in text]


def test_the_grants_for_an_upsert_are_enough(customers: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    (grants,) = [block for block in blocks(page("guides/database.md"), "sql") if "upserter" in block]
    with customers.connect() as connection:
        connection.execute("CREATE ROLE upserter LOGIN PASSWORD 'upserter'")
        try:
            connection.execute(grants)
            monkeypatch.setenv("AIRFLOW_CONN_UPSERTER", re.sub(r"//[^@]*@", "//upserter:upserter@", customers.uri))
            for strategy in ("on_conflict", "merge", "update_insert"):
                assert upsert(rows=[ROW], conn_id="upserter", strategy=strategy)["strategy"] == strategy
        finally:
            connection.execute("DROP OWNED BY upserter CASCADE; DROP ROLE upserter")


def test_an_upsert_and_a_publication_follow_each_other(flights: Warehouse) -> None:
    rows = "SELECT n AS customer_id, '{}' AS email FROM generate_series({}, {}) AS n"
    with flights.connect() as connection, ThreadPoolExecutor(2) as pool:
        connection.execute("CREATE TABLE analytics.bare (customer_id bigint, email text)")
        for _ in range(3):
            publication = StageCheckExchangeOperator(
                task_id="p", conn_id="warehouse", table="analytics.bare", sql=rows.format("published", 1, 40),
                exchange="overwrite",
            )  # fmt: skip
            upserting = pool.submit(upsert, "analytics.bare", sql=rows.format("upserted", 20, 60))
            publication.execute({})
            upserting.result()
            found = dict(connection.execute("SELECT email, count(*) FROM analytics.bare GROUP BY 1").fetchall())
            assert found in ({"published": 40}, {"published": 19, "upserted": 41})


@pytest.mark.parametrize(
    "source",
    [
        {"rows": [{"n": 1, "a": "x"}, {"a": "y", "n": 2}]},
        {"rows": [(1, "x"), (2, "y")], "columns": ["n", "a"]},
        {"rows": lambda: iter([[(1, "x")], [(2, "y")]]), "columns": ["n", "a"]},
    ],
    ids=["mappings", "sequences", "batches"],
)
def test_the_sources_of_the_page_on_publishing(flights: Warehouse, source: dict[str, Any]) -> None:
    def publish_rows() -> int:
        operator = StageCheckExchangeOperator(task_id="p", conn_id="warehouse", table="analytics.n", **source)
        return int(operator.execute({})["rows"])

    with pytest.raises(AirflowException, match=r"the table does not exist, and .* does not tell of which type"):
        publish_rows()
    with flights.connect() as connection:
        connection.execute("CREATE TABLE analytics.n (a text, n int)")
        assert publish_rows() == 2
        assert connection.execute("SELECT n, a FROM analytics.n ORDER BY n").fetchall() == [(1, "x"), (2, "y")]


# -- Redshift


def test_the_operators_of_the_page_on_redshift_can_be_made() -> None:
    snippets = blocks(page("guides/redshift.md"), "python")
    upserting, health = (made(code) for code in snippets)
    assert isinstance(upserting, RedshiftUpsertOperator)
    assert len(health.checks) == 4


def test_the_warnings_of_slow_steps_are_on_the_page() -> None:
    text = page("guides/redshift.md")
    for step, advice in dialect_for("redshift").slow_steps.items():
        assert f"| `{step}` | {advice} |" in text


def test_the_queries_of_the_page_on_redshift_run(redshift: RedshiftWarehouse) -> None:
    def publish_day(day: str, **arguments: Any) -> dict[str, Any]:
        operator = StageCheckExchangeOperator(
            task_id="publish", conn_id="redshift", table="public.customer_order", partition={"ds": day},
            sql=f"SELECT CAST('{day}' AS DATE) AS ds, 1 AS order_id", **arguments,
        )  # fmt: skip
        return operator.execute({})

    publish_day("2024-01-01")
    with pytest.raises(AirflowException, match="was not published") as blocked:
        publish_day("2024-01-02", checks=[check("row_count", greater_than=1)])
    with redshift.connect() as connection, connection.cursor() as cursor:
        answers = []
        for query in blocks(page("guides/redshift.md"), "sql"):
            cursor.execute(query)
            answers.append([tuple(row) for row in cursor.fetchall()])
        cursor.execute("SELECT table_id FROM sys_load_error_detail ORDER BY start_time DESC")
    ((schema, name, _),), ((_, day, mode, *_),) = answers
    assert f"{schema}.{name}" in str(blocked.value)
    assert (day, mode) == ("2024-01-01", "create")


def test_not_null_is_enforced_where_the_page_says(redshift: RedshiftWarehouse) -> None:
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.t (customer_id INT NOT NULL, email VARCHAR(9) NOT NULL)")
    with pytest.raises(AirflowException, match="the SELECT failed"):
        StageCheckExchangeOperator(
            task_id="p", conn_id="redshift", table="public.t", sql="SELECT 1 AS customer_id, NULL AS email"
        ).execute({})
    with pytest.raises(AirflowException, match=r"could not be upserted into public\.t by delete_insert"):
        upsert("public.t", "redshift", rows=[{"customer_id": 1, "email": None}])


SALES = """
CREATE TABLE public.region (region INT PRIMARY KEY);
CREATE TABLE public.sales (
  id INT NOT NULL DEFAULT 5, region INT ENCODE zstd, CONSTRAINT one UNIQUE (id),
  CONSTRAINT two FOREIGN KEY (region) REFERENCES public.region (region)
) DISTKEY (id) SORTKEY (region);
CREATE ROLE analysts;
CREATE USER ann PASSWORD DISABLE;
GRANT SELECT ON public.sales TO ROLE analysts;
GRANT SELECT (id) ON public.sales TO ann;
ALTER TABLE public.sales OWNER TO etl
"""
CATALOG = """
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname IN ('one', 'two') ORDER BY 1;
SELECT privilege_type FROM svv_relation_privileges WHERE relation_name = 'sales' AND identity_name = 'analysts';
SELECT column_name FROM svv_column_privileges WHERE relation_name = 'sales' AND identity_name = 'ann';
SELECT "column", encoding, distkey, sortkey, "notnull" FROM pg_table_def WHERE tablename = 'sales' ORDER BY 1
"""


def on_redshift(redshift: RedshiftWarehouse, statements: str) -> list[list[Any]]:
    """Run statements as the superuser; the rows of each."""
    answers = []
    with redshift.connect("awsuser") as connection, connection.cursor() as cursor:
        for statement in statements.split(";"):
            cursor.execute(statement)
            answers.append([tuple(row) for row in cursor.fetchall()] if cursor.description else [])
    return answers


def exchange_sales(mode: str) -> str:
    operator = StageCheckExchangeOperator(
        task_id="s", conn_id="redshift", table="public.sales", sql="SELECT 1 AS id, 1 AS region", exchange=mode
    )
    return str(operator.execute({})["exchange"])


def test_what_the_page_says_of_a_swap_on_redshift(redshift: RedshiftWarehouse) -> None:
    on_redshift(redshift, SALES)
    before = on_redshift(redshift, CATALOG)
    assert all(before)
    assert exchange_sales("swap") == "swap"
    assert on_redshift(redshift, CATALOG) == before
    on_redshift(redshift, "CREATE TABLE public.line (id INT REFERENCES public.sales (id))")
    with pytest.raises(AirflowException, match=r"foreign key .* of line refers to it"):
        exchange_sales("swap")


def test_a_policy_stands_in_the_way_of_a_superusers_swap(
    redshift: RedshiftWarehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    login = {**json.loads(os.environ["AIRFLOW_CONN_REDSHIFT"]), "login": "awsuser"}
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT", json.dumps(login))
    assert [exchange_sales("auto") for _ in range(2)] == ["create", "swap"]
    with redshift.superuser() as eyes:
        eyes.execute(
            "ALTER VIEW rs.svv_attached_masking_policy RENAME TO no_policies; CREATE VIEW "
            "rs.svv_attached_masking_policy AS SELECT 'hide'::text AS policy_name, 'public'::text AS schema_name, "
            "'sales'::text AS table_name"
        )
    with caplog.at_level("INFO", logger="airflow_dataquality"):
        assert exchange_sales("auto") == "overwrite"
    assert "masking policy hide" in caplog.text
