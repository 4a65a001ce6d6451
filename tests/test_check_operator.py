"""DataQualityCheckOperator: what it takes, returns, records and raises."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowException, AirflowFailException, Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_dataquality.checks import check
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.errors import ChecksFailed, DataQualityError, PartitionError, SpecError
from airflow_dataquality.operators._common import RESULT_KEY
from airflow_dataquality.operators.check import DataQualityCheckOperator
from support import Database, Warehouse, told_to_listeners

CHECKS = (
    check("row_count", greater_than=0),
    check("null_count", "carrier", equal_to=0),
    check("mean", "delay", leq_to=10, severity="warn"),
    check("stddev", "lonely", leq_to=10),
)


@pytest.fixture
def flights(database: Database) -> Database:
    session = database.session
    session.execute("CREATE TABLE flights (ds date, carrier text, delay integer, lonely integer)")
    session.execute(
        "INSERT INTO flights VALUES ('2013-02-01', 'AA', 5, 1), ('2013-02-01', 'UA', 50, NULL), "
        "('2013-02-02', NULL, 1, NULL)"
    )
    return database


def operator(database: Database, **arguments: Any) -> DataQualityCheckOperator:
    defaults: dict[str, Any] = {"task_id": "check", "conn_id": database.conn_id, "table": "flights", "checks": CHECKS}
    return DataQualityCheckOperator(**{**defaults, **arguments})


def recorded(database: Database, table: str, columns: str) -> list[tuple[Any, ...]]:
    ledger = Ledger(database.session)
    name = database.session.dialect.table(ledger.table(table))
    return [tuple(row) for row in database.session.query(f"SELECT {columns} FROM {name}")]


def test_it_returns_the_summary(flights: Database) -> None:
    outcome = operator(flights, partition={"ds": "2013-02-01"}).execute({})
    run_uid = outcome.pop("run_uid")
    assert len(run_uid) == 32
    assert json.loads(json.dumps(outcome)) == {
        "table": "flights" if flights.kind == "sqlite" else "public.flights",
        "partition": {"ds": "2013-02-01"},
        "rows": 2,
        "score": 0.9375,
        "passed": 2,
        "warned": 1,
        "failed": 0,
        "errored": 0,
        "skipped": 1,
        "failed_rules": [],
        "warned_rules": ["mean(delay)"],
    }
    statuses = recorded(flights, "check_result", "check_name, status, value, partition, run_uid")
    assert ("mean(delay)", "warn", 27.5, '{"ds": "2013-02-01"}', run_uid) in statuses
    assert len(statuses) == len(CHECKS)
    metrics = recorded(flights, "metric", "metric, value, state, run_uid")
    assert ("row_count", 2.0, "observed", run_uid) in metrics


def test_a_failure_is_recorded_first_and_says_what(flights: Database) -> None:
    task = operator(flights, partition={"ds": date(2013, 2, 2)})
    with pytest.raises(AirflowException) as raised:
        task.execute({})
    assert not isinstance(raised.value, AirflowFailException)
    assert "null_count(carrier) is 1, expected = 0 (error)" in str(raised.value)
    assert "flights/ds=2013-02-02" in str(raised.value)
    assert isinstance(raised.value.__cause__, ChecksFailed)
    assert raised.value.__cause__.outcome["failed_rules"] == ["null_count(carrier)"]
    assert ("null_count(carrier)", "fail", 1.0) in recorded(flights, "check_result", "check_name, status, value")
    assert task.sql[0].startswith("SELECT\n  COUNT(*)")


@told_to_listeners
def test_results_are_kept_for_listeners(flights: Database) -> None:
    task = operator(flights, partition={"ds": date(2013, 2, 2)})
    with pytest.raises(AirflowException):
        task.execute({})
    results = {result.name: result for result in task.check_results}
    assert results["null_count(carrier)"].success is False
    assert (results["null_count(carrier)"].actual, results["null_count(carrier)"].expected) == ("1", "= 0")
    assert results["row_count"].success is True


def test_what_fails_the_task(flights: Database) -> None:
    warned = {"partition": {"ds": "2013-02-01"}}
    failed = {"partition": {"ds": "2013-02-02"}}
    errored = {"checks": [check("custom_sql", sql="SELECT nope FROM {table}", equal_to=1, severity="warn")]}
    for arguments, fail_on, fails in [
        (warned, "error", False),
        (warned, "warn", True),
        (warned, "never", False),
        (failed, "error", True),
        (failed, "never", False),
        (errored, "error", True),
        (errored, "never", True),
    ]:
        task = operator(flights, **arguments, fail_on=fail_on)
        if fails:
            with pytest.raises(AirflowException):
                task.execute({})
        else:
            task.execute({})


def test_without_retries_it_fails_for_good(flights: Database) -> None:
    with pytest.raises(AirflowFailException):
        operator(flights, partition={"ds": "2013-02-02"}, retry_on_failure=False).execute({})


def test_an_empty_partition_is_not_passed(flights: Database) -> None:
    outcome = operator(flights, checks=CHECKS[1:], partition={"ds": "2020-01-01"}).execute({})
    assert (outcome["rows"], outcome["passed"], outcome["skipped"]) == (0, 0, 3)


def test_the_clause_narrows_every_check(flights: Database) -> None:
    checks = [
        *CHECKS[:2],
        check("custom_sql", sql="SELECT COUNT(*) FROM {table}", equal_to=1, partition_clause="delay < 9"),
    ]
    outcome = operator(flights, checks=checks, partition_clause="carrier = 'AA' OR carrier = 'UA'").execute({})
    assert (outcome["rows"], outcome["passed"]) == (2, 3)


def test_recording_can_be_off_or_elsewhere(flights: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partition = {"ds": "2013-02-01"}
    operator(flights, partition=partition, ledger_schema=None).execute({})
    other = tmp_path / "ledger.db"
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps({"conn_type": "sqlite", "host": str(other)}))
    operator(flights, partition=partition, ledger_conn_id="elsewhere", ledger_schema="dq").execute({})
    assert not flights.session.columns(Ledger(flights.session).table("check_result"))

    import sqlite3

    connection = sqlite3.connect(other)
    assert connection.execute("SELECT COUNT(*) FROM dq_check_result").fetchone() == (len(CHECKS),)
    connection.close()


def test_templates_are_rendered(flights: Database) -> None:
    task = operator(
        flights,
        table="{{ params.table }}",
        partition={"ds": "{{ ds }}"},
        partition_clause="carrier <> '{{ params.carrier }}'",
        checks=[
            check("values_outside", "carrier", values=["{{ params.carrier }}", "UA"]),
            check("row_count", equal_to=1, partition_clause="ds = '{{ ds }}'"),
            check("custom_sql", sql="SELECT COUNT(*) FROM {table} WHERE ds > '{{ ds }}'", equal_to=0),
        ],
    )
    context: Any = {"ds": "2013-02-01", "params": {"table": "flights", "carrier": "AA"}}
    task.render_template_fields(context)
    outcome = task.execute(context)
    assert (outcome["rows"], outcome["passed"]) == (1, 3)


@pytest.mark.parametrize(
    ("run", "day"),
    [
        (SimpleNamespace(partition_key="2013-02-01", run_after=None), "2013-02-01"),
        (SimpleNamespace(partition_key=None, run_after=datetime(2013, 2, 1, 6, tzinfo=UTC)), "2013-02-01"),
    ],
)
def test_runs_without_a_logical_date_have_a_date(run: Any, day: str) -> None:
    task = DataQualityCheckOperator(
        task_id="check", conn_id="nowhere", table="t", checks=CHECKS[:1], partition={"ds": "{{ ds }}"}
    )
    task.render_template_fields({"dag_run": run})  # type: ignore[typeddict-item]
    assert task.partition == {"ds": day}


@pytest.mark.parametrize(
    "arguments",
    [
        {"partition": {"ds": "{{ ds }}"}},
        {"table": "{{ params.table }}"},
        {"partition_clause": "ds = '{{ ds }}'"},
        {"checks": [check("row_count", geq_to=1, partition_clause="ds = '{{ ds }}'")]},
        {"checks": [check("custom_sql", sql="SELECT '{{ ds }}'", equal_to="x")]},
    ],
)
def test_what_was_not_rendered_is_refused(arguments: dict[str, Any]) -> None:
    defaults: dict[str, Any] = {"task_id": "check", "conn_id": "nowhere", "table": "flights", "checks": CHECKS}
    with pytest.raises(AirflowException, match=r"was not rendered[\s\S]*Hint: Airflow renders templates when"):
        DataQualityCheckOperator(**{**defaults, **arguments}).execute({})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"checks": None}, "no checks"),
        ({"conn_id": None}, "has no conn_id"),
        ({"table": "a.b.c"}, "names a database"),
        ({"table": 'a."b'}, "is not a table name"),
        ({"table": 7}, "table is 7"),
        ({"fail_on": "err"}, "did you mean 'error'?"),
        ({"partition": "ds=1"}, "is not a mapping"),
        ({"partition": {"ds": ["2013"]}}, "is not a plain value"),
        ({"partition": {"ds": {1: 2}}}, "is not a plain value"),
        ({"partition": {"x": float("nan")}}, "is not a plain value"),
        ({"partition": {"": 1}}, "is not a name"),
        ({"partition_clause": "a; b"}, "semicolon"),
        ({"checks": [check("row_count_ratio", geq_to=1)]}, "compares a load with production"),
        ({"checks": [check("lost_keys", "k")]}, "StageCheckExchangeOperator"),
        ({"checks": "nowhere.yaml"}, "does not exist; looked at"),
        ({"column_mapping": {"a": {"nul_check": {"equal_to": 0}}}}, "did you mean 'null_check'?"),
    ],
)
def test_what_can_never_work_is_refused_at_once(arguments: dict[str, Any], says: str) -> None:
    defaults: dict[str, Any] = {"task_id": "check", "conn_id": "nowhere", "table": "flights", "checks": CHECKS}
    with pytest.raises((SpecError, PartitionError)) as raised:
        DataQualityCheckOperator(**{**defaults, **arguments})
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"table": "nowhere"}, "there is no table"),
        ({"partition": {"dss": "2013-02-01"}}, "did you mean 'ds'?"),
        ({"partition_clause": "nope = 1"}, "cannot be read"),
        ({"checks": [check("null_count", "carier")]}, "did you mean 'carrier'?"),
        ({"checks": [check("mean", "carrier", leq_to=1)]}, "mean needs a column of category number"),
    ],
)
def test_what_only_the_database_knows(flights: Database, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(AirflowException) as raised:
        operator(flights, **arguments).execute({})
    assert says in str(raised.value)
    assert isinstance(raised.value.__cause__, DataQualityError)


def test_partition_values_of_every_type(flights: Database) -> None:
    checks = [check("row_count", equal_to=1)]
    for partition in ({"delay": 5}, {"delay": "5"}, {"carrier": None}, {"ds": date(2013, 2, 2)}, {"carrier": "AA"}):
        assert operator(flights, checks=checks, partition=partition).execute({})["rows"] == 1, partition


def test_a_partition_has_one_spelling(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE flights AS SELECT date '2013-02-01' AS ds, 'AA' AS carrier, 5 AS delay")
    arguments: dict[str, Any] = {"task_id": "check", "conn_id": warehouse.conn_id, "table": "flights"}
    for ds in ("2013-02-01", "20130201", date(2013, 2, 1), datetime(2013, 2, 1, tzinfo=UTC)):
        task = DataQualityCheckOperator(checks=CHECKS[:1], partition={"ds": ds}, **arguments)
        assert task.execute({})["partition"] == {"ds": "2013-02-01"}
    with pytest.raises(AirflowException, match="partition value 'today or so' does not fit column 'ds'"):
        DataQualityCheckOperator(checks=CHECKS[:1], partition={"ds": "today or so"}, **arguments).execute({})


def test_names_are_quoted_as_in_sql(flights: Database) -> None:
    session = flights.session
    session.execute('CREATE TABLE "Daily ""Flights""" ("Mixed Case" integer)')
    session.execute('INSERT INTO "Daily ""Flights""" VALUES (1)')
    arguments: dict[str, Any] = {"checks": [check("max", "Mixed Case", equal_to=1)]}
    assert operator(flights, table='"Daily ""Flights"""', **arguments).execute({})["passed"] == 1
    assert operator(flights, table=" FLIGHTS ", checks=CHECKS[:1]).execute({})["passed"] == 1


