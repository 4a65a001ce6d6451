"""Be told in Datadog when a task fails, whatever the task does.

The operators of this package send events of their own for what they block. The notifier is for the tasks around them.
If Datadog cannot be reached, that is a warning in the task's log.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG

from airflow_dataquality.notifications.datadog import DatadogNotifier

with DAG(
    dag_id="dq_failures_in_datadog",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"on_failure_callback": DatadogNotifier(datadog_conn_id="datadog", tags={"team": "flights"})},
    tags=["data quality"],
    doc_md=__doc__,
):
    SQLExecuteQueryOperator(
        task_id="refresh_report",
        conn_id="warehouse",
        sql="REFRESH MATERIALIZED VIEW analytics.flights_per_airline",
    )
