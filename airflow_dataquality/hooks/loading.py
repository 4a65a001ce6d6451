"""Rows of Python values into a table: COPY on Postgres, ``executemany`` on SQLite, INSERTs of many rows elsewhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow_dataquality.model import Table

if TYPE_CHECKING:
    from airflow_dataquality.hooks.session import DbApiSession

log = logging.getLogger(__name__)

Rows = Iterable[Sequence[Any]]

BATCH_ROWS = 1_000
BATCH_CHARACTERS = 2**20
"""Limits of one INSERT. Redshift takes 16 MB: https://docs.aws.amazon.com/redshift/latest/dg/c_redshift-sql.html."""


def load(session: DbApiSession, table: Table, columns: Sequence[str], rows: Rows) -> int:
    """Store rows in the transaction that is open, holding but a few of them at a time."""
    driver = type(session.connection).__module__.partition(".")[0]
    loaders: dict[str, Callable[[DbApiSession, Table, Sequence[str], Rows], int]] = {
        "psycopg": _copy,
        "psycopg2": _copy_text,
        "sqlite3": _executemany,
    }
    return loaders.get(driver, _insert)(session, table, columns, rows)


def _copy(session: DbApiSession, table: Table, columns: Sequence[str], rows: Rows) -> int:
    """COPY of psycopg 3: https://www.psycopg.org/psycopg3/docs/basic/copy.html."""
    statement = session.dialect.copy_from_stdin(table, columns)
    log.debug("%s", statement)
    number = 0
    with session.connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            # Of millions of values, asking each whether it is a mapping takes as long as sending it.
            copy.write_row(row if _PLAIN.issuperset(map(type, row)) else [_as_json(value) for value in row])
            number += 1
    return number


def _copy_text(session: DbApiSession, table: Table, columns: Sequence[str], rows: Rows) -> int:
    """COPY of psycopg2, which reads the text format."""
    statement = session.dialect.copy_from_stdin(table, columns)
    log.debug("%s", statement)
    text = _Text(rows)
    with session.connection.cursor() as cursor:
        cursor.copy_expert(statement, text)
    return text.rows


def _executemany(session: DbApiSession, table: Table, columns: Sequence[str], rows: Rows) -> int:
    statement = session.dialect.insert_one(table, columns)
    log.debug("%s", statement)
    number = 0

    def values() -> Iterator[list[Any]]:
        nonlocal number
        for row in rows:
            number += 1
            yield [_as_stored(value) for value in row]

    session.connection.executemany(statement, values())
    return number


def _insert(session: DbApiSession, table: Table, columns: Sequence[str], rows: Rows) -> int:
    number = 0
    for batch in _batches(rows):
        session.execute(session.dialect.insert(table, columns, batch))
        number += len(batch)
    return number


def _batches(rows: Rows) -> Iterator[list[list[Any]]]:
    batch: list[list[Any]] = []
    size = 0
    for row in rows:
        values = [_as_literal(value) for value in row]
        length = sum(len(value) if isinstance(value, str) else 25 for value in values)
        if batch and (len(batch) == BATCH_ROWS or size + length > BATCH_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch.append(values)
        size += length
    if batch:
        yield batch


_PLAIN = frozenset({int, float, str, bool, type(None), date, datetime, Decimal, UUID, bytes})


def _as_json(value: Any) -> Any:
    """A mapping as JSON; a list is an array where there are arrays."""
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, Mapping) else value


def _as_literal(value: Any) -> Any:
    """The value as what dialects have literals for."""
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value) if isinstance(value, UUID | time | timedelta) else value


def _as_stored(value: Any) -> Any:
    """The value as one of SQLite's five types: https://www.sqlite.org/datatype3.html."""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else _as_literal(value)


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class _Text:
    """Rows as a file in COPY's text format.

    https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = 0
        self._lines = self._rendered(rows)
        self._left = ""

    def _rendered(self, rows: Rows) -> Iterator[str]:
        for row in rows:
            self.rows += 1
            yield "\t".join(map(_as_text, row)) + "\n"

    def read(self, size: int = 8192) -> str:
        """The next characters, at most so many."""
        parts, length = [self._left], len(self._left)
        while length < size and (line := next(self._lines, "")):
            parts.append(line)
            length += len(line)
        text = "".join(parts)
        self._left = text[size:]
        return text[:size]


def _as_text(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\\\x" + bytes(value).hex()
    if isinstance(value, list | tuple):
        return _as_array(value).translate(_ESCAPES)
    return str(_as_literal(value)).translate(_ESCAPES)


def _as_array(values: Iterable[Any]) -> str:
    """https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO."""
    return "{" + ",".join(map(_as_element, values)) + "}"


def _as_element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return _as_array(value)
    return '"' + str(_as_literal(value)).replace("\\", "\\\\").replace('"', '\\"') + '"'
