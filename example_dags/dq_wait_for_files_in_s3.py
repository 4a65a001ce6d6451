"""Wait until a day's files are in S3, then load them into Redshift.

Whoever writes the files writes ``_SUCCESS`` last. Until then the task that waits is deferred, and takes no worker.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.sensors.partition import S3PartitionSensor

with DAG(
    dag_id="dq_wait_for_files_in_s3",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    wait = S3PartitionSensor(
        task_id="wait_for_orders",
        partitions="s3://lake/orders/{{ ds }}/",
        marker="_SUCCESS",
        timeout=6 * 60 * 60,
    )
    publish = StageCheckExchangeOperator(
        task_id="publish_orders",
        conn_id="redshift_default",
        table="public.customer_order",
        s3_uri="s3://lake/orders/{{ ds }}/part-",  # what begins so: the marker is no data
        copy_options=["FORMAT AS CSV", "IGNOREHEADER 1"],
        iam_role="default",
        partition={"ds": "{{ ds }}"},
        checks=[check("unique_violations", "order_id", equal_to=0)],
    )
    wait >> publish
