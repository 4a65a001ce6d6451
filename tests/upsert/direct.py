"""Upserts without an operator: by sessions of the test's own."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseHook

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.fit import Upsert
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.upsert import Outcome, upsert
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Table


class Dying(DbApiSession):
    """A session whose connection breaks at a statement.

    :param at: the number of the statement, from 1; None for never
    :param after: it breaks while the reply is under way
    """

    at: int | None = None
    after = False
    sent = 0

    def _send(self, sql: str) -> Any:
        self.sent += 1
        if self.sent != self.at:
            return super()._send(sql)
        if self.after:
            super()._send(sql)
        self.connection.close()
        raise ConnectionError(f"the connection broke at {sql}")


def session(conn_id: str, kind: type[DbApiSession] = DbApiSession) -> Any:
    """A session on a connection of its own."""
    hook: Any = BaseHook.get_connection(conn_id).get_hook()
    return kind(hook.get_conn(), dialect_for(hook.conn_type), hook)


def run(opened: DbApiSession, sql: str, **arguments: Any) -> Outcome:
    """Upsert the rows of a SELECT into ``t`` by ``id``."""
    work = Upsert(Table("t"), Select(sql), ("id",), **arguments)
    return upsert(opened, Ledger(opened), work, Run())
