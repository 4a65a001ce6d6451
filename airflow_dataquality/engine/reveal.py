"""Make a backfill's whole range visible at once, or nothing of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.backfill import Connected, Job, give_up
from airflow_dataquality.engine.chunks import complete
from airflow_dataquality.engine.clock import CHECKS, EXCHANGE
from airflow_dataquality.engine.compare import Compared, as_text, blocked, compare, rows_measured
from airflow_dataquality.engine.exchange import Exchange
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.locks import Locks
from airflow_dataquality.engine.partitions import make_places
from airflow_dataquality.engine.publish import EXCHANGES
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.staging import Mark, Stage
from airflow_dataquality.errors import ChecksFailed, ExchangeError, TableError
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.results import Summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a backfill.

    :param rows: rows that became visible
    :param unchanged: partitions that were left alone, as their rows are the same
    :param mode: how the rows became visible; None if nothing had changed
    :param seconds: how long each step took, as :mod:`airflow_dataquality.engine.clock` names them
    :param changed: the partitions that were published
    """

    partition: Partition
    run: Run
    chunks: int
    partitions: int
    rows: int
    unchanged: int
    mode: str | None
    summary: Summary
    seconds: Mapping[str, float] = field(default_factory=dict)
    changed: Sequence[Partition] = ()

    @property
    def table(self) -> Table:
        return self.partition.table

    @property
    def numbers(self) -> dict[str, float]:
        """What became of how many rows and partitions, as the catalogue of metrics names it."""
        of = {"backfill.partitions": self.partitions, "backfill.unchanged": self.unchanged}
        return {"rows.published": self.rows, **of}

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        ((column, value),) = self.partition.key
        return {
            "table": str(self.table),
            "partition": {column: str(value)},
            "partitions": self.partitions,
            "unchanged": self.unchanged,
            "chunks": self.chunks,
            "rows": self.rows,
            "exchange": self.mode,
            "published": self.mode is not None,
            "run_uid": self.run.run_uid,
            **self.summary.as_dict(),
        }


def examine(at: Connected, job: Job) -> tuple[Job, list[Compared]]:
    """Count what is staged and compare it with production; the job with its rows counted.

    :raises ChecksFailed: if a partition may not be published; production is unchanged
    :raises TableError: if the range has no rows at all
    """
    job = complete(at, job)
    try:
        with job.spec.settings.clock.step(CHECKS):
            compared = _compared(at, job)
    except (ChecksFailed, TableError) as error:
        give_up(at.session, job, error, rejected=True)
        raise
    return job, compared


def _compared(at: Connected, job: Job) -> list[Compared]:
    if not job.stage.rows and not (job.spec.linked and job.spec.empty):
        raise TableError(f"{job.whole} has no rows at all", hint="look at what the SQL reads")
    compared = compare(at.session, at.ledger, job)
    if not job.spec.empty and (empty := [found.partition for found in compared if not found.staged]):
        raise TableError(f"{empty[0]} would have no rows" + (f", and {len(empty) - 1} more" if empty[1:] else ""),
                         hint="look at what it reads; allow_empty=True publishes zero rows, too")  # fmt: skip
    log.info("%s: %s", job.whole, as_text(compared))
    if error := blocked(job, compared):
        at.ledger.record_check_run(
            job.run, job.whole, error.summary or Summary(()), state="rejected", rows=job.stage.rows,
            staging_table=job.stage.table,
        )  # fmt: skip
        raise error
    return compared


def reveal(at: Connected, job: Job, compared: Sequence[Compared]) -> Outcome:
    """Exchange the range, and record each of its partitions, in one transaction.

    :raises ExchangeError: if that cannot be done; production is unchanged
    """
    same = [name for name, found in zip(job.names, compared, strict=True) if found.changed is False]
    summary = Summary(tuple(result for found in compared for result in found.summary.results))
    mode = None
    if len(same) < len(compared):
        mode = _exchanged(at, job, compared, same)
    if mode is None:
        _finish(at.session, job)
    if mode != "create":
        staging.discard(at.session, job.stage.table)
    log.info("Published %s rows of %s by %s; %s of %s partitions were the same", f"{job.stage.rows:,}", job.whole,
             mode or "nothing: nothing changed", len(same), len(compared))  # fmt: skip
    changed = [found.partition for found in compared if found.changed is not False]
    return Outcome(job.whole, job.run, len(job.spec.chunks), len(compared), job.stage.rows if mode else 0, len(same),
                   mode, summary, job.spec.settings.clock.seconds, changed)  # fmt: skip


def _exchanged(at: Connected, job: Job, compared: Sequence[Compared], same: Sequence[str]) -> str:
    session, spec = at.session, job.spec
    stage = _changed_rows(session, job, same) if same else job.stage
    partition = Partition.of(job.target.table, job.range_of(list(job.names), same))
    left_alone = set(same)
    published = [found for name, found in zip(job.names, compared, strict=True) if name not in left_alone]

    if job.target.partitioned:
        locks = Locks(session, spec.settings, partition)
        make_places(session, locks, job.target, [found.partition for found in published if found.staged])

    def record(mode: str, _previous: Table | None) -> None:
        if mode == "create" and same:
            raise ExchangeError(f"{job.target.table} was dropped meanwhile", hint="run the backfill again")
        if mode != "create":
            _finish(session, job)
        names = [name for name in job.names if name not in left_alone]
        lineage = spec.lineage(names, job.run.run_uid) if spec.lineage else {}
        at.ledger.record_past(job.run, rows_measured(published), state="published")
        at.ledger.record_publications(
            job.run,
            {f.partition: (f.summary, {"rows": f.staged, **lineage.get(name, {})})
             for name, f in zip(names, published, strict=True)},
            mode=mode,
        )  # fmt: skip

    exchange: Exchange = EXCHANGES[session.dialect.name](
        session, spec.settings, stage, partition, job.run,
        columns=job.stored, appended={}, record=record, undress=_never_dressed,
    )  # fmt: skip
    with spec.settings.clock.step(EXCHANGE):
        mode = exchange.publish()
    job.stage.rows = stage.rows
    return mode


def _finish(session: ExchangeSession, job: Job) -> None:
    """Say that what is staged is to be gone on with no more, should it not be dropped."""
    mark = replace(Mark.of(staging.STAGE, job.whole, job.run), owner=job.stage.owner)
    session.execute(session.dialect.mark(job.stage.table, mark.comment))


def _changed_rows(session: ExchangeSession, job: Job, same: Sequence[str]) -> Stage:
    """The staged rows but those of partitions that are left alone, in a table of this session.

    What is staged stays as its chunks are recorded: if the exchange fails, the next run goes on with it.
    """
    sql, changed = session.dialect, Stage(Table("dq_changed"))
    session.execute(sql.create_temporary_like(changed.table, job.stage.table))
    with session.transaction():
        rows = sql.rows_but(job.stage.table, job.stored, job.spec.column, same)
        changed.rows = Select(rows).fill(session, changed.table, job.stored)
    session.execute(sql.analyze(changed.table))
    return changed


def _never_dressed() -> None:
    raise AssertionError("a range of partitions is created or overwritten")
