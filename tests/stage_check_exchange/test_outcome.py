"""What a publication returns and records, and what it rejects."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_dataquality import maintenance
from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from fingerprint import fingerprint
from publishing import left_beside, publish, rows
from support import Warehouse, told_to_listeners

Connection = psycopg.Connection[Any]

NEW = "SELECT '2013-02-01' AS ds, i AS id, 'new' AS name FROM generate_series(1, 4) AS i"
DAY = {"ds": "2013-02-01"}
NO_NULLS = check("null_count", "name", equal_to=0)
FEW = check("row_count", less_than=3)
SMALL = check("mean", "id", leq_to=2, severity="warn")


def ledger(db: Connection, table: str, columns: str) -> list[tuple[Any, ...]]:
    return rows(db, f"dataquality.{table}", columns)


def test_returns_what_became_of_it(db: Connection) -> None:
    outcome = publish("w.t", NEW, partition={"ds": "2013-2-1"}, checks=[NO_NULLS, SMALL, check("min", "id", geq_to=0)])
    assert json.loads(json.dumps(outcome)) == outcome
    assert re.fullmatch("[0-9a-f]{32}", outcome.pop("run_uid"))
    assert outcome == {
        "table": "w.t",
        "partition": {"ds": "2013-02-01"},
        "rows": 4,
        "exchange": "overwrite",
        "published": True,
        "score": 0.9167,
        "passed": 2,
        "warned": 1,
        "failed": 0,
        "errored": 0,
        "skipped": 0,
        "failed_rules": [],
        "warned_rules": ["mean(id)"],
    }
    assert ledger(db, "publication", "table_schema, table_name, partition, mode, rows, passed, warned, failed") == [
        ("w", "t", '{"ds": "2013-02-01"}', "overwrite", 4, 2, 1, 0)
    ]
    assert rows(db, "w.t", "ds::text, id, name")[:5] == [
        *(("2013-02-01", number, "new") for number in (1, 2, 3, 4)), ("2013-02-02", 1, "old"),
    ]  # fmt: skip


def test_without_checks_all_is_well(db: Connection) -> None:
    outcome = publish("w.t", NEW)
    assert (outcome["score"], outcome["passed"], outcome["exchange"]) == (1.0, 0, "swap")
    assert ledger(db, "check_result", "1") == []


def test_a_failing_check_leaves_production_alone(db: Connection) -> None:
    before, old = fingerprint(db, "w.t"), rows(db, "w.t", "xmin, ctid, *")
    with pytest.raises(AirflowException) as failure:
        publish("w.t", NEW, partition=DAY, checks=[NO_NULLS, FEW, SMALL])
    assert (fingerprint(db, "w.t"), rows(db, "w.t", "xmin, ctid, *")) == (before, old)
    assert type(failure.value) is not AirflowFailException

    (kept,) = left_beside(db)
    assert len(rows(db, kept)) == 4
    assert str(failure.value) == (
        "w.t/ds=2013-02-01 was not published: 1 of 3 checks block it, production is unchanged\n"
        "  - row_count [error]: row_count is 4, expected < 3\n"
        f"Hint: look at the rejected rows in {kept}"
    )
    columns = "check_name, status, value, value_text, interval, severity, partition"
    assert ledger(db, "check_result", columns) == [
        ("mean(id)", "warn", 2.5, "2.5", "<= 2", "warn", '{"ds": "2013-02-01"}'),
        ("null_count(name)", "pass", 0.0, "0", "= 0", "error", '{"ds": "2013-02-01"}'),
        ("row_count", "fail", 4.0, "4", "< 3", "error", '{"ds": "2013-02-01"}'),
    ]
    assert ledger(db, "metric", "metric, value, state") == [
        ("mean(id)", 2.5, "rejected"), ("null_count(name)", 0.0, "rejected"), ("row_count", 4.0, "rejected"),
    ]  # fmt: skip
    assert ledger(db, "publication", "1") == []


@told_to_listeners
def test_check_results_are_there_for_listeners(db: Connection) -> None:
    operator = StageCheckExchangeOperator(
        task_id="t", conn_id="warehouse", table="w.t", sql=NEW, checks=[NO_NULLS, FEW]
    )
    with pytest.raises(AirflowException):
        operator.execute({})
    assert [(r.name, r.success, r.actual) for r in operator.check_results] == [
        ("null_count(name)", True, "0"), ("row_count", False, "4"),
    ]  # fmt: skip


def test_fails_for_good_if_a_retry_would_be_no_use(db: Connection) -> None:
    with pytest.raises(AirflowFailException, match="row_count is 4, expected < 3"):
        publish("w.t", NEW, checks=[FEW], retry_on_failure=False)
    with pytest.raises(AirflowFailException, match="not in the table"):
        publish("w.t", "SELECT 1 AS x", retry_on_failure=False)


def test_what_was_kept_goes_with_the_next_rejection_and_the_next_success(db: Connection) -> None:
    def reject(day: str) -> str:
        known = set(left_beside(db))
        with pytest.raises(AirflowException):
            publish("w.t", NEW.replace("2013-02-01", day), partition={"ds": day}, checks=[FEW])
        (new,) = set(left_beside(db)) - known
        return new

    first, other = reject("2013-02-01"), reject("2013-02-02")
    second = reject("2013-02-01")
    assert sorted([second, other]) == left_beside(db)
    assert first != second
    publish("w.t", NEW, partition=DAY)
    assert left_beside(db) == [other]


def test_nothing_is_kept_if_not_wanted(db: Connection) -> None:
    with pytest.raises(AirflowException, match="keep_staging=True keeps the rows"):
        publish("w.t", NEW, checks=[FEW], keep_staging=False)
    assert left_beside(db) == []


def test_rejected_rows_are_swept_after_their_time(db: Connection) -> None:
    with pytest.raises(AirflowException):
        publish("w.t", NEW, checks=[FEW])
    (kept,) = left_beside(db)
    assert maintenance.sweep("warehouse") == []
    assert maintenance.sweep("warehouse", ttl=timedelta(0), dry_run=True) == [kept]
    assert maintenance.sweep("warehouse", ttl=timedelta(0), schema="public") == []
    assert left_beside(db) == [kept]
    publish("w.other", NEW, staging_ttl="1h")
    assert left_beside(db) == [kept]
    publish("w.other", NEW, staging_ttl=0)
    assert left_beside(db) == []


def test_an_empty_select_is_rejected(db: Connection) -> None:
    old = rows(db, "w.t")
    nothing = f"{NEW} WHERE false"
    with pytest.raises(AirflowException, match=r"not_empty .error.: row_count is 0, expected > 0"):
        publish("w.t", nothing, fail_on="never")
    assert rows(db, "w.t") == old
    assert ledger(db, "check_result", "check_name, status, value") == [("not_empty", "fail", 0.0)]
    outcome = publish("w.t", nothing, allow_empty=True)
    assert (outcome["rows"], outcome["passed"], outcome["failed"]) == (0, 0, 0)
    assert rows(db, "w.t") == []


@pytest.mark.parametrize(
    ("fail_on", "warns", "fails"), [("error", True, False), ("warn", False, False), ("never", True, True)]
)
def test_fail_on(db: Connection, fail_on: str, warns: bool, fails: bool) -> None:
    """Whether a check that warns, and one that fails, let the rows through."""
    for number, (checks, published) in enumerate([([SMALL], warns), ([FEW], fails)]):
        if published:
            outcome = publish(f"w.n{number}", NEW, checks=checks, fail_on=fail_on)
            assert outcome["warned"] + outcome["failed"] == 1
        else:
            with pytest.raises(AirflowException, match="was not published"):
                publish(f"w.n{number}", NEW, checks=checks, fail_on=fail_on)


def test_a_check_that_cannot_be_asked_blocks_before_anything_is_loaded(db: Connection) -> None:
    db.execute("CREATE SEQUENCE w.runs")
    broken = check("custom_sql", sql="SELECT count(*) FROM {table} WHERE nam IS NULL", equal_to=0)
    with pytest.raises(AirflowException, match='column "nam" does not exist'):
        publish("w.t", NEW.replace("i AS id", "nextval('w.runs') AS id"), checks=[broken], fail_on="never")
    assert db.execute("SELECT is_called FROM w.runs").fetchone() == (False,)
    assert left_beside(db) == []


def test_a_check_of_a_column_that_is_not_there_names_the_nearest(db: Connection) -> None:
    with pytest.raises(AirflowException, match="did you mean 'name'"):
        publish("w.t", NEW, checks=[check("null_count", "nam", equal_to=0)])


def test_running_again_ends_in_the_same_rows(db: Connection) -> None:
    for partition in (None, DAY):
        publish("w.t", NEW, partition=partition)
        once = rows(db, "w.t")
        publish("w.t", NEW, partition=partition)
        assert rows(db, "w.t") == once


def test_no_secret_leaves(db: Connection, warehouse: Warehouse) -> None:
    password = warehouse.uri.split(":")[2].split("@")[0]
    outcome = publish("w.t", NEW, checks=[NO_NULLS])
    assert password not in json.dumps(outcome)
    with pytest.raises(AirflowException) as failure:
        publish("w.t", NEW, checks=[FEW])
    assert password not in repr(failure.value)
    for table in ("publication", "check_result", "metric"):
        assert password not in repr(ledger(db, table, "*"))
