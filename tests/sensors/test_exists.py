"""``exists``: the table itself is looked at."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.sensors.partition import PartitionSensor
from sensors.lab import DAY, INTERVAL, all_fired, deferred, journal, running, sensor
from support import Database, Warehouse, on

Connection = psycopg.Connection[Any]


def exists(partitions: Any = f"w.t/ds={DAY}", **arguments: Any) -> PartitionSensor:
    return sensor(partitions, state="exists", **arguments)


@pytest.fixture
def table(db: Connection) -> Connection:
    """``w.t`` with two rows of each of two days."""
    db.execute("CREATE TABLE w.t (ds date, region text)")
    db.execute("INSERT INTO w.t VALUES ('2013-02-08', 'EU'), ('2013-02-08', 'US'), ('2013-02-09', 'EU')")
    db.execute("INSERT INTO w.t VALUES ('2013-02-09', NULL)")
    return db


@pytest.mark.parametrize(
    ("partitions", "rows"),
    [
        (f"w.t/ds={DAY}", [2]),
        ("w.t/ds=20130208/region=EU", [1]),
        ("w.t/region=EU", [2]),
        ("w.t", [4]),
        ([f"w.t/ds={DAY}", "w.t", "w.t/ds=2013-02-09", "w.t/region=EU", f"w.t/ds={DAY}"], [2, 4, 2, 2, 2]),
    ],
)
def test_counts_rows(table: Connection, partitions: Any, rows: list[int]) -> None:
    assert [found["rows"] for found in exists(partitions).execute({})] == rows


def test_many_partitions_are_one_statement(table: Connection, warehouse: Warehouse, postgres: EmbeddedPostgres) -> None:
    table.execute("CREATE TABLE w.u (ds date)")
    table.execute("INSERT INTO w.u VALUES ('2013-02-08')")
    days = [f"{name}/ds=2013-02-{number:02}" for name in ("w.t", "w.u") for number in range(10, 20)]

    async def go() -> None:
        with journal(postgres, warehouse.uri.rsplit("/", 1)[1]) as asked:
            async with running(*(deferred(exists(day)) for day in days)) as tasks:
                await asked.until(len(days) * 4)
                await asyncio.sleep(2 * INTERVAL)
                asked.clear()
                await asyncio.sleep(4 * INTERVAL)
                assert 2 <= len(asked.statements) <= 5, asked.statements
                table.execute("INSERT INTO w.t SELECT date '2013-02-01' + i FROM generate_series(0, 20) AS i")
                table.execute("INSERT INTO w.u SELECT date '2013-02-01' + i FROM generate_series(0, 20) AS i")
                await all_fired(tasks)

    asyncio.run(go())


def test_min_rows(table: Connection) -> None:
    async def go() -> None:
        async with running(deferred(exists(min_rows=4))) as tasks:
            for number in (3, 4):
                assert not tasks[0].done()
                table.execute("INSERT INTO w.t VALUES (%s, %s)", [DAY, str(number)])
                await asyncio.sleep(2 * INTERVAL)
            assert (await all_fired(tasks))[0]["partitions"][0]["rows"] == 4

    asyncio.run(go())


@pytest.mark.parametrize("deferrable", [True, False])
def test_settle(table: Connection, *, deferrable: bool) -> None:
    """While rows arrive it does not fire, however many there are."""

    async def arrive() -> None:
        for number in range(4):
            await asyncio.sleep(INTERVAL)
            table.execute("INSERT INTO w.t VALUES (%s, %s)", [DAY, str(number)])

    async def go() -> list[dict[str, Any]]:
        waiting = exists(settle=3 * INTERVAL, deferrable=deferrable)
        if not deferrable:
            return (await asyncio.gather(asyncio.to_thread(waiting.execute, {}), arrive()))[0]
        async with running(deferred(waiting)) as tasks:
            await arrive()
            found: list[dict[str, Any]] = (await all_fired(tasks))[0]["partitions"]
            return found

    (found,) = asyncio.run(go())
    assert found["rows"] == 6
    assert found["unchanged"] >= 3 * INTERVAL


def test_a_table_that_appears_and_one_that_goes(table: Connection) -> None:
    async def go() -> None:
        waiting = deferred(exists(f"w.later/ds={DAY}")), deferred(exists("w.t/ds=2014-01-01"))
        async with running(*waiting) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            table.execute("DROP TABLE w.t")
            await asyncio.sleep(2 * INTERVAL)
            table.execute("CREATE TABLE w.later AS SELECT date '2013-02-08' AS ds")
            await all_fired(tasks[:1])
            assert not tasks[1].done()
            table.execute("CREATE TABLE w.t AS SELECT date '2014-01-01' AS ds")
            await all_fired(tasks[1:])

    asyncio.run(go())


def test_a_table_that_goes_may_fail(table: Connection) -> None:
    async def go() -> None:
        async with running(deferred(exists("w.t/ds=2014-01-01", on_missing_table="fail"))) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            table.execute("DROP TABLE w.t")
            (event,) = await all_fired(tasks)
            assert event == {"status": "refused", "message": "w.t/ds=2014-01-01: w.t does not exist any more"}

    asyncio.run(go())
    with pytest.raises(AirflowFailException, match=r"w\.t does not exist yet"):
        exists("w.t/ds=2014-01-01", on_missing_table="fail").execute({})


@on("sqlite", "redshift")
def test_other_databases(database: Database) -> None:
    """Both states, and a trigger."""
    from airflow_dataquality.operators.upsert import UpsertOperator

    prefix = "public." if database.kind == "redshift" else ""
    database.session.execute(f"CREATE TABLE {prefix}t (id integer, ds varchar(10))")
    here: dict[str, Any] = {"conn_id": database.conn_id}
    row = [{"id": 1, "ds": DAY}]

    def upsert() -> None:
        UpsertOperator(task_id="u", conn_id=database.conn_id, table=f"{prefix}t", keys=["id"], rows=row).execute({})

    async def go() -> None:
        waiting = exists(f"{prefix}t/ds={DAY}", **here), sensor(f"{prefix}t", **here)
        async with running(*map(deferred, waiting)) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            assert not any(task.done() for task in tasks)
            await asyncio.to_thread(upsert)
            found = [event["partitions"][0] for event in await all_fired(tasks)]
            assert [each["rows"] for each in found] == [1, 1]
            assert 0 <= found[1]["age"] < 60
            assert found[1]["mode"] == "upsert"

    asyncio.run(go())
    assert sensor(f"{prefix}t", max_age="1h", **here).execute({})[0]["rows"] == 1
