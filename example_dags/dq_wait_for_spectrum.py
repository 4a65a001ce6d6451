"""Wait until a day of an external table is registered, then bring what matters of it into Redshift.

Files in S3 are seen by queries of Redshift Spectrum only once the catalog has their partition. Until then the task
that waits is deferred, and takes no worker.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.sensors.partition import RedshiftExternalPartitionSensor

with DAG(
    dag_id="dq_wait_for_spectrum",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    wait = RedshiftExternalPartitionSensor(
        task_id="wait_for_clicks",
        conn_id="redshift_default",
        partitions=[f"spectrum.clicks/ds={{{{ ds }}}}/region={region}" for region in ("EU", "US")],
        timeout=6 * 60 * 60,
    )
    publish = StageCheckExchangeOperator(
        task_id="publish_clicks_per_page",
        conn_id="redshift_default",
        table="public.clicks_per_page",
        sql="""
            SELECT CAST(ds AS DATE) AS ds, page, COUNT(*) AS clicks FROM spectrum.clicks
            WHERE ds = '{{ ds }}' GROUP BY ds, page
        """,
        partition={"ds": "{{ ds }}"},
        checks=[check("unique_violations", ["ds", "page"], equal_to=0)],
    )
    wait >> publish
