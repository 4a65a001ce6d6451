"""The operator in Airflow: templates, files, dates of runs that have none, outlets, and a task that is killed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.measures import Count
from airflow_dataquality.operators._common import RESULT_KEY
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from support import Warehouse, synced

Connection = psycopg.Connection[Any]

DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_dataquality.measures import Count, Latest
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator, summary_from_config
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator

with DAG("summarizes", schedule=None, start_date=datetime(2013, 1, 1), params={"since": "2013-01-02"}):
    common = {"conn_id": "warehouse", "keys": ["k"], "partition_column": "ds", "partition": "{{ ds }}"}
    of_sql = IncrementalSummaryOperator(
        task_id="of_sql", summary="w.of_sql", sql="sql/facts.sql", checks="rules.yaml",
        since="{{ params.since }}", measures={"n": Count(), "last": Latest("ds", order_by="ds")}, **common,
    )
    of_file = summary_from_config("conf/of_file.yaml", conn_id="warehouse")
    backfill = ParallelBackfillOperator.of(of_file, "2013-01-01", "{{ ds }}")
    of_sql >> of_file >> backfill
"""
SQL = """
SELECT * FROM w.facts WHERE k <> '{{ params.since }}' AND
{% if backfill %} ds BETWEEN '{{ start_date }}' AND '{{ end_date }}' {% else %} ds = '{{ ds }}' {% endif %}
"""
RULES = """
rules:
  - name: of_the_day
    check: custom_sql
    sql: "SELECT count(*) FROM {table} WHERE ds <> '{{ ds }}'"
    condition: {equal_to: 0}
"""
CONFIG = """
source: w.facts
summary: w.of_file
keys: [k]
partition_column: ds
partition: "{{ ds }}"
measures: {n: count}
"""


@pytest.fixture
def db(warehouse: Warehouse) -> Iterator[Connection]:
    """A connection to a database with ``w.facts``: one subject in each of five days, and one in the first."""
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA w; CREATE TABLE w.facts (ds date, k text)")
        connection.execute("INSERT INTO w.facts SELECT date '2013-01-01' + i, 'x' FROM generate_series(0, 4) AS i")
        connection.execute("INSERT INTO w.facts VALUES ('2013-01-01', 'y')")
        yield connection


def operator(**arguments: Any) -> IncrementalSummaryOperator:
    defaults: dict[str, Any] = {
        "task_id": "t", "conn_id": "warehouse", "summary": "w.s", "source": "w.facts", "keys": ["k"],
        "partition_column": "ds", "partition": "2013-01-01", "measures": {"n": Count()},
    }  # fmt: skip
    return IncrementalSummaryOperator(**{**defaults, **arguments})


def test_in_dag_runs(db: Connection, airflow_db: None, tmp_path: Path) -> None:
    for name, text in {
        "dag.py": DAG_FILE,
        "sql/facts.sql": SQL,
        "rules.yaml": RULES,
        "conf/of_file.yaml": CONFIG,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    dag = synced(tmp_path, "summarizes")
    for day in (3, 4):
        assert dag.test(logical_date=datetime(2013, 1, day, tzinfo=UTC)).state == "success"
    assert db.execute("SELECT ds::text, k, n, last::text FROM w.of_sql ORDER BY 1, 2").fetchall() == [
        ("2013-01-03", "x", 2, "2013-01-03"),
        ("2013-01-04", "x", 3, "2013-01-04"),
    ]
    wanted = [(f"2013-01-0{day}", *row) for day in range(1, 5) for row in (("x", day), ("y", 1))]
    assert db.execute("SELECT ds::text, k, n FROM w.of_file ORDER BY 1, 2").fetchall() == wanted
    tasks = db.execute("SELECT DISTINCT dag_id, task_id FROM dataquality.publication ORDER BY 2").fetchall()
    assert tasks == [("summarizes", task) for task in ("backfill_of_file", "of_file", "of_sql")]
    checked = db.execute("SELECT status FROM dataquality.check_result WHERE check_name = 'of_the_day'").fetchall()
    assert checked == [("pass",)] * 2


def test_the_date_of_runs_that_have_none(db: Connection) -> None:
    task = operator(partition="{{ ds }}")
    task.render_template_fields({"partition_key": "2013-01-02"})  # type: ignore[arg-type]
    assert task.execute({})["partition"] == {"ds": "2013-01-02"}


def test_outlets(db: Connection) -> None:
    from airflow.providers.common.compat.sdk import Asset

    class Event:
        def __init__(self) -> None:
            self.extra: dict[str, Any] = {}

    asset = Asset("summary")
    task = operator(outlets=[asset], partition="2013-01-03", on_gap="catch_up")
    operator().execute({})
    events = {asset: Event()}
    outcome = task.execute({"outlet_events": events, "task": task})  # type: ignore[typeddict-item]
    assert outcome["partitions"] == 2
    assert events[asset].extra[RESULT_KEY]["run_uid"] == outcome["run_uid"]


@pytest.mark.parametrize("many", [False, True])
def test_a_task_that_is_killed_ends_now(db: Connection, warehouse: Warehouse, many: bool) -> None:
    source = "(SELECT * FROM w.facts WHERE pg_advisory_xact_lock_shared(7) IS NOT NULL)"
    sql = f"SELECT * FROM {source} AS f WHERE ds = '{{{{ ds }}}}'"
    operator(sql=sql, source=None).execute({"ds": "2013-01-01"})
    task = operator(sql=sql, source=None, partition=f"2013-01-0{3 if many else 2}", on_gap="catch_up")
    before = db.execute("SELECT * FROM w.s").fetchall()
    with warehouse.connect() as holder:
        holder.execute("SELECT pg_advisory_lock(7)")
        told: list[str] = []

        def run() -> None:
            with pytest.raises(AirflowException) as failure:
                task.execute({})
            told.append(str(failure.value))

        thread = threading.Thread(target=run)
        thread.start()
        _await(lambda: db.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall())
        task.on_kill()
        thread.join(30)
        assert not thread.is_alive()
        assert told
    assert db.execute("SELECT * FROM w.s").fetchall() == before
    assert task.execute({})["published"]


def _await(condition: Callable[[], Any]) -> None:
    from reliability.lab import await_true

    await_true(condition, "it reads the facts")
