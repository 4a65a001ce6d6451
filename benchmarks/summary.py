"""A summary brought up to date, beside a scan of all of history; and a history built at once, beside day by day."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow_dataquality.measures import (
    ActiveDays,
    Count,
    DaysSinceLast,
    FirstSeen,
    LastSeen,
    Latest,
    Max,
    Mean,
    Measure,
    Rolling,
    Sum,
)
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from benchmarks.measuring import recorded
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import CONNECTION, connected, version

if TYPE_CHECKING:
    import psycopg

START = date(2013, 1, 1)
MEASURES: Mapping[str, Measure] = {
    "flights_total": Sum("1"),
    "miles_total": Sum("distance"),
    "longest": Max("distance"),
    "first_seen": FirstSeen(),
    "last_seen": LastSeen(),
    "days_since_last": DaysSinceLast(),
    "last_origin": Latest("origin", order_by="dep_time"),
    "flights_28d": Rolling(Count(), days=28),
    "active_28d": ActiveDays(28),
    "mean_delay": Mean("dep_delay"),
}
RESCAN = """
SELECT tailnum, SUM(1) AS flights_total, SUM(distance) AS miles_total, MAX(distance) AS longest,
  MIN(ds) AS first_seen, MAX(ds) AS last_seen, DATE '{day}' - MAX(ds) AS days_since_last,
  (ARRAY_AGG(origin ORDER BY ds DESC, dep_time DESC NULLS LAST, origin DESC))[1] AS last_origin,
  COUNT(*) FILTER (WHERE ds > DATE '{day}' - 28) AS flights_28d,
  COUNT(DISTINCT ds) FILTER (WHERE ds > DATE '{day}' - 28) AS active_28d,
  CAST(SUM(dep_delay) AS float8) / NULLIF(COUNT(dep_delay), 0) AS mean_delay
FROM bench.facts WHERE ds <= DATE '{day}' GROUP BY tailnum
"""
# What a team would write that knows about the cost of sorting: the last origin alone looks at a day at a time.
SEEN = ("tailnum", "flights_total", "miles_total", "longest", "first_seen", "last_seen", "days_since_last",
        "last_origin", "flights_28d", "active_28d", "mean_delay")  # fmt: skip
_FACTS = """
INSERT INTO bench.facts
SELECT d::date, 'N' || (hashint8(n * 7919 + (d::date - DATE '2013-01-01') * 104729) & 2147483647) % {subjects},
  (n * 31) % 2500, (ARRAY['EWR', 'JFK', 'LGA'])[1 + n % 3], n % 1440, (n * 17) % 90 - 15
FROM generate_series(DATE '{first}', DATE '{last}', interval '1 day') AS d, generate_series(1, {facts}) AS n
"""


def day(number: int) -> str:
    """The date of a day of the history, from 1 on."""
    return str(START + timedelta(number - 1))


def operator(summary: str, partition: str, **arguments: Any) -> IncrementalSummaryOperator:
    """The operator of the benchmark's summary."""
    return IncrementalSummaryOperator(
        task_id="summary", conn_id=CONNECTION, source="bench.facts", summary=summary, keys=["tailnum"],
        partition_column="ds", partition=partition, measures=MEASURES, **arguments,
    )  # fmt: skip


