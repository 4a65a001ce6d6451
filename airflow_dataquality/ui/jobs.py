"""The jobs that can be backfilled and their runs, as Airflow's metadata have them; and starting runs.

No DAG's file is run here: a job is what its DAG says of itself, see :class:`airflow_dataquality.engine.job.Job`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from airflow.utils.session import create_session
from fastapi import HTTPException, Request
from sqlalchemy import func, select

from airflow_dataquality.backfill_dag import TAG
from airflow_dataquality.engine.job import Job, Order
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.operators._backfill_steps import BEGUN, COMPARED, PLANNED
from airflow_dataquality.ui.access import Who

ACTIVE = ("queued", "running")
GONE = "There is no job {!r} that can be backfilled, or you may not see it."


@dataclass(frozen=True)
class Known:
    """A job, and the DAG that does it.

    :param stale: whether the DAG's file has it no more
    """

    dag_id: str
    job: Job
    paused: bool
    stale: bool = False


@dataclass(frozen=True)
class Task:
    """A task of a run."""

    task_id: str
    map_index: int
    state: str
    try_number: int
    started: datetime | None
    ended: datetime | None


@dataclass(frozen=True)
class Run:
    """A run of a job's DAG.

    :param conf: what it was given
    :param author: who started it
    :param left: what its tasks left for the pages: key → value
    :param shares: for each process the numbers of its chunks
    """

    dag_id: str
    run_id: str
    state: str
    conf: Mapping[str, Any]
    asked: datetime | None
    started: datetime | None
    ended: datetime | None
    author: str | None = None
    tasks: tuple[Task, ...] = ()
    left: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    shares: tuple[tuple[int, ...], ...] = ()

    @property
    def active(self) -> bool:
        """Whether it is not finished."""
        return self.state in ACTIVE

    @property
    def seconds(self) -> float | None:
        """How long it took, if it has ended."""
        return (self.ended - self.started).total_seconds() if self.ended and self.started else None

    def order(self, job: Job) -> Order | None:
        """What it was to do; None if the job is another one by now."""
        try:
            return job.ordered(self.conf)
        except DataQualityError:
            return None


def jobs(who: Who) -> list[Known]:
    """The jobs that somebody may see, by name."""
    from airflow.models.dag import DagModel, DagTag

    with create_session() as session:
        query = select(DagModel.dag_id, DagModel.is_paused).join(DagTag, DagTag.dag_id == DagModel.dag_id)
        found = session.execute(query.where(DagTag.name == TAG, ~DagModel.is_stale).order_by(DagModel.dag_id)).all()
        paused = dict(who.visible([(str(dag_id), bool(is_paused)) for dag_id, is_paused in found], lambda row: row[0]))
        described = _described(list(paused), session)
    return [Known(dag_id, described[dag_id], is_paused) for dag_id, is_paused in paused.items() if dag_id in described]


def job_of(who: Who, dag_id: str) -> Known:
    """A job that somebody may see, also if its DAG's file is gone.

    :raises HTTPException: 404, if there is none
    """
    from airflow.models.dag import DagModel

    if not who.may_read(dag_id):
        raise HTTPException(404, GONE.format(dag_id))
    with create_session() as session:
        model = session.get(DagModel, dag_id)
        described = _described([dag_id], session) if model is not None else {}
        if model is None or dag_id not in described:
            raise HTTPException(404, GONE.format(dag_id))
        return Known(dag_id, described[dag_id], bool(model.is_paused), bool(model.is_stale))


def _described(dag_ids: list[str], session: Any) -> dict[str, Job]:
    """What DAGs say of their jobs; without those that say nothing of the sort."""
    from airflow.models.serialized_dag import SerializedDagModel

    if not dag_ids:
        return {}
    found = {}
    for row in SerializedDagModel.get_latest_serialized_dags(dag_ids=dag_ids, session=session):
        tasks = (row.data or {}).get("dag", {}).get("tasks", ())
        for text in (task.get("__var", {}).get("doc_json") for task in tasks):
            if isinstance(text, str) and (job := _read(text)) is not None:
                found[str(row.dag_id)] = job
    return found


@lru_cache(maxsize=256)
def _read(text: str) -> Job | None:
    return Job.read(text)


def runs(dag_ids: Iterable[str], *, states: Iterable[str] = (), most: int, skip: int = 0) -> tuple[list[Run], int]:
    """Runs of DAGs, the newest first; and how many there are in all."""
    from airflow.models.dagrun import DagRun

    with create_session() as session:
        query = select(DagRun).where(DagRun.dag_id.in_(list(dag_ids)))
        if states := list(states):
            query = query.where(DagRun.state.in_(states))
        total = session.scalar(select(func.count()).select_from(query.subquery())) or 0
        found = session.scalars(query.order_by(DagRun.id.desc()).limit(most).offset(skip)).all()
        return [_run(row) for row in found], int(total)


def run_of(dag_id: str, run_id: str) -> Run:
    """One run, with its tasks and what they left.

    :raises HTTPException: 404, if there is none
    """
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance as Instance

    with create_session() as session:
        row = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if row is None:
            raise HTTPException(404, f"There is no run {run_id!r} of {dag_id!r}.")
        query = select(Instance.task_id, Instance.map_index, Instance.state, Instance.try_number, Instance.start_date,
                       Instance.end_date)  # fmt: skip
        rows = session.execute(query.where(Instance.dag_id == dag_id, Instance.run_id == run_id)).all()
        tasks = [Task(r[0], r[1], str(r[2] or "none"), r[3], r[4], r[5]) for r in rows]
        tasks.sort(key=lambda task: (task.task_id, task.map_index))
        return _run(row, tasks=tuple(tasks), **_left(dag_id, run_id, session))


def _run(row: Any, **more: Any) -> Run:
    conf = row.conf if isinstance(row.conf, dict) else {}
    when = row.queued_at or row.run_after
    return Run(
        str(row.dag_id), str(row.run_id), str(getattr(row.state, "value", row.state)), conf, when, row.start_date,
        row.end_date, row.triggering_user_name, **more,
    )  # fmt: skip


def _left(dag_id: str, run_id: str, session: Any) -> dict[str, Any]:
    """What tasks left in XCom, as far as it is there and can be read here."""
    from airflow.models.xcom import XComModel

    query = select(XComModel).where(XComModel.dag_id == dag_id, XComModel.run_id == run_id)
    wanted = (BEGUN, PLANNED, COMPARED, "return_value")
    rows = session.scalars(query.where(XComModel.task_id.in_(["plan", "compare"]), XComModel.key.in_(wanted))).all()
    values: dict[tuple[str, str], Any] = {}
    for row in rows:
        try:
            values[row.task_id, row.key] = XComModel.deserialize_value(row)
        except Exception:  # noqa: BLE001, S112 - another backend keeps it elsewhere: then the page shows less
            continue
    left = {key: value for (_, key), value in values.items() if key != "return_value" and isinstance(value, dict)}
    planned = values.get(("plan", "return_value"))
    shares = [share for share in planned if isinstance(share, dict)] if isinstance(planned, list) else []
    return {"left": left, "shares": tuple(tuple(share.get("chunks", ())) for share in shares)}


def refuse_overlap(known: Known, wanted: Order) -> Run | None:
    """A run of the job that is under way and has a partition in common; None if there is none."""
    under_way, _ = runs([known.dag_id], states=ACTIVE, most=100)
    for run in under_way:
        other = run.order(known.job)
        if other is not None and other.overlaps(wanted):
            return run
    return None


@cache
def _bag() -> Any:
    from airflow.api_fastapi.common.dagbag import create_dag_bag

    return create_dag_bag()


def start(request: Request, who: Who, known: Known, wanted: Order, *, unpause: bool = False) -> str:
    """Start a run, as Airflow's own API does; its ``run_id``.

    Whether somebody may is for the caller to ask.
    """
    from airflow.api_fastapi.core_api.datamodels.dag_run import TriggerDAGRunPostBody
    from airflow.api_fastapi.core_api.routes.public.dag_run import trigger_dag_run
    from airflow.models.dag import DagModel

    conf = known.job.conf(wanted)
    note = f"Started from the data quality pages by {who.name}"
    body = TriggerDAGRunPostBody(logical_date=None, conf=conf, note=note)
    with create_session() as session:
        if unpause:
            model = session.get(DagModel, known.dag_id)
            if model is not None:
                model.is_paused = False
            _log(session, who, "patch_dag", known.dag_id, None, {"is_paused": False})
        run: Any = trigger_dag_run(known.dag_id, body, _bag(), who.user, session, request)
        run_id = str(run.run_id)
        _log(session, who, "trigger_dag_run", known.dag_id, run_id, conf)
    return run_id


def stop(who: Who, run: Run) -> None:
    """Mark a run as failed, which stops its tasks, as Airflow's own API does."""
    from airflow.api_fastapi.common.dagbag import get_dag_for_run
    from airflow.api_fastapi.core_api.datamodels.dag_run import DagRunMutableStates
    from airflow.api_fastapi.core_api.services.public.dag_run import patch_dag_run_state
    from airflow.models.dagrun import DagRun

    with create_session() as session:
        row = session.scalar(select(DagRun).where(DagRun.dag_id == run.dag_id, DagRun.run_id == run.run_id))
        if row is None or str(getattr(row.state, "value", row.state)) not in ACTIVE:
            return
        dag = get_dag_for_run(_bag(), row, session=session)
        patch_dag_run_state(dag=dag, dag_run=row, state=DagRunMutableStates.FAILED, session=session)
        _log(session, who, "patch_dag_run", run.dag_id, run.run_id, {"state": "failed"})


def _log(session: Any, who: Who, event: str, dag_id: str, run_id: str | None, extra: Mapping[str, Any]) -> None:
    """In Airflow's audit log, as its own API writes it."""
    from airflow.models.log import Log

    session.add(Log(event, owner=who.name, owner_display_name=who.name, dag_id=dag_id, run_id=run_id,
                    extra=json.dumps({**extra, "page": "data quality"})))  # fmt: skip
