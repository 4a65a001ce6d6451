"""A session for SQL that people wrote in a form: it only reads, not for long, and not much."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.session import Row
from airflow_dataquality.hooks.session import DbApiSession

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook


@contextlib.contextmanager
def open_bounded(hook: DbApiHook, *, statement: float, together: float | None = None) -> Iterator[BoundedSession]:
    """Open a connection of the hook, for as long as the block runs.

    :param statement: seconds that a statement may take
    :param together: seconds after which no statement is waited for
    """
    connection = hook.get_conn()
    try:
        yield BoundedSession(connection, hook, statement=statement, together=together)
    finally:
        with contextlib.suppress(Exception):  # the connection may be gone already
            connection.close()


class BoundedSession(DbApiSession):
    """One connection whose every measurement is a transaction that only reads, and ends after a while.

    That holds against SQL that wants out: a transaction that began READ ONLY stays so, whatever is set in it; what is
    set is set again in the next; and there is one statement in a text, of which the grammar of saved tests takes care.

    :param statement: seconds that a statement may take
    :param together: seconds after which no statement is waited for
    """

    def __init__(self, connection: Any, hook: DbApiHook, *, statement: float, together: float | None = None) -> None:
        self._statement = statement
        self._until = None if together is None else time.monotonic() + together
        self._common = dialect_for(hook.conn_type)
        super().__init__(connection, copy.copy(self._common), hook)
        for setting in self._common.reading(statement):
            self.execute(setting)

    @property
    def left(self) -> float:
        """Seconds that a statement may take now."""
        if self._until is None:
            return self._statement
        return min(self._statement, max(self._until - time.monotonic(), 0))

    @property
    def dialect(self) -> Any:
        """How to speak to the database: each measurement is begun with how long it may take."""
        spoken = self._spoken
        spoken.read_setup = (*self._common.read_setup, *self._common.patience(self.left))
        return spoken

    @dialect.setter
    def dialect(self, spoken: Any) -> None:
        self._spoken = spoken

    def fetch(self, sql: str, most: int) -> tuple[list[str], list[Row]]:
        """Run a query that somebody wrote, and return the names of its columns and its first rows."""
        return super().fetch(self._common.at_most(sql, most), most)
