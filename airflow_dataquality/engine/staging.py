"""Staging tables: made, filled, owned, found again, dropped.

A table that the package makes beside the user's carries a mark, its comment, that says what it is and whose. A
live owner holds an advisory lock for as long as its session lasts, so "orphaned" is a fact and not a guess.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_dataquality.dialects.postgres_staging import MARK
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.source import Source
from airflow_dataquality.errors import TableError
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.plans.features import Features
from airflow_dataquality.plans.names import beside

log = logging.getLogger(__name__)

MADE_HINT = "a load makes a staging table first: look at the rights, the space and the types that this needs"
STAGE, REJECTED, PREVIOUS, BACKFILL = "stage", "rejected", "previous", "backfill"
TTL = timedelta(days=7)


@dataclass(frozen=True)
class Mark:
    """What a table beside the user's is.

    :param role: ``stage`` (in use), ``rejected`` (kept to look at), ``previous`` (kept to go back to) or ``backfill``
        (chunks that gather, to be gone on with)
    :param table: the user's table
    :param partition: the partition as the ledger writes it
    :param at: when it took the role, ISO 8601 in UTC
    :param owner: the session that owns it, where that is not a lock's to know
    :param met: hashes of the checks that the rows in it have met, with blanks between
    """

    role: str
    table: str
    partition: str
    run_uid: str
    at: str
    owner: str = ""
    met: str = ""

    @classmethod
    def of(cls, role: str, partition: Partition, run: Run) -> Mark:
        return cls(role, str(partition.table), partition.json, run.run_uid, datetime.now(UTC).isoformat())

    @property
    def comment(self) -> str:
        known = {name: value for name, value in asdict(self).items() if value}
        return f"{MARK} {json.dumps(known, ensure_ascii=False)}}}"

    @classmethod
    def read(cls, comment: str) -> Mark | None:
        """The mark in a comment; None if someone edited it."""
        try:
            return cls(**json.loads(comment)["airflow_dataquality"])
        except (ValueError, TypeError, KeyError):
            return None

    @property
    def age(self) -> timedelta:
        return datetime.now(UTC) - datetime.fromisoformat(self.at)


@dataclass
class Stage:
    """A staging table of this run.

    :param table: its name
    :param owner: the session that owns it, as its mark says
    :param default_grants: what ALTER DEFAULT PRIVILEGES gave to others on it, undone since
    :param rows: rows in it
    :param fill_id: the transaction that filled it
    :param filled_at: the server's time after that
    :param strangers: transactions that were open then and may hold an older snapshot
    """

    table: Table
    owner: str = ""
    default_grants: Sequence[dict[str, Any]] = ()
    rows: int = 0
    fill_id: str = ""
    filled_at: str = ""
    strangers: Sequence[str] = ()


def oid_of(session: ExchangeSession, table: Table) -> int | None:
    """The table's oid; None if there is no such table."""
    rows = session.query(session.dialect.oid(table))
    return None if not rows or rows[0][0] is None else int(rows[0][0])


def features_of(session: ExchangeSession, oid: int, *kinds: str) -> Features:
    """What the catalog says of the table now: everything, or at least the features of these kinds."""
    questions = session.dialect.features(oid)
    asked = [question for question in questions if not kinds or question.kind is None or question.kind in kinds]
    return Features.read(row for question in asked for row in question.rows(session.query(question.sql)))


def name_beside(session: ExchangeSession, table: Table, role: str, run: Run, number: int = 0) -> Table:
    """A name beside the table's that no other run takes."""
    return beside(table, role, f"{run.run_uid}{role}{number or ''}", session.dialect.max_name_bytes)


def create(session: ExchangeSession, stage: Table, statements: Sequence[str], mark: Mark) -> Stage:
    """Make a marked, owned, private table.

    :param statements: what makes it
    :raises TableError: with the database's words, if it cannot be made
    """
    sql = session.dialect
    owner = str(session.query(sql.own(stage))[0][0] or "")
    try:
        with session.transaction():
            for statement in statements:
                session.execute(statement)
            session.execute(sql.mark(stage, replace(mark, owner=owner).comment))
            grants = _make_private(session, stage)
    except Exception as error:
        raise database_error("the staging table cannot be made", error, hint=MADE_HINT) from error
    return Stage(stage, owner=owner, default_grants=grants)


def adopt(session: ExchangeSession, stage: Table, mark: Mark) -> Stage:
    """Own a table of ours that nobody alive owns."""
    owner = str(session.query(session.dialect.own(stage))[0][0] or "")
    if owner:
        session.execute(session.dialect.mark(stage, replace(mark, owner=owner).comment))
    return Stage(stage, owner=owner)


