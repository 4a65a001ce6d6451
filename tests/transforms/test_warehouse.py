"""The example's warehouse: the same rows through Airflow and through ``airflow dq run``, and nothing of a bad day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_dataquality import examples
from airflow_dataquality.demo import flights
from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.errors import ChecksFailed
from airflow_dataquality.transforms import Project, load, run
from airflow_dataquality.transforms.model import KINDS
from asset_runs import states
from commands import Done, done
from support import Warehouse, synced

FOLDER = examples.directory() / "transforms"
DAGS = ("flights_staging", "flights_warehouse", "flights_reports")
DAYS = ("2013-02-07", "2013-02-08")
BAD_DAY = "2013-02-09"
IMPATIENT = f"""
from datetime import timedelta

from airflow_dataquality.transforms import dags_from

second = timedelta(seconds=1)
dags_from({str(FOLDER)!r}, conn_id="warehouse", prefix="impatient_", retries=0, wait_timeout=second, poke_interval=1)
"""
CORRUPT = "UPDATE raw.flights SET origin = 'TEB' WHERE ds = %s AND carrier = 'UA'"

Rows = list[tuple[Any, ...]]
Contents = dict[str, Rows]


@pytest.fixture(scope="module")
def project() -> Project:
    return load(FOLDER, cache=False)


@pytest.fixture(scope="module")
def template(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database with three days of flights, for others to be copied from."""
    name = "transforms_template"
    with psycopg.connect(postgres.create_database(name), autocommit=True) as connection:
        flights.load(connection)
        connection.execute("CREATE SCHEMA staging; CREATE SCHEMA analytics")
        connection.execute("DELETE FROM raw.flights WHERE ds NOT BETWEEN %s AND %s", [DAYS[0], BAD_DAY])
        connection.execute("VACUUM FULL raw.flights")
    yield name
    postgres.drop_database(name)


@pytest.fixture
def warehouses(
    postgres: EmbeddedPostgres, template: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Warehouse]]:
    """Make a warehouse; what runs from then on runs there."""
    made = []

    def make(name: str) -> Warehouse:
        found = Warehouse(postgres.create_database(name, template=template), "warehouse")
        made.append(name)
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", found.uri)
        return found

    yield make
    for name in made:
        postgres.drop_database(name)


def rows(warehouse: Warehouse, sql: str, *values: Any) -> Rows:
    with warehouse.connect() as connection:
        cursor = connection.execute(sql, values)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []


def contents(warehouse: Warehouse) -> Contents:
    """All rows of all tables, and the indexes; but those of the ledger, and of rejected rows that it keeps."""
    ours = "schemaname IN ('raw', 'staging', 'analytics') AND tablename !~ '__dq_' ORDER BY 1"
    tables = rows(warehouse, f"SELECT schemaname || '.' || tablename FROM pg_tables WHERE {ours}")
    found = {table: rows(warehouse, f"SELECT t::text FROM {table} t ORDER BY 1") for (table,) in tables}
    return {**found, "indexes": rows(warehouse, f"SELECT indexdef FROM pg_indexes WHERE {ours}")}


def judged(warehouse: Warehouse) -> Rows:
    """What the ledger says of publications and checks, but when, and by whom."""
    return [
        *rows(warehouse, "SELECT table_name, partition, rows, score FROM dataquality.publication ORDER BY 1, 2, 3, 4"),
        *rows(warehouse, "SELECT table_name, partition, check_name, status, value_text FROM dataquality.check_result "
                         "ORDER BY 1, 2, 3, 4, 5"),
    ]  # fmt: skip


def dq_run(capsys: pytest.CaptureFixture[str], day: str, *more: str) -> Done:
    return done(capsys, "run", *more, "--folder", str(FOLDER), "--date", day)


def test_it_has_all_kinds_in_pipelines_that_wait_for_each_other(project: Project) -> None:
    assert not project.mistakes
    assert {each.kind for each in project.transforms.values()} == set(KINDS)
    assert len(project.transforms) >= 10
    apart = {(each.pipeline, up.pipeline) for each in project.transforms.values() for up in project.upstream(each)}
    assert {("warehouse", "staging"), ("reports", "warehouse")} <= apart
    assert all(each.description and each.owner for each in project.transforms.values())


