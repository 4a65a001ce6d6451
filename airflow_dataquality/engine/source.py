"""Where the rows of a load come from: a SELECT, Python, or files in S3."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.errors import DataQualityError, SpecError, TableError
from airflow_dataquality.model import Column, Table

log = logging.getLogger(__name__)

_JSON = ("json", "jsonb", "super")


class Source(Protocol):
    """Rows to be staged."""

    @property
    def repeatable(self) -> bool:
        """Whether ``fill`` may be called again: a generator's rows are gone."""

    def names(self, session: ExchangeSession, columns: Sequence[Column]) -> list[str]:
        """The columns that it supplies, in its order.

        :param columns: the target's; empty if there is none
        :raises TableError: if they have no names, or one has another's
        """

    def fill(self, session: ExchangeSession, stage: Table, columns: Sequence[str]) -> int:
        """Store its rows in the stage, inside the open transaction; the number of rows.

        :param columns: what :meth:`names` returned
        :raises TableError: with the database's words
        """


class Select:
    """The rows of a SELECT.

    :param setup: statements before it, in its transaction
    """

    repeatable = True

    def __init__(self, sql: str, setup: Sequence[str] = ()) -> None:
        self.sql = sql
        self.setup = setup

    def __str__(self) -> str:
        return self.sql

    def names(self, session: ExchangeSession, columns: Sequence[Column]) -> list[str]:
        try:
            names: list[str] = session.names(session.dialect.describe_select(self.sql))
        except DataQualityError:
            raise
        except Exception as error:
            raise database_error("the SELECT is not valid", error, hint="mend the SELECT") from error
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or "?column?" in names:
            raise TableError(
                "the SELECT " + (f"names {', '.join(twice)} twice" if twice else "has a column without a name"),
                hint="columns are matched by name: give each its own, with AS",
            )
        return names

    def fill(self, session: ExchangeSession, stage: Table, columns: Sequence[str]) -> int:
        try:
            for statement in self.setup:
                session.execute(statement)
            return session.execute(session.dialect.fill(stage, columns, self.sql))
        except DataQualityError:
            raise
        except Exception as error:
            raise database_error(
                "the SELECT failed", error, hint="mend the SELECT, or the rows that it reads"
            ) from error


class Rows:
    """Rows of Python values.

    :param rows: mappings of column to value, or sequences; or a function without arguments that yields batches of them
    :param columns: the names of what sequences hold
    """

    def __init__(
        self, rows: Iterable[Any] | Callable[[], Iterable[Iterable[Any]]], columns: Sequence[str] = ()
    ) -> None:
        self._rows = rows
        self._columns = list(columns)
        self._started: Iterator[Any] | None = None

    def __str__(self) -> str:
        what = self._rows
        if callable(what):
            return f"batches of rows of {getattr(what, '__qualname__', type(what).__name__)}()"
        size = f"{len(what):,} " if isinstance(what, Sequence) else ""
        return f"{size}rows ({type(what).__name__})"

    @property
    def repeatable(self) -> bool:
        return callable(self._rows) or iter(self._rows) is not self._rows

    def names(self, session: ExchangeSession, columns: Sequence[Column]) -> list[str]:
        """The first row names the columns, if nothing else does; without any row, the target does."""
        if self._columns:
            return list(self._columns)
        rows = self._iterate()
        first = next(rows, None)
        if first is None:
            self._started = rows
            return suppliable(columns)
        self._started = itertools.chain([first], rows)
        if not isinstance(first, Mapping):
            raise TableError(
                f"row 1 is a {type(first).__name__}, whose values have no names",
                hint="give mappings of column to value, or name the columns with columns=[…]",
            )
        if unnamed := [key for key in first if not isinstance(key, str) or not key]:
            raise TableError(f"row 1 has {unnamed[0]!r} as the name of a column", hint="name columns by their names")
        return list(first)

    def fill(self, session: ExchangeSession, stage: Table, columns: Sequence[str]) -> int:
        rows, self._started = self._started or self._iterate(), None
        as_json = {column.name for column in session.columns(stage) if column.type.lower() in _JSON}
        reader = _Reader(columns, as_json)
        try:
            return session.load(stage, columns, reader.values(rows))
        except Exception as error:
            if reader.failed is not None:  # the rows' own error, which some drivers wrap in theirs
                raise reader.failed from None
            if isinstance(error, DataQualityError):
                raise
            what = f"the rows cannot be stored (near row {reader.number:,})"
            raise database_error(what, error, hint="give values that fit the types of the table's columns") from error

    def _iterate(self) -> Iterator[Any]:
        if callable(self._rows):
            return itertools.chain.from_iterable(self._rows())
        return iter(self._rows)


