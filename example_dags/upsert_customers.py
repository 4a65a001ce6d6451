"""Upsert rows on Postgres: customers that Python fetches, and aircraft from a SELECT.

New rows are inserted and known ones updated, all at once, after their keys were looked at and their checks passed.
A day can be run again, and days in any order: rows that are older than what the table holds are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, get_current_context

from airflow_dataquality.checks import check
from airflow_dataquality.operators.upsert import UpsertOperator


def changed_customers() -> Iterator[list[dict[str, Any]]]:
    """Yield the customers that changed on the day, a batch at a time. Yours would ask an API for page after page."""
    day = get_current_context()["ds"]
    for page in range(3):
        yield [
            {
                "customer_id": 100 * page + number,
                "email": f"customer-{100 * page + number}@example.com",
                "city": ("New York", "Newark", None)[number % 3],
                "updated_at": f"{day} {page + 8:02}:{number:02}:00+00",
            }
            for number in range(40)
        ]


with DAG(
    dag_id="upsert_customers",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["data quality"],
    doc_md=__doc__,
):
    create_tables = SQLExecuteQueryOperator(
        task_id="create_tables",
        conn_id="warehouse",
        sql=[
            """CREATE TABLE IF NOT EXISTS analytics.customers (
                customer_id bigint PRIMARY KEY, email text NOT NULL, city text, updated_at timestamptz NOT NULL,
                first_loaded_at timestamptz NOT NULL DEFAULT now())""",
            """CREATE TABLE IF NOT EXISTS analytics.aircraft (
                tailnum text PRIMARY KEY, carrier text, last_destination text, last_seen timestamptz)""",
        ],
    )

    upsert_customers = UpsertOperator(
        task_id="upsert_customers",
        conn_id="warehouse",
        table="analytics.customers",
        keys=["customer_id"],
        rows=changed_customers,  # called when the task runs; its batches go to COPY and are not held in memory
        on_duplicate_keys="keep_last",
        order_by="updated_at",
        skip_unchanged=True,  # rows that are in the table as they are, are not written again
        checks=[
            check("row_count", greater_than=0),
            check("pattern_violations", "email", pattern="^[^@ ]+@[^@ ]+$", equal_to=0),
            check("null_ratio", "city", leq_to=0.5, severity="warn"),
        ],
    )

    upsert_aircraft = UpsertOperator(
        task_id="upsert_aircraft",
        conn_id="warehouse",
        table="analytics.aircraft",
        keys=["tailnum"],
        sql="sql/aircraft.sql",
        on_null_keys="drop",  # some flights are recorded without their aircraft
        on_duplicate_keys="keep_last",  # an aircraft flies several times a day
        order_by="last_seen",
        checks=[
            check(
                "orphan_count",
                "carrier",
                references="raw.airlines",
                referenced_columns=["carrier"],
                equal_to=0,
            ),
        ],
    )

    create_tables >> [upsert_customers, upsert_aircraft]
