"""Make staged rows visible: choose how, lock, exchange, record, in one transaction.

Readers of the table see the old rows or the new rows, never none, never a mix, and never an error.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.attach import attach
from airflow_dataquality.engine.choice import Choice
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.locks import Locks
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.staging import Mark, Stage, features_of, oid_of
from airflow_dataquality.engine.target import Changed, Target, locate
from airflow_dataquality.errors import DataQualityError, ExchangeError, ExchangeRefused, ExchangeTimeout
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.plans import exchange as plans
from airflow_dataquality.plans.features import Features

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds to wait for a lock that keeps no reader waiting."""


class Exchange:
    """One exchange of one stage.

    :param record: appends the publication to the ledger: (mode, previous version)
    :param columns: the columns that the SELECT supplies
    :param appended: of these, the ones that the table does not have yet → type
    :param undress: stages the same rows again, bare
    """

    def __init__(
        self, session: ExchangeSession, settings: Settings, stage: Stage, partition: Partition, run: Run, *,
        columns: Sequence[str], appended: dict[str, str], record: Callable[[str, Table | None], None],
        undress: Callable[[], None],
    ) -> None:  # fmt: skip
        self.session, self.sql = session, session.dialect
        self.settings, self.stage, self.partition, self.run = settings, stage, partition, run
        self.columns, self.appended, self.record, self.undress = columns, appended, record, undress
        self.dressed = False
        self.choice = Choice(session, settings, partition)
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
        ways: dict[str, Callable[[Target], None]] = {
            "create": self._create,
            "swap": self._swap,
            "overwrite": self._overwrite,
            "attach": lambda partitioned: attach(self, partitioned),
        }
        try:
            ways[mode](target)
        except DataQualityError:
            raise
        except Exception as error:
            state = self.session.sqlstate(error)
            if state is None:  # not the database's word: a lost connection, an interrupt
                raise
            if state == "2BP01":  # what could not be dropped: a view made meanwhile, say
                raise Changed("something depends on it now") from error
            known = staging.database_error(f"{self.partition} could not be exchanged by {mode}", error)
            raise ExchangeError(known.message, hint=known.hint) from error

    def same(self, target: Target) -> None:
        """Make sure that the table is still the one that was planned for."""
        if oid_of(self.session, self.partition.table) != target.oid:
            raise Changed("another table has its name now")

    def _create(self, target: Target) -> None:
        def once() -> None:
            with self.locks.exclusive(whole=True):
                if oid_of(self.session, target.table) is not None:
                    raise Changed("it exists now")
                self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))
                self.session.execute(self.sql.mark(self.stage.table, None))
                for grant in self.stage.default_grants:
                    self.send(self.sql.grant(self.stage.table, grant))
                self.session.execute(self.sql.rename_table(self.stage.table, target.table.name))
                self.record("create", None)

        self.locks.attempts(once)

    def _swap(self, target: Target) -> None:
        assert target.features is not None
        features = target.features
        clothes = self.dress(features)
        self.locks.await_snapshots(self.stage)
        self.name_previous(target)

        def once() -> None:
            with self.locks.exclusive(whole=True):
                self.steady()
                now = oid_of(self.session, target.table)
                if now is None:
                    raise Changed("it was dropped")
                stage_oid = oid_of(self.session, self.stage.table)
                self.record("swap", self.previous)
                # Blocks changes to the table's definition, but no reader: what is compared now stays so.
                self.keep_as_it_is(target.table, "SHARE ROW EXCLUSIVE")
                self.unchanged(features, features_of(self.session, now))
                self.take_place(target.table, clothes, features.relation["comment"], lock=target.table)
                self.carried(features, features_of(self.session, stage_oid or 0))

        self.locks.attempts(once)

    def keep_as_it_is(self, table: Table, mode: str) -> None:
        """Lock out writers, or changes to the definition; readers pass. What comes next may make readers wait.

        An autovacuum gives way, but only after the server's ``deadlock_timeout``, a second by default: longer than
        readers are to wait, so that this lock has patience of its own.
        """
        self.session.execute(self.sql.lock_timeout(max(self.settings.lock_timeout, PATIENCE)))
        self.session.execute(self.sql.lock_table(table, mode))
        self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))

    def name_previous(self, target: Target) -> None:
        """Choose a name to keep the replaced rows under, if they are to be kept."""
        if self.settings.keep_previous:
            self.previous = staging.name_beside(self.session, target.table, "prev", self.run)

    def steady(self) -> None:
        for statement in self.sql.steady_plans():
            self.session.execute(statement)

    def take_place(
        self, table: Table, clothes: plans.Wardrobe, comment: str | None, *,
        lock: Table, before: Sequence[str] = (), after: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """From the lock to the new name in one message: the critical section has no round trips inside.

        :param lock: what keeps readers out: the table itself, or the one that it is a partition of
        """
        sql = self.sql
        started = time.monotonic()
        self.session.execute(sql.lock_table(lock, "ACCESS EXCLUSIVE"))
        waited = time.monotonic() - started
        plan = plans.take_place(sql, self.stage.table, table, clothes, self.previous)
        marks = [sql.mark(table, comment)]
        if self.previous:
            marks.append(sql.mark(self.previous, Mark.of(staging.PREVIOUS, self.partition, self.run).comment))
        # Readers wait for what has to be waited for from here on, so it has the time that the lock left.
        left = max(self.settings.lock_timeout - waited, 0.001)
        self.session.batch([sql.lock_timeout(left), *before, *(s.sql for s in plan.statements), *marks, *after])
        log.info(
            "Waited %.1f ms for the lock, renamed in %.1f ms", waited * 1e3, (time.monotonic() - started - waited) * 1e3
        )

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

    def dress(self, features: Features, own: bool = True) -> plans.Wardrobe:
        """Dress the stage, in transactions of their own: indexes and constraints take their time here.

        :raises ExchangeRefused: if the rows break a constraint of the table, or it cannot be carried over
        """
        clothes = plans.wardrobe(self.stage.table, features, self.sql.max_name_bytes)
        self.dressed = True
        try:
            self.session.run(plans.dress(self.sql, self.stage.table, clothes, columns=list(features.columns)))
            if own:
                stage_oid = oid_of(self.session, self.stage.table) or 0
                have = features_of(self.session, stage_oid)
                self.session.run(plans.own(self.sql, self.stage.table, features, have))
        except Exception as error:
            known = staging.database_error(
                "the staged rows cannot be given the table's indexes, constraints and grants", error
            )
            if (self.session.sqlstate(error) or "").startswith("23"):
                raise ExchangeError(f"a constraint of {self.partition.table} rejects the staged rows: {known.message}",
                                    hint="mend the SELECT, or check for it") from error  # fmt: skip
            raise ExchangeRefused(known.message, hint=known.hint) from error
        return clothes

    def _overwrite(self, target: Target) -> None:
        assert target.features is not None
        self.append_columns(target)
        self.name_previous(target)
        work = self._overwrite_plan(target, target.features)
        plan = plans.overwrite(self.sql, work)

        def once() -> None:
            with self.locks.exclusive(whole=not self.partition.key):
                self.same(target)
                self.session.execute(self.sql.lock_timeout(self.settings.exchange_timeout))
                self.session.execute(self.sql.lock_table(target.table, "ROW EXCLUSIVE"))
                self._copy_previous(work)
                inserted = self.session.send(plan)
                self._complete(inserted, work)
                self.record("overwrite", self.previous)

        self.locks.attempts(once)

    def _overwrite_plan(self, target: Target, features: Features) -> plans.Overwrite:
        # Identities that the SELECT leaves out were numbered on the stage: what was checked is what is published.
        columns = [name for name, column in features.columns.items() if name in self.columns or column["identity"]]
        key = _referenced_key(features)
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
                self.session.execute(self.sql.add_columns(target.table, missing))

        self.locks.attempts(once)
        log.info("Added to %s: %s (prepared SELECT * statements of others must be prepared again)",
                 target.table, ", ".join(missing))  # fmt: skip
        raise Changed(f"it has the columns {', '.join(missing)} now")

    def send(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.session.execute(statement)


def _referenced_key(features: Features) -> list[str]:
    """The columns by which rows are told apart if foreign keys refer to the table; empty if none does."""
    incoming = list(features.of("incoming foreign key").values())
    return list(incoming[0]["key"]) if incoming else []
