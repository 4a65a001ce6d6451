"""Backfill: compute a range of partitions in chunks, check it, compare it, and make it visible at once.

The chunks' rows gather in one staging table, which outlives the session: a chunk's rows and the record that they are
staged are one transaction, so that whoever comes next goes on with what is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.columns import Shape, canonical_values, shape_of
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.new_table import NewTable
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.staging import Mark, Stage
from airflow_dataquality.engine.target import Target, locate
from airflow_dataquality.errors import DataQualityError, ExchangeError, PartitionError
from airflow_dataquality.model import Check, Column, FailOn, Partition, Range, Table
from airflow_dataquality.plans.backfill import Chunk, identity
from airflow_dataquality.plans.names import beside

log = logging.getLogger(__name__)

Lineage = Callable[[Sequence[str], str], Mapping[str, Mapping[str, Any]]]
"""What the ledger is to keep of published partitions, of a run: name → ``definition`` and ``built_on``."""


@dataclass(frozen=True)
class Connected:
    """A connection, and the ledger over it."""

    session: ExchangeSession
    ledger: Ledger

    @classmethod
    def over(cls, session: ExchangeSession, ledger_schema: str) -> Connected:
        return cls(session, Ledger(session, ledger_schema))


@dataclass(frozen=True)
class Backfill:
    """What to compute, and how to make it visible.

    :param column: the partition column
    :param chunks: the partitions, in the order in which they are to be begun
    :param select: the rows of a chunk, given the staging table
    :param identity: what tells it from every other backfill
    :param shape: a SELECT that has the columns of every chunk's; by default the first chunk's
    :param checks: of each chunk's rows, before they count as staged
    :param judged: checks of each partition, once all are staged
    :param compare: of each partition, staged beside production's
    :param skip_unchanged: leave partitions alone whose rows are the same, but for those in ``always``
    :param always: partitions that are published even then
    :param linked: each partition continues the one before, and is published with it even if its rows are the same
    :param empty: whether a partition may have no rows
    :param resume: go on with a backfill of this identity that was not finished
    :param kept: what is staged outlives the session, to be gone on with
    :param direct: the rows of a chunk are of its partitions by construction: they go straight to the staging table
    :param setup: statements before a chunk's SELECT, in its transaction
    :param keep_staging: keep rows that were rejected, to be looked at
    :param ttl: how long an unfinished backfill may be gone on with
    :param sorted_by: the column by which rows are looked for, if the table has to be made
    :param lineage: what the ledger keeps of each partition, beside its rows
    """

    table: Table
    column: str
    chunks: Sequence[Chunk]
    select: Callable[[Chunk, Table], str]
    identity: str
    shape: str | None = None
    checks: Sequence[Check] = ()
    judged: Sequence[Check] = ()
    compare: Sequence[Check] = ()
    fail_on: FailOn = FailOn.ERROR
    settings: Settings = field(default_factory=Settings)
    skip_unchanged: bool = False
    linked: bool = False
    always: frozenset[str] = frozenset()
    empty: bool = True
    resume: bool = True
    kept: bool = True
    direct: bool = False
    setup: Sequence[str] = ()
    keep_staging: bool = True
    ttl: timedelta = staging.TTL
    sorted_by: str | None = None
    lineage: Lineage | None = None

    @property
    def partitions(self) -> list[str]:
        """The partitions of all chunks, as they are written, in the order of time."""
        seen = {value: None for chunk in sorted(self.chunks, key=lambda c: c.number) for value in chunk.partitions}
        return list(seen)

    @property
    def asked(self) -> set[str]:
        """A hash of each check of a chunk."""
        return {identity(c.metric.series, str(c.expect), c.severity)[:8] for c in self.checks}

    @property
    def key(self) -> dict[str, Range]:
        """The range, as the key of one partition."""
        partitions = self.partitions
        return {self.column: Range(partitions[0], partitions[-1])}


@dataclass
class Job:
    """A backfill under way.

    :param stage: where the rows of its chunks gather
    :param columns: of the stage
    :param names: each partition as the database prints it → as it was written
    :param generation: what its chunks are recorded under
    """

    spec: Backfill
    run: Run
    target: Target
    shape: Shape
    stage: Stage
    columns: tuple[Column, ...]
    names: dict[str, str]
    generation: str

    @property
    def whole(self) -> Partition:
        """The whole range."""
        return Partition.of(self.target.table, self.range_of(list(self.names)))

    @property
    def stored(self) -> list[str]:
        """The columns whose values the rows of a chunk bring along."""
        return [column.name for column in self.columns if not column.generated]

    def range_of(self, partitions: Sequence[str], but: Sequence[str] = ()) -> dict[str, Range]:
        """Partitions as the database prints them, as a key."""
        return {self.spec.column: Range(partitions[0], partitions[-1], tuple(but))}

    def partition(self, name: str) -> Partition:
        """One of its partitions, by the name that the database prints."""
        return Partition(self.target.table, ((self.spec.column, name),))


def begin(at: Connected, spec: Backfill, run: Run, *, generation: str | None = None) -> Job:
    """Make the staging table, or find it again.

    :param generation: the backfill that must have been begun already; None begins one, or goes on with one
    :raises TableError: if the SELECT or the partitions do not fit the table
    :raises ExchangeError: if this backfill is under way elsewhere, or was not begun
    """
    session = at.session
    at.ledger.ensure()
    target = locate(session, spec.table)
    stage = beside(target.table, "backfill", spec.identity, session.dialect.max_name_bytes)
    shape = shape_of(session, target, _Described(spec, Select(spec.shape or spec.select(spec.chunks[0], stage))))
    whole = Partition(target.table, ((spec.column, f"{spec.partitions[0]}/{spec.partitions[-1]}"),))
    if generation is not None:
        made = _begun(session, target.table, generation)
    else:
        mark = _mark_of(session, stage)
        for swept in staging.sweep(session, target.table.schema, ttl=spec.ttl):
            log.info("Dropped %s, left by a run that is gone", swept)
        role = staging.BACKFILL if spec.kept else staging.STAGE
        fresh = replace(Mark.of(role, whole, run), met=" ".join(sorted(spec.asked)))
        made, generation = _stage(session, spec, shape, stage, fresh, mark)
    columns = session.columns(made.table)
    if not columns:
        raise _over(target.table)  # another run has ended it since
    kind = next(column.type for column in columns if column.name == spec.column)
    names = _names(session, spec, kind)
    return Job(spec, run, target, shape, made, columns, names, generation)


def _names(session: ExchangeSession, spec: Backfill, kind: str) -> dict[str, str]:
    """Each partition as the database prints it → as it was written.

    :raises PartitionError: if two of them are one: a clock that is put forward skips an hour
    """
    names: dict[str, str] = {}
    printed = canonical_values(session, spec.column, spec.partitions, kind)
    for name, written in zip(printed, spec.partitions, strict=True):
        if name in names:
            raise PartitionError(
                f"{names[name]} and {written} are the same {spec.column} ({kind}): {name}",
                hint="write times with their zone, 2013-03-10T00:00Z, and name the grain= that the column has",
            )
        names[name] = written
    return names


@dataclass(frozen=True)
class _Described:
    """What :func:`shape_of` has to know of a load."""

    spec: Backfill
    source: Select
    append_columns: bool = False
    new: NewTable = field(default_factory=NewTable)

    @property
    def key(self) -> Mapping[str, Range]:
        return self.spec.key


def _begun(session: ExchangeSession, table: Table, generation: str) -> Stage:
    """The staging table of a backfill that was begun; not by its name, as another task's SQL may be rendered otherwise.

    :raises ExchangeError: if it is over
    """
    for stage, mark in staging.marked(session, table.schema):
        if (mark.role, mark.run_uid, mark.table) == (staging.BACKFILL, generation, str(table)):
            return Stage(stage)
    raise _over(table)


def _over(table: Table) -> ExchangeError:
    return ExchangeError(
        f"the backfill of {table} is over, or was begun anew by another run", hint="clear its first task, too"
    )


def _mark_of(session: ExchangeSession, stage: Table) -> Mark | None:
    return next((mark for table, mark in staging.marked(session, stage.schema) if table == stage), None)


def _stage(
    session: ExchangeSession, spec: Backfill, shape: Shape, stage: Table, mark: Mark, found: Mark | None
) -> tuple[Stage, str]:
    if not session.query(session.dialect.try_own(stage, found.owner if found else ""))[0][0]:
        raise ExchangeError(f"the backfill of {Partition.of(spec.table, spec.key)} is under way in another task",
                            hint="wait for it: the same work need not be done twice")  # fmt: skip
    found = _mark_of(session, stage)  # whoever owned it until now may have finished it
    if found is not None:
        if why := _stale(session, spec, shape, stage, found):
            log.info("Begins anew: %s", why)
            session.execute(session.dialect.drop_if_exists(stage))
        else:
            log.info("Goes on with the backfill that was begun at %s: %s", found.at, stage)
            return staging.adopt(session, stage, found), found.run_uid
    statements = shape.statements(session.dialect, stage, sorted_by=spec.sorted_by)
    return staging.create(session, stage, statements, mark), mark.run_uid


def _stale(session: ExchangeSession, spec: Backfill, shape: Shape, stage: Table, found: Mark) -> str | None:
    """Why a staging table that is there cannot be gone on with."""
    if found.role != staging.BACKFILL:
        return f"what was staged before was {'rejected' if found.role == staging.REJECTED else 'published'} ({stage})"
    if not spec.resume:
        return "resume=False"
    if found.age >= spec.ttl:
        return f"what was staged is older than {spec.ttl}"
    if not spec.asked <= set(found.met.split()):
        return "what was staged did not have to meet these checks"
    if shape.features is None:
        return None
    wanted = {column.name: column.type for column in session.columns(shape.table)}
    held = {column.name: column.type for column in session.columns(stage)}
    return None if wanted == held else "the table's columns have changed"


def give_up(session: ExchangeSession, job: Job, error: BaseException, *, rejected: bool) -> None:
    """Keep rows that were rejected to be looked at, or drop them; what was not finished stays, to be gone on with."""
    if rejected and job.spec.keep_staging:
        staging.keep_rejected(session, job.stage, job.whole, job.run)
        log.warning("The rejected rows are kept in %s", job.stage.table)
    elif rejected or not job.spec.kept:
        staging.discard(session, job.stage.table)
    elif isinstance(error, DataQualityError):
        log.info("What is staged so far stays in %s: the next run goes on with it", job.stage.table)
