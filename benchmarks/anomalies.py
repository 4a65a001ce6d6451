"""Thousands of series against their own past, beside the queries that people write for it."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.anomaly import expectations
from airflow_dataquality.engine.judge import judge
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Check, Interval, Metric, Partition, Severity, Table
from airflow_dataquality.results import Measurement
from benchmarks.measuring import race, recorded
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import connected, hook, version

if TYPE_CHECKING:
    import psycopg

AUTO, ZSCORE = "the default baseline: one statement, all series", "zscore: one statement, all series"
RECORDED = "the default baseline, and 5,000 verdicts recorded"
IN_SQL, ONE_BY_ONE = "by hand: z-scores in one GROUP BY", "by hand: a query for each series"
TABLE = Table("facts", "bench")

_FILL = """
INSERT INTO dataquality.metric
  (run_uid, table_schema, table_name, partition, column_name, metric, value, state, measured_at)
SELECT 'run ' || d, 'bench', 'facts', '{{"ds": "' || date '2024-01-01' + d || '"}}', 'c' || s, 'mean(c' || s || ')',
       s + sin(d * 7.13 + s) * 10 + sin(d * 3.77 + s * 2.1) * 5, 'published',
       timestamptz '2024-01-01' + d * interval '1 day'
FROM generate_series(0, {days} - 1) AS d, generate_series(1, {series}) AS s"""
_BY_HAND = (
    "SELECT metric, avg(value), stddev_samp(value) FROM dataquality.metric WHERE table_schema = 'bench' "
    "AND table_name = 'facts' AND state <> 'rejected'"
)


def run(uri: str, *, quick: bool = False) -> Report:
    """Judge today's value of each series by its last ninety."""
    series, days, rounds = (50, 20, 2) if quick else (5_000, 90, 7)
    with connected(uri) as connection, contextlib.closing(hook().get_conn()) as own:
        session = DbApiSession(own, dialect_for("postgres"))
        ledger = Ledger(session)
        ledger.ensure()
        connection.execute(_FILL.format(series=series, days=days))
        connection.execute("CREATE INDEX ON dataquality.metric (metric)")  # ours has no use for it
        connection.execute("VACUUM ANALYZE")
        values = {Metric("mean", (f"c{number}",)): Measurement(float(number)) for number in range(1, series + 1)}
        partition = _partition(connection, days)
        sides = {
            AUTO: lambda: _judged(session, ledger, partition, values, "auto"),
            RECORDED: lambda: _judged(session, ledger, partition, values, "auto", record=True),
            ZSCORE: lambda: _judged(session, ledger, partition, values, "zscore"),
            IN_SQL: lambda: _in_sql(connection),
            ONE_BY_ONE: lambda: _one_by_one(connection, values),
        }
        timed = race(sides, rounds)
        with recorded() as sent:
            sides[RECORDED]()
        setting = {"series": series, "days": days, "fsync": "off", **versions(version(connection))}
    lines = [
        {
            "side": side,
            "rounds": rounds,
            "median s": timed.median(side),
            "÷ a query for each": timed.ratio(side, ONE_BY_ONE),
            "÷ one GROUP BY": timed.ratio(side, IN_SQL),
        }
        for side in sides
    ]
    scores = {side: timed.answers[side] for side in (ZSCORE, IN_SQL, ONE_BY_ONE)}
    words = [message.sql.split(None, 1)[0] for message in sent]
    bars = {
        "the full detector takes at most 0.8 s": timed.median(AUTO) <= 0.8,
        "one history statement, one insert batch": sorted(words) == ["INSERT", "SELECT"],
    }
    return Report(
        "Today's values against their own past", setting, lines, agree=_agree(list(scores.values())), bars=bars
    )


def _partition(connection: psycopg.Connection[Any], days: int) -> Partition:
    ((day,),) = connection.execute("SELECT (date '2024-01-01' + %s)::text", (days,)).fetchall()
    return Partition.of(TABLE, {"ds": day})


def _judged(
    session: DbApiSession, ledger: Ledger, partition: Partition, values: dict[Metric, Measurement], method: str,
    *, record: bool = False,
) -> dict[str, float]:  # fmt: skip
    baseline = Baseline(method)
    checks = [Check(str(metric), metric, baseline, Severity.WARN) for metric in values]
    found = expectations(session, ledger, Run(), checks, values, partition, columns=())
    summary = judge(checks, values, found)
    if record:
        ledger.record_results(Run(), partition, summary)
    return {result.check.name: _center(result.expectation.interval) for result in summary.results if result.expectation}


def _center(interval: Interval | None) -> float:
    return math.nan if interval is None else (interval.low + interval.high) / 2


def _in_sql(connection: psycopg.Connection[Any]) -> dict[str, float]:
    known = connection.execute(f"{_BY_HAND} GROUP BY metric").fetchall()  # type: ignore[arg-type]
    return {name: mean for name, mean, _ in known}


def _one_by_one(connection: psycopg.Connection[Any], values: dict[Metric, Measurement]) -> dict[str, float]:
    query: Any = f"{_BY_HAND} AND metric = %s GROUP BY metric"
    return {str(metric): connection.execute(query, (str(metric),)).fetchall()[0][1] for metric in values}


def _agree(scores: list[dict[str, float]]) -> bool:
    first, *others = scores
    return all(
        other.keys() == first.keys() and all(math.isclose(other[name], first[name], rel_tol=1e-9) for name in first)
        for other in others
    )
