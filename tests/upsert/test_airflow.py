"""The operator in a DAG run: rows of another task, mapped tasks, templates, files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from support import Warehouse, synced

DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG, task
from airflow_dataquality.operators.upsert import UpsertOperator

with DAG("upserts", schedule=None, start_date=datetime(2013, 1, 1), params={"table": "t"}):

    @task
    def rows(first):
        return [{"id": first + n, "a": "{{ ds }}"} for n in range(2)]

    own = dict(conn_id="warehouse", keys=["id"])
    first = UpsertOperator(task_id="first", table="{{ params.table }}", rows=rows(1), **own)
    mapped = UpsertOperator.partial(task_id="mapped", table="t", **own).expand(rows=rows.expand(first=[3, 5]))
    file = UpsertOperator(task_id="file", table="t", sql="rows.sql", on_null_keys="drop", **own)
    first >> mapped >> file
"""
FILE = "SELECT 7 AS id, '{{ ds }}' AS a UNION ALL SELECT NULL, '{{ params.table }}'\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dag.py").write_text(DAG_FILE)
    (tmp_path / "rows.sql").write_text(FILE)
    return tmp_path


def test_in_a_dag_run(warehouse: Warehouse, airflow_db: None, folder: Path) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, a text)")
        run = synced(folder, "upserts").test(logical_date=datetime(2013, 2, 8, tzinfo=UTC))
        assert run.state == "success"
        assert written(connection) == {**dict.fromkeys(range(1, 7), "{{ ds }}"), 7: "2013-02-08"}
        query = "SELECT task_id, count(*), sum(rows) FROM dataquality.publication GROUP BY 1 ORDER BY 1"
        assert connection.execute(query).fetchall() == [("file", 1, 1), ("first", 1, 2), ("mapped", 2, 4)]


def written(connection: psycopg.Connection[Any]) -> dict[int, str]:
    return dict(connection.execute("SELECT id, a FROM t").fetchall())
