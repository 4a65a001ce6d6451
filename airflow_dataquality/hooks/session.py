"""A :class:`~airflow_dataquality.engine.session.Session` over any ``DbApiHook``."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine.session import Row
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.model import Column, Plan, Table

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook


log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_session(hook: DbApiHook) -> Iterator[DbApiSession]:
    """Open a connection of the hook, for as long as the block runs."""
    connection = hook.get_conn()
    try:
        yield DbApiSession(connection, dialect_for(hook.conn_type), hook)
    finally:
        with contextlib.suppress(Exception):  # the connection may be gone already
            connection.close()


@contextlib.contextmanager
def open_exchange(hook: DbApiHook) -> Iterator[DbApiSession]:
    """Open a connection of the hook to a database where tables are published.

    :raises SpecError: if it is another kind of database
    """
    dialect = dialect_for(hook.conn_type)
    if not isinstance(dialect, Postgres):
        raise SpecError(
            f"the connection is of type {hook.conn_type!r}; tables are published on Postgres and Redshift",
            hint="use DataQualityCheckOperator to check a table that something else loads",
        )
    with open_session(hook) as session:
        yield session


class DbApiSession:
    """One connection, in which nothing is committed or begun but what is said here.

    :param connection: a DB-API connection, which this session takes over
    :param dialect: how to speak to it
    :param hook: where the connection comes from
    """

    def __init__(self, connection: Any, dialect: Any, hook: DbApiHook | None = None) -> None:
        self.connection = connection
        self.dialect = dialect
        self._cancelled = False
        self._autocommit(hook)
        self._plain_rows()
        dialect.prepare(connection)
        for statement in dialect.session_setup:
            self.execute(statement)
        for statement in dialect.session_wishes:
            with contextlib.suppress(Exception):
                self.execute(statement)
        self._hook = hook
        self._backend = self.query(dialect.backend)[0][0] if dialect.backend else None

    def _autocommit(self, hook: DbApiHook | None) -> None:
        # Drivers differ in when they open a transaction behind one's back, so none may: BEGIN is ours.
        if hasattr(self.connection, "isolation_level") and self.dialect.name == "sqlite":
            self.connection.isolation_level = None
        elif hasattr(self.connection, "autocommit"):
            self.connection.autocommit = True
        elif hook is not None and hook.supports_autocommit:
            hook.set_autocommit(self.connection, True)
        if hasattr(self.connection, "prepare_threshold"):
            self.connection.prepare_threshold = None  # psycopg 3 would prepare a batch, which the server refuses

    def _plain_rows(self) -> None:
        """Have rows as sequences, even if the Airflow connection asks for a cursor that yields dicts."""
        driver = type(self.connection).__module__.partition(".")[0]
        if driver == "psycopg":
            from psycopg.rows import tuple_row

            self.connection.row_factory = tuple_row
        elif driver == "psycopg2":
            self.connection.cursor_factory = None

    def _send(self, sql: str) -> Any:
        if self._cancelled:
            self._cancelled = False  # what cleans up may be sent
            raise _killed()
        log.debug("%s", sql)
        cursor = self.connection.cursor()
        try:
            cursor.execute(sql)
        except BaseException as error:
            if self._cancelled:
                self._cancelled = False
                raise _killed() from error
            raise
        return cursor

    def cancel(self) -> None:
        """Stop what runs now, and whatever would run next; called from a signal handler."""
        self._cancelled = True
        stop = getattr(self.connection, "cancel_safe", None) or getattr(self.connection, "cancel", None)
        if stop is not None:
            stop()
        elif self._backend is not None and self._hook is not None:
            with contextlib.closing(self._hook.get_conn()) as other, contextlib.closing(other.cursor()) as cursor:
                cursor.execute(self.dialect.cancel_backend(self._backend))

    def query(self, sql: str) -> list[Row]:
        """Run a statement and return its rows."""
        with contextlib.closing(self._send(sql)) as cursor:
            return list(cursor.fetchall()) if cursor.description else []

    def names(self, sql: str) -> list[str]:
        """Run a statement and return the names of the columns it yields."""
        with contextlib.closing(self._send(sql)) as cursor:
            return [column[0] for column in cursor.description or ()]

    def fetch(self, sql: str, most: int) -> tuple[list[str], list[Row]]:
        """Run a statement and return the names of the columns it yields, and its first rows."""
        with contextlib.closing(self._send(sql)) as cursor:
            return [column[0] for column in cursor.description or ()], list(cursor.fetchmany(most))

    def execute(self, sql: str) -> int:
        """Run a statement and return the number of rows it touched (-1 if the driver cannot tell)."""
        with contextlib.closing(self._send(sql)) as cursor:
            return int(cursor.rowcount)

    def batch(self, statements: Iterable[str]) -> None:
        """Run statements in one message, where a round trip between them would hold a lock longer."""
        self.execute(";\n".join(statements))

    @contextlib.contextmanager
    def transaction(self, begin: str | None = None) -> Iterator[None]:
        """BEGIN now, COMMIT at the end, ROLLBACK on an error."""
        self.execute(begin or self.dialect.begin)
        try:
            yield
            # A message of its own: once it was sent, the transaction may have been committed.
            self.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(Exception):  # a broken connection has rolled back by itself
                self.execute("ROLLBACK")
            raise

    def run(self, plan: Plan) -> int:
        """Run a plan, in one transaction if it is atomic; the row count of the statement that counts."""
        if not plan.statements:
            return -1
        with self.transaction() if plan.atomic else contextlib.nullcontext():
            return self.send(plan)

    def send(self, plan: Plan) -> int:
        """Run a plan's statements in the transaction that is open now."""
        rows = -1
        for statement in plan.statements:
            touched = self.execute(statement.sql)
            if statement.counts:
                rows = touched
        return rows

    def load(self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
        """Store rows of Python values, as fast as the database takes them; the number of rows."""
        from airflow_dataquality.hooks.loading import load

        if self._cancelled:
            self._cancelled = False
            raise _killed()
        return load(self, table, columns, rows)

    def columns(self, table: Table) -> tuple[Column, ...]:
        """The table's columns, in order; empty if there is no such table."""
        return tuple(self.dialect.column(row) for row in self.query(self.dialect.columns(table)))


def _killed() -> DataQualityError:
    return DataQualityError("the task was killed", hint="what was loaded so far is rolled back; run it again")
