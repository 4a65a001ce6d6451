"""Publish blocked rows anyway, or discard them: once, in one transaction, and never over newer rows unseen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.checks import check
from airflow_dataquality.engine import blocked, decide, staging
from airflow_dataquality.engine.blocked import Rejection
from airflow_dataquality.engine.decide import Decision
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.errors import DataQualityError, DecisionRefused
from airflow_dataquality.hooks.connections import connected
from publishing import left_beside, publish
from support import Database, Warehouse, on

ON_BOTH = [pytest.mark.live, on("postgres", "redshift")]
DAY = {"day": "2024-01-01"}
NEW = "SELECT CAST('2024-01-01' AS DATE) AS day, 7 AS id UNION ALL SELECT CAST('2024-01-01' AS DATE), NULL"
BETTER = "SELECT CAST('2024-01-01' AS DATE) AS day, 9 AS id"
FAILING = [check("null_count", "id", equal_to=0), check("max", "id", leq_to=9), check("mean", "id", leq_to=1)]
WHY = Decision("ada", "the guest has no number: see ticket 12")


@pytest.fixture
def orders(database: Database) -> Database:
    """A database with two days of ``shop.orders``."""
    database.session.execute("CREATE SCHEMA shop")
    database.session.execute("CREATE TABLE shop.orders (day DATE, id INT)")
    database.session.execute("INSERT INTO shop.orders VALUES ('2024-01-01', 1), ('2024-01-02', 2)")
    return database


def reject(conn_id: str, sql: str = NEW, checks: Any = FAILING, **arguments: Any) -> Rejection:
    """Have rows rejected."""
    with pytest.raises(AirflowException) as failed:
        publish("shop.orders", sql, conn_id=conn_id, checks=checks, **{"partition": DAY, **arguments})
    uid = failed.value.__cause__.outcome["run_uid"]  # type: ignore[union-attr]
    with connected(conn_id) as session:
        (rejection,) = blocked.rejections(Ledger(session), uid)
    return rejection


def decided(database: Database, rejection: Rejection) -> list[tuple[Any, ...]]:
    found = blocked.decisions(Ledger(database.session), rejection)
    return [(one["verdict"], one["author"], one["note"]) for one in found]


def held(database: Database) -> list[tuple[str, Any]]:
    found = database.session.query("SELECT day, id FROM shop.orders ORDER BY day, id")
    return [(str(day), number) for day, number in found]


def publications(database: Database, columns: str = "run_uid") -> list[tuple[Any, ...]]:
    """Of the ledger, the first first."""
    name = database.session.dialect.table(Ledger(database.session).table("publication"))
    return [tuple(row) for row in database.session.query(f"SELECT {columns} FROM {name} ORDER BY published_at")]


def by_hand(conn_id: str, rejection: Rejection, decision: Decision = WHY) -> Any:
    """Publish anyway, in a session of its own."""
    with connected(conn_id, publishing=True) as session:
        return decide.publish_anyway(session, Ledger(session), rejection, decision)


def drop(conn_id: str, rejection: Rejection, decision: Decision = WHY) -> None:
    with connected(conn_id, publishing=True) as session:
        decide.discard(session, Ledger(session), rejection, decision)


OLD_ROWS = [("2024-01-01", 1), ("2024-01-02", 2)]
NEW_ROWS = [("2024-01-01", 7), ("2024-01-01", None), ("2024-01-02", 2)]


class TestOnBoth:
    """What holds on Postgres and on Redshift."""

    pytestmark = ON_BOTH

    def test_published_anyway(self, orders: Database) -> None:
        rejection = reject(orders.conn_id)
        outcome = by_hand(orders.conn_id, rejection)
        assert held(orders) == NEW_ROWS
        assert decided(orders, rejection) == [("published", "ada", WHY.note)]
        (row,) = publications(orders, "run_uid, mode, rows, passed, failed, score")
        assert row == (outcome.run.run_uid, "overwrite", 2, 1, 2, pytest.approx(1 / 3, abs=1e-3))
        assert outcome.run.run_uid != rejection.row["run_uid"]
        assert blocked.kept(orders.session, rejection) is None
        with pytest.raises(DecisionRefused, match="ada has published these rows already"):
            by_hand(orders.conn_id, rejection)

    def test_what_was_measured_becomes_history(self, orders: Database) -> None:
        rejection = reject(orders.conn_id)
        outcome = by_hand(orders.conn_id, rejection)
        metric = orders.session.dialect.table(Ledger(orders.session).table("metric"))
        found = orders.session.query(
            f"SELECT metric, value FROM {metric} WHERE state = 'published' AND run_uid = '{outcome.run.run_uid}'"
        )
        assert sorted(map(tuple, found)) == [("max(id)", 7), ("mean(id)", 7), ("null_count(id)", 1), ("row_count", 2)]

    @pytest.mark.parametrize("note", ["", " \n"])
    def test_a_reason_is_needed(self, orders: Database, note: str) -> None:
        rejection = reject(orders.conn_id)
        with pytest.raises(DecisionRefused, match="no reason"):
            by_hand(orders.conn_id, rejection, Decision("ada", note))
        assert held(orders) == OLD_ROWS

    def test_newer_rows_are_replaced_only_if_they_were_seen(self, orders: Database) -> None:
        rejection = reject(orders.conn_id, keep_staging=True)
        (kept,) = [t for t, m in staging.marked(orders.session) if m.role == staging.REJECTED]
        orders.session.execute(f"CREATE TABLE shop.saved AS SELECT * FROM {orders.session.dialect.table(kept)}")
        publish("shop.orders", BETTER, conn_id=orders.conn_id, partition=DAY)  # drops the kept rows
        with pytest.raises(DecisionRefused, match=r"newer rows of shop\.orders/day=2024-01-01 were published"):
            by_hand(orders.conn_id, rejection)
        with pytest.raises(DecisionRefused, match="not kept any more"):
            by_hand(orders.conn_id, rejection, replace(WHY, over=publications(orders)[-1][0]))
        # As if the publication could not drop them, for example because somebody read them.
        orders.session.execute(f'ALTER TABLE shop.saved RENAME TO "{kept.name}"')
        mark = staging.Mark.of(staging.REJECTED, rejection.partition, rejection.run)
        orders.session.execute(orders.session.dialect.mark(kept, mark.comment))
        with pytest.raises(DecisionRefused, match="newer rows"):
            by_hand(orders.conn_id, rejection, replace(WHY, over="another"))
        assert ("2024-01-01", 9) in held(orders)
        by_hand(orders.conn_id, rejection, replace(WHY, over=publications(orders)[-1][0]))
        assert held(orders) == NEW_ROWS

    def test_other_partitions_are_not_newer_and_the_whole_table_is(self, orders: Database) -> None:
        rejection = reject(orders.conn_id)
        other = "SELECT CAST('2024-01-02' AS DATE) AS day, 3 AS id"
        publish("shop.orders", other, conn_id=orders.conn_id, partition={"day": "2024-01-02"})
        assert not blocked.newer(Ledger(orders.session), rejection)
        publish("shop.orders", BETTER, conn_id=orders.conn_id)
        assert len(blocked.newer(Ledger(orders.session), rejection)) == 1

    def test_rows_of_other_partitions_are_never_published(self, orders: Database) -> None:
        rejection = reject(orders.conn_id, NEW + " UNION ALL SELECT CAST('2024-01-09' AS DATE), 1", [])
        with pytest.raises(DecisionRefused, match=r"not of shop\.orders/day=2024-01-01"):
            by_hand(orders.conn_id, rejection)
        assert held(orders) == OLD_ROWS

    def test_discarded(self, orders: Database) -> None:
        rejection = reject(orders.conn_id)
        drop(orders.conn_id, rejection, Decision("ada", " wrong file "))
        assert decided(orders, rejection) == [("discarded", "ada", "wrong file")]
        assert blocked.kept(orders.session, rejection) is None
        assert held(orders) == OLD_ROWS
        assert not publications(orders)
        for again in (by_hand, drop):
            with pytest.raises(DecisionRefused, match="ada has discarded these rows already"):
                again(orders.conn_id, rejection)

    def test_what_is_not_kept_can_be_discarded_but_not_published(self, orders: Database) -> None:
        rejection = reject(orders.conn_id, keep_staging=False)
        with pytest.raises(DecisionRefused, match="not kept any more"):
            by_hand(orders.conn_id, rejection)
        drop(orders.conn_id, rejection, Decision("ada", ""))
        assert decided(orders, rejection) == [("discarded", "ada", None)]

    def test_a_later_rejection_replaces_the_kept_rows(self, orders: Database) -> None:
        first, second = reject(orders.conn_id), reject(orders.conn_id)
        assert blocked.kept(orders.session, first) is None
        with pytest.raises(DecisionRefused, match="not kept any more"):
            by_hand(orders.conn_id, first)
        by_hand(orders.conn_id, second)

    def test_what_a_backfill_gathers_is_decided_on_as_a_whole(self, orders: Database) -> None:
        rejection = reject(orders.conn_id)
        kept = blocked.kept(orders.session, rejection)
        assert kept is not None
        gathering = replace(kept.mark, role=staging.BACKFILL)
        orders.session.execute(orders.session.dialect.mark(kept.table, gathering.comment))
        for action in (by_hand, drop):
            with pytest.raises(DecisionRefused, match="a backfill's"):
                action(orders.conn_id, rejection)

    def test_a_table_that_did_not_exist(self, orders: Database) -> None:
        orders.session.execute("DROP TABLE shop.orders")
        rejection = reject(orders.conn_id)
        assert by_hand(orders.conn_id, rejection).mode == "create"
        assert held(orders) == NEW_ROWS[:2]

    def test_a_whole_table_with_a_previous_version(self, orders: Database) -> None:
        publish("shop.orders", BETTER, conn_id=orders.conn_id, keep_previous=1)
        rejection = reject(orders.conn_id, partition=None)
        by_hand(orders.conn_id, rejection)
        assert held(orders) == NEW_ROWS[:2]
        assert len(staging.previous_versions(orders.session, rejection.partition)) == 1

    def test_reasons_are_values(self, orders: Database) -> None:
        rejection = reject(orders.conn_id)
        note = "'); DROP TABLE shop.orders; -- \\' <script>alert(1)</script> ünïcødé"
        by_hand(orders.conn_id, rejection, Decision("o'brien\\", note))
        assert decided(orders, rejection) == [("published", "o'brien\\", note)]
        assert held(orders) == NEW_ROWS

    @pytest.mark.parametrize("actions", [(by_hand, by_hand, by_hand), (by_hand, drop, by_hand), (drop, drop)])
    def test_of_several_at_once_one_decides(self, orders: Database, actions: tuple[Callable[..., Any], ...]) -> None:
        for _ in range(2 if orders.kind == "postgres" else 1):
            before = len(publications(orders)) if orders.session.columns(Ledger(orders.session).table("metric")) else 0
            rejection = reject(orders.conn_id)
            failed = at_once([(action, orders.conn_id, rejection) for action in actions])
            (verdict,) = decided(orders, rejection)
            assert len(publications(orders)) - before == (verdict[0] == "published")
            assert len(failed) == len(actions) - 1
            assert all(isinstance(error, DataQualityError) for error in failed), failed
            assert blocked.kept(orders.session, rejection) is None


def at_once(calls: list[tuple[Callable[..., Any], Any, Any]]) -> list[BaseException]:
    """Run all of them from one moment on; what they raised."""
    ready = threading.Barrier(len(calls))
    raised: list[BaseException] = []

    def run(action: Callable[..., Any], *arguments: Any) -> None:
        ready.wait()
        try:
            action(*arguments)
        except Exception as error:  # noqa: BLE001 - it is what is asked for
            raised.append(error)

    threads = [threading.Thread(target=run, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised


@pytest.fixture
def shop(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute("CREATE TABLE shop.orders (day DATE, id INT)")
        connection.execute("INSERT INTO shop.orders VALUES ('2024-01-01', 1), ('2024-01-02', 2)")
        yield connection


@contextmanager
def waiting(shop: psycopg.Connection[Any], rejection: Rejection) -> Iterator[tuple[int, list[BaseException]]]:
    """A publication by hand that waits in its transaction, as somebody writes to the table; and its backend."""
    raised: list[BaseException] = []

    def run() -> None:
        raised.extend(at_once([(by_hand, "warehouse", rejection)]))

    with psycopg.connect(shop.info.dsn, password=shop.info.password, autocommit=False) as writer:
        writer.execute("LOCK TABLE shop.orders IN SHARE ROW EXCLUSIVE MODE")
        thread = threading.Thread(target=run)
        thread.start()
        query = (
            "SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid "
            "WHERE NOT l.granted AND l.relation = 'shop.orders'::regclass"
        )
        deadline = time.monotonic() + 30
        while not (found := shop.execute(query).fetchone()):
            assert time.monotonic() < deadline
            assert thread.is_alive(), raised
            time.sleep(0.005)
        yield found[0], raised
        writer.rollback()
        thread.join(60)


def test_killed_halfway_nothing_has_happened_and_it_can_be_done_again(shop: psycopg.Connection[Any]) -> None:
    rejection = reject("warehouse")
    with waiting(shop, rejection) as (pid, raised):
        shop.execute("SELECT pg_terminate_backend(%s)", [pid])
    assert len(raised) == 1
    assert shop.execute("SELECT id FROM shop.orders ORDER BY id").fetchall() == [(1,), (2,)]
    assert shop.execute("SELECT count(*) FROM dataquality.verdict").fetchone() == (0,)
    assert shop.execute("SELECT count(*) FROM dataquality.publication").fetchone() == (0,)
    by_hand("warehouse", rejection)
    assert shop.execute("SELECT id FROM shop.orders ORDER BY id").fetchall() == [(2,), (7,), (None,)]
    assert left_beside(shop) == []


def test_while_one_publishes_nobody_else_decides(shop: psycopg.Connection[Any]) -> None:
    rejection = reject("warehouse")
    with waiting(shop, rejection) as (_, raised):
        for action in (by_hand, drop):
            with pytest.raises(DecisionRefused, match="somebody decides on these rows right now"):
                action("warehouse", rejection)
    assert raised == []
    assert shop.execute("SELECT count(*) FROM dataquality.publication").fetchone() == (1,)


def test_newer_rows_that_arrive_while_it_waits_are_not_replaced(shop: psycopg.Connection[Any]) -> None:
    rejection = reject("warehouse")
    with waiting(shop, rejection) as (_, raised):
        columns = "run_uid, table_schema, table_name, partition, mode, rows, published_at"
        values = "'later', 'shop', 'orders', '{\"day\": \"2024-01-01\"}', 'overwrite', 1, clock_timestamp()"
        shop.execute(f"INSERT INTO dataquality.publication ({columns}) VALUES ({values})")
    (error,) = raised
    assert "newer rows" in str(error)
    assert shop.execute("SELECT id FROM shop.orders ORDER BY id").fetchall() == [(1,), (2,)]
    assert shop.execute("SELECT count(*) FROM dataquality.verdict").fetchone() == (0,)


def test_rows_that_somebody_reads_are_not_discarded(shop: psycopg.Connection[Any], warehouse: Warehouse) -> None:
    rejection = reject("warehouse")
    (kept,) = left_beside(shop)
    with warehouse.connect(autocommit=False) as reader:
        reader.execute(f"SELECT * FROM {kept}")
        with pytest.raises(DecisionRefused, match="somebody reads or publishes these rows now"):
            drop("warehouse", rejection)
    assert left_beside(shop) == [kept]
    assert shop.execute("SELECT count(*) FROM dataquality.verdict").fetchone() == (0,)
    drop("warehouse", rejection)


def test_rows_older_than_what_is_swept_can_be_published(shop: psycopg.Connection[Any]) -> None:
    """The sweep of a publication must not take the rows that it is about to publish."""
    rejection = reject("warehouse")
    (kept,) = left_beside(shop)
    with connected("warehouse", publishing=True) as session:
        ((table, mark),) = staging.marked(session)
        old = replace(mark, at=(datetime.now(UTC) - timedelta(days=30)).isoformat())
        session.execute(session.dialect.mark(table, old.comment))
    by_hand("warehouse", rejection)
    assert kept not in left_beside(shop)
    assert shop.execute("SELECT count(*) FROM shop.orders").fetchone() == (3,)


def test_nobody_sweeps_rows_that_are_being_published(shop: psycopg.Connection[Any]) -> None:
    rejection = reject("warehouse")
    with waiting(shop, rejection) as (_, raised), connected("warehouse", publishing=True) as session:
        assert staging.sweep(session, None, ttl=timedelta(0)) == []
    assert raised == []


def test_a_table_that_has_lost_a_column_is_an_error_and_nothing_is_changed(shop: psycopg.Connection[Any]) -> None:
    rejection = reject("warehouse")
    shop.execute("ALTER TABLE shop.orders ADD COLUMN more int")
    with pytest.raises(DataQualityError, match="missing from the SELECT: more"):
        by_hand("warehouse", rejection)
    assert shop.execute("SELECT count(*) FROM dataquality.verdict").fetchone() == (0,)
    assert len(left_beside(shop)) == 1
