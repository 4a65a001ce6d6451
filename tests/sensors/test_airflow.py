"""Sensors in DAG runs, and the asset events of what landed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import Asset
from sqlalchemy import select

from airflow_dataquality.assets import LONGEST_KEY, add_partitions, partition_key, table_asset
from airflow_dataquality.errors import SpecError
from sensors.lab import PATIENCE, load
from support import Warehouse, synced

Connection = psycopg.Connection[Any]
DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG, Asset, task
from airflow_dataquality.assets import table_asset
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.sensors.partition import PartitionSensor, wait_for

table = table_asset("warehouse", "w.t")
again = table_asset("warehouse", "W.again")
mine = Asset("mine")
start = datetime(2013, 1, 1)

with DAG("waits", schedule=None, start_date=start):
    wait = PartitionSensor(
        task_id="wait", conn_id="warehouse", partitions=["w.t/ds={{ ds }}", "w.u/ds={{ ds }}"], poke_interval=0.2,
        outlets=[table, mine],
    )

    @task
    def read(found):
        assert [each["rows"] for each in found] == [2, 3], found

    read(wait.output)

with DAG("publishes_keyed", schedule=None, start_date=start):
    StageCheckExchangeOperator(
        task_id="publish", conn_id="warehouse", table="w.again", sql="SELECT date '{{ ds }}' AS ds, 'EU' AS region",
        partition={"ds": "{{ ds }}", "region": "EU"}, outlets=[again],
    )

with DAG("backfills_keyed", schedule=None, start_date=start):
    ParallelBackfillOperator(
        task_id="backfill", conn_id="warehouse", table="w.t", partition_column="ds", start="2013-02-01",
        end="2013-02-03", sql="SELECT date '2013-02-01' + i AS ds, i AS id FROM generate_series(0, 2) AS i "
        "WHERE date '2013-02-01' + i BETWEEN '{{ start_date }}' AND '{{ end_date }}'", outlets=[table],
    )

with DAG("plain", schedule=[table, again], start_date=start):
    pass

try:
    from airflow.sdk import IdentityMapper, PartitionedAssetTimetable
except ImportError:
    pass
else:
    with DAG("by_partition", schedule=PartitionedAssetTimetable(assets=table), start_date=start):
        pass
"""

DAGS = re.findall(r'with DAG\("(\w+)"', DAG_FILE)


@pytest.fixture
def folder(tmp_path: Path, airflow_db: None, db: Connection) -> Path:
    (tmp_path / "dag.py").write_text(DAG_FILE)
    return tmp_path


