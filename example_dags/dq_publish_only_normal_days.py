"""Publish a day of flights, unless its rows do not look like those of the days before.

The staged rows are compared with the table's own past: a day on which half of the rows are missing is blocked before
anyone sees it. Only a drop blocks; a record day is good news.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG(
    dag_id="dq_publish_only_normal_days",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    params={"airports": ["EWR", "JFK", "LGA"]},
    tags=["data quality"],
    doc_md=__doc__,
):
    StageCheckExchangeOperator(
        task_id="publish",
        conn_id="warehouse",
        table="analytics.departures",
        sql="""
            SELECT ds, carrier, origin, dest, dep_time, dep_delay
            FROM raw.flights
            WHERE ds = '{{ ds }}'
              AND origin IN ('{{ params.airports | join("', '") }}')
        """,
        partition={"ds": "{{ ds }}"},
        checks=[
            check("null_count", "carrier", equal_to=0),
            anomaly("row_count", direction="drop"),
            anomaly("null_ratio", "dep_time", severity="warn"),
        ],
    )
