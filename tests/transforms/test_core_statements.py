"""Scripts of SQL: one transaction, whatever happens in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.errors import ChecksFailed, DataQualityError, SpecError, TableError
from airflow_dataquality.transforms.running import context_of
from airflow_dataquality.transforms.tasks import SqlScriptOperator
from support import Database, Warehouse, on

STATEMENTS = (
    "DELETE FROM mart.totals WHERE ds = '2013-01-01'",
    "CREATE TABLE mart.side AS SELECT 1 AS n",
    "INSERT INTO mart.totals (ds, n) SELECT ds, n FROM mart.facts WHERE ds = '2013-01-01'",
    "UPDATE mart.totals SET n = n + 1 WHERE ds = '2013-01-01'",
)
OLD = [("2013-01-01", "7"), ("2013-01-02", "8")]
NEW = [("2013-01-01", "2"), ("2013-01-01", "3"), ("2013-01-02", "8")]


def run(database: Database, sql: str, **arguments: Any) -> dict[str, Any]:
    """Run a script as a worker does."""
    given = {"table": "mart.totals", "partition": {"ds": "2013-01-01"}, **arguments}
    operator: Any = SqlScriptOperator(task_id="t", conn_id=database.conn_id, sql=sql, **given)
    try:
        outcome: dict[str, Any] = operator.execute(context_of("2013-01-01"))
    except AirflowException as error:
        raise error.__cause__ or error from None
    return outcome


def totals(database: Database) -> list[tuple[str, ...]]:
    return sorted(tuple(map(str, row)) for row in database.session.query("SELECT ds, n FROM mart.totals"))


@pytest.fixture
def mart(database: Database) -> Database:
    for statement in (
        "CREATE SCHEMA mart",
        "CREATE TABLE mart.totals (ds date, n integer)",
        "CREATE TABLE mart.facts (ds date, n integer)",
        "INSERT INTO mart.totals VALUES ('2013-01-01', 7), ('2013-01-02', 8)",
        "INSERT INTO mart.facts VALUES ('2013-01-01', 1), ('2013-01-01', 2)",
    ):
        database.session.execute(statement)
    return database


@on("postgres", "redshift")
def test_each_statement_is_counted_and_the_publication_recorded(mart: Database) -> None:
    outcome = run(mart, ";\n".join(STATEMENTS) + " -- done; or not\n;")
    assert [outcome["statements"][number] for number in (0, 2, 3)] == [1, 2, 2]
    assert (outcome["rows"], totals(mart)) == (2, NEW)
    published = mart.session.query("SELECT table_name, mode, rows FROM dataquality.publication")
    assert [tuple(row) for row in published] == [("totals", "sql", 2)]
    assert mart.session.query("SELECT DISTINCT state FROM dataquality.metric")[0][0] == "published"


@on("postgres", "redshift")
@pytest.mark.parametrize("at", range(len(STATEMENTS) + 1))
def test_a_failure_anywhere_leaves_nothing(mart: Database, at: int) -> None:
    broken = [*STATEMENTS[:at], "SELECT 1 / (n - n) FROM mart.facts", *STATEMENTS[at:]]
    with pytest.raises(TableError, match=rf"statement {at + 1} of 5 .*failed(?s:.*)nothing has changed"):
        run(mart, ";".join(broken))
    assert totals(mart) == OLD
    assert run(mart, ";".join(STATEMENTS))["rows"] == 2  # nor is anything in the way of the retry
    assert totals(mart) == NEW


@on("postgres")
@pytest.mark.parametrize("at", range(len(STATEMENTS) + 1))
def test_a_lost_connection_anywhere_leaves_nothing(mart: Database, at: int) -> None:
    broken = [*STATEMENTS[:at], "SELECT pg_terminate_backend(pg_backend_pid())", *STATEMENTS[at:]]
    with pytest.raises(DataQualityError, match=rf"statement {at + 1} of 5"):
        run(mart, ";".join(broken))
    assert totals(mart) == OLD
    assert run(mart, ";".join(STATEMENTS))["rows"] == 2


@on("postgres")
def test_a_task_that_is_killed_leaves_nothing(mart: Database, warehouse: Warehouse) -> None:
    operator: Any = SqlScriptOperator(
        task_id="t", conn_id="warehouse", table="mart.totals", sql=f"{STATEMENTS[0]}; SELECT pg_sleep(600)"
    )
    failed: list[BaseException] = []

    def execute() -> None:
        try:
            operator.execute(context_of("2013-01-01"))
        except BaseException as error:  # noqa: BLE001 - what it is, is looked at
            failed.append(error)

    thread = threading.Thread(target=execute)
    thread.start()
    with warehouse.connect() as db:
        while not db.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active' "
                             "AND pid <> pg_backend_pid()").fetchall():  # fmt: skip
            assert thread.is_alive()
        operator.on_kill()
    thread.join(60)
    assert "killed" in str(failed[0])
    assert totals(mart) == OLD


@on("postgres", "redshift")
def test_failed_checks_roll_all_of_it_back_and_are_recorded(mart: Database) -> None:
    checks = [{"name": "few", "check": "row_count", "condition": {"leq_to": 1}}]
    with pytest.raises(ChecksFailed, match="few") as failure:
        run(mart, ";".join(STATEMENTS), checks=checks)
    assert failure.value.outcome["statements"][2:] == [2, 2]
    assert totals(mart) == OLD
    recorded = mart.session.query("SELECT status FROM dataquality.check_result WHERE check_name = 'few'")
    assert [tuple(row) for row in recorded] == [("fail",)]
    assert mart.session.query("SELECT * FROM dataquality.publication") == []
    assert run(mart, ";".join(STATEMENTS), checks=checks, fail_on="never")["rows"] == 2


@on("postgres", "redshift")
def test_an_empty_partition_is_not_published_unless_that_is_allowed(mart: Database) -> None:
    with pytest.raises(ChecksFailed, match="not_empty"):
        run(mart, STATEMENTS[0])
    assert totals(mart) == OLD
    assert run(mart, STATEMENTS[0], allow_empty=True)["rows"] == 0


@on("postgres", "redshift")
def test_a_check_whose_query_fails_writes_nothing(mart: Database) -> None:
    checks = [{"name": "broken", "check": "custom_sql", "sql": "SELECT nothing FROM {table}",
               "condition": {"equal_to": 0}}]  # fmt: skip
    with pytest.raises(DataQualityError, match="nothing"):
        run(mart, ";".join(STATEMENTS), checks=checks, fail_on="never")
    assert totals(mart) == OLD


REFUSED = {
    "COMMIT": ("postgres", "redshift"),
    "begin work": ("postgres", "redshift"),
    "/* all */ ROLLBACK": ("postgres", "redshift"),
    "END": ("postgres", "redshift"),
    "START TRANSACTION": ("postgres",),
    "VACUUM mart.totals": ("postgres", "redshift"),
    "CREATE DATABASE other": ("postgres", "redshift"),
    "CREATE INDEX CONCURRENTLY i ON mart.totals (n)": ("postgres",),
    "REINDEX TABLE CONCURRENTLY mart.totals": ("postgres",),
    "ALTER SYSTEM SET work_mem = '1GB'": ("postgres",),
    "COPY mart.totals FROM STDIN": ("postgres",),
    "TRUNCATE mart.totals": ("redshift",),
    "ALTER TABLE mart.totals APPEND FROM mart.facts": ("redshift",),
    "CREATE EXTERNAL TABLE lake.x (a int) STORED AS PARQUET LOCATION 's3://lake/x/'": ("redshift",),
    "CALL mart.refresh()": ("redshift",),
}


@on("postgres", "redshift")
def test_what_ends_a_transaction_or_cannot_be_in_one_is_refused_before_anything_runs(mart: Database) -> None:
    refused = [statement for statement, kinds in REFUSED.items() if mart.kind in kinds]
    assert len(refused) > 8
    for statement in refused:
        with pytest.raises(SpecError, match=r"among the statements \(statement 2 of 3\)"):
            run(mart, f"{STATEMENTS[0]}; {statement}; {STATEMENTS[1]}")
    assert totals(mart) == OLD
    assert mart.session.query("SELECT 1 FROM pg_tables WHERE schemaname = 'dataquality'") == []


@on("postgres")
def test_words_that_only_look_like_it_are_let_through(mart: Database) -> None:
    sql = """
        INSERT INTO mart.totals SELECT ds, n FROM mart.facts WHERE 'COMMIT; VACUUM' <> 'x'; -- ROLLBACK;
        TRUNCATE mart.side; /* BEGIN; */ UPDATE mart.totals SET n = n WHERE '%s' LIKE '%';
        DO $$ BEGIN DELETE FROM mart.facts; END $$
    """
    mart.session.execute("CREATE TABLE mart.side (append integer)")
    assert run(mart, sql)["statements"] == [2, None, 4, None]


@on("postgres")
def test_runs_of_one_partition_wait_for_each_other(mart: Database, warehouse: Warehouse) -> None:
    sql = f"{STATEMENTS[0]}; SELECT pg_sleep(0.2); {STATEMENTS[2]}"
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda _: run(mart, sql), range(3)))
    assert [outcome["rows"] for outcome in outcomes] == [2, 2, 2]
    assert totals(mart) == [("2013-01-01", "1"), ("2013-01-01", "2"), ("2013-01-02", "8")]


@on("postgres")
def test_other_partitions_do_not_wait(mart: Database, warehouse: Warehouse) -> None:
    with warehouse.connect(autocommit=False) as other:
        session = Database(_session(other), "warehouse").session
        with session.transaction():
            for lock in session.dialect.decision_locks(_partition("2013-01-02")):
                session.execute(lock)
            assert run(mart, ";".join(STATEMENTS))["rows"] == 2


def _session(connection: psycopg.Connection[Any]) -> Any:
    from airflow_dataquality.dialects import dialect_for
    from airflow_dataquality.hooks.session import DbApiSession

    return DbApiSession(connection, dialect_for("postgres"))


def _partition(day: str) -> Any:
    from airflow_dataquality.model import Partition, Table

    return Partition.of(Table.parse("mart.totals"), {"ds": day})


@on("redshift")
@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
def test_runs_of_one_partition_on_redshift_end_as_one_after_the_other(
    mart: Database, redshift: Any, isolation: str
) -> None:  # fmt: skip
    redshift.double.isolation = isolation
    sql = ";".join((STATEMENTS[0], STATEMENTS[2]))
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(lambda _: run(mart, sql), range(3)))
    assert [outcome["rows"] for outcome in outcomes] == [2, 2, 2]
    assert totals(mart) == [("2013-01-01", "1"), ("2013-01-01", "2"), ("2013-01-02", "8")]


@on("postgres")
def test_a_deadlock_runs_all_of_it_again(mart: Database, warehouse: Warehouse) -> None:
    """Two scripts that take the same tables in another order, of different partitions."""
    first = "LOCK TABLE mart.facts; SELECT pg_sleep(0.3); LOCK TABLE mart.totals; UPDATE mart.totals SET n = n + 1"
    second = "LOCK TABLE mart.totals; SELECT pg_sleep(0.3); LOCK TABLE mart.facts; UPDATE mart.totals SET n = n + 1"
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(run, mart, first)
        two = pool.submit(run, mart, second, partition={"ds": "2013-01-02"})
        assert [one.result()["rows"], two.result()["rows"]] == [1, 1]
    assert [n for _, n in totals(mart)] == ["9", "10"]


@on("postgres", "redshift")
def test_a_script_may_make_its_table_itself(mart: Database) -> None:
    sql = "DROP TABLE IF EXISTS mart.fresh; CREATE TABLE mart.fresh AS SELECT ds, n FROM mart.facts"
    for _ in range(2):
        assert run(mart, sql, table="mart.fresh")["rows"] == 2
    with pytest.raises(TableError, match=r"do not make mart\.stale"):
        run(mart, sql, table="mart.stale")


@on("postgres", "redshift")
def test_a_script_without_a_table_is_one_transaction_too(mart: Database) -> None:
    with pytest.raises(TableError, match="statement 2 of 2"):
        run(mart, f"{STATEMENTS[0]}; SELECT nothing", table=None, partition=None)
    assert totals(mart) == OLD
    outcome = run(mart, STATEMENTS[0], table=None, partition=None)
    assert (outcome["rows"], outcome["statements"], outcome["table"]) == (None, [1], None)


def test_what_can_never_work_is_refused_when_the_dag_is_parsed() -> None:
    makes: Callable[..., Any] = SqlScriptOperator
    for arguments, says in (
        ({"sql": "DELETE FROM a.t; COMMIT"}, "COMMIT among"),
        ({"sql": "-- nothing"}, "no statement"),
        ({"sql": "SELECT 'x"}, "quote opens"),
        ({"sql": "SELECT 1", "checks": [{"check": "row_count", "condition": {"equal_to": 1}}]}, "without a table"),
        ({"sql": "SELECT 1", "exchange_timeout": "soon"}, "exchange_timeout"),
        ({"sql": "SELECT 1", "table": "a.t", "partition": {"ds": object()}}, "plain value"),
    ):
        with pytest.raises(DataQualityError, match=says):
            makes(task_id="t", conn_id="warehouse", **arguments)
