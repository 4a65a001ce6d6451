"""What a backfill computes, returns and records."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from backfill.lab import RANGE, Lab

from airflow_dataquality.checks import check
from support import on, told_to_listeners

pytestmark = on("postgres", "redshift")

ALL = ["2013-01-01 to 2013-01-03", "2013-01-04 to 2013-01-06", "2013-01-07 to 2013-01-09", "2013-01-10"]


@pytest.mark.parametrize("size", [1, 3, 10, 99])
@pytest.mark.parametrize("parallel", [1, 2])
def test_the_rows_are_those_of_one_statement(lab: Lab, size: int, parallel: int) -> None:
    lab.fill("daily", [("2013-01-01", 7, 7), ("2013-01-10", 7, 7), ("2012-12-31", 0, 0), ("2013-01-11", 0, 0)])
    outcome = lab.backfill(days_per_chunk=size, max_parallel=parallel)
    expected = lab.rows("src") + lab.rows("(SELECT * FROM daily WHERE id = 0) AS untouched")
    assert lab.rows() == sorted(expected, key=str)
    assert outcome["chunks"] == -(-10 // size)
    assert lab.beside() == {}


def test_returns_what_became_of_it(lab: Lab) -> None:
    lab.fill("daily", [("2013-01-01", 1, 1)])
    outcome = lab.backfill(compare_with_production=[check("row_count_ratio", geq_to=1)])
    assert json.loads(json.dumps(outcome)) == outcome
    assert re.fullmatch("[0-9a-f]{32}", outcome.pop("run_uid"))
    assert outcome == {
        "table": "public.daily",
        "partition": {"ds": "2013-01-01/2013-01-10"},
        "partitions": 10,
        "unchanged": 0,
        "chunks": 4,
        "rows": 30,
        "exchange": "overwrite",
        "published": True,
        "score": 1.0,
        "passed": 1,
        "warned": 0,
        "failed": 0,
        "errored": 0,
        "skipped": 9,
        "failed_rules": [],
        "warned_rules": [],
    }


def test_each_partition_is_in_the_ledger(lab: Lab) -> None:
    lab.run("DELETE FROM src WHERE ds = '2013-01-05'")
    run_uid = lab.backfill(compare_with_production=[check("row_count_ratio", geq_to=1)])["run_uid"]
    columns = "partition, run_uid, mode, rows, skipped"
    assert lab.ledger("publication", columns) == [
        (json.dumps({"ds": day}), run_uid, "overwrite", 0 if day == "2013-01-05" else 3, 1) for day in lab.days
    ]
    assert lab.ledger("metric", "partition, metric, value, state") == [
        (json.dumps({"ds": day}), "row_count", 0.0 if day == "2013-01-05" else 3.0, "published") for day in lab.days
    ]
    assert lab.chunks() == [
        (1, "2013-01-01", "2013-01-03", 9),
        (2, "2013-01-04", "2013-01-06", 6),
        (3, "2013-01-07", "2013-01-09", 9),
        (4, "2013-01-10", "2013-01-10", 3),
    ]
    assert {row[0] for row in lab.ledger("check_result", "partition")} == {json.dumps({"ds": day}) for day in lab.days}


def test_a_chunk_without_rows_is_valid(lab: Lab) -> None:
    """Also one whose checks would not pass if there were rows, and a day that production held alone."""
    lab.run("DELETE FROM src WHERE ds BETWEEN '2013-01-04' AND '2013-01-06'")
    lab.fill("daily", [("2013-01-05", 1, 1)])
    assert lab.backfill(checks=[check("row_count", geq_to=3)])["rows"] == 21
    assert lab.rows() == lab.rows("src")
    assert (2, "2013-01-04", "2013-01-06", 0) in lab.chunks()


def test_a_range_without_rows_fails(lab: Lab) -> None:
    lab.fill("daily", [("2013-01-05", 1, 1)])
    before = lab.rows()
    lab.run("DELETE FROM src")
    with pytest.raises(AirflowException, match=r"daily/ds=2013-01-01/2013-01-10 has no rows at all\nHint: look at"):
        lab.backfill(fail_on="never")
    assert lab.rows() == before
    lab.fill("src", [("2013-01-05", 5, 5)])
    assert lab.backfill()["rows"] == 1, "the next one begins anew"


def test_the_table_is_created_with_the_range(lab: Lab) -> None:
    outcome = lab.backfill(table="fresh", compare_with_production=[check("mean_shift", "amount", leq_to=0)])
    assert (outcome["exchange"], outcome["rows"], outcome["skipped"]) == ("create", 30, 10)
    assert lab.rows("fresh") == lab.rows("src")
    assert lab.published() == dict.fromkeys(lab.days, 1)
    assert lab.beside() == {}
    again = lab.backfill(table="fresh", skip_unchanged=True)
    assert (again["exchange"], again["unchanged"]) == (None, 10)


@pytest.mark.parametrize("exchange", ["create", "overwrite"])
def test_a_mode_insisted_on(lab: Lab, exchange: str) -> None:
    if exchange == "create":
        with pytest.raises(AirflowException, match=r"exchange='create' does not fit .*: the table exists"):
            lab.backfill(exchange=exchange)
        assert lab.rows() == []
    else:
        assert lab.backfill(exchange=exchange)["exchange"] == exchange


@pytest.mark.parametrize(("order", "expected"), [("newest_first", ALL[::-1]), ("oldest_first", ALL)])
def test_order(lab: Lab, order: str, expected: list[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        lab.backfill(order=order, max_parallel=1)
    staged = [match[1] for text in caplog.messages if (match := re.search(r"staged (.*) \(\d+ rows\)", text))]
    assert staged == expected


def test_progress_is_told(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        lab.backfill()
    lines = [text for text in caplog.messages if " chunks, " in text]
    assert len(lines) == 4
    assert re.fullmatch(
        r"4 of 4 chunks, 30 rows, [\d,]+ rows/s, about 0 s left: staged 2013-01-.* \([39] rows\)", lines[-1]
    )


@told_to_listeners
def test_results_are_there_for_listeners(lab: Lab) -> None:
    lab.fill("daily", [(day, 1, 10) for day in lab.days[:2]])
    operator = lab.operator(compare_with_production=[check("row_count_ratio", leq_to=2)], end="2013-01-02")
    with pytest.raises(AirflowException):
        operator.execute({})
    assert [(r.name, r.success, r.actual) for r in operator.check_results] == [("row_count_ratio", False, "3.0")] * 2


@pytest.mark.parametrize("ledger_schema", ["dataquality", 'Größe "x"'])
def test_another_ledger(lab: Lab, ledger_schema: str) -> None:
    lab.backfill(ledger_schema=ledger_schema)
    schema = lab.database.session.dialect.identifier(ledger_schema)
    assert lab.run(f"SELECT count(*) FROM {schema}.chunk") == [(4,)]


def test_checks_see_the_rows_of_their_chunk(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    checks: list[Any] = [
        check("row_count", equal_to=9, severity="warn"),
        check("custom_sql", sql="SELECT count(DISTINCT ds) FROM {table}", leq_to=3),
        {"check": "unique_violations", "columns": ["ds", "id"]},
        check("row_count_ratio", geq_to=1),
    ]
    lab.fill("daily", [(day, 1, 1) for day in lab.days])
    lab.backfill(RANGE, checks=checks)
    results = lab.ledger("check_result", "partition, check_name, status", "WHERE check_name = 'row_count'")
    assert [(json.loads(partition)["ds"], status) for partition, _, status in results] == [
        ("2013-01-01/2013-01-03", "pass"),
        ("2013-01-04/2013-01-06", "pass"),
        ("2013-01-07/2013-01-09", "pass"),
        ("2013-01-10", "warn"),
    ]
    assert "row_count is 3, expected = 9" in caplog.text
