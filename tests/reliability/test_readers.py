"""Readers see the old rows or the new ones: never none, never a mix, never an error; and they do not wait for long.

How long a reader waits for a lock is measured by the server, with the reader's own ``lock_timeout``: a busy machine
makes everything late, but no lock that does not exist can be waited for.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from reliability import lab
from reliability.lab import PARTITIONED, PLAIN, Process, operator

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from support import Warehouse

ROWS = 400
DAY = {"day": "2024-01-02"}
LOCK_TIMEOUT = 0.1
GRACE = 0.02
SECONDS = 2.0
ATTEMPTS = 3
CHANCE = random.Random(0)  # noqa: S311 - pauses

Reader = Callable[[Any], list[tuple[int, int]]]
"""Reads on a connection, as it likes: a count and a sum of each time."""


def version(number: int, day: int | None = 2) -> str:
    """Rows whose sum says which version they are."""
    return lab.select(1, ROWS, number, day)


# -- readers


def plain(connection: Any) -> list[tuple[int, int]]:
    return connection.execute("SELECT count(*), sum(amount) FROM lab.orders").fetchall()


def prepared(connection: Any) -> list[tuple[int, int]]:
    return connection.execute("SELECT count(*), sum(amount) FROM lab.orders", prepare=True).fetchall()


def prepared_star(connection: Any) -> list[tuple[int, int]]:
    rows = connection.execute("SELECT * FROM lab.orders", prepare=True).fetchall()
    return [(len(rows), sum(row[2] for row in rows))]


def by_index(connection: Any) -> list[tuple[int, int]]:
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        return connection.execute("SELECT count(*), sum(amount) FROM lab.orders WHERE day > '2023-12-31'").fetchall()


def cursor(connection: Any) -> list[tuple[int, int]]:
    """Holds its lock for longer, now and then, than an exchange waits for it."""
    with connection.transaction(), connection.cursor("slowly") as rows:
        rows.execute("SELECT amount FROM lab.orders")
        some = rows.fetchmany(ROWS // 2)
        time.sleep(CHANCE.choice([0, 0.01, 1.5 * LOCK_TIMEOUT]))
        some += rows.fetchall()
    return [(len(some), sum(row[0] for row in some))]


def repeatable(connection: Any) -> list[tuple[int, int]]:
    """Its snapshot is older than what it reads."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT 1 FROM pg_class LIMIT 1")
        time.sleep(CHANCE.random() * 0.05)
        first, second = plain(connection), plain(connection)
    assert first == second
    return first


def child_first(connection: Any) -> list[tuple[int, int]]:
    """Locks a partition before the table, which is the other way round than an exchange does."""
    with connection.transaction():
        connection.execute("SELECT 1 FROM lab.second LIMIT 1")
        return plain(connection)


READERS = (plain, prepared, prepared_star, by_index, cursor, repeatable)


def read(uri: str, reader: Reader, allowed: float, stops: Callable[[], bool]) -> dict[str, Any]:
    """Read until told to stop: what was seen, how often, how often a lock was too long in coming, the longest time."""
    seen, late, longest, times = set(), 0, 0.0, 0
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(f"SET lock_timeout = {round(allowed * 1000)}")
        while not stops():
            try:
                seen |= set(reader(connection))
            except psycopg.errors.LockNotAvailable:
                late += 1
            times += 1
            started = time.monotonic()
            connection.execute("SELECT 1")
            longest = max(longest, time.monotonic() - started)
            time.sleep(CHANCE.random() * 0.004)
    return {"seen": sorted(seen), "times": times, "late": late, "longest": longest}


