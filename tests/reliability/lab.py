"""The laboratory of the reliability tests: a small table of orders, and processes that publish it and read it."""

from __future__ import annotations

import gc
import json
import os
import select as polling
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

Rows = list[tuple[Any, ...]]

FOREVER = 60.0
"""Seconds after which something hangs."""

COLUMNS = "id bigint NOT NULL, day date NOT NULL, amount int CONSTRAINT positive CHECK (amount > 0)"
KEY = "CONSTRAINT orders_key PRIMARY KEY"
OPTIONS = "autovacuum_enabled = off"  # it would lock readers out for a moment, when it gives pages back
PLAIN = (
    f"CREATE TABLE lab.orders ({COLUMNS}, number int GENERATED ALWAYS AS IDENTITY, {KEY} (id)) WITH ({OPTIONS})",
    "CREATE INDEX orders_by_day ON lab.orders (day DESC)",
    "COMMENT ON TABLE lab.orders IS 'Orders'",
)
PARTITIONED = (
    f"CREATE TABLE lab.orders ({COLUMNS}, {KEY} (id, day)) PARTITION BY RANGE (day)",
    "CREATE INDEX orders_by_day ON lab.orders (day DESC)",
    "CREATE TABLE lab.first PARTITION OF lab.orders FOR VALUES FROM ('2024-01-01') TO ('2024-01-02')",
    "CREATE TABLE lab.second PARTITION OF lab.orders FOR VALUES FROM ('2024-01-02') TO ('2024-01-03')",
    "COMMENT ON TABLE lab.second IS 'Orders of the second day'",
)
REFERENCED = (
    *PLAIN,
    "CREATE TABLE lab.items (order_id bigint REFERENCES lab.orders)",
)


def select(first: int, last: int, amount: int, day: int | None = None) -> str:
    """Orders of two days by turns, or those of one day."""
    which = "1 + g % 2" if day is None else str(day)
    return (
        f"SELECT 10 * g + {which} AS id, make_date(2024, 1, {which}) AS day, {amount} AS amount"
        f" FROM generate_series({first}, {last}) AS g"
    )


def reset(connection: psycopg.Connection[Any], statements: Sequence[str], *, ledger: bool = True) -> None:
    """An empty laboratory, and an empty ledger or none."""
    connection.execute("DROP SCHEMA IF EXISTS lab CASCADE; CREATE SCHEMA lab")
    for statement in statements:
        connection.execute(statement)
    if not ledger:
        connection.execute("DROP SCHEMA IF EXISTS dataquality CASCADE")
    elif value(connection, "SELECT to_regclass('dataquality.publication')"):
        connection.execute("TRUNCATE dataquality.publication, dataquality.check_result, dataquality.metric")


def operator(sql: str, *, table: str = "lab.orders", **arguments: Any) -> StageCheckExchangeOperator:
    return StageCheckExchangeOperator(task_id="publish", conn_id="warehouse", table=table, sql=sql, **arguments)


def value(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return row[0]


def orders(connection: psycopg.Connection[Any]) -> Rows | None:
    """What a reader sees; None if there is no table."""
    if value(connection, "SELECT to_regclass('lab.orders')") is None:
        return None
    return connection.execute("SELECT id, day, amount FROM lab.orders ORDER BY id, day").fetchall()


def definitions(connection: psycopg.Connection[Any]) -> Rows:
    """Names and definitions of the user's tables, indexes, constraints and sequences, and the tables' comments."""
    return connection.execute(r"""
        SELECT c.relname, c.relkind, pg_get_indexdef(x.indexrelid), k.conname, pg_get_constraintdef(k.oid),
               pg_get_expr(c.relpartbound, c.oid), obj_description(c.oid, 'pg_class')
        FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid
        LEFT JOIN pg_constraint k ON c.oid IN (k.conrelid, k.conindid)
        WHERE c.relnamespace = 'lab'::regnamespace AND c.relname NOT LIKE '%\_\_dq\_%'
        ORDER BY 1, 2, 4, 5""").fetchall()


def beside(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """The tables that the package left beside the user's, and what each says it is."""
    rows = connection.execute(r"""
        SELECT c.relname, obj_description(c.oid, 'pg_class') FROM pg_class c
        WHERE c.relnamespace = 'lab'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname LIKE '%\_\_dq\_%'""")
    return {
        name: json.loads(comment or "{}").get("airflow_dataquality", {}).get("role", "nothing")
        for name, comment in rows
    }


def publications(connection: psycopg.Connection[Any]) -> int:
    if value(connection, "SELECT to_regclass('dataquality.publication')") is None:
        return 0
    return int(value(connection, "SELECT count(*) FROM dataquality.publication"))


def advisory_locks(connection: psycopg.Connection[Any]) -> int:
    return int(
        value(
            connection,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
    )


def await_true(condition: Callable[[], Any], what: str, *, seconds: float = FOREVER) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.001)


def await_alone(connection: psycopg.Connection[Any]) -> None:
    """Wait until this connection is the only one to its database: a killed client's backend may work on."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    await_true(lambda: value(connection, others) == 0, "the backends of others are gone")


class Process:
    """A forked child. It answers with JSON, if it lives to."""

    def __init__(self, body: Callable[[], Any]) -> None:
        self._answer, answer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            self._live(body, answer)
        os.close(answer)

    @staticmethod
    def _live(body: Callable[[], Any], answer: int) -> None:
        gc.freeze()  # or the collector would touch, and so copy, all that is shared with the parent
        try:
            said = {"answer": body()}
        except BaseException:  # noqa: BLE001 - the parent tells
            said = {"error": traceback.format_exc()}
        with os.fdopen(answer, "w") as pipe:
            json.dump(said, pipe)
        os._exit(0)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def join(self) -> Any:
        """What the child answered; None if it was killed.

        :raises AssertionError: with the child's traceback
        """
        with os.fdopen(self._answer) as pipe:
            text = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            assert os.WTERMSIG(status) == signal.SIGKILL
            return None
        said = json.loads(text)
        assert "error" not in said, said["error"]
        return said["answer"]


def published_by(*operators: StageCheckExchangeOperator) -> list[Any]:
    """Run operators, each in a process of its own, all at once."""
    processes = [Process(partial(each.execute, {})) for each in operators]
    return [process.join() for process in processes]


@contextmanager
def background(*bodies: Callable[[Callable[[], bool]], Any]) -> Iterator[list[Any]]:
    """Run bodies, each in a process of its own, until the block ends; the list then holds their answers.

    :param bodies: take a function that says whether to stop
    """
    stopped, stop = os.pipe()
    answers: list[Any] = []

    def stops() -> bool:
        return bool(polling.select([stopped], [], [], 0)[0])

    def live(body: Callable[[Callable[[], bool]], Any]) -> Any:
        os.close(stop)
        return body(stops)

    processes = [Process(partial(live, body)) for body in bodies]
    try:
        yield answers
    finally:
        os.close(stop)
        answers += [process.join() for process in processes]
        os.close(stopped)
