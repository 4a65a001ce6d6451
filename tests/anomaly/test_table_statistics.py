"""TableStatisticsOperator: what it measures, of which partitions and tables, and what it says of those it cannot."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from anomaly import lab
from anomaly.lab import TODAY, ago

from airflow_dataquality.errors import DataQualityError, PartitionError, SpecError
from airflow_dataquality.model import Table
from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from support import Database, Warehouse, on, synced


def numbers(database: Database, when: Any = TODAY, table: str = "flights") -> dict[str, float | None]:
    """What the ledger knows of a partition."""
    key = lab.place(database, {"ds": str(when)}).json
    rows = lab.recorded(database, "metric", "metric, value, partition, table_name")
    return {name: value for name, value, partition, of in rows if (partition, of) == (key, table)}


def test_it_measures_each_column_by_its_type(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    lab.make(database, lab.COLUMNS + ", seen timestamp")
    now = datetime.now(UTC).replace(tzinfo=None) - timedelta(hours=1)
    lab.insert(database, [(*row, now) for row in lab.day(TODAY, 10)])
    lab.listen(caplog)
    outcome = lab.describe(database)
    run_uid = outcome.pop("run_uid")
    whole = "flights" if database.kind == "sqlite" else "public.flights"
    assert json.loads(json.dumps(outcome)) == {
        "tables": [{"table": whole, "partitions": [{"ds": "2013-05-01"}], "rows": 10, "metrics": 20}],
        "metrics": 20,
        "passed_over": [],
    }
    found = numbers(database)
    assert found.pop("freshness(seen)") == pytest.approx(3600, abs=100)
    assert found == {
        "row_count": 10, "column_count": 6, "null_ratio(id)": 0, "null_ratio(origin)": 0.1, "null_ratio(delay)": 0,
        "null_ratio(late)": 0, "null_ratio(seen)": 0, "mean(id)": 4.5, "mean(delay)": 5, "true_ratio(late)": 0.5,
        "stddev(id)": pytest.approx(3.02765), "stddev(delay)": 0, "min(id)": 0, "min(delay)": 5, "max(id)": 9,
        "max(delay)": 5, "min_length(origin)": 3, "max_length(origin)": 3, "empty_count(origin)": 0,
    }  # fmt: skip
    assert [sql.partition("\n")[0][:11] for sql in lab.sent(caplog)] == ["SELECT", "INSERT INTO"]
    states = set(lab.recorded(database, "metric", "state, run_uid"))
    assert states == {("observed", run_uid)}
    assert not lab.recorded(database, "check_result", "check_name")


def test_what_is_recorded_is_what_anomalies_are_judged_by(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    lab.make(database)
    lab.days(database, 1, first=20)
    lab.describe(database, partition={"ds": ago(1)}, since_last=True)
    lab.insert(database, lab.day(TODAY, 4))
    lab.listen(caplog)
    outcome = lab.look(database)
    assert (outcome["anomalies"], {test["history"] for test in outcome["tests"]}) == (
        ["row_count", "null_ratio(origin)", "mean(id)"],
        {20},
    )
    assert not [sql for sql in lab.sent(caplog) if sql.endswith('GROUP BY "ds"')]


def test_keys_columns_rules_and_a_clause(database: Database) -> None:
    lab.make(database)
    lab.insert(database, [*lab.day(TODAY, 10), *lab.day(TODAY, 3, origin="JFK")])
    nothing: dict[str, Any] = {name: [] for name in ("any", "number", "boolean", "time", "text", "table")}
    lab.describe(database, keys=["ds", "id"], rules=nothing)
    assert numbers(database) == {"row_count": 13, "unique_violations(ds, id)": 3}
    where = "origin = 'EWR'"
    rules = {**nothing, "text": ["distinct_count"], "number": [{"metric": "quantile", "q": 0.5}]}
    lab.describe(database, keys=["ds", "id"], rules=rules, partition_clause=where, columns=["id", "origin"])
    found = {name.removesuffix(f" where {where}"): value for name, value in numbers(database).items() if where in name}
    assert found == {"quantile(id, q=0.5)": 4, "distinct_count(origin)": 1, "unique_violations(ds, id)": 0}
    lab.describe(database, rules={**nothing, "any": ["null_count"]}, columns="ds")
    assert numbers(database)["null_count(ds)"] == 0


def test_since_last_fills_the_gap(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    def measured(when: Any, **arguments: Any) -> tuple[list[str], int]:
        lab.listen(caplog)
        outcome = lab.describe(database, partition={"ds": when}, since_last=True, **arguments)
        (table,) = outcome["tables"]
        return [key["ds"] for key in table["partitions"]], len([sql for sql in lab.sent(caplog) if "\nFROM" in sql])

    scans = 2 if database.kind == "sqlite" else 1  # a deviation is a scan of its own there, of the last day alone
    lab.make(database)
    lab.days(database, 3, first=6)
    lab.days(database, -3, first=1)  # no rows two days ago
    assert measured(ago(4)) == ([str(ago(6)), str(ago(5)), str(ago(4))], scans)
    assert measured(ago(4)) == ([], 0)
    assert measured(TODAY) == ([str(ago(3)), str(ago(1)), str(TODAY)], scans)
    assert measured(ago(5)) == ([], 0)
    # A partition without rows is measured, too, and what comes after it is left alone.
    database.session.execute("DELETE FROM flights WHERE ds = '2013-05-02'")
    assert measured(ago(-1))[0] == [str(ago(-1))]
    assert numbers(database, ago(-1))["row_count"] == 0
    assert not numbers(database, ago(-3))
    # Another metric was never measured: all of its partitions are new.
    days, statements = measured(TODAY, rules={"text": ["distinct_count"]})
    assert (len(days), statements) == (6, scans + 1)
    assert len(lab.recorded(database, "metric", "run_uid")) == len(
        set(lab.recorded(database, "metric", "run_uid, partition, metric"))
    )


@pytest.mark.parametrize("kind", ["integer", "timestamp"])
def test_since_last_knows_what_it_recorded(kind: str, database: Database) -> None:
    lab.make(database, f"region text, k {kind}, n integer")
    values = [20130429, 20130430, 20130501] if kind == "integer" else [f"2013-05-01 0{n}:00:00" for n in range(1, 4)]
    lab.insert(database, [(region, value, 1) for value in values for region in ("EU", "US")])
    for last, count in ((1, 2), (1, 0), (2, 1), (0, 0)):
        for region in ("EU", "US"):
            outcome = lab.describe(database, partition={"region": region, "k": values[last]}, since_last=True)
            assert len(outcome["tables"][0]["partitions"]) == count
            assert outcome["tables"][0]["rows"] == count
    assert len({text for (text,) in lab.recorded(database, "metric", "partition")}) == 6


@pytest.fixture
def many(database: Database) -> Database:
    for name in ("flights_eu", "flights_us", "Flights 'odd'", "other"):
        lab.make(database, table=Table(name))
        lab.insert(database, lab.day(TODAY, 2), table=Table(name))
    lab.make(database, "code text", table=Table("flights_airports"))
    database.session.execute("CREATE VIEW flights_view AS SELECT * FROM flights_eu")
    return database


def test_many_tables(many: Database, caplog: pytest.LogCaptureFixture) -> None:
    schema = "" if many.kind == "sqlite" else "public."
    odd = "flights 'odd'" if many.kind == "redshift" else "Flights 'odd'"
    for tables, found, passed_over in [
        ("flights_*", {"flights_eu", "flights_us"}, ["flights_airports"]),
        (["*_eu", "other", "flights_e?"], {"flights_eu", "other"}, []),
        (schema + "*light*", {"flights_eu", "flights_us", odd}, ["flights_airports"]),
    ]:
        outcome = lab.describe(many, tables=tables)
        assert {each["table"].removeprefix("public.").strip('"') for each in outcome["tables"]} == found
        assert [name.removeprefix("public.") for name in outcome["passed_over"]] == passed_over
        assert outcome["metrics"] == sum(each["metrics"] for each in outcome["tables"])
    assert numbers(many, table="flights_us")["row_count"] == 2
    # The ledger is there by now, and is none of them.
    everything = lab.describe(many, tables=["public.*", "dataquality.*"] if schema else "*", partition=None)
    assert len(everything["tables"]) == 5


def test_a_table_that_cannot_be_measured_is_told_after_the_others(many: Database) -> None:
    many.session.execute("ALTER TABLE flights_us ADD COLUMN spare integer")
    with pytest.raises(AirflowException) as raised:
        lab.describe(many, tables="flights_*", columns=["spare", "id"])
    message = str(raised.value)
    assert message.startswith("1 tables were not measured:\n")
    assert "flights_eu: there is no column 'spare'\nHint: Columns: delay, ds, id, late, origin" in message
    assert isinstance(raised.value.__cause__, DataQualityError)
    assert numbers(many, table="flights_us")["null_ratio(spare)"] == 1
    with pytest.raises(AirflowException, match=r"flights_us: the rows of .* cannot be read: "):
        lab.describe(many, tables="flights_*", partition_clause="nope = 1")


WRONG: list[tuple[Any, str]] = [
    ({"table": "nowhere"}, "there is no table"),
    ({"tables": "nowhere_*"}, "no table is like 'nowhere_*'\nHint: tables of "),
    ({"partition": {"dss": TODAY}}, "did you mean 'ds'?"),
    ({"columns": ["orign"]}, "did you mean 'origin'?"),
    ({"keys": ["orign"]}, "did you mean 'origin'?"),
    ({"partition_clause": "nope = 1"}, "cannot be read"),
    ({"since_last": True, "partition": {"origin": "EWR"}}, "since_last wants a date in the partition"),
    ({"tables": "flights", "partition": {"dss": TODAY}}, "no table of 'flights' has the columns dss"),
]


def test_what_only_the_database_knows(database: Database) -> None:
    lab.make(database)
    for arguments, says in WRONG:
        with pytest.raises(AirflowException) as raised:
            lab.describe(database, **arguments)
        assert says in str(raised.value)
        assert "Hint: " in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"conn_id": None}, "has no conn_id"),
        ({"table": None}, "give table= or tables=, and not both"),
        ({"tables": "a.*"}, "give table= or tables=, and not both"),
        ({"table": "a.b.c"}, "names a database"),
        ({"partition": "ds=1"}, "is not a mapping"),
        ({"partition": {"ds": [1]}}, "is not a plain value"),
        ({"partition_clause": "a; b"}, "semicolon"),
        ({"table": None, "tables": "a.*", "partition_clause": "a; b"}, "semicolon"),
        ({"since_last": True}, "since_last without a partition"),
        ({"ledger_schema": None}, "nothing would be recorded"),
        ({"rules": {"texts": []}}, "did you mean 'text'?"),
        ({"rules": {"text": ["nul_ratio"]}}, "did you mean 'null_ratio'?"),
        ({"rules": ["row_count"]}, "not a mapping"),
        ({"columns": []}, "columns"),
        ({"keys": "id"}, "keys"),
    ],
)
def test_what_can_never_work_is_refused_at_once(arguments: dict[str, Any], says: str) -> None:
    defaults: dict[str, Any] = {"task_id": "describe", "conn_id": "nowhere", "table": "flights"}
    with pytest.raises((SpecError, PartitionError)) as raised:
        TableStatisticsOperator(**{**defaults, **arguments})
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)


@on("sqlite")
def test_without_retries_it_fails_for_good(database: Database) -> None:
    with pytest.raises(AirflowFailException):
        lab.describe(database, retry_on_failure=False)
    with pytest.raises(AirflowException, match=r"tables was not rendered[\s\S]*Hint: "):
        lab.describe(database, tables="{{ params.schema }}.*")


@on("postgres")
def test_one_number_that_cannot_be_measured(database: Database) -> None:
    lab.make(database)
    lab.insert(database, lab.day(TODAY, 2, delay=1e308))
    database.session.execute("UPDATE flights SET delay = 1e-308 WHERE id = 1")
    lab.describe(database)
    found = numbers(database)
    assert "stddev(delay)" not in found
    assert found["max(delay)"] == 1e308


DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator

with DAG("statistics", schedule=None, start_date=datetime(2013, 1, 1), params={"s": "public"}):
    own = dict(conn_id="warehouse", partition={"ds": "{{ ds }}"})
    mapped = TableStatisticsOperator.partial(task_id="mapped", **own).expand(table=["flights", "{{ params.s }}.other"])
    several = TableStatisticsOperator(task_id="several", tables="{{ params.s }}.*", since_last=True, **own)
    looked = ZScoreAnomalyOperator.partial(task_id="looked", min_history=3, **own).expand(table=["flights", "other"])
    mapped >> several >> looked
"""


