"""See in Datadog what was published, how long it took, and what the checks found.

The connection `datadog` leads to an agent (a host, or a socket) or to Datadog's API (a key). An agent that is dead
is a warning in the log: the day is published all the same.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.notifications.datadog import DatadogNotifier
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG(
    dag_id="dq_metrics_in_datadog",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={
        "datadog_conn_id": "datadog",
        "on_failure_callback": DatadogNotifier(datadog_conn_id="datadog", tags={"team": "flights"}),
    },
    tags=["data quality"],
    doc_md=__doc__,
):
    published = StageCheckExchangeOperator(
        task_id="publish_daily_flights",
        conn_id="warehouse",
        table="analytics.daily_flights",
        sql="sql/daily_flights.sql",
        partition={"ds": "{{ ds }}"},
        checks=[
            check("row_count", greater_than=0),
            check("null_count", "carrier", equal_to=0),
            check("mean", "dep_delay", geq_to=-20, leq_to=120, severity="warn"),
        ],
    )
    checked = DataQualityCheckOperator(
        task_id="check_cancellations",
        conn_id="warehouse",
        table="analytics.daily_flights",
        partition={"ds": "{{ ds }}"},
        checks=[
            check(
                "custom_sql",
                name="cancelled_share",
                sql="SELECT sum(cancelled) * 1.0 / sum(flights) FROM {table}",
                leq_to=0.25,
            ),
        ],
        retry_on_failure=False,
    )
    published >> checked
