"""A summary whose run is killed, and runs of it at the same time: rows and ledger end in one chain."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from reliability import lab
from reliability.killing import counts_statements, die
from reliability.lab import Process

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine.chain import Chain
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.measures import Count, LastSeen, Rolling, Sum
from airflow_dataquality.model import Table
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from support import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

Connection = psycopg.Connection[Any]

DAYS = [f"2024-01-0{day}" for day in range(1, 7)]
FACTS = (
    "CREATE TABLE lab.facts (ds date, k int, n int)",
    "INSERT INTO lab.facts SELECT date '2024-01-01' + d, k, d * k FROM generate_series(0, 5) d, generate_series(1,9) k",
    "DELETE FROM lab.facts WHERE (k + ds - '2024-01-01') % 3 = 0",
)
LATE = "INSERT INTO lab.facts VALUES ('2024-01-02', 100, 1)"
POINTS = 9
"""How many moments of each run are tried."""


def summary(day: str, **arguments: Any) -> IncrementalSummaryOperator:
    source = {} if "sql" in arguments else {"source": "lab.facts"}
    return IncrementalSummaryOperator(
        task_id="summary", conn_id="warehouse", summary="lab.s", keys=["k"], partition_column="ds", partition=day,
        measures={"n": Count(), "total": Sum("n"), "last": LastSeen(), "recent": Rolling(Count(), days=2)},
        on_gap="catch_up", **source, **arguments,
    )  # fmt: skip


def rows(connection: Connection) -> lab.Rows | None:
    if lab.value(connection, "SELECT to_regclass('lab.s')") is None:
        return None
    return connection.execute("SELECT ds::text, k, n, total, last::text, recent FROM lab.s ORDER BY ds, k").fetchall()


def rescan(connection: Connection, days: list[str]) -> lab.Rows:
    return connection.execute(
        "SELECT d::text, k, count(*), sum(n), max(ds)::text, count(*) FILTER (WHERE ds > d - 2)"
        " FROM unnest(%s::date[]) AS d JOIN lab.facts ON ds <= d GROUP BY d, k ORDER BY d, k",
        [days],
    ).fetchall()


def chain(connection: Connection) -> Chain:
    connection.execute("DEALLOCATE ALL")  # another session over it prepares the same
    ledger = Ledger(DbApiSession(connection, Postgres()))
    ledger.ensure()
    return Chain.read(ledger, Table("s", "lab"), "ds", "day")


def right(connection: Connection, days: list[str]) -> None:
    """These days are published, each continues the one before, and holds what it has to."""
    assert rows(connection) == rescan(connection, days)
    found = chain(connection)
    assert list(found.links) == days
    assert found.stale() == []
    counts = connection.execute("SELECT ds::text, count(*) FROM lab.s GROUP BY ds").fetchall()
    assert {name: link.rows for name, link in found.links.items()} == dict(counts)


def given(connection: Connection, last: int, *statements: str) -> None:
    """A laboratory with the summary of the first days."""
    lab.reset(connection, FACTS)
    if lab.value(connection, "SELECT to_regclass('dataquality.chunk')"):
        connection.execute("TRUNCATE dataquality.chunk")
    if last:
        summary(DAYS[0]).execute({})
    if last > 1:
        summary(DAYS[last - 1]).execute({})
    for statement in statements:
        connection.execute(statement)


# -- killed


@dataclass(frozen=True)
class Work:
    """What is killed.

    :param published: days before it
    :param late: whether facts came late since
    :param days: after it
    """

    published: int
    operator: Callable[[], Any]
    days: int
    late: bool = False


WORKS = {
    "the first": Work(0, lambda: summary(DAYS[0]), 1),
    "the next": Work(2, lambda: summary(DAYS[2]), 3),
    "those that are missing": Work(2, lambda: summary(DAYS[5]), 6),
    "an old one, facts are late": Work(5, lambda: summary(DAYS[1]), 5, late=True),
    "lookback, facts are late": Work(4, lambda: summary(DAYS[4], lookback_days=4), 5, late=True),
    "a backfill": Work(2, lambda: ParallelBackfillOperator.of(summary(DAYS[0]), DAYS[1], DAYS[5]), 6, late=True),
}


@counts_statements
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_killed(work: Work, warehouse: Warehouse, tmp_path: Path) -> None:
    diary, late = tmp_path / "sent", [LATE] if work.late else []
    with warehouse.connect() as connection:
        given(connection, work.published, *late)
        old = rows(connection)
        sent = len(die(work.operator(), 0, "never", diary).sent)
        new = rows(connection)
        assert new != old
        right(connection, DAYS[: work.days])
        published = set()
        for point in range(POINTS):
            # From the first statement to the last, and close to the end, where it is published.
            number = sent - point // 2 if point % 2 else 1 + point * (sent - 1) // POINTS
            given(connection, work.published, *late)
            death = die(work.operator(), number, "sent", diary)
            lab.await_alone(connection)
            seen = rows(connection)
            where = f"killed at {number} of {sent}: {death.last[:80]!r}"
            assert seen in (old, new), where
            assert lab.advisory_locks(connection) == 0, where
            published.add(seen == new)
            work.operator().execute({})
            lab.await_alone(connection)
            right(connection, DAYS[: work.days])
            assert lab.beside(connection) == {}, where
            doubled = "SELECT count(*) - count(DISTINCT (backfill, number)) FROM dataquality.chunk"
            assert lab.value(connection, doubled) == 0, where
        assert published == {False, True}


# -- at the same time


@pytest.mark.parametrize("first", [0, 2])
def test_the_same_partition_twice_at_once(first: int, warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        for _ in range(3):
            given(connection, first)
            processes = [Process(partial(summary(DAYS[first]).execute, {})) for _ in range(2)]
            assert all(process.join()["published"] for process in processes)
            right(connection, DAYS[: first + 1])
            lab.await_alone(connection)
            assert lab.beside(connection) == {}


@pytest.mark.parametrize("published", [3, 2], ids=["the day after is published", "the day after is not"])
def test_a_day_and_the_one_before_at_once(published: int, warehouse: Warehouse) -> None:
    chance = random.Random(1)  # noqa: S311 - pauses

    def run(day: str, pause: float) -> Any:
        time.sleep(pause)
        return summary(day).execute({})

    with warehouse.connect() as connection:
        for _ in range(6):
            given(connection, published, LATE.replace("-02", "-03" if published > 2 else "-02"))
            days = DAYS[published - 1 : published + 1]
            processes = [Process(partial(run, day, chance.random() * 0.1)) for day in days]
            for process in processes:
                process.join()
            right(connection, DAYS[: published + 1])
            lab.await_alone(connection)
            assert lab.beside(connection) == {}


GATED = (
    "SELECT * FROM lab.facts WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'"
    " AND (ds <> '%s' OR k <> 100 OR pg_advisory_xact_lock_shared(7) IS NOT NULL)"
)


@contextmanager
def held(observer: Connection, day: str, sql: str) -> Iterator[Process]:
    """A run that waits, while it reads the facts, until the block ends."""
    observer.execute("SELECT pg_advisory_lock(7)")
    process = Process(partial(summary(day, sql=sql).execute, {"ds": day}))
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    try:
        lab.await_true(lambda: lab.value(observer, waiting), "it reads the facts")
        yield process
    finally:
        observer.execute("SELECT pg_advisory_unlock(7)")


@pytest.mark.parametrize("slow", [2, 3], ids=["the earlier is held up", "the later is held up"])
def test_who_comes_last_builds_what_was_replaced(slow: int, warehouse: Warehouse) -> None:
    """Of two runs, one has read what the other replaces meanwhile: whoever publishes last sees it."""
    sql = GATED % DAYS[slow]
    with warehouse.connect() as connection:
        given(connection, 0)
        for day in DAYS[:3]:
            summary(day, sql=sql).execute({"ds": day})
        connection.execute("INSERT INTO lab.facts VALUES (%s, 100, 1), (%s, 100, 1)", DAYS[2:4])
        with held(connection, DAYS[slow], sql) as process:
            other = DAYS[5 - slow]
            summary(other, sql=sql).execute({"ds": other})
            assert chain(connection).stale() == []
        assert process.join()["published"]
        right(connection, DAYS[:4])
        times = f"SELECT count(*) FROM dataquality.publication WHERE partition LIKE '%{DAYS[3]}%'"
        assert lab.value(connection, times) == 2
