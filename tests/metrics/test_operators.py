"""What each operator says of its work: a real run on Postgres, and real datagrams."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG
from metrics.lab import CONTEXT, KEY, Agent, FakeDatadog, Heard

from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.measures import Count, Sum
from airflow_dataquality.operators import _metrics
from airflow_dataquality.operators._backfill_tasks import CompareBackfill, ExchangeBackfill, PlanBackfill, StageChunk
from airflow_dataquality.operators.anomaly_test import AnomalyTestOperator
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator, summary_from_config
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator, parallel_backfill
from airflow_dataquality.operators.redshift_upsert import RedshiftUpsertOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from airflow_dataquality.operators.upsert import UpsertOperator
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator
from airflow_dataquality.telemetry import CATALOGUE

Connection = psycopg.Connection[Any]

EVERY = {"task.finished", "duration.task"}
CHECKED = {f"checks.{name}" for name in ("passed", "warned", "failed", "skipped", "errored", "score")}
OF_CHECKS = {*CHECKED, "check.status", "check.value"}
LOADED = {"rows.staged", "rows.published", *(f"duration.{step}" for step in ("staging", "checks", "exchange"))}
PROGRESS = {f"backfill.{name}" for name in ("chunks_done", "chunks_total", "rows", "rows_per_second", "seconds_left")}
RANGE = "SELECT * FROM w.orders WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'"
DAY = "2013-01-30"
ONE = {"ds": DAY}


def run(kind: type[Any], **arguments: Any) -> Any:
    """Run an operator as a worker does; what it returns."""
    named = {"task_id": "t", "conn_id": "warehouse", "datadog_conn_id": "datadog", **arguments}
    return kind(**named).execute(CONTEXT)


def fails(kind: type[Any], **arguments: Any) -> None:
    with pytest.raises(AirflowException):
        run(kind, **arguments)


def publishes(**arguments: Any) -> Any:
    given = {"table": "w.daily", "sql": "SELECT * FROM w.orders", **arguments}
    return run(StageCheckExchangeOperator, **given)


def rejected() -> None:
    fails(StageCheckExchangeOperator, table="w.daily", sql=f"SELECT * FROM w.orders WHERE ds = '{DAY}'", partition=ONE,
          checks=[check("row_count", leq_to=2), check("mean", "id", geq_to=20, severity="warn")])  # fmt: skip


def broken() -> None:
    fails(StageCheckExchangeOperator, table="w.daily", sql="SELECT * FROM w.nothing")


def upserts() -> None:
    run(UpsertOperator, table="w.orders", keys=["ds", "id"], sql=f"SELECT * FROM w.orders WHERE ds = '{DAY}'",
        checks=[check("row_count", geq_to=1)])  # fmt: skip


def checked() -> None:
    fails(DataQualityCheckOperator, table="w.orders", partition=ONE, checks=[
        check("row_count", geq_to=1, leq_to=5), check("freshness", "at", leq_to="26h"),
        check("mean", "amount", geq_to=1000, severity="warn"),
        check("max", "amount", leq_to=1000, partition_clause="id < 0"),
        check("custom_sql", name="broken", sql="SELECT 1 / (count(*) - count(*)) FROM {table}", equal_to=0),
    ])  # fmt: skip


def anomalous() -> None:
    run(ZScoreAnomalyOperator, table="w.orders", partition={"ds": "2013-01-30"}, metrics=["row_count"],
        baseline="zscore")  # fmt: skip


def statistics() -> None:
    run(TableStatisticsOperator, tables="w.*", partition=ONE, since_last=True)


def experiment() -> None:
    fails(AnomalyTestOperator, control_sql="SELECT 1 AS n", experiment_sql="SELECT 2 AS n",
          formula="experiment.n == control.n")  # fmt: skip


def summarized() -> None:
    run(IncrementalSummaryOperator, summary="w.totals", source="w.orders", keys=["id"], partition_column="ds",
        partition="2013-01-03", measures={"orders": Count(), "amount": Sum("amount")},
        checks=[check("row_count", geq_to=1)])  # fmt: skip


def caught_up() -> None:
    given = {"summary": "w.totals", "source": "w.orders", "keys": ["id"], "partition_column": "ds",
             "measures": {"orders": Count()}, "on_gap": "catch_up"}  # fmt: skip
    for day in ("2013-01-03", "2013-01-06"):
        run(IncrementalSummaryOperator, partition=day, **given)


BACKFILL: dict[str, Any] = {
    "table": "w.daily", "sql": RANGE, "partition_column": "ds", "start": "2013-01-01", "end": "2013-01-10",
}  # fmt: skip


def backfilled() -> None:
    run(ParallelBackfillOperator, days_per_chunk=3, compare_with_production=[check("row_count_ratio", geq_to=0.5)],
        **BACKFILL)  # fmt: skip


def group() -> None:
    (first, *rest) = plan = run(PlanBackfill, task_id="plan", **BACKFILL)
    for chunk in (first, *rest):
        run(StageChunk, task_id="chunk", chunk=chunk, **BACKFILL)
    run(CompareBackfill, task_id="compare", plan=plan, **BACKFILL)
    run(ExchangeBackfill, task_id="exchange", plan=plan, **BACKFILL)


SCENARIOS: dict[Callable[[], Any], set[str]] = {
    publishes: {*EVERY, *LOADED},
    rejected: {*EVERY, *OF_CHECKS, "check.low", "check.high", "rows.staged", "rows.rejected", "duration.staging",
               "duration.checks"},
    broken: EVERY,
    upserts: {*EVERY, *OF_CHECKS, *LOADED, "check.low", "rows.inserted", "rows.updated", "rows.unchanged",
              "duration.lock_wait"},
    checked: {*EVERY, *OF_CHECKS, "check.low", "check.high", "rows.checked", "freshness"},
    anomalous: {*EVERY, *OF_CHECKS, "check.low", "check.high", "rows.checked", "anomalies", "anomaly.score",
                "anomaly.expected"},
    statistics: {*EVERY, "statistics.metrics", "statistics.partitions", "rows.checked", "freshness"},
    experiment: {*EVERY, *CHECKED, "check.status"},
    summarized: {*EVERY, *LOADED, *OF_CHECKS, "check.low"},
    caught_up: {*EVERY, *LOADED, *PROGRESS, "backfill.partitions", "backfill.unchanged", "duration.lock_wait"},
    backfilled: {*EVERY, *(LOADED - {"rows.staged"}), *PROGRESS, *CHECKED, "backfill.partitions", "backfill.unchanged"},
    group: {*EVERY, *LOADED, "backfill.partitions", "backfill.unchanged", "backfill.differing"},
}  # fmt: skip
"""What is run → the names of all that it says."""


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_names(scenario: Callable[[], Any], db: Connection, agent: Agent) -> None:
    scenario()
    heard = agent.heard()
    optional = {"dataquality.duration.lock_wait"}  # only where somebody else holds one, or the mode asks for one
    assert heard.names | optional == {f"dataquality.{name}" for name in SCENARIOS[scenario]} | optional
    for metric in heard.metrics:
        assert metric.tags["dag"] == "flights"
        assert metric.tags["env"] == "test"
        assert {"task"} <= metric.tags.keys()


def test_every_name_of_the_catalogue_is_said_by_some_operator() -> None:
    assert {f"dataquality.{name}" for names in SCENARIOS.values() for name in names} == set(CATALOGUE)


# -- what they say


def test_a_publication(db: Connection, agent: Agent) -> None:
    publishes(sql=f"SELECT * FROM w.orders WHERE ds = '{DAY}'", partition=ONE, checks=[
        check("row_count", geq_to=1), check("mean", "id", leq_to=2, severity="warn"),
    ])  # fmt: skip
    heard = agent.heard()
    tags = {"dag": "flights", "task": "t", "table": "w.daily", "grain": "day", "env": "test"}
    assert all(tags.items() <= metric.tags.items() for metric in heard.metrics)
    assert [heard.value(name) for name in ("rows.staged", "rows.published")] == [22, 22]
    assert [heard.value(f"checks.{name}") for name in ("passed", "warned", "failed", "skipped", "errored")] == [
        1, 1, 0, 0, 0,
    ]  # fmt: skip
    assert heard.value("checks.score") == 0.875
    row_count, mean = {"check": "row_count", "severity": "error"}, {"check": "mean_id", "severity": "warn"}
    assert [heard.value(f"check.{name}", **row_count) for name in ("status", "value", "low")] == [0, 22, 1]
    assert [heard.value(f"check.{name}", **mean) for name in ("status", "value", "high")] == [1, 11.5, 2]
    assert heard.value("task.finished", outcome="succeeded") == 1
    steps = [heard.value(f"duration.{step}") for step in ("staging", "checks", "exchange")]
    assert all(seconds > 0 for seconds in steps)
    assert sum(steps) < heard.value("duration.task") < 30
    assert heard.service_checks == ["_sc|dataquality.table|1|#dag:flights,env:test,grain:day,table:w.daily,task:t"]
    assert heard.events == []


def test_a_rejection(db: Connection, agent: Agent) -> None:
    rejected()
    heard = agent.heard()
    assert heard.value("rows.rejected") == 22
    assert heard.all("rows.published") == []
    assert heard.value("checks.failed") == 1
    assert heard.value("task.finished", outcome="blocked") == 1
    (event,) = heard.events
    assert f":w.daily/ds={DAY} was not published: 1 of 2 checks block it, production is unchanged|" in event
    assert "row_count [error]: row_count is 22, expected <= 2" in event
    assert "DAG flights, task t, run manual, try 1|k:dataquality w.daily|s:airflow|t:error|#" in event
    (service_check,) = heard.service_checks
    assert service_check.startswith("_sc|dataquality.table|2|#dag:flights,env:test,grain:day,table:w.daily,task:t|m:")


def test_an_error_that_is_no_check(db: Connection, agent: Agent) -> None:
    broken()
    heard = agent.heard()
    assert heard.value("task.finished", outcome="failed") == 1
    assert heard.events == []
    (service_check,) = heard.service_checks
    assert service_check.startswith("_sc|dataquality.table|3|#dag:flights,env:test,grain:table,table:w.daily,task:t|m:")


@pytest.mark.parametrize("table", ["{{ params.table }}", "not a name"])
def test_a_table_that_nobody_knows(table: str, db: Connection, agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    operator = StageCheckExchangeOperator(
        task_id="t", conn_id="warehouse", table="w.t", sql="SELECT 1 AS n", datadog_conn_id="datadog"
    )
    operator.table = table
    with pytest.raises(AirflowException):
        operator.execute({})
    heard = agent.heard()
    assert heard.all("task.finished", outcome="failed")[0].tags == {"task": "t", "outcome": "failed", "env": "test"}
    assert heard.service_checks == []
    assert "Metrics" not in caplog.text


def test_an_upsert(db: Connection, agent: Agent) -> None:
    rows = [{"ds": DAY, "id": 1, "amount": 1.5, "at": None}, {"ds": DAY, "id": 99, "amount": 1, "at": None}]
    run(UpsertOperator, table="w.orders", keys=["ds", "id"], rows=rows, update_columns=["amount"], skip_unchanged=True)
    heard = agent.heard()
    numbers = {
        name: heard.value(f"rows.{name}") for name in ("staged", "published", "inserted", "updated", "unchanged")
    }
    assert numbers == {"staged": 2, "published": 1, "inserted": 1, "updated": 0, "unchanged": 1}


def test_checks_of_a_table(db: Connection, agent: Agent) -> None:
    checked()
    heard = agent.heard()
    assert heard.value("rows.checked") == 22
    assert [heard.value(f"checks.{name}") for name in ("passed", "warned", "failed", "skipped", "errored")] == [
        1, 1, 1, 1, 1,
    ]  # fmt: skip
    assert {metric.tags["check"]: metric.value for metric in heard.all("check.status")} == {
        "broken": 2, "row_count": 2, "mean_amount": 1, "freshness_at": 0,
    }  # fmt: skip
    assert 3600 <= heard.value("freshness", column="at") < 3700
    assert heard.value("check.high", check="freshness_at") == 26 * 3600
    (event,) = heard.events
    assert "row_count is 22, expected between 1 and 5" in event


def test_an_anomaly(db: Connection, agent: Agent) -> None:
    db.execute(f"DELETE FROM w.orders WHERE ds = '{DAY}' AND id > 2")
    anomalous()
    heard = agent.heard()
    assert heard.value("anomalies") == 1
    assert heard.value("anomaly.score", check="row_count") < -5
    assert heard.value("check.value", check="row_count") == 2
    assert heard.value("check.low", check="row_count") < heard.value("anomaly.expected", check="row_count") < 23
    (event,) = heard.events
    assert f":1 anomalies in w.orders/ds={DAY}|  - row_count: " in event
    assert "|t:warning|" in event
    assert heard.service_checks[0].startswith("_sc|dataquality.table|1|")


def test_an_anomaly_that_blocks_is_one_event(db: Connection, agent: Agent) -> None:
    run(TableStatisticsOperator, table="w.orders", partition=ONE, since_last=True)
    agent.datagrams()
    db.execute("CREATE TABLE w.few AS SELECT '2013-01-31'::date AS ds, 1 AS id, 1.0 AS amount, now() AS at")
    fails(StageCheckExchangeOperator, table="w.orders", sql="SELECT * FROM w.few", partition={"ds": "2013-01-31"},
          checks=[anomaly("row_count", severity="error")])  # fmt: skip
    heard = agent.heard()
    assert heard.value("anomalies") == 1
    assert [event.rpartition("t:")[2].partition("|")[0] for event in heard.events] == ["error"]


def test_statistics_of_many_tables(db: Connection, agent: Agent) -> None:
    db.execute("CREATE TABLE w.other AS SELECT * FROM w.orders WHERE ds < '2013-01-11'")
    statistics()
    heard = agent.heard()
    assert {m.tags["table"]: m.value for m in heard.all("statistics.partitions")} == {"w.orders": 30, "w.other": 11}
    assert {m.tags["table"]: m.value for m in heard.all("rows.checked")} == {"w.orders": 630, "w.other": 209}
    assert {m.tags["column"] for m in heard.all("freshness", table="w.orders")} == {"at"}
    assert heard.service_checks == []  # nothing was judged


def test_a_backfill(db: Connection, agent: Agent) -> None:
    backfilled()
    heard = agent.heard()
    assert heard.value("rows.published") == 209
    assert heard.value("backfill.partitions") == 10
    assert [heard.value(f"backfill.{name}") for name in ("chunks_done", "chunks_total", "rows")] == [4, 4, 209]
    assert heard.value("backfill.rows_per_second", grain="day", table="w.daily") > 0
    # One check of ten partitions is one metric.
    assert heard.value("checks.skipped") == 10


def test_progress_is_told_now_and_then(db: Connection, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_metrics, "PROGRESS", 0.0)
    backfilled()
    assert sorted(metric.value for metric in agent.heard().all("backfill.chunks_done")) == [1, 2, 3, 4, 4]


def test_a_backfill_whose_chunks_fail(db: Connection, agent: Agent) -> None:
    fails(ParallelBackfillOperator, **{**BACKFILL, "sql": RANGE.replace("w.orders", "w.orders, (SELECT 1 / 0) AS f")},
          chunk_retries=0)  # fmt: skip
    heard = agent.heard()
    assert heard.value("task.finished", outcome="failed", table="w.daily", grain="day") == 1


def test_waiting_for_a_lock_is_told(db: Connection, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    publishes()
    agent.datagrams()
    with psycopg.connect(db.info.dsn, password=db.info.password) as other:
        other.execute("LOCK TABLE w.daily IN ACCESS SHARE MODE")
        fails(StageCheckExchangeOperator, table="w.daily", sql="SELECT * FROM w.orders", exchange="swap",
              exchange_timeout=0.5)  # fmt: skip
    heard = agent.heard()
    waited = heard.value("duration.lock_wait")
    assert 0.3 < waited < heard.value("duration.exchange")
    assert heard.value("task.finished", outcome="failed") == 1


def test_redshift(redshift: Any, agent: Agent) -> None:
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE customers (id int, name varchar(10))")
    run(RedshiftUpsertOperator, conn_id="redshift", table="public.customers", keys=["id"],
        rows=[{"id": 1, "name": "x"}])  # fmt: skip
    heard = agent.heard()
    assert heard.value("rows.inserted") == 1
    assert heard.value("rows.published", table="public.customers", grain="table") == 1


# -- who says it


def test_one_flush_for_each_task(db: Connection, api: FakeDatadog) -> None:
    publishes(checks=[check("row_count", geq_to=1), check("mean", "id", geq_to=0)])
    assert [path for path, _, _ in api.requests] == [
        "/api/v2/series", "/api/v1/distribution_points", "/api/v1/check_run",
    ]  # fmt: skip


def test_the_configuration_names_the_connection(db: Connection, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    publishes(datadog_conn_id=None)
    assert agent.lines() == []
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__DATADOG_CONN_ID", "datadog")
    publishes(datadog_conn_id=None)
    assert agent.heard().value("rows.published") == 630


def test_max_tag_values_keeps_the_worst(db: Connection, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__MAX_TAG_VALUES", "2")
    checks = [check("row_count", name=f"c{n}", geq_to=1) for n in range(4)]
    fails(StageCheckExchangeOperator, table="w.daily", sql="SELECT * FROM w.orders",
          checks=[*checks, check("row_count", name="bad", leq_to=1)])  # fmt: skip
    assert {m.tags["check"]: m.value for m in agent.heard().all("check.status")} == {"bad": 2, "c0": 0, "other": 0}


def test_default_args_groups_and_files_know_the_argument(tmp_path: Path) -> None:
    with DAG("d", schedule=None, default_args={"datadog_conn_id": "datadog"}):
        operator = DataQualityCheckOperator(task_id="t", conn_id="w", table="t", checks=[check("row_count", geq_to=1)])
        group = parallel_backfill(conn_id="w", **{**BACKFILL, "datadog_conn_id": "other"})
    assert operator.datadog_conn_id == "datadog"
    assert {task.datadog_conn_id for task in group if task.task_id.endswith("plan")} == {"other"}
    (tmp_path / "totals.yaml").write_text(
        "summary: w.totals\nsource: w.orders\nkeys: [id]\npartition_column: ds\npartition: '{{ ds }}'\n"
        "measures: {orders: count}\nconn_id: w\ndatadog_conn_id: third\n"
    )
    with DAG("e", schedule=None, template_searchpath=str(tmp_path)):
        assert summary_from_config("totals.yaml").datadog_conn_id == "third"


# -- an outage changes nothing else


@pytest.mark.parametrize("kind", ["dead agent", "403", "500", "slow answers"])
def test_an_outage_changes_no_outcome_and_costs_less_than_a_second(
    kind: str, db: Connection, api: FakeDatadog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_metrics, "PROGRESS", 0.0)
    monkeypatch.setenv("AIRFLOW_CONN_FINE", json.dumps(api.connection))

    def took(work: Callable[[], Any]) -> float:
        started = time.monotonic()
        work()
        return time.monotonic() - started

    usual = took(backfilled)
    if kind == "dead agent":
        dead = {"conn_type": "dq_datadog", "host": "127.0.0.1", "port": 9}
        monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(dead))
    elif kind == "slow answers":
        api.answers.clear()
    else:
        api.status = int(kind)
    with caplog.at_level(logging.WARNING, logger="airflow_dataquality"):
        assert took(backfilled) - usual < 1
        assert publishes()["published"]
        rejected()
    # Of a task that would have flushed five times the first failure is told, and the others are not tried.
    told = [text for text in caplog.messages if "Metrics were not sent" in text]
    assert len(told) == 3
    assert KEY not in caplog.text


def test_a_mistake_in_telling_is_a_warning(
    db: Connection, agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_metrics.observed, "of_summary", lambda *_: 1 / 0)
    with caplog.at_level(logging.WARNING, logger="airflow_dataquality"):
        assert publishes(checks=[check("row_count", geq_to=1)])["published"]
    assert [text for text in caplog.messages if "Metrics are incomplete" in text]


def test_no_secret_is_told(db: Connection, api: FakeDatadog) -> None:
    publishes()
    rejected()
    sent = b"".join(body for _, _, body in api.requests)
    assert KEY.encode() not in sent
    assert Heard.of([]) == Heard()
