"""Every example DAG runs through Airflow, on real flights."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from metrics.lab import udp_agent

from airflow_dataquality import examples, maintenance
from airflow_dataquality.demo import flights, report
from airflow_dataquality.demo.dags import load
from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.saved_tests import SavedTests
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.saved import read
from asset_runs import states, triggered, triggers_as_here, unpause
from support import Warehouse

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"
PAGES = Path(__file__).parent.parent / "docs" / "pages"
DAY = date(2013, 2, 8)
NEXT_DAY = date(2013, 2, 9)

RunDag = Callable[[str, date], Any]


@pytest.fixture(scope="module")
def flights_template(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database with the flights in it, for others to be copied from."""
    name = "flights_template"
    with psycopg.connect(postgres.create_database(name), autocommit=True) as connection:
        flights.load(connection)
        connection.execute("CREATE SCHEMA analytics")
    yield name
    postgres.drop_database(name)


@pytest.fixture
def warehouse(
    postgres: EmbeddedPostgres, flights_template: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """A database with the flights in it."""
    warehouse = Warehouse(postgres.create_database("example_dags", template=flights_template), "warehouse")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.uri)
    yield warehouse
    postgres.drop_database("example_dags")


@pytest.fixture
def outcome(warehouse: Warehouse, run_dag: RunDag) -> Iterator[Callable[[str, date], report.Outcome]]:
    """Run a DAG for a day, and read in the ledger what became of it."""
    with warehouse.connect() as connection:
        yield lambda dag_id, day: report.read(connection, run_dag(dag_id, day), day)


def rows(warehouse: Warehouse, table: str) -> list[tuple[Any, ...]]:
    with warehouse.connect() as connection:
        return connection.execute(f"SELECT t::text FROM {table} t ORDER BY 1").fetchall()


def test_publishes_a_day_and_publishes_it_again(
    warehouse: Warehouse, outcome: Callable[[str, date], report.Outcome]
) -> None:
    first, second = outcome("dq_publish_daily_flights", DAY), outcome("dq_publish_daily_flights", NEXT_DAY)
    assert (first.status, first.mode, first.rows) == ("published", "create", 32)
    assert (second.status, second.mode, second.rows) == ("published", "overwrite", 28)
    assert [problem.check for problem in first.problems] == ["cancelled_share"]
    before = rows(warehouse, "analytics.daily_flights")
    assert outcome("dq_publish_daily_flights", DAY).status == "published"
    assert rows(warehouse, "analytics.daily_flights") == before
    assert len(before) == 60


def test_blocks_the_corrupted_batch(warehouse: Warehouse, outcome: Callable[[str, date], report.Outcome]) -> None:
    outcome("dq_publish_daily_flights", DAY)
    before = rows(warehouse, "analytics.daily_flights")
    blocked = outcome("dq_publish_corrupted_batch", DAY)
    assert (blocked.status, blocked.succeeded, blocked.rows) == ("BLOCKED", False, 64)
    assert {problem.check for problem in blocked.problems if problem.status == "fail"} == {
        "carrier_is_known",
        "one_row_per_carrier_and_airport",
    }
    assert blocked.kept is not None
    assert len(rows(warehouse, blocked.kept)) == 64
    assert rows(warehouse, "analytics.daily_flights") == before


def test_publishes_a_whole_table_and_rolls_it_back(
    warehouse: Warehouse, outcome: Callable[[str, date], report.Outcome]
) -> None:
    table = "analytics.airline_punctuality"
    assert outcome("dq_publish_from_yaml", DAY).mode == "create"
    first = rows(warehouse, table)
    assert outcome("dq_publish_from_yaml", NEXT_DAY).mode == "swap"
    assert rows(warehouse, table) != first
    maintenance.rollback(warehouse.conn_id, table)
    assert rows(warehouse, table) == first


def test_checks_a_table_that_exists(outcome: Callable[[str, date], report.Outcome]) -> None:
    checked = outcome("dq_check_existing_table", DAY)
    assert (checked.status, checked.rows, checked.failed) == ("checked", 930, 0)


