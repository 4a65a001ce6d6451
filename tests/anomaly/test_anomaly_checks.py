"""anomaly(...) beside other checks: in Python and YAML, on a table, and before rows are published or upserted."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from anomaly import lab
from anomaly.lab import TODAY, ago

from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.errors import ChecksFailed, PartitionError
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.operators.upsert import UpsertOperator
from support import Database, on

RULES = """
name: flights
rules:
  - {check: row_count, condition: {geq_to: 1}}
  - name: volume_is_normal
    check: row_count
    baseline: {zscore: {threshold: 4, window: 28, min_history: 7, direction: drop, exclude: [2013-04-20]}}
    severity: warn
  - {check: mean, column: delay, baseline: auto}
"""
LOOKS_RIGHT = (
    anomaly("row_count", baseline=lab.steady),
    anomaly("null_ratio", "origin", baseline=lab.steady, name="origins"),
)


@pytest.fixture
def flights(database: Database) -> Database:
    lab.make(database)
    for n in range(40, 0, -1):
        lab.insert(database, lab.day(ago(n), 10 + n % 2, delay=5.0 + n % 3))
    return database


def checked(database: Database, checks: Any, **arguments: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"table": "flights", "partition": {"ds": TODAY}}
    operator = DataQualityCheckOperator(
        task_id="check", conn_id=database.conn_id, checks=checks, **{**defaults, **arguments}
    )
    return operator.execute({})


def results(database: Database) -> dict[str, tuple[str, str]]:
    return {
        name: (status, reason)
        for name, status, reason in lab.recorded(database, "check_result", "check_name, status, reason")
    }


def test_beside_other_checks_and_in_yaml(flights: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "flights.yaml").write_text(RULES)
    lab.insert(flights, lab.day(TODAY, 4))
    lab.listen(caplog)
    outcome = checked(flights, str(tmp_path / "flights.yaml"))
    assert (outcome["passed"], outcome["warned_rules"]) == (2, ["volume_is_normal"])
    said = results(flights)["volume_is_normal"][1]
    assert said.startswith("row_count is 4, expected about 10.48 (at least ")
    assert ", 27 values): " in said
    assert said.endswith(" sigma below")
    columns = "interval, low, high, metric"
    (row,) = [
        row for row in lab.recorded(flights, "check_result", f"check_name, {columns}") if row[0] == "volume_is_normal"
    ]
    assert row[1].startswith(">= ")
    assert (row[2] is None, row[3], row[4]) == (False, None, "row_count")
    # One scan, one history, one bootstrap: of the window of both, though they have different baselines.
    read = [sql for sql in lab.sent(caplog) if not sql.startswith("INSERT")]
    assert len(read) == 3 + 1, "and as it warns, whether somebody has muted it"
    measured = [name for name, where in lab.recorded(flights, "metric", "metric, partition") if "05-01" in where]
    assert sorted(measured) == ["mean(delay)", "row_count"]


def test_what_fails_the_task(flights: Database) -> None:
    lab.insert(flights, lab.day(TODAY, 4))
    with pytest.raises(AirflowException) as raised:
        checked(flights, [*LOOKS_RIGHT, check("row_count", geq_to=1, name="some")])
    message = str(raised.value)
    assert "2 of 3 checks on " in message
    assert "\n  - row_count is 4, expected about 10" in message
    assert "\n  - origins: null_ratio(origin) is 0, expected about 0.09" in message
    outcome = checked(
        flights,
        [
            anomaly("row_count", baseline=lab.steady, severity="warn"),
            anomaly("row_count", name="calm", baseline=lab.steady, threshold=30),
        ],
    )
    assert (outcome["warned_rules"], outcome["passed"]) == (["row_count"], 1)
    with pytest.raises(AirflowException):
        checked(flights, [anomaly("row_count", baseline=lab.steady, severity="warn")], fail_on="warn")


def test_each_baseline_has_a_window_and_a_period_of_its_own(database: Database) -> None:
    lab.make(database)
    lab.insert(database, [row for n in range(70, -1, -1) for row in lab.day(ago(n), 30 if n % 7 == 0 else 10)])
    checks = [
        anomaly("row_count", name="days", baseline=lab.steady, window=20),
        anomaly("row_count", name="weeks", baseline=lab.steady, window=9, min_history=3, period="week"),
        anomaly("row_count", name="few", baseline=lab.steady, window=90, min_history=80),
        anomaly("mean", "id", name="narrow", baseline=lab.steady, partition_clause="id < 10"),
    ]
    with pytest.raises(AirflowException):
        checked(database, checks)
    found = results(database)
    assert {name: status for name, (status, _) in found.items()} == {
        "days": "fail",
        "weeks": "pass",
        "few": "skip",
        "narrow": "pass",
    }
    assert found["days"][1].startswith("row_count is 30, expected about 10 (")
    assert ", 20 values)" in found["days"][1]
    assert found["weeks"][1].startswith("row_count is 30, expected about 30 (")
    assert found["few"][1] == "row_count is 30: 70 of the last 90 days are known, and 80 are needed"


def test_what_a_group_by_cannot_tell_is_read_from_the_ledger(flights: Database) -> None:
    sql = check("custom_sql", sql="SELECT COUNT(*) FROM {table}", equal_to=1).metric.param("sql")
    usual: dict[str, Any] = {"baseline": lab.steady, "min_history": 3}
    asked = [
        anomaly("custom_sql", sql=sql, **usual),
        anomaly("column_count", **usual),
        anomaly("unique_violations", ["ds", "id"], **usual),
    ]
    for n in (4, 3, 2, 1):
        outcome = checked(flights, asked, partition={"ds": ago(n)})
        assert (outcome["skipped"], outcome["passed"]) == ((3, 0) if n > 1 else (0, 3))
    lab.insert(flights, lab.day(TODAY) + lab.day(TODAY))
    with pytest.raises(AirflowException, match=r"unique_violations\(ds, id\) is 10, expected about 0 \(at most "):
        checked(flights, asked)


def test_without_a_ledger(flights: Database) -> None:
    lab.insert(flights, lab.day(TODAY, 4))
    with pytest.raises(AirflowException, match="row_count is 4, expected about 10"):
        checked(flights, LOOKS_RIGHT, ledger_schema=None)
    assert not flights.session.columns(Ledger(flights.session).table("metric"))


WRONG: list[tuple[Any, str]] = [
    (anomaly("max", "origin"), "of which a baseline knows nothing"),
    (anomaly("mean", "origin"), "mean needs a column of category number"),
    (anomaly("true_ratio", "delay"), "true_ratio needs a column of category boolean"),
    (anomaly("mean", "dely"), "did you mean 'delay'?"),
    (
        anomaly("row_count", baseline=lambda *_: 7),
        " sigma of 90 values: the function returned int, not a Forecast",
    ),
    (anomaly("row_count", holidays="XX"), "holidays='XX'"),
]


def test_what_cannot_be_judged(flights: Database) -> None:
    for wrong, says in WRONG:
        with pytest.raises(AirflowException) as raised:
            checked(flights, [wrong])
        assert says in str(raised.value)
        assert "Hint: " in str(raised.value)


def test_two_dates_matter_only_to_a_baseline(database: Database) -> None:
    lab.make(database, "ds date, loaded date")
    lab.insert(database, [(TODAY, TODAY)])
    where = {"ds": TODAY, "loaded": TODAY}
    assert checked(database, [check("row_count", equal_to=1)], partition=where)["passed"] == 1
    with pytest.raises(AirflowException) as raised:
        checked(database, LOOKS_RIGHT[:1], partition=where)
    assert isinstance(raised.value.__cause__, PartitionError)


def published(database: Database, when: date, size: int = 0, **arguments: Any) -> dict[str, Any]:
    listed = [dict(zip(("ds", "id", "origin", "delay", "late"), row, strict=True)) for row in lab.day(when, size)]
    defaults: dict[str, Any] = {"table": "flights", "partition": {"ds": str(when)}, "checks": LOOKS_RIGHT,
                                "rows": listed or None}  # fmt: skip
    operator = StageCheckExchangeOperator(task_id="publish", conn_id=database.conn_id, **{**defaults, **arguments})
    return operator.execute({})


def held(database: Database, when: date) -> int:
    return int(database.session.query(f"SELECT COUNT(*) FROM flights WHERE ds = '{when}'")[0][0])


@on("postgres", "redshift")
def test_what_looks_wrong_is_not_published(flights: Database, caplog: pytest.LogCaptureFixture) -> None:
    lab.listen(caplog)
    assert published(flights, ago(5), 10)["passed"] == 2
    # One scan of the stage, one history, one bootstrap of production's past; and none when it comes again.
    for _ in range(2):
        lab.listen(caplog)
        with pytest.raises(AirflowException) as raised:
            published(flights, TODAY, 3)
        assert "row_count [error]: row_count is 3, expected about 10" in str(raised.value)
        assert "production is unchanged" in str(raised.value)
        assert isinstance(raised.value.__cause__, ChecksFailed)
        assert raised.value.__cause__.outcome["failed_rules"] == ["row_count", "origins"]
        assert held(flights, TODAY) == 0
        reading = [sql for sql in lab.sent(caplog) if sql.startswith(("SELECT\n", 'SELECT "partition"'))]
    assert len(reading) == 2
    states = {state for state, where in lab.recorded(flights, "metric", "state, partition") if "05-01" in where}
    assert states == {"rejected"}
    # What was rejected is no history of the next day, and what is right is published, and is.
    assert published(flights, ago(-1), 10)["passed"] == 2
    assert held(flights, ago(-1)) == 10
    history = lab.verdicts(lab.look(flights, partition={"ds": ago(-2)}, history="ledger", metrics=["row_count"]))
    assert history["row_count"]["history"] == 35 + 2  # what was bootstrapped, and what was published


@on("postgres", "redshift")
def test_the_first_days_of_a_table_are_published(database: Database) -> None:
    if database.kind == "redshift":
        lab.make(database)
    select = "SELECT date '2013-04-{}' AS ds, 1 AS id, 'EWR' AS origin, 5.0::float8 AS delay, true AS late"
    usual: dict[str, Any] = {"baseline": lab.steady, "min_history": 3}
    checks = [anomaly("row_count", **usual), anomaly("mean", "delay", **usual)]
    for n in range(1, 6):
        outcome = published(database, date(2013, 4, n), sql=select.format(f"0{n}"), checks=checks)
        assert outcome["published"] is True
        assert (outcome["skipped"], outcome["passed"]) == ((2, 0) if n <= 3 else (0, 2))
    whole = published(database, TODAY, sql=select.format("01"), partition=None, checks=checks)
    assert whole["skipped"] == 2


@on("postgres")
def test_a_column_that_production_has_not_yet(flights: Database) -> None:
    listed = (
        "SELECT date '2013-05-01' AS ds, i AS id, 'EWR' AS origin, 5.0::float8 AS delay, true AS late, 1 AS fresh "
        "FROM generate_series(1, 10) AS i"
    )
    checks = [anomaly("mean", "fresh", baseline=lab.steady), anomaly("row_count", baseline=lab.steady)]
    outcome = published(flights, TODAY, sql=listed, checks=checks, on_schema_change="append_columns")
    assert (outcome["skipped"], outcome["passed"]) == (1, 1)


def test_what_looks_wrong_is_not_upserted(database: Database) -> None:
    database.session.execute("CREATE TABLE customers (id integer PRIMARY KEY, n integer)")
    asked = [anomaly("mean", "n", baseline=lab.steady, min_history=3)]

    def upserted(n: int) -> dict[str, Any]:
        operator = UpsertOperator(
            task_id="upsert", conn_id=database.conn_id, table="customers", keys=["id"], checks=asked,
            rows=[{"id": i, "n": n} for i in range(5)],
        )  # fmt: skip
        return operator.execute({})

    # A whole table: its past is what was measured on earlier days.
    assert upserted(10)["skipped"] == 1
    sql = database.session.dialect
    where = lab.place(database, {}, table="customers")
    columns = ["run_uid", "table_schema", "table_name", "partition", "metric", "value", "state", "measured_at"]
    past = [
        [day, where.table.schema, where.table.name, where.json, "mean(n)", 10, "published", f"{day}"]
        for day in yesterdays(5)
    ]
    database.session.execute(sql.insert(Ledger(database.session).table("metric"), columns, past))
    assert upserted(10)["passed"] == 1
    with pytest.raises(AirflowException, match=r"mean\(n\) is 90, expected about 10 \("):
        upserted(90)
    assert database.session.query("SELECT MAX(n) FROM customers")[0][0] == 10


def yesterdays(count: int) -> list[str]:
    from datetime import UTC, datetime, timedelta

    return [f"{datetime.now(UTC) - timedelta(days=n + 1):%Y-%m-%d %H:%M:%S}" for n in range(count)]


def test_checks_are_json_wherever_they_end_up(flights: Database) -> None:
    lab.insert(flights, lab.day(TODAY))
    assert json.loads(json.dumps(checked(flights, LOOKS_RIGHT)))["passed"] == 2


def test_the_user_says_what_kind_of_number_it_is(database: Database) -> None:
    lab.make(database)
    lab.days(database, 0, first=30, delay=0.25)
    checks = [anomaly("mean", "delay", name=scale, scale=scale) for scale in ("auto", "value", "rate", "cumulative")]
    DataQualityCheckOperator(
        task_id="check", conn_id=database.conn_id, table="flights", partition={"ds": TODAY}, checks=checks
    ).execute({})
    found = {name: (low, high) for name, low, high in lab.recorded(database, "check_result", "check_name, low, high")}
    assert found["auto"] == found["value"] == found["cumulative"] == pytest.approx((0.2356, 0.2644), abs=1e-3)
    assert found["rate"] == pytest.approx((0.137, 0.384), abs=0.01)
