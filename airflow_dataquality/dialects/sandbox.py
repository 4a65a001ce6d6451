"""Where transforms are tested: SQL for tables of a few rows, on Postgres, each value written as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Table

BEGIN, COMMIT, ROLLBACK = "BEGIN", "COMMIT", "ROLLBACK"
SAVE, RELEASE, BACK = "SAVEPOINT dq_kit", "RELEASE SAVEPOINT dq_kit", "ROLLBACK TO SAVEPOINT dq_kit"

# format_type() with -1 names the type without a size, with which CAST would cut a value to it:
# https://www.postgresql.org/docs/current/functions-info.html
_COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.format_type(a.atttypid, -1),
       t.typcategory::text, (SELECT e.enumlabel FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid
                             ORDER BY e.enumsortorder LIMIT 1)
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = pg_catalog.to_regclass({table}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {"N": "0", "S": "", "B": "false", "A": "{}", "T": "0", "I": "0.0.0.0", "R": "empty", "V": ""}  # noqa: S104 - a value
)
"""By category: https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE."""
_OF_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "json": "{}", "jsonb": "{}", "uuid": "00000000-0000-0000-0000-000000000000", "bytea": "", "xml": "", "bit": "0",
        "time without time zone": "00:00", "time with time zone": "00:00+00",
    }
)  # fmt: skip
DAY = "1970-01-01"


@dataclass(frozen=True)
class Typed:
    """A column.

    :param type: as a table is created with it: ``numeric(10,2)``
    :param bare: without its size: ``numeric``
    :param category: Postgres' own letter for kinds of types
    :param label: the first of an enum's labels
    """

    name: str
    type: str
    bare: str
    category: str
    label: str | None = None

    @property
    def is_array(self) -> bool:
        return self.category == "A"

    @property
    def default(self) -> str | None:
        """What a row gets that does not name the column: a value of the type, where one is known; else NULL."""
        if self.category == "E":
            return self.label
        if self.bare in _OF_TYPES:
            return _OF_TYPES[self.bare]
        return DAY if self.category == "D" else _DEFAULTS.get(self.category)


def create_schema(sql: Names, name: str) -> str:
    """A schema."""
    return f"CREATE SCHEMA {sql.identifier(name)}"


def drop_schemas(sql: Names, names: Iterable[str]) -> str:
    """Schemas, with all that is in them."""
    return f"DROP SCHEMA IF EXISTS {sql.identifiers(names)} CASCADE"


def columns(sql: Names, table: Table) -> str:
    """The fields of :class:`Typed`, for each column of a table; no row without a table."""
    return _COLUMNS.format(table=sql.text(sql.table(table)))


def create(sql: Names, table: Table, types: Iterable[tuple[str, str]]) -> str:
    """An empty table. Its types are SQL already."""
    return f"CREATE TABLE {sql.table(table)} ({', '.join(f'{sql.identifier(name)} {of}' for name, of in types)})"


def create_as(sql: Names, table: Table, select: str, *, rows: bool = True) -> str:
    """A table of what a SELECT yields, which begins in the second line."""
    return f"CREATE TABLE {sql.table(table)} AS\n{select}\nWITH {'' if rows else 'NO '}DATA"


def drop(sql: Names, table: Table) -> str:
    """A table, if it is there."""
    return f"DROP TABLE IF EXISTS {sql.table(table)}"


def primary_key(sql: Names, table: Table, names: Iterable[str]) -> str:
    """Have no two rows share a key, and none lack it."""
    return f"ALTER TABLE {sql.table(table)} ADD PRIMARY KEY ({sql.identifiers(names)})"


def empty(sql: Names, table: Table) -> str:
    """No rows."""
    return f"DELETE FROM {sql.table(table)}"


def insert(sql: Names, table: Table, names: Iterable[str], rows: Iterable[Sequence[str | None]]) -> str:
    """Rows of texts, each read by its column's type, as an assignment reads it."""
    listed = ",\n".join(f"({', '.join(map(sql.literal, row))})" for row in rows)
    return f"INSERT INTO {sql.table(table)} ({sql.identifiers(names)}) VALUES\n{listed}"


def assign(sql: Names, table: Table, values: Iterable[tuple[str, str | None]]) -> str:
    """The same values in all rows."""
    pairs = ", ".join(f"{sql.identifier(name)} = {sql.literal(value)}" for name, value in values)
    return f"UPDATE {sql.table(table)} SET {pairs}"


def texts(sql: Names, table: Table, of: Iterable[Typed], where: str | None = None) -> str:
    """The rows, each value as text."""
    listed = ", ".join(_text(column, sql.identifier(column.name)) for column in of) or "NULL"
    return f"SELECT {listed} FROM {sql.table(table)}{f' WHERE {where}' if where else ''}"


def _text(column: Typed, value: str) -> str:
    return f"CAST(to_json({value}) AS text)" if column.is_array else f"CAST({value} AS text)"


def as_written(sql: Names, of: Sequence[Typed], rows: Iterable[Sequence[str | None]]) -> str:
    """Rows of texts, as the database writes them once it has read them by their types."""
    listed = ", ".join(_text(column, f"CAST(v.c{number} AS {column.bare})") for number, column in enumerate(of))
    names = ", ".join(f"c{number}" for number in range(len(of)))
    values = ", ".join(f"({n}, {', '.join(f'CAST({sql.literal(each)} AS text)' for each in row)})"
                       for n, row in enumerate(rows))  # fmt: skip
    return f"SELECT {listed} FROM (VALUES {values}) AS v (n, {names}) ORDER BY v.n"


def read_as(sql: Names, column: Typed, value: str | None) -> str:
    """One value, read by its type."""
    return f"SELECT CAST({sql.literal(value)} AS {column.bare})"


def strays(sql: Names, table: Table, inside: str, of: Iterable[Typed]) -> str:
    """Values of a partition's columns in rows that are not of it, and how many there are."""
    named = list(of)
    listed = ", ".join(f"CAST({sql.identifier(column.name)} AS text)" for column in named)
    numbers = ", ".join(str(n) for n, _ in enumerate(named, 1))
    return f"SELECT {listed}, COUNT(*) FROM {sql.table(table)} WHERE ({inside}) IS NOT TRUE GROUP BY {numbers} LIMIT 3"


def part_of(with_clause: str, name: str) -> str:
    """A part of a SELECT, alone: what stands before it, and all of its rows."""
    return f"{with_clause}\nSELECT * FROM {name}"
