"""Tests tried on the past, and days marked as incidents."""

from __future__ import annotations

import calendar
import json
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.anomalies import Place, backtest, mark, spelled_out
from airflow_dataquality.baseline import Baseline
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Metric, Partition, Table
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator
from airflow_dataquality.results import Measurement
from history import DAYS, day, fill, usual
from support import Database, Warehouse, on

ROWS = Metric("row_count")
INCIDENT = 100
METRICS = ["row_count", "null_ratio:amount", "mean:amount"]


def with_incident(number: int) -> int:
    return 4 if number == INCIDENT else usual(number)


def at(database: Database, **arguments: Any) -> Place:
    return Place(database.conn_id, "orders", **{"partition": {"ds": day(-1)}, "last": 60, **arguments})


def ledger_of(session: DbApiSession) -> Ledger:
    ledger = Ledger(session)
    ledger.ensure()
    return ledger


def partition(database: Database, number: int) -> Partition:
    schema = {"postgres": "public", "sqlite": None}[database.kind]
    return Partition.of(Table("orders", schema), {"ds": day(number)})


def record(database: Database, values: dict[int, float]) -> None:
    measured = {partition(database, number): {ROWS: Measurement(value)} for number, value in values.items()}
    ledger_of(database.session).record_past(Run(), measured)


def dates(found: dict[str, Any], test: str = "row_count") -> list[str]:
    return [alarm["date"] for alarm in found["alarms"] if alarm["test"] == test]


@on("postgres", "sqlite")
def test_the_days_on_which_it_would_have_fired(database: Database) -> None:
    fill(database.session, rows=with_incident)
    found = backtest(at(database), metrics=METRICS)
    assert found["partition"] == {"ds": day(-1)}
    assert day(INCIDENT) in dates(found)
    (alarm,) = (alarm for alarm in found["alarms"] if alarm["test"] == "row_count" and alarm["date"] == day(INCIDENT))
    assert alarm["value"] == 4
    assert 36 <= alarm["expected"] <= 47
    assert alarm["score"] < -3
    assert found["alarms"] == sorted(found["alarms"], key=lambda alarm: alarm["date"])
    for test in found["tests"]:
        assert test["judged"] == 60
        assert test["at"]["3"] >= test["at"]["3.5"] >= test["at"]["4"]
        assert test["alarms"] == test["at"]["3"] == len(dates(found, test["name"]))
        assert test["a_year"] == round(test["alarms"] * 365.25 / 60, 1)
    assert [test["alarms"] for test in found["tests"]] == sorted((t["alarms"] for t in found["tests"]), reverse=True)


@on("postgres", "sqlite")
def test_nothing_is_recorded(database: Database) -> None:
    fill(database.session)
    found = backtest(at(database), metrics=METRICS)
    assert any("there is no ledger" in note for note in found["notes"])
    ledger = Ledger(database.session)
    assert not database.session.columns(ledger.table("ledger_version"))
    record(database, {3: 39})
    assert not backtest(at(database), metrics=METRICS)["notes"]
    counted = f"SELECT COUNT(*) FROM {database.session.dialect.table(ledger.table('metric'))}"
    assert database.session.query(counted)[0][0] == 1


@on("postgres", "sqlite")
@pytest.mark.parametrize("number", [60, INCIDENT, INCIDENT + 1, -1])
def test_it_says_what_the_operator_would_have_said(database: Database, number: int) -> None:
    fill(database.session, rows=with_incident)
    threshold = 0.01  # so that every day is an alarm, which tells its score
    found = backtest(at(database), metrics=METRICS, baseline=Baseline(threshold=threshold))
    operator = ZScoreAnomalyOperator(
        task_id="t", conn_id=database.conn_id, table="orders", partition={"ds": day(number)}, metrics=METRICS,
        threshold=threshold, history="table", fdr=None, ledger_schema=None,
    )  # fmt: skip
    said = {test["name"]: test for test in operator.execute({})["tests"]}
    alarms = {alarm["test"]: alarm for alarm in found["alarms"] if alarm["date"] == day(number)}
    assert "row_count" in alarms
    for name, alarm in alarms.items():
        assert alarm["value"] == said[name]["value"]
        assert alarm["expected"] == pytest.approx(said[name]["expected"])
        assert alarm["score"] == pytest.approx(said[name]["score"], abs=0.006)


@on("postgres", "sqlite")
def test_the_newest_partition(database: Database) -> None:
    fill(database.session)
    assert backtest(at(database, partition={"ds": None}), metrics="row_count")["partition"] == {"ds": day(-1)}
    found = backtest(at(database, partition={"shop": "south", "ds": None}), metrics="row_count")
    assert found["partition"] == {"shop": "south", "ds": day(-1)}
    assert found["tests"][0]["judged"] == 60


