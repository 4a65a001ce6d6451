"""What every operator tells OpenLineage, as the provider's file transport writes it in a real run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import psycopg
import pytest

from airflow_dataquality.demo.postgres import EmbeddedPostgres

pytest.importorskip("airflow.providers.openlineage", reason="needs apache-airflow-providers-openlineage")
if tuple(map(int, version("openlineage-python").split(".")[:2])) < (1, 47):
    pytest.skip("assertions have names and values since openlineage-python 1.47", allow_module_level=True)

from ecosystem.openlineage_schemas import mistakes

DAGS = """
from datetime import datetime, timezone
from airflow.sdk import DAG
from airflow_dataquality.checks import check
from airflow_dataquality.measures import Count
from airflow_dataquality.operators.anomaly_test import AnomalyTestOperator
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator, parallel_backfill
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from airflow_dataquality.operators.upsert import UpsertOperator
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator

PART = {"ds": "{{ ds }}"}
SQL = '''
    WITH rated AS (SELECT ds, rate FROM raw."Daily Rates")
    SELECT ds, id, amount * rate AS amount FROM RAW.Orders JOIN rated USING (ds), generate_series(1, 1) AS one
    WHERE ds = '{{ ds }}'
'''
GOOD = [check("null_count", "amount", equal_to=0), check("max", "amount", name="not_too_much", leq_to=100),
        check("mean", "amount", partition_clause="id < 0", geq_to=0), check("quantile", "amount", q=0.5, geq_to=0)]
RANGE = {"start": "2013-02-08", "end": "2013-02-09", "partition_column": "ds"}
with DAG("lineage", schedule=None, start_date=datetime(2013, 1, 1, tzinfo=timezone.utc),
         default_args={"conn_id": "warehouse"}):
    StageCheckExchangeOperator(task_id="publish", table="mart.orders", sql=SQL, partition=PART, checks=GOOD)
    StageCheckExchangeOperator(task_id="blocked", table="mart.orders2", sql=SQL, partition=PART,
        checks=[*GOOD, check("max", "amount", leq_to=1), check("min", "amount", geq_to=9, severity="warn")])
    StageCheckExchangeOperator(task_id="rows", table="mart.given", rows=[{"id": 1}])
    UpsertOperator(task_id="upsert", table="mart.target", keys=["id"],
        sql="SELECT id, amount FROM raw.orders WHERE ds = '{{ ds }}'")
    ParallelBackfillOperator(task_id="backfill", table="mart.past", sql=SQL, **RANGE)
    parallel_backfill("group", table="mart.past2", sql=SQL, **RANGE)
    IncrementalSummaryOperator(task_id="summary", summary="mart.totals", source="raw.orders", keys=["id"],
        partition_column="ds", partition="{{ ds }}", measures={"n": Count()}, checks=[check("row_count", geq_to=1)])
    DataQualityCheckOperator(task_id="check", table="raw.orders", partition=PART, checks=[
        check("row_count", equal_to=2), check("distinct_count", "id", equal_to=2), check("sum", "amount", leq_to=0),
        check("orphan_count", "id", references="mart.target", equal_to=0, severity="warn")])
    ZScoreAnomalyOperator(task_id="zscore", table="raw.orders", metrics=["row_count", "mean"])
    TableStatisticsOperator(task_id="statistics", tables="raw.*", partition=PART)
    AnomalyTestOperator(task_id="compare", control_sql="SELECT 1 AS n FROM raw.orders LIMIT 1",
        experiment_sql='SELECT 5 AS n FROM raw."Daily Rates" LIMIT 1', formula="experiment.n <= control.n")
    AnomalyTestOperator(task_id="compare_table", table="raw.orders", conn_id=None, control_conn_id="lite",
        experiment_conn_id="warehouse", ledger_schema=None, control_sql="SELECT 1 AS n FROM things",
        experiment_sql="SELECT 1 AS n", formula="experiment.n <= control.n")
    DataQualityCheckOperator(task_id="lite", conn_id="lite", table="things", checks=[check("row_count", equal_to=1)])
    StageCheckExchangeOperator(task_id="broken", table="mart.orders", sql="SELECT nothing FROM raw.orders")
