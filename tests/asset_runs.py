"""Runs of DAGs that assets trigger: created by Airflow's own scheduler code, run in this process."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest

from airflow_dataquality.demo.dags import load

triggers_as_here = pytest.mark.skipif(
    tuple(map(int, version("apache-airflow-core").split(".")[:2])) < (3, 3),
    reason="calls what Airflow 3.3's scheduler does",
)


def unpause(dag_id: str) -> None:
    """Have assets trigger the DAG from now on. Airflow must know it already."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.get(DagModel, dag_id).is_paused = False


def triggered(dag_id: str, folder: str) -> list[Any]:
    """Run what the asset events so far have queued for the DAG; its DagRuns, finished.

    The DAG must not have been paused when the events came.
    """
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import select

    dag = load(folder)[dag_id]
    with create_session() as session:
        model = session.get(DagModel, dag_id)
        SchedulerJobRunner(job=Job())._create_dag_runs_asset_triggered(dag_models=[model], session=session)
        session.commit()
        query = select(DagRun).filter_by(dag_id=dag_id, run_type=DagRunType.ASSET_TRIGGERED, state="queued")
        runs = list(session.scalars(query).all())
        for run in runs:
            _finish(run, dag, session)
    return runs


def _finish(run: Any, dag: Any, session: Any) -> None:
    """As ``DAG.test`` does it."""
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.sdk.definitions.dag import _run_task

    run.dag = SerializedDagModel.get_dag(dag.dag_id, session=session)
    run.state = "running"
    session.commit()
    while run.state == "running":
        session.expire_all()
        run.dag = SerializedDagModel.get_dag(dag.dag_id, session=session)
        ready, _ = run.update_state(session=session)
        for instance in ready:
            instance.try_number += 1
            instance.state = "scheduled"
        session.commit()
        for instance in ready:
            _run_task(ti=instance, task=dag.task_dict[instance.task_id], run_triggerer=True)


def states(run: Any) -> dict[str, str]:
    """The state of each task of a run."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(TaskInstance).filter_by(dag_id=run.dag_id, run_id=run.run_id)
        return {instance.task_id: str(instance.state) for instance in session.scalars(query)}
