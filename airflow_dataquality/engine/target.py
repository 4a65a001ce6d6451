"""The table that is published into, as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.staging import features_of, oid_of
from airflow_dataquality.errors import ExchangeError, ExchangeRefused
from airflow_dataquality.model import Table
from airflow_dataquality.plans.features import Features

_KINDS = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "c": "type", "i": "index"}


@dataclass(frozen=True)
class Target:
    """The table as it is now. The rest is None if it does not exist.

    :param kind: the catalog's letter for it
    :param features: what hangs on it, if that was asked for
    """

    table: Table
    oid: int | None = None
    kind: str | None = None
    features: Features | None = None

    @property
    def partitioned(self) -> bool:
        return self.kind == "p"


class Changed(ExchangeError):
    """The table is not what the plan was made for: look again."""


def locate(session: ExchangeSession, table: Table, *, features: bool = True) -> Target:
    """Find the table, and read everything on it.

    :param features: read what hangs on it
    :raises ExchangeRefused: if rows cannot be published into what has that name
    """
    for last in (False, False, False, False, True):
        try:
            return _locate(session, table, features=features)
        except Exception as error:
            known = said(error)
            moved_on = isinstance(error, Changed) or session.dialect.moved_on(known.sqlstate, str(known))
            if last or not moved_on:
                raise
    raise AssertionError("the last attempt returns or raises")


def _locate(session: ExchangeSession, table: Table, *, features: bool) -> Target:
    if oid_of(session, table) is None:
        return Target(_qualified(session, table))
    # Without a lock, a table that is exchanged at this moment may have no row in the snapshot, or its old name.
    rows = session.query(session.dialect.describe(table))
    kind = rows[0][3] if rows else "r"
    if kind not in ("r", "p"):
        raise ExchangeRefused(
            f"{table} is a {_KINDS.get(kind, 'relation')}, not a table",
            hint="publish into a table, and have it read that",
        )
    with as_it_is(session, table):
        described = session.query(session.dialect.describe(table))
        if not described:
            raise Changed("it was dropped, or renamed")
        oid, schema, name, kind = described[0][:4]
        found = features_of(session, int(oid)) if features else None
        return Target(Table(name, schema), int(oid), kind, found)


@contextmanager
def as_it_is(session: ExchangeSession, table: Table) -> Iterator[None]:
    """A transaction in which the table stays as it is."""
    with session.transaction():
        if lock := session.dialect.lock_reading(table):
            session.execute(lock)
        yield


def _qualified(session: ExchangeSession, table: Table) -> Table:
    question = session.dialect.place(table)
    if question is None:
        return table
    schema, name = session.query(question)[0]
    if schema is None:
        raise ExchangeRefused(f"{table}: no schema in the search path exists", hint="write schema.table")
    return Table(name, schema)


def rights_missing(session: ExchangeSession, features: Features) -> list[str]:
    """As whom this connection would have to act to make such a table and its grants, and may not."""
    owner = features.relation["owner"]
    grantors = {grant.get("grantor", owner) for grant in features.of("grant").values()} - {owner}
    lines = (
        []
        if all(session.query(session.dialect.may_be(owner))[0])
        else [f"owner {owner}: this role may not act as it (GRANT {owner} TO ... WITH SET TRUE)"]
    )
    strangers = [role for role in sorted(grantors) if not session.query(session.dialect.may_be(role))[0][0]]
    return lines + [f"grants by {role}: this role may not act as it" for role in strangers]