@on("postgres", "sqlite")
def test_what_was_measured_then_is_truer_than_the_table(database: Database) -> None:
    fill(database.session)
    record(database, {INCIDENT: 4})
    assert day(INCIDENT) in dates(backtest(at(database), metrics="row_count"))
    assert day(INCIDENT) not in dates(backtest(at(database, history="table"), metrics="row_count"))


@on("postgres", "sqlite")
def test_the_ledger_alone(database: Database) -> None:
    fill(database.session, days=[DAYS - 1])
    record(database, {number: with_incident(number) for number in range(60, DAYS)})
    found = backtest(at(database, history="ledger"), metrics="row_count")
    assert found["tests"][0]["judged"] == 60 - 14
    assert day(INCIDENT) in dates(found)
    with pytest.raises(DataQualityError, match=r"there is nothing of .* in the ledger"):
        backtest(at(database, history="ledger", partition={"ds": day(3)}))


@on("postgres", "sqlite")
def test_a_marked_day_is_neither_judged_nor_history(database: Database) -> None:
    fill(database.session, rows=with_incident)
    record(database, {INCIDENT: 4})
    where = at(database, partition={"ds": day(INCIDENT)})
    assert mark(where, metric="row_count")["metric"] == "row_count"
    found = backtest(at(database), metrics=METRICS)
    assert day(INCIDENT) not in dates(found)
    assert {test["name"]: test["judged"] for test in found["tests"]}["row_count"] == 59
    assert f"{day(INCIDENT)} is left out: row_count is marked as an incident" in found["notes"]
    assert mark(where, metric="row_count", remove=True)["rows"] == 1
    assert day(INCIDENT) in dates(backtest(at(database), metrics=METRICS))
    mark(where, note="the shop burned down")
    assert {test["judged"] for test in backtest(at(database), metrics=METRICS)["tests"]} == {59}
    assert mark(where, remove=True)["rows"] == 1


@on("postgres", "sqlite")
def test_the_named_partition_may_be_marked_itself(database: Database) -> None:
    fill(database.session)
    where = at(database)
    mark(where)
    assert backtest(where, metrics="row_count")["tests"][0]["judged"] == 59


@on("postgres")
def test_a_partition_is_marked_as_the_ledger_spells_it(database: Database) -> None:
    fill(database.session)
    done = mark(at(database, partition={"ds": day(3).replace("-", "")}))
    assert done == {"table": "public.orders", "partition": {"ds": day(3)}, "metric": None, "rows": 1}


@on("postgres", "sqlite")
def test_what_cannot_be_marked(database: Database) -> None:
    fill(database.session)
    with pytest.raises(DataQualityError, match="there is no ledger in schema 'dataquality'"):
        mark(at(database), remove=True)
    with pytest.raises(
        SpecError, match=r"no metric 'mean\(amount\)' is recorded .*\nHint: run an operator on it first"
    ):
        mark(at(database), metric="mean(amount)")
    record(database, {DAYS - 1: 40})
    with pytest.raises(SpecError, match="Hint: did you mean 'row_count'"):
        mark(at(database), metric="rowcount")
    with pytest.raises(DataQualityError, match="is marked as an incident"):
        mark(at(database), remove=True)


def test_a_metric_is_spelled_out() -> None:
    assert spelled_out("mean:dep_delay") == "mean(dep_delay)"
    assert spelled_out('row_count {"a:b": 1}') == 'row_count {"a:b": 1}'


@on("postgres", "sqlite")
def test_days_that_are_left_out(database: Database) -> None:
    fill(database.session, rows=with_incident)
    found = backtest(at(database), metrics="row_count", baseline=Baseline(exclude=((day(99), day(101)),)))  # type: ignore[arg-type]
    assert found["tests"][0]["judged"] == 57
    assert not dates(found)


@on("postgres", "sqlite")
def test_what_could_not_be_judged_is_said(database: Database) -> None:
    fill(database.session, days=range(DAYS - 10, DAYS))
    found = backtest(at(database), metrics=["row_count", {"metric": "custom_sql", "sql": "SELECT 1"}])
    assert [(test["judged"], test["a_year"]) for test in found["tests"]] == [(0, None), (0, None)]
    assert "too few values to judge row_count" in found["notes"]
    assert any("only the ledger knows the past of custom_sql" in note for note in found["notes"])


