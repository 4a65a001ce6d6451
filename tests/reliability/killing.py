"""Processes that kill themselves at one of their statements.

A process that was killed after the reply to one statement cannot be told from one that was killed before it sent the
next. So the moments are: before a statement is sent; and, if it commits something, while its reply is under way.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.postgres.hooks import postgres as hooks
from reliability.lab import Process

counts_statements = pytest.mark.skipif(
    not getattr(hooks, "USE_PSYCOPG3", False),
    reason="it counts what psycopg 3 sends, which Airflow's hook uses since 3.1, with SQLAlchemy 2",
)
PUBLICATION = re.compile(r'INSERT INTO "?dataquality"?\."?publication"?')
_READS = ("SELECT", "WITH", "EXECUTE", "EXPLAIN", "PREPARE", "SET", "BEGIN")


@dataclass(frozen=True)
class Death:
    """How a process ended.

    :param sent: the statements that it sent, the last of them perhaps not
    """

    moment: str
    sent: list[str]
    survived: bool

    @property
    def last(self) -> str:
        return self.sent[-1]

    @property
    def committed(self) -> bool | None:
        """Whether it committed the exchange; None if only the server can know."""
        recorded = next((n for n, sql in enumerate(self.sent) if PUBLICATION.match(sql)), None)
        if recorded is None or "COMMIT" not in self.sent[recorded:]:
            return False
        commit = self.sent.index("COMMIT", recorded)
        if commit < len(self.sent) - 1:
            return True
        return None if self.moment == "sent" else False


def points(statements: list[str]) -> list[tuple[int, str]]:
    """Where to kill. A reply that does not arrive matters only if something is committed by then."""
    found, inside = [], False
    for number, sql in enumerate(statements, 1):
        found.append((number, "before"))
        if (not inside and not sql.strip().startswith(_READS)) or sql == "COMMIT":
            found.append((number, "sent"))
        inside = sql.startswith("BEGIN") or (inside and sql not in ("COMMIT", "ROLLBACK"))
    return found


def die(operator: Any, number: int, moment: str, diary: Path) -> Death:
    """Run the operator in a process that kills itself at its statement of this number."""
    diary.write_text("")
    process = Process(lambda: _live_until(operator, number, moment, diary))
    survived = process.join() is not None
    return Death(moment, diary.read_text().split("\0")[:-1], survived)


def _live_until(operator: Any, number: int, moment: str, diary: Path) -> str:
    execute = psycopg.Cursor.execute
    journal = os.open(diary, os.O_WRONLY | os.O_APPEND)
    counter = itertools.count(1)  # which threads may share

    def counting(cursor: Any, query: str, *arguments: Any, **options: Any) -> Any:
        os.write(journal, f"{query}\0".encode())
        if next(counter) == number:
            if moment == "sent":
                cursor.connection.pgconn.send_query(query.encode())
                cursor.connection.pgconn.flush()
            _perish()
        return execute(cursor, query, *arguments, **options)

    psycopg.Cursor.execute = counting  # type: ignore[method-assign,assignment]
    with contextlib.suppress(AirflowException):  # as a rejected load ends
        operator.execute({})
    return "survived"


def _perish() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def shape(sql: str) -> str:
    """A statement without the values and names in it that differ from run to run."""
    return re.sub(r"E?'(?:[^']|'')*'|[0-9a-f]{12}|\b\d+\b", "?", sql)
