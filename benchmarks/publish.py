"""Publications from end to end, beside the same done by hand: what the safety costs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from airflow_dataquality.checks import check
from airflow_dataquality.demo import flights
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from benchmarks.measuring import Race, Sent, race, recorded
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import CONNECTION, connected, hook, version

if TYPE_CHECKING:
    import psycopg

OURS, BY_HAND = "StageCheckExchangeOperator", "by hand"
DAY = "2013-02-08"

_WHOLE = (
    "SELECT g::bigint AS id, (g % 16)::text AS carrier, g % 1000 / 10.0::float8 AS delay, "
    "timestamp '2013-01-01' + g * interval '1 second' AS at FROM generate_series(1, {rows}) AS g"
)


def run(uri: str, *, quick: bool = False) -> Report:
    """Publish one day of the flights, and a whole large table; both over and over."""
    rows, rounds, large_rounds = (5_000, 2, 1) if quick else (5_000_000, 15, 3)
    with connected(uri) as connection:
        flights.load(connection)
        columns = (
            "year, month, day, dep_time, dep_delay, arr_delay, carrier, flight, tailnum, origin, dest, distance, ds"
        )
        day = f"SELECT {columns} FROM raw.flights WHERE ds = '{DAY}'"
        whole = _WHOLE.format(rows=rows)
        for side in ("ours", "hand"):
            connection.execute(f"CREATE TABLE bench.flights_{side} AS SELECT {columns} FROM raw.flights")
            connection.execute(f"CREATE INDEX ON bench.flights_{side} (ds)")
            connection.execute(f"CREATE TABLE bench.large_{side} AS {whole}")
            connection.execute(f"VACUUM ANALYZE bench.flights_{side}, bench.large_{side}")
        small = race(
            {
                OURS: lambda: _ours("flights", day, {"ds": DAY}),
                BY_HAND: lambda: _by_hand("flights", day, f"ds = '{DAY}'"),
            },
            rounds,
        )
        large = race(
            {
                f"{OURS}, swap": lambda: _ours("large", whole, None, "swap"),
                f"{OURS}, overwrite": lambda: _ours("large", whole, None, "overwrite"),
                BY_HAND: lambda: _by_hand("large", whole, "true"),
            },
            large_rounds,
        )
        with recorded() as messages:
            _ours("flights", day, {"ds": DAY})
        agree = all(_agree(connection, name) for name in ("flights", "large"))
        setting = {"large rows": rows, "fsync": "off", **versions(version(connection))}
    published = small.answers[OURS]
    return Report(
        "Publications from end to end",
        setting,
        [*_lines(f"one day, {published:,} rows", small), *_lines(f"whole table, {rows:,} rows", large)],
        agree=agree,
        notes=[
            f"one day: {len(messages)} messages, {sum(m.seconds for m in messages) * 1e3:.0f} ms:",
            *_slowest(messages),
        ],
    )


def _lines(what: str, timed: Race) -> list[dict[str, Any]]:
    return [
        {
            "published": what,
            "side": side,
            "rounds": len(timed.seconds[side]),
            "median ms": timed.median(side) * 1e3,
            "more than by hand ms": (timed.median(side) - timed.median(BY_HAND)) * 1e3,
            "÷ by hand, median of pairs": timed.ratio(side, BY_HAND),
        }
        for side in timed.seconds
    ]


def _slowest(messages: list[Sent]) -> list[str]:
    slowest = sorted(messages, key=lambda message: -message.seconds)[:8]
    return [f"  {message.seconds * 1e3:5.1f} ms  {' '.join(message.sql.split())[:90]}" for message in slowest]


def _ours(table: str, select: str, partition: dict[str, Any] | None, exchange: str = "auto") -> int:
    task = StageCheckExchangeOperator(
        task_id="publish", conn_id=CONNECTION, table=f"bench.{table}_ours", sql=select, partition=partition,
        checks=[check("null_count", "carrier", equal_to=0), check("distinct_count", "carrier", geq_to=2)],
        exchange=exchange,
    )  # fmt: skip
    return int(task.execute({})["rows"])


def _by_hand(table: str, select: str, where: str) -> int:
    """The same rows and checks, without ledger, locks, fingerprint, ownership and retries."""
    target, stage = f"bench.{table}_hand", f"bench.{table}_stage"
    with contextlib.closing(hook().get_conn()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"DROP TABLE IF EXISTS {stage}")
        cursor.execute(f"CREATE TABLE {stage} AS {select}")
        cursor.execute(f"SELECT count(*), count(carrier), count(*) FILTER (WHERE {where}) FROM {stage}")
        rows, known, inside = cursor.fetchone()
        cursor.execute(f"SELECT count(DISTINCT carrier) FROM {stage}")
        (carriers,) = cursor.fetchone()
        assert rows > 0 and known == inside == rows and carriers >= 2  # noqa: PT018
        for sql in (
            "BEGIN",
            f"DELETE FROM {target} WHERE {where}",
            f"INSERT INTO {target} SELECT * FROM {stage}",
            "COMMIT",
        ):
            cursor.execute(sql)
        cursor.execute(f"DROP TABLE {stage}")
    return int(rows)


def _agree(connection: psycopg.Connection[Any], table: str) -> bool:
    hashes = {
        connection.execute(
            f"SELECT count(*), sum(hashtextextended(t::text, 0)::numeric) FROM bench.{table}_{side} AS t"
        ).fetchone()
        for side in ("ours", "hand")
    }
    return len(hashes) == 1
