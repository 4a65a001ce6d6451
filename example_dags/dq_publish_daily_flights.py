"""Publish one day of flights: stage it, check it, and exchange it for what production holds.

Analysts see the day's old rows or its new rows, and new rows only if no check of severity ``error`` failed.
A day can be run again, in any order: the partition is replaced, never added to.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG(
    dag_id="dq_publish_daily_flights",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    StageCheckExchangeOperator(
        task_id="publish_daily_flights",
        conn_id="warehouse",
        table="analytics.daily_flights",
        sql="sql/daily_flights.sql",
        partition={"ds": "{{ ds }}"},
        checks=[
            check("row_count", greater_than=0),
            check("null_count", "carrier", equal_to=0),
            check("unique_violations", ["ds", "carrier", "origin"], equal_to=0),
            check("values_outside", "origin", values=["EWR", "JFK", "LGA"], equal_to=0),
            # Warnings are recorded and reported, and the day is published: a storm is real data.
            check("mean", "dep_delay", geq_to=-20, leq_to=120, severity="warn"),
            check(
                "custom_sql",
                name="cancelled_share",
                sql="SELECT sum(cancelled) * 1.0 / sum(flights) FROM {table}",
                leq_to=0.25,
                severity="warn",
            ),
        ],
    )
