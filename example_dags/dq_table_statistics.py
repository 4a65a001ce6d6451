"""Record numbers of every column of every table, so that there is a past to look back at.

Nothing is judged, and no bad number fails the task: rows, shares of NULLs, means and extremes go into the ledger. There
people query them, and baselines that are written later find a history.
"""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG

from airflow_dataquality.operators.table_statistics import TableStatisticsOperator

with DAG(
    dag_id="dq_table_statistics",
    schedule="@daily",
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    tags=["data quality"],
    doc_md=__doc__,
):
    TableStatisticsOperator(
        task_id="partitioned_tables",
        conn_id="warehouse",
        tables="raw.*",  # those without the column `ds` are passed over
        partition={"ds": "{{ ds }}"},
        since_last=True,  # also the days on which this DAG did not run
    )
    TableStatisticsOperator(
        task_id="airlines",
        conn_id="warehouse",
        table="raw.airlines",
        keys=["carrier"],
        rules={"text": ["null_ratio", "distinct_count"]},
    )