def events(dag_id: str) -> dict[str, set[str | None]]:
    """The partitions of the asset events of a DAG's runs, by asset."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session

    query = select(AssetModel.name, AssetEvent.partition_key).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
    found: dict[str, set[str | None]] = {}
    with create_session() as session:
        for name, key in session.execute(query.where(AssetEvent.source_dag_id == dag_id)):
            found.setdefault(name, set()).add(key)
    return found


@pytest.fixture
def consumers(folder: Path) -> Callable[[], tuple[set[str], set[str]]]:
    """Of which partitions a DAG is queued that is scheduled by them, and which DAGs are queued that are not."""
    from airflow.utils.session import create_session

    def queued() -> tuple[set[str], set[str]]:
        from airflow.models.asset import AssetDagRunQueue, AssetPartitionDagRun  # the latter since Airflow 3.2

        with create_session() as session:
            partitions = set(session.scalars(select(AssetPartitionDagRun.partition_key)))
            return partitions, set(session.scalars(select(AssetDagRunQueue.target_dag_id)))

    return queued


def synced_and_active(folder: Path, dag_id: str) -> Any:
    """The DAG of the file; all of its DAGs and their assets are active, as after the scheduler has seen them."""
    from airflow.models.asset import AssetActive, AssetModel
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    dag = synced(folder, dag_id)
    with create_session() as session:
        for model in session.scalars(select(DagModel).where(DagModel.dag_id.in_(DAGS))):  # and none of other tests
            model.is_paused = False
        active = set(session.scalars(select(AssetActive.name)))
        for asset in session.scalars(select(AssetModel)):
            if asset.name not in active:
                session.add(AssetActive.for_asset(asset))
    return dag


def test_a_dag_waits_until_both_are_published(
    folder: Path, warehouse: Warehouse, consumers: Callable[[], tuple[set[str], set[str]]]
) -> None:
    """Deferred, as ``dag.test()`` runs its trigger; the partitions land while it does."""
    load("2013-02-01")
    dag = synced_and_active(folder, "waits")
    looks = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%PARTITION BY table_schema%' AND state = 'idle'"

    waited: list[bool] = []

    def publish() -> None:
        until = time.monotonic() + 6 * PATIENCE  # Airflow starts first
        with warehouse.connect() as connection:
            while connection.execute(looks).fetchone() == (0,) and time.monotonic() < until:
                time.sleep(0.05)
            waited.append(time.monotonic() < until)
            connection.execute("CREATE TABLE w.u (ds date, id int)")
            for name, rows in (("t", 2), ("u", 3)):
                connection.execute(
                    "INSERT INTO dataquality.publication (run_uid, table_schema, table_name, partition, mode, rows, "
                    "score, published_at) VALUES ('u', 'w', %s, %s, 'overwrite', %s, 1, now())",
                    [name, '{"ds": "2013-02-08"}', rows],
                )

    publisher = threading.Thread(target=publish)
    publisher.start()
    run = dag.test(logical_date=datetime(2013, 2, 8, tzinfo=UTC))
    publisher.join()
    assert waited == [True]
    assert run.state == "success"
    table = table_asset("warehouse", "w.t").name
    if not hasattr(_accessor(), "add_partitions"):
        pytest.skip("events have partitions since Airflow 3.2")
    assert events("waits") == {table: {None, "2013-02-08"}, "mine": {None, "2013-02-08"}}
    partitions, plain = consumers()
    assert "2013-02-08" in partitions
    assert "plain" in plain, "a DAG that knows of no partitions runs, too"


def test_publications_tell_of_their_partition(folder: Path) -> None:
    dag = synced_and_active(folder, "publishes_keyed")
    assert dag.test(logical_date=datetime(2013, 2, 8, tzinfo=UTC)).state == "success"
    if hasattr(_accessor(), "add_partitions"):
        assert events("publishes_keyed") == {table_asset("warehouse", "w.again").name: {None, "2013-02-08|EU"}}


def test_a_backfill_tells_of_each_of_its_partitions(
    folder: Path, consumers: Callable[[], tuple[set[str], set[str]]]
) -> None:
    dag = synced_and_active(folder, "backfills_keyed")
    assert dag.test(logical_date=datetime(2013, 2, 8, tzinfo=UTC)).state == "success"
    if hasattr(_accessor(), "add_partitions"):
        days = {"2013-02-01", "2013-02-02", "2013-02-03"}
        assert events("backfills_keyed") == {table_asset("warehouse", "w.t").name: {None, *days}}
        assert days <= consumers()[0]


def _accessor() -> Any:
    from airflow.sdk.definitions.asset import AssetUniqueKey
    from airflow.sdk.execution_time.context import OutletEventAccessor

    return OutletEventAccessor(key=AssetUniqueKey("a", "a"))


with_partitions = pytest.mark.skipif(
    not hasattr(_accessor(), "add_partitions"), reason="events have partitions since Airflow 3.2"
)

# -- assets


def test_the_asset_of_a_table() -> None:
    one = table_asset("warehouse", 'Analytics."Daily Flights/π"')
    assert one == table_asset("warehouse", 'analytics."Daily Flights/π"')
    assert one.uri == "x-dataquality://warehouse/analytics/Daily%20Flights%2F%CF%80"
    assert one.name == "warehouse.analytics.Daily%20Flights%2F%CF%80"
    assert table_asset("a@b", "t").uri == "x-dataquality://a%40b/t"
    assert table_asset("other", "w.t") != table_asset("warehouse", "w.t")
    with pytest.raises(SpecError, match="is not a table name"):
        table_asset("warehouse", "daily flights")
    with pytest.raises(SpecError, match="conn_id is ''"):
        table_asset("", "w.t")


@with_partitions
def test_keys_that_airflow_does_not_take() -> None:
    accessor, asset = _accessor(), Asset("a")
    task = type("Task", (), {"outlets": [asset]})
    context: dict[str, Any] = {"outlet_events": {asset: accessor}, "task": task}
    add_partitions(context, ["", "x" * (LONGEST_KEY + 1)])
    assert accessor.partition_keys == set()
    run = type("Run", (), {"partition_key": "2013-02-08"})
    add_partitions({**context, "dag_run": run}, ["2013-02-08"])
    assert accessor.partition_keys == {"2013-02-08"}, "a run of a partition has no event without one"
    assert partition_key({"ds": datetime(2013, 2, 8, tzinfo=UTC).date(), "n": 1}) == "2013-02-08|1"


@with_partitions
def test_the_event_that_queues_runs_comes_last() -> None:
    """A run is of the events up to it: those that came later would be the next run's."""
    accessor, asset = _accessor(), Asset("a")
    context: dict[str, Any] = {"outlet_events": {asset: accessor}, "task": type("Task", (), {"outlets": [asset]})}
    days = [f"2013-02-{day:02d}" for day in range(1, 29)]
    for keys in (days[7:], days[:7]):
        add_partitions(context, keys)
    assert list(accessor.partition_keys) == [*days, None]
