"""Every example DAG runs through Airflow, on real flights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from airflow_dataquality import examples, maintenance
from airflow_dataquality.demo import flights, report
from airflow_dataquality.demo.postgres import EmbeddedPostgres
from support import Warehouse

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


def test_every_example_is_tested() -> None:
    tested = {
        "dq_publish_daily_flights",
        "dq_publish_corrupted_batch",
        "dq_publish_from_yaml",
        "dq_check_existing_table",
    }
    assert {file.stem for file in examples.files() if file.suffix == ".py"} == tested