@on("postgres")
def test_a_table_without_partitions(database: Database) -> None:
    fill(database.session)
    session, whole = database.session, Partition(Table("orders", "public"))
    rows = session.query("SELECT COUNT(*) FROM orders")[0][0]
    ledger = ledger_of(session)
    for ago in range(1, 41):
        ledger.record_past(Run(), {whole: {ROWS: Measurement(4 if ago == 5 else rows - ago)}})
        session.execute(f"UPDATE dataquality.metric SET measured_at = now() - interval '{ago} days' WHERE measured_at "
                        "> now() - interval '1 hour'")  # fmt: skip
    found = backtest(at(database, partition={}, last=20), metrics="row_count")
    assert found["partition"] == {}
    assert found["tests"][0]["judged"] == 20
    assert len(dates(found)) == 1
    assert mark(at(database, partition={}))["partition"] == {}
    assert backtest(at(database, partition={}, last=20), metrics="row_count")["tests"][0]["judged"] == 19


@on("sqlite")
@pytest.mark.parametrize(
    ("spelled", "last", "date"),
    [("%Y-%m-%d %H:00:00", "2024-01-05 23:00:00", "2024-01-05 12:00"), ("%Y%m%d", "20240429", "2024-04-18")],
)
def test_hours_and_other_spellings(database: Database, spelled: str, last: str, date: str) -> None:
    step = timedelta(hours=1) if "%H" in spelled else timedelta(days=1)
    database.session.execute("CREATE TABLE orders (ds TEXT)")
    moments = [datetime(2024, 1, 1) + step * n for n in range(120)]  # noqa: DTZ001 - a partition's name
    with database.session.transaction():
        for number, moment in enumerate(moments):
            rows = 2 if number == 108 else usual(number)
            values = ", ".join([f"('{moment:{spelled}}')"] * rows)
            database.session.execute(f"INSERT INTO orders VALUES {values}")
    found = backtest(at(database, partition={"ds": last}), metrics="row_count")
    assert found["tests"][0]["judged"] == 60
    assert date in dates(found)


@on("sqlite")
@pytest.mark.parametrize("ends", [False, True], ids=["on the 15th", "on the last day"])
def test_months(database: Database, ends: bool) -> None:
    pairs = [(2018 + n // 12, n % 12 + 1) for n in range(60)]
    months = [f"{year}-{month:02}-{calendar.monthrange(year, month)[1] if ends else 15}" for year, month in pairs]
    database.session.execute("CREATE TABLE orders (ds TEXT)")
    with database.session.transaction():
        for number, month in enumerate(months):
            values = ", ".join([f"('{month}')"] * (2 if number == 50 else usual(number)))
            database.session.execute(f"INSERT INTO orders VALUES {values}")
    given = {"metrics": "row_count", "baseline": Baseline(period="month", window=36)}
    found = backtest(at(database, partition={"ds": months[-1]}, last=24), **given)
    assert dates(found) == ["2022-03-01"]


@pytest.mark.parametrize(
    ("place", "arguments", "message"),
    [
        ({"table": "ordres"}, {}, "there is no table"),
        ({"conn_id": "nowhere"}, {}, "connection 'nowhere' cannot be used"),
        ({"partition": {"day": None}}, {}, "partition column 'day' is not in"),
        ({"partition": {"ds": "2031-01-01"}}, {}, "there is nothing of .*2031-01-01 in the table or the ledger"),
        ({"partition": {"ds": "2031-01-01"}, "history": "table"}, {}, "there is nothing of .*2031-01-01 in the table"),
        ({"partition": {"shop": "west", "ds": None}}, {}, "has no rows"),
        ({"history": "ledger"}, {}, "there is no ledger in schema"),
        ({"history": "tables"}, {}, "did you mean 'table'"),
        ({"last": 0}, {}, "last is 0"),
        ({}, {"metrics": "rowcount"}, "did you mean 'row_count'"),
        ({}, {"metrics": ["mean:amuont"]}, "did you mean 'amount'"),
        ({}, {"columns": ["amuont"]}, "did you mean 'amount'"),
    ],
)
@on("sqlite")
def test_what_cannot_be_tried(
    database: Database, place: dict[str, Any], arguments: dict[str, Any], message: str
) -> None:
    fill(database.session, days=range(3))
    with pytest.raises(DataQualityError, match=message):
        backtest(Place(**{"conn_id": "lite", "table": "orders", "partition": {"ds": day(2)}, **place}), **arguments)


def test_the_ledger_may_be_elsewhere(warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lite.db"
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    session = DbApiSession(sqlite3.connect(path), dialect_for("sqlite"))
    fill(session, rows=with_incident)
    where = Place("lite", "orders", {"ds": day(INCIDENT)}, ledger_conn_id="warehouse")
    mark(where)
    session.connection.close()
    found = backtest(Place("lite", "orders", {"ds": None}, ledger_conn_id="warehouse"), metrics="row_count")
    assert found["tests"][0]["judged"] == 89
    with warehouse.connect() as connection:
        assert connection.execute("SELECT count(*) FROM dataquality.verdict").fetchone() == (1,)
