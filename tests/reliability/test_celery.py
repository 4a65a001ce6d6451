"""The task group leaves the machine: its chunks run on two workers of a CeleryExecutor."""

from __future__ import annotations

from pathlib import Path

from reliability.celery_deployment import WORKERS, CeleryDeployment

from support import Warehouse

CHUNKS = 8
DAYS = 16
DAG = """
from airflow.sdk import DAG

from airflow_dataquality.checks import check
from airflow_dataquality.operators.parallel_backfill import parallel_backfill

with DAG("spread", schedule=None, template_searchpath=[__file__.rpartition("/")[0]]):
    parallel_backfill(
        conn_id="warehouse",
        table="analytics.daily",
        sql="daily.sql",
        partition_column="ds",
        start="2013-01-01",
        end="2013-01-16",
        days_per_chunk=2,
        checks=[check("row_count", equal_to=20)],
        compare_with_production=[check("lost_keys", ["n"], equal_to=0)],
    )
"""
# Slow enough for one worker not to take all chunks before the other has looked.
SQL = """
SELECT ds, n, v + 1 AS v FROM raw.facts CROSS JOIN (SELECT pg_sleep(1)) AS slowly
WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'
"""


def test_both_workers_compute_chunks_of_one_backfill(warehouse: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "spread.py").write_text(DAG)
    (tmp_path / "daily.sql").write_text(SQL)
    with warehouse.connect() as connection, CeleryDeployment(tmp_path, {"warehouse": warehouse.uri}) as airflow:
        connection.execute(
            "CREATE SCHEMA raw; CREATE SCHEMA analytics; CREATE TABLE raw.facts AS SELECT d::date AS ds, n, 1 AS v "
            f"FROM generate_series(date '2013-01-01', '2013-01-{DAYS}', '1 day') AS d, generate_series(1, 10) AS n; "
            "CREATE TABLE analytics.daily AS SELECT ds, n, v FROM raw.facts"
        )
        states = airflow.run("spread")
        chunks = [f"parallel_backfill.chunk[{number}]" for number in range(CHUNKS)]
        others = [f"parallel_backfill.{step}" for step in ("plan", "compare", "exchange")]
        assert states == dict.fromkeys([*chunks, *others], "success")
        workers = airflow.workers_used("spread")
        assert {workers[name] for name in chunks} == {f"celery@{worker}" for worker in WORKERS}
        found = connection.execute(
            "SELECT count(*), count(DISTINCT ds), min(v), max(v) FROM analytics.daily"
        ).fetchall()
        assert found == [(10 * DAYS, DAYS, 2, 2)]
        published = connection.execute(
            "SELECT count(*), count(DISTINCT run_uid) FROM dataquality.publication"
        ).fetchall()
        assert published == [(DAYS, 1)]
