"""SQL of the ledger's tables, for every dialect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Table


class LedgerSql(Names):
    """How a dialect makes and fills the ledger's tables."""

    types: Mapping[str, str] = {
        "text": "VARCHAR(4000)",
        "integer": "INTEGER",
        "bigint": "BIGINT",
        "double": "DOUBLE PRECISION",
        "time": "TIMESTAMP",
    }
    now = "CURRENT_TIMESTAMP"
    ledger_indexes = False
    """Whether indexes help its readers; a column store has none."""

    def ledger_table(self, schema: str, name: str) -> Table:
        """Where a table of the ledger is."""
        return Table(name, schema)

    def create_schema(self, schema: str) -> Sequence[str]:
        """Statements that make the ledger's schema."""
        return (f"CREATE SCHEMA IF NOT EXISTS {self.identifier(schema)}",)

    def find_schema(self, schema: str) -> str | None:
        """A query that yields a row if the schema exists; None if the database has no such question."""
        return None

    def lock_ledger(self, schema: str) -> Sequence[str]:
        """Statements that keep others from making the ledger at the same time, until the transaction ends."""
        return ()

    def create_ledger_table(self, table: Table, columns: Mapping[str, str]) -> Sequence[str]:
        """Statements that make a table of columns with abstract types, and the indexes that its readers want."""
        listed = ", ".join(f"{self.identifier(name)} {self.types[kind]}" for name, kind in columns.items())
        statements = [f"CREATE TABLE {self.table(table)} ({listed})"]
        if self.ledger_indexes and "table_name" in columns:
            keys = self.identifiers(["table_schema", "table_name", "partition"])
            index = Table(f"{table.name}_table_partition_idx")
            statements.append(f"CREATE INDEX {self.table(index)} ON {self.table(table)} ({keys})")
        return statements

    def insert(
        self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, clock: str | None = None
    ) -> str:
        """One INSERT of many rows; the column ``clock`` gets the database's time."""
        names = self.identifiers([*columns, clock] if clock else columns)
        tail = f", {self.now}" if clock else ""
        values = ", ".join(f"({', '.join(map(self.literal, row))}{tail})" for row in rows)
        return f"INSERT INTO {self.table(table)} ({names}) VALUES {values}"

    def select_max(self, table: Table, column: str) -> str:
        """The largest value of a column."""
        return f"SELECT MAX({self.identifier(column)}) FROM {self.table(table)}"
