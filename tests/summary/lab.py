"""What the tests of the operator share: facts, to bring a summary of them up to date, and what it has to hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import psycopg

from airflow_dataquality.engine.chain import Chain
from airflow_dataquality.engine.ledger import Ledger
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
from airflow_dataquality.model import Table
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from support import Database

Row = tuple[Any, ...]

MEASURES: dict[str, Measure] = {
    "n": Count(),
    "total": Sum("miles"),
    "longest": Max("miles"),
    "first_seen": FirstSeen(),
    "last_seen": LastSeen(),
    "ago": DaysSinceLast(),
    "spot": Latest("spot", order_by="at"),
    "recent": Rolling(Sum("miles"), days=3),
    "active": ActiveDays(4),
    "mean_miles": Mean("miles"),
}
SEEN = f"k, ds, {', '.join(MEASURES)}"
"""What a reader looks at."""

# Day → subject, miles, when, where: subjects that vanish and come back, that are late, NULL; a day without any.
FACTS: list[Row] = [
    ("2013-01-01", "a", 10, 1, "JFK"),
    ("2013-01-01", "a", 5, 2, "LGA"),
    ("2013-01-01", "b", 7, 1, "EWR"),
    ("2013-01-02", "a", 1, 9, None),
    ("2013-01-02", None, 3, 1, "JFK"),
    ("2013-01-03", "b", None, 3, "LGA"),
    ("2013-01-05", "a", 2, 1, "EWR"),
    ("2013-01-05", None, 4, 1, "EWR"),
    ("2013-01-06", "c", 100, 1, "JFK"),
    ("2013-01-07", "b", 8, 5, "JFK"),
]
DAYS = [f"2013-01-0{day}" for day in range(1, 8)]


@dataclass
class Lab:
    """A database with the table ``facts``, and its summary ``s``.

    :param eyes: a look at the tables that no driver and no double stands before
    """

    database: Database
    eyes: psycopg.Connection[Any]

    def run(self, *statements: str) -> list[Row]:
        """Run statements; the rows of the last, sorted as text."""
        rows: list[Any] = []
        for statement in statements:
            rows = self.database.session.query(statement)
        return sorted((tuple(row) for row in rows), key=str)

    def fill(self, rows: Iterable[Sequence[Any]], table: str = "facts") -> None:
        literal = self.database.session.dialect.literal
        values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
        self.run(f"INSERT INTO {table} VALUES {values}")

    def operator(self, day: str, **arguments: Any) -> IncrementalSummaryOperator:
        defaults = {
            "task_id": "summary", "conn_id": self.database.conn_id, "summary": "s", "keys": ["k"],
            "partition_column": "ds", "partition": day, "measures": MEASURES,
        }  # fmt: skip
        if "sql" not in arguments:
            defaults["source"] = "facts"
        return IncrementalSummaryOperator(**{**defaults, **arguments})

    def publish(self, *days: str, **arguments: Any) -> dict[str, Any]:
        """Run the operator for each day as a unit test or a notebook does: with an empty context."""
        outcome: dict[str, Any] = {}
        for day in days:
            outcome = self.operator(day, **arguments).execute({"ds": day} if "sql" in arguments else {})
        return outcome

    def backfill(self, start: str, end: str, *, of: Any = None, **arguments: Any) -> dict[str, Any]:
        operator = of or self.operator(end)
        return ParallelBackfillOperator.of(operator, start, end, **arguments).execute({})

    def rows(self, *days: str, table: str = "s", columns: str = SEEN) -> list[Row]:
        """The summary's rows of these days, or all."""
        where = f" WHERE ds IN ({', '.join(map(repr, days))})" if days else ""
        return self.run(f"SELECT {columns} FROM {table}{where}")

    def rescan(self, *days: str, since: str = "") -> list[Row]:
        """The rows that the summary has to have, from all facts."""
        facts = [row for row in self.run("SELECT * FROM facts") if str(row[0]) >= since]
        return sorted((row for day in days for row in _rescanned(facts, date.fromisoformat(day))), key=str)

    def right(self, *days: str, since: str = "") -> bool:
        """Whether exactly these days are published, and hold what they have to."""
        found, wanted = self.rows(), self.rescan(*days, since=since)
        assert found == wanted, [row for row in (*found, *wanted) if (row in found) != (row in wanted)]
        return self.chain().stale() == []

    def chain(self, table: str = "s", column: str = "ds", grain: str = "day") -> Chain:
        """What the ledger knows."""
        return Chain.read(Ledger(self.database.session), Table(table, "public"), column, grain)

    def ledger(self, table: str, columns: str, where: str = "") -> list[Row]:
        return self.run(f"SELECT {columns} FROM dataquality.{table} {where}")

    def published(self) -> dict[str, int]:
        """The partitions that the ledger says were published → how often."""
        times: dict[str, int] = {}
        for (partition,) in self.ledger("publication", "partition"):
            (value,) = json.loads(partition).values()
            times[value] = times.get(value, 0) + 1
        return times

    def beside(self) -> list[str]:
        """The roles of our tables beside the user's."""
        comments = self.eyes.execute(
            r"SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE relname LIKE '%\_\_dq\_%' AND relkind = 'r'"
        )
        return sorted(json.loads(comment)["airflow_dataquality"]["role"] for (comment,) in comments)


def _rescanned(facts: list[Row], day: date) -> list[Row]:
    known = sorted((row for row in facts if row[0] <= day), key=lambda row: (row[1] or "", row[1] is None))
    return [_of_subject(key, list(rows), day) for key, rows in groupby(known, key=lambda row: row[1])]


def _of_subject(key: Any, facts: list[Row], day: date) -> Row:
    days = [ds for ds, *_ in facts]
    miles = [m for _, _, m, _, _ in facts if m is not None]
    *_, spot = max(facts, key=lambda f: (f[0], f[3] is not None, f[3], f[4] is not None, f[4] or ""))
    recent = [m for ds, _, m, _, _ in facts if m is not None and ds > day - timedelta(days=3)]
    return (
        key, day, len(facts), sum(miles) if miles else None, max(miles, default=None), min(days), max(days),
        (day - max(days)).days, spot, sum(recent) if recent else None,
        len({ds for ds in days if ds > day - timedelta(days=4)}), sum(miles) / len(miles) if miles else None,
    )  # fmt: skip
