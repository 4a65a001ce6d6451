"""What the overview and the pages of a table and a check ask of a ledger with millions of rows, beside a GROUP BY."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine import board, detail
from airflow_dataquality.engine.calendar import calendar
from airflow_dataquality.engine.glance import Glance
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import Table
from benchmarks.measuring import race
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import connected, hook, version

if TYPE_CHECKING:
    import psycopg

FULL = {"tables": 5_000, "days": 200, "checks": 1, "metrics": 10}
QUICK = {"tables": 40, "days": 12, "checks": 2, "metrics": 3}
_RUN = "md5(t || ':' || d), 'mart_' || t % 20, 'table_' || lpad(t::text, 5, '0')"
_PARTITION = """'{"ds": "' || (DATE '2024-01-01' + d) || '"}'"""
_WHEN = "clock_timestamp() - ({days} - d) * interval '1 day' - (t % 80000) * interval '1 second'"
_TASK = "'dag_' || t / 5, 'publish', 'scheduled__' || (DATE '2024-01-01' + d), -1, 1"
_TASKED = "dag_id, task_id, run_id, map_index, try_number"
_PLACE = "run_uid, table_schema, table_name, partition"
_EACH = "FROM generate_series(1, {days}) AS d, generate_series(1, {tables}) AS t"
# Of a hundred runs one is blocked; of fifty blocked ones, one was not published since.
_FILL = f"""
INSERT INTO dataquality.publication ({_PLACE}, mode, rows, score, passed, warned, failed, errored, skipped, {_TASKED},
  published_at)
SELECT {_RUN}, {_PARTITION}, 'overwrite', 1000 + t, 1.0, 8, (t + d) % 29 / 28, 0, 0, 0, {_TASK}, {_WHEN} {_EACH};
INSERT INTO dataquality.check_run ({_PLACE}, state, rows, score, passed, warned, failed, errored, skipped, {_TASKED},
  checked_at)
SELECT md5('r' || t || ':' || d), 'mart_' || t % 20, 'table_' || lpad(t::text, 5, '0'), {_PARTITION}, 'rejected',
  1000 + t, 0.8, 7, 0, 1, 0, 0, {_TASK},
  {_WHEN} + interval '1 minute' * CASE WHEN (t * 7 + d) % 5000 = 0 THEN 1 ELSE -1 END
{_EACH} WHERE (t * 7 + d) % 100 = 0;
INSERT INTO dataquality.check_run ({_PLACE}, state, rows, score, passed, warned, failed, errored, skipped, {_TASKED},
  checked_at)
SELECT md5('o' || t || ':' || d), 'mart_' || t % 20, 'table_' || lpad(t::text, 5, '0'), {_PARTITION}, 'observed',
  1000 + t, 1.0, 8, 0, 0, 0, 0, {_TASK}, {_WHEN} + interval '10 minutes'
{_EACH} WHERE t % 5 = 0;
INSERT INTO dataquality.check_result ({_PLACE}, check_name, metric, column_name, value, value_text, interval, status,
  severity, reason, {_TASKED}, checked_at)
SELECT {_RUN}, {_PARTITION}, 'null_count(c' || c || ')', 'null_count', 'c' || c, 0, '0', '= 0', 'pass', 'error',
  'null_count(c' || c || ') is 0, expected = 0', {_TASK}, {_WHEN} {_EACH}, generate_series(1, {{checks}}) AS c;
INSERT INTO dataquality.metric ({_PLACE}, column_name, metric, value, state, measured_at)
SELECT {_RUN}, {_PARTITION}, 'c' || c, 'null_count(c' || c || ')', d, 'published', {_WHEN} {_EACH},
  generate_series(1, {{metrics}}) AS c
