"""The ANSI base dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_dataquality.dialects.ledger import LedgerSql
from airflow_dataquality.dialects.metrics import MetricSql
from airflow_dataquality.model import Column, Scalar, Table

_CATEGORIES = {
    "number": ("INT", "NUMERIC", "DECIMAL", "FLOAT", "DOUBLE", "REAL", "SERIAL", "MONEY"),
    "text": ("CHAR", "TEXT", "CLOB", "STRING"),
    "time": ("DATE", "TIME"),
    "boolean": ("BOOL",),
}


class Dialect(LedgerSql, MetricSql):
    """What standard SQL agrees on. A subclass is its difference, with a documentation link beside each oddity."""

    name = "ansi"
    begin = "BEGIN"
    session_wishes: Sequence[str] = ()
    """Statements run once on a new connection, which may fail where the server does not know them."""

    @property
    def session_setup(self) -> Sequence[str]:
        """Statements run once on a new connection."""
        return ()

    def schema_of(self, table: Table) -> str | None:
        """A query for the schema in which the database finds the name; None if it has no such question."""
        return None

    def canonical(self, value: Scalar, type_name: str) -> str | None:
        """A query for the one spelling that a value has in its type; None if there is no such question."""
        return None

    def columns(self, table: Table) -> str:
        """A query whose rows :meth:`column` reads: the table's columns in order, none if there is no table."""
        schema = f" AND table_schema = {self.literal(table.schema)}" if table.schema else ""
        return (
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE table_name = {self.literal(table.name)}{schema} ORDER BY ordinal_position"
        )

    def column(self, row: Sequence[Any]) -> Column:
        """A column of one row of :meth:`columns`."""
        return Column(row[0], row[1], category(row[1]))


def category(type_name: str) -> str | None:
    """The category of a type by its name; None if the name does not tell.

    >>> category("character varying(20)"), category("timestamp"), category("geometry")
    ('text', 'time', None)
    """
    upper = type_name.upper()
    if "INTERVAL" in upper or "POINT" in upper:
        return None
    return next((found for found, words in _CATEGORIES.items() if any(word in upper for word in words)), None)