"""
RUN = """
import sys
from datetime import date
from pathlib import Path
from airflow_dataquality.demo import dags
home = Path(sys.argv[1])
dags.configure(home, f"sqlite:///{home}/airflow.db", home / "dags")
dags.run("lineage", date(2013, 2, 8))
dags.disconnect()
"""
TABLES = """
    CREATE SCHEMA raw; CREATE SCHEMA mart;
    CREATE TABLE raw.orders (ds text, id int, amount int);
    CREATE TABLE raw."Daily Rates" (ds text, rate int);
    INSERT INTO raw.orders VALUES ('2013-02-08', 1, 5), ('2013-02-08', 2, 7), ('2013-02-09', 1, 9);
    INSERT INTO raw."Daily Rates" VALUES ('2013-02-08', 1), ('2013-02-09', 1);
    CREATE TABLE mart.target (id int PRIMARY KEY, amount int);
    CREATE TABLE mart.given (id int);
    INSERT INTO raw.orders SELECT '2013-02-07', 3, 1;
"""
Event = dict[str, Any]


@pytest.fixture(scope="module")
def events(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """The events of one run, in a process of its own: the provider reads its configuration once."""
    home = tmp_path_factory.mktemp("lineage")
    (home / "dags").mkdir()
    (home / "dags" / "lineage.py").write_text(DAGS)
    uri = postgres.create_database("lineage")
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(TABLES)
    log = home / "events.jsonl"
    env = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")} | {
        "AIRFLOW_CONN_WAREHOUSE": uri,
        "AIRFLOW_CONN_LITE": json.dumps({"conn_type": "sqlite", "host": str(home / "lite.db")}),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "file", "log_file_path": str(log), "append": True}),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    with sqlite3.connect(home / "lite.db") as lite:
        lite.execute("CREATE TABLE things (n int)")
        lite.execute("INSERT INTO things VALUES (1)")
    lite.close()
    done = subprocess.run([sys.executable, "-c", RUN, str(home)], env=env, capture_output=True, text=True, check=True)
    assert "OpenLineage method failed" not in done.stdout + done.stderr
    postgres.drop_database("lineage")
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def last(events: list[Event]) -> Any:
    """The last event of a task."""
    return lambda task: [event for event in events if event["job"]["name"] == f"lineage.{task}"][-1]


def names(datasets: list[Event]) -> list[str]:
    return sorted(each["name"] for each in datasets)


def assertions(facets: Event) -> list[tuple[str, bool]]:
    return [(each["name"], each["success"]) for each in facets["dataQualityAssertions"]["assertions"]]


ORDERS, RATES = "lineage.raw.orders", "lineage.raw.Daily Rates"


def test_a_publication(last: Any) -> None:
    event = last("publish")
    assert event["eventType"] == "COMPLETE"
    assert names(event["inputs"]) == [RATES, ORDERS]
    (output,) = event["outputs"]
    assert output["name"] == "lineage.mart.orders"
    assert output["namespace"] == event["inputs"][0]["namespace"]
    assert output["namespace"].startswith("postgres://127.0.0.1:")
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 2
    condition = output["outputFacets"]["subset"]["outputCondition"]
    assert condition["partitions"] == [{"dimensions": {"ds": "2013-02-08"}}]
    assert assertions(output["facets"]) == [
        ("null_count(amount)", True), ("not_too_much", True), ("quantile(amount, q=0.5)", True)
    ], "the check without data asserts nothing"  # fmt: skip
    told = output["facets"]["dataQualityAssertions"]["assertions"][1]
    assert (told["assertion"], told["column"], told["expected"], told["actual"]) == ("max", "amount", "<= 100", "7")
    measured = output["facets"]["dataQualityMetrics"]
    assert measured["rowCount"] == 2
    assert measured["columnMetrics"] == {"amount": {"nullCount": 0, "max": 7.0, "quantiles": {"0.5": 6.0}}}
    assert 'raw."Daily Rates"' in event["job"]["facets"]["sql"]["query"]


def test_a_blocked_publication_shows_what_failed(last: Any) -> None:
    event = last("blocked")
    assert event["eventType"] == "FAIL"
    (output,) = event["outputs"]
    found = dict(assertions(output["facets"]))
    assert (found["max(amount)"], found["min(amount)"], found["not_too_much"]) == (False, False, True)
    assert "outputStatistics" not in output["outputFacets"], "nothing was written"
    assert output["facets"]["dataQualityMetrics"]["rowCount"] == 2


@pytest.mark.parametrize(
    ("task", "output", "inputs", "rows"),
    [
        ("upsert", "lineage.mart.target", [ORDERS], 2),
        ("backfill", "lineage.mart.past", [RATES, ORDERS], 3),
        ("group.exchange", "lineage.mart.past2", [RATES, ORDERS], 3),
        ("summary", "lineage.mart.totals", [ORDERS], 3),
        ("rows", "lineage.mart.given", [], 1),
    ],
)
def test_other_loads(task: str, output: str, inputs: list[str], rows: int, last: Any) -> None:
    event = last(task)
    assert (names(event["outputs"]), names(event["inputs"])) == ([output], inputs)
    assert event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == rows


def test_a_check_describes_its_input(last: Any) -> None:
    event = last("check")
    assert (event["eventType"], event["outputs"]) == ("FAIL", [])
    assert names(event["inputs"]) == ["lineage.mart.target", ORDERS]
    (orders,) = (each for each in event["inputs"] if each["name"] == ORDERS)
    assert assertions(orders["inputFacets"])[:3] == [
        ("row_count", True), ("distinct_count(id)", True), ("sum(amount)", False)
    ]  # fmt: skip
    measured = orders["inputFacets"]["dataQualityMetrics"]
    assert measured["rowCount"] == 2
    assert measured["columnMetrics"]["id"]["distinctCount"] == 2
    assert orders["inputFacets"]["subset"]["inputCondition"]["partitions"] == [{"dimensions": {"ds": "2013-02-08"}}]


def test_statistics_are_metrics(last: Any) -> None:
    found = {each["name"]: each["inputFacets"]["dataQualityMetrics"] for each in last("statistics")["inputs"]}
    assert {name: metrics["rowCount"] for name, metrics in found.items()} == {ORDERS: 2, RATES: 1}
    assert found[ORDERS]["columnMetrics"]["amount"].keys() >= {"min", "max"}
    assert names(last("zscore")["inputs"]) == [ORDERS]


def test_comparisons_of_queries(last: Any) -> None:
    event = last("compare")
    assert names(event["inputs"]) == [RATES, ORDERS]
    (test,) = event["run"]["facets"]["test"]["tests"]
    assert (test["name"], test["status"], test["type"]) == ("compare", "fail", "formula")
    event = last("compare_table")
    assert event["eventType"] == "COMPLETE", event["run"]["facets"].get("errorMessage")
    assert names(event["inputs"]) == [ORDERS, "things"]
    (orders,) = (each for each in event["inputs"] if each["name"] == ORDERS)
    assert assertions(orders["inputFacets"]) == [("compare_table", True)]


def test_a_database_that_the_provider_does_not_name(last: Any) -> None:
    (table,) = last("lite")["inputs"]
    assert table["namespace"].startswith("sqlite:///")
    assert (table["name"], assertions(table["inputFacets"])) == ("things", [("row_count", True)])


def test_a_task_that_failed_before_it_checked(last: Any) -> None:
    event = last("broken")
    assert (event["eventType"], names(event["inputs"])) == ("FAIL", [ORDERS])
    assert event["outputs"][0]["facets"] == {}


def test_every_task_tells_when_it_starts(events: list[Event]) -> None:
    started = {event["job"]["name"] for event in events if event["eventType"] == "START"}
    assert len(started & {event["job"]["name"] for event in events if event["eventType"] != "START"}) >= 17


def test_events_are_what_the_specification_says(events: list[Event]) -> None:
    assert [mistake for event in events for mistake in mistakes(event)] == []
    event = json.loads(json.dumps(next(each for each in events if each["job"]["name"] == "lineage.blocked"
                                       and each["eventType"] == "FAIL")))  # fmt: skip
    told = event["outputs"][0]["facets"]["dataQualityAssertions"]["assertions"][0]
    told["success"] = "yes"
    del told["assertion"]
    assert len(list(mistakes(event))) >= 2, "mistakes are found"


def test_without_the_provider_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_dataquality.operators.check import DataQualityCheckOperator

    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    task = DataQualityCheckOperator(task_id="a", conn_id="nowhere", table="t", checks=[{"check": "row_count",
                                    "condition": {"geq_to": 1}}])  # fmt: skip
    assert task.get_openlineage_facets_on_start() is None
    assert task.get_openlineage_facets_on_failure(None) is None
