"""Run transforms here and now, each after those that it reads, without Airflow's scheduler."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.errors import ChecksFailed, DataQualityError, SpecError
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.model import WITH_SQL, Transform
from airflow_dataquality.transforms.rendering import rendered, rendered_sql

WAITING, RUNNING, DONE, FAILED, SKIPPED = "waiting", "running", "done", "failed", "skipped"
SHOWN = 5
"""Mistakes that an error names."""


@dataclass
class Step:
    """A transform, and what became of it.

    :param status: waiting, running, done, failed or skipped
    :param rows: that it wrote
    :param why: it failed, or was skipped
    """

    transform: Transform
    status: str = WAITING
    rows: int | None = None
    seconds: float | None = None
    why: str = ""
    hint: str | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def brief(self) -> str:
        """Why, in a line."""
        return self.why.partition("\n")[0].rstrip(":")

    @property
    def warned(self) -> int:
        """Checks that are outside their intervals, which is a warning."""
        return int(self.outcome.get("warned") or 0)

    def as_dict(self) -> dict[str, Any]:
        """The step as JSON."""
        table = self.transform.writes
        return {
            "transform": self.transform.name,
            "kind": self.transform.kind,
            "table": None if table is None else str(table),
            "status": self.status,
            "rows": self.rows,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "error": self.why or None,
            "hint": self.hint,
            "outcome": dict(self.outcome),
        }


Tell = Callable[[Step], None]
Execute = Callable[[Transform], Mapping[str, Any]]


def refuse_mistakes(project: Project, transforms: Iterable[Transform]) -> None:
    """Refuse to run a pipeline that has mistakes.

    :raises SpecError: naming the first of them
    """
    names = {each.pipeline for each in transforms}
    found = [mistake for name in sorted(names) for mistake in project.pipelines[name].mistakes]
    if not found:
        return
    lines = "".join(f"\n  - {each.file}:{each.line}: {each.message}" for each in found[:SHOWN])
    more = f"\n  … and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    raise SpecError(f"there are mistakes in what is to run:{lines}{more}", hint=f"airflow dq lint {project.folder}")


def steps_of(transforms: Iterable[Transform]) -> list[Step]:
    """Steps that wait."""
    return [Step(each) for each in transforms]


def go(project: Project, steps: Sequence[Step], execute: Execute, tell: Tell, *, keep_going: bool = False) -> None:
    """Run the steps in their order, up to the first that fails; the others are skipped.

    :param execute: runs a transform
    :param tell: is called whenever the status of a step changes
    :param keep_going: run what does not depend on what failed
    """
    failed: dict[str, str] = {}
    for step in steps:
        if why := _obstacle(project, step.transform, failed, keep_going=keep_going):
            step.status, step.why = SKIPPED, why
            if why.startswith("it reads"):
                failed[step.transform.name] = SKIPPED
        else:
            step.status = RUNNING
            tell(step)
            _try(step, execute)
            if step.status == FAILED:
                failed[step.transform.name] = FAILED
        tell(step)


def _obstacle(project: Project, transform: Transform, failed: Mapping[str, str], *, keep_going: bool) -> str:
    """Why a transform is not run; empty if it is."""
    if not failed:
        return ""
    cause = next((each.name for each in project.upstream(transform) if each.name in failed), None)
    if cause is not None:
        return f"it reads what {cause} makes, which {'failed' if failed[cause] == FAILED else 'was skipped'}"
    return "" if keep_going else f"the run stopped when {next(iter(failed))} failed"


def _try(step: Step, execute: Execute) -> None:
    begun = time.perf_counter()
    try:
        step.outcome = execute(step.transform)
        step.status = DONE
        rows = step.outcome.get("rows", step.outcome.get("rows_staged"))  # the latter of an upsert
        step.rows = rows if isinstance(rows, int) else None
    except Exception as error:  # noqa: BLE001 - a function of Python may raise anything
        step.status = FAILED
        step.why, step.hint = _told(error)
        if isinstance(error, ChecksFailed):
            step.outcome = error.outcome
    step.seconds = time.perf_counter() - begun


def _told(error: Exception) -> tuple[str, str | None]:
    if isinstance(error, DataQualityError):
        return error.message, error.hint
    from airflow_dataquality.engine.said import database_error, said

    if said(error).sqlstate is not None:
        known = database_error("the database refused", error)
        return known.message, known.hint
    return f"{type(error).__name__}: {error}", None


def executing(project: Project, conn_id: str, day: str) -> Execute:
    """What runs a transform for a day, by the operator that runs it in a DAG.

    :raises DataQualityError: if the connection cannot be used
    """
    from airflow_dataquality.hooks.connections import connected
    from airflow_dataquality.transforms.running import run

    try:
        with connected(conn_id, publishing=True):
            pass
    except DataQualityError as error:
        address = f"AIRFLOW_CONN_{conn_id.upper()}=postgresql://user:password@host:5432/database"
        hint = f"name a connection with --conn-id, or set {address}, or run --embedded"
        raise DataQualityError(error.message, hint=hint) from error
    return lambda transform: run(transform, conn_id=conn_id, day=day, project=project)


@dataclass(frozen=True)
class Planned:
    """What would run.

    :param partition: column → value, for the day
    :param sql: for the day; None for kinds without SQL
    :param files: for the day, of a ``load``
    """

    transform: Transform
    partition: Mapping[str, Any]
    sql: str | None
    files: str | None = None

    @property
    def target(self) -> str:
        """The table, and the partition of it."""
        table = self.transform.writes
        key = ", ".join(f"{column}={value}" for column, value in self.partition.items())
        return "" if table is None else f"{table}{f'/{key}' if key else ''}"

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        table = self.transform.writes
        return {
            "transform": self.transform.name,
            "kind": self.transform.kind,
            "inputs": list(self.transform.inputs),
            "table": None if table is None else str(table),
            "partition": dict(self.partition),
            "sql": self.sql,
            "files": self.files,
        }


def planned(transform: Transform, day: str) -> Planned:
    """What a transform would do on a day. Nothing is connected to.

    :raises SpecError: if its SQL cannot be rendered
    """
    sql = rendered_sql(transform, day) if transform.kind in WITH_SQL and transform.sql is not None else None
    files = rendered(transform.options["files"], day) if transform.kind == "load" else None
    return Planned(transform, partition_of(transform, day), sql, files)


def partition_of(transform: Transform, day: str) -> dict[str, Any]:
    """The partition that a transform makes on a day."""
    key = {} if transform.output is None else transform.output.partition
    return {column: rendered(value, day) if isinstance(value, str) else value for column, value in key.items()}


def schemas_of(transforms: Iterable[Transform]) -> set[str]:
    """The schemas of what transforms make, and of what they read."""
    tables = [table for each in transforms for table in (*each.reads, *([each.writes] if each.writes else []))]
    return {table.schema for table in tables if table.schema}
