"""Compute a range of days anew, each chunk of it as a task of its own, on as many workers as there are.

The same work as one operator does, as a group of tasks: the plan, the chunks, the comparison with production, and the
exchange of the whole range.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_dataquality.checks import check
from airflow_dataquality.operators.parallel_backfill import parallel_backfill

with DAG(
    dag_id="dq_backfill_on_many_workers",
    schedule=None,
    catchup=False,
    params={
        "start": Param("2013-01-01", type="string", format="date"),
        "end": Param("2013-12-31", type="string", format="date"),
    },
    tags=["data quality"],
    doc_md=__doc__,
):
    parallel_backfill(
        "backfill_daily_flights",
        conn_id="warehouse",
        table="analytics.daily_flights",
        sql="sql/daily_flights.sql",
        partition_column="ds",
        start="{{ params.start }}",
        end="{{ params.end }}",
        days_per_chunk=30,
        checks=[check("null_count", "carrier", equal_to=0)],
        compare_with_production=[check("row_count_ratio", geq_to=0.9, leq_to=1.1)],
        chunk_arguments={"retries": 2},
    )
