"""Checks before the write, the ledger with it, and what Airflow is told after it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, Asset
from airflow.providers.common.sql.hooks.sql import DbApiHook

from airflow_dataquality.checks import check
from airflow_dataquality.operators.upsert import UpsertOperator
from support import Database, told_to_listeners

Run = Callable[..., Any]

ROWS = [{"id": 1, "a": 5}, {"id": 2, "a": None}]


@pytest.fixture(autouse=True)
def table(database: Database, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int, a int)", "INSERT INTO t VALUES (1, 1)")


@pytest.fixture
def ledger(database: Database, run_sql: Run) -> Callable[[str, str], list[Any]]:
    def read(table: str, columns: str) -> list[Any]:
        place = f"dataquality_{table}" if database.kind == "sqlite" else f"dataquality.{table}"
        return run_sql(f"SELECT {columns} FROM {place}")

    return read


def test_a_check_that_fails_leaves_the_table_alone(upsert: Run, run_sql: Run, ledger: Run) -> None:
    with pytest.raises(AirflowException, match=r"nothing was upserted into .*: 1 of 2 checks block it") as error:
        upsert(rows=ROWS, checks=[check("null_count", "a", equal_to=0), check("row_count", greater_than=0)])
    outcome = error.value.__cause__.outcome  # type: ignore[union-attr]
    assert (outcome["rows_staged"], outcome["inserted"], outcome["strategy"]) == (2, 0, None)
    assert outcome["failed_rules"] == ["null_count(a)"]
    assert run_sql("SELECT * FROM t") == [(1, 1)]
    assert ledger("check_result", "check_name, status") == [("null_count(a)", "fail"), ("row_count", "pass")]
    assert ledger("metric", "metric, value, state") == [
        ("null_count(a)", 1.0, "rejected"),
        ("row_count", 2.0, "rejected"),
    ]
    assert ledger("publication", "mode") == []


def test_what_is_written_is_recorded_with_it(upsert: Run, ledger: Run) -> None:
    outcome = upsert(
        rows=ROWS, checks=[check("null_count", "a", leq_to=1), check("max", "a", less_than=3, severity="warn")]
    )
    assert (outcome["passed"], outcome["warned"], outcome["warned_rules"]) == (1, 1, ["max(a)"])
    assert ledger("publication", "mode, rows, passed, warned, run_uid") == [("upsert", 2, 1, 1, outcome["run_uid"])]
    assert {row[1] for row in ledger("metric", "metric, state")} == {"published"}


def test_rows_that_are_unchanged_are_not_counted_as_published(upsert: Run, ledger: Run) -> None:
    upsert(rows=[{"id": 1, "a": 1}], skip_unchanged=True)
    assert ledger("publication", "rows") == [(0,)]


def test_checks_see_the_rows_that_are_to_be_written(upsert: Run) -> None:
    rows = [{"id": 1, "a": 1}, {"id": 1, "a": 2}, {"id": None, "a": 3}]
    outcome = upsert(
        rows=rows, on_duplicate_keys="keep_last", order_by="a", on_null_keys="drop",
        checks=[check("row_count", equal_to=1), check("min", "a", equal_to=2), check("lost_keys", "id", equal_to=0)],
    )  # fmt: skip
    assert outcome["passed"] == 3


def test_checks_that_the_database_cannot_read_stop_before_the_rows_are_asked_for(
    database: Database, upsert: Run
) -> None:
    def never() -> Any:
        raise AssertionError("nobody asks for rows")
        yield

    with pytest.raises(AirflowException, match="the database cannot run these checks; nothing was loaded"):
        upsert(
            rows=never, columns=["id", "a"], checks=[check("row_count", greater_than=0, partition_clause="nope > 1")]
        )
    with pytest.raises(AirflowException, match="no column 'b'"):
        upsert(rows=never, columns=["id", "a"], checks=[check("null_count", "b")])


def test_fail_on_never_writes_all_the_same(upsert: Run) -> None:
    outcome = upsert(rows=ROWS, checks=[check("null_count", "a", equal_to=0)], fail_on="never")
    assert (outcome["failed"], outcome["updated"]) == (1, 1)


@told_to_listeners
def test_listeners_and_consumers_are_told(database: Database) -> None:
    asset = Asset("t")
    operator = UpsertOperator(
        task_id="u", conn_id=database.conn_id, table="t", keys=["id"], rows=ROWS, outlets=[asset],
        checks=[check("null_count", "a", equal_to=1)],
    )  # fmt: skip
    events: Any = {asset: SimpleNamespace(extra={})}
    outcome = operator.execute({"outlet_events": events, "task": operator, "ds": "2024-01-01"})
    extra = events[asset].extra["airflow.dataquality.result"]
    assert (extra["table"], extra["passed"], extra["run_uid"]) == (outcome["table"], 1, outcome["run_uid"])
    assert [(result.name, result.success) for result in operator.check_results] == [("null_count(a)", True)]


def test_no_retry_where_none_is_wanted(upsert: Run) -> None:
    with pytest.raises(AirflowFailException):
        upsert(rows=[{"id": None, "a": 1}], retry_on_failure=False)


def test_nothing_is_left_behind(database: Database, upsert: Run, run_sql: Run) -> None:
    upsert(rows=ROWS)
    question = {
        "postgres": "SELECT relname FROM pg_class WHERE relname LIKE '%dq%stage%' OR relname LIKE '%dq%kept%'",
        "redshift": "SELECT relname FROM pg_class WHERE relname LIKE '%dq%stage%' OR relname LIKE '%dq%kept%'",
        "sqlite": "SELECT name FROM sqlite_master WHERE name LIKE '%dq%stage%'",
    }
    assert run_sql(question[database.kind]) == []


def test_explain_logs_the_plans(database: Database, upsert: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        upsert(sql="SELECT 1 AS id, 2 AS a", explain=True)
    plans = [record.getMessage() for record in caplog.records if record.name.endswith("engine.explain")]
    assert "SELECT 1 AS id, 2 AS a" in plans[0]
    assert len(plans) > 1
    assert not [plan for plan in plans if plan.startswith("No plan of")]


def test_a_dry_run_connects_to_nothing(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(UpsertOperator, "log", logging.getLogger("dry_run"))
    operator = UpsertOperator(
        task_id="u",
        conn_id="nowhere",
        table="a.t",
        keys=["id"],
        sql="SELECT 1 AS id",
        checks=[check("row_count", geq_to=1)],
    )
    with caplog.at_level("INFO"):
        operator.dry_run()
    assert "Would upsert into a.t by id, strategy=auto, of\nSELECT 1 AS id" in caplog.text
    assert "Would check row_count" in caplog.text
    assert "On sqlite by on_conflict it would run\nBEGIN;" in caplog.text


class OtherHook(DbApiHook):
    """A hook to a database of which nothing is known."""

    conn_type = "other"
    conn_name_attr = "other_conn_id"
    other_conn_id = "other"


class OnOther(UpsertOperator):
    """The operator on such a database."""

    def get_db_hook(self) -> DbApiHook:
        return OtherHook()


def test_another_kind_of_database_is_refused() -> None:
    operator = OnOther(task_id="u", conn_id="nowhere", table="t", keys=["id"], sql="SELECT 1 AS id")
    with pytest.raises(AirflowException, match="'other'; rows are upserted on Postgres, Redshift and SQLite"):
        operator.execute({})
