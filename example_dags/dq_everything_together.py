"""From raw data to a report: wait, publish, check, summarize, and tell the next DAG how good it is.

1. ``wait`` is over when the day's flights are in the raw table; it costs no worker while it waits.
2. ``publish`` stages the day, checks it by fixed rules and by its own past, and makes it visible if it passes.
3. ``summarize`` brings what is known of each airline up to the day, and updates an asset.
4. ``dq_airline_report`` is run by the asset, and goes on only if the checks went well enough.

If a task fails, ``tell`` says what failed: replace its line by a notifier of Slack, e-mail or PagerDuty. Checks with a
``monitor`` also tell Datadog's on-call: ``airflow dq monitors`` exports them.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG

from airflow_dataquality.assets import table_asset
from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.gates import require_score
from airflow_dataquality.measures import Count, LastSeen, Rolling, Sum
from airflow_dataquality.messages import dq_failure_message
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.sensors.partition import PartitionSensor

AIRLINES = table_asset("warehouse", "analytics.airline_totals")


def tell(context: Any) -> None:
    """Say what failed."""
    logging.getLogger(__name__).error("%s", dq_failure_message(context))


with DAG(
    dag_id="dq_everything_together",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # a summary's day continues the day before
    default_args={"conn_id": "warehouse", "on_failure_callback": tell},
    tags=["data quality"],
    doc_md=__doc__,
):
    wait = PartitionSensor(task_id="wait", partitions="raw.flights/ds={{ ds }}", state="exists", min_rows=100)
    publish = StageCheckExchangeOperator(
        task_id="publish",
        table="analytics.carrier_days",
        sql="sql/daily_flights.sql",
        partition={"ds": "{{ ds }}"},
        checks=[
            check(
                "null_count",
                "carrier",
                equal_to=0,
                monitor={"notify": "@pagerduty-data", "renotify": 60, "priority": 2},
            ),
            check("unique_violations", ["ds", "carrier", "origin"], equal_to=0),
            # Judged once there are days enough to be compared with; until then it is skipped.
            anomaly("row_count", direction="drop", monitor={"notify": "@slack-data"}),
        ],
    )
    summarize = IncrementalSummaryOperator(
        task_id="summarize",
        source="analytics.carrier_days",
        summary="analytics.airline_totals",
        keys=["carrier"],
        partition_column="ds",
        partition="{{ ds }}",
        on_gap="catch_up",
        measures={
            "days_and_airports": Count(),
            "flights": Sum("flights"),
            "flights_7d": Rolling(Sum("flights"), days=7),
            "last_day": LastSeen(),
        },
        checks=[
            check("null_count", "carrier", equal_to=0),
            check("min", "flights", greater_than=0),
            check("row_count", geq_to=14, severity="warn", description="the airlines that usually fly"),
        ],
        outlets=[AIRLINES],
    )
    wait >> publish >> summarize

with DAG(
    dag_id="dq_airline_report",
    schedule=[AIRLINES],
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"conn_id": "warehouse", "on_failure_callback": tell},
    tags=["data quality"],
    doc_md=__doc__,
):
    require_score(at_least=0.95) >> SQLExecuteQueryOperator(
        task_id="report",
        sql="""
            CREATE TABLE IF NOT EXISTS analytics.airline_report (carrier text, flights numeric);
            TRUNCATE analytics.airline_report;
            INSERT INTO analytics.airline_report
            SELECT carrier, flights FROM analytics.airline_totals
            WHERE ds = (SELECT max(ds) FROM analytics.airline_totals);
        """,
    )
