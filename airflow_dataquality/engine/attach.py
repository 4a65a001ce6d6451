"""Exchange one partition of a natively partitioned Postgres table by DETACH and ATTACH."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_dataquality.engine.partitions import Slot, find_slot, guard
from airflow_dataquality.engine.staging import features_of, oid_of
from airflow_dataquality.engine.target import Changed, Target, as_it_is
from airflow_dataquality.errors import ExchangeRefused
from airflow_dataquality.plans import exchange as plans
from airflow_dataquality.plans.features import Features, as_new_child

if TYPE_CHECKING:
    from airflow_dataquality.engine.postgres_exchange import PostgresExchange


def attach(exchange: PostgresExchange, target: Target) -> None:
    """Put the stage in the place of the partition's child, or where it has none yet.

    Everything that scans or builds is done before: ATTACH finds the rows proven in bounds and every index there.
    """
    assert target.features is not None
    session, stage = exchange.session, exchange.stage
    exchange.append_columns(target)
    with as_it_is(session, target.table):
        slot = find_slot(session, target, exchange.partition)
    if not isinstance(slot, Slot):
        raise ExchangeRefused(f"no place for {exchange.partition}: {slot}", hint='use exchange="auto"')
    clothes = _dress(exchange, slot, target.features)
    check = guard(session, stage.table, exchange.partition)
    exchange.locks.await_snapshots(stage)

    def once() -> None:
        with exchange.locks.exclusive(whole=False):
            exchange.steady()
            exchange.same(target)
            exchange.record("attach", exchange.previous)
            exchange.keep_as_it_is(target.table, "SHARE UPDATE EXCLUSIVE")
            if find_slot(session, target, exchange.partition) != slot:
                raise Changed("its partitions are others now")
            if slot.features is None:
                _into_empty_place(exchange, target, slot, clothes, check)
            else:
                _in_place_of_child(exchange, target, slot, slot.features, clothes, check)

    exchange.locks.attempts(once)


def _dress(exchange: PostgresExchange, slot: Slot, parent: Features) -> plans.Wardrobe:
    """Dress the stage as the child that is there; or as one that the parent would make."""
    if slot.features is not None:
        clothes = exchange.dress(slot.features)
        exchange.name_previous(Target(slot.table))
        return clothes
    clothes = slot.clothes_of_a_new_child(exchange.dress(as_new_child(parent), own=False), exchange.sql.max_name_bytes)
    owner = parent.relation["owner"]
    with exchange.session.transaction():
        exchange.session.execute(exchange.sql.set_owner(exchange.stage.table, owner))
        for grant in exchange.stage.default_grants:
            exchange.send(exchange.sql.grant(exchange.stage.table, {**grant, "grantor": owner}))
    return clothes


def _into_empty_place(
    exchange: PostgresExchange, target: Target, slot: Slot, clothes: plans.Wardrobe, check: str
) -> None:
    session, sql = exchange.session, exchange.sql
    rename = plans.take_empty_place(sql, exchange.stage.table, slot.table, clothes)
    session.batch(
        [
            *(statement.sql for statement in rename.statements),
            sql.mark(slot.table, None),
            sql.attach(target.table, slot.table, slot.bound),
            sql.drop_constraint(slot.table, check),
        ]
    )


def _in_place_of_child(
    exchange: PostgresExchange, target: Target, slot: Slot, before: Features, clothes: plans.Wardrobe, check: str
) -> None:
    session, sql = exchange.session, exchange.sql
    now, stage = oid_of(session, slot.table), oid_of(session, exchange.stage.table)
    assert now is not None
    assert stage is not None
    # Waits for writers while readers may still pass, and keeps what is compared now as it is.
    exchange.keep_as_it_is(slot.table, "SHARE ROW EXCLUSIVE")
    exchange.unchanged(before, features_of(session, now))
    exchange.take_place(
        slot.table, clothes, before.relation["comment"], lock=target.table,
        before=[sql.detach(target.table, slot.table)],
        after=[sql.attach(target.table, slot.table, slot.bound), sql.drop_constraint(slot.table, check)],
    )  # fmt: skip
    exchange.carried(before, features_of(session, stage))
