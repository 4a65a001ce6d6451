"""A DAG that runs the tests that people saved on the data quality pages: one line of a DAG file for all of them."""

# ruff: noqa: PT028 - it is no test of pytest's

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG

from airflow_dataquality.operators.saved_tests import PlanSavedTestsOperator, SavedTestsOperator

__all__ = ["tests_dag"]

DAG_ID = "data_quality_tests"
START = datetime(2013, 1, 1, tzinfo=UTC)


def tests_dag(
    dag_id: str = DAG_ID,
    *,
    conn_id: str = "warehouse",
    ledger_schema: str = "dataquality",
    schedule: Any = "@daily",
    start_date: datetime = START,
    catchup: bool = False,
    tags: Sequence[str] = (),
    owners: Sequence[str] = (),
    tables: Sequence[str] = (),
    conn_ids: Sequence[str] | None = None,
    batch_size: int = 500,
    max_batches: int = 500,
    concurrency: int = 8,
    parallel: int = 4,
    statement_timeout: float | str = "5m",
    time_limit: float | str = "1h",
    fail_on: str = "error",
    retry_on_failure: bool = False,
    datadog_conn_id: str | None = None,
    dag_tags: Sequence[str] = ("data quality",),
    **dag_arguments: Any,
) -> DAG:
    """Make a DAG that runs the saved tests of a warehouse.

    Making it asks no database. The task ``plan`` reads which tests are active, and ``run`` is mapped over the tables
    that they are about: a test that is saved or paused counts from the next run on.

    :param dag_id: its name. Whoever may edit the DAG that ``[airflow_dataquality] tests_dag_id`` names
        (``data_quality_tests``) may save tests on the pages
    :param conn_id: the connection to the warehouse whose ledger holds the tests, and on which metric tests measure
    :param ledger_schema: the ledger's schema
    :param schedule: of the DAG; tests see its day as ``{{ ds }}``
    :param start_date: of the DAG
    :param catchup: of the DAG
    :param tags: only tests with one of these tags, so that another DAG may run others at another time
    :param owners: only tests of one of these owners
    :param tables: only tests about one of these tables: ``schema.table``
    :param conn_ids: connections on which formula tests may run; by default those of ``[airflow_dataquality]
        connections``, and ``conn_id``
    :param batch_size: tests of one task, at most; it grows where there would be too many tasks
    :param max_batches: tasks at most; Airflow's ``max_map_length`` is 1,024 unless configured
    :param concurrency: tasks of a run that run at the same time
    :param parallel: queries of formula tests that a task runs at the same time
    :param statement_timeout: how long a statement may take: seconds, or ``"5m"``
    :param time_limit: after which a task waits for no statement
    :param fail_on: ``error``, ``warn`` or ``never``: which severity fails a task; a test whose query failed always does
    :param retry_on_failure: let Airflow retry a task whose tests did not pass
    :param datadog_conn_id: where metrics go, as of every operator of the package
    :param dag_tags: tags of the DAG
    :param dag_arguments: of :class:`airflow.sdk.DAG`
    """
    given = {"doc_md": _DOC, "max_active_runs": 1, **dag_arguments}
    with DAG(
        dag_id, schedule=schedule, start_date=start_date, catchup=catchup, tags=list(dag_tags), **given
    ) as dag:  # fmt: skip
        plan = PlanSavedTestsOperator(
            task_id="plan", conn_id=conn_id, ledger_schema=ledger_schema, tags=tags, owners=owners, tables=tables,
            batch_size=batch_size, max_batches=max_batches,
        )  # fmt: skip
        SavedTestsOperator.partial(
            task_id="run", conn_id=conn_id, conn_ids=conn_ids, ledger_schema=ledger_schema, fail_on=fail_on,
            statement_timeout=statement_timeout, time_limit=time_limit, parallel=parallel,
            retry_on_failure=retry_on_failure, datadog_conn_id=datadog_conn_id,
            map_index_template="{{ task.label }}", max_active_tis_per_dagrun=concurrency,
        ).expand(batch=plan.output)  # fmt: skip
    return dag


_DOC = """Runs the tests that people saved on the data quality pages: `plan` reads which, `run` has a task for each
table. Results are in the ledger, under each test's name."""
