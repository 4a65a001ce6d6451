"""Load files from S3 into Redshift: customers are upserted, a day's orders take the place of the day's old ones.

COPY fills a staging table, where keys are looked at and checks run. Only then is the table touched, in one
transaction. The cluster reads the files by an IAM role: no access key is in any statement or log.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.operators.redshift_upsert import RedshiftUpsertOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

# A role that is attached to the cluster and may read the bucket; "default" is the cluster's default role.
ROLE = "arn:aws:iam::123456789012:role/redshift-copy"

with DAG(
    dag_id="redshift_customers",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["data quality"],
    doc_md=__doc__,
):
    create_tables = SQLExecuteQueryOperator(
        task_id="create_tables",
        conn_id="redshift_default",
        sql=[
            """CREATE TABLE IF NOT EXISTS public.customer (
                customer_uuid VARCHAR(36) NOT NULL, email VARCHAR(256), city VARCHAR(100), updated_at TIMESTAMP
            ) DISTKEY (customer_uuid) SORTKEY (updated_at)""",
            """CREATE TABLE IF NOT EXISTS public.customer_order (
                order_id BIGINT NOT NULL, ds DATE NOT NULL, customer_uuid VARCHAR(36), amount NUMERIC(12, 2)
            ) DISTKEY (customer_uuid) SORTKEY (ds)""",
        ],
    )

    upsert_customers = RedshiftUpsertOperator(
        task_id="upsert_customers",
        conn_id="redshift_default",
        table="public.customer",
        keys=["customer_uuid"],
        s3_uri="s3://lake/customers/{{ ds }}/",
        copy_options=["FORMAT AS PARQUET"],
        iam_role=ROLE,
        on_duplicate_keys="keep_last",
        order_by="updated_at",
        skip_unchanged=True,  # rows that are in the table as they are, are not written again
        checks=[
            check("row_count", greater_than=0),
            check("null_ratio", "email", leq_to=0.1, severity="warn"),
        ],
    )

    publish_orders = StageCheckExchangeOperator(
        task_id="publish_orders",
        conn_id="redshift_default",
        table="public.customer_order",
        s3_uri="s3://lake/orders/{{ ds }}/",
        copy_options=["FORMAT AS CSV", "IGNOREHEADER 1"],
        iam_role=ROLE,
        partition={"ds": "{{ ds }}"},
        checks=[
            check("unique_violations", "order_id", equal_to=0),
            check("min", "amount", geq_to=0),
            check(
                "orphan_count",
                "customer_uuid",
                references="public.customer",
                referenced_columns=["customer_uuid"],
                equal_to=0,
                description="every order is by a customer that is known",
            ),
        ],
    )

    create_tables >> upsert_customers >> publish_orders
