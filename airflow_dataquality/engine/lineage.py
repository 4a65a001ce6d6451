"""What tables are made of: recorded when it changes, and read both ways."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from airflow_dataquality.engine.board import Sees
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Table

log = logging.getLogger(__name__)

_VALUES = re.compile(r"'(?:[^']|'')*'|\b\d[\d.]*\b")
_DATED = re.compile(r"\d{4}|=")
_EMPTY = ""
"""Stands for no table: something is read, and none of it is one."""
Find = Callable[[str], Sequence[str]]
"""The tables that a SELECT reads, as they are written in it."""


@dataclass(frozen=True)
class Neighbour:
    """A table or file that is read, or a table that reads.

    :param table: None for what is no table of this database
    """

    name: str
    table: Table | None
    dag_id: str | None
    since: Any


@dataclass(frozen=True)
class Neighbours:
    """What a table reads, and what reads it."""

    reads: Sequence[Neighbour] = ()
    read_by: Sequence[Neighbour] = ()


def shape(sql: str) -> str:
    """A short text that is the same for the same SELECT with other values.

    >>> shape("SELECT 1 FROM a WHERE ds = '2013-02-01'") == shape("SELECT  2 FROM a WHERE ds = '2013-02-02'")
    True
    """
    return hashlib.blake2s(" ".join(_VALUES.sub("?", sql).split()).encode(), digest_size=8).hexdigest()


def record(
    ledger: Ledger, run: Run, table: Table, find: Find, *, selects: Sequence[str] = (), files: Sequence[str] = (),
    tables: Sequence[Table] = (),
) -> None:  # fmt: skip
    """Append what a table is made of, if that is something else than when it was last recorded.

    A load that is done does not fail because of this: what cannot be told is not recorded.

    :param selects: whose tables are found
    :param files: addresses; what follows the first date in one is left out
    """
    try:
        digest = shape("\n".join([*selects, *files, *map(str, tables)]))
        asked = ledger.dialect.last_lineage(ledger.table("lineage"), table, run.dag_id, run.task_id)
        if [row[0] for row in ledger.session.query(asked)] == [digest]:
            return
        found = [name for select in selects for name in find(select) if "(" not in name]  # which is a function
        named = [*map(str, tables), *found]
        known = dict.fromkeys([*(_resolved(ledger, name) for name in named), *map(_folder, files)])
        ledger.record_lineage(run, table, digest, list(known) or [_EMPTY])
    except Exception as error:  # noqa: BLE001 - as above
        log.debug("What %s reads was not recorded: %s", table, error)


def _folder(address: str) -> str:
    """The part of an address that does not change from day to day.

    >>> _folder("s3://lake/flights/ds=2013-02-01/part.csv")
    's3://lake/flights'
    """
    scheme, mark, path = address.partition("://")
    bucket, *parts = path.split("/")
    kept = list(takewhile(lambda part: part and not _DATED.search(part), parts))
    return f"{scheme}{mark}{'/'.join([bucket, *kept])}"


def _resolved(ledger: Ledger, name: str) -> str:
    """The table's whole name: of a bare one with the schema in which the database finds it."""
    table = Table.parse(name, ledger.dialect.fold)
    question = ledger.dialect.schema_of(table) if table.schema is None else None
    rows = ledger.session.query(question) if question else []
    return str(Table(table.name, rows[0][0]) if rows else table)


def of_table(ledger: Ledger, table: Table, sees: Sees) -> Neighbours:
    """What a table reads and what reads it, as far as the reader may see who recorded that."""
    at, sql = ledger.table("lineage"), ledger.dialect
    reads = {}
    for name, dag_id, since in ledger.session.query(sql.reads(at, table)):
        if name != _EMPTY and sees(dag_id):
            reads[name] = Neighbour(name, _table(name), dag_id, since)
    for name, dag_id, since in _of_summary(ledger, table):
        if name not in reads and sees(dag_id):
            reads[name] = Neighbour(name, _table(name), dag_id, since)
    read_by = {}
    for schema, name, dag_id, since in ledger.session.query(sql.readers(at, str(table))):
        reader = Table(name, schema)
        if reader != table and sees(dag_id):
            read_by[str(reader)] = Neighbour(str(reader), reader, dag_id, since)
    return Neighbours(*(sorted(found.values(), key=lambda each: each.name) for found in (reads, read_by)))


def _of_summary(ledger: Ledger, table: Table) -> Iterable[tuple[str, str | None, Any]]:
    """The source of a summary, which its definition names."""
    columns = ("definition", "dag_id", "published_at")
    asked = ledger.dialect.newest_where(
        {"publication": ledger.table("publication")}, "publication", table, columns, 1, "definition IS NOT NULL"
    )
    for definition, dag_id, since in ledger.session.query(asked):
        source = json.loads(definition).get("source")
        if isinstance(source, str) and _table(source):
            yield source, dag_id, since


def _table(name: str) -> Table | None:
    try:
        return Table.parse(name, str)
    except SpecError:
        return None
