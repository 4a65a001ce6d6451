"""Upsert: stage, look at the keys, check, and bring the rows into the table in one transaction."""

from __future__ import annotations

import contextlib
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.engine import clock as steps
from airflow_dataquality.engine.checking import Checking
from airflow_dataquality.engine.explain import explain
from airflow_dataquality.engine.fit import Choice, Fit, Upsert, find, fit, look
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.engine.keys import Keys
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.locks import PATIENCE, Busy, Locks
from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.staging import MADE_HINT, oid_of
from airflow_dataquality.errors import DataQualityError, ExchangeError, TableError
from airflow_dataquality.model import Partition, Plan, Table
from airflow_dataquality.plans import upsert as plans
from airflow_dataquality.plans.names import beside
from airflow_dataquality.results import Summary

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of the rows.

    :param strategy: how they came into the table; None if they did not
    :param seconds: how long each step took, as :mod:`airflow_dataquality.engine.clock` names them
    """

    table: Table
    run: Run
    summary: Summary
    keys: Keys
    counts: plans.Counts = field(default_factory=plans.Counts)
    strategy: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def partition(self) -> Partition:
        """The whole table."""
        return Partition(self.table)

    @property
    def numbers(self) -> dict[str, float]:
        """What became of how many rows, as the catalogue of metrics names it."""
        counts = self.counts
        changed = {"rows.inserted": counts.inserted, "rows.updated": counts.updated, "rows.unchanged": counts.unchanged}
        return {"rows.staged": self.keys.staged, "rows.published": counts.inserted + counts.updated, **changed}

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "table": str(self.table),
            "rows_staged": self.keys.staged,
            "inserted": self.counts.inserted,
            "updated": self.counts.updated,
            "unchanged": self.counts.unchanged,
            "duplicates": self.keys.surplus,
            "null_keys_dropped": self.keys.dropped,
            "strategy": self.strategy,
            "run_uid": self.run.run_uid,
            **self.summary.as_dict(),
        }


def upsert(session: ExchangeSession, ledger: Ledger, work: Upsert, run: Run) -> Outcome:
    """Stage the source's rows, check them, and insert or update them if they pass.

    :raises ChecksFailed: if a check blocks; the table is unchanged, the results are in the ledger
    :raises KeyViolation: if a row has no key, or another row has the same
    :raises TableError: if the rows do not fit the table
    :raises ExchangeError: if the rows cannot be brought into the table, which is unchanged
    """
    ledger.ensure()
    found = find(session, work.table)
    names = work.source.names(session, found.columns)
    fitted = fit(found, names, work)
    upsertion = _Upsertion(session, ledger, work, run, fitted)
    try:
        return upsertion.go()
    finally:
        upsertion.clean_up()


class _Upsertion:
    """One upsert, from its empty stage on."""

    def __init__(self, session: ExchangeSession, ledger: Ledger, work: Upsert, run: Run, fitted: Fit) -> None:
        self.session, self.sql, self.ledger = session, session.dialect, ledger
        self.work, self.run, self.fit, self.found = work, run, fitted, fitted.found
        self.target = Partition(self.found.table)
        self.clock = work.settings.clock
        self.choice = Choice(session, fitted, work.strategy)
        self.keys = Keys()
        self.checking = Checking(
            session, ledger, run, self.target,
            checks=resolve(work.checks, fitted.columns, dialect=session.dialect),
            columns=fitted.columns,
            production=self.target,
            outcome=lambda summary: Outcome(self.found.table, run, summary, self.keys).as_dict(),
        )  # fmt: skip
        self.temps: list[Table] = []

    def go(self) -> Outcome:
        stage = self._stage()
        self.checking.preflight(Partition(stage))
        with self.clock.step(steps.STAGING):
            self._fill(stage)
        self.keys = keys = Keys.of(self.session, stage, self.work, self.found.table)
        if keys.leave:
            stage = self._keep(stage, keys)
        with self.clock.step(steps.CHECKS):
            summary = self.checking.judge(Partition(stage))
        if blocking := self.checking.blocking(summary, self.work.fail_on):
            self.checking.record_rejection(summary)
            raise self.checking.failure(
                f"nothing was upserted into {self.found.table}", summary, blocking,
                outcome=self.checking.outcome(summary), hint="look at what the source holds",
            )  # fmt: skip
        strategy = self.choice.choose(keys.patterns)
        change = plans.Change(
            self.found.table, stage, self.fit.keys, self.fit.insert, self.fit.update, keys.patterns,
            skip_unchanged=self.work.skip_unchanged, partitioned=self.found.partitioned,
        )  # fmt: skip
        with self.clock.step(steps.EXCHANGE):
            counts = self._apply(change, strategy, keys.rows, summary)
        return Outcome(self.found.table, self.run, summary, keys, counts, strategy, self.clock.seconds)

    def clean_up(self) -> None:
        """Drop what was staged, whatever state the session is in."""
        for temp in self.temps:
            with contextlib.suppress(Exception):  # with a broken connection it is gone already
                self.session.execute(self.sql.drop_temp(temp))

    def _temp(self, role: str) -> Table:
        name = beside(Table(self.found.table.name), role, self.run.run_uid, min(63, self.sql.max_name_bytes))
        self.temps.append(name)
        return name

    def _stage(self) -> Table:
        stage = self._temp("stage")
        try:
            self.session.execute(self.sql.create_temp(stage, self.found.table, self.fit.names, self._distribution()))
        except DataQualityError:
            raise
        except Exception as error:
            raise database_error("the staging table cannot be made", error, hint=MADE_HINT) from error
        return stage

    def _distribution(self) -> str | None:
        """The supplied column by which the table is distributed, so that the join with the stage moves no rows."""
        question = self.sql.distribution(self.found.table)
        columns = [str(row[0]) for row in self.session.query(question)] if question else []
        return next((column for column in columns if column in self.fit.names), None)

    def _fill(self, stage: Table) -> None:
        started = time.monotonic()
        if isinstance(self.work.source, Select):
            self._explain([self.work.source.sql])
        rows = 0

        def once() -> None:
            nonlocal rows
            with self.session.transaction():
                rows = self.work.source.fill(self.session, stage, self.fit.names)

        if self.work.source.repeatable:
            Locks(self.session, self.work.settings, self.target).attempts(once)
        else:
            once()
        self._ready(stage)
        log.info("Staged %s rows for %s, %.2f s", f"{rows:,}", self.found.table, time.monotonic() - started)

    def _ready(self, stage: Table) -> None:
        for statement in self.sql.ready(stage, self.fit.keys):
            self.session.execute(statement)

    def _keep(self, stage: Table, keys: Keys) -> Table:
        """A second stage, without the rows that leave."""
        kept = self._temp("kept")
        columns, known = self.fit.columns, self.work.on_null_keys == "drop"
        try:
            if keys.surplus:
                statement = self.sql.keep_last(
                    kept, stage, columns, self.fit.keys, self.work.order_by, self.found.table, known=known
                )
            else:
                statement = self.sql.keep_known(kept, stage, columns, self.fit.keys)
            self.session.execute(statement)
        except DataQualityError:
            raise
        except Exception as error:
            raise database_error(
                "the rows to keep cannot be told", error, hint="order_by= needs columns with an order"
            ) from error
        self._ready(kept)
        log.info("%s staged rows have NULL in a key and are dropped, %s are older than another of their key",
                 f"{keys.dropped:,}", f"{keys.surplus:,}")  # fmt: skip
        return kept

    def _apply(self, change: plans.Change, strategy: str, rows: int, summary: Summary) -> plans.Counts:
        """Bring the rows into the table.

        :raises ExchangeError: with the database's words; the table is unchanged
        """
        plan = plans.apply(self.sql, change, strategy)
        self._explain(statement.sql for statement in plan.statements)
        settings = self.work.settings
        counts = plans.Counts()

        def once() -> None:
            nonlocal counts
            before = self._oid()
            with Locks(self.session, settings, self.target).exclusive(whole=True):
                if self._oid() != before:  # so that the lock may be on the table that had the name
                    raise Busy("it was exchanged meanwhile")
                wait = max(settings.lock_timeout, PATIENCE)
                with self.clock.step(steps.LOCK_WAIT):
                    for statement in self.sql.write_locks(self.found.table, wait, settings.exchange_timeout):
                        self.session.execute(statement)
                self._unchanged()
                tally = self._send(plan)
                counts = plans.Counts.of(change, rows, tally)
                if several := plans.surplus_matches(rows, tally):
                    log.warning("%s holds %s rows that share their key with others", self.found.table, f"{several:,}")
                self.checking.record_metrics("published")
                self.ledger.record_publication(
                    self.run, self.target, summary, mode="upsert", rows=counts.inserted + counts.updated, previous=None
                )

        started = time.monotonic()
        try:
            Locks(self.session, settings, self.target).attempts(once)
        except DataQualityError:
            raise
        except Exception as error:
            if not _spoken(error):  # a lost connection, an interrupt
                raise
            what = f"the rows could not be upserted into {self.found.table} by {strategy}"
            known = database_error(what, error, hint="the table is unchanged: mend the rows")
            raise ExchangeError(known.message, hint=known.hint) from error
        log.info("Upserted %s rows into %s by %s in %.3f s: %s", f"{rows:,}", self.found.table, strategy,
                 time.monotonic() - started, counts)  # fmt: skip
        return counts

    def _oid(self) -> int | None:
        return None if self.found.oid is None else oid_of(self.session, self.found.table)

    def _unchanged(self) -> None:
        """Make sure, under the lock, that the table is still the one that was planned for."""
        now = look(self.session, self.found.table, self.found.oid, partitioned=self.found.partitioned)
        if now != self.found:
            raise TableError(f"{self.found.table} was altered while its rows were staged", hint="run the task again")

    def _send(self, plan: Plan) -> Counter[str]:
        tally: Counter[str] = Counter()
        for step in plan.statements:
            answer: Sequence[Any] = (
                self.session.query(step.sql)[0]
                if isinstance(step, plans.Step) and step.answers
                else [self.session.execute(step.sql)]
            )
            if isinstance(step, plans.Step):
                for word, number in zip(step.counted, answer, strict=False):
                    tally[word] += int(number)
        return tally

    def _explain(self, statements: Any) -> None:
        if self.work.explain:
            explain(self.session, statements)


def _spoken(error: BaseException) -> bool:
    """Whether the database refused, and did not vanish."""
    return said(error).sqlstate is not None or hasattr(error, "sqlite_errorcode")
