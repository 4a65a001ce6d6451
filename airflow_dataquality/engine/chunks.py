"""The chunks of a backfill: computed, checked, and staged together with the record of it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace

from airflow_dataquality.engine.backfill import Connected, Job
from airflow_dataquality.engine.checking import Checking, explained
from airflow_dataquality.engine.clock import STAGING
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.engine.locks import Locks
from airflow_dataquality.engine.said import database_error
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.source import Select
from airflow_dataquality.errors import ExchangeError
from airflow_dataquality.model import Check, Interval, Metric, Partition, Range, Table
from airflow_dataquality.plans.backfill import Chunk

log = logging.getLogger(__name__)


def stage_chunk(at: Connected, job: Job, chunk: Chunk) -> int:
    """Compute a chunk, check it, and stage its rows and the record of it in one transaction; its rows.

    :raises TableError: with the database's words
    :raises ChecksFailed: if a check blocks; nothing is staged
    """
    with job.spec.settings.clock.step(STAGING):
        return _staged(at, job, chunk)


def _staged(at: Connected, job: Job, chunk: Chunk) -> int:
    started = time.monotonic()
    session, sql, stage = at.session, at.session.dialect, job.stage.table
    if job.spec.direct:
        return _kept(at, job, chunk, lambda: _rows_of(job, chunk).fill(session, stage, job.shape.supplied), started)
    mine = Table(f"dq_chunk_{chunk.number}")
    session.execute(sql.create_temporary_like(mine, stage))
    try:
        rows = _computed(session, job, chunk, mine)
        if not rows:
            return _kept(at, job, chunk, lambda: 0, started)
        _check(at, job, chunk, mine)
        copy = sql.insert_from(stage, job.stored, mine, overriding=False)
        return _kept(at, job, chunk, lambda: session.execute(copy), started)
    finally:
        with contextlib.suppress(Exception):  # a broken session took it along
            session.execute(sql.drop_if_exists(mine))


def _kept(at: Connected, job: Job, chunk: Chunk, fill: Callable[[], int], started: float) -> int:
    """Stage rows and record that, if nobody was faster; the rows that are staged."""
    staged: list[int] = []

    def once() -> None:
        with at.session.transaction():
            at.session.query(at.session.dialect.lock_chunk(job.stage.table, chunk.number))
            if (before := at.ledger.chunks(job.generation, chunk.number).get(chunk.number)) is not None:
                log.info("Chunk %s was staged by another run meanwhile", chunk)
                staged.append(before)
                return
            rows, seconds = fill(), time.monotonic() - started
            at.ledger.record_chunk(job.run, job.target.table, job.generation, chunk, rows=rows, seconds=seconds)
            staged.append(rows)

    # Backfills of other tables write to the same ledger, which some databases hold to be a contradiction.
    Locks(at.session, job.spec.settings, job.whole).attempts(once)
    return staged[-1]


def _rows_of(job: Job, chunk: Chunk) -> Select:
    return Select(job.spec.select(chunk, job.stage.table), job.spec.setup)


def _computed(session: ExchangeSession, job: Job, chunk: Chunk, mine: Table) -> int:
    with session.transaction():
        return _rows_of(job, chunk).fill(session, mine, job.shape.supplied)


def _check(at: Connected, job: Job, chunk: Chunk, mine: Table) -> None:
    partition = Partition(job.target.table, ((job.spec.column, Range(chunk.first, chunk.last)),))
    if len(chunk.partitions) == 1:
        partition = Partition(job.target.table, ((job.spec.column, chunk.first),))
    checking = checking_of(at, job, partition)
    summary = checking.judge(Partition(mine), lambda result: explained(at.session, mine, partition, result))
    if blocking := checking.blocking(summary, job.spec.fail_on):
        checking.record_rejection(summary)
        outcome = {"table": str(partition.table), "partition": {job.spec.column: str(chunk)}}
        raise checking.failure(
            f"chunk {chunk}", summary, blocking, outcome=outcome, hint="mend the SQL, or what it reads"
        )


def checking_of(at: Connected, job: Job, partition: Partition) -> Checking:
    """The checks of a chunk's rows, or of all: what the user asks for, and that they are of the range."""
    metric = Metric("outside_partition", (job.spec.column,), (("key", partition.key),))
    implied = Check("rows_in_partition", metric, Interval(0, 0), source="partition_column=", implied=True)
    return Checking(
        at.session, at.ledger, job.run, partition,
        checks=(*resolve(job.spec.checks, job.columns, dialect=at.session.dialect), implied),
        columns=job.columns,
        production=partition if job.target.oid is not None else None,
        outcome=lambda summary: summary.as_dict(),
    )  # fmt: skip


def missing(at: Connected, job: Job) -> list[Chunk]:
    """The chunks that are not staged yet, in the order in which they are to be begun."""
    staged = at.ledger.chunks(job.generation)
    return [chunk for chunk in job.spec.chunks if chunk.number not in staged]


def complete(at: Connected, job: Job) -> Job:
    """The job with all of its rows counted.

    :raises ExchangeError: if a chunk is missing, or the staging table does not hold what was recorded
    """
    session, staged = at.session, at.ledger.chunks(job.generation)
    if lacking := [str(chunk) for chunk in job.spec.chunks if chunk.number not in staged]:
        raise ExchangeError(f"{job.whole}: {len(lacking)} chunks are not staged: {', '.join(lacking[:10])}",
                            hint="run them first")  # fmt: skip
    sql = session.dialect
    rows = int(session.query(sql.count_rows(job.stage.table))[0][0])
    if rows != sum(staged.values()):
        raise ExchangeError(
            f"{job.stage.table} holds {rows:,} rows, of {sum(staged.values()):,} that were staged: it was changed",
            hint=f"{sql.drop(job.stage.table)}, and run the backfill again",
        )
    try:
        session.execute(sql.analyze(job.stage.table))
    except Exception as error:
        raise database_error(f"{job.stage.table} cannot be analyzed", error) from error
    return replace(job, stage=replace(job.stage, rows=rows))