def test_in_a_dag_run(warehouse: Warehouse, airflow_db: None, tmp_path: Path) -> None:
    (tmp_path / "dag.py").write_text(DAG_FILE)
    with warehouse.connect() as connection:
        for name in ("flights", "other"):
            connection.execute(f"CREATE TABLE {name} (ds date, n integer)")  # type: ignore[arg-type]
            connection.execute(
                f"INSERT INTO {name} SELECT date '2013-05-01' - d, d FROM generate_series(0, 20) AS d"  # type: ignore[arg-type]
            )
        run = synced(tmp_path, "statistics").test(logical_date=datetime(2013, 5, 1, tzinfo=UTC))
        assert run.state == "success"
        query = "SELECT task_id, map_index, status, count(*) FROM dataquality.check_result GROUP BY 1, 2, 3 ORDER BY 2"
        assert connection.execute(query).fetchall() == [("looked", 0, "pass", 3), ("looked", 1, "pass", 3)]
        query = "SELECT table_name, count(DISTINCT partition) FROM dataquality.metric GROUP BY 1 ORDER BY 1"
        assert connection.execute(query).fetchall() == [("flights", 21), ("other", 21)]


def test_a_pattern_without_a_schema_means_the_tables_of_ones_own(database: Database) -> None:
    lab.make(database)
    lab.insert(database, lab.day(TODAY))
    if database.kind != "sqlite":
        database.session.execute("CREATE SCHEMA elsewhere")
        database.session.execute("CREATE TABLE elsewhere.other (ds date)")
    outcome = lab.describe(database, table=None, tables="*")
    assert [table["table"].rpartition(".")[2] for table in outcome["tables"]] == ["flights"]