class _Reader:
    """Reads rows one after the other, and knows which one it is at."""

    def __init__(self, columns: Sequence[str], as_json: set[str]) -> None:
        self.columns, self.wanted = columns, frozenset(columns)
        self.as_json = [number for number, column in enumerate(columns) if column in as_json]
        self.number = 0
        self.failed: Exception | None = None

    def values(self, rows: Iterator[Any]) -> Iterator[Sequence[Any]]:
        try:
            for row in rows:
                self.number += 1
                yield self._value(row)
        except Exception as error:
            self.failed = error
            raise

    def _value(self, row: Any) -> Sequence[Any]:
        values = self._sequence(row)
        if self.as_json and any(isinstance(values[number], list | dict) for number in self.as_json):
            values = list(values)
            for number in self.as_json:
                if isinstance(values[number], list | dict):
                    values[number] = json.dumps(values[number], ensure_ascii=False, default=str)
        return values

    def _sequence(self, row: Any) -> Sequence[Any]:
        # The commonest types first: asking for the abstract ones takes as long as storing the row.
        if isinstance(row, tuple | list) or (isinstance(row, Sequence) and not isinstance(row, str | bytes)):
            if len(row) != len(self.columns):
                raise TableError(
                    f"row {self.number:,} has {len(row)} values, not {len(self.columns)} ({', '.join(self.columns)})",
                    hint="give each row a value for each column; None is NULL",
                )
            return row
        if isinstance(row, dict | Mapping):
            if row.keys() != self.wanted:
                raise self._misfit([str(key) for key in row])
            return [row[column] for column in self.columns]
        raise TableError(
            f"row {self.number:,} is a {type(row).__name__}, neither a mapping nor a sequence",
            hint="a callable yields batches, and each batch holds rows",
        )

    def _misfit(self, found: Sequence[str]) -> TableError:
        missing = [column for column in self.columns if column not in found]
        extra = [key for key in found if key not in self.wanted]
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"also has {', '.join(extra)}"] if extra else []
        return TableError(
            f"row {self.number:,} {' and '.join(parts)}; the columns are {', '.join(self.columns)}",
            hint="give every row the columns of the first one; None is NULL",
        )


class S3:
    """Files in S3, which the database reads itself.

    :param uri: ``s3://bucket/prefix``
    :param options: parameters of COPY
    :param iam_role: the role by which the database reads: an ARN, or ``default``
    :param columns: what the files hold, in their order; empty for all columns of the target that can be supplied
    :param constants: columns that the files do not hold → the value of each row
    """

    repeatable = True

    def __init__(
        self, uri: str, *, iam_role: str, region: str | None = None, options: Sequence[str] = (),
        columns: Sequence[str] = (), constants: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.uri, self.iam_role, self.region = uri, iam_role, region
        self.options, self._columns = tuple(options), list(columns)
        self._constants = {name: value for name, value in (constants or {}).items() if name not in columns}

    def __str__(self) -> str:
        return " ".join([self.uri, *self.options])

    def names(self, session: ExchangeSession, columns: Sequence[Column]) -> list[str]:
        if not session.dialect.copies_from_s3:
            raise SpecError(
                f"{session.dialect.name} does not load from S3",
                hint="s3_uri is for Redshift; elsewhere read the files in Python and give them as rows=",
            )
        names = self._columns or suppliable(columns)
        if not names:
            raise TableError(
                f"the columns in {self.uri} are not known, as the table does not exist",
                hint="name them with columns=[…]",
            )
        return [*(name for name in self._constants if name not in names), *names]

    def fill(self, session: ExchangeSession, stage: Table, columns: Sequence[str]) -> int:
        sql = session.dialect
        held = [name for name in columns if not self._columns or name in self._columns]
        copy = sql.copy_from_s3(stage, held, self.uri, iam_role=self.iam_role, region=self.region, options=self.options)
        try:
            session.execute(copy)
            rows = int(session.query(sql.copied())[0][0])
            if lacking := {name: self._constants[name] for name in columns if name not in held}:
                session.execute(sql.set_all(stage, lacking))
        except DataQualityError:
            raise
        except Exception as error:
            which = "SELECT * FROM sys_load_error_detail says which file and line"
            nothing = "no file has this prefix: look at s3_uri, and at what writes the files"
            hint = nothing if "does not exist" in said(error).message else which
            raise database_error(f"COPY from {self.uri} failed", error, hint=hint) from error
        return rows


def suppliable(columns: Iterable[Column]) -> list[str]:
    """The columns that a source supplies which does not say which: all that the database does not fill itself."""
    return [column.name for column in columns if not column.generated and not column.identity]
