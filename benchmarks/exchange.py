"""Exchange a whole table under readers: how long it is locked, how long they wait, and what they see."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.publish import Load, publish
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import Select
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import Table
from benchmarks.measuring import Sent, recorded
from benchmarks.readers import Read, longest, reading
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import connected, hook, version

LOCK_TIMEOUT = 0.1
HELD, GRACE = 0.010, 0.020
READ = 100
"""Rows that a read looks at: all of one version, or it saw a mix."""

_BLOCKS_READERS = re.compile("ACCESS EXCLUSIVE|^TRUNCATE")
_SOURCE = (
    "SELECT g::bigint AS id, 0 AS version, (g % 16)::text AS carrier, g % 1000 / 10.0::float8 AS delay, "
    "timestamp '2013-01-01' + g * interval '1 second' AS at, 1 AS part"
)
_COLUMNS = "id bigint PRIMARY KEY, version int, carrier text, delay float, at timestamp, part int"


@dataclass
class Watched:
    """One way, done once while readers read.

    :param held: seconds from the grant of a lock that blocks readers to the answer of COMMIT; 0 if none was taken
    :param felt: of these, the seconds until the first reader who waited went on; None if none waited
    :param wait: the longest read that overlapped the exchange's transaction
    :param wrong: reads that saw no rows, too few, or a mix
    """

    seconds: float
    held: float
    felt: float | None
    wait: float
    anywhere: float
    reads: int
    wrong: int
    failed: int

    @property
    def locked(self) -> float:
        """How long readers were kept out, as far as that can be known from outside."""
        return self.held if self.felt is None else min(self.felt, self.held)


def run(uri: str, *, quick: bool = False) -> Report:
    """Exchange in every mode and by its peers, in turn."""
    rows, rounds = (5_000, 1) if quick else (5_000_000, 5)
    ways: dict[str, tuple[Callable[[int], list[Sent]], int]] = {
        "no exchange: the same SELECT into another table": (lambda n: _fill_another(uri, n), rounds),
        "swap": (lambda n: _publish(n, "swap", "swapped"), rounds),
        "attach": (lambda n: _publish(n, "attach", "attached", {"part": 1}), rounds),
        "overwrite": (lambda n: _publish(n, "overwrite", "overwritten"), min(rounds, 2)),
        "TRUNCATE + INSERT in a transaction": (lambda n: _truncate(uri, n), min(rounds, 2)),
        "DROP; CREATE AS": (lambda n: _drop(uri, n), min(rounds, 2)),
    }
    tables = ("swapped", "swapped", "attached", "overwritten", "truncated", "dropped")
    with connected(uri) as connection:
        _prepare(connection, rows)
        found: dict[str, list[Watched]] = {way: [] for way in ways}
        for number in range(1, rounds + 1):
            for (way, (exchange, times)), table in zip(ways.items(), tables, strict=True):
                if number <= times:
                    found[way].append(_watch(uri, table, lambda e=exchange, n=number: e(n)))  # type: ignore[misc]
                    connection.execute("CHECKPOINT")
        setting = {"rows": rows, "readers": 2, "fsync": connection.execute("SHOW fsync").fetchone()[0],  # type: ignore[index]
                   **versions(version(connection))}  # fmt: skip
        agree = _agree(connection)
    return Report(
        "Exchange of a whole table under readers",
        setting,
        [_line(way, watched) for way, watched in found.items()],
        agree=agree,
        bars=_bars(found),
        notes=[
            "held: from the lock's grant to COMMIT's answer, which comes after the old file was removed",
            "felt: from the lock's grant until the first reader who waited had its answer",
            "longest read in it: of those that overlapped the transaction that made the rows visible",
        ],
    )


def _bars(found: dict[str, list[Watched]]) -> dict[str, bool]:
    locking = [*found["swap"], *found["attach"]]
    ours = [*locking, *found["overwrite"]]
    wait = LOCK_TIMEOUT + GRACE
    return {
        f"swap holds its lock {HELD * 1e3:.0f} ms at most, at the median": _median(found["swap"], "locked") <= HELD,
        f"readers of swap and attach wait {wait * 1e3:.0f} ms at most": max(w.wait for w in locking) <= wait,
        "overwrite takes no lock that blocks readers": all(w.held == 0 for w in found["overwrite"]),
        "no read was wrong, none failed": not any(w.wrong or w.failed for w in ours),
    }


def _line(way: str, watched: list[Watched]) -> dict[str, Any]:
    felt = [w.felt * 1e3 for w in watched if w.felt is not None]
    return {
        "way": way,
        "rounds": len(watched),
        "s": _median(watched, "seconds"),
        "held ms": _median(watched, "held") * 1e3,
        "felt ms": statistics.median(felt) if felt else None,
        "felt, least": min(felt, default=None),
        "longest read in it ms": max(w.wait for w in watched) * 1e3,
        "at all ms": max(w.anywhere for w in watched) * 1e3,
        "reads": sum(w.reads for w in watched),
        "wrong": sum(w.wrong for w in watched),
        "failed": sum(w.failed for w in watched),
    }


def _median(watched: list[Watched], what: str) -> float:
    return float(statistics.median(getattr(w, what) for w in watched))


# -- the ways


def _prepare(connection: psycopg.Connection[Any], rows: int) -> None:
    connection.execute(f"CREATE TABLE bench.source AS {_SOURCE} FROM generate_series(1, {rows}) AS g")
    connection.execute("VACUUM ANALYZE bench.source")
    for table in ("swapped", "overwritten", "truncated", "dropped"):
        connection.execute(f"CREATE TABLE bench.{table} ({_COLUMNS})")
        connection.execute(f"INSERT INTO bench.{table} SELECT * FROM bench.source")
        connection.execute(f"VACUUM ANALYZE bench.{table}")
    parted = _COLUMNS.replace(" PRIMARY KEY", "")
    connection.execute(f"CREATE TABLE bench.attached ({parted}, PRIMARY KEY (id, part)) PARTITION BY LIST (part)")
    connection.execute("CREATE TABLE bench.attached_1 PARTITION OF bench.attached FOR VALUES IN (1)")
    connection.execute("INSERT INTO bench.attached SELECT * FROM bench.source")
    connection.execute("VACUUM ANALYZE bench.attached")


def _select(number: int) -> str:
    return f"SELECT id, {number} AS version, carrier, delay, at, part FROM bench.source"


def _publish(number: int, mode: str, table: str, key: dict[str, Any] | None = None) -> list[Sent]:
    settings = Settings(mode=mode, lock_timeout=LOCK_TIMEOUT)
    load = Load(Table(table, "bench"), Select(_select(number)), key or {}, settings=settings)
    with recorded() as messages, open_session(hook()) as session:
        outcome = publish(session, Ledger(session), load, Run())
    assert outcome.mode == mode
    return messages


def _fill_another(uri: str, number: int) -> list[Sent]:
    another = "bench.another"
    return _by_hand(
        uri, f"CREATE TABLE {another} AS {_select(number)}", f"ALTER TABLE {another} ADD PRIMARY KEY (id)",
        f"DROP TABLE {another}",
    )  # fmt: skip


def _truncate(uri: str, number: int) -> list[Sent]:
    table = "bench.truncated"
    return _by_hand(uri, "BEGIN", f"TRUNCATE {table}", f"INSERT INTO {table} {_select(number)}", "COMMIT")


def _drop(uri: str, number: int) -> list[Sent]:
    table = "bench.dropped"
    return _by_hand(
        uri, f"DROP TABLE {table}", f"CREATE TABLE {table} AS {_select(number)}",
        f"ALTER TABLE {table} ADD PRIMARY KEY (id)",
    )  # fmt: skip


def _by_hand(uri: str, *statements: str) -> list[Sent]:
    messages = []
    with psycopg.connect(uri, autocommit=True) as connection:
        for sql in statements:
            started = time.monotonic()
            connection.execute(sql)
            messages.append(Sent(sql, started, time.monotonic()))
    return messages


# -- what readers made of it


def _watch(uri: str, table: str, exchange: Callable[[], list[Sent]]) -> Watched:
    sql = f"SELECT count(*), min(version), max(version) FROM bench.{table} WHERE id <= {READ}"
    with reading(uri, sql) as reads:
        time.sleep(0.2)
        started = time.monotonic()
        messages = exchange()
        ended = time.monotonic()
        time.sleep(0.2)
    transaction = _transaction(messages)
    first, last = transaction[0].started, transaction[-1].ended
    granted = next((m.ended for m in transaction if _BLOCKS_READERS.search(m.sql)), None)
    return Watched(
        seconds=ended - started,
        held=0.0 if granted is None else last - granted,
        felt=None if granted is None else _felt(reads, granted, last),
        wait=longest(reads, first, last) or 0.0,
        anywhere=longest(reads, started, ended) or 0.0,
        reads=len(reads),
        wrong=sum(read.seen is not None and not _one_version(read.seen) for read in reads),
        failed=sum(read.seen is None for read in reads),
    )


def _transaction(messages: list[Sent]) -> list[Sent]:
    """The messages of the transaction that made the rows visible; all, if there was none."""
    begins = [number for number, m in enumerate(messages) if m.sql.startswith("BEGIN")]
    for begin in reversed(begins):
        end = next(number for number in range(begin, len(messages)) if messages[number].sql in ("COMMIT", "ROLLBACK"))
        if len(begins) == 1 or any('"publication"' in m.sql for m in messages[begin:end]):
            return messages[begin : end + 1]
    return messages


def _felt(reads: list[Read], granted: float, answered: float) -> float | None:
    return min((read.ended - granted for read in reads if granted <= read.started <= answered), default=None)


def _one_version(seen: list[Any]) -> bool:
    rows, oldest, newest = seen
    return bool(rows == READ and oldest == newest)


def _agree(connection: psycopg.Connection[Any]) -> bool:
    answers = {
        connection.execute(
            f"SELECT count(*), sum(id), sum(delay)::numeric(20, 2), max(at) FROM bench.{table}"
        ).fetchone()
        for table in ("source", "swapped", "attached", "overwritten", "truncated", "dropped")
    }
    return len(answers) == 1
