"""Look every day for numbers that do not look like those of the days before.

The first run measures the days that the table already holds, so that there is no cold start. Anomalies are warnings:
they are in the log, in the ledger and in the task's result, and the task succeeds.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator

with DAG(
    dag_id="dq_anomalies_flights",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    # Every column of every table, one scan each: what baselines and people look back at.
    TableStatisticsOperator(
        task_id="statistics",
        conn_id="warehouse",
        tables="raw.fl*",
        partition={"ds": "{{ ds }}"},
        since_last=True,
    )
    ZScoreAnomalyOperator(
        task_id="anomalies",
        conn_id="warehouse",
        table="raw.flights",
        partition={"ds": "{{ ds }}"},
        metrics=["row_count", "null_ratio:dep_time", "null_ratio:tailnum", "mean:dep_delay", "mean:distance"],
        dimensions=["origin"],
        window=90,
        severity="warn",
    )
