"""Trying a test on the past, before it is saved."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from airflow_dataquality.days import Day
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.saved import read
from airflow_dataquality.trial import Trial, answered, suggestions, tried
from support import Warehouse

LAST = date(2013, 2, 28)


@pytest.fixture
def orders(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """Fifty days: about a hundred rows each, none on the 20th, a fifth on the 25th; amounts of about 10, NULL on it."""
    with warehouse.connect() as connection:
        connection.execute("""
            CREATE SCHEMA shop;
            CREATE TABLE shop.orders AS
            SELECT day::date AS ds, n AS id, CASE WHEN day <> '2013-02-25' THEN 10 + n % 3 END AS amount
            FROM generate_series(date '2013-01-10', '2013-02-28', '1 day') AS day,
              generate_series(1, CASE WHEN day = '2013-02-25' THEN 20 ELSE 100 + extract(day FROM day)::int % 4 END)
                AS n
            WHERE day <> '2013-02-20'""")
        yield connection


def metric(check: str, until: date | None = None, days: int = 14, **changed: Any) -> Trial:
    given = {"table": "shop.orders", "partition": {"ds": "{{ ds }}"}, "check": check, **changed}
    return tried(read("a test", "metric", given), "warehouse", until=until, days=days)


def formula(experiment: str, text: str, *, days: int = 14, **arguments: Any) -> Trial:
    given = {
        "conn_id": "warehouse",
        "control_sql": "SELECT count(*) / 7.0 AS n FROM shop.orders "
        "WHERE ds >= date '{{ ds }}' - 7 AND ds < '{{ start }}'",
        "experiment_sql": experiment,
        "formula": text,
    }
    return tried(read("a test", "formula", given), "warehouse", until=LAST, days=days, **arguments)


def fired(trial: Trial) -> list[str]:
    return [tried.day for tried in trial.days if tried.fired]


def reason(trial: Trial, day: str) -> str:
    (found,) = [each.result for each in trial.days if each.day == day]
    assert found is not None
    return f"{found.status}: {found.reason}"


def test_a_condition_is_judged_on_each_of_the_last_days(orders: psycopg.Connection[Any]) -> None:
    trial = metric("row_count", condition={"geq_to": 50})
    assert [each.day for each in trial.days] == [f"2013-02-{day}" for day in range(15, 29)]
    assert fired(trial) == ["2013-02-20", "2013-02-25"]
    assert reason(trial, "2013-02-25") == "fail: row_count is 20, expected >= 50"
    assert reason(trial, "2013-02-20") == "fail: row_count is 0, expected >= 50"
    assert (trial.fired, trial.judged, trial.days[0].ends) == (2, 14, (50.0, None))
    trial = metric("mean", column="amount", condition={"leq_to": 12}, severity="warn")
    assert reason(trial, "2013-02-20") == "skip: no rows to check"
    assert reason(trial, "2013-02-25").startswith("warn: mean(amount) has no value")


def test_it_agrees_with_what_the_operators_say(orders: psycopg.Connection[Any]) -> None:
    from airflow_dataquality.operators.check import DataQualityCheckOperator

    for rule in ({"check": "row_count", "condition": {"geq_to": 50}},
                 {"check": "null_ratio", "column": "amount", "condition": {"leq_to": 0.1}},
                 {"check": "quantile", "column": "amount", "q": 0.5, "condition": {"equal_to": 11}}):  # fmt: skip
        trial = metric(**rule)
        for day in ("2013-02-18", "2013-02-20", "2013-02-25", "2013-02-28"):
            operator = DataQualityCheckOperator(
                task_id="check", conn_id="warehouse", table="shop.orders", partition={"ds": day}, checks=[rule],
                fail_on="never", ledger_schema=None,
            )  # fmt: skip
            operator.execute({})
            (result,) = operator._found[0].summary.results
            assert f"{result.status}: {result.reason}" == reason(trial, day)


def test_a_baseline_is_replayed(orders: psycopg.Connection[Any]) -> None:
    trial = metric("row_count", baseline={"zscore": {"threshold": 3.5, "window": 28}})
    assert "2013-02-25" in fired(trial)
    assert "2013-02-20" in fired(trial)
    low, high = trial.days[-1].ends
    assert low is not None
    assert high is not None
    assert low < 100 < high
    assert "expected about" in reason(trial, "2013-02-25")
    trial = metric("mean", column="amount", until=date(2013, 1, 20), baseline="auto")
    assert fired(trial) == []
    assert "fewer than 14 values" in reason(trial, "2013-01-20")


def test_what_cannot_be_grouped_is_measured_day_by_day(orders: psycopg.Connection[Any]) -> None:
    trial = metric("custom_sql", sql="SELECT count(*) FROM {table}", condition={"geq_to": 50})
    assert fired(trial) == ["2013-02-20", "2013-02-25"]
    trial = metric("row_count", partition_clause="ds >= DATE '{{ ds }}' AND id > 0", condition={"geq_to": 50})
    assert fired(trial) == ["2013-02-20", "2013-02-25"]
    trial = metric("custom_sql", sql="SELECT nonsense FROM {table}", condition={"geq_to": 50}, days=2)
    assert "nonsense" in reason(trial, "2013-02-28")


def test_of_what_only_the_ledger_knows_it_says_so(orders: psycopg.Connection[Any]) -> None:
    trial = metric("row_count", partition=None, condition={"geq_to": 50})
    assert trial.judged == 1
    assert "only the ledger knows" in trial.notes[0]
    trial = metric("freshness", column="ds", condition={"leq_to": "1d"}, until=LAST)
    assert fired(trial) == ["2013-02-28"]


def test_what_was_marked_as_an_incident_is_no_history(orders: psycopg.Connection[Any]) -> None:
    from airflow_dataquality.engine.ledger import Ledger
    from airflow_dataquality.hooks.connections import connected

    with connected("warehouse") as session:
        ledger = Ledger(session)
        ledger.ensure()
        ledger.record_incident(Partition(Table("orders", "shop"), (("ds", "2013-02-25"),)), None, None)
    trial = metric("row_count", baseline={"zscore": {"threshold": 3.5}})
    assert "left out" in reason(trial, "2013-02-25")


def test_a_formula_is_tried_on_each_day(orders: psycopg.Connection[Any]) -> None:
    trial = formula("SELECT count(*) AS n FROM shop.orders WHERE ds = '{{ ds }}'", "experiment.n >= 0.5 * control.n")
    assert fired(trial) == ["2013-02-20", "2013-02-25"]
    assert trial.days[-1].rows["experiment"] == {"n": 100}
    assert trial.notes == []
    same = formula("SELECT 1 AS n", "experiment.n == 1", days=3)
    assert (same.fired, len(same.days)) == (0, 3)


def test_it_stops_when_the_time_is_over(orders: psycopg.Connection[Any]) -> None:
    started = time.monotonic()
    trial = formula("SELECT pg_sleep(0.3) IS NULL AS n, '{{ ds }}' AS d", "experiment.n <= 1", days=90, together=1.0)
    assert time.monotonic() - started < 5
    assert 1 <= len(trial.days) < 10
    assert trial.days[-1].day == "2013-02-28"
    assert "the time was over" in trial.notes[0]
    trial = formula("SELECT pg_sleep(60) IS NULL AS n", "experiment.n <= 1", days=1, statement=0.2)
    assert "statement timeout" in reason(trial, "2013-02-28")


def test_it_writes_nothing(orders: psycopg.Connection[Any]) -> None:
    trial = formula("WITH x AS (DELETE FROM shop.orders RETURNING 1) SELECT count(*) AS n FROM x", "experiment.n < 1",
                    days=1)  # fmt: skip
    assert "must be at the top level" in reason(trial, "2013-02-28")
    found = orders.execute("SELECT to_regnamespace('dataquality'), count(*) > 4000 FROM shop.orders").fetchone()
    assert found == (None, True)


def test_what_does_not_exist_is_named(orders: psycopg.Connection[Any]) -> None:
    for changed, words in (({"table": "shop.order"}, "there is no table"), ({"column": "price"}, "no column 'price'"),
                           ({"partition": {"day": "{{ ds }}"}}, "'day' is not in")):  # fmt: skip
        with pytest.raises(DataQualityError, match=words):
            metric("null_count", **{"column": "amount", "condition": {"equal_to": 0}, **changed})
    with pytest.raises(SpecError, match="days is 91"):
        metric("row_count", condition={"geq_to": 1}, days=91)


def test_the_columns_of_a_query_suggest_formulas(orders: psycopg.Connection[Any]) -> None:
    answer = answered("warehouse", "SELECT avg(amount) AS avg, stddev(amount) AS stddev FROM shop.orders",
                      Day("2013-02-28"), {})  # fmt: skip
    assert answer.row is not None
    assert set(answer.row) == {"avg", "stddev"}
    assert answered("warehouse", "SELECT nonsense", Day("2013-02-28"), {}).error == (
        'failed: column "nonsense" does not exist'
    )
    found = suggestions(["avg", "stddev"], ["avg", "n", "x y"])
    assert found[0]["formula"] == "abs(experiment.avg - control.avg) <= z_score * control.stddev"
    for each in found:
        given = {"conn_id": "w", "control_sql": "SELECT 1", "experiment_sql": "SELECT 1", "formula": each["formula"]}
        import json

        read("a", "formula", {**given, "formula_params": json.loads(each["params"] or "{}")})
