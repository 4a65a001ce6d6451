"""Where a test runs: schemas of its own, in a transaction that is rolled back, so that nothing else is touched."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from airflow_dataquality.dialects import sandbox as sql_of
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.dialects.sandbox import Typed
from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Table
from airflow_dataquality.testing.names import moved

_NAME_BYTES = 63
Texts = Sequence[str | None]


class Session(DbApiSession):
    """A connection that counts what it sends. A transaction inside another is a savepoint of it."""

    def __init__(self, connection: Any, dialect: Any = None) -> None:
        self.sent = 0
        self.open = False
        super().__init__(connection, dialect or Postgres())

    def _send(self, sql: str) -> Any:
        self.sent += 1
        return super()._send(sql)

    @contextlib.contextmanager
    def transaction(self, begin: str | None = None) -> Iterator[None]:
        if not self.open:
            with super().transaction(begin):
                self.open = True
                try:
                    yield
                finally:
                    self.open = False
            return
        self.execute(sql_of.SAVE)
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                self.execute(sql_of.BACK)
            raise
        self.execute(sql_of.RELEASE)


class Sandbox:
    """Schemas that stand in for those that transforms name: ``raw`` is ``dq_test_4f2a_1_raw`` in it.

    Leaving the ``with`` block leaves nothing behind. Tables are named as the transforms name them.

    :param session: which this takes until it is closed
    :param prefix: of its schemas
    """

    def __init__(self, session: Session, prefix: str, dialect: str = "postgres") -> None:
        self.session, self.prefix, self.dialect = session, prefix, dialect
        self.sql = session.dialect
        self.tables: dict[Table, tuple[Typed, ...]] = {}
        self._schemas: dict[str, str] = {}
        self._kept = False

    def __enter__(self) -> Self:
        self.session.execute(sql_of.BEGIN)
        self.session.open = True
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            if self.session.open:
                self.session.execute(sql_of.ROLLBACK)
        self.session.open = False
        if self._kept:
            self.session.execute(sql_of.drop_schemas(self.sql, self._schemas.values()))

    def keep(self) -> None:
        """Commit, for other connections to see it, or for time to pass; what is there is dropped at the end."""
        if self.session.open:
            self.session.execute(sql_of.COMMIT)
            self.session.open, self._kept = False, True

    def schema(self, name: str | None) -> str:
        """The schema that stands in for another. It is made when it is asked for."""
        known = name or "public"
        if known not in self._schemas:
            own = f"{self.prefix}_{known}"
            if len(own.encode()) > _NAME_BYTES:
                own = f"{self.prefix}_{hashlib.sha256(known.encode()).hexdigest()[:16]}"
            self.session.execute(sql_of.create_schema(self.sql, own))
            self._schemas[known] = own
        return self._schemas[known]

    def own(self, table: Table) -> Table:
        """The table that stands in for another."""
        return Table(table.name, self.schema(table.schema))

    def moved(self, sql: str, known: Iterable[Table] = ()) -> str:
        """SQL that reads and writes here."""
        tables = {*known, *self.tables}
        return moved(sql, tables, lambda name: self.sql.identifier(self.schema(name)), self.dialect)

    def plain(self, text: str) -> str:
        """A message of the database, with the names that its reader knows."""
        for known, own in self._schemas.items():
            text = text.replace(own, known)
        return text

    def look(self, table: Table) -> tuple[Typed, ...]:
        """The columns of a table; empty if there is none."""
        found = tuple(Typed(*row) for row in self.session.query(sql_of.columns(self.sql, self.own(table))))
        if found:
            self.tables[table] = found
        return found

    def create(self, table: Table, columns: Sequence[Typed]) -> None:
        """An empty table; nothing, if it is there."""
        if table not in self.tables:
            types = [(column.name, column.type) for column in columns]
            self.session.execute(sql_of.create(self.sql, self.own(table), types))
            self.tables[table] = tuple(columns)

    def create_typed(self, table: Table, types: Mapping[str, str]) -> tuple[Typed, ...]:
        """An empty table of types as they are written."""
        with self.session.transaction():
            self.session.execute(sql_of.create(self.sql, self.own(table), types.items()))
        return self.look(table)

    def create_as(self, table: Table, select: str, *, rows: bool = True) -> tuple[Typed, ...]:
        """A table of what a SELECT, whose tables are moved already, yields; in place of the one that is there."""
        with self.session.transaction():
            if table in self.tables:
                self.session.execute(sql_of.drop(self.sql, self.own(table)))
            self.session.execute(sql_of.create_as(self.sql, self.own(table), select, rows=rows))
        return self.look(table)

    def fill(self, table: Table, names: Sequence[str], rows: Sequence[Texts], *, what: str) -> None:
        """Put rows, each value as text, in place of those that are there.

        :param what: the rows' name in messages
        :raises SpecError: naming the row and the column of a value that is not of its type
        """
        own = self.own(table)
        try:
            with self.session.transaction():
                self.session.execute(sql_of.empty(self.sql, own))
                if rows:
                    self.session.execute(sql_of.insert(self.sql, own, names, rows))
        except DataQualityError:
            raise
        except Exception as error:
            self._accuse(table, names, rows, what)
            raise SpecError(f"{what}: {self.plain(str(said(error)))}", hint="mend the rows") from error

    def _accuse(self, table: Table, names: Sequence[str], rows: Sequence[Texts], what: str) -> None:
        """Find the value that the table refuses."""
        known = {column.name: column for column in self.tables[table]}
        for number, row in enumerate(rows, 1):
            for name, value in zip(names, row, strict=True):
                statement = sql_of.insert(self.sql, self.own(table), [name], [[value]])
                self._try(statement, known[name], value, f"{what}, row {number}")

    def as_written(self, columns: Sequence[Typed], rows: Sequence[Texts], *, what: str) -> list[Texts]:
        """Rows of texts as the database writes them: ``TRUE`` of a boolean is ``true``.

        :raises SpecError: naming the row and the column of a value that is not of its type
        """
        if not rows or not columns:
            return list(rows)
        try:
            with self.session.transaction():
                return self.session.query(sql_of.as_written(self.sql, columns, rows))
        except DataQualityError:
            raise
        except Exception as error:
            for number, row in enumerate(rows, 1):
                for column, value in zip(columns, row, strict=True):
                    self._try(sql_of.read_as(self.sql, column, value), column, value, f"{what}, row {number}")
            raise SpecError(f"{what}: {self.plain(str(said(error)))}", hint="mend the rows") from error

    def _try(self, statement: str, column: Typed, value: str | None, what: str) -> None:
        try:
            with self.session.transaction():
                self.session.execute(statement)
        except DataQualityError:
            raise
        except Exception as error:  # noqa: BLE001 - raised again, as whose fault it is
            null = "; NULL is written in capitals" if str(value).lower() in ("", "null", "none") else ""
            raise SpecError(
                f"{what}, column {column.name}: {value!r} is no {column.type} ({self.plain(said(error).message)})",
                hint=f"write what Postgres reads as {column.bare}, or NULL{null}",
            ) from None

    def texts(self, table: Table, where: str | None = None) -> list[Texts]:
        """The rows of a table, each value as text."""
        return self.session.query(sql_of.texts(self.sql, self.own(table), self.tables[table], where))
