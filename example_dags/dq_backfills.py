"""Jobs that can be backfilled from the data quality pages: a line each.

Each line makes a DAG, which starts by itself never: somebody says in a form from when to when, how many processes
compute at the same time, and how many days each statement of theirs computes. The rows are staged, checked and compared
with production; then the same person looks at what would change, and has it published or discarded.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.backfill_dag import backfill_dag
from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG(
    dag_id="dq_publish_flights_by_carrier",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    publish = StageCheckExchangeOperator(
        task_id="publish",
        conn_id="warehouse",
        table="analytics.flights_by_carrier",
        sql="sql/daily_flights.sql",
        partition={"ds": "{{ ds }}"},
        checks=[check("null_count", "carrier", equal_to=0)],
    )

backfill_dag(
    "dq_backfills",
    of=publish,
    compare_with_production=[
        check("row_count_ratio", geq_to=0.5, leq_to=2),
        check("lost_keys", ["origin"], equal_to=0, severity="warn"),
    ],
    skip_unchanged=True,
)
