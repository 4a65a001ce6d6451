"""Compute a range of days anew and make all of them visible at once, in one task.

Trigger it by hand and say from when to when. The days are computed by the SQL of the daily run, a week at a time and
four weeks side by side, and compared with what production holds: airports must not vanish, and delays must not be
others. If they do, or the run is stopped, production stays as it was; run it again, and it goes on where it was.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from airflow_dataquality.checks import check
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator

with DAG(
    dag_id="dq_backfill_daily_flights",
    schedule=None,
    catchup=False,
    params={
        "start": Param("2013-01-01", type="string", format="date"),
        "end": Param("2013-12-31", type="string", format="date"),
    },
    tags=["data quality"],
    doc_md=__doc__,
):
    ParallelBackfillOperator(
        task_id="backfill_daily_flights",
        conn_id="warehouse",
        table="analytics.daily_flights",
        sql="sql/daily_flights.sql",
        partition_column="ds",
        start="{{ params.start }}",
        end="{{ params.end }}",
        days_per_chunk=7,
        max_parallel=4,
        checks=[
            check("null_count", "carrier", equal_to=0),
            check("unique_violations", ["ds", "carrier", "origin"], equal_to=0),
        ],
        compare_with_production=[
            check("row_count_ratio", geq_to=0.9, leq_to=1.1),
            check("lost_keys", ["origin"], equal_to=0),
            check("mean_shift", "dep_delay", leq_to=0.5, severity="warn"),
        ],
        skip_unchanged=True,
    )
