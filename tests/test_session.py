"""The session: nothing is begun or committed but what it says, and a killed task stops."""

from __future__ import annotations

import logging
import threading
import time

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.postgres.hooks.postgres import PostgresHook

from airflow_dataquality.checks import check
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.hooks.session import DbApiSession, open_exchange, open_session
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from publishing import left_beside, publish
from support import Warehouse


def counted(warehouse: Warehouse) -> int:
    with warehouse.connect() as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
        assert row is not None
        return int(row[0])


def test_a_statement_outside_a_transaction_is_committed(warehouse: Warehouse) -> None:
    with open_session(PostgresHook("warehouse")) as session:
        session.execute("CREATE TABLE t (a int)")
        session.execute("INSERT INTO t VALUES (1)")
        assert counted(warehouse) == 1


def test_a_transaction_is_rolled_back_on_an_error(warehouse: Warehouse) -> None:
    with open_session(PostgresHook("warehouse")) as session:
        session.execute("CREATE TABLE t (a int)")
        with pytest.raises(psycopg.errors.DivisionByZero), session.transaction():
            session.batch(["INSERT INTO t VALUES (1)", "SELECT 1 / 0"])
        session.execute("INSERT INTO t VALUES (2)")
    assert counted(warehouse) == 1


def test_a_commit_that_is_refused_leaves_no_transaction_open(warehouse: Warehouse) -> None:
    """What comes next must not be part of it, or commit it."""
    with open_session(PostgresHook("warehouse")) as session:
        session.execute("CREATE TABLE t (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        with pytest.raises(psycopg.errors.UniqueViolation), session.transaction():
            session.execute("INSERT INTO t VALUES (1), (1)")
        with session.transaction():
            session.execute("INSERT INTO t VALUES (2)")
    assert counted(warehouse) == 1


def test_a_session_that_is_killed_between_statements_sends_no_other_but_cleans_up(warehouse: Warehouse) -> None:
    with open_session(PostgresHook("warehouse")) as session:
        session.execute("CREATE TABLE t (a int)")
        with pytest.raises(DataQualityError, match="the task was killed"):
            insert_and_be_killed(session)
        session.execute("INSERT INTO t VALUES (2)")
    assert counted(warehouse) == 1


def insert_and_be_killed(session: DbApiSession) -> None:
    with session.transaction():
        session.execute("INSERT INTO t VALUES (1)")
        session.cancel()


@pytest.mark.parametrize("cursor", ["dictcursor", "namedtuplecursor"])
def test_rows_are_sequences_whatever_cursor_the_connection_asks_for(
    cursor: str, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", f"{warehouse.uri}?cursor={cursor}")
    assert publish("t", "SELECT 1 AS a", checks=[check("null_count", "a")])["published"]
    assert publish("t", "SELECT 2 AS a", checks=[check("null_count", "a")])["exchange"] == "swap"


def test_tables_are_published_on_postgres_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LITE", "sqlite:///:memory:")
    from airflow.providers.sqlite.hooks.sqlite import SqliteHook

    with (
        pytest.raises(DataQualityError, match=r"(?s)'sqlite'.*Hint: use DataQualityCheckOperator"),
        open_exchange(SqliteHook("lite")),
    ):
        pass


def test_a_killed_task_ends_at_once_and_leaves_nothing(warehouse: Warehouse) -> None:
    operator = StageCheckExchangeOperator(
        task_id="t", conn_id="warehouse", table="t", sql="SELECT pg_sleep(60)::text AS a"
    )
    threading.Timer(1, operator.on_kill).start()
    started = time.monotonic()
    with pytest.raises(AirflowException, match="the task was killed"):
        operator.execute({})
    assert time.monotonic() - started < 30
    with warehouse.connect() as connection:
        assert left_beside(connection) == []


def test_a_dry_run_says_what_would_be_done_and_connects_to_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StageCheckExchangeOperator, "log", logging.getLogger("dry_run"))
    operator = StageCheckExchangeOperator(
        task_id="t", conn_id="nowhere", table="a.t", sql="SELECT 1 AS a", checks=[check("null_count", "a")]
    )
    with caplog.at_level("INFO"):
        operator.dry_run()
    assert "SELECT 1 AS a" in caplog.text
    assert "Would check null_count(a): = 0 [error]" in caplog.text
    assert 'COUNT(*) - COUNT("a")' in caplog.text


def test_a_session_needs_no_hook(warehouse: Warehouse) -> None:
    from airflow_dataquality.dialects import dialect_for

    with warehouse.connect(autocommit=False) as connection:
        assert DbApiSession(connection, dialect_for("postgres")).query("SELECT 1") == [(1,)]
