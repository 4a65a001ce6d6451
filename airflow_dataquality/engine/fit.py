"""Whether rows fit the table that they are to be upserted into, and by which strategy."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import Source
from airflow_dataquality.engine.target import locate
from airflow_dataquality.errors import ExchangeRefused, SchemaDrift, SpecError, TableError, did_you_mean
from airflow_dataquality.model import Check, Column, FailOn, Table
from airflow_dataquality.plans.upsert import NO_NULLS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Upsert:
    """What to upsert, and how.

    :param keys: the columns by which a row is known
    :param strategy: one of :data:`airflow_dataquality.plans.upsert.STRATEGIES`
    :param on_duplicate_keys: ``error`` or ``keep_last``
    :param order_by: by which columns the last row of a key is known
    :param on_null_keys: ``error``, ``match`` or ``drop``
    :param update: columns that existing rows get; None for all that are no keys
    :param insert: columns that new rows get; None for all
    """

    table: Table
    source: Source
    keys: Sequence[str]
    checks: Sequence[Check] = ()
    fail_on: FailOn = FailOn.ERROR
    strategy: str = "auto"
    on_duplicate_keys: str = "error"
    order_by: Sequence[str] = ()
    on_null_keys: str = "error"
    skip_unchanged: bool = False
    update: Sequence[str] | None = None
    insert: Sequence[str] | None = None
    explain: bool = False
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True)
class Found:
    """The table that is upserted into, as it is now.

    :param oid: its oid, where there are oids
    :param required: the columns that every INSERT has to supply
    :param unique: the columns of each unique index that ON CONFLICT can work with
    """

    table: Table
    columns: tuple[Column, ...]
    required: frozenset[str]
    always: frozenset[str]
    unique: frozenset[frozenset[str]]
    oid: int | None = None
    partitioned: bool = False

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


def find(session: ExchangeSession, table: Table) -> Found:
    """Look at the table.

    :raises ExchangeRefused: if it is something else than a table
    :raises TableError: if there is no such table
    """
    oid, partitioned = None, False
    if isinstance(session.dialect, Postgres):
        target = locate(session, table, features=False)
        table, oid, partitioned = target.table, target.oid, target.partitioned
    else:
        _refuse_other_kinds(session, table)
    return look(session, table, oid, partitioned=partitioned)


def _refuse_other_kinds(session: ExchangeSession, table: Table) -> None:
    question = session.dialect.kind_of(table)
    kinds = [str(row[0]) for row in session.query(question)] if question else []
    if kinds and "table" not in kinds:
        raise ExchangeRefused(
            f"{table} is a {kinds[0]}, not a table", hint="upsert into a table, and have it read that"
        )


def look(session: ExchangeSession, table: Table, oid: int | None, *, partitioned: bool) -> Found:
    """Read what the catalog says of the columns.

    :raises TableError: if there is no such table
    """
    sql = session.dialect
    columns = session.columns(table)
    if not columns:
        raise TableError(
            f"there is no table {table}", hint="create it first: an upsert needs the types of its columns, and its keys"
        )
    facts = session.query(sql.insertable(table))
    indexes: dict[str, set[str | None]] = {}
    question = sql.unique_keys(table)
    for index, column, compared_alike in session.query(question) if question else ():
        indexes.setdefault(index, set()).add(column if compared_alike else None)
    return Found(
        table,
        columns,
        required=frozenset(name for name, required, _ in facts if required),
        always=frozenset(name for name, _, always in facts if always),
        unique=frozenset(
            frozenset(c for c in index if c is not None) for index in indexes.values() if None not in index
        ),
        oid=oid,
        partitioned=partitioned,
    )


@dataclass(frozen=True)
class Fit:
    """What the source supplies, and what of it goes where.

    :param insert: columns that a new row gets from the source
    :param update: columns that an existing row gets from it
    """

    found: Found
    names: Sequence[str]
    keys: Sequence[str]
    insert: Sequence[str]
    update: Sequence[str]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns supplied, as the table has them."""
        by_name = {column.name: column for column in self.found.columns}
        return tuple(by_name[name] for name in self.names)

    @property
    def losses(self) -> list[str]:
        """What a row that is deleted and inserted again would lose."""
        lines = []
        for column in self.found.columns:
            name = column.name
            if column.identity:
                lines.append(f"column {name} is an identity: a row would get a new number")
            elif column.generated:
                continue
            elif name not in self.names:
                lines.append(f"column {name} is not supplied: its values would be lost")
            elif name not in self.insert or (name not in self.update and name not in self.keys):
                lines.append(f"column {name} is supplied, but not both inserted and updated")
        return lines


