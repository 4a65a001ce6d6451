"""Bar 1: many wait at the cost of one statement for each interval; none is late, none is lost."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.triggers import _poller
from airflow_dataquality.triggers.partition import PartitionTrigger
from sensors.lab import (
    DAYS,
    INTERVAL,
    MANY,
    PATIENCE,
    all_fired,
    deferred,
    journal,
    land,
    load,
    running,
    sensor,
    triggers,
)
from support import Warehouse

Connection = psycopg.Connection[Any]
TOO_LATE = 0.4
"""Seconds that Python takes to wake 900 tasks on a machine that does other things, too."""


def test_900_waits_cost_one_statement_for_each_interval(
    db: Connection, warehouse: Warehouse, postgres: EmbeddedPostgres
) -> None:
    load("2012-12-31")
    waits = triggers(interval := 0.5)

    async def go() -> None:
        with journal(postgres, warehouse.uri.rsplit("/", 1)[1]) as asked:
            async with running(*waits) as tasks:
                await asked.until(10)
                asked.clear()
                began = time.monotonic()
                await asyncio.sleep(6 * interval)
                intervals = (time.monotonic() - began) / interval
                looks = asked.statements
                assert intervals - 2 <= len(looks) <= intervals + 1, looks
                assert not any(task.done() for task in tasks)
                landed = time.monotonic()
                land(db, DAYS)
                assert len(await all_fired(tasks)) == MANY
                assert time.monotonic() - landed <= 2 * interval + TOO_LATE
                asked.clear()
            await asyncio.sleep(2 * interval)
            assert asked.statements == [], "nobody waits, so nobody asks"

    asyncio.run(go())
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    assert db.execute(sessions).fetchone() == (0,)


def test_each_fires_when_its_own_partition_lands(db: Connection) -> None:
    load("2012-12-31")

    async def go() -> None:
        async with running(*triggers(INTERVAL)) as tasks:
            land(db, DAYS[::2])
            found = await all_fired(tasks[::2])
            assert [each["partitions"][0]["key"]["ds"] for each in found] == DAYS[::2]
            assert not any(task.done() for task in tasks[1::2])
            land(db, DAYS[1::2])
            assert len(await all_fired(tasks[1::2])) == MANY // 2

    asyncio.run(go())


def test_connections_and_intervals_have_pollers_of_their_own(db: Connection) -> None:
    load("2012-12-31")

    async def go() -> None:
        slow, quick = deferred(sensor("w.t/ds=2014-01-01", poke_interval=30)), deferred(sensor())
        other = deferred(sensor(state="exists"))
        async with running(slow, quick, quick, other) as tasks:
            await asyncio.sleep(0)
            pollers = _poller._pollers[asyncio.get_running_loop()]
            assert sorted((key[0][2], key[1]) for key in pollers) == [
                ("exists", INTERVAL), ("published", INTERVAL), ("published", 30)
            ]  # fmt: skip
            load()
            await all_fired(tasks[1:])
            assert len(pollers) == 1, "the others have gone with those who waited"
        assert not pollers

    asyncio.run(go())


TRIGGERER = """
import asyncio, json, sys
from sensors.lab import fired, restored
from airflow_dataquality.engine.waiting import Terms

async def go():
    async def one(number, row):
        await fired(restored(*row))
        print(number, flush=True)
    rows = json.load(open(sys.argv[1]))
    waits = [asyncio.create_task(one(int(number), row)) for number, row in rows.items()]
    print("running", flush=True)
    await asyncio.gather(*waits)

asyncio.run(go())
"""


def test_a_killed_triggerer_loses_nobody(db: Connection, tmp_path: Path) -> None:
    load("2012-12-31")
    rows = {number: trigger.serialize() for number, trigger in enumerate(triggers(INTERVAL))}
    done: set[int] = set()

    def start() -> subprocess.Popen[str]:
        """A triggerer: it is given what has not fired yet, by the serialized triggers alone."""
        path = tmp_path / "triggers.json"
        path.write_text(json.dumps({number: row for number, row in rows.items() if number not in done}))
        program = subprocess.Popen(
            [sys.executable, "-c", TRIGGERER, str(path)], stdout=subprocess.PIPE, text=True, env=_environment()
        )
        assert program.stdout is not None
        assert program.stdout.readline() == "running\n"
        return program

    first = start()
    land(db, DAYS[:300])
    assert first.stdout is not None
    done.update(int(first.stdout.readline()) for _ in range(100))
    first.kill()
    first.communicate()
    land(db, DAYS[300:600])  # while there is no triggerer
    second = start()
    land(db, DAYS[600:])
    out, _ = second.communicate(timeout=PATIENCE * 3)
    assert second.returncode == 0
    assert done | {int(number) for number in out.split()} == set(range(MANY))


def _environment() -> dict[str, str]:
    import os

    tests = Path(__file__).parent.parent
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests.parent), str(tests)])}


def test_a_broken_connection_and_a_database_out_of_reach(
    db: Connection, warehouse: Warehouse, postgres: EmbeddedPostgres
) -> None:
    load("2012-12-31")
    name = warehouse.uri.rsplit("/", 1)[1]
    others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"

    async def go() -> None:
        with psycopg.connect(postgres.uri(), autocommit=True) as admin, journal(postgres, name) as asked:
            async with running(deferred(sensor()), deferred(sensor())) as tasks:
                await asked.until(10)
                admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
                admin.execute(others, [name, db.info.backend_pid])
                load_later = db  # the only one that is let in, as it is in already
                land(load_later, ["2013-02-08"])
                await asyncio.sleep(3 * INTERVAL)
                assert not any(task.done() for task in tasks)
                admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
                assert [each["status"] for each in await all_fired(tasks)] == ["landed", "landed"]

    asyncio.run(go())


def test_a_trigger_holds_no_secret(warehouse: Warehouse, db: Connection) -> None:
    path, arguments = deferred(sensor()).serialize()
    assert path == f"{PartitionTrigger.__module__}.PartitionTrigger"
    assert warehouse.uri not in json.dumps(arguments)
    assert arguments["conn_id"] == "warehouse"
