"""Statements in one transaction: run, count, check what they wrote, record, commit."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.dialects.lexer import bare, first_word
from airflow_dataquality.dialects.scripts import refuse_script
from airflow_dataquality.engine.checking import ROWS, Checking
from airflow_dataquality.engine.columns import canonical_key
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.locks import Locks
from airflow_dataquality.engine.said import database_error
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.errors import ChecksFailed, DataQualityError, TableError
from airflow_dataquality.model import Check, FailOn, Interval, Partition, Scalar, Table
from airflow_dataquality.results import Summary

log = logging.getLogger(__name__)

_COUNTED = ("insert", "update", "delete", "merge", "with", "copy", "select", "create")
"""First words of statements whose row count says something."""


@dataclass(frozen=True)
class Script:
    """What to run.

    :param table: that the statements write; None if they write none
    :param key: the part of it that they write; empty for all of it
    :param allow_empty: it may be empty then
    :param settings: how long to wait for others that write the same rows
    """

    sql: str
    table: Table | None = None
    key: Mapping[str, Scalar] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    fail_on: FailOn = FailOn.ERROR
    allow_empty: bool = False
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Outcome:
    """What became of it.

    :param counts: rows that each statement touched; None where that says nothing
    :param partition: what was written, and checked
    :param rows: in it
    """

    run: Run
    counts: Sequence[int | None]
    partition: Partition | None = None
    rows: int | None = None
    summary: Summary = field(default_factory=lambda: Summary(()))

    @property
    def table(self) -> Table | None:
        return None if self.partition is None else self.partition.table

    @property
    def changed(self) -> Sequence[Partition]:
        """What was published."""
        return () if self.partition is None else (self.partition,)

    @property
    def numbers(self) -> dict[str, float]:
        """What became of how many rows, as the catalogue of metrics names it."""
        return {} if self.rows is None else {"rows.published": self.rows}

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "table": None if self.table is None else str(self.table),
            "partition": {} if self.partition is None else self.partition.as_dict,
            "rows": self.rows,
            "statements": list(self.counts),
            "run_uid": self.run.run_uid,
            **self.summary.as_dict(),
        }


def run_script(session: ExchangeSession, ledger: Ledger, script: Script, run: Run) -> Outcome:
    """Run the statements, check what they wrote, and commit if it passes.

    Who writes the same rows waits; where one transaction contradicts another, all of it runs again.

    :raises ChecksFailed: if a check blocks; nothing has changed, the results are in the ledger
    :raises TableError: with the database's words, if a statement fails
    :raises ExchangeTimeout: if another run writes the same rows for longer than ``exchange_timeout``
    :raises SpecError: if there is no statement, or one that ends the transaction
    """
    statements = refuse_script(script.sql, session.dialect.name)
    ledger.ensure()
    return _Transaction(session, ledger, script, run, statements).go()


class _Transaction:
    """One script."""

    def __init__(
        self, session: ExchangeSession, ledger: Ledger, script: Script, run: Run, statements: Sequence[str]
    ) -> None:
        self.session, self.ledger, self.script, self.run, self.statements = session, ledger, script, run, statements
        self.counts: list[int | None] = []
        self.checking: Checking | None = None
        self.at = ""

    def go(self) -> Outcome:
        try:
            outcome = self._locked()
        except ChecksFailed as failed:
            # The transaction that would have recorded them was rolled back.
            if self.checking is not None and failed.summary is not None:
                self.ledger.record_results(self.run, self.checking.partition, failed.summary)
                self.checking.record_rejection(failed.summary)
            raise
        except DataQualityError:
            raise
        except Exception as error:
            raise database_error(f"{self.at} failed", error, hint="mend it; nothing has changed") from error
        if outcome.partition is not None:
            log.info("Wrote %s: it has %s rows", outcome.partition, f"{outcome.rows:,}")
        return outcome

    def _locked(self) -> Outcome:
        table = self.script.table
        columns = () if table is None else self.session.columns(table)
        if table is None or not (columns or self.session.dialect.savepoints):
            # Redshift has no lock but the table's own, and there is no table.
            with self.session.transaction():
                return self._once()
        key = canonical_key(self.session, self.script.key, columns) if columns else self.script.key
        locks = Locks(self.session, self.script.settings, Partition.of(table, key))
        outcomes: list[Outcome] = []

        def once() -> None:
            with locks.exclusive(whole=not key):
                outcomes[:] = [self._once()]

        self.at = "waiting for who writes the same rows"
        locks.attempts(once)
        return outcomes[0]

    def _once(self) -> Outcome:
        self.counts = list(self._executed())
        if self.script.table is None:
            return Outcome(self.run, self.counts)
        self.at = "a check of what the statements wrote"
        self.checking = checking = self._checking(self.script.table)
        summary = checking.examine(checking.partition)
        outcome = Outcome(self.run, self.counts, checking.partition, checking.rows, summary)
        if blocking := checking.blocking(summary, self.script.fail_on):
            raise checking.failure(
                f"nothing was written to {checking.partition}", summary, blocking, outcome=outcome.as_dict(),
                hint="look at what the statements write",
            )  # fmt: skip
        self.at = "the record in the ledger"
        self.ledger.record_results(self.run, checking.partition, summary)
        checking.record_metrics("published")
        self.ledger.record_publication(
            self.run, checking.partition, summary, mode="sql", rows=checking.rows, previous=None
        )
        return outcome

    def _executed(self) -> Iterator[int | None]:
        for number, statement in enumerate(self.statements, 1):
            # Without what is quoted: it may be a secret.
            self.at = f"statement {number} of {len(self.statements)} ({bare(statement)[:80]})"
            touched = self.session.execute(statement)
            count = touched if touched >= 0 and first_word(statement) in _COUNTED else None
            log.info("Statement %d of %d: %s", number, len(self.statements),
                     "done" if count is None else f"{count:,} rows")  # fmt: skip
            yield count

    def _checking(self, table: Table) -> Checking:
        columns = self.session.columns(table)
        if not columns:
            hint = "have them create it, or create it before"
            raise TableError(f"the statements do not make {table}", hint=hint)
        script = self.script
        partition = Partition.of(table, canonical_key(self.session, script.key, columns))
        some = Check("not_empty", ROWS, Interval(low=0, low_open=True), source="allow_empty=False", implied=True)
        inside: Any = _Inside(self.session)
        return Checking(
            inside, self.ledger, self.run, partition,
            checks=(*resolve(script.checks, columns, dialect=self.session.dialect),
                    *(() if script.allow_empty else (some,))),
            columns=columns,
            production=None,
            outcome=lambda summary: Outcome(self.run, self.counts, partition, None, summary).as_dict(),
        )  # fmt: skip


class _Inside:
    """A session in whose transaction others are open: they are savepoints of it, where there are such.

    Redshift has none: there, a check that fails to run ends the whole transaction, which is rolled back.
    """

    def __init__(self, session: ExchangeSession) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @contextlib.contextmanager
    def transaction(self, begin: str | None = None) -> Iterator[None]:
        if not self._session.dialect.savepoints:
            yield
            return
        self._session.execute("SAVEPOINT dq_inside")
        try:
            yield
        except BaseException:
            self._session.execute("ROLLBACK TO SAVEPOINT dq_inside")
            raise
        self._session.execute("RELEASE SAVEPOINT dq_inside")