def returned(run: Any, task: str) -> dict[str, Any]:
    """What a task of the run returned, from its XCom."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(XComModel).filter_by(run_id=run.run_id, dag_id=run.dag_id, task_id=task, key="return_value")
        value: dict[str, Any] = XComModel.deserialize_value(session.scalars(query).one())
    return value


def counts(run: Any, task: str) -> dict[str, int]:
    words = ("rows_staged", "inserted", "updated", "unchanged", "duplicates", "null_keys_dropped")
    outcome = returned(run, task)
    return {word: outcome[word] for word in words if outcome[word]}


def test_upserts_rows_of_python_and_of_a_select(warehouse: Warehouse, run_dag: RunDag) -> None:
    first = run_dag("upsert_customers", DAY)
    assert counts(first, "upsert_customers") == {"rows_staged": 120, "inserted": 120}
    aircraft = counts(first, "upsert_aircraft")
    assert aircraft["inserted"] == len(rows(warehouse, "analytics.aircraft")) == 397
    assert sum(aircraft.values()) == 2 * aircraft["rows_staged"]
    before = rows(warehouse, "analytics.customers")
    again = run_dag("upsert_customers", DAY)
    assert counts(again, "upsert_customers") == {"rows_staged": 120, "unchanged": 120}
    assert rows(warehouse, "analytics.customers") == before
    assert returned(again, "upsert_customers")["strategy"] == "on_conflict"
    next_day = run_dag("upsert_customers", NEXT_DAY)
    assert counts(next_day, "upsert_customers") == {"rows_staged": 120, "updated": 120}
    assert counts(next_day, "upsert_aircraft")["updated"] == 54


def test_an_older_day_leaves_newer_rows_alone(warehouse: Warehouse, run_dag: RunDag) -> None:
    for day in (DAY, NEXT_DAY):
        assert run_dag("upsert_customers", day).state == "success"
    in_order = rows(warehouse, "analytics.aircraft")
    with warehouse.connect() as connection:
        connection.execute("TRUNCATE analytics.aircraft")
    for day in (NEXT_DAY, DAY):
        assert run_dag("upsert_customers", day).state == "success"
    assert rows(warehouse, "analytics.aircraft") == in_order


SECRETS = {
    "AWS_ACCESS_KEY_ID": "AKIANOTTOBESEEN",
    "AWS_SECRET_ACCESS_KEY": "not-to-be-seen",
    "PASSWORD": "nor-this-one",
}


@pytest.fixture
def lake(redshift: RedshiftWarehouse, s3: Any, monkeypatch: pytest.MonkeyPatch) -> RedshiftWarehouse:
    """A day's files in S3, and secrets wherever a deployment has some."""
    customers = {
        "a": ("a@example.com", "Bonn", 8),
        "b": (None, "Oslo", 9),
        "c": ("c@example.com", None, 10),
    }
    put_parquet(s3, "2013-02-08", [(key, *values) for key, values in customers.items()])
    put_parquet(s3, "2013-02-09", [("b", "old@example.com", "Oslo", 7), ("b", "b@example.com", "Rome", 11),
                                   ("c", "c@example.com", None, 10), ("d", "d@example.com", "Riga", 12)])  # fmt: skip
    for day, orders in {"2013-02-08": "1,{0},a,10.50\n2,{0},b,0\n", "2013-02-09": "3,{0},nobody,5\n"}.items():
        body = "order_id,ds,customer_uuid,amount\n" + orders.format(day)
        s3.put_object(Bucket="lake", Key=f"orders/{day}/part-0.csv", Body=body.encode())
    connection = json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])
    keys = {"login": SECRETS["AWS_ACCESS_KEY_ID"], "password": SECRETS["AWS_SECRET_ACCESS_KEY"]}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection | keys))
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT_DEFAULT", os.environ["AIRFLOW_CONN_REDSHIFT"])
    return redshift


