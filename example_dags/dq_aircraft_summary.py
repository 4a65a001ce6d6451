"""All that is known of each aircraft up to a day: how many flights ever, when first and last seen, how active of late.

Each day is made of the day before and of the day's own flights, so that it costs the same however long history is. The
first run reads all flights up to its day.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.measures import (
    ActiveDays,
    Count,
    DaysSinceLast,
    FirstSeen,
    LastSeen,
    Latest,
    Max,
    Mean,
    Rolling,
    Sum,
)
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator

with DAG(
    dag_id="dq_aircraft_summary",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # a day continues the day before
    tags=["data quality"],
    doc_md=__doc__,
):
    IncrementalSummaryOperator(
        task_id="aircraft_summary",
        conn_id="warehouse",
        source="raw.flights",
        summary="analytics.aircraft_summary",
        keys=["tailnum"],
        partition_column="ds",
        partition="{{ ds }}",
        measures={
            "flights_total": Count(),
            "miles_total": Sum("distance"),
            "longest": Max("distance"),
            "first_seen": FirstSeen(),
            "last_seen": LastSeen(),
            "days_since_last": DaysSinceLast(),
            "last_origin": Latest("origin", order_by="dep_time"),
            "flights_28d": Rolling(Count(), days=28),
            "active_28d": ActiveDays(28),
            "mean_delay": Mean("dep_delay"),
        },
        checks=[
            check("unique_violations", ["tailnum"], equal_to=0),
            # Who was seen once stays: a summary does not shrink.
            check("row_count", greater_than=0),
        ],
    )
