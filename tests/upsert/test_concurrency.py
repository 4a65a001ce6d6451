"""Two upserts at once end as one after the other, in one of the two orders."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from upsert import direct

from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.operators.upsert import UpsertOperator
from support import Database, Warehouse

Run = Callable[..., Any]

NUMBERS = "(SELECT 0 AS n {})".format(" ".join(f"UNION ALL SELECT {n}" for n in range(1, 40)))
FIRST = f"SELECT n AS id, 1 AS a FROM {NUMBERS} AS d WHERE n < 30"
SECOND = f"SELECT n AS id, 2 AS a FROM {NUMBERS} AS d WHERE n >= 10"


@pytest.mark.parametrize("strategy", ["auto", "update_insert", "delete_insert"])
def test_two_upserts_end_as_one_of_the_two_orders(strategy: str, database: Database, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int, a int)")
    direct.run(database.session, "SELECT id, a FROM t")  # which makes the ledger
    start = threading.Barrier(2)

    def load(sql: str) -> Any:
        opened = direct.session(database.conn_id)
        try:
            start.wait()
            return direct.run(opened, sql, strategy=strategy).counts
        finally:
            opened.connection.close()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(3):
            run_sql("DELETE FROM t")
            first, second = pool.map(load, [FIRST, SECOND])
            rows = dict(run_sql("SELECT id, a FROM t"))
            assert run_sql("SELECT COUNT(*) FROM t") == [(40,)]
            assert {rows[n] for n in range(10)} == {1}
            assert {rows[n] for n in range(30, 40)} == {2}
            winner = {rows[n] for n in range(10, 30)}
            counts = (first.inserted, first.updated, second.inserted, second.updated)
            assert (winner, counts) in (({2}, (30, 0, 10, 20)), ({1}, (10, 20, 30, 0)))


def test_a_lock_that_is_not_had_is_asked_for_again(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection, warehouse.connect(autocommit=False) as other:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")
        other.execute("LOCK TABLE t IN ROW EXCLUSIVE MODE")
        operator = UpsertOperator(
            task_id="u", conn_id="warehouse", table="t", keys=["id"], rows=[{"id": 1, "a": 1}], exchange_timeout="3s"
        )
        with pytest.raises(AirflowException, match=r"t could not be locked in 3 s \(.* tries; a lock was not free\)"):
            operator.execute({})
        threading.Timer(0.5, other.rollback).start()
        assert operator.execute({})["inserted"] == 1


def test_readers_are_not_kept_waiting(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection, warehouse.connect(autocommit=False) as reader:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1)")
        reader.execute("SELECT * FROM t FOR SHARE")
        operator = UpsertOperator(
            task_id="u", conn_id="warehouse", table="t", keys=["id"], rows=[{"id": 2, "a": 1}], exchange_timeout="3s"
        )
        assert operator.execute({})["inserted"] == 1


def test_a_row_that_is_locked_is_waited_for_and_the_whole_is_done_again(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection, warehouse.connect(autocommit=False) as other:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1)")
        other.execute("SELECT * FROM t WHERE id = 1 FOR UPDATE")
        opened = direct.session("warehouse")
        threading.Timer(1.0, other.rollback).start()
        settings = Settings(exchange_timeout=30)
        outcome = direct.run(opened, "SELECT 1 AS id, 2 AS a UNION ALL SELECT 2, 2", settings=settings)
        assert (outcome.counts.inserted, outcome.counts.updated) == (1, 1)
        opened.connection.close()


def test_a_table_that_is_altered_meanwhile_is_said(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")

        def rows() -> Any:
            connection.execute("ALTER TABLE t ADD COLUMN b int")
            yield [{"id": 1, "a": 1}]

        operator = UpsertOperator(
            task_id="u", conn_id="warehouse", table="t", keys=["id"], rows=rows, columns=["id", "a"]
        )
        with pytest.raises(
            AirflowException, match=r"t was altered while its rows were staged\nHint: run the task again"
        ):
            operator.execute({})
        assert operator_again(connection) == 1


def operator_again(connection: Any) -> int:
    operator = UpsertOperator(task_id="u", conn_id="warehouse", table="t", keys=["id"], rows=[{"id": 1, "a": 1}])
    return int(operator.execute({})["inserted"])