"""


def fill(connection: psycopg.Connection[Any], sizes: Mapping[str, int]) -> None:
    """A ledger of many tables, each published once a day by a DAG that has five of them."""
    text = _FILL
    for name, size in sizes.items():
        text = text.replace(f"{{{name}}}", str(size))
    connection.execute(text)  # type: ignore[arg-type]
    connection.execute("VACUUM ANALYZE")


def run(uri: str, *, quick: bool = False) -> Report:
    """The pages' questions in turn with the plain ones, each on a connection of its own, as a page opens one."""
    sizes, rounds = (QUICK, 2) if quick else (FULL, 30)
    with connected(uri) as connection:
        with opened() as ledger:
            ledger.ensure()
        fill(connection, sizes)
        glance = Glance()
        found = race({"overview": lambda: overview(glance), "overview, anew": overview, "GROUP BY": grouped,
                      "table": table_page, "check": check_page}, rounds,
                     fewer={"GROUP BY": min(rounds, 5)})  # fmt: skip
        rows = {name: connection.execute(f"SELECT count(*) FROM dataquality.{name}").fetchall()[0][0]
                for name in ("publication", "check_run", "check_result", "metric")}  # fmt: skip
        setting = {"tables": sizes["tables"], **rows, **versions(version(connection))}
    lines = [
        {"question": name, "median, ms": statistics.median(took) * 1000, "p95, ms": _high(took) * 1000,
         "GROUP BY ÷ it": 1 / found.ratio(name, "GROUP BY")}
        for name, took in found.seconds.items()
    ]  # fmt: skip
    bars = {
        "the overview answers in 300 ms, 95 times of 100": _high(found.seconds["overview"]) < 0.3,
        "and at least 5 times as fast as GROUP BY": found.ratio("GROUP BY", "overview") >= 5,
        "a table and a check answer in 100 ms": max(_high(found.seconds[name]) for name in ("table", "check")) < 0.1,
    }
    agree = found.answers["overview"] == found.answers["GROUP BY"]
    return Report("The pages' questions to a ledger of millions of rows", setting, lines, agree=agree, bars=bars)


def _high(seconds: Sequence[float]) -> float:
    """The 95th percentile; of few rounds, the longest."""
    return sorted(seconds)[max(0, math.ceil(0.95 * len(seconds)) - 1)]


@contextmanager
def opened() -> Iterator[Ledger]:
    """The ledger, over a new connection that reads as the pages' do."""
    with open_session(hook()) as session:
        yield Ledger(session)


def _reading(ledger: Ledger) -> Ledger:
    for statement in ledger.dialect.reading(10):
        ledger.session.execute(statement)
    return ledger


def overview(glance: Glance | None = None) -> dict[str, Any]:
    """All tables at a glance, and the strips of the first fifty: the last publication of each table.

    :param glance: what an API server remembers for as long as nothing was written
    """
    with opened() as ledger:
        newest = glance.rows(_reading(ledger)) if glance else None
        states = board.overview(_reading(ledger), lambda _: True, datetime.now(UTC), newest)
        board.last_runs(ledger, [state.table for state in states[:50]], ())
        return {state.name: state.published.at for state in states if state.published}


def grouped() -> dict[str, Any]:
    """What one would write first: the last publication and the last run of checks of each table, by sorting them."""
    with opened() as ledger:
        session = _reading(ledger).session
        newest = (
            "SELECT DISTINCT ON (table_schema, table_name) table_schema, table_name, partition, score, {at} "
            "FROM dataquality.{name} ORDER BY table_schema, table_name, {at} DESC"
        )
        rows = session.query(newest.format(name="publication", at="published_at"))
        session.query(newest.format(name="check_run", at="checked_at"))
        return {f"{row[0]}.{row[1]}": row[4] for row in rows}


def table_page() -> int:
    """What the page of a table asks."""
    table = Table("table_00001", "mart_1")
    with opened() as ledger:
        hidden = detail.hidden_of(_reading(ledger), table, lambda _: True) or set()
        partitions = detail.partitions(ledger, table, hidden)
        results = detail.newest_results(ledger, table, hidden)
        detail.last_results(ledger, table, [row["check_name"] for row in results], hidden, 30)
        detail.newest_metrics(ledger, table, hidden, lambda _: True)
        return len(calendar(partitions).blocks)


def check_page() -> int:
    """What the page of a check asks."""
    table = Table("table_00001", "mart_1")
    with opened() as ledger:
        hidden = detail.hidden_of(_reading(ledger), table, lambda _: True) or set()
        rows = detail.results(ledger, table, hidden, 90, check="null_count(c1)")
        detail.recorded_metrics(ledger, table, rows[0])
        return len(rows)