def test_rule_sets_are_found_beside_the_dag(flights: Database, tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "flights.yaml").write_text("rules:\n  - {check: row_count, condition: {equal_to: 3}}")
    with DAG("flights", schedule=None, template_searchpath=str(tmp_path)):
        task = operator(flights, checks="checks/flights.yaml")
    assert task.execute({})["passed"] == 1


def test_the_run_is_recorded(flights: Database) -> None:
    instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=2)
    context: Any = {"ti": instance}
    operator(flights, checks=CHECKS[:1]).execute(context)
    found = recorded(flights, "check_result", "dag_id, task_id, run_id, map_index, try_number")
    assert found == [("d", "t", "r", -1, 2)]


def test_asset_events_carry_the_summary(flights: Database) -> None:
    asset = Asset("flights")
    events = OutletEventAccessors()
    context: Any = {"outlet_events": events, "task": SimpleNamespace(outlets=[asset])}
    rules = {"name": "of flights", "rules": [{"check": "row_count", "condition": {"geq_to": 1}}]}
    outcome = operator(flights, checks=rules).execute(context)
    extra = events[asset].extra[RESULT_KEY]
    assert (extra["ruleset"], extra["run_uid"], extra["score"]) == ("of flights", outcome["run_uid"], 1.0)
    assert set(extra) == {"score", "passed", "warned", "failed", "errored", "failed_rules", "warned_rules", "table",
                          "run_uid", "ruleset"}  # fmt: skip


def test_an_unknown_database_speaks_ansi() -> None:
    assert dialect_for("trino").name == "ansi"
    assert dialect_for("postgres").name == "postgres"


def test_explain_logs_the_plan_of_each_measurement(flights: Database, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        operator(flights, checks=CHECKS[:1], explain=True).execute({})
    plans = [record.getMessage() for record in caplog.records if record.name.endswith("engine.explain")]
    assert len(plans) == 1
    assert "COUNT" in plans[0]
