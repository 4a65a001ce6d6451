"""Where a partition of a natively partitioned Postgres table goes."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from airflow_dataquality.engine.locks import Locks
from airflow_dataquality.engine.session import ExchangeSession, Row
from airflow_dataquality.engine.staging import features_of, oid_of
from airflow_dataquality.engine.target import Target, as_it_is, rights_missing
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.plans.exchange import Wardrobe
from airflow_dataquality.plans.features import Features, child_obstacles, columns_made_otherwise
from airflow_dataquality.plans.names import shorten

log = logging.getLogger(__name__)

_DISCRETE = ("date", "smallint", "integer", "bigint")


@dataclass(frozen=True)
class Slot:
    """A place for one partition.

    :param table: the child's name, of the one there or of the one to come
    :param bound: its bound, as ATTACH PARTITION takes it
    :param features: of the child that is there; None if there is none yet
    """

    table: Table
    bound: str
    features: Features | None

    def clothes_of_a_new_child(self, clothes: Wardrobe, limit: int) -> Wardrobe:
        """The parent's indexes under names of the child's: theirs are taken."""
        names = {
            shorten(f"{self.table.name}_{name}", f"_{number}", limit): twin
            for number, (name, twin) in enumerate(clothes.indexes.items())
        }
        return replace(clothes, indexes=names)


def find_slot(session: ExchangeSession, target: Target, partition: Partition) -> Slot | str:
    """The place of exactly these rows; or why there is none, so that the rows must be overwritten."""
    assert target.features is not None
    assert target.oid is not None
    sql = session.dialect
    strategy, columns, has_default = session.query(sql.partitioning(target.oid))[0]
    if strategy not in ("l", "r") or len(columns) != 1 or [column for column, _ in partition.key] != list(columns):
        return f"it is not partitioned by exactly {', '.join(column for column, _ in partition.key)}"
    if has_default:
        return "it has a DEFAULT partition, which every ATTACH would scan under its lock"
    ((column, value),) = partition.key
    kind = target.features.columns[column]["type"]
    typed = sql.cast(value, kind)
    exact = session.query(sql.bounds(typed, strategy, "discrete" if kind in _DISCRETE else "continuous"))[0][0]
    if exact is None:
        return f"a range of {kind} cannot hold exactly one value"
    child = _holder(session, target.oid, column, typed)
    if child is None:
        return Slot(_name_of_a_new_child(session, target.table, str(value)), exact, None)
    return _slot_of_child(session, child, exact, partition)


def _holder(session: ExchangeSession, oid: int, column: str, value: str) -> Row | None:
    """The partition that the value belongs to; None if there is none."""
    sql = session.dialect
    children = {int(row[0]): row for row in session.query(sql.partitions(oid))}
    if not children:
        return None
    number = session.query(sql.which_holds(value, column, {oid: row[5] for oid, row in children.items()}))[0][0]
    return None if number is None else children[int(number)]


def _slot_of_child(session: ExchangeSession, child: Row, exact: str, partition: Partition) -> Slot | str:
    oid, schema, name, relkind, bound, _ = child
    if relkind != "r":
        return f"its partition {name} is partitioned again"
    if bound != exact:
        return f"its partition {name} holds more than {partition.json}: {bound}"
    return Slot(Table(name, schema), bound, features_of(session, int(oid)))


def attach_obstacles(session: ExchangeSession, target: Target, partition: Partition) -> list[str]:
    """What stands in the way of DETACH and ATTACH."""
    assert target.features is not None
    parent = rights_missing(session, target.features.without("grant"))
    parent += [
        detail["text"]
        for kind in ("incoming foreign key", "foreign key", "trigger", "policy", "publication", "rule")
        for detail in target.features.of(kind).values()
    ]
    with as_it_is(session, target.table):
        slot = find_slot(session, target, partition)
    if isinstance(slot, str):
        return [*parent, slot]
    child = []
    if slot.features is not None:
        child = [
            *child_obstacles(slot.features),
            *columns_made_otherwise(slot.features, target.features),
            *rights_missing(session, slot.features),
        ]
    invalid = [f"index {name} is invalid" for name, i in target.features.of("index").items() if not i["valid"]]
    return [*parent, *child, *invalid]


def _name_of_a_new_child(session: ExchangeSession, table: Table, value: str) -> Table:
    """``daily_flights_2013_02_02``, as people name them; with a hash where that is taken, too long or ambiguous."""
    limit = session.dialect.max_name_bytes
    plain = Table(f"{table.name}_{value.replace('-', '_')}", table.schema)
    fits = re.fullmatch(r"[a-z0-9-]+", value) and len(plain.name.encode()) <= limit
    if fits and oid_of(session, plain) is None:
        return plain
    digest = hashlib.blake2b(value.encode(), digest_size=6).hexdigest()
    return Table(shorten(table.name, f"_{digest}", limit), table.schema)


def make_places(session: ExchangeSession, locks: Locks, target: Target, partitions: Iterable[Partition]) -> None:
    """Make the partitions that a natively partitioned table lacks, empty, so that rows can be inserted through it.

    Each in a transaction of its own, before the exchange: readers wait for its lock no longer than ``lock_timeout``.
    """
    for partition in partitions:
        if isinstance(slot := _place(session, target, partition), Slot) and slot.features is None:
            locks.attempts(partial(_make, session, locks, target, slot, partition))
            log.info("Made %s for %s", slot.table, partition)


def _place(session: ExchangeSession, target: Target, partition: Partition) -> Slot | str:
    with as_it_is(session, target.table):
        return find_slot(session, target, partition)


def _make(session: ExchangeSession, locks: Locks, target: Target, slot: Slot, partition: Partition) -> None:
    sql = session.dialect
    try:
        with session.transaction():
            session.execute(sql.lock_timeout(locks.settings.lock_timeout))
            session.execute(sql.create_child(slot.table, target.table, slot.bound))
    except Exception:
        # Another run may have made it: then there is a place, whatever the server said.
        now = _place(session, target, partition)
        if isinstance(now, str) or now.features is None:
            raise


def guard(session: ExchangeSession, stage: Table, partition: Partition) -> str:
    """Prove before the exchange that every staged row is in bounds, so that ATTACH need not scan under its lock."""
    sql = session.dialect
    ((column, value),) = partition.key
    test = sql.rows_of(partition)
    if value is not None:
        test = f"{sql.identifier(column)} IS NOT NULL AND {test}"
    name = shorten(stage.name, "_in", sql.max_name_bytes)
    session.execute(sql.add_constraint(stage, name, f"CHECK ({test})"))
    return name