def fit(found: Found, names: Sequence[str], work: Upsert) -> Fit:
    """Hold the source's columns against the table's.

    :raises TableError: if a key is missing, or a column has no value
    :raises SchemaDrift: if the source has columns that the table does not have, or computes
    """
    _require(work.keys, found.names, f"{found.table} has no key column", "its columns")
    _refuse_unknown(found, names)
    wanted = {"key": work.keys, "order_by": work.order_by, "update": work.update, "insert": work.insert}
    for what, columns in wanted.items():
        _require(columns or (), names, f"the source supplies no {what} column", "it supplies")
    inserted = list(names) if work.insert is None else list(work.insert)
    if missing := [name for name in found.names if name in found.required and name not in inserted]:
        raise TableError(
            f"new rows of {found.table} would have no value for {', '.join(missing)}, which may not be NULL",
            hint="supply and insert these columns, or give them a default",
        )
    updated = [name for name in names if name not in work.keys] if work.update is None else list(work.update)
    return Fit(found, names, work.keys, inserted, updated)


def _require(wanted: Iterable[str], present: Collection[str], problem: str, label: str) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise TableError(f"{problem} {', '.join(missing)}", hint=did_you_mean(missing[0], present, label=label))


def _refuse_unknown(found: Found, names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in found.names]
    if unknown:
        raise SchemaDrift(
            f"the source has columns that {found.table} does not have: {', '.join(unknown)}\n"
            f"  the source: {', '.join(names)}\n  the table: {', '.join(found.names)}",
            hint=f"{did_you_mean(unknown[0], found.names, label='Columns')}; or add the columns to the table",
        )
    generated = {column.name for column in found.columns if column.generated}
    computed = [name for name in names if name in generated or name in found.always]
    if computed:
        raise SchemaDrift(
            f"{found.table} computes {', '.join(computed)} itself", hint="leave these columns out of the source"
        )


class Choice:
    """Which strategies fit, before a row is staged and after.

    :raises SpecError: if the dialect does not have the one asked for
    """

    def __init__(self, session: ExchangeSession, fitted: Fit, wanted: str) -> None:
        self.session, self.sql, self.fit, self.wanted = session, session.dialect, fitted, wanted
        if wanted not in ("auto", *self.sql.strategies):
            raise SpecError(
                f"strategy {wanted!r} does not exist on {self.sql.name}",
                hint=f'use strategy="auto", or one of: {", ".join(self.sql.strategies)}',
            )
        self.obstacles = {strategy: self._obstacles(strategy) for strategy in self.sql.strategies}
        if wanted != "auto":
            self._refuse(wanted, self.obstacles[wanted])

    def choose(self, patterns: Sequence[frozenset[str]]) -> str:
        """The strategy for rows with NULLs in these sets of keys.

        :raises ExchangeRefused: if the one asked for would lose something, or cannot find such rows
        """
        table = self.fit.found.table
        obstacles = {name: list(lines) for name, lines in self.obstacles.items()}
        if set(patterns) - {NO_NULLS}:
            for name in {"on_conflict", "merge"} & obstacles.keys():
                obstacles[name].append("staged rows have NULL in a key, which equals nothing there")
        if self.wanted != "auto":
            self._refuse(self.wanted, obstacles[self.wanted])
            return self.wanted
        chosen = next(name for name, lines in obstacles.items() if not lines)
        for name, lines in obstacles.items():
            if name == chosen:
                break
            log.info("No %s into %s: %s", name, table, "; ".join(lines))
        log.info("Upserting into %s by %s", table, chosen)
        return chosen

    def _refuse(self, strategy: str, lines: Sequence[str]) -> None:
        if lines:
            raise ExchangeRefused(
                f"strategy={strategy!r} into {self.fit.found.table} is refused",
                losses=lines,
                hint='use strategy="auto", which takes one that fits',
            )

    def _obstacles(self, strategy: str) -> list[str]:
        if strategy == "on_conflict":
            return self._against_on_conflict()
        if strategy == "merge":
            return self._against_merge()
        return self._against_delete() if strategy == "delete_insert" else []

    def _against_on_conflict(self) -> list[str]:
        lines = []
        if frozenset(self.fit.keys) not in self.fit.found.unique:
            lines.append(f"no unique index that it can use is on exactly {', '.join(self.fit.keys)}")
        if only := [name for name in self.fit.update if name not in self.fit.insert]:
            lines.append(f"{', '.join(only)}: updated, but not inserted")
        return lines

    def _against_merge(self) -> list[str]:
        question = self.sql.merges()
        if question and not self.session.query(question)[0][0]:
            return ["this server has no MERGE (Postgres has since 15)"]
        return ["there is no column to update"] if self.sql.merge_must_update and not self.fit.update else []

    def _against_delete(self) -> list[str]:
        oid = self.fit.found.oid
        question = self.sql.side_effects(oid) if oid is not None else None
        return [*self.fit.losses, *(str(row[1]) for row in (self.session.query(question) if question else ()))]
