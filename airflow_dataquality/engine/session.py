"""What the engine needs of a connection. :mod:`airflow_dataquality.hooks.session` has the real one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.model import Column, Plan, Table

Row = Sequence[Any]


class Session(Protocol):
    """One connection, in which nothing is committed or begun but what is said here."""

    @property
    def dialect(self) -> Dialect:
        """How to speak to the database."""

    @property
    def connection(self) -> Any:
        """The DB-API connection itself."""

    def query(self, sql: str) -> list[Row]:
        """Run a statement and return its rows."""

    def fetch(self, sql: str, most: int) -> tuple[list[str], list[Row]]:
        """Run a statement and return the names of the columns it yields, and its first rows."""

    def execute(self, sql: str) -> int:
        """Run a statement and return the number of rows it touched (-1 if the driver cannot tell)."""

    def run(self, plan: Plan) -> int:
        """Run a plan, in one transaction if it is atomic; the row count of the statement that counts."""

    def transaction(self, begin: str | None = None) -> AbstractContextManager[None]:
        """BEGIN now, COMMIT at the end, ROLLBACK on an error."""

    def cancel(self) -> None:
        """Stop what runs now, and whatever would run next; called from a signal handler."""

    def columns(self, table: Table) -> tuple[Column, ...]:
        """The table's columns, in order; empty if there is no such table."""


class ExchangeSession(Session, Protocol):
    """A session with a database where tables are published."""

    @property
    def dialect(self) -> Postgres:
        """How to speak to it."""

    def names(self, sql: str) -> list[str]:
        """Run a statement and return the names of the columns it yields."""

    def batch(self, statements: Iterable[str]) -> None:
        """Run statements in one message, where a round trip between them would hold a lock longer."""

    def send(self, plan: Plan) -> int:
        """Run a plan's statements in the transaction that is open now."""

    def load(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Store rows of Python values, as fast as the database takes them; the number of rows."""
