"""Check a table that something else fills: measure, judge and record, without staging anything."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.operators.check import DataQualityCheckOperator

with DAG(
    dag_id="dq_check_existing_table",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    DataQualityCheckOperator(
        task_id="check_raw_flights",
        conn_id="warehouse",
        table="raw.flights",
        partition={"ds": "{{ ds }}"},
        checks=[
            check("row_count", geq_to=500),
            check("null_ratio", "tailnum", leq_to=0.05, severity="warn"),
            check("pattern_violations", "dest", pattern="^[A-Z]{3}$", equal_to=0),
            check("min", "distance", greater_than=0),
            check("quantile", "dep_delay", q=0.5, leq_to=30, severity="warn"),
            check(
                "orphan_count",
                "carrier",
                references="raw.airlines",
                referenced_columns=["carrier"],
                equal_to=0,
                description="every airline is in the list of airlines",
            ),
        ],
        fail_on="error",
    )
