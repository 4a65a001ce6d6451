"""Make staged rows visible: choose how, lock, exchange, record, in one transaction.

Readers of the table see the old rows or the new rows, never none, never a mix, and never an error.
"""

from __future__ import annotations

import abc
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.choice import Choice
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.locks import Locks
from airflow_dataquality.engine.new_table import NewTable
from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.staging import Mark, Stage, oid_of
from airflow_dataquality.engine.target import Changed, Target, locate
from airflow_dataquality.errors import DataQualityError, ExchangeError, ExchangeRefused, ExchangeTimeout
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.plans import exchange as plans
from airflow_dataquality.plans.features import Features

log = logging.getLogger(__name__)


class Exchange(abc.ABC):
    """One exchange of one stage. Of each mode there is a method; a warehouse's own are in a module of its name.

    :param record: appends the publication to the ledger: (mode, previous version)
    :param columns: the columns that the SELECT supplies
    :param appended: of these, the ones that the table does not have yet → type
    :param undress: stages the same rows again, bare
    :param new: what the table gets if it has to be made
    """

    chooses: ClassVar[type[Choice]] = Choice
    changed: ClassVar[Mapping[str, str]] = {"2BP01": "something depends on it now"}
    """SQLSTATEs that say that the table is not what it was: a view made meanwhile, say."""

    def __init__(
        self, session: ExchangeSession, settings: Settings, stage: Stage, partition: Partition, run: Run, *,
        columns: Sequence[str], appended: dict[str, str], record: Callable[[str, Table | None], None],
        undress: Callable[[], None], new: NewTable | None = None,
    ) -> None:  # fmt: skip
        self.session, self.sql = session, session.dialect
        self.settings, self.stage, self.partition, self.run = settings, stage, partition, run
        self.columns, self.appended, self.record, self.undress = columns, appended, record, undress
        self.new = new or NewTable()
        self.dressed = False
        self.choice = self.chooses(session, settings, partition)
        self.locks = Locks(session, settings, partition)
        self.previous: Table | None = None

    def publish(self) -> str:
        """Exchange, and return the mode that was taken.

        :raises ExchangeRefused: if no mode, or not the one asked for, keeps everything on the table
        :raises ExchangeTimeout: if its locks were not to be had in time
        """
        for _ in range(5):
            try:
                return self._publish(locate(self.session, self.partition.table))
            except Changed as change:
                log.info("%s changed meanwhile (%s): looking again", self.partition.table, change.message)
            if self.dressed:
                self.undress()
                self.dressed = False
        raise ExchangeError(f"{self.partition.table} keeps changing", hint="stop whatever alters it, and retry")

    def _publish(self, target: Target) -> str:
        modes = self.choice.modes(target)
        for number, mode in enumerate(modes):
            started = time.monotonic()
            try:
                self._by(mode, target)
            except (ExchangeRefused, ExchangeTimeout) as obstacle:
                if number == len(modes) - 1:
                    raise
                log.info("No %s: %s. Trying %s.", mode, obstacle.message, modes[number + 1])
            else:
                log.info("Exchanged by %s in %.3f s", mode, time.monotonic() - started)
                return mode
        raise AssertionError("modes are never empty")

    def _by(self, mode: str, target: Target) -> None:
        try:
            getattr(self, mode)(target)
        except DataQualityError:
            raise
        except Exception as error:
            state = said(error).sqlstate
            if state is None:  # not the database's word: a lost connection, an interrupt
                raise
            if state in self.changed:
                raise Changed(self.changed[state]) from error
            known = database_error(f"{self.partition} could not be exchanged by {mode}", error)
            raise ExchangeError(known.message, hint=known.hint) from error

    def same(self, target: Target) -> None:
        """Make sure that the table is still the one that was planned for."""
        if oid_of(self.session, self.partition.table) != target.oid:
            raise Changed("another table has its name now")

    def name_previous(self, target: Target) -> None:
        """Choose a name to keep the replaced rows under, if they are to be kept."""
        if self.settings.keep_previous:
            self.previous = staging.name_beside(self.session, target.table, "prev", self.run)

    def unchanged(self, planned: Features, now: Features) -> None:
        if now != planned:
            raise Changed(", ".join(planned.differences(now)))

    def carried(self, before: Features, after: Features) -> None:
        """Compare the fingerprints; a difference rolls the exchange back."""
        new = self.appended.keys() - before.columns.keys()
        kept = Features(frozenset(r for r in after.rows if not (r[0] == "column" and r[1] in new)))
        if lost := before.differences(kept):
            raise ExchangeRefused(f"the new {self.partition.table} would not be as the old one", losses=lost,
                                  hint='use exchange="auto" or "overwrite"')  # fmt: skip

    @abc.abstractmethod
    def create(self, target: Target) -> None:
        """Give the stage the name that nothing has yet."""

    def take_free_name(self, target: Target) -> None:
        """Make the stage the table, with the privileges that a new table gets here, and record it."""
        self.session.execute(self.sql.mark(self.stage.table, self.new.comment))
        for grant in self.stage.default_grants:
            self.send(self.sql.grant(self.stage.table, grant))
        self.session.execute(self.sql.rename_table(self.stage.table, target.table.name))
        self.record("create", None)

    def dress_new(self) -> None:
        """Give the stage what a new table gets, before its rows become visible.

        :raises ExchangeError: if the rows break its primary key
        """
        indexes = self.new.on_stage(self.stage.table, self.sql.max_name_bytes)
        statements = self.sql.dress_new(self.stage.table, indexes=indexes, comments=self.new.comments)
        if not statements:
            return
        self.dressed = True
        try:
            with self.session.transaction():
                for statement in statements:
                    self.session.execute(statement)
        except Exception as error:
            known = database_error(f"the new {self.partition.table} cannot have its key and indexes", error)
            raise ExchangeError(known.message, hint="mend the SELECT, or what is declared of the table") from error

    @abc.abstractmethod
    def swap(self, target: Target) -> None:
        """Put the stage in the place of the whole table, by renaming both."""

    def overwrite(self, target: Target) -> None:
        """Replace the rows in place."""
        assert target.features is not None
        self.append_columns(target)
        self.name_previous(target)
        work = self.overwriting(target, target.features)
        plan = plans.overwrite(self.sql, work)

        def once() -> None:
            with self.locks.exclusive(whole=not self.partition.key or self.partition.several):
                self.same(target)
                self.lock_rows(target)
                self._copy_previous(work)
                inserted = self.session.send(plan)
                self._complete(inserted, work)
                self.record("overwrite", self.previous)

        self.locks.attempts(once)

    def numbers(self, column: Mapping[str, Any]) -> bool:
        """Whether the stage has numbers for an identity column that the SELECT leaves out."""
        return bool(column["identity"])

    @abc.abstractmethod
    def lock_rows(self, target: Target) -> None:
        """Lock what the overwrite writes, if it is not locked already."""

    def overwriting(self, target: Target, features: Features) -> plans.Overwrite:
        """What an overwrite replaces, and by which columns."""
        # Identities that the SELECT leaves out were numbered on the stage: what was checked is what is published.
        columns = [name for name, column in features.columns.items() if name in self.columns or self.numbers(column)]
        key = self.referenced_key(features)
        return plans.Overwrite(
            table=target.table,
            stage=self.stage.table,
            where=self.sql.rows_of(self.partition, of="t" if key else ""),  # where the stage is in sight, too
            columns=columns,
            overriding=any(features.columns[column]["identity"] for column in columns),
            only=not target.partitioned,
            key=key,
            numbered=[column for column in columns if column not in self.columns],
        )

    def referenced_key(self, features: Features) -> list[str]:
        """The columns by which rows must be told apart, as foreign keys refer to them; empty if none does."""
        return []

    def _complete(self, inserted: int, work: plans.Overwrite) -> None:
        """Every staged row arrived, unless something that the user allowed took rows away."""
        if not work.key and not self.settings.allow_side_effects and inserted != self.stage.rows:
            raise ExchangeError(
                f"{inserted} of {self.stage.rows} staged rows arrived in {work.table}: rolled back",
                hint="look for triggers or rules on the table",
            )

    def _copy_previous(self, work: plans.Overwrite) -> None:
        if self.previous is None:
            return
        self.send([
            self.sql.copy_table(self.previous, work.columns, work.table, work.where, only=work.only),
            *(self.sql.revoke(self.previous, grant) for grant in self.stage.default_grants),
            self.sql.mark(self.previous, Mark.of(staging.PREVIOUS, self.partition, self.run).comment),
        ])  # fmt: skip

    def append_columns(self, target: Target) -> None:
        """Add the SELECT's new columns to the table, before and apart from the exchange: the lock is short then."""
        assert target.features is not None
        missing = {name: kind for name, kind in self.appended.items() if name not in target.features.columns}
        if not missing:
            return

        def once() -> None:
            with self.session.transaction():
                self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))
                self.send(self.sql.add_columns(target.table, missing))

        self.locks.attempts(once)
        log.info("Added to %s: %s (prepared SELECT * statements of others must be prepared again)",
                 target.table, ", ".join(missing))  # fmt: skip
        raise Changed(f"it has the columns {', '.join(missing)} now")

    def send(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.session.execute(statement)