def put_parquet(s3: Any, day: str, customers: list[tuple[Any, ...]]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    uuids, emails, cities, hours = zip(*customers, strict=True)
    times = [datetime.fromisoformat(f"2013-02-08T{hour:02}:00:00") for hour in hours]
    columns = {
        "customer_uuid": uuids,
        "email": emails,
        "city": cities,
        "updated_at": pa.array(times, pa.timestamp("us")),
    }
    file = io.BytesIO()
    parquet.write_table(pa.table(columns), file)
    s3.put_object(Bucket="lake", Key=f"customers/{day}/part-0.parquet", Body=file.getvalue())


def on_redshift(redshift: RedshiftWarehouse, query: str) -> list[tuple[Any, ...]]:
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def test_loads_files_from_s3_into_redshift(
    lake: RedshiftWarehouse, run_dag: RunDag, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level("DEBUG", logger="airflow_dataquality"), caplog.at_level("INFO"):
        first = run_dag("redshift_customers", DAY)
        second = run_dag("redshift_customers", NEXT_DAY)
    assert first.state == "success"
    assert counts(first, "upsert_customers") == {"rows_staged": 3, "inserted": 3}
    assert returned(first, "upsert_customers")["warned_rules"] == ["null_ratio(email)"]
    assert counts(second, "upsert_customers") == {
        "rows_staged": 4, "inserted": 1, "updated": 1, "unchanged": 1, "duplicates": 1
    }  # fmt: skip
    assert on_redshift(lake, "SELECT customer_uuid, email, city FROM public.customer ORDER BY 1") == [
        ("a", "a@example.com", "Bonn"),
        ("b", "b@example.com", "Rome"),
        ("c", "c@example.com", None),
        ("d", "d@example.com", "Riga"),
    ]
    published = returned(first, "publish_orders")
    assert {key: published[key] for key in ("rows", "exchange", "partition", "passed")} == {
        "rows": 2, "exchange": "overwrite", "partition": {"ds": "2013-02-08"}, "passed": 3
    }  # fmt: skip
    assert second.state == "failed", "an order of the second day is by a customer that nobody knows"
    assert on_redshift(lake, "SELECT order_id FROM public.customer_order ORDER BY 1") == [(1,), (2,)]
    recorded = on_redshift(lake, "SELECT table_name, mode, rows FROM dataquality.publication ORDER BY published_at")
    assert recorded == [("customer", "upsert", 3), ("customer_order", "overwrite", 2), ("customer", "upsert", 2)]
    said = "\n".join([*lake.double.statements, caplog.text, *capfd.readouterr()])
    assert "COPY" in said
    assert "1 of 3 checks block it" in said, "what the task logs was looked at"
    assert not [secret for secret in (*SECRETS.values(), lake.double.password) if secret in said]


def test_finds_the_blizzard_among_the_days_before(warehouse: Warehouse, run_dag: RunDag) -> None:
    calm = run_dag("dq_anomalies_flights", date(2013, 2, 7))
    assert returned(calm, "anomalies")["anomalies"] == []
    stormy = run_dag("dq_anomalies_flights", DAY)
    found = returned(stormy, "anomalies")
    assert {"null_ratio(dep_time)", 'null_ratio(dep_time) {"origin": "EWR"}'} <= set(found["anomalies"])
    assert "row_count" not in found["anomalies"], "cancelled flights are rows, too"
    assert stormy.state == "success", "anomalies are warnings"
    (reason,) = [test["reason"] for test in found["tests"] if test["name"] == "null_ratio(dep_time)"]
    assert f"WARN null_ratio(dep_time): {reason}\n" in (PAGES / "guides" / "anomalies.md").read_text(encoding="utf-8")
    assert found["tests"][0].keys() >= {"value", "expected", "low", "high", "score", "p_value", "history", "reason"}
    assert [len(table["partitions"]) for table in returned(calm, "statistics")["tables"]] == [38]
    assert [len(table["partitions"]) for table in returned(stormy, "statistics")["tables"]] == [1]


def test_publishes_only_days_like_those_before(
    warehouse: Warehouse, outcome: Callable[[str, date], report.Outcome]
) -> None:
    with warehouse.connect() as connection:
        connection.execute("""
            CREATE TABLE analytics.departures AS
            SELECT ds, carrier, origin, dest, dep_time, dep_delay FROM raw.flights WHERE ds < '2013-02-07'""")
        assert outcome("dq_publish_only_normal_days", date(2013, 2, 7)).status == "published"
        stormy = outcome("dq_publish_only_normal_days", DAY)
        assert (stormy.status, [problem.check for problem in stormy.problems]) == (
            "published", ["null_ratio(dep_time)"]
        )  # fmt: skip
        connection.execute("DELETE FROM raw.flights WHERE ds = '2013-02-09' AND origin <> 'EWR'")
        halved = outcome("dq_publish_only_normal_days", NEXT_DAY)
        assert (halved.status, halved.succeeded) == ("BLOCKED", False)
        assert [problem.check for problem in halved.problems if problem.status == "fail"] == ["row_count"]
        query = "SELECT count(*) FROM analytics.departures WHERE ds = '2013-02-09'"
        assert connection.execute(query).fetchone() == (0,)


def test_compares_experiments_with_controls(warehouse: Warehouse, run_dag: RunDag) -> None:
    calm, stormy = (run_dag("anomaly_test_control_experiment", day) for day in (date(2013, 2, 7), DAY))
    assert returned(calm, "flights_and_cancellations")["passed"] == 4
    assert stormy.state == "success"
    assert returned(stormy, "flights_and_cancellations")["warned_rules"] == [
        "few_cancelled",
        "not_more_than_half_cancelled",
    ]


def test_runs_the_tests_that_people_saved(warehouse: Warehouse, run_dag: RunDag) -> None:
    rule = {"table": "raw.flights", "partition": {"ds": "{{ ds }}"}}
    cancelled = "SELECT count(*) AS n FROM raw.flights WHERE dep_time IS NULL AND ds = '{{ ds }}'"
    usual = "SELECT avg(n) AS n, stddev(n) AS stddev FROM (SELECT count(*) FILTER (WHERE dep_time IS NULL) AS n "
    usual += "FROM raw.flights WHERE ds >= date '{{ ds }}' - 28 AND ds < '{{ ds }}' GROUP BY ds) AS days"
    with connected("warehouse") as session:
        tests = SavedTests(Ledger(session))
        tests.ledger.ensure()
        tests.save(read("flights as usual", "metric", {**rule, "check": "row_count", "condition": {"geq_to": 500}}))
        tests.save(read("few cancelled", "formula", {
            "conn_id": "warehouse", "control_sql": usual, "experiment_sql": cancelled, "table": "raw.flights",
            "formula": "experiment.n <= control.n + z * control.stddev", "formula_params": {"z": 4},
        }))  # fmt: skip
    assert run_dag("data_quality_tests", date(2013, 2, 7)).state == "success"
    assert run_dag("data_quality_tests", DAY).state == "failed", "the blizzard"
    with warehouse.connect() as connection:
        said = "SELECT check_name, status FROM dataquality.check_result ORDER BY checked_at, check_name"
        assert connection.execute(said).fetchall() == [
            ("flights as usual", "pass"), ("few cancelled", "pass"),
            ("flights as usual", "pass"), ("few cancelled", "fail"),
        ]  # fmt: skip


def test_summarizes_every_aircraft_day_by_day(warehouse: Warehouse, run_dag: RunDag) -> None:
    for day in (DAY, NEXT_DAY):
        assert run_dag("dq_aircraft_summary", day).state == "success"
    seen = "tailnum, flights_total, miles_total, first_seen, last_seen, days_since_last, flights_28d, active_28d"
    scanned = f"""
        SELECT tailnum, count(*), sum(distance), min(ds), max(ds), '{NEXT_DAY}' - max(ds),
          count(*) FILTER (WHERE ds > date '{NEXT_DAY}' - 28),
          count(DISTINCT ds) FILTER (WHERE ds > date '{NEXT_DAY}' - 28)
        FROM raw.flights WHERE ds <= '{NEXT_DAY}' GROUP BY tailnum"""
    with warehouse.connect() as connection:
        kept = connection.execute(f"SELECT {seen} FROM analytics.aircraft_summary WHERE ds = '{NEXT_DAY}'").fetchall()
        assert set(kept) == set(connection.execute(scanned).fetchall())
    assert len(kept) > 2_500


@pytest.mark.parametrize("dag_id", ["dq_backfill_daily_flights", "dq_backfill_on_many_workers"])
def test_backfills_what_was_published_day_by_day(
    dag_id: str, warehouse: Warehouse, run_dag: RunDag, outcome: Callable[[str, date], report.Outcome]
) -> None:
    outcome("dq_publish_daily_flights", DAY)
    daily = rows(warehouse, "analytics.daily_flights")
    assert run_dag(dag_id, DAY).state == "success"
    with warehouse.connect() as connection:
        days = "SELECT count(DISTINCT ds) FROM analytics.daily_flights"
        assert connection.execute(days).fetchall() == [(365,)]
        modes = connection.execute("SELECT DISTINCT mode FROM dataquality.publication").fetchall()
    assert set(modes) == {("create",), ("overwrite",)}
    assert set(daily) <= set(rows(warehouse, "analytics.daily_flights"))


def test_a_job_is_backfilled_in_two_runs(warehouse: Warehouse, run_dag: RunDag) -> None:
    dag, table = load(str(EXAMPLE_DAGS / "dq_backfills.py"))["dq_backfills"], "analytics.flights_by_carrier"
    assert run_dag("dq_publish_flights_by_carrier", DAY).state == "success"
    asked = {"start": "2013-02-01", "end": "2013-02-28", "max_parallel": 3}
    first = dag.test(run_conf=asked)
    assert (first.state, states(first)["exchange"]) == ("success", "skipped")
    assert len(rows(warehouse, table)) == 32, "what is held is not visible"
    second = dag.test(run_conf={**asked, "finish": "exchange"}, logical_date=datetime(2013, 3, 1, tzinfo=UTC))
    assert returned(second, "exchange")["partitions"] == 28
    assert returned(second, "exchange")["unchanged"] == 1
    with warehouse.connect() as connection:
        chunks = "SELECT run_id, count(*), count(DISTINCT map_index) FROM dataquality.chunk GROUP BY 1"
        assert connection.execute(chunks).fetchall() == [(first.run_id, 4, 3)], "the second run computes nothing"
        found = f"SELECT count(DISTINCT ds) FROM {table}"
        assert connection.execute(found).fetchall() == [(28,)]


@triggers_as_here
def test_a_consumer_is_skipped_until_the_score_is_high_enough(warehouse: Warehouse, run_dag: RunDag) -> None:
    run_dag("dq_publish_scored_flights", date(2013, 2, 6))
    unpause("dq_gated_consumer")
    assert returned(run_dag("dq_publish_scored_flights", DAY), "publish_daily_flights")["score"] < 0.95
    (run,) = triggered("dq_gated_consumer", str(EXAMPLE_DAGS))
    assert states(run) == {"require_score": "success", "report": "skipped"}
    calm = run_dag("dq_publish_scored_flights", date(2013, 2, 7))
    assert returned(calm, "publish_daily_flights")["score"] == 1
    (run,) = triggered("dq_gated_consumer", str(EXAMPLE_DAGS))
    assert states(run) == {"require_score": "success", "report": "success"}
    assert rows(warehouse, "analytics.flights_report") == [("(3,2763)",)]


def test_says_in_datadog_what_was_published(
    warehouse: Warehouse, run_dag: RunDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = udp_agent()
    monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(agent.connection))
    with agent.socket:
        assert run_dag("dq_metrics_in_datadog", date(2013, 2, 7)).state == "success"
        heard = agent.heard()
        tags = {"dag": "dq_metrics_in_datadog", "table": "analytics.daily_flights", "grain": "day"}
        assert heard.value("rows.published", task="publish_daily_flights", **tags) == 32
        assert heard.value("check.status", task="check_cancellations", check="cancelled_share", **tags) == 0
        assert heard.events == []
        assert run_dag("dq_metrics_in_datadog", DAY).state == "failed"  # the blizzard
        heard = agent.heard()
        assert heard.value("check.status", task="check_cancellations", **tags) == 2
        assert [event.count("team:flights") for event in heard.events] == [0, 1]  # the operator's, and the notifier's
        assert all("cancelled_share" in event for event in heard.events)


@triggers_as_here
def test_everything_together(warehouse: Warehouse, run_dag: RunDag) -> None:
    first = run_dag("dq_everything_together", date(2013, 2, 6))
    assert states(first) == dict.fromkeys(("wait", "publish", "summarize"), "success")
    unpause("dq_airline_report")
    assert run_dag("dq_everything_together", date(2013, 2, 7)).state == "success"
    (report_run,) = triggered("dq_airline_report", str(EXAMPLE_DAGS))
    assert states(report_run) == {"require_score": "success", "report": "success"}
    expected = "(SELECT carrier, count(*) FROM raw.flights WHERE ds IN ('2013-02-06', '2013-02-07') GROUP BY 1)"
    assert rows(warehouse, "analytics.airline_report") == rows(warehouse, expected)
    with warehouse.connect() as connection:
        connection.execute("UPDATE raw.flights SET carrier = NULL WHERE ds = '2013-02-08' AND carrier = 'AA'")
    blocked = run_dag("dq_everything_together", DAY)
    assert states(blocked) == {"wait": "success", "publish": "failed", "summarize": "upstream_failed"}
    assert triggered("dq_airline_report", str(EXAMPLE_DAGS)) == [], "what is blocked runs nobody"


def test_waits_until_the_day_is_published(warehouse: Warehouse, run_dag: RunDag) -> None:
    """Deferred; the day is published while the trigger looks for it."""
    run_dag("dq_publish_daily_flights", date(2013, 2, 7))
    looks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%PARTITION BY table_schema%' AND state = 'idle'"
    publication = """
        INSERT INTO dataquality.publication
          (run_uid, table_schema, table_name, partition, mode, rows, score, published_at)
        VALUES ('other', 'analytics', 'daily_flights', '{"ds": "2013-02-08"}', 'overwrite', 930, 1, now())"""

    def publish() -> None:
        until = time.monotonic() + 60
        with warehouse.connect() as connection, connection.transaction():
            connection.execute("INSERT INTO analytics.daily_flights SELECT * FROM analytics.daily_flights")
            connection.execute("UPDATE analytics.daily_flights SET ds = '2013-02-08'")
            while connection.execute(looks).fetchone() == (0,) and time.monotonic() < until:
                connection.execute("SELECT pg_stat_clear_snapshot()")
                time.sleep(0.05)
            connection.execute(publication)

    publisher = threading.Thread(target=publish)
    publisher.start()
    run = run_dag("dq_wait_for_partitions", DAY)
    publisher.join()
    assert run.state == "success"
    (found,) = returned(run, "wait_for_daily_flights")  # type: ignore[misc]
    assert (found["partition"], found["run_uid"]) == ("analytics.daily_flights/ds=2013-02-08", "other")  # type: ignore[index]
    assert len(rows(warehouse, "analytics.flights_per_origin")) == 3


def test_loads_a_days_files_when_the_last_of_them_is_there(lake: RedshiftWarehouse, s3: Any, run_dag: RunDag) -> None:
    columns = "order_id BIGINT, ds DATE, customer_uuid VARCHAR(36), amount NUMERIC(12, 2)"
    with lake.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE public.customer_order ({columns})")
    s3.put_object(Bucket="lake", Key="orders/2013-02-08/_SUCCESS", Body=b"")
    run = run_dag("dq_wait_for_files_in_s3", DAY)
    assert run.state == "success"
    (found,) = returned(run, "wait_for_orders")  # type: ignore[misc]
    assert found["partition"] == "s3://lake/orders/2013-02-08/"  # type: ignore[index]
    assert on_redshift(lake, "SELECT order_id FROM public.customer_order ORDER BY 1") == [(1,), (2,)]


def test_reads_an_external_table_when_the_day_is_registered(lake: RedshiftWarehouse, run_dag: RunDag) -> None:
    regions = ("EU", "US")
    with lake.superuser() as catalog:
        catalog.execute(
            "CREATE SCHEMA spectrum; GRANT USAGE ON SCHEMA spectrum TO PUBLIC;"
            "CREATE TABLE spectrum.clicks AS SELECT '/' AS page, '2013-02-08' AS ds, region "
            "FROM unnest('{EU,EU,US}'::text[]) AS region; GRANT SELECT ON spectrum.clicks TO PUBLIC;"
            "INSERT INTO rs.svv_external_columns (schemaname, tablename, columnname, columnnum, part_key) VALUES "
            "('spectrum', 'clicks', 'page', 1, 0), ('spectrum', 'clicks', 'ds', 2, 1), "
            "('spectrum', 'clicks', 'region', 3, 2)"
        )
        for region in regions:
            catalog.execute(
                'INSERT INTO rs.svv_external_partitions (schemaname, tablename, "values", location) VALUES '
                "('spectrum', 'clicks', %s, 's3://lake/clicks/')",
                [json.dumps(["2013-02-08", region])],
            )
    run = run_dag("dq_wait_for_spectrum", DAY)
    assert run.state == "success"
    assert len(returned(run, "wait_for_clicks")) == len(regions)
    assert on_redshift(lake, "SELECT page, clicks FROM public.clicks_per_page") == [("/", 3)]


def test_records_numbers_of_every_column(warehouse: Warehouse, run_dag: RunDag) -> None:
    run = run_dag("dq_table_statistics", DAY)
    daily, airlines = returned(run, "partitioned_tables"), returned(run, "airlines")
    assert [(table["table"], len(table["partitions"])) for table in daily["tables"]] == [("raw.flights", 39)]
    assert daily["passed_over"] == ["raw.airlines", "raw.airports", "raw.planes"]
    assert (
        airlines["metrics"]
        == len(rows(warehouse, "(SELECT 1 FROM dataquality.metric WHERE table_name = 'airlines')"))
        > 0
    )
    assert run.state == "success"


def test_says_in_datadog_which_task_failed(
    warehouse: Warehouse, run_dag: RunDag, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = udp_agent()
    monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(agent.connection))
    with agent.socket, warehouse.connect() as connection:
        assert run_dag("dq_failures_in_datadog", DAY).state == "failed", "there is no such view"
        (event,) = agent.heard().events
        assert "task:refresh_report" in event
        assert "team:flights" in event
        connection.execute("CREATE MATERIALIZED VIEW analytics.flights_per_airline AS SELECT 1 AS n")
        assert run_dag("dq_failures_in_datadog", DAY).state == "success"
        assert agent.heard().events == []


def test_every_example_is_tested() -> None:
    tested = {
        "dq_publish_daily_flights",
        "dq_publish_corrupted_batch",
        "dq_publish_from_yaml",
        "dq_gated_consumer",
        "dq_everything_together",
        "dq_check_existing_table",
        "dq_anomalies_flights",
        "dq_publish_only_normal_days",
        "anomaly_test_control_experiment",
        "upsert_customers",
        "redshift_customers",
        "dq_aircraft_summary",
        "dq_backfill_daily_flights",
        "dq_backfill_on_many_workers",
        "dq_backfills",
        "dq_metrics_in_datadog",
        "dq_saved_tests",
        "dq_wait_for_partitions",
        "dq_wait_for_files_in_s3",
        "dq_wait_for_spectrum",
        "dq_table_statistics",
        "dq_failures_in_datadog",
        "dq_transforms",  # by transforms/test_warehouse.py
    }
    # In folders are functions and tests of transforms.
    assert {file.stem for file in examples.files() if file.suffix == ".py" and len(file.parts) == 1} == tested
