"""Publish a whole table, with the checks in a rule set file that people without Python can edit.

Without ``partition`` the whole table is exchanged: by renaming it where nothing on it would be lost.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG(
    dag_id="dq_publish_from_yaml",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    StageCheckExchangeOperator(
        task_id="publish_airline_punctuality",
        conn_id="warehouse",
        table="analytics.airline_punctuality",
        sql="sql/airline_punctuality.sql",
        checks="checks/airline_punctuality.yaml",
        keep_previous=1,  # `airflow dq rollback analytics.airline_punctuality` brings it back
    )
