"""Statements in one transaction: run, count, check what they wrote, record, commit."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.dialects.lexer import first_word, statements_in
from airflow_dataquality.engine.checking import ROWS, Checking
from airflow_dataquality.engine.columns import canonical_key
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.said import database_error
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.errors import ChecksFailed, DataQualityError, SpecError, TableError
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
    """

    sql: str
    table: Table | None = None
    key: Mapping[str, Scalar] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    fail_on: FailOn = FailOn.ERROR
    allow_empty: bool = False


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

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""
        return {
            "table": None if self.partition is None else str(self.partition.table),
            "partition": {} if self.partition is None else self.partition.as_dict,
            "rows": self.rows,
            "statements": list(self.counts),
            "run_uid": self.run.run_uid,
            **self.summary.as_dict(),
        }


def run_script(session: ExchangeSession, ledger: Ledger, script: Script, run: Run) -> Outcome:
    """Run the statements, check what they wrote, and commit if it passes.

    :raises ChecksFailed: if a check blocks; nothing has changed, the results are in the ledger
    :raises TableError: with the database's words, if a statement fails
    :raises SpecError: if there is no statement, or one that ends the transaction
    """
    statements = statements_in(script.sql)
    _refuse(statements)
    ledger.ensure()
    checking: Checking | None = None
    try:
        with session.transaction():
            counts = list(_executed(session, statements))
            if script.table is None:
                return Outcome(run, counts)
            checking = _checking(session, ledger, script, run, counts)
            summary = checking.examine(checking.partition)
            if blocking := checking.blocking(summary, script.fail_on):
                raise checking.failure(
                    f"nothing was written to {checking.partition}", summary, blocking,
                    outcome=Outcome(run, counts, checking.partition, checking.rows, summary).as_dict(),
                    hint="look at what the statements write",
                )  # fmt: skip
            ledger.record_results(run, checking.partition, summary)
            checking.record_metrics("published")
            ledger.record_publication(
                run, checking.partition, summary, mode="sql", rows=checking.rows, previous=None
            )  # fmt: skip
        log.info("Wrote %s: it has %s rows", checking.partition, f"{checking.rows:,}")
        return Outcome(run, counts, checking.partition, checking.rows, summary)
    except ChecksFailed as failed:
        # The transaction that would have recorded them was rolled back.
        if checking is None or failed.summary is None:
            raise
        ledger.record_results(run, checking.partition, failed.summary)
        checking.record_rejection(failed.summary)
        raise


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


def _refuse(statements: Sequence[str]) -> None:
    if not statements:
        raise SpecError("there is no statement", hint="write at least one")
    for each in statements:
        word = first_word(each)
        if word in ("begin", "start", "commit", "end", "rollback", "abort", "vacuum"):
            raise SpecError(
                f"{word.upper()} among the statements",
                hint="leave it out: all of them are one transaction"
                if word != "vacuum"
                else "it cannot run in a transaction: have a task of its own run it",
            )


def _executed(session: ExchangeSession, statements: Sequence[str]) -> Iterator[int | None]:
    for number, statement in enumerate(statements, 1):
        try:
            touched = session.execute(statement)
        except DataQualityError:
            raise
        except Exception as error:
            shown = " ".join(statement.split())[:80]
            raise database_error(f"statement {number} failed ({shown})", error, hint="mend it; nothing has changed",
                                 ) from error  # fmt: skip
        count = touched if touched >= 0 and first_word(statement) in _COUNTED else None
        log.info("Statement %d of %d: %s", number, len(statements), "done" if count is None else f"{count:,} rows")
        yield count


def _checking(
    session: ExchangeSession, ledger: Ledger, script: Script, run: Run, counts: Sequence[int | None]
) -> Checking:  # fmt: skip
    assert script.table is not None
    columns = session.columns(script.table)
    if not columns:
        raise TableError(f"the statements do not make {script.table}", hint="have them create it, or create it before")
    partition = Partition.of(script.table, canonical_key(session, script.key, columns))
    some = Check("not_empty", ROWS, Interval(low=0, low_open=True), source="allow_empty=False", implied=True)
    inside: Any = _Inside(session)
    return Checking(
        inside, ledger, run, partition,
        checks=(*resolve(script.checks, columns, dialect=session.dialect), *(() if script.allow_empty else (some,))),
        columns=columns,
        production=None,
        outcome=lambda summary: Outcome(run, counts, partition, None, summary).as_dict(),
    )  # fmt: skip
