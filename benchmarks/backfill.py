"""A range of days computed anew, beside one statement by hand, day by day by hand, and Airflow's own backfill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from benchmarks.measuring import Sent, race, recorded
from benchmarks.native_backfill import native_airflow
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import CONNECTION, connected, version

if TYPE_CHECKING:
    import psycopg

    from airflow_dataquality.demo.postgres import EmbeddedPostgres

START = date(2013, 1, 1)
ONE, TWO, SINGLE = "ParallelBackfillOperator, 1 connection", "2 connections", "2 connections, 1 day a chunk"
BY_DAY, AT_ONCE = "by hand: a day after the other", "by hand: one statement"
NATIVE = "airflow backfill create"
SELECT = (
    "SELECT ds, k, COUNT(*) AS n, SUM(amount) AS total, MAX(amount) AS largest FROM bench.facts "
    "WHERE {where} GROUP BY ds, k"
)
BETWEEN = "ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'"
TABLE = "(ds date, k int, n bigint, total bigint, largest int)"


def run(server: EmbeddedPostgres, *, quick: bool = False) -> Report:
    """Every side fills a table of its own with the same days."""
    days, facts, keys, rounds = (6, 200, 20, 2) if quick else (90, 50_000, 5_000, 5)
    first, last = START, START + timedelta(days - 1)
    uri = server.create_database("backfill")
    with connected(uri) as connection, ExitStack() as stack:
        connection.execute("CREATE TABLE bench.facts (ds date, k int, amount int)")
        connection.execute(
            f"INSERT INTO bench.facts SELECT d::date, n % {keys}, n % 997 FROM "
            f"generate_series(date '{first}', date '{last}', interval '1 day') AS d, generate_series(1, {facts}) AS n"
        )
        connection.execute("CREATE INDEX ON bench.facts (ds)")
        connection.execute("VACUUM ANALYZE bench.facts")
        tables = {side: f"bench.side_{n}" for n, side in enumerate((ONE, TWO, SINGLE, BY_DAY, AT_ONCE, NATIVE))}
        for table in tables.values():
            connection.execute(f"CREATE TABLE {table} {TABLE}; CREATE INDEX ON {table} (ds)")
        messages: list[Sent] = []
        sides = _sides(connection, tables, first, last, messages)
        timed = race(sides, rounds)
        overhead = _overhead(messages, days)
        lines = [{"side": side, "rounds": rounds, "median s": timed.median(side),
                  "÷ 2 connections": timed.ratio(side, TWO)} for side in sides]  # fmt: skip
        bars = {
            "two connections at least 1.3 times as fast as one": timed.ratio(ONE, TWO) >= 1.3,
            "less than 50 ms a chunk beside its SQL": overhead < 0.05,
        }
        if not quick:
            sql = (
                f"DELETE FROM {tables[NATIVE]} WHERE ds = '{{{{ ds }}}}'; INSERT INTO {tables[NATIVE]} "
                + SELECT.format(where="ds = '{{ ds }}'")
            )
            airflow = stack.enter_context(native_airflow(server, uri, sql, first, last, parallelism=2, times=3))
            native = min(airflow.backfill(most).recorded for most in (2, 4, 8))
            lines.append(
                {"side": NATIVE, "rounds": 3, "median s": native, "÷ 2 connections": native / timed.median(TWO)}
            )
            bars["at least 10 times as fast as Airflow's own backfill"] = native / timed.median(TWO) >= 10
        filled = [table for side, table in tables.items() if side != NATIVE or not quick]
        agree = _agree(connection, filled)
        sizes = {"days": days, "facts a day": facts, "rows a day": keys, "fsync": "off"}
        setting = {**sizes, **versions(version(connection))}
    peer = f"{NATIVE}: the best of three, with 2, 4 and 8 runs at a time, from its creation to its last run"
    notes = [f"{overhead * 1000:.1f} ms a chunk beside its SELECT", peer]
    return Report("A backfill of daily partitions", setting, lines, agree=agree, bars=bars, notes=notes)


def _sides(
    connection: psycopg.Connection[Any], tables: dict[str, str], first: date, last: date, messages: list[Sent]
) -> dict[str, Callable[[], Any]]:
    def ours(side: str, **arguments: Any) -> Callable[[], Any]:
        operator = ParallelBackfillOperator(
            task_id="backfill", conn_id=CONNECTION, table=tables[side], sql=SELECT.format(where=BETWEEN),
            partition_column="ds", start=str(first), end=str(last), **arguments,
        )  # fmt: skip
        return lambda: operator.execute({})

    def counted() -> None:
        with recorded() as sent:
            ours(SINGLE, max_parallel=2, days_per_chunk=1)()
        messages[:] = sent

    def by_day() -> None:
        for number in range((last - first).days + 1):
            _replace(connection, tables[BY_DAY], f"ds = '{first + timedelta(number)}'")

    return {
        ONE: ours(ONE, max_parallel=1),
        TWO: ours(TWO, max_parallel=2),
        SINGLE: counted,
        BY_DAY: by_day,
        AT_ONCE: lambda: _replace(connection, tables[AT_ONCE], f"ds BETWEEN '{first}' AND '{last}'"),
    }


def _replace(connection: psycopg.Connection[Any], table: str, where: str) -> None:
    with connection.transaction():
        connection.execute(f"DELETE FROM {table} WHERE {where}")
        connection.execute(f"INSERT INTO {table} {SELECT.format(where=where)}")


def _overhead(messages: Sequence[Sent], chunks: int) -> float:
    """Seconds a chunk that its connection worked on something else than the SELECT."""
    computing = [m for m in messages if m.sql.startswith("INSERT") and "bench.facts" in m.sql]
    begun, ended = min(m.started for m in computing), max(m.ended for m in computing)
    busy = 2 * (ended - begun) - sum(m.seconds for m in computing)
    return busy / chunks


def _agree(connection: psycopg.Connection[Any], tables: Sequence[str]) -> bool:
    """Whether all tables hold the same rows."""
    first, *others = tables
    for other in others:
        differing = f"(TABLE {first} EXCEPT ALL TABLE {other}) UNION ALL (TABLE {other} EXCEPT ALL TABLE {first})"
        if connection.execute(f"SELECT count(*) FROM ({differing}) AS q").fetchall() != [(0,)]:
            return False
    return True
