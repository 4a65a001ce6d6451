"""Postgres, 13 and later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.dialects.metrics import TEMPLATES
from airflow_dataquality.dialects.postgres_board import PostgresBoardSql
from airflow_dataquality.dialects.postgres_catalog import CatalogSql
from airflow_dataquality.dialects.postgres_exchange import ExchangeSql
from airflow_dataquality.dialects.postgres_summary import PostgresSummarySql
from airflow_dataquality.dialects.postgres_upsert import PostgresUpsertSql
from airflow_dataquality.model import Column, Table

# https://www.postgresql.org/docs/current/errcodes-appendix.html: class 42 is syntax and names; the others are
# literals that a column's type cannot be made of.
_STATIC = ("42", "22P02", "22007", "22008", "2201B")


class Postgres(CatalogSql, PostgresBoardSql, PostgresSummarySql, PostgresUpsertSql, ExchangeSql, Dialect):
    """Postgres measures in the types it has, sorts text by its bytes, and can be asked before it runs."""

    name = "postgres"
    max_name_bytes = 63  # https://www.postgresql.org/docs/current/limits.html
    max_select_items = 1600  # of 1,664
    templates: Mapping[str, str] = {
        **TEMPLATES,
        # The exact average and deviation of integers and numerics are 1.2 to 2.5 times as fast as those of a cast.
        "mean": "CAST(AVG({x}) AS DOUBLE PRECISION)",
        "stddev": "CAST(STDDEV_SAMP({x}) AS DOUBLE PRECISION)",
        "pattern_violations": "COUNT(CASE WHEN {and}{column} !~ {pattern} THEN 1 END)",
        # The parts of a partitioned table, which has no size of its own.
        "table_size_mb": "SELECT CAST(SUM(pg_total_relation_size(relid)) / 1048576.0 AS DOUBLE PRECISION) "
        "FROM pg_partition_tree({quoted})",
    }
    begin_read = "BEGIN READ ONLY"
    savepoints = True
    """Whether part of a transaction can be rolled back."""
    table_indexes = True
    types: Mapping[str, str] = {**Dialect.types, "text": "TEXT", "long": "TEXT", "time": "TIMESTAMP WITH TIME ZONE"}
    now = "clock_timestamp()"  # CURRENT_TIMESTAMP is when the transaction began
    age = "EXTRACT(EPOCH FROM clock_timestamp() - {moment})"
    ledger_indexes = True
    # A run measures thousands of numbers: one row for all of them arrives in half the time.
    measured_together = (
        (
            "MAX(measured_at) AS measured_at, STRING_AGG(metric, CHR(31)), "
            "STRING_AGG(COALESCE(CAST(value AS TEXT), 'NaN'), ' ')"
        ),
        ' GROUP BY run_uid, "partition"',
    )
    # Compiling a hundred aggregates takes longer than computing them: benchmarks/, 2 to 3 times.
    read_setup: Sequence[str] = ("SET LOCAL jit = off",)
    explain = "EXPLAIN "
    unordered = frozenset({"boolean"})
    type_names: Mapping[str, str] = {
        "int": "integer",
        "int2": "smallint",
        "int4": "integer",
        "int8": "bigint",
        "float": "double precision",
        "float4": "real",
        "float8": "double precision",
        "decimal": "numeric",
        "bool": "boolean",
        "varchar": "character varying",
        "char": "character",
        "bpchar": "character",
        "timestamp": "timestamp without time zone",
        "timestamptz": "timestamp with time zone",
        "time": "time without time zone",
        "timetz": "time with time zone",
        "varbit": "bit varying",
    }

    # Have the server notice when this client is gone; from Postgres 14 on, and not on every platform:
    # https://www.postgresql.org/docs/current/runtime-config-connection.html
    session_wishes: Sequence[str] = ("SET client_connection_check_interval = '1s'",)

    @property
    def session_setup(self) -> Sequence[str]:
        return (self.prepare_features(),)

    def patience(self, seconds: float) -> Sequence[str]:
        return (f"SET statement_timeout TO {max(1, round(seconds * 1000))}",)

    def reading(self, seconds: float) -> Sequence[str]:
        # Pages jump through indexes, of which the planner expects the worst: compiling takes longer than that.
        return (*self.patience(seconds), "SET default_transaction_read_only TO on", "SET jit TO off")

    def lock_ledger(self, schema: str) -> Sequence[str]:
        return (f"SELECT pg_advisory_xact_lock({self.lock_key('ledger', schema)})",)

    def column_comments(self, table: Table) -> str | None:
        """https://www.postgresql.org/docs/current/catalog-pg-description.html."""
        place = f"c.relname = {self.literal(table.name)} AND n.nspname = {self.literal(table.schema)}"
        return (
            "SELECT a.attname, d.description FROM pg_description AS d JOIN pg_class AS c ON c.oid = d.objoid "
            "JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            f"JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid WHERE d.objsubid > 0 AND {place}"
        )

    def schema_of(self, table: Table) -> str | None:
        name = self.text(self.table(table))
        return (
            "SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            f"WHERE c.oid = to_regclass({name})"
        )

    def tables(self, schema: str | None) -> str:
        """Partitions are not tables of their own."""
        place = f"n.nspname = {self.literal(schema)}" if schema else "n.nspname = ANY (current_schemas(false))"
        return (
            "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
            f"WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND {place} ORDER BY c.relname"
        )

    def text(self, value: str) -> str:
        """Text, quoted so that a backslash is one whatever ``standard_conforming_strings`` says."""
        quoted = super().text(value)
        return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted

    def byte(self, column: Column) -> str:
        """Sorting by the database's locale takes twice as long, and finds the same number of values."""
        return ' COLLATE "C"' if column.category == "text" and column.bytewise else ""

    def query(self, sql: str) -> str:
        return single_select(sql)

    def pattern_probe(self, pattern: str) -> str | None:
        return f"SELECT '' ~ {self.text(pattern)}"

    def is_static(self, sqlstate: str | None) -> bool:
        return sqlstate is not None and sqlstate.startswith(_STATIC)
