"""Wait until a day of flights is published after its checks passed, then build on it.

The task that waits is deferred, and takes no worker. A day that was rejected, or that is half loaded, does not release
it. What is built is an asset, whose events tell of each day that was published.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.assets import table_asset
from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.sensors.partition import PartitionSensor

with DAG(
    dag_id="dq_wait_for_partitions",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    wait = PartitionSensor(
        task_id="wait_for_daily_flights",
        conn_id="warehouse",
        partitions="analytics.daily_flights/ds={{ ds }}",
        min_score=0.9,
        poke_interval=5,
        timeout=6 * 60 * 60,
    )
    publish = StageCheckExchangeOperator(
        task_id="publish_flights_per_origin",
        conn_id="warehouse",
        table="analytics.flights_per_origin",
        sql="""
            SELECT ds, origin, sum(flights) AS flights FROM analytics.daily_flights
            WHERE ds = '{{ ds }}' GROUP BY ds, origin
        """,
        partition={"ds": "{{ ds }}"},
        checks=[check("unique_violations", ["ds", "origin"], equal_to=0)],
        outlets=[table_asset("warehouse", "analytics.flights_per_origin")],
    )
    wait >> publish
