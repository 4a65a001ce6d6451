"""Publish: stage, check, exchange. The one way by which rows become visible."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow_dataquality.engine import clock as steps
from airflow_dataquality.engine import staging
from airflow_dataquality.engine.checking import ROWS, Checking, explained
from airflow_dataquality.engine.columns import Shape, canonical_key, shape_of
from airflow_dataquality.engine.exchange import Exchange
from airflow_dataquality.engine.explain import explain
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.engine.ledger import Ledger, Lineage, Run
from airflow_dataquality.engine.new_table import NewTable, tell_lacks
from airflow_dataquality.engine.postgres_exchange import PostgresExchange
from airflow_dataquality.engine.redshift_exchange import RedshiftExchange
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import Select, Source
from airflow_dataquality.engine.staging import Mark, Stage
from airflow_dataquality.engine.target import Target, locate
from airflow_dataquality.errors import ChecksFailed, SpecError
from airflow_dataquality.model import Check, Column, FailOn, Interval, Metric, Partition, Range, Scalar, Table
from airflow_dataquality.results import Result, Summary

log = logging.getLogger(__name__)

EXCHANGES: Mapping[str, type[Exchange]] = {"postgres": PostgresExchange, "redshift": RedshiftExchange}


@dataclass(frozen=True)
class Load:
    """What to publish, and how.

    :param source: the rows
    :param key: the partition's columns and values; empty for the whole table
    :param allow_empty: zero rows may be published
    :param append_columns: columns that only the SELECT has are added to the table
    :param staging_ttl: how long rejected rows are kept at most
    :param explain: log the plan of the SELECT before it runs
    :param sorted_by: the column by which rows are looked for, if the table has to be made
    :param new: what the table gets if it has to be made
    :param lineage: what the ledger keeps of a summary
    :param found: what checks had found of these rows before, which the ledger is to keep with the publication
    :param within: called in the transaction that makes the rows visible, once its locks are held; what it raises rolls
        all of it back
    """

    table: Table
    source: Source
    key: Mapping[str, Scalar | Range] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    fail_on: FailOn = FailOn.ERROR
    settings: Settings = field(default_factory=Settings)
    keep_staging: bool = True
    allow_empty: bool = False
    append_columns: bool = False
    staging_ttl: timedelta = staging.TTL
    explain: bool = False
    sorted_by: str | None = None
    new: NewTable = field(default_factory=NewTable)
    lineage: Lineage | None = None
    found: Summary | None = None
    within: Callable[[], None] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a load.

    :param mode: how the rows became visible; None if they did not
    :param staging_table: the table that keeps the rejected rows
    :param seconds: how long each step took, as :mod:`airflow_dataquality.engine.clock` names them
    """

    partition: Partition
    rows: int
    run: Run
    summary: Summary
    mode: str | None = None
    staging_table: Table | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        return self.partition.table

    @property
    def numbers(self) -> dict[str, float]:
        """What became of how many rows, as the catalogue of metrics names it."""
        return {"rows.staged": self.rows, "rows.published": self.rows if self.mode else 0}

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        kept = {"staging_table": str(self.staging_table)} if self.staging_table else {}
        return {
            "table": str(self.partition.table),
            "partition": self.partition.as_dict,
            "rows": self.rows,
            "exchange": self.mode,
            "published": self.mode is not None,
            "run_uid": self.run.run_uid,
            **self.summary.as_dict(),
            **kept,
        }


def publish(session: ExchangeSession, ledger: Ledger, load: Load, run: Run) -> Outcome:
    """Stage the SELECT's rows, check them, and make them visible if they pass.

    :raises ChecksFailed: if a check blocks; production is unchanged, the results are in the ledger
    :raises TableError: if the SELECT or the partition does not fit the table
    :raises ExchangeError: if the rows cannot be made visible; production is unchanged
    """
    ledger.ensure()
    target = locate(session, load.table)
    for swept in staging.sweep(session, target.table.schema, ttl=load.staging_ttl):
        log.info("Dropped %s, left by a run that is gone", swept)
    shape = shape_of(session, target, load)
    stage = _bare_stage(session, target.table, shape, run, sorted_by=None if target.oid else load.sorted_by)
    try:
        outcome = _Publication(session, ledger, load, run, target, shape, stage).go()
    except BaseException as error:
        kept = isinstance(error, ChecksFailed) and "staging_table" in error.outcome
        if not kept:
            staging.discard(session, stage.table)
        raise
    if outcome.mode == "overwrite":
        staging.discard(session, stage.table)
    return outcome


def _bare_stage(
    session: ExchangeSession, table: Table, shape: Shape, run: Run, number: int = 0, sorted_by: str | None = None
) -> Stage:
    name = staging.name_beside(session, table, staging.STAGE, run, number)
    mark = Mark.of(staging.STAGE, Partition(table), run)
    return staging.create(session, name, shape.statements(session.dialect, name, sorted_by=sorted_by), mark)


