"""What the tests of sensors share: a sensor's trigger as the triggerer has it, and how often a server is asked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import date, timedelta
from importlib import import_module
from typing import Any, cast

import psycopg
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.sensors._base import WaitingSensor
from airflow_dataquality.sensors.partition import PartitionSensor
from airflow_dataquality.triggers.partition import WaitingTrigger
from publishing import publish

DAY = "2013-02-08"
INTERVAL = 0.2
PATIENCE = 20.0
MANY = 900
DAYS = [f"{date(2013, 1, 1) + timedelta(days=number)}" for number in range(MANY)]


def sensor(partitions: Any = f"w.t/ds={DAY}", **arguments: Any) -> PartitionSensor:
    """A sensor of the warehouse that looks often."""
    given = {"task_id": "wait", "conn_id": "warehouse", "partitions": partitions, "poke_interval": INTERVAL}
    return PartitionSensor(**given | arguments)


def load(day: str = DAY, *, table: str = "w.t", rows: int = 2, **arguments: Any) -> dict[str, Any]:
    """Publish a day."""
    sql = f"SELECT date '{day}' AS ds, i AS id FROM generate_series(1, {rows}) AS i"
    return publish(table, sql, partition={"ds": day}, **arguments)


def deferred(waits: WaitingSensor, context: Any = None) -> WaitingTrigger:
    """The trigger that a task is deferred to, made again from JSON, as a triggerer makes it."""
    try:
        found = waits.execute(context or {})
    except TaskDeferred as deferral:
        return restored(*deferral.trigger.serialize())
    raise AssertionError(f"it did not wait: {found}")


def restored(path: str, arguments: dict[str, Any]) -> WaitingTrigger:
    """A trigger, of its JSON."""
    module, _, name = path.rpartition(".")
    trigger: WaitingTrigger = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))
    return trigger


def triggers(interval: float = 0.5) -> list[WaitingTrigger]:
    """A trigger for each day, as 900 tasks defer to them."""
    first = deferred(sensor(f"w.t/ds={DAYS[0]}", poke_interval=interval))
    path, arguments = first.serialize()
    (one,) = arguments["partitions"]
    return [restored(path, {**arguments, "partitions": [{**one, "key": {"ds": day}}]}) for day in DAYS]


def land(db: psycopg.Connection[Any], days: list[str]) -> None:
    """Write publications as a publication does, of many days at once."""
    columns = "run_uid, table_schema, table_name, partition, mode, rows, score, published_at"
    with db.transaction():
        db.cursor().executemany(
            f"INSERT INTO dataquality.publication ({columns}) VALUES ('u', 'w', 't', %s, 'overwrite', 1, 1, now())",
            [[json.dumps({"ds": day})] for day in days],
        )


async def fired(trigger: WaitingTrigger) -> dict[str, Any]:
    """What the trigger says when it fires."""
    async with aclosing(cast("Any", trigger.run())) as events:
        payload: dict[str, Any] = (await anext(events)).payload
        return payload


@asynccontextmanager
async def running(*triggers: WaitingTrigger) -> AsyncIterator[list[asyncio.Task[dict[str, Any]]]]:
    """The triggers, in this loop."""
    tasks = [asyncio.create_task(fired(trigger)) for trigger in triggers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_fired(tasks: list[asyncio.Task[dict[str, Any]]]) -> list[dict[str, Any]]:
    return await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)


class Journal:
    """What one database of a server was asked, by its log."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        assert server._log is not None
        self._file = server._log
        self.clear()

    def clear(self) -> None:
        """Forget what was asked so far."""
        self._file.seek(0, 2)
        self._start = self._file.tell()

    @property
    def statements(self) -> list[str]:
        """What was asked since."""
        self._file.seek(self._start)
        lines = self._file.read().decode(errors="replace").splitlines()
        return [line for line in lines if "LOG:  statement:" in line or "LOG:  execute" in line]

    async def until(self, count: int) -> float:
        """Wait for so many statements; the seconds that it took."""
        began = time.monotonic()
        while len(self.statements) < count:
            assert time.monotonic() - began < PATIENCE, self.statements
            await asyncio.sleep(0.01)
        return time.monotonic() - began


@contextmanager
def journal(server: EmbeddedPostgres, database: str) -> Iterator[Journal]:
    """Have a server write down what it is asked in new sessions of a database."""
    with psycopg.connect(server.uri(), autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{database}" SET log_statement = "all"')
    yield Journal(server)


def unheard(uri: str) -> psycopg.Connection[Any]:
    """A connection whose statements are not written down."""
    return psycopg.connect(uri, autocommit=True, options="-c log_statement=none")


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE
        await asyncio.sleep(0.01)
