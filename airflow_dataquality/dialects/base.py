"""The ANSI base dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_dataquality.dialects.backfills import BackfillSql
from airflow_dataquality.dialects.board import BoardSql
from airflow_dataquality.dialects.comparison import ComparisonSql
from airflow_dataquality.dialects.ledger import LedgerSql
from airflow_dataquality.dialects.runs import RunSql
from airflow_dataquality.dialects.samples import SampleSql
from airflow_dataquality.dialects.saved import SavedSql
from airflow_dataquality.dialects.source import SourceSql
from airflow_dataquality.dialects.summary import SummarySql
from airflow_dataquality.dialects.upsert import UpsertSql
from airflow_dataquality.dialects.waiting import WaitingSql
from airflow_dataquality.model import Column, Partition, Scalar, Table

_CATEGORIES = {
    "number": ("INT", "NUMERIC", "DECIMAL", "FLOAT", "DOUBLE", "REAL", "SERIAL", "MONEY"),
    "text": ("CHAR", "TEXT", "CLOB", "STRING"),
    "time": ("DATE", "TIME"),
    "boolean": ("BOOL",),
}


class Dialect(
    LedgerSql, BackfillSql, BoardSql, SavedSql, ComparisonSql, RunSql, SampleSql, SourceSql, SummarySql, UpsertSql,
    WaitingSql,
):  # fmt: skip
    """What standard SQL agrees on. A subclass is its difference, with a documentation link beside each oddity."""

    name = "ansi"
    begin = "BEGIN"
    begin_write: str | None = None
    """Begins a transaction that takes locks to write; None where ``begin`` does."""
    busy: frozenset[str] = frozenset()
    """SQLSTATEs with which a statement of :meth:`publication_locks` ends that has waited long enough."""
    who_locks = "its other sessions"
    """Where the database tells who holds a lock."""
    session_wishes: Sequence[str] = ()
    """Statements run once on a new connection, which may fail where the server does not know them."""

    backend: str | None = None
    """A query for what :meth:`cancel_backend` needs to know, where the driver cannot cancel a statement itself."""

    def cancel_backend(self, backend: Any) -> str:
        """A statement that stops what another connection runs."""
        raise AssertionError(f"{self.name} has no such statement")

    @property
    def session_setup(self) -> Sequence[str]:
        """Statements run once on a new connection."""
        return ()

    def patience(self, seconds: float) -> Sequence[str]:
        """Statements after which no statement of the connection runs for longer."""
        return ()

    def reading(self, seconds: float) -> Sequence[str]:
        """Statements after which the connection writes nothing, and none of its statements runs for longer."""
        return self.patience(seconds)

    def publication_locks(
        self, partition: Partition, timeout: float, *, whole: bool
    ) -> Sequence[tuple[str | None, str]]:
        """What keeps others from publishing the same rows until the transaction ends, as pairs.

        :param timeout: seconds that readers may wait behind us
        :param whole: rows of the whole table, and not only of the partition
        :returns: a query that takes the lock if it is free and says so, or None; and the statement that waits for it
        """
        return ()

    def decision_locks(self, partition: Partition) -> Sequence[str]:
        """Statements that wait for whoever publishes the same rows, and for nobody who reads them."""
        return ()

    def retry_reason(self, sqlstate: str | None, message: str) -> str | None:
        """Why the whole transaction is to be run again after this error; None if it is not."""
        return None

    def schema_of(self, table: Table) -> str | None:
        """A query for the schema in which the database finds the name; None if it has no such question."""
        return None

    def canonical(self, value: Scalar, type_name: str) -> str | None:
        """A query for the one spelling that a value has in its type; None if there is no such question."""
        return None

    def answers(self, questions: Sequence[str]) -> str:
        """Queries for one value each, as one query with a column for each."""
        return "SELECT " + ", ".join(f"({question})" for question in questions)

    def all_of(self, rows: str) -> str:
        """All columns of a table expression."""
        return f"SELECT * FROM {rows} AS f"

    def count_rows(self, table: Table, where: str | None = None) -> str:
        """How many rows a table has."""
        return f"SELECT COUNT(*) FROM {self.table(table)}" + (f" WHERE {where}" if where else "")

    def tables(self, schema: str | None) -> str:
        """A query for the names of a schema's tables; None is the schema in which the database finds bare names."""
        place = f" AND table_schema = {self.literal(schema) if schema else 'current_schema()'}"
        tables = "SELECT table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        return f"{tables}{place} ORDER BY table_name"

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
