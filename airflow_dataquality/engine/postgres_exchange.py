"""Exchange on Postgres: rename under a lock of milliseconds, overwrite, or attach a partition."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from airflow_dataquality.engine import attach as partitions
from airflow_dataquality.engine import staging
from airflow_dataquality.engine.clock import LOCK_WAIT
from airflow_dataquality.engine.exchange import Exchange
from airflow_dataquality.engine.locks import PATIENCE
from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.staging import Mark, features_of, oid_of
from airflow_dataquality.engine.target import Changed, Target
from airflow_dataquality.errors import ExchangeError, ExchangeRefused
from airflow_dataquality.model import Table
from airflow_dataquality.plans import exchange as plans
from airflow_dataquality.plans.features import Features
from airflow_dataquality.plans.names import sorting_index

log = logging.getLogger(__name__)


class PostgresExchange(Exchange):
    """One exchange of one stage on Postgres."""

    def create(self, target: Target) -> None:
        self.dress_new()

        def once() -> None:
            with self.locks.exclusive(whole=True):
                if oid_of(self.session, target.table) is not None:
                    raise Changed("it exists now")
                self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))
                self.take_free_name(target)
                self.name_indexes(target.table)

        self.locks.attempts(once)

    def name_indexes(self, table: Table) -> None:
        """Have the indexes that the stage was made with be called as its table is, if it has any."""
        limit = self.sql.max_name_bytes
        made = zip(self.new.on_stage(self.stage.table, limit), self.new.indexed(table, limit), strict=True)
        names = {sorting_index(self.stage.table, limit).name: sorting_index(table, limit).name}
        for name, wanted in (names | {old: new for (old, *_), (new, *_) in made}).items():
            index, free = Table(name, table.schema), Table(wanted, table.schema)
            if oid_of(self.session, index) is not None and oid_of(self.session, free) is None:
                self.session.execute(self.sql.rename_index(index, wanted))

    def swap(self, target: Target) -> None:
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

    def attach(self, target: Target) -> None:
        """Put the stage in the place of one partition, by DETACH and ATTACH."""
        partitions.attach(self, target)

    def lock_rows(self, target: Target) -> None:
        self.session.execute(self.sql.lock_timeout(self.settings.exchange_timeout))
        with self.locks.clock.step(LOCK_WAIT):
            self.session.execute(self.sql.lock_table(target.table, "ROW EXCLUSIVE"))

    def referenced_key(self, features: Features) -> list[str]:
        incoming = list(features.of("incoming foreign key").values())
        return list(incoming[0]["key"]) if incoming else []

    def keep_as_it_is(self, table: Table, mode: str) -> None:
        """Lock out writers, or changes to the definition; readers pass. What comes next may make readers wait.

        An autovacuum gives way, but only after the server's ``deadlock_timeout``, a second by default: longer than
        readers are to wait, so that this lock has patience of its own.
        """
        self.session.execute(self.sql.lock_timeout(max(self.settings.lock_timeout, PATIENCE)))
        with self.locks.clock.step(LOCK_WAIT):
            self.session.execute(self.sql.lock_table(table, mode))
        self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))

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
        self.locks.clock.add(LOCK_WAIT, waited)
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
            known = database_error("the staged rows cannot be given the table's indexes, constraints and grants", error)
            if (said(error).sqlstate or "").startswith("23"):
                raise ExchangeError(f"a constraint of {self.partition.table} rejects the staged rows: {known.message}",
                                    hint="mend the SELECT, or check for it") from error  # fmt: skip
            raise ExchangeRefused(known.message, hint=known.hint) from error
        return clothes
