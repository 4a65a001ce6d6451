"""SQLite: what it lacks is said in the SQL it has, or given to the connection as a function."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.base import Dialect, category
from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.dialects.metrics import TEMPLATES
from airflow_dataquality.dialects.sqlite_upsert import SqliteUpsertSql
from airflow_dataquality.model import Column, Table

# The corrected two-pass algorithm: Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance".
_DEVIATION = "dq_sqrt(MAX(0.0, SUM((v - m) * (v - m)) - SUM(v - m) * SUM(v - m) / COUNT(v)) / NULLIF(COUNT(v) - 1, 0))"


class Sqlite(SqliteUpsertSql, Dialect):
    """SQLite 3.25 or later, for its window functions."""

    name = "sqlite"
    # Takes the write lock now: https://www.sqlite.org/lang_transaction.html#immediate
    begin_write = "BEGIN IMMEDIATE"
    begin_read = "BEGIN"
    max_select_items = 1900  # https://www.sqlite.org/limits.html: 2,000 columns in a result
    explain = "EXPLAIN "
    explain_plan = "EXPLAIN QUERY PLAN "
    templates: Mapping[str, str] = {
        **TEMPLATES,
        "mean": "AVG({x})",  # always floating point: https://www.sqlite.org/lang_aggfunc.html#avg
        "min_length": "MIN(LENGTH({x}))",
        "max_length": "MAX(LENGTH({x}))",
        "pattern_violations": "COUNT(CASE WHEN {and}NOT dq_matches({column}, {pattern}) THEN 1 END)",
        # No timestamp type: https://www.sqlite.org/lang_datefunc.html
        "freshness": "(JULIANDAY('now') - MAX(JULIANDAY({x}))) * 86400.0",
        "stddev": f"(SELECT {_DEVIATION} FROM "
        "(SELECT {all} AS v, AVG({all}) OVER () AS m FROM {rows} AS s) AS d)",
        "mean_shift": (
            "SELECT CASE WHEN s.mean = p.mean THEN 0 WHEN p.spread = 0 THEN 9e999 "
            "ELSE ABS(s.mean - p.mean) / p.spread END, CASE WHEN p.mean IS NULL THEN 0 ELSE 1 END FROM "
            "(SELECT AVG({column}) AS mean FROM {rows} AS r) AS s CROSS JOIN "
            f"(SELECT MAX(m) AS mean, COALESCE({_DEVIATION}, 0) AS spread FROM "
            "(SELECT {column} AS v, AVG({column}) OVER () AS m FROM {production} AS r) AS d) AS p"
        ),
        # Between the rows next to position 1 + q (n - 1), as PERCENTILE_CONT does.
        "quantile": (
            "(SELECT CASE WHEN MIN(v) = MAX(v) THEN 1.0 * MIN(v) "
            "ELSE MIN(v) + (MAX(v) - MIN(v)) * (MAX(p) - CAST(MAX(p) AS INTEGER)) END "
            "FROM (SELECT {all} AS v, ROW_NUMBER() OVER (ORDER BY {all}) AS r, "
            "1 + {q} * (COUNT(*) OVER () - 1) AS p FROM {rows} AS s WHERE {known}) AS d WHERE ABS(r - p) < 1)"
        ),
    }

    types: Mapping[str, str] = {**Dialect.types, "text": "TEXT"}
    age = "(JULIANDAY('now') - JULIANDAY({moment})) * 86400.0"
    ledger_indexes = True

    def reading(self, seconds: float) -> Sequence[str]:
        """https://www.sqlite.org/pragma.html#pragma_query_only."""
        return ("PRAGMA query_only = ON",)

    def ledger_table(self, schema: str, name: str) -> Table:
        return Table(f"{schema}_{name}")  # no schemas

    def create_schema(self, schema: str) -> Sequence[str]:
        return ()

    def tables(self, schema: str | None) -> str:
        return "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"

    def columns(self, table: Table) -> str:
        place = f", {self.text(table.schema)}" if table.schema else ""
        return f"SELECT name, type, hidden FROM pragma_table_xinfo({self.text(table.name)}{place}) WHERE hidden <> 1"

    def column(self, row: Sequence[Any]) -> Column:
        """A column of one row of :meth:`columns`: https://www.sqlite.org/pragma.html#pragma_table_xinfo."""
        name, type_name, hidden = row
        return Column(name, type_name, category(type_name), generated=hidden in (2, 3))

    def prepare(self, connection: Any) -> None:
        connection.create_function("dq_matches", 2, _matches, deterministic=True)
        connection.create_function("dq_sqrt", 1, _sqrt, deterministic=True)

    def retry_reason(self, sqlstate: str | None, message: str) -> str | None:
        return message if "is locked" in message else None

    def query(self, sql: str) -> str:
        return single_select(sql)

    def pattern_problem(self, pattern: str) -> str | None:
        try:
            re.compile(pattern)
        except re.error as error:
            return str(error)
        return None

    def is_static(self, sqlstate: str | None) -> bool:
        return True  # its EXPLAIN compiles, and computes nothing


def _matches(value: Any, pattern: str) -> bool | None:
    return None if value is None else re.search(pattern, str(value)) is not None


def _sqrt(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)
