"""What a table gets that does not exist yet: types that its source does not tell, a primary key, indexes, comments."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.source import Select, Source, suppliable
from airflow_dataquality.engine.staging import features_of, oid_of
from airflow_dataquality.errors import SpecError, TableError
from airflow_dataquality.model import Column, Table
from airflow_dataquality.plans.features import Features
from airflow_dataquality.plans.names import shorten

log = logging.getLogger(__name__)

_TYPE = re.compile(r"[^\W\d][\w ]*(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?[\w ]*(?:\[\])*")
_EXISTS = ("42P07", "23505", "42710")
"""SQLSTATEs of a table that another made at the same time."""


@dataclass(frozen=True)
class NewTable:
    """What a table gets when it is created. One that exists stays as it is: what it lacks is told in the log, with DDL.

    :param types: column → type, where rows come from files or from Python, which tell no types
    :param primary_key: columns; Redshift has none for a table that is made of a SELECT
    :param indexes: the columns of each; Redshift has none
    :param comment: of the table
    :param comments: column → comment
    :raises SpecError: for a type that is none
    """

    types: Mapping[str, str] = field(default_factory=dict)
    primary_key: Sequence[str] = ()
    indexes: Sequence[Sequence[str]] = ()
    comment: str | None = None
    comments: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind in self.types.items():
            if not isinstance(kind, str) or not _TYPE.fullmatch(kind.strip()):
                hint = "write it as in CREATE TABLE: integer, numeric(10, 2), timestamp with time zone, text[]"
                raise SpecError(f"the type of {name} is {kind!r}", hint=hint)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns whose types are known."""
        return tuple(Column(name, kind) for name, kind in self.types.items())

    def indexed(self, table: Table, limit: int) -> list[tuple[str, Sequence[str], bool]]:
        """Of each index its name, its columns, and whether it is the primary key, which comes first.

        >>> NewTable(primary_key=["id"], indexes=[["carrier", "ds"]]).indexed(Table("flights"), 63)
        [('flights_pkey', ['id'], True), ('flights_carrier_ds_idx', ['carrier', 'ds'], False)]
        """
        made = [(shorten(table.name, "_pkey", limit), self.primary_key, True)] if self.primary_key else []
        for index in self.indexes:
            suffix = shorten(f"_{'_'.join(index)}", "_idx", limit // 2)
            made.append((shorten(table.name, suffix, limit), index, False))
        return made

    def on_stage(self, stage: Table, limit: int) -> list[tuple[str, Sequence[str], bool]]:
        """The same, with names that no other stage takes."""
        made = self.indexed(stage, limit)
        return [(f"index__dq_{stage.name[-12:]}_{n}", columns, key) for n, (_, columns, key) in enumerate(made)]

    def creation(self, sql: Postgres, stage: Table, names: Sequence[str]) -> list[str]:
        """What makes an empty table of the known types.

        :raises TableError: for a column without one
        """
        if missing := [name for name in names if name not in self.types]:
            raise TableError(
                f"{stage}: nothing tells the type of {', '.join(missing)}",
                hint=f"write it: columns: {{{missing[0]}: {{type: text}}}}; or create the table first",
            )
        return sql.create_typed(stage, {name: self.types[name] for name in names})


def tell_lacks(session: ExchangeSession, table: Table, new: NewTable, features: Features | None = None) -> None:
    """Warn of what is declared and not made, with the DDL that would make it.

    :param features: of the table; they are read if they are not given and something is declared
    """
    sql = session.dialect
    if new.indexes and not sql.table_indexes:
        listed = "; ".join(", ".join(index) for index in new.indexes)
        log.warning("%s gets no index on %s: %s has none", table, listed, sql.name.capitalize())
    if not (new.primary_key or new.indexes or new.comments or new.comment):
        return
    if features is None and (oid := oid_of(session, table)) is not None:
        features = features_of(session, oid)
    if features is not None and (statements := lacks(sql, table, new, features)):
        log.warning("%s exists, and stays as it is; what is declared and it does not have is made by\n%s", table,
                    ";\n".join(statements))  # fmt: skip


def lacks(sql: Postgres, table: Table, new: NewTable, features: Features) -> list[str]:
    """The DDL that makes what is declared and an existing table does not have: its key, indexes, comments."""
    found = [
        index["definition"].partition("(")[2].replace('"', "")
        for index in features.of("index").values()
        if ") WHERE " not in index["definition"]
    ]
    keyed = {constraint["definition"].replace('"', "") for constraint in features.of("constraint").values()}
    indexes = [
        (name, columns, key)
        for name, columns, key in new.indexed(table, sql.max_name_bytes)
        if (f"PRIMARY KEY ({', '.join(columns)})" not in keyed)
        and (key or not any(re.match(rf"{re.escape(', '.join(columns))}[,)]", each) for each in found))
    ]
    known = features.columns
    comments = {
        name: comment
        for name, comment in new.comments.items()
        if name in known and known[name].get("comment") != comment
    }
    statements = sql.dress_new(table, indexes=indexes, comments=comments)
    if new.comment is not None and features.relation["comment"] != new.comment:
        statements.append(sql.mark(table, new.comment))
    return statements


def create_empty(session: ExchangeSession, table: Table, source: Source, new: NewTable) -> bool:
    """Create a table without rows, unless it exists; whether it did not.

    :raises TableError: with the database's words, if it cannot be made
    """
    if oid_of(session, table) is not None:
        tell_lacks(session, table, new)
        return False
    sql = session.dialect
    names = source.names(session, new.columns)
    made = [sql.create_stage_as(table, source.sql)] if isinstance(source, Select) else new.creation(sql, table, names)
    indexes = new.indexed(table, sql.max_name_bytes)
    try:
        with session.transaction():
            for statement in [*made, *sql.dress_new(table, indexes=indexes, comments=new.comments)]:
                session.execute(statement)
            if new.comment is not None:
                session.execute(sql.mark(table, new.comment))
    except Exception as error:
        with contextlib.suppress(Exception):
            if said(error).sqlstate in _EXISTS and oid_of(session, table) is not None:
                return False
        raise database_error(f"{table} cannot be created", error, hint="look at its types and its keys") from error
    tell_lacks(session, table, new)
    log.info("Created %s with %s", table, ", ".join(names or suppliable(session.columns(table))))
    return True
