"""Run when daily flights were published, and go on only if their checks went well enough.

``dq_publish_scored_flights`` publishes a day, and the asset event that this makes carries the checks' score. A load
whose checks blocked it makes no event at all. ``dq_gated_consumer`` is run by the event: its first task looks at the
score, and skips the rest if warnings have cost too much of it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG, Asset

from airflow_dataquality.checks import check
from airflow_dataquality.gates import require_score
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

FLIGHTS = Asset("scored_flights")

with DAG(
    dag_id="dq_publish_scored_flights",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    StageCheckExchangeOperator(
        task_id="publish_daily_flights",
        conn_id="warehouse",
        table="analytics.scored_flights",
        sql="sql/daily_flights.sql",
        partition={"ds": "{{ ds }}"},
        checks=[
            check("row_count", greater_than=0),
            check("null_count", "carrier", equal_to=0),
            # A storm is real data: it is published, and whoever reads the day is told by its score.
            check("mean", "dep_delay", geq_to=-20, leq_to=60, severity="warn"),
            check(
                "custom_sql",
                name="cancelled_share",
                sql="SELECT sum(cancelled) * 1.0 / sum(flights) FROM {table}",
                leq_to=0.25,
                severity="warn",
            ),
        ],
        outlets=[FLIGHTS],
    )

with DAG(
    dag_id="dq_gated_consumer",
    schedule=[FLIGHTS],
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    require_score(at_least=0.95, asset=FLIGHTS) >> SQLExecuteQueryOperator(
        task_id="report",
        conn_id="warehouse",
        sql="""
            CREATE TABLE IF NOT EXISTS analytics.flights_report (days bigint, flights bigint);
            TRUNCATE analytics.flights_report;
            INSERT INTO analytics.flights_report
            SELECT count(DISTINCT ds), sum(flights) FROM analytics.scored_flights;
        """,
    )
