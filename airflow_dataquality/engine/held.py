"""Backfills whose rows are staged and wait for a decision."""

from __future__ import annotations

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.backfill import Backfill, Connected, Job
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.staging import Mark
from airflow_dataquality.engine.target import locate
from airflow_dataquality.errors import ExchangeError
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.plans.names import beside


def discard(at: Connected, spec: Backfill, generation: str = "") -> Table:
    """Drop what is staged of a backfill; its staging table.

    :param generation: only if it is this one; empty drops whichever is begun of that range, SQL and chunks
    :raises ExchangeError: if nothing is staged, or a task works on it
    """
    session = at.session
    target = locate(session, spec.table)
    named = beside(target.table, "backfill", spec.identity, session.dialect.max_name_bytes)
    held = find(session, target.table, generation) if generation else _named(session, target.table, named)
    if held is None:
        raise ExchangeError(
            f"nothing of {Partition.of(target.table, spec.key)} is staged that could be discarded",
            hint="it was published, discarded or swept already, or was begun with other chunks",
        )
    stage, mark = held
    if not session.query(session.dialect.try_own(stage, mark.owner))[0][0]:
        raise ExchangeError(f"a task works on {stage}", hint="stop its run first, then discard what it staged")
    if not staging.drop(session, stage):
        raise ExchangeError(f"{stage} could not be dropped: somebody reads it", hint="try again")
    return stage


def take(session: ExchangeSession, job: Job) -> None:
    """Own a backfill that was begun, so that nobody else compares, publishes or discards it meanwhile.

    :raises ExchangeError: if somebody does, or has
    """
    stage, mark = _still_there(session, job)
    if not session.query(session.dialect.try_own(stage, mark.owner))[0][0]:
        raise ExchangeError(f"the backfill {job.whole} is under way in another task",
                            hint="wait for it: the same work need not be done twice")  # fmt: skip
    staging.adopt(session, *_still_there(session, job))  # whoever owned it until now may have finished it


def _still_there(session: ExchangeSession, job: Job) -> tuple[Table, Mark]:
    found = find(session, job.target.table, job.generation)
    if found is None:
        raise ExchangeError(f"the backfill {job.whole} is over, or was begun anew by another run",
                            hint="look at what that run did, and start it again if need be")  # fmt: skip
    return found


def find(session: ExchangeSession, table: Table, generation: str) -> tuple[Table, Mark] | None:
    """The staging table of a backfill that can be gone on with; None if it is over."""
    for stage, mark in staging.marked(session, table.schema):
        if (mark.role, mark.run_uid, mark.table) == (staging.BACKFILL, generation, str(table)):
            return stage, mark
    return None


def _named(session: ExchangeSession, table: Table, name: Table) -> tuple[Table, Mark] | None:
    for stage, mark in staging.marked(session, table.schema):
        if stage == name and mark.role == staging.BACKFILL:
            return stage, mark
    return None
