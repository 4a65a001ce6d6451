"""What the tests of backfills share: to run one, and to look at what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from support import Database

RANGE = (
    "SELECT ds, id, amount FROM src "
    "WHERE ds BETWEEN CAST('{{ start_date }}' AS DATE) AND CAST('{{ end_date }}' AS DATE)"
)
FIRST, LAST = "2013-01-01", "2013-01-10"

# Everything of the users' and ours, in schemas that are no database's own.
_RELATIONS = r"""
SELECT c.oid::regclass::text, c.relkind::text, n.nspname, c.relname, obj_description(c.oid, 'pg_class')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'rs') AND n.nspname NOT LIKE 'pg\_temp%'
AND n.nspname NOT LIKE 'pg\_toast\_temp%' ORDER BY 1
"""


@dataclass
class Lab:
    """A database with things to backfill.

    :param eyes: a look at the tables that no driver and no double stands before
    """

    database: Database
    eyes: psycopg.Connection[Any]

    days = tuple(f"2013-01-{day:02}" for day in range(1, 11))

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; the rows of the last, sorted as text."""
        rows: list[Any] = []
        for statement in statements:
            rows = self.database.session.query(statement)
        return sorted((tuple(row) for row in rows), key=str)

    def rows(self, table: str = "daily", columns: str = "*") -> list[tuple[Any, ...]]:
        return self.run(f"SELECT {columns} FROM {table}")

    def fill(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        literal = self.database.session.dialect.literal
        values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
        self.run(f"INSERT INTO {table} VALUES {values}")

    def operator(self, sql: str = RANGE, **arguments: Any) -> ParallelBackfillOperator:
        defaults = {
            "task_id": "backfill", "conn_id": self.database.conn_id, "table": "daily", "partition_column": "ds",
            "start": FIRST, "end": LAST, "days_per_chunk": 3, "max_parallel": 2,
        }  # fmt: skip
        if "partitions_per_chunk" in arguments:
            del defaults["days_per_chunk"]
        return ParallelBackfillOperator(sql=sql, **{**defaults, **arguments})

    def backfill(self, sql: str = RANGE, **arguments: Any) -> dict[str, Any]:
        """Run the operator as a unit test or a notebook does: with an empty context."""
        return self.operator(sql, **arguments).execute({})

    def ledger(self, table: str, columns: str, where: str = "") -> list[tuple[Any, ...]]:
        return self.run(f"SELECT {columns} FROM dataquality.{table} {where}")

    def chunks(self) -> list[tuple[Any, ...]]:
        """The chunks that were recorded, in order: number, first, last and rows."""
        columns = "number, first_partition, last_partition, rows"
        return sorted(tuple(row) for row in self.ledger("chunk", columns))

    def published(self) -> dict[str, int]:
        """The partitions that the ledger says were published → how often."""
        times: dict[str, int] = {}
        for (partition,) in self.ledger("publication", "partition"):
            (value,) = json.loads(partition).values()
            times[value] = times.get(value, 0) + 1
        return times

    def beside(self) -> dict[str, str]:
        """The tables of ours beside the user's → the role in their mark."""
        found = {}
        for name, kind, _, _, comment in self.eyes.execute(_RELATIONS).fetchall():
            if "__dq_" in name and kind == "r":
                found[name] = json.loads(comment or "{}").get("airflow_dataquality", {}).get("role", "nothing")
        return found

    def fingerprint(self) -> list[Any]:
        """Every relation of the database, what it says of itself, and the rows in it."""
        found = []
        for row in self.eyes.execute(_RELATIONS).fetchall():
            held: Any = None
            if row[1] in ("r", "p"):
                held = self.eyes.execute(f"SELECT xmin::text, t::text FROM {row[0]} AS t ORDER BY 1, 2").fetchall()  # type: ignore[arg-type]
            found.append((*row, held))
        return found
