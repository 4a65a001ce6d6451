"""What a catalog says of each table: gathered from headers, SQL, and, if there is a connection, the ledger."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_dataquality.engine.board import Entry, last_runs, overview, tables_of
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.session import Session
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.model import Check, Table
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.origins import Origin, origins_of

CHECKED = ("check_name", "status", "value", "value_text", "interval", "checked_at", "reason")
_SECONDS = 60.0


@dataclass
class Reader:
    """Who reads a column."""

    transform: str
    table: str
    column: str | None = None


@dataclass
class ColumnEntry:
    """A column of a table.

    :param origins: columns that it is made of; None if nobody can tell
    :param readers: columns that are made of it, and transforms that use it otherwise
    """

    name: str
    type: str | None = None
    description: str | None = None
    origins: Sequence[Origin] | None = None
    readers: list[Reader] = field(default_factory=list)


@dataclass
class CheckEntry:
    """A check, as it is declared, and how it last ended.

    :param result: of :data:`CHECKED`; None if it has not run
    """

    name: str
    expected: str
    severity: str
    description: str = ""
    result: Mapping[str, Any] | None = None


@dataclass
class TableEntry:
    """A table.

    :param transform: that makes it; None if nobody does
    :param upstream: tables that it is made of
    :param downstream: tables that are made of it, with the transform that does
    :param published: its last publication
    :param status: of its last run, or of its oldest open failure
    :param others: DAGs that read it, as the ledger has it: table and DAG
    """

    name: str
    transform: Transform | None = None
    columns: list[ColumnEntry] = field(default_factory=list)
    checks: list[CheckEntry] = field(default_factory=list)
    upstream: list[str] = field(default_factory=list)
    downstream: list[Reader] = field(default_factory=list)
    published: Entry | None = None
    status: str | None = None
    runs: Sequence[Entry] = ()
    others: Sequence[tuple[str, str | None]] = ()

    def column(self, name: str) -> ColumnEntry | None:
        return next((column for column in self.columns if column.name == name), None)


def entries_of(project: Project) -> dict[str, TableEntry]:
    """All tables that are made or read, by name."""
    found: dict[str, TableEntry] = {}
    for each in project.transforms.values():
        if each.writes is not None and project.producer(each.writes) is each:
            found[str(each.writes)] = _made(project, each)
    for each in project.transforms.values():
        own = str(each.writes) if each.writes is not None else each.name
        for table in map(str, each.reads):
            entry = found.setdefault(table, TableEntry(table))
            entry.downstream.append(Reader(each.name, own))
    for each in project.transforms.values():
        _link(project, each, found)
    return dict(sorted(found.items()))


def _made(project: Project, each: Transform) -> TableEntry:
    assert each.output is not None
    declared = each.output.columns
    names = dict.fromkeys((*(project.columns(each.output.name) or ()), *declared))
    columns = [
        ColumnEntry(name, declared[name].type, declared[name].description) if name in declared else ColumnEntry(name)
        for name in names
    ]
    return TableEntry(str(each.writes), each, columns, _checks(each), list(map(str, each.reads)))


def _checks(each: Transform) -> list[CheckEntry]:
    from airflow_dataquality.transforms.rules import checks_of

    checks: Sequence[Check] = ()
    with contextlib.suppress(SpecError):  # which `lint` tells of
        checks = checks_of(each)
    return [CheckEntry(one.name, str(one.expect), str(one.severity), one.description or "") for one in checks]


def _link(project: Project, each: Transform, found: Mapping[str, TableEntry]) -> None:
    """Tell columns where they come from, and who reads them."""
    own = str(each.writes) if each.writes is not None else each.name
    entry = found.get(own)
    made: set[Origin] = set()
    for name, origins in origins_of(project, each).items():
        column = entry.column(name) if entry is not None and entry.transform is each else None
        if column is not None:
            column.origins = origins
        for origin in origins:
            made.add(origin)
            source = _column_of(found, origin)
            if source is not None:
                source.readers.append(Reader(each.name, own, name))
    facts = project.facts.get(each.name)
    for use in facts.uses if facts is not None else ():
        origin = Origin(use.tables[0], use.column)
        if len(use.tables) == 1 and origin not in made:  # in a join or a predicate
            made.add(origin)
            source = _column_of(found, origin)
            if source is not None:
                source.readers.append(Reader(each.name, own))


def _column_of(found: Mapping[str, TableEntry], origin: Origin) -> ColumnEntry | None:
    """The column; of a table that nobody makes, it is known from now on."""
    entry = found.get(origin.table)
    if entry is None:
        return None
    column = entry.column(origin.column)
    if column is None and entry.transform is None:
        column = ColumnEntry(origin.column)
        entry.columns.append(column)
    return column


def look_up(entries: Mapping[str, TableEntry], conn_id: str, ledger_schema: str) -> Iterator[str]:
    """Add what a warehouse knows: types, comments, publications, results of checks. Nothing is written there.

    :returns: notes of what is not known
    :raises DataQualityError: if the connection cannot be used
    """
    from airflow_dataquality.hooks.connections import connected

    with connected(conn_id) as session:
        for statement in session.dialect.reading(_SECONDS):
            session.execute(statement)
        missing = [entry.name for entry in entries.values() if not _described(session, entry)]
        if missing:
            yield f"not in the warehouse: {', '.join(missing[:10])}{' …' if len(missing) > 10 else ''}"  # noqa: PLR2004
        ledger = Ledger(session, ledger_schema)
        if not session.columns(ledger.table("ledger_version")):
            yield f"there is no ledger in schema {ledger_schema!r}: nothing was published, or --ledger-schema names it"
            return
        try:
            _recorded(ledger, entries)
        except DataQualityError:
            raise
        except Exception as error:  # noqa: BLE001 - each driver has its own exceptions; an older ledger lacks tables
            from airflow_dataquality.engine.said import said

            yield f"the ledger cannot be read: {said(error)}"


def _described(session: Session, entry: TableEntry) -> bool:
    """Types and comments, and columns that no SQL told of; whether there is such a table."""
    table = Table.parse(entry.name)
    held = session.columns(table)
    comments = _comments(session, table) if held else {}
    for column in held:
        known = entry.column(column.name)
        if known is None:
            known = ColumnEntry(column.name)
            entry.columns.append(known)
        known.type = column.type
        known.description = known.description or comments.get(column.name)
    return bool(held)


def _comments(session: Session, table: Table) -> dict[str, str]:
    question = session.dialect.column_comments(table)
    return {str(name): str(text) for name, text in session.query(question)} if question else {}


def _recorded(ledger: Ledger, entries: Mapping[str, TableEntry]) -> None:
    states = {str(state.table): state for state in overview(ledger, lambda _: True, datetime.now(UTC))}
    known = [Table.parse(name) for name in entries if name in states]
    runs = last_runs(ledger, known, ())
    at = tables_of(ledger)
    for table in known:
        entry = entries[str(table)]
        state = states[str(table)]
        entry.status, entry.runs = state.status, runs[table]
        newest = [run for run in runs[table] if run.state == "published"]
        entry.published = newest[-1] if newest else state.published
        if entry.status == "skip" and entry.published is not None:
            entry.status = "published"  # with too little history, a search for anomalies says nothing of the rows
        _judged(ledger, at, table, entry)
        rows = ledger.session.query(ledger.dialect.readers(ledger.table("lineage"), str(table)))
        made_here = {reader.table for reader in entry.downstream}
        others = {(str(Table(name, schema)), dag) for schema, name, dag, _ in rows}
        entry.others = sorted((each for each in others if each[0] not in made_here), key=str)


def _judged(ledger: Ledger, at: Mapping[str, Table], table: Table, entry: TableEntry) -> None:
    where = ledger.dialect.shown(())
    question = ledger.dialect.newest_of_each(at, "check_result", table, "check_name", CHECKED, where)
    named = {check.name: check for check in entry.checks}
    for row in ledger.session.query(question):
        result = dict(zip(CHECKED, row, strict=True))
        check = named.get(str(result["check_name"]))
        if check is None:  # one that is implied, or was declared elsewhere
            check = CheckEntry(str(result["check_name"]), str(result["interval"] or ""), "")
            entry.checks.append(check)
        check.result = result
