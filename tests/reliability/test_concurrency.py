"""Several publications at once: no lost update, no mix, no deadlock; different partitions run in parallel."""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from reliability import lab
from reliability.lab import PARTITIONED, PLAIN, Process, operator

from airflow_dataquality import maintenance
from support import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

FIRST, SECOND, THIRD = ({"day": f"2024-01-0{number}"} for number in (1, 2, 3))
ROWS = 20
OLD = f"INSERT INTO lab.orders (id, day, amount) {lab.select(1, ROWS, amount=1000)}"
ROUNDS = 4


@dataclass(frozen=True)
class Load:
    """Rows of a version, published whole or for one day.

    :param amount: in every row: which version it is
    """

    amount: int = 1
    day: dict[str, str] | None = None
    exchange: str = "auto"

    def publish(self, pause: float = 0.0, **arguments: Any) -> dict[str, Any]:
        """Publish after a pause, with all the patience there is."""
        time.sleep(pause)
        arguments = {"exchange_timeout": lab.FOREVER} | arguments
        sql = lab.select(1, ROWS, self.amount, int(self.day["day"][-1]) if self.day else None)
        outcome: dict[str, Any] = operator(sql, partition=self.day, exchange=self.exchange, **arguments).execute({})
        return outcome | {"amount": self.amount}

    def numbered(self, amount: int) -> Load:
        return Load(amount, self.day, self.exchange)


@dataclass(frozen=True)
class Crowd:
    """Publications that start at once."""

    given: tuple[str, ...]
    loads: tuple[Load, ...] = field(default=())


CROWDS = {
    "one table, swap": Crowd((*PLAIN, OLD), (Load(exchange="swap"),) * 2),
    "one table, swap beside overwrite": Crowd((*PLAIN, OLD), (Load(exchange="swap"), Load(exchange="overwrite"))),
    "one table, overwrite": Crowd((*PLAIN, OLD), (Load(exchange="overwrite"),) * 2),
    "one partition": Crowd((*PLAIN, OLD), (Load(day=FIRST),) * 2),
    "different partitions": Crowd((*PLAIN, OLD), (Load(day=FIRST), Load(day=SECOND))),
    "a table beside its partition": Crowd((*PLAIN, OLD), (Load(exchange="swap"), Load(day=FIRST))),
    "a table that is not there": Crowd((), (Load(),) * 2),
    "a partition of a table that is not there": Crowd((), (Load(day=FIRST), Load(day=SECOND))),
    "one child": Crowd((*PARTITIONED, OLD), (Load(day=FIRST, exchange="attach"),) * 2),
    "different children": Crowd((*PARTITIONED, OLD), (Load(day=FIRST), Load(day=SECOND))),
    "one new child": Crowd((*PARTITIONED, OLD), (Load(day=THIRD, exchange="attach"),) * 2),
    "a new child beside an old one": Crowd((*PARTITIONED, OLD), (Load(day=THIRD), Load(day=SECOND))),
    "a table beside its child": Crowd((*PARTITIONED, OLD), (Load(), Load(day=FIRST))),
}


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
def test_two_at_once(crowd: Crowd, warehouse: Warehouse) -> None:
    chance = random.Random(1)  # noqa: S311 - pauses
    with warehouse.connect() as connection:
        for number in range(ROUNDS):
            lab.reset(connection, crowd.given, ledger=number > 0)
            before = lab.orders(connection) or []
            loads = [load.numbered(amount) for amount, load in enumerate(crowd.loads, 1)]
            pauses = [0.0, 0.0] if number == 0 else [chance.random() * 0.05 for _ in loads]
            processes = [Process(partial(load.publish, pause)) for load, pause in zip(loads, pauses, strict=True)]
            outcomes = [process.join() for process in processes]
            _one_after_the_other(connection, before, outcomes)
            wanted = [load.exchange for load in loads if load.exchange != "auto"]
            assert [o["exchange"] for o, load in zip(outcomes, loads, strict=True) if load.exchange != "auto"] == wanted


@pytest.mark.parametrize("given", [(*PLAIN, OLD), (*PARTITIONED, OLD)], ids=["plain", "partitioned"])
def test_eight_at_once(given: tuple[str, ...], warehouse: Warehouse) -> None:
    def publish_some(worker: int) -> list[dict[str, Any]]:
        chance = random.Random(worker)  # noqa: S311 - pauses
        days = [None, FIRST, SECOND, THIRD]
        return [
            Load(100 * worker + number, chance.choice(days)).publish(chance.random() * 0.05) for number in range(1, 5)
        ]

    with warehouse.connect() as connection:
        lab.reset(connection, given)
        definitions, before = lab.definitions(connection), lab.orders(connection) or []
        processes = [Process(partial(publish_some, worker)) for worker in range(8)]
        outcomes = [outcome for process in processes for outcome in process.join()]
        _one_after_the_other(connection, before, outcomes)
        assert {row for row in definitions if row[1] != "r"} <= set(lab.definitions(connection))


