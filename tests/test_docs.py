"""The documentation: everything is in it, and what it shows works."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
import yaml
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality import errors, examples, maintenance
from airflow_dataquality.checks import check
from airflow_dataquality.demo import dags
from airflow_dataquality.engine.ledger import TABLES
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.spec import checks_from
from airflow_dataquality.vocabulary import KINDS, WRITABLE
from support import Warehouse

ROOT = Path(__file__).parent.parent
PAGES = ROOT / "docs" / "pages"
OPERATORS = [StageCheckExchangeOperator, DataQualityCheckOperator]

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


def test_every_argument_of_a_check_is_documented() -> None:
    documented = set(re.findall(r":param (\w+):", check.__doc__ or ""))
    assert set(inspect.signature(check).parameters) == documented


def test_every_command_and_error_has_an_entry(hooks: ModuleType) -> None:
    commands = hooks.on_page_markdown(page("reference/cli.md"))
    for command in ("sweep", "rollback", "examples"):
        assert f"## `airflow dq {command}`" in commands
    tree = hooks.on_page_markdown(page("reference/errors.md"))
    for name, error in vars(errors).items():
        if isinstance(error, type) and issubclass(error, errors.DataQualityError):
            assert name in tree


def test_every_page_is_in_the_navigation() -> None:
    # The file has MkDocs' own tags, which only MkDocs reads.
    listed = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "docs" / "mkdocs.yml").read_text(), re.MULTILINE))
    assert {str(path.relative_to(PAGES)) for path in PAGES.rglob("*.md")} == listed


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
        for part in re.split(r"…|'swap'|row_count is 0, expected > 0|: (?=rolled)|: (?=missing)", message):
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
    (code,) = blocks((ROOT / "README.md").read_text(encoding="utf-8"), "python")
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
