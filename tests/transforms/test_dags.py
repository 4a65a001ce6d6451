"""Pipelines as DAGs, and as runs without Airflow's scheduler: the same rows."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_dataquality.errors import ChecksFailed, DataQualityError, ExchangeError, TableError
from airflow_dataquality.transforms import dags_from, load, run
from support import Warehouse, synced
from transforms.flights_project import DAG_FILE, DDL, FILES, written

Rows = Callable[..., list[tuple[Any, ...]]]
TABLES = ("raw.flights", "analytics.daily_flights", "analytics.aircraft", "analytics.carrier_summary",
          "analytics.busiest", "analytics.ratings")  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dag.py").write_text(DAG_FILE)
    written(tmp_path / "transforms")
    return tmp_path


@pytest.fixture
def rows(warehouse: Warehouse) -> Any:
    with warehouse.connect() as db:
        db.execute(DDL)

        def run(sql: str) -> list[tuple[Any, ...]]:
            cursor = db.execute(sql)
            return cursor.fetchall() if cursor.description else []

        yield run


def contents(rows: Rows) -> dict[str, list[tuple[Any, ...]]]:
    return {table: sorted(rows(f"SELECT * FROM {table}"), key=str) for table in TABLES}


def test_a_pipeline_over_all_kinds_runs_in_airflow_and_without_it(
    rows: Rows, airflow_db: None, folder: Path
) -> None:  # fmt: skip
    assert synced(folder, "reference").test(logical_date=datetime(2013, 1, 1, tzinfo=UTC)).state == "success"
    dag = synced(folder, "flights")
    for day in (1, 2):
        assert dag.test(logical_date=datetime(2013, 1, day, tzinfo=UTC)).state == "success"
    in_airflow = contents(rows)
    assert ("UA", "EWR", "United", 2, 1) in [row[1:] for row in in_airflow["analytics.daily_flights"]]
    assert [row[0] for row in in_airflow["analytics.aircraft"]] == ["N1", "N2", "N3", "N4"]
    assert [str(row[2]) for row in in_airflow["analytics.ratings"]] == ["1.00", "0.50", "0.50", "1.00"]
    assert {row[1] for row in in_airflow["analytics.busiest"]} == {"EWR", "JFK"}
    # The ledger has each publication, so that other pipelines can wait for it.
    published = rows("SELECT DISTINCT table_name, mode FROM dataquality.publication WHERE partition LIKE '%01-01%'")
    assert {"busiest", "daily_flights", "flights", "ratings", "carrier_summary"} <= {name for name, _ in published}
    for schema in ("raw", "analytics", "dataquality"):
        rows(f"DROP SCHEMA {schema} CASCADE; CREATE SCHEMA {schema}")
    project = load(folder / "transforms", cache=False)
    for day in ("2013-01-01", "2013-01-02"):
        for transform in project.order():
            run(transform, conn_id="warehouse", day=day, project=project)
    assert contents(rows) == in_airflow


def test_a_new_table_has_its_key_indexes_and_comments(rows: Rows, folder: Path) -> None:
    project = load(folder / "transforms", cache=False)
    for transform in project.select("+daily_flights", "aircraft"):
        outcome = run(transform, conn_id="warehouse", day="2013-01-01", project=project, anomalies=False)
    assert outcome["score"] == 1
    indexes = rows("SELECT indexname FROM pg_indexes WHERE schemaname = 'analytics' ORDER BY 1")
    assert indexes == [("aircraft_pkey",), ("daily_flights_carrier_idx",), ("daily_flights_pkey",)]
    comments = rows("SELECT obj_description('analytics.daily_flights'::regclass), "
                    "col_description('analytics.daily_flights'::regclass, 6), "
                    "col_description('raw.flights'::regclass, 2)")  # fmt: skip
    assert comments == [("Flights per day, carrier and origin.", "flights without a departure time", "Two letters")]
    types = rows("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'raw.flights'::regclass "
                 "AND attnum > 0 ORDER BY attnum")  # fmt: skip
    assert [kind for (kind,) in types] == ["date", "text", "text", "text", "integer", "integer"]


def test_running_twice_changes_nothing(rows: Rows, folder: Path) -> None:
    project = load(folder / "transforms", cache=False)
    found = []
    for _ in range(2):
        for transform in project.order():
            run(transform, conn_id="warehouse", day="2013-01-01", project=project, anomalies=False)
        found.append(contents(rows))
    assert found[0] == found[1]


def test_rows_that_break_the_key_are_not_published(rows: Rows, folder: Path) -> None:
    sql = """
        SELECT '{{ ds }}'::date AS ds, 'UA' AS carrier, 'EWR' AS origin, 1 AS flights, 0 AS cancelled, c.name
        FROM raw.flights f JOIN reference.carriers c USING (carrier)
    """
    written(folder / "transforms", {"flights/daily_flights.sql": sql})
    project = load(folder / "transforms", cache=False)
    run(project.transform("raw_flights"), conn_id="warehouse", day="2013-01-01")
    with pytest.raises(ExchangeError, match="cannot have its key and indexes"):
        run(project.transform("daily_flights"), conn_id="warehouse", day="2013-01-01")
    assert rows("SELECT to_regclass('analytics.daily_flights')") == [(None,)]
    assert rows("SELECT count(*) FROM pg_class WHERE relname LIKE '%dq_stage%'") == [(0,)]


def test_statements_are_one_transaction_that_its_checks_can_stop(rows: Rows, folder: Path) -> None:
    project = load(folder / "transforms", cache=False)
    for transform in project.select("+busiest"):
        run(transform, conn_id="warehouse", day="2013-01-01", project=project, anomalies=False)
    outcome = run(project.transform("busiest"), conn_id="warehouse", day="2013-01-01")
    assert (outcome["rows"], outcome["statements"]) == (1, [None, 1, 1])
    never = [{"name": "never", "check": "row_count", "condition": {"equal_to": 7}}]
    sql = "DELETE FROM analytics.busiest; INSERT INTO analytics.busiest VALUES ('2013-01-01', 'XXX')"
    with pytest.raises(ChecksFailed, match="never"):
        run(project.transform("busiest"), conn_id="warehouse", day="2013-01-01", checks=never, sql=sql)
    assert rows("SELECT origin FROM analytics.busiest") == [("EWR",)]
    assert rows("SELECT status FROM dataquality.check_result WHERE check_name = 'never'") == [("fail",)]
    with pytest.raises(TableError, match="statement 2 of 2"):
        run(project.transform("busiest"), conn_id="warehouse", day="2013-01-01",
            sql="DELETE FROM analytics.busiest; SELECT 1/0")  # fmt: skip
    assert rows("SELECT origin FROM analytics.busiest") == [("EWR",)]


def test_data_of_others_that_are_not_there(rows: Rows, folder: Path) -> None:
    rows("DELETE FROM reference.carriers")
    project = load(folder / "transforms", cache=False)
    with pytest.raises(DataQualityError, match=r"reference.carriers(?s:.*)Hint: load them"):
        run(project.transform("carriers"), conn_id="warehouse", day="2013-01-01")


def test_files_in_every_format(rows: Rows, folder: Path, s3: Any) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    files = folder / "transforms" / "flights" / "files"
    (files / "f.jsonl").write_text('{"carrier": "UA", "n": 1}\n{"carrier": null, "n": 2}\n')
    (files / "f.json").write_text('[{"carrier": "UA", "n": 1},\n {"carrier": null, "n": 2}]')
    (files / "f.tsv").write_text("\ufeffcarrier\tn\nUA\t1\n\t2\n", encoding="utf-8")
    pq.write_table(pa.table({"carrier": ["UA", None], "n": [1, 2]}), files / "f.parquet")
    s3.put_object(Bucket="lake", Key="d/f.csv", Body=b'carrier,n\n"UA",1\n,2\n')
    s3.put_object(Bucket="lake", Key="d/_SUCCESS", Body=b"")
    header = """
        kind: load
        files: {files}
        format: {form}
        output: {{table: raw.n_{name}, columns: {{carrier: {{type: text}}, n: {{type: bigint}}}}}}
    """
    given = {"jsonl": ("files/f.jsonl", "json"), "json": ("files/f.json", "json"), "tsv": ("files/*.tsv", "csv"),
             "parquet": ("files/f.parquet", "parquet"), "s3": ("s3://lake/d/", "csv")}  # fmt: skip
    for name, (address, form) in given.items():
        written(folder / "transforms", {f"flights/n_{name}.yaml": header.format(files=address, form=form, name=name)})
    project = load(folder / "transforms", cache=False)
    assert not project.mistakes
    for name in given:
        assert run(project.transform(f"n_{name}"), conn_id="warehouse", day="2013-01-01")["rows"] == 2
        assert rows(f"SELECT * FROM raw.n_{name} ORDER BY n") == [("UA", 1), (None, 2)]
    (files / "f.tsv").write_text("carrier\tn\nUA\t1\t3\n")
    with pytest.raises(TableError, match=r"f\.tsv cannot be read as csv: line 2 has 3 fields"):
        run(project.transform("n_tsv"), conn_id="warehouse", day="2013-01-01")


def test_what_a_dag_is_made_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.chdir(folder)
    flights, reference = dags_from(
        folder / "transforms", conn_id="warehouse", on_failure_callback={"network-planning": told.append}, retries=3
    )
    assert (flights.schedule, flights.tags, flights.start_date) == (
        "@daily", {"transforms", "flights"}, datetime(2013, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    tasks = {task.task_id: task for task in flights.tasks}
    assert tasks["daily_flights.publish"].upstream_task_ids == {"raw_flights.load", "wait_for_reference_carriers"}
    assert tasks["busiest.run"].upstream_task_ids == {"daily_flights.anomalies"}
    publish: Any = tasks["daily_flights.publish"]
    assert [asset.name for asset in publish.outlets] == ["warehouse.analytics.daily_flights"]
    assert [asset.name for asset in publish.inlets] == ["warehouse.raw.flights", "warehouse.reference.carriers"]
    assert (publish.owner, publish.retries, publish.explain) == ("network-planning", 3, True)
    assert publish.on_failure_callback == [told.append]
    assert {check.monitor.notify for check in publish._checks} == {("@slack-planning",)}
    assert [task.task_id for task in reference.tasks] == ["carriers.wait"]


def test_a_broken_file_breaks_its_own_pipeline(airflow_db: None, folder: Path) -> None:
    sound = FILES["reference/carriers.yaml"].replace("carriers", "airports")
    written(folder / "transforms", {"flights/weekly.yaml": "kind: create_tabel_as", "other/x.yaml": sound})
    other = synced(folder, "other")
    assert [task.task_id for task in other.tasks] == ["x.wait"]
    broken = synced(folder, "flights")
    assert "broken" in broken.tags
    assert "weekly.yaml:1:1" in str(broken.doc_md)
    assert "did you mean 'create_table_as'?" in str(broken.doc_md)
    assert broken.test(logical_date=datetime(2013, 1, 1, tzinfo=UTC)).state == "failed"


def test_an_argument_that_an_operator_refuses(folder: Path) -> None:
    text = FILES["flights/aircraft.yaml"].rstrip() + "\n        strategy: mergee\n"
    written(folder / "transforms", {"flights/aircraft.yaml": text})
    flights, _ = dags_from(folder / "transforms", conn_id="warehouse")
    assert [task.task_id for task in flights.tasks] == ["mend_the_pipeline"]
    assert "aircraft.yaml:5:1: error: strategy" in str(flights.doc_md)
    with pytest.raises(DataQualityError, match=r"aircraft\.yaml:5:1"):
        dags_from(folder / "transforms", conn_id="warehouse", strict=True)


def test_a_task_makes_its_own_dag_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "reference")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "carriers.wait")
    assert [dag.dag_id for dag in dags_from(folder / "transforms", conn_id="warehouse")] == ["reference"]
    assert os.environ["_AIRFLOW_PARSING_CONTEXT_DAG_ID"]


def test_much_new_sql_is_read_over_several_parses_but_before_a_task(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("airflow_dataquality.transforms.dags._PATIENCE", 0)
    text = FILES["flights/aircraft.yaml"].replace("[raw.flights]", "[]")
    written(folder / "transforms", {"flights/aircraft.yaml": text})

    def tasks() -> list[str]:
        (flights,) = (dag for dag in dags_from(folder / "transforms", conn_id="w") if dag.dag_id == "flights")
        return [task.task_id for task in flights.tasks]

    assert "aircraft.upsert" in tasks()
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "flights")
    assert tasks() == ["mend_the_pipeline"]
    monkeypatch.delenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID")
    assert tasks() == ["mend_the_pipeline"]  # what was found out is kept


def test_nothing_is_connected_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(psycopg, "connect", refuse)
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    assert len(dags_from(folder / "transforms", conn_id="warehouse")) == 2