@dataclass(frozen=True)
class Exchanges:
    """Two versions that take turns."""

    mode: str
    given: tuple[str, ...]
    readers: tuple[Reader, ...] = READERS
    partition: dict[str, str] | None = None

    def beside_readers(self, uri: str, table: str, allowed: float, seconds: float) -> list[dict[str, Any]]:
        """Publish the versions by turns while the readers read ``lab.orders``: what each of them has to tell."""
        bodies = [partial(read, uri, reader, allowed) for reader in self.readers]
        with lab.background(*bodies) as answers:
            end = time.monotonic() + seconds
            for number in itertools.cycle([2, 1]):
                outcome = operator(
                    version(number), table=table, partition=self.partition, exchange=self.mode,
                    lock_timeout=LOCK_TIMEOUT, exchange_timeout=lab.FOREVER,
                ).execute({})  # fmt: skip
                assert outcome["exchange"] == self.mode
                if number == 1 and time.monotonic() > end:
                    break
        return answers

    def noise(self, uri: str) -> float:
        """How late this machine is under such a load, though nobody waits for a lock: the longest round trip."""
        answers = self.beside_readers(uri, "lab.elsewhere", lab.FOREVER, seconds=1)
        return max(answer["longest"] for answer in answers)


EXCHANGES = {
    "swap": Exchanges("swap", PLAIN),
    "overwrite a table": Exchanges("overwrite", PLAIN),
    "overwrite a partition": Exchanges("overwrite", PLAIN, partition=DAY),
    "attach": Exchanges("attach", PARTITIONED, (*READERS, child_first), DAY),
}


@pytest.mark.parametrize("exchanges", EXCHANGES.values(), ids=EXCHANGES)
def test_readers_in_a_loop(exchanges: Exchanges, warehouse: Warehouse) -> None:
    twin = [sql.replace("orders", "elsewhere").replace("lab.second", "lab.fourth").replace("lab.first", "lab.third")
            for sql in exchanges.given]  # fmt: skip
    fill = f"INSERT INTO lab.orders (id, day, amount) {version(1)}"
    with warehouse.connect() as connection:
        lab.reset(connection, (*exchanges.given, *twin, fill, fill.replace("orders", "elsewhere")))
    for attempt in range(ATTEMPTS):
        # A reader's lock never conflicts with an overwrite's: a millisecond would be too long. Elsewhere a reader
        # waits for four messages at most, each of which the machine may hold up.
        overwrites = exchanges.mode == "overwrite"
        allowed = 0.001 if overwrites else LOCK_TIMEOUT + GRACE + 4 * exchanges.noise(warehouse.uri)
        answers = exchanges.beside_readers(warehouse.uri, "lab.orders", allowed, SECONDS)
        for reader, answer in zip(exchanges.readers, answers, strict=True):
            assert [tuple(each) for each in answer["seen"]] == [(ROWS, ROWS), (ROWS, 2 * ROWS)], reader.__name__
        late = {reader.__name__: answer["late"] for reader, answer in zip(exchanges.readers, answers, strict=True)}
        if not any(late.values()):
            return
        # What is the machine's fault does not come back every time.
        assert attempt < ATTEMPTS - 1 and not overwrites, f"waited more than {allowed:.3f} s: {late}"  # noqa: PT018


# -- one reader who stays