class _Publication:
    """One load, from its empty stage on."""

    def __init__(
        self, session: ExchangeSession, ledger: Ledger, load: Load, run: Run, target: Target, shape: Shape, stage: Stage
    ) -> None:
        self.session, self.ledger, self.load, self.run = session, ledger, load, run
        self.target, self.shape, self.stage = target, shape, stage
        self.clock = load.settings.clock
        self.columns: tuple[Column, ...] = session.columns(stage.table)
        self.partition = Partition.of(target.table, canonical_key(session, load.key, self.columns))
        self.checking = Checking(
            session, ledger, run, self.partition,
            checks=(
                *resolve(load.checks, self.columns, dialect=session.dialect),
                *implied_checks(self.partition, load),
            ),
            columns=self.columns,
            production=self.partition if target.oid is not None else None,
            outcome=lambda summary: Outcome(self.partition, 0, run, summary).as_dict(),
        )  # fmt: skip
        self._stages = 0

    def go(self) -> Outcome:
        exchange = self._exchange()
        tell_lacks(self.session, self.target.table, self.load.new, self.target.features)
        if self.target.features is not None:
            exchange.choice.modes(self.target)  # refused now, or never: before the SELECT runs
        self.checking.preflight(Partition(self.stage.table))
        self._fill()
        with self.clock.step(steps.CHECKS):
            summary = self.checking.judge(
                Partition(self.stage.table), lambda r: explained(self.session, self.stage.table, self.partition, r)
            )
        if blocking := self.checking.blocking(summary, self.load.fail_on):
            raise self._reject(summary, blocking)
        self.stage.rows = self.checking.rows
        self._summary = summary
        with self.clock.step(steps.EXCHANGE):
            mode = exchange.publish()
        staging.drop_kept(self.session, self.partition, staging.REJECTED)
        self._prune()
        log.info("Published %s rows of %s by %s", f"{self.stage.rows:,}", self.partition, mode)
        return Outcome(self.partition, self.stage.rows, self.run, summary, mode, seconds=self.clock.seconds)

    def _exchange(self) -> Exchange:
        return EXCHANGES[self.session.dialect.name](
            self.session, self.load.settings, self.stage, self.partition, self.run,
            columns=self.shape.supplied, appended=self.shape.appended, record=self._record, undress=self._undress,
            new=self.load.new,
        )  # fmt: skip

    def _undress(self) -> None:
        """Stage the same rows again: the table is not the one any more that the stage was dressed as."""
        self._stages += 1
        bare = _bare_stage(self.session, self.target.table, self.shape, self.run, self._stages)
        columns = [column.name for column in self.columns if not column.generated]
        rows = Select(self.session.dialect.select(columns, self.stage.table))
        staging.fill(self.session, bare, columns, rows)
        staging.discard(self.session, self.stage.table)
        vars(self.stage).update(vars(bare))

    def _fill(self) -> None:
        if self.load.explain and isinstance(self.load.source, Select):
            explain(self.session, [self.load.source.sql])
        with self.clock.step(steps.STAGING):
            staging.fill(self.session, self.stage, self.shape.supplied, self.load.source)
        log.info("Staged %s rows of %s in %s, %.2f s", f"{self.stage.rows:,}", self.partition, self.stage.table,
                 self.clock.seconds[steps.STAGING])  # fmt: skip

    def _reject(self, summary: Summary, blocking: Sequence[Result]) -> ChecksFailed:
        kept = None
        rows = self.checking.rows
        if self.load.keep_staging and rows:
            staging.keep_rejected(self.session, self.stage, self.partition, self.run)
            kept = self.stage.table
            log.warning("The rejected rows are kept in %s", kept)
        self.checking.record_rejection(summary, kept)
        hint = f"look at the rejected rows in {kept}" if kept else "keep_staging=True keeps the rows to look at"
        if not rows:
            hint = "look at what the source reads; allow_empty=True publishes zero rows, too"
        outcome = Outcome(self.partition, rows, self.run, summary, None, kept, self.clock.seconds)
        return self.checking.failure(
            f"{self.partition} was not published", summary, blocking, outcome=outcome.as_dict(), hint=hint
        )

    def _record(self, mode: str, previous: Table | None) -> None:
        """Append the publication, in the transaction that makes it true."""
        if self.load.within is not None:
            self.load.within()
        self.checking.record_metrics("published")
        self.ledger.record_publication(
            self.run, self.partition, self.load.found or self._summary, mode=mode, rows=self.stage.rows,
            previous=previous, lineage=self.load.lineage,
        )  # fmt: skip

    def _prune(self) -> None:
        kept = self.load.settings.keep_previous
        for table in staging.previous_versions(self.session, self.partition)[kept:]:
            staging.drop(self.session, table)


def implied_checks(partition: Partition, load: Load) -> list[Check]:
    """What every publication must meet: some rows, and all of them of the named partition."""
    checks = []
    if not load.allow_empty and not any(_refuses_empty(check) for check in load.checks):
        checks.append(
            Check("not_empty", ROWS, Interval(low=0, low_open=True), source="allow_empty=False", implied=True)
        )
    if partition.key:
        columns = tuple(column for column, _ in partition.key)
        metric = Metric("outside_partition", columns, (("key", partition.key),))
        checks.append(Check("rows_in_partition", metric, Interval(0, 0), source="partition=", implied=True))
    return checks


def _refuses_empty(check: Check) -> bool:
    try:
        expect = check.expect if check.metric == ROWS and check.severity == "error" else None
        return isinstance(expect, Interval) and 0 not in expect
    except TypeError:
        raise SpecError(f"{check.source}: row_count is a number", hint="compare it with one") from None