def _one_after_the_other(connection: psycopg.Connection[Any], before: lab.Rows, outcomes: list[dict[str, Any]]) -> None:
    """The table is as if they had run in the order that the ledger says."""
    lab.await_alone(connection)
    order = connection.execute("SELECT run_uid, rows FROM dataquality.publication ORDER BY published_at").fetchall()
    by_run = {outcome["run_uid"]: outcome for outcome in outcomes}
    assert sorted(by_run) == sorted(run for run, _ in order)
    rows = set(before)
    for run, _ in order:
        key = by_run[run]["partition"]
        rows = {row for row in rows if key and str(row[1]) != key["day"]} | _rows_of(connection, by_run[run])
    assert lab.orders(connection) == sorted(rows)
    assert lab.beside(connection) == {}
    assert lab.advisory_locks(connection) == 0


def _rows_of(connection: psycopg.Connection[Any], outcome: dict[str, Any]) -> set[tuple[Any, ...]]:
    key = outcome["partition"]
    return set(connection.execute(lab.select(1, ROWS, outcome["amount"], int(key["day"][-1]) if key else None)))


# -- who waits for whom


@contextmanager
def held_up(warehouse: Warehouse, statement: str, load: Load) -> Iterator[Process]:
    """A publication that has everything but one lock, which is ours until the block ends."""
    with warehouse.connect() as observer, warehouse.connect() as connection, connection.transaction():
        connection.execute(statement)
        process = Process(load.publish)
        ungranted = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        lab.await_true(lambda: lab.value(observer, ungranted), "it waits for our lock")
        yield process


def test_different_partitions_do_not_wait_for_each_other(warehouse: Warehouse) -> None:
    with warehouse.connect() as observer:
        lab.reset(observer, (*PLAIN, OLD))
        before = lab.orders(observer) or []
        row = "SELECT FROM lab.orders WHERE day = '2024-01-01' LIMIT 1 FOR UPDATE"
        with held_up(warehouse, row, Load(1, FIRST)) as first:
            outcomes = [Load(2, SECOND).publish(), Load(3, THIRD).publish()]  # or they would wait for us, forever
            assert lab.publications(observer) == 2
            same, whole = Process(Load(4, FIRST).publish), Process(Load(5, exchange="overwrite").publish)
            lab.await_true(lambda: _waiting_in_line(observer) == 2, "the others wait for the one that we hold up")
            assert lab.publications(observer) == 2
        outcomes += [first.join(), same.join(), whole.join()]
        _one_after_the_other(observer, before, outcomes)


def test_different_children_do_not_wait_for_each_other(warehouse: Warehouse) -> None:
    with warehouse.connect() as observer:
        lab.reset(observer, (*PARTITIONED, OLD))
        before = lab.orders(observer) or []
        with held_up(warehouse, "SELECT FROM lab.first LIMIT 1", Load(1, FIRST, "attach")) as first:
            outcomes = [Load(2, SECOND, "attach").publish(), Load(3, THIRD, "attach").publish()]
            assert lab.publications(observer) == 2
        outcomes.append(first.join())
        _one_after_the_other(observer, before, outcomes)


def _waiting_in_line(connection: psycopg.Connection[Any]) -> int:
    return int(lab.value(connection, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


# -- what a sweep may take


@contextmanager
def staging(connection: psycopg.Connection[Any]) -> Iterator[Process]:
    """A publication whose SELECT takes its time, until the block ends."""
    slow = f"SELECT * FROM ({lab.select(1, ROWS, 1)}) AS r WHERE pg_advisory_xact_lock_shared(7) IS NOT NULL"
    connection.execute("SELECT pg_advisory_lock(7)")
    process = Process(partial(operator(slow).execute, {}))
    try:
        lab.await_true(lambda: _waiting_in_line(connection), "its SELECT runs")
        yield process
    finally:
        connection.execute("SELECT pg_advisory_unlock(7)")


def test_a_sweep_leaves_the_stage_of_a_live_run_alone(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        lab.reset(connection, (*PLAIN, OLD))
        with staging(connection) as process:
            (stage,) = lab.beside(connection)
            assert maintenance.sweep("warehouse") == []
            Load(2, FIRST).publish()  # every run sweeps, too
            assert lab.beside(connection) == {stage: "stage"}
        assert process.join()["published"]
        lab.await_alone(connection)
        assert lab.beside(connection) == {}


def test_a_sweep_removes_the_stage_of_a_dead_run(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        lab.reset(connection, (*PLAIN, OLD))
        with staging(connection) as process:
            (stage,) = lab.beside(connection)
            process.kill()
            assert process.join() is None
            lab.await_alone(connection)  # the server looks after its clients while it waits for a lock
            assert maintenance.sweep("warehouse", dry_run=True) == [f"lab.{stage}"]
            assert lab.beside(connection) == {stage: "stage"}
            assert maintenance.sweep("warehouse") == [f"lab.{stage}"]
        assert lab.beside(connection) == {}
        assert lab.publications(connection) == 0