def test_the_same_rows_through_airflow_and_through_the_command(
    warehouses: Callable[[str], Warehouse], project: Project, run_dag: Callable[[str, date], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def by_airflow(day: str) -> None:
        for dag_id in DAGS:
            finished = states(run_dag(dag_id, date.fromisoformat(day)))
            assert set(finished.values()) == {"success"}, (dag_id, finished)

    airflow = warehouses("by_airflow")
    for day in DAYS:
        by_airflow(day)
    made, said = contents(airflow), judged(airflow)
    written = {str(each.writes) for each in project.transforms.values() if each.kind != "no_op"}
    assert written | {"raw.flights", "raw.airlines", "raw.airports", "raw.planes", "indexes"} == made.keys()
    sizes = {"analytics.fact_flights": 1862, "analytics.worst_hours": 6, "raw.weather": 144}
    assert {table: len(made[table]) for table in sizes} == sizes
    assert {f"warehouse.{table}" for table in written} <= updated_by("flights_")
    by_airflow(DAYS[-1])
    assert contents(airflow) == made, "run again, nothing changes"

    command = warehouses("by_command")
    for day in DAYS:
        found = dq_run(capsys, day)
        assert (found.code, found.out.splitlines()[-1]) == (0, "14 transforms: 14 done"), found.err
    assert contents(command) == made
    assert judged(command) == said

    for day in DAYS:
        for transform in project.order():
            run(transform, conn_id="warehouse", day=day, project=project)
    assert contents(command) == made, "run again, nothing changes"


def test_it_runs_with_nothing_but_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    found = dq_run(capsys, DAYS[0], "staging.flights", "+staging.weather", "--embedded", "--flights", "--json")
    assert found.code == 0, found.err
    assert {step["transform"]: step["rows"] for step in found.json["steps"]} == {
        "staging.flights": 932, "staging.raw_weather": 72, "staging.weather": 72
    }  # fmt: skip
    alone = dq_run(capsys, DAYS[0], "--flights")
    assert (alone.code, alone.err.splitlines()[0]) == (2, "Error: --flights without --embedded")


def test_the_page_shows_what_graph_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "pages" / "guides" / "transforms-cli.md"
    said = done(capsys, "graph", "reports", "--folder", str(FOLDER)).out
    assert f"```text\n{said}```" in page.read_text(encoding="utf-8")


def updated_by(prefix: str) -> set[str]:
    """The assets that runs of these DAGs updated."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(AssetModel.name).join(AssetEvent, AssetEvent.asset_id == AssetModel.id)
    with create_session() as session:
        return set(session.scalars(query.where(AssetEvent.source_dag_id.startswith(prefix))))


def test_a_corrupted_day_goes_no_further_in_airflow(
    warehouses: Callable[[str], Warehouse], airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__DEFAULT_DEFERRABLE", "False")
    (tmp_path / "impatient.py").write_text(IMPATIENT)
    airflow = warehouses("corrupted_airflow")
    assert dq_run(capsys, DAYS[1]).code == 0
    before = contents(airflow)
    rows(airflow, CORRUPT, BAD_DAY)
    staging = states_of(tmp_path, "impatient_staging", BAD_DAY)
    assert {name for name, found in staging.items() if found != "success"} == {"flights.publish"}
    warehouse = states_of(tmp_path, "impatient_warehouse", BAD_DAY)
    assert warehouse["wait_for_staging_flights"] == "failed", "nobody published it"
    assert warehouse["dim_airports.publish"] == "success", "it reads nothing of the day"
    of_the_day = ("fact_flights.publish", "dim_airlines.publish", "dim_aircraft.upsert", "fact_flights.anomalies")
    assert {warehouse[name] for name in of_the_day} == {"upstream_failed"}
    after = contents(airflow)
    assert {table for table in after if after[table] != before[table]} == {
        "raw.flights", "raw.weather", "staging.weather"
    }  # fmt: skip


def states_of(folder: Path, dag_id: str, day: str) -> dict[str, str]:
    return states(synced(folder, dag_id).test(logical_date=datetime.fromisoformat(day).replace(tzinfo=UTC)))


def test_a_corrupted_day_goes_no_further_in_the_command(
    warehouses: Callable[[str], Warehouse], project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    command = warehouses("corrupted_command")
    assert dq_run(capsys, DAYS[1]).code == 0
    before = contents(command)
    rows(command, CORRUPT, BAD_DAY)
    found = dq_run(capsys, BAD_DAY, "--keep-going", "--json")
    steps = {step["transform"]: step for step in found.json["steps"]}
    assert (found.code, steps["staging.flights"]["status"]) == (1, "failed")
    assert steps["staging.flights"]["outcome"]["failed_rules"] == ["airports_of_new_york"]
    skipped = {each.name for each in project.select("staging.flights+")} - {"staging.flights"}
    assert {name for name, step in steps.items() if step["status"] == "skipped"} == skipped
    after = contents(command)
    assert {table for table in after if after[table] != before[table]} == {
        "raw.flights", "raw.weather", "staging.weather"
    }  # fmt: skip
    with pytest.raises(ChecksFailed, match="airports_of_new_york"):
        run(project.transform("staging.flights"), conn_id="warehouse", day=BAD_DAY, project=project)
