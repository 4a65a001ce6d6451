"""Where the past comes from: the ledger, the table, partitions of every spelling; and what is no history."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from anomaly import lab
from anomaly.lab import TODAY, ago

from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.model import Metric, Table
from airflow_dataquality.results import Measurement
from support import Database, on

ROWS: dict[str, Any] = {"metrics": ["row_count"]}


def rows(database: Database, **arguments: Any) -> dict[str, Any]:
    """What was said of the number of rows."""
    return lab.verdicts(lab.look(database, **{**ROWS, **arguments}))["row_count"]


def months(count: int) -> date:
    whole = TODAY.year * 12 + TODAY.month - 1 - count
    return date(whole // 12, whole % 12 + 1, 1)


def hours(count: int) -> datetime:
    return datetime(2013, 5, 1, 5) - timedelta(hours=count)  # noqa: DTZ001 - as the column holds it


KEYS: dict[str, tuple[str, Callable[[int], Any], Callable[[int], Any]]] = {
    "date": ("date", ago, ago),
    "date as text": ("date", ago, lambda n: str(ago(n))),
    "text": ("varchar(10)", lambda n: str(ago(n)), lambda n: str(ago(n))),
    "integer": ("integer", lambda n: int(f"{ago(n):%Y%m%d}"), lambda n: int(f"{ago(n):%Y%m%d}")),
    "integer as text": ("integer", lambda n: int(f"{ago(n):%Y%m%d}"), lambda n: f"{ago(n):%Y%m%d}"),
    "timestamp, hourly": ("timestamp", hours, lambda n: str(hours(n))),
    "timestamp, daily": ("timestamp", lambda n: f"{ago(n)} 00:00:00", lambda n: f"{ago(n)} 00:00:00"),
    "month": ("varchar(7)", lambda n: f"{months(n):%Y-%m}", lambda n: f"{months(n):%Y-%m}"),
    "month as integer": ("integer", lambda n: int(f"{months(n):%Y%m}"), lambda n: int(f"{months(n):%Y%m}")),
}


def test_partitions_of_every_spelling(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    for kind, (type_name, stored, named) in KEYS.items():
        table = Table(kind.replace(",", ""))
        lab.make(database, f"k {type_name}, n integer", table=table)
        # What comes after the partition, and what is older than the window, is not its past.
        sizes = dict.fromkeys(range(24, 0, -1), 10) | {0: 3, -1: 40, -2: 40, 25: 40}
        lab.insert(database, [(stored(n), i) for n, size in sizes.items() for i in range(size)], table=table)
        own = {"table": f'"{table.name}"', "window": 24}
        first = rows(database, partition={"k": named(0)}, **own)
        assert (first["status"], first["history"], round(first["expected"])) == ("warn", 24, 10), kind
        # All of it is in the ledger now, spelled as the partition itself is: no second bootstrap.
        lab.listen(caplog)
        assert rows(database, partition={"k": named(0)}, **own) == first, kind
        assert not [sql for sql in lab.sent(caplog) if 'GROUP BY "k"' in sql], kind
        past = [json.loads(text)["k"] for text in partitions(database, table.name)]
        assert len(past) == 25, kind
        assert len({(type(value), len(str(value))) for value in past}) == 1, kind
        # The next partition reads what this one recorded, and this one; a backfilled one what is older than it.
        assert rows(database, partition={"k": named(-1)}, history="ledger", **own)["history"] == 24, kind
        assert rows(database, partition={"k": named(4)}, history="ledger", **own)["history"] == 20, kind


def partitions(database: Database, table: str) -> set[str]:
    return {text for text, name in lab.recorded(database, "metric", "partition, table_name") if name == table}


@on("postgres", "redshift")
def test_a_time_zone_is_of_no_concern(database: Database) -> None:
    lab.make(database, "k timestamptz, n integer")
    moments = [datetime(2013, 5, 1, 5, tzinfo=UTC) - timedelta(hours=n) for n in range(31)]
    lab.insert(database, [(when, n) for when in moments for n in range(10)])
    if database.kind == "postgres":
        database.session.execute("ALTER DATABASE " + name_of(database) + " SET timezone = 'Asia/Tokyo'")
    own = {"partition": {"k": "2013-05-01 07:00:00+02:00"}, "window": 24}
    found = rows(database, **own)
    assert (found["status"], found["history"]) == ("pass", 24)
    assert rows(database, **own, history="ledger") == found
    assert len(partitions(database, "flights")) == 25


def name_of(database: Database) -> str:
    return str(database.session.query("SELECT current_database()")[0][0])


def test_two_columns_make_a_partition(database: Database) -> None:
    lab.make(database, "region text, ds date, n integer")
    lab.insert(
        database,
        [(region, ago(n), i) for n in range(30, -1, -1) for region, size in (("EU", 8), ("US", 4), (None, 2))
         for i in range(size if n else 4)],
    )  # fmt: skip
    for region, status, expected in (("EU", "warn", 8), ("US", "pass", 4), (None, "warn", 2)):
        found = rows(database, partition={"region": region, "ds": TODAY})
        assert (found["status"], found["history"], round(found["expected"])) == (status, 30, expected)
        assert rows(database, partition={"ds": TODAY, "region": region}, history="ledger") == found


@pytest.mark.parametrize("key", [{}, {"region": "EU"}], ids=["whole table", "no date in the key"])
def test_without_a_date_history_is_what_was_measured_before(key: dict[str, str], database: Database) -> None:
    lab.make(database, "region text")
    lab.insert(database, [("EU",)] * 5)
    assert rows(database, partition=key)["reason"].endswith("0 of the last 90 days are known, and 14 are needed")
    measured_before(database, key, {n: 10 if n <= 90 else 999 for n in range(100, 0, -1)})
    found = rows(database, partition=key)
    assert (found["status"], found["history"], round(found["expected"])) == ("warn", 90, 10)
    # What was measured earlier on the same day is not its own history.
    assert rows(database, partition=key) == found


def measured_before(database: Database, key: dict[str, str], values: dict[int, int]) -> None:
    """Write into the ledger how many rows there were, so many days ago."""
    where, sql = lab.place(database, key), database.session.dialect
    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    zone = "" if database.kind == "sqlite" else "+00"
    columns = ["run_uid", "table_schema", "table_name", "partition", "metric", "value", "state", "measured_at"]
    written = [
        [f"run {n}", where.table.schema, where.table.name, where.json, "row_count", value, "observed",
         f"{now - timedelta(days=n)}{zone}"] for n, value in values.items()
    ]  # fmt: skip
    database.session.execute(sql.insert(Ledger(database.session).table("metric"), columns, written))


def test_what_is_no_history(database: Database) -> None:
    """Rejected values, and those that somebody marked; the last measurement of a day counts."""
    lab.make(database)
    lab.insert(database, lab.day(TODAY))
    ledger = Ledger(database.session)
    lab.remember(database, {ago(n): 10 for n in range(1, 21)})
    assert rows(database, history="ledger")["history"] == 20
    for days in (1, 2, 3):
        ledger.record_incident(lab.place(database, {"ds": str(ago(days))}), "row_count", "lost a shipment")
    ledger.record_incident(lab.place(database, {"ds": str(ago(4))}), None, None)
    ledger.record_incident(lab.place(database, {"ds": str(ago(5))}), "mean(delay)", "another metric")
    ledger.record_incident(lab.place(database, {"ds": str(ago(6))}, table="others"), None, "another table")
    assert rows(database, history="ledger")["history"] == 16
    for source in ("auto", "table"):
        assert rows(database, history=source)["history"] == 16 if source == "auto" else True
    for number, days in ((16, 7), (17, 21)):
        where = lab.place(database, {"ds": str(ago(days))})
        ledger.record_metrics(Run(), where, {Metric("row_count"): Measurement(10_000)}, state="rejected")
        ledger.record_metrics(Run(), where, {Metric("row_count"): Measurement(10)}, state="published")
        assert rows(database, history="ledger")["history"] == number
    assert round(rows(database, history="ledger")["expected"]) == 10
    assert ledger.forget_incident(lab.place(database, {"ds": str(ago(1))}), "row_count") == 1
    assert ledger.forget_incident(lab.place(database, {"ds": str(ago(4))}), None) == 1
    assert rows(database, history="ledger")["history"] == 19


def test_an_incident_is_no_history_of_the_table_either(database: Database) -> None:
    lab.make(database)
    lab.days(database, 0)
    ledger = Ledger(database.session)
    ledger.ensure()
    ledger.record_incident(lab.place(database, {"ds": str(ago(3))}), None, None)
    assert rows(database, history="table")["history"] == 39
    assert rows(database)["history"] == 39
    assert rows(database)["history"] == 39


def test_days_left_out(database: Database) -> None:
    lab.make(database)
    christmas = date(2013, 12, 25)
    sizes = {christmas + timedelta(days=n): 10 for n in range(-30, 10)} | {christmas: 1, date(2014, 1, 1): 1}
    lab.insert(database, [row for when, size in sizes.items() for row in lab.day(when, size)])
    # Thanksgiving is among the days before, too.
    arguments = {"holidays": "US", "exclude": ["2013-12-24", ("2013-12-27", date(2013, 12, 29))]}
    found = rows(database, partition={"ds": "2014-01-02"}, **arguments)
    assert (found["status"], found["history"]) == ("pass", 38 - 3 - 4)
    for when, why in (
        ("2013-12-25", "2013-12-25 is a holiday (Christmas Day)"),
        ("2013-12-28", "2013-12-28 is left out by `exclude`"),
    ):
        outcome = lab.look(database, partition={"ds": when}, **arguments)
        assert {test["status"] for test in outcome["tests"]} == {"skip"}
        assert outcome["tests"][0]["reason"].endswith(why)
    with pytest.raises(AirflowException, match=r"holidays='XX'[\s\S]*Hint: "):
        rows(database, holidays="XX")


@pytest.mark.parametrize("known", [0, 3, 13, 14])
def test_few_points_of_history(known: int, database: Database) -> None:
    lab.make(database)
    lab.insert(database, [row for n in range(known + 1) for row in lab.day(ago(n * 6))])  # with days missing
    found = rows(database)
    why = f"{known} of the last 90 days are known, and 14 are needed"
    assert (found["status"], found["history"]) == ("pass" if known == 14 else "skip", known)
    assert found["reason"].endswith(why) is (known < 14)
    assert rows(database, min_history=3)["status"] == ("skip" if known == 0 else "pass")
    # Looking again adds no history.
    assert len(lab.recorded(database, "metric", "metric")) == known + 2


def test_without_a_ledger_and_with_another(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab.make(database)
    lab.days(database, 1)
    lab.insert(database, lab.day(TODAY, 4))
    plain = lab.look(database, ledger_schema=None)
    assert lab.statuses(plain)["row_count"] == "warn"
    assert not database.session.columns(Ledger(database.session).table("metric"))
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "dq.db")}))
    for _ in range(2):
        lab.listen(caplog)
        assert lab.look(database, ledger_conn_id="elsewhere", ledger_schema="dq")["tests"] == plain["tests"]
    assert not [sql for sql in lab.sent(caplog) if "GROUP BY" in sql and "dq_metric" not in sql]
    assert not database.session.columns(Ledger(database.session).table("metric"))
    with pytest.raises(AirflowException, match=r"there is no table nowhere[\s\S]*Hint: "):
        lab.look(database, table="nowhere")


def test_numbers_that_are_none(database: Database) -> None:
    """NULLs, NaN, infinities, empty partitions and days without one, in the past and now."""
    lab.make(database, "ds date, always double precision, suddenly double precision, same double precision, n integer")
    special = math.inf if database.kind != "sqlite" else 1e308
    past = [(ago(n), None, 5.0 + n % 3, 7.0, 1) for n in range(30, 0, -1) if n not in (9, 10)]
    past += [(ago(9), None, special, 7.0, 1)] if database.kind == "postgres" else []
    lab.insert(database, [*past, *past, (TODAY, None, None, 7.0, None), (TODAY, None, None, 7.0, None)])
    found = lab.verdicts(
        lab.look(database, metrics=["row_count", "mean", "null_ratio"], columns=["always", "suddenly", "same"])
    )
    said = {name: (test["status"], test["reason"]) for name, test in found.items()}
    assert said["mean(always)"] == (
        "skip",
        "mean(always) has no value: 0 of the last 90 days are known, and 14 are needed",
    )
    assert said["null_ratio(always)"][0] == "pass"
    assert said["mean(suddenly)"][0] == "warn"
    assert said["mean(suddenly)"][1].startswith("mean(suddenly) has no value, expected about 6 (")
    assert said["null_ratio(suddenly)"][0] == "warn"
    assert said["mean(same)"][0] == "pass"
    assert found["mean(same)"]["history"] == (29 if database.kind == "postgres" else 28)
    assert found["mean(suddenly)"]["history"] == 28
    # Zero rows are a number of rows, and nothing else is said of them.
    empty = lab.verdicts(lab.look(database, partition={"ds": TODAY + timedelta(days=1)}, metrics=["row_count", "mean"]))
    assert empty["row_count"]["status"] == "warn"
    assert "row_count is 0, expected about 2" in empty["row_count"]["reason"]
    assert {test["status"] for name, test in empty.items() if name != "row_count"} == {"skip"}
    assert empty["mean(same)"]["reason"] == "no rows to check"


@on("postgres")
def test_a_number_that_is_not_finite(database: Database) -> None:
    lab.make(database, "ds date, x double precision")
    lab.insert(database, [(ago(n), 5.0) for n in range(30, 0, -1)])
    for value, said in (("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf")):
        database.session.execute(f"DELETE FROM flights WHERE ds = '{TODAY}'")
        database.session.execute(f"INSERT INTO flights VALUES ('{TODAY}', '{value}')")
        (found,) = lab.look(database, metrics=["mean"])["tests"]
        assert (found["status"], found["value"]) == ("warn", None)
        assert f"mean(x) is {said}, expected about 5" in found["reason"]


def test_the_same_again(database: Database) -> None:
    """A partition is never its own history, and an older one sees only what is older."""
    lab.make(database)
    lab.days(database, 1)
    lab.insert(database, lab.day(TODAY, 4))
    first = lab.look(database)["tests"]
    backfilled = lab.look(database, partition={"ds": ago(10)})["tests"]
    lab.insert(database, lab.day(TODAY, 6))
    assert lab.verdicts({"tests": lab.look(database)["tests"]})["row_count"]["status"] == "pass"
    database.session.execute("DELETE FROM flights WHERE ds = '2013-05-01'")
    lab.insert(database, lab.day(TODAY, 4))
    assert lab.look(database)["tests"] == first
    assert lab.look(database, partition={"ds": ago(10)})["tests"] == backfilled
    assert {test["history"] for test in backfilled} == {30}
