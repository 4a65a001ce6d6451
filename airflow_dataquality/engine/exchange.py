"""Make staged rows visible: choose how, lock, exchange, record, in one transaction.

Readers of the table see the old rows or the new rows, never none, never a mix, and never an error.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.settings import MODES, Settings
from airflow_dataquality.engine.staging import Mark, Stage, features_of, oid_of
from airflow_dataquality.errors import ExchangeError, ExchangeRefused, ExchangeTimeout, did_you_mean
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.plans import exchange as plans
from airflow_dataquality.plans.features import Features, attach_obstacles, swap_obstacles

log = logging.getLogger(__name__)

_RETRY = {"55P03": "a lock was not free", "40P01": "deadlock", "40001": "serialization failure"}


@dataclass(frozen=True)
class Target:
    """The table as it is now. ``oid`` and ``features`` are None if it does not exist."""

    table: Table
    oid: int | None = None
    features: Features | None = None

    @property
    def partitioned(self) -> bool:
        return self.features is not None and self.features.relation["kind"] == "p"


class Changed(ExchangeError):
    """The table is not what the plan was made for: look again."""


def locate(session: Any, table: Table) -> Target:
    """Find the table, and read everything on it.

    :raises ExchangeRefused: if rows cannot be published into what has that name
    """
    rows = session.query(session.dialect.describe(table))
    if not rows:
        return Target(_qualified(session, table))
    oid, schema, name, kind = rows[0][:4]
    if kind not in ("r", "p"):
        raise ExchangeRefused(
            f"{table} is a {_KINDS.get(kind, 'relation')}, not a table", hint="publish into a table, and have it read that"
        )
    return Target(Table(name, schema), int(oid), features_of(session, int(oid)))


_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "c": "type", "i": "index"}


def _qualified(session: Any, table: Table) -> Table:
    schema = table.schema or session.query(session.dialect.current_schema())[0][0]
    if schema is None:
        raise ExchangeRefused(f"{table}: no schema in the search path exists", hint="write schema.table")
    return Table(table.name, schema)


class Exchange:
    """One exchange of one stage.

    :param record: appends the publication to the ledger: (mode, previous version)
    :param columns: the columns that the SELECT supplies
    :param appended: of these, the ones that the table does not have yet → type
    """

    def __init__(
        self, session: Any, settings: Settings, stage: Stage, partition: Partition, run: Run, *,
        columns: Sequence[str], appended: dict[str, str], record: Callable[[str, Table | None], None],
    ) -> None:  # fmt: skip
        self.session, self.sql = session, session.dialect
        self.settings, self.stage, self.partition, self.run = settings, stage, partition, run
        self.columns, self.appended, self.record = columns, appended, record
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
        raise ExchangeError(f"{self.partition.table} keeps changing", hint="stop whatever alters it, and retry")

    def _publish(self, target: Target) -> str:
        modes = self.modes(target)
        for number, mode in enumerate(modes):
            started = time.monotonic()
            try:
                getattr(self, f"_{mode}")(target)
            except (ExchangeRefused, ExchangeTimeout) as obstacle:
                if number == len(modes) - 1:
                    raise
                log.info("No %s: %s. Trying %s.", mode, obstacle.message, modes[number + 1])
            else:
                log.info("Exchanged by %s in %.3f s", mode, time.monotonic() - started)
                return mode
        raise AssertionError("modes are never empty")

    # -- which way

    def modes(self, target: Target) -> list[str]:
        """The modes to try, in order.

        :raises ExchangeRefused: if the mode asked for would lose something
        """
        wanted = self.settings.mode
        if target.features is None:
            return ["create"]
        possible = self._possible(target)
        if wanted == "auto":
            modes = [mode for mode, obstacles in possible.items() if not obstacles]
            for mode, obstacles in possible.items():
                if obstacles:
                    log.info("No %s of %s: %s", mode, target.table, "; ".join(obstacles))
            if modes:
                return modes
            raise ExchangeRefused(
                f"no way to exchange {self.partition} keeps everything as it is",
                losses=[f"{mode}: {line}" for mode, lines in possible.items() for line in lines],
                hint=self._allow_hint(possible.get("overwrite", [])),
            )
        if wanted not in possible:
            raise ExchangeRefused(
                f"exchange={wanted!r} does not fit {self.partition}: {_misfit(wanted, target, self.partition)}",
                hint=f'use exchange="auto", or one of: {", ".join(possible)}',
            )
        if possible[wanted]:
            raise ExchangeRefused(
                f"exchange={wanted!r} of {self.partition} is refused, for it would lose or set off",
                losses=possible[wanted],
                hint=self._allow_hint(possible[wanted]) if wanted == "overwrite" else 'use exchange="auto"',
            )
        return [wanted]

    def _possible(self, target: Target) -> dict[str, list[str]]:
        """The modes that fit the table and the partition → what stands in their way."""
        assert target.features is not None
        possible: dict[str, list[str]] = {}
        if target.partitioned and self.partition.key:
            possible["attach"] = self._attach_obstacles(target)
        elif not target.partitioned and not self.partition.key:
            possible["swap"] = swap_obstacles(target.features) + self._ownership(target.features)
        possible["overwrite"] = [line for _, line in self._side_effects(target)]
        return possible

    def _ownership(self, features: Features) -> list[str]:
        owner = features.relation["owner"]
        if self.session.query(self.sql.is_member(owner))[0][0]:
            return []
        return [f"owner {owner}, of which this connection's role is no member"]

    def _side_effects(self, target: Target) -> list[tuple[str, str]]:
        rows = self.session.query(self.sql.side_effects(target.oid))
        return [(name, line) for name, line in rows if name not in self.settings.allow_side_effects]

    def _allow_hint(self, lines: Sequence[str]) -> str:
        return (
            "remove what stands in the way, or accept it by name: allow_side_effects=[…]"
            if lines
            else "remove what stands in the way"
        )

    # -- locks and attempts

    def _attempts(self, action: Callable[[], None]) -> None:
        """Run a whole transaction until its locks are to be had."""
        deadline = time.monotonic() + self.settings.exchange_timeout
        pause, tries = 0.02, 0
        while True:
            tries += 1
            try:
                return action()
            except Exception as error:
                state = self.session.sqlstate(error)
                if state not in _RETRY:
                    raise
                if time.monotonic() + pause > deadline:
                    raise ExchangeTimeout(
                        f"{self.partition.table} could not be locked in {self.settings.exchange_timeout:g} s "
                        f"({tries} tries; {_RETRY[state]})",
                        hint="end the transactions that hold it (pg_stat_activity), or raise exchange_timeout",
                    ) from error
                log.info("%s: %s; again in %.2f s", self.partition.table, _RETRY[state], pause)
            # Readers that queued behind our lock request go first.
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            pause = min(pause * 2, 1.0)

    @contextmanager
    def _exclusive(self, *, whole: bool) -> Iterator[None]:
        """A transaction in which nobody else publishes the same rows."""
        sql, table = self.sql, self.partition.table
        with self.session.transaction():
            self.session.execute(sql.lock_timeout(0))
            self._advise(sql.lock_key("table", table.schema, table.name), shared=not whole)
            if not whole:
                self._advise(sql.lock_key("partition", table.schema, table.name, self.partition.json), shared=False)
            yield

    def _advise(self, key: int, *, shared: bool) -> None:
        if not self.session.query(self.sql.advise(key, shared=shared, wait=False))[0][0]:
            log.info("Another publication of %s is under way: waiting for it", self.partition.table)
            self.session.query(self.sql.advise(key, shared=shared))

    def _await_snapshots(self) -> None:
        """Wait until no transaction is left to which the stage is empty: after a rename it would see no row.

        :raises ExchangeTimeout: if one stays
        """
        deadline = time.monotonic() + self.settings.exchange_timeout
        pause = 0.01
        query = self.sql.older_snapshots(self.stage.fill_id, self.stage.filled_at, self.stage.strangers)
        while holders := self.session.query(query):
            if time.monotonic() > deadline:
                pids = ", ".join(str(row[0]) for row in holders)
                raise ExchangeTimeout(
                    f"a transaction older than the staged rows stays open (backend {pids}): it would see an empty table",
                    hint="end it, raise exchange_timeout, or use overwrite",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.5)

    def _same(self, target: Target) -> None:
        """Make sure that the table is still the one that was planned for."""
        if oid_of(self.session, self.partition.table) != target.oid:
            raise Changed("another table has its name now")

    # -- the four ways

    def _create(self, target: Target) -> None:
        def once() -> None:
            with self._exclusive(whole=True):
                if oid_of(self.session, target.table) is not None:
                    raise Changed("it exists now")
                self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))
                self.session.execute(self.sql.mark(self.stage.table, None))
                for grant in self.stage.default_grants:
                    self._send(self.sql.grant(self.stage.table, grant))
                self.session.execute(self.sql.rename_table(self.stage.table, target.table.name))
                self.record("create", None)

        self._attempts(once)

    def _swap(self, target: Target) -> None:
        assert target.features is not None
        features = target.features
        clothes = self._dress(features)
        self._await_snapshots()
        if self.settings.keep_previous:
            self.previous = staging.name_beside(self.session, target.table, "prev", self.run)

        def once() -> None:
            with self._exclusive(whole=True):
                self._steady()
                now = oid_of(self.session, target.table)
                if now is None:
                    raise Changed("it was dropped")
                stage_oid = oid_of(self.session, self.stage.table)
                self.record("swap", self.previous)
                self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))
                # Blocks changes to the table's definition, but no reader: what is compared now stays so.
                self.session.execute(self.sql.lock_table(target.table, "SHARE ROW EXCLUSIVE"))
                self._unchanged(features, features_of(self.session, now))
                self._take_place(target.table, clothes, features.relation["comment"], lock=target.table)
                self._carried(features, features_of(self.session, stage_oid or 0))

        self._attempts(once)

    def _steady(self) -> None:
        for statement in self.sql.steady_plans():
            self.session.execute(statement)

    def _take_place(self, table: Table, clothes: plans.Wardrobe, comment: str | None, *, lock: Table) -> None:
        """From the lock to the new name in one message: the critical section has no round trips inside."""
        sql = self.sql
        started = time.monotonic()
        self.session.execute(sql.lock_table(lock, "ACCESS EXCLUSIVE"))
        waited = time.monotonic() - started
        plan = plans.take_place(sql, self.stage.table, table, clothes, self.previous)
        marks = [sql.mark(table, comment)]
        if self.previous:
            marks.append(sql.mark(self.previous, Mark.of(staging.PREVIOUS, self.partition, self.run).comment))
        self.session.batch([*(s.sql for s in plan.statements), *marks])
        log.info("Waited %.1f ms for the lock, renamed in %.1f ms", waited * 1e3, (time.monotonic() - started - waited) * 1e3)

    def _unchanged(self, planned: Features, now: Features) -> None:
        if now != planned:
            raise Changed(", ".join(planned.differences(now)))

    def _carried(self, before: Features, after: Features) -> None:
        """Compare the fingerprints; a difference rolls the exchange back."""
        kept = Features(frozenset(r for r in after.rows if not (r[0] == "column" and r[1] in self.appended)))
        if lost := before.differences(kept):
            raise ExchangeRefused(f"the new {self.partition.table} would not be as the old one", losses=lost,
                                  hint='use exchange="auto" or "overwrite"')  # fmt: skip

    def _dress(self, features: Features, own: bool = True) -> plans.Wardrobe:
        """Dress the stage, in transactions of their own: indexes and constraints take their time here.

        :raises ExchangeRefused: if the rows break a constraint of the table, or it cannot be carried over
        """
        clothes = plans.wardrobe(self.stage.table, features, self.sql.max_name_bytes)
        try:
            self.session.run(plans.dress(self.sql, self.stage.table, clothes, columns=list(features.columns)))
            if own:
                stage_oid = oid_of(self.session, self.stage.table) or 0
                have = features_of(self.session, stage_oid)
                self.session.run(plans.own(self.sql, self.stage.table, features, have))
        except Exception as error:
            known = staging.database_error("the staged rows cannot be dressed as the table", error)
            if (self.session.sqlstate(error) or "").startswith("23"):
                raise ExchangeError(f"a constraint of {self.partition.table} rejects the staged rows: {known.message}",
                                    hint="mend the SELECT, or check for it") from error  # fmt: skip
            raise ExchangeRefused(known.message, hint=known.hint) from error
        return clothes

    def _overwrite(self, target: Target) -> None:
        assert target.features is not None
        self._append_columns(target)
        work = self._overwrite_plan(target, target.features)
        plan = plans.overwrite(self.sql, work)

        def once() -> None:
            with self._exclusive(whole=not self.partition.key):
                self._same(target)
                self.session.execute(self.sql.lock_timeout(self.settings.exchange_timeout))
                self.session.execute(self.sql.lock_table(target.table, "ROW EXCLUSIVE"))
                if self.settings.keep_previous:
                    self._copy_previous(work)
                inserted = self.session.send(plan)
                self._complete(inserted, work)
                self.record("overwrite", self.previous)

        try:
            self._attempts(once)
        except ExchangeError:
            raise
        except Exception as error:
            known = staging.database_error(f"{self.partition} could not be overwritten", error)
            raise ExchangeError(known.message, hint=known.hint) from error

    def _overwrite_plan(self, target: Target, features: Features) -> plans.Overwrite:
        columns = [column for column in features.columns if column in self.columns]
        return plans.Overwrite(
            table=target.table,
            stage=self.stage.table,
            where=self.sql.rows_of(self.partition),
            columns=columns,
            overriding=any(features.columns[column]["identity"] for column in columns),
            only=not target.partitioned,
            key=_referenced_key(features),
        )

    def _complete(self, inserted: int, work: plans.Overwrite) -> None:
        """Every staged row arrived, unless something that the user allowed took rows away."""
        if not work.key and not self.settings.allow_side_effects and inserted != self.stage.rows:
            raise ExchangeError(
                f"{inserted} of {self.stage.rows} staged rows arrived in {work.table}: rolled back",
                hint="look for triggers or rules on the table",
            )

    def _copy_previous(self, work: plans.Overwrite) -> None:
        self.previous = staging.name_beside(self.session, work.table, "prev", self.run)
        self._send([
            self.sql.copy_table(self.previous, work.columns, work.table, work.where, only=work.only),
            *(self.sql.revoke(self.previous, grant) for grant in self.stage.default_grants),
            self.sql.mark(self.previous, Mark.of(staging.PREVIOUS, self.partition, self.run).comment),
        ])  # fmt: skip

    def _append_columns(self, target: Target) -> None:
        """Add the SELECT's new columns to the table, before and apart from the exchange: the lock is short then."""
        assert target.features is not None
        missing = {name: kind for name, kind in self.appended.items() if name not in target.features.columns}
        if not missing:
            return

        def once() -> None:
            with self.session.transaction():
                self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))
                self.session.execute(self.sql.add_columns(target.table, missing))

        self._attempts(once)
        log.info("Added to %s: %s (prepared SELECT * statements of others must be prepared again)",
                 target.table, ", ".join(missing))  # fmt: skip
        raise Changed(f"it has the columns {', '.join(missing)} now")

    def _send(self, statements: Sequence[str]) -> None:
        for statement in statements:
            self.session.execute(statement)

    # -- partitions of a partitioned table

    def _attach_obstacles(self, target: Target) -> list[str]:
        """What stands in the way of DETACH and ATTACH."""
        from airflow_dataquality.engine.partitions import find_slot

        assert target.features is not None
        parent = [
            detail["text"]
            for kind in ("incoming foreign key", "foreign key", "trigger", "policy", "publication", "rule")
            for detail in target.features.of(kind).values()
        ]
        slot = find_slot(self.session, target, self.partition)
        if isinstance(slot, str):
            return [*parent, slot]
        child = attach_obstacles(slot.features) if slot.features else []
        invalid = [f"index {n} is invalid" for n, i in target.features.of("index").items() if not i["valid"]]
        return [*parent, *child, *invalid, *self._ownership(target.features)]

    def _attach(self, target: Target) -> None:
        from airflow_dataquality.engine.partitions import Slot, find_slot, guard

        assert target.features is not None
        self._append_columns(target)
        slot = find_slot(self.session, target, self.partition)
        if not isinstance(slot, Slot):
            raise ExchangeRefused(slot)
        wanted = slot.features or target.features
        clothes = self._dress(wanted, own=slot.features is not None)
        if slot.features is None:
            clothes = slot.clothes_of_a_new_child(clothes, self.sql.max_name_bytes)
        check = guard(self.session, self.stage.table, self.partition)
        self._await_snapshots()
        if self.settings.keep_previous and slot.features is not None:
            self.previous = staging.name_beside(self.session, target.table, "prev", self.run)
        if slot.features is None:
            self._own_new_child(target.features)

        def once() -> None:
            with self._exclusive(whole=False):
                self._steady()
                self._same(target)
                self.record("attach", self.previous)
                self.session.execute(self.sql.lock_timeout(self.settings.lock_timeout))
                self.session.execute(self.sql.lock_table(target.table, "SHARE UPDATE EXCLUSIVE"))
                self._exchange_child(target, slot, clothes, check)

        self._attempts(once)

    def _own_new_child(self, parent: Features) -> None:
        owner = parent.relation["owner"]
        with self.session.transaction():
            self.session.execute(self.sql.set_owner(self.stage.table, owner))
            for grant in self.stage.default_grants:
                self._send(self.sql.grant(self.stage.table, {**grant, "grantor": owner}))

    def _exchange_child(self, target: Target, slot: Any, clothes: plans.Wardrobe, check: str) -> None:
        sql = self.sql
        stage_oid = oid_of(self.session, self.stage.table)
        if slot.features is None:
            if oid_of(self.session, slot.table) is not None:
                raise Changed(f"{slot.table} exists now")
            rename = plans.take_empty_place(sql, self.stage.table, slot.table, clothes)
            self.session.batch([*(s.sql for s in rename.statements), sql.mark(slot.table, None),
                                sql.attach(target.table, slot.table, slot.bound),
                                sql.drop_constraint(slot.table, check)])  # fmt: skip
            return
        now = oid_of(self.session, slot.table)
        if now is None:
            raise Changed(f"{slot.table} was dropped")
        self._unchanged(slot.features, features_of(self.session, now))
        self.session.execute(sql.lock_table(target.table, "ACCESS EXCLUSIVE"))
        self.session.execute(sql.detach(target.table, slot.table))
        self._take_place(slot.table, clothes, slot.features.relation["comment"], lock=slot.table)
        self.session.batch([sql.attach(target.table, slot.table, slot.bound), sql.drop_constraint(slot.table, check)])
        self._carried(slot.features, features_of(self.session, stage_oid or 0))


def _misfit(mode: str, target: Target, partition: Partition) -> str:
    if mode == "create":
        return "the table exists"
    if mode == "swap":
        return "it is one partition" if partition.key else "the table is partitioned"
    if mode == "attach":
        return "the table is not partitioned" if not target.partitioned else "no partition is named"
    return did_you_mean(mode, MODES)


def _referenced_key(features: Features) -> list[str]:
    """The columns by which rows are told apart if foreign keys refer to the table; empty if none does."""
    incoming = list(features.of("incoming foreign key").values())
    return list(incoming[0]["key"]) if incoming else []