def run(uri: str, *, quick: bool = False) -> Report:
    """Days of a growing history, each of them several times; and stretches of it at once."""
    subjects, facts, days, rounds = (300, 300, (4, 6, 8, 10), 2) if quick else (50_000, 50_000, (30, 90, 180, 365), 5)
    with connected(uri) as connection:
        made = "tailnum text, distance int, origin text, dep_time int, dep_delay int"
        connection.execute(f"CREATE TABLE bench.facts (ds date, {made})")
        connection.execute("CREATE INDEX ON bench.facts (ds)")
        connection.execute(_FACTS.format(subjects=subjects, facts=facts, first=day(1), last=day(days[-1])))
        connection.execute("VACUUM ANALYZE bench.facts")
        lines, agree, at = [], True, 0
        for number in days:
            seconds = _built(at + 1, number - 1)
            line, same = _a_day(connection, number, rounds)
            lines.append({"history, days": number, **line, "days built before": number - 1 - at, "in s": seconds})
            agree, at = agree and same, number
        stretch = days[0] if quick else 60
        speed = _stretch(connection, stretch)
        sizes = {"facts a day": facts, "subjects": subjects, "measures": len(MEASURES)}
        setting = {**sizes, **versions(version(connection))}
    first, last = lines[0], lines[-1]
    bars = {
        "the last day costs at most 1.5 times the first": last["statement, s"] <= 1.5 * first["statement, s"],
        "at least 40 times as fast as the scan of the last day": last["scan ÷ statement"] >= 40,
        "history is built at least 1.5 times as fast as day by day": speed["ratio"] >= 1.5,
    }
    seconds = f"day by day {speed['single']:.1f} s, at once {speed['bulk']:.1f} s in two shards and "
    notes = [f"{stretch} days: {seconds}{speed['alone']:.1f} s in one: {speed['ratio']:.2f} times as fast"]
    return Report("A summary of all of history", setting, lines, agree=agree and bool(speed["agree"]), bars=bars,
                  notes=notes)  # fmt: skip


def _built(first: int, last: int, summary: str = "bench.summary", **arguments: Any) -> float | None:
    """Seconds for partitions that are built at once."""
    if last < first:
        return None
    started = time.perf_counter()
    daily = operator(summary, "{{ ds }}")
    ParallelBackfillOperator.of(daily, day(first), day(last), **{"max_parallel": 2, **arguments}).execute({})
    return time.perf_counter() - started


def _a_day(connection: psycopg.Connection[Any], number: int, rounds: int) -> tuple[dict[str, Any], bool]:
    """A day brought up to date, over and over, and the scan of all of history beside it."""
    whole, statements, scans = [], [], []
    for turn in range(rounds):
        with recorded() as messages:
            started = time.perf_counter()
            operator("bench.summary", day(number)).execute({})
            whole.append(time.perf_counter() - started)
        statements.append(max(m.seconds for m in messages if m.sql.startswith("INSERT") and "FULL JOIN" in m.sql))
        if turn < max(rounds // 2, 1):
            connection.execute("SET jit = off")
            started = time.perf_counter()
            connection.execute(f"CREATE TABLE bench.scanned AS {RESCAN.format(day=day(number))}")
            scans.append(time.perf_counter() - started)
            agree = _same(connection, f"SELECT {', '.join(SEEN)} FROM bench.summary WHERE ds = '{day(number)}'",
                          f"SELECT {', '.join(SEEN)} FROM bench.scanned")  # fmt: skip
            connection.execute("DROP TABLE bench.scanned")
    statement, scan = statistics.median(statements), statistics.median(scans)
    line = {"statement, s": statement, "operator, s": statistics.median(whole), "scan, s": scan}
    return {**line, "scan ÷ statement": scan / statement, "scan ÷ operator": scan / statistics.median(whole)}, agree


def _stretch(connection: psycopg.Connection[Any], days: int) -> dict[str, float]:
    """The same days one by one and at once."""
    started = time.perf_counter()
    for number in range(1, days + 1):
        operator("bench.singly", day(number)).execute({})
    single = time.perf_counter() - started
    alone = _built(1, days, "bench.alone", max_parallel=1) or 0.0
    bulk = _built(1, days, "bench.at_once") or 0.0
    sides = [f"SELECT ds, {', '.join(SEEN)} FROM bench.{name}" for name in ("singly", "alone", "at_once")]
    agree = all(_same(connection, sides[0], side) for side in sides[1:])
    return {"single": single, "alone": alone, "bulk": bulk, "ratio": single / bulk, "agree": agree}


def _same(connection: psycopg.Connection[Any], one: str, other: str) -> bool:
    """Whether two queries yield the same rows."""
    both: Sequence[tuple[int]] = connection.execute(
        f"SELECT count(*) FROM (({one} EXCEPT {other}) UNION ALL ({other} EXCEPT {one})) AS q"
    ).fetchall()
    return both == [(0,)]
