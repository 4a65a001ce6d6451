"""The partitions that somebody waits for: how they are written, and how the ledger spells them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.engine.columns import canonical_key
from airflow_dataquality.engine.session import Session
from airflow_dataquality.errors import PartitionError, SpecError, did_you_mean
from airflow_dataquality.model import Partition, Scalar, Table

HINT = "write schema.table/column=value, as in analytics.daily_flights/ds={{ ds }}; schema.table is the whole table"
_QUOTED = r'"(?:[^"]|"")+"'
_NAME = re.compile(rf"(?:{_QUOTED}|[^/\"])+")
_TERM = re.compile(rf"/\s*({_QUOTED}|[^\W\d][\w$]*)\s*=(?:'((?:[^']|'')*)'|([^/']*))")
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def without_templates(text: str) -> str:
    """The text as it may look when it is rendered.

    >>> without_templates("analytics.daily_flights/ds={{ macros.ds_add(ds, -1) }}")
    'analytics.daily_flights/ds=x'
    """
    return _TEMPLATE.sub("x", text)


def partition_of(text: str, fold: Callable[[str], str] = str.lower) -> Partition:
    """Read ``schema.table/column=value``, names quoted as in SQL; a value with a slash in it, too: ``path='a/b'``.

    :raises SpecError: if it is not written so

    >>> str(partition_of("Analytics.daily_flights/ds=2013-02-08/origin=EWR"))
    'analytics.daily_flights/ds=2013-02-08, origin=EWR'
    """
    if not isinstance(text, str):
        raise SpecError(f"partition {text!r} is not a text", hint=HINT)
    named = _NAME.match(text)
    if named is None:
        raise SpecError(f"partition {text!r} names no table", hint=HINT)
    if "=" in re.sub(_QUOTED, "", named[0]):
        raise SpecError(f"partition {text!r}: there is no slash between table and column", hint=HINT)
    try:
        table = Table.parse(named[0], fold)
    except SpecError as error:
        raise SpecError(f"partition {text!r}: {error.message}", hint=HINT) from error
    return Partition(table, tuple(_key(text, named.end(), fold).items()))


def _key(text: str, position: int, fold: Callable[[str], str]) -> dict[str, Scalar]:
    key: dict[str, Scalar] = {}
    while position < len(text):
        term = _TERM.match(text, position)
        if term is None or (term.end() < len(text) and text[term.end()] != "/"):
            raise SpecError(f"partition {text!r}: {text[position:]!r} is not /column=value", hint=HINT)
        name, quoted, plain = term.groups()
        column = name[1:-1].replace('""', '"') if name.startswith('"') else fold(name)
        value = quoted.replace("''", "'") if quoted is not None else plain.strip()
        if column in key:
            raise SpecError(f"partition {text!r} names the column {column!r} twice", hint="name it once")
        if not value and quoted is None:
            raise SpecError(f"partition {text!r} has no value for {column!r}", hint="write '' for an empty text")
        key[column], position = value, term.end()
    return key


@dataclass(frozen=True)
class Wanted:
    """A partition that somebody waits for.

    :param known: it is spelled as the ledger spells it: False while its table does not exist, so that nobody can tell
    """

    partition: Partition
    known: bool = False

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Wanted:
        """One that was written by :meth:`as_dict`."""
        return cls(Partition.of(Table(row["table"], row["schema"]), row["key"]), row["known"])

    def as_dict(self) -> dict[str, Any]:
        """It, as JSON."""
        table = self.partition.table
        return {"schema": table.schema, "table": table.name, "key": dict(self.partition.key), "known": self.known}

    def __str__(self) -> str:
        return str(self.partition)


def find(session: Session, wanted: Wanted) -> Wanted:
    """Spell it as the ledger does, if its table exists.

    :raises PartitionError: if the table has no such column, or a value is not of its column's type
    """
    if wanted.known:
        return wanted
    table = folded(wanted.partition.table, session.dialect)
    question = session.dialect.schema_of(table)
    if table.schema is None and question and (found := session.query(question)):
        table = Table(table.name, found[0][0])
    columns = session.columns(table)
    if not columns:
        return Wanted(Partition(table, wanted.partition.key))
    names = [column.name for column in columns]
    key: dict[str, Any] = {}
    for name, value in wanted.partition.key:
        column = name if name in names else folded_name(name, session.dialect)
        if column not in names:
            hint = did_you_mean(column, names, label="Columns")
            raise PartitionError(f"partition column {name!r} is not in {table}", hint=hint)
        key[column] = value
    return Wanted(Partition.of(table, canonical_key(session, key, columns)), known=True)


def folded(table: Table, dialect: Dialect) -> Table:
    """A table's name, as the catalog prints it where quotes do not keep capitals."""
    return Table(folded_name(table.name, dialect), table.schema and folded_name(table.schema, dialect))


def folded_name(name: str, dialect: Dialect) -> str:
    """A name, likewise."""
    return dialect.fold(name) if dialect.folds_quoted else name