def _make_private(session: ExchangeSession, table: Table) -> list[dict[str, Any]]:
    """Undo default privileges: what was not checked is nobody's to see."""
    oid = oid_of(session, table)
    assert oid is not None
    features = features_of(session, oid, "relation", "grant")
    owner = features.relation["owner"]
    grants = [grant for grant in features.of("grant").values() if grant["grantee"] != owner]
    for grant in grants:
        session.execute(session.dialect.revoke(table, grant))
    return grants


def fill(session: ExchangeSession, stage: Stage, columns: Sequence[str], source: Source) -> None:
    """Store the source's rows in the stage, all or none.

    :raises TableError: with the database's words
    """
    sql = session.dialect
    for last in (False, False, True):
        try:
            with session.transaction():
                stage.rows = source.fill(session, stage.table, columns)
                stage.fill_id = _fill_id(session)
            break
        except TableError as error:
            known = said(error.__cause__ or error)
            if last or not source.repeatable or not sql.moved_on(known.sqlstate, str(known)):
                raise
    stage.filled_at = str(session.query(sql.clock())[0][0])
    strangers = sql.strangers()
    stage.strangers = [str(row[0]) for row in session.query(strangers)] if strangers else ()
    session.execute(sql.analyze(stage.table))


def _fill_id(session: ExchangeSession) -> str:
    question = session.dialect.fill_id()
    return str(session.query(question)[0][0]) if question else ""


def drop(session: ExchangeSession, table: Table) -> bool:
    """Drop a table of ours, unless someone reads it now, or it is another role's: then a later run will.

    Housekeeping must not fail a load, nor wait for a reader.
    """
    try:
        with session.transaction():
            session.execute(session.dialect.lock_timeout(1.0))
            session.execute(session.dialect.drop_if_exists(table))
    except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
        log.warning("%s could not be dropped, a later run will try again: %s", table, said(error))
        return False
    return True


def discard(session: ExchangeSession, table: Table) -> None:
    """Drop a stage of this run and give up owning it, whatever state the session is in."""
    drop(session, table)
    with contextlib.suppress(Exception):  # a broken session owns nothing any more
        _disown(session, table)


def _disown(session: ExchangeSession, table: Table) -> None:
    if statement := session.dialect.disown(table):
        session.query(statement)


def marked(session: ExchangeSession, schema: str | None = None) -> Iterator[tuple[Table, Mark]]:
    """The tables of ours in a schema, or in all."""
    for schema_name, name, comment in session.query(session.dialect.marked(schema)):
        mark = Mark.read(comment)
        if mark is not None and "__dq_" in name:
            yield Table(name, schema_name), mark


def sweep(session: ExchangeSession, schema: str | None, *, ttl: timedelta = TTL, dry_run: bool = False) -> list[Table]:
    """Drop staging tables that nobody alive owns, and rejected rows and unfinished backfills older than ``ttl``.

    Previous versions stay: they are kept on purpose, until newer ones take their place.

    :returns: the tables dropped, or to be dropped
    """
    swept = []
    for table, mark in marked(session, schema):
        abandoned = mark.role == STAGE or (mark.role in (REJECTED, BACKFILL) and mark.age >= ttl)
        if not abandoned or not session.query(session.dialect.try_own(table, mark.owner))[0][0]:
            continue
        try:
            if dry_run or drop(session, table):
                swept.append(table)
        finally:
            _disown(session, table)
    return swept


def keep_rejected(session: ExchangeSession, stage: Stage, partition: Partition, run: Run) -> None:
    """Keep the stage for inspection, in place of the partition's last rejected one."""
    session.execute(session.dialect.mark(stage.table, Mark.of(REJECTED, partition, run).comment))
    drop_kept(session, partition, REJECTED, keep=(stage.table,))


def drop_kept(session: ExchangeSession, partition: Partition, role: str, *, keep: Sequence[Table] = ()) -> None:
    """Drop the partition's tables of a role, but these."""
    for table, mark in marked(session, partition.table.schema):
        ours = mark.role == role and (mark.table, mark.partition) == (str(partition.table), partition.json)
        if ours and table not in keep:
            drop(session, table)


def previous_versions(session: ExchangeSession, partition: Partition) -> list[Table]:
    """The partition's previous versions, newest first."""
    found = [
        (mark.at, table)
        for table, mark in marked(session, partition.table.schema)
        if mark.role == PREVIOUS and (mark.table, mark.partition) == (str(partition.table), partition.json)
    ]
    return [table for _, table in sorted(found, key=lambda item: item[0], reverse=True)]