@contextmanager
def snapshot(uri: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that has a snapshot, and no lock on the table yet."""
    with psycopg.connect(uri) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1 FROM pg_class LIMIT 1")
        yield connection


@contextmanager
def lock(uri: str) -> Iterator[psycopg.Connection[Any]]:
    """A transaction that has read the table, and so keeps a lock on it."""
    with psycopg.connect(uri) as connection:
        connection.execute("SELECT 1 FROM lab.orders LIMIT 1")
        yield connection


@pytest.fixture(params=["superuser", "strangers"])
def reader_uri(
    request: pytest.FixtureRequest, warehouse: Warehouse, postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The reader's address. A stranger's transactions are hidden from the publisher, and the other way round."""
    with warehouse.connect() as connection:
        if request.param == "superuser":
            lab.reset(connection, ())
            return warehouse.uri
        for role in ("publisher", "analyst"):
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        database = lab.value(connection, "SELECT current_database()")
        lab.reset(
            connection,
            (
                f"GRANT CREATE ON DATABASE {database} TO publisher",
                "ALTER SCHEMA lab OWNER TO publisher",
                "GRANT USAGE ON SCHEMA lab TO analyst",
                "ALTER DEFAULT PRIVILEGES FOR ROLE publisher IN SCHEMA lab GRANT SELECT ON TABLES TO analyst",
            ),
        )
    address = f"postgresql://{{}}:secret@127.0.0.1:{postgres.port}/{database}"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", address.format("publisher"))
    return address.format("analyst")


@pytest.fixture(params=["swap", "attach"])
def published(request: pytest.FixtureRequest, reader_uri: str, warehouse: Warehouse) -> dict[str, Any]:
    """Version 1 is published; how to publish the next one."""
    attach = request.param == "attach"
    with warehouse.connect() as connection:
        if (
            lab.value(connection, "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'lab'")
            == "publisher"
        ):
            connection.execute("SET ROLE publisher")
        for statement in PARTITIONED if attach else PLAIN:
            connection.execute(statement)
        connection.execute(f"INSERT INTO lab.orders (id, day, amount) {version(1)}")
    return {"mode": request.param, "partition": DAY if attach else None}


def publish(mode: str, partition: dict[str, str] | None, *, exchange: str, seconds: float) -> str:
    outcome = operator(version(2), partition=partition, exchange=exchange, exchange_timeout=seconds).execute({})
    assert outcome["rows"] == ROWS
    return str(outcome["exchange"])


@pytest.mark.parametrize("holding", [snapshot, lock])
def test_auto_overwrites_under_a_reader_who_stays(
    holding: Any, published: dict[str, Any], reader_uri: str, warehouse: Warehouse
) -> None:
    with holding(reader_uri) as reader:
        assert publish(**published, exchange="auto", seconds=0.3) == "overwrite"
        seen = [(ROWS, ROWS)] if holding is snapshot else [(ROWS, 2 * ROWS)]  # READ COMMITTED reads what is new
        assert plain(reader) == seen
    _nothing_left(warehouse)


@pytest.mark.parametrize("holding", [snapshot, lock])
def test_a_mode_insisted_on_gives_up_under_a_reader_who_stays(
    holding: Any, published: dict[str, Any], reader_uri: str, warehouse: Warehouse
) -> None:
    with warehouse.connect() as connection:
        before = lab.orders(connection), lab.definitions(connection)
        with holding(reader_uri) as reader:
            with pytest.raises(AirflowException, match=r"(?s)(locked in|older than).*Hint: end .*exchange_timeout"):
                publish(**published, exchange=published["mode"], seconds=0.3)
            assert plain(reader) == [(ROWS, ROWS)]
        assert (lab.orders(connection), lab.definitions(connection)) == before
        assert lab.publications(connection) == 0
    _nothing_left(warehouse)


@pytest.mark.parametrize("holding", [snapshot, lock])
def test_the_exchange_waits_for_a_reader_who_goes(
    holding: Any, published: dict[str, Any], reader_uri: str, warehouse: Warehouse
) -> None:
    mode = published["mode"]
    with warehouse.connect() as connection:
        with holding(reader_uri) as reader:
            process = Process(lambda: publish(**published, exchange=mode, seconds=lab.FOREVER))
            lab.await_true(lambda: "stage" in lab.beside(connection).values(), "rows are staged")
            time.sleep(3 * LOCK_TIMEOUT)
            assert lab.publications(connection) == 0
            assert plain(reader) == [(ROWS, ROWS)]
        assert process.join() == mode
        assert plain(connection) == [(ROWS, 2 * ROWS)]
    _nothing_left(warehouse)


def test_overwrite_waits_for_no_reader(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        lab.reset(connection, (*PLAIN, f"INSERT INTO lab.orders (id, day, amount) {version(1)}"))
        with lock(warehouse.uri), snapshot(warehouse.uri) as old:
            assert publish("", None, exchange="overwrite", seconds=0.05) == "overwrite"
            assert plain(old) == [(ROWS, ROWS)]
        assert plain(connection) == [(ROWS, 2 * ROWS)]


def _nothing_left(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        lab.await_alone(connection)
        assert lab.beside(connection) == {}
        assert lab.advisory_locks(connection) == 0
