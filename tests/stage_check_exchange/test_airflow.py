"""The operator in Airflow: files, templates, manual runs, other connections; and the ledger's own troubles."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.engine.ledger import VERSION
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from publishing import publish, rows
from support import Warehouse, synced

Connection = psycopg.Connection[Any]

FILE = "SELECT '{{ ds }}' AS ds, i AS id, '{{ params.name }}' AS name FROM generate_series(1, 2) AS i;\n"
DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG("publishes", schedule=None, start_date=datetime(2013, 1, 1), params={"name": "x"}):
    StageCheckExchangeOperator(
        task_id="publish", conn_id="warehouse", table="w.t", sql="sql/rows.sql", partition={"ds": "{{ ds }}"},
        checks="rules.yaml",
    )
"""
RULES = """
name: rules
rules:
  - check: row_count
    condition: {equal_to: 2}
  - name: of_the_day
    check: custom_sql
    sql: "SELECT count(*) FROM {table} WHERE ds = '{{ ds }}'"
    condition: {equal_to: 2}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "rows.sql").write_text(FILE)
    (tmp_path / "dag.py").write_text(DAG_FILE)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


@pytest.mark.parametrize("day", [datetime(2013, 2, 8, tzinfo=UTC), None], ids=["scheduled", "manual, without a date"])
def test_files_and_templates_in_a_dag_run(db: Connection, airflow_db: None, folder: Path, day: datetime | None) -> None:
    run = synced(folder, "publishes").test(logical_date=day)
    assert run.state == "success"
    expected = f"{day or run.run_after:%Y-%m-%d}"
    assert rows(db, "w.t WHERE name = 'x'", "ds::text, id, name") == [(expected, 1, "x"), (expected, 2, "x")]
    columns = "dag_id, task_id, try_number, run_id, map_index, passed, partition"
    assert rows(db, "dataquality.publication", columns) == [
        ("publishes", "publish", 1, run.run_id, -1, 2, f'{{"ds": "{expected}"}}')
    ]


@pytest.mark.parametrize(
    ("context", "ds"),
    [
        ({"ds": "2013-02-08", "ds_nodash": "20130208"}, "2013-02-08"),
        ({"partition_key": "2013-02-09"}, "2013-02-09"),
        (
            {"dag_run": SimpleNamespace(partition_key="2013-02-10", run_after=datetime(2013, 1, 1, tzinfo=UTC))},
            "2013-02-10",
        ),
        ({"dag_run": SimpleNamespace(partition_key=None, run_after=datetime(2013, 2, 11, tzinfo=UTC))}, "2013-02-11"),
    ],
)
def test_ds_in_runs_that_have_none(context: dict[str, Any], ds: str) -> None:
    operator = StageCheckExchangeOperator(
        task_id="t", conn_id="w", table="w.t", sql="SELECT '{{ ds_nodash }}' AS ds", partition={"ds": "{{ ds }}"}
    )
    operator.render_template_fields(context)
    assert operator.partition == {"ds": ds}
    assert operator.sql == f"SELECT '{ds.replace('-', '')}' AS ds"


def test_a_file_that_nobody_rendered(db: Connection, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a notebook: the file is found beside it, and must hold no template."""
    monkeypatch.chdir(folder)
    with pytest.raises(AirflowException, match="sql was not rendered"):
        publish("w.t", "sql/rows.sql")
    (folder / "sql" / "rows.sql").write_text("SELECT '2013-02-01' AS ds, 1 AS id, 'x' AS name -- 100 %")
    assert publish("w.t", "sql/rows.sql")["rows"] == 1


def test_braces_that_airflow_rendered_are_text(db: Connection) -> None:
    context: Any = {"ds": "2013-02-01"}
    raw = "SELECT '{{ ds }}' AS ds, 1 AS id, {% raw %}('{{x},{y}}'::text[])[1][1]{% endraw %} AS name"
    operator = StageCheckExchangeOperator(task_id="t", conn_id="warehouse", table="w.t", sql=raw)
    operator.render_template_fields(context)
    assert operator.execute(context)["rows"] == 1
    assert rows(db, "w.t", "ds::text, name") == [("2013-02-01", "x")]


def test_another_database_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LITE", f"sqlite:///{tmp_path}/lite.db")
    with pytest.raises(AirflowException, match=r"(?s)'?sqlite'?.*Hint: use DataQualityCheckOperator"):
        publish("t", "SELECT 1 AS a", conn_id="lite")


# -- the ledger


@pytest.fixture
def loader(db: Connection, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An Airflow connection of an ordinary role, which may write to ``w`` and nowhere else."""
    db.execute("CREATE ROLE sce_loader LOGIN PASSWORD 'x'; GRANT ALL ON SCHEMA w TO sce_loader")
    monkeypatch.setenv("AIRFLOW_CONN_LOADER", f"postgresql://sce_loader:x@{warehouse.uri.split('@', 1)[1]}")
    yield "loader"
    db.execute("DROP OWNED BY sce_loader; DROP ROLE sce_loader")


def test_a_ledger_without_privileges(db: Connection, loader: str) -> None:
    with pytest.raises(AirflowException, match=r"the ledger \(schema 'dataquality'\) cannot be created") as failure:
        publish("w.n", "SELECT 1 AS a", conn_id=loader)
    assert "create the schema 'dataquality' and grant CREATE on it" in str(failure.value)
    assert rows(db, "pg_class WHERE relname LIKE 'n%' AND relnamespace = 'w'::regnamespace", "relname") == []
    # What the hint says helps.
    db.execute("CREATE SCHEMA dataquality; GRANT CREATE, USAGE ON SCHEMA dataquality TO sce_loader")
    assert publish("w.n", "SELECT 1 AS a", conn_id=loader)["exchange"] == "create"
    assert publish("w.n", "SELECT 1 AS a", conn_id=loader, ledger_schema="w")["exchange"] == "swap"


def test_a_ledger_of_a_newer_version(db: Connection) -> None:
    publish("w.t", "SELECT * FROM w.t")
    db.execute("UPDATE dataquality.ledger_version SET version = 99")
    old = rows(db, "w.t", "xmin, *")
    with pytest.raises(AirflowException, match=f"has version 99, this package knows up to {VERSION}\nHint: upgrade"):
        publish("w.t", "SELECT * FROM w.t")
    assert rows(db, "w.t", "xmin, *") == old


def test_a_ledger_made_by_several_at_once(db: Connection) -> None:
    """IF NOT EXISTS races with itself; ours does not."""
    errors: list[BaseException] = []

    def attempt(number: int) -> None:
        try:
            publish(f"w.n{number}", "SELECT 1 AS a", ledger_schema='Größe "x"')
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            errors.append(error)

    threads = [threading.Thread(target=attempt, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(rows(db, '"Größe ""x""".publication')) == 6
