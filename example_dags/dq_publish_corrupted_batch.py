"""See a publication blocked: this batch holds every row twice, the second time without some carriers.

The task fails, production is untouched, and the log names the table in which the rejected rows are kept.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG(
    dag_id="dq_publish_corrupted_batch",
    schedule=None,
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    tags=["data quality"],
    doc_md=__doc__,
):
    StageCheckExchangeOperator(
        task_id="publish_corrupted_batch",
        conn_id="warehouse",
        table="analytics.daily_flights",
        sql="sql/corrupted_batch.sql",
        partition={"ds": "{{ ds }}"},
        checks="checks/daily_flights.yaml",
        retries=0,  # the rows do not get better by trying again
    )
