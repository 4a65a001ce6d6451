"""Pipelines as DAGs: what they wait for, whom they alert, and what becomes of folders in disorder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.sdk import DAG
from metrics.lab import Agent, udp_agent

from airflow_dataquality.monitors import in_dags, monitors_of
from airflow_dataquality.transforms import dags_from, load
from airflow_dataquality.transforms.linting import lint
from support import Warehouse, synced
from transforms.flights_project import written

NO_OP = "kind: no_op\noutput: {{table: raw.{0}, partition: ds}}\nwait: false\n"
SUM = "kind: create_table_as\ninputs: [{0}]\noutput: {{table: {1}, partition: ds}}\n"


def pipelines(root: Path, files: Mapping[str, str], **arguments: Any) -> dict[str, DAG]:
    """The DAGs of a project, by name."""
    written(root, files)
    return {dag.dag_id: dag for dag in dags_from(root, conn_id="warehouse", **arguments)}


def broken(dag: DAG) -> bool:
    return "broken" in dag.tags


def test_a_pipeline_of_nothing_but_data_of_others(tmp_path: Path) -> None:
    dags = pipelines(tmp_path, {"raw/a.yaml": NO_OP.format("a"), "raw/b.yaml": NO_OP.format("b")})
    assert [task.task_id for task in dags["raw"].tasks] == ["a.wait", "b.wait"]


def test_pipelines_that_read_each_other_wait_for_each_other(tmp_path: Path) -> None:
    files = {
        "a/raw.yaml": NO_OP.format("r"),
        "a/one.yaml": SUM.format("raw.r", "a.one"), "a/one.sql": "SELECT '{{ ds }}'::date AS ds FROM raw.r",
        "b/two.yaml": SUM.format("a.one", "b.two"), "b/two.sql": "SELECT ds FROM a.one",
        "a/three.yaml": SUM.format("b.two", "a.three"), "a/three.sql": "SELECT ds FROM b.two",
    }  # fmt: skip
    dags = pipelines(tmp_path, files)
    assert not any(map(broken, dags.values()))
    assert dags["a"].get_task("three.publish").upstream_task_ids == {"wait_for_b_two"}
    assert dags["b"].get_task("two.publish").upstream_task_ids == {"wait_for_a_one"}
    waiting: Any = dags["b"].get_task("wait_for_a_one")
    assert (waiting.partitions, waiting.state, waiting.retries) == ([partition("a.one")], "published", 2)
    # A circle of tables is none that any order can run.
    files |= {"a/one.yaml": SUM.format("b.two", "a.one"), "a/one.sql": "SELECT ds FROM b.two"}
    dags = pipelines(tmp_path, files)
    assert all(map(broken, dags.values()))
    assert "a cycle: b.two → a.one → b.two" in str(dags["a"].doc_md)


def partition(table: str) -> str:
    return f"{table}/\"ds\"='{{{{ ds }}}}'"


def test_a_table_that_only_a_check_reads_is_there_first(tmp_path: Path) -> None:
    check = "checks: [{check: orphan_count, column: c, references: raw.known, condition: {equal_to: 0}}]\n"
    files = {
        "raw/known.yaml": "kind: no_op\noutput: {table: raw.known}\nmin_rows: 7\ntimeout: 5\n",
        "raw/free.yaml": NO_OP.format("free"),
        "a/one.yaml": SUM.format("raw.free, raw.known", "a.one") + check,
        "a/one.sql": "SELECT ds, c FROM raw.free",
    }
    dag = pipelines(tmp_path, files)["a"]
    assert not broken(dag), dag.doc_md
    waiting: Any = dag.get_task("wait_for_raw_known")
    assert dag.get_task("one.publish").upstream_task_ids == {waiting.task_id}, "for raw.free nobody waits"
    assert (waiting.min_rows, waiting.timeout, waiting.state) == (7, 5, "exists")


def test_schedules_that_differ_are_warned_of(tmp_path: Path) -> None:
    files = {
        "up/r.yaml": NO_OP.format("r"), "up/pipeline.yaml": 'schedule: "@hourly"',
        "down/t.yaml": SUM.format("raw.r", "a.t") + 'schedule: "@weekly"\n', "down/t.sql": "SELECT ds FROM raw.r",
    }  # fmt: skip
    dags = pipelines(tmp_path, files)
    assert [str(dag.schedule) for dag in dags.values()] == ["@weekly", "@hourly"]
    (warning,) = [each for each in lint(tmp_path, cache=False) if each.code == "schedule"]
    assert (warning.rule, warning.severity) == ("down.t", "warning")
    assert "runs @weekly" in warning.message
    assert "raw.r is made @hourly" in warning.message
    assert "{{ ds }}" in str(warning.hint)


def test_a_pipeline_without_a_schedule_and_time_zones(tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    files = {"a/r.yaml": NO_OP.format("r"), "b/s.yaml": NO_OP.format("s"),
             "b/pipeline.yaml": "start_date: 2020-03-01\ncatchup: true\nmax_active_runs: 3"}  # fmt: skip
    dags = pipelines(tmp_path, files, schedule=None, start_date=datetime(2021, 1, 1, tzinfo=berlin))
    assert [dag.schedule for dag in dags.values()] == [None, None]
    assert [dag.catchup for dag in dags.values()] == [False, True]
    assert dags["b"].max_active_runs == 3
    start = dags["b"].start_date
    assert start == datetime(2020, 3, 1, tzinfo=berlin)
    assert [str(dag.timezone) for dag in dags.values()] == ["Europe/Berlin"] * 2


@pytest.mark.parametrize("schedule", ["99 99 * * *", "a b c d e", "* * * *", "0 5 * * */0", "0 5 * 13 *", "@dayly"])
def test_a_schedule_that_airflow_would_refuse_breaks_its_own_pipeline(tmp_path: Path, schedule: str) -> None:
    files = {"a/r.yaml": NO_OP.format("r"), "b/s.yaml": NO_OP.format("s") + f'schedule: "{schedule}"\n'}
    dags = pipelines(tmp_path, files)
    assert (broken(dags["a"]), broken(dags["b"])) == (False, True)
    assert "s.yaml:4:1: error: schedule" in str(dags["b"].doc_md)
    (found,) = lint(tmp_path, cache=False)
    assert (Path(found.file).name, found.line) == ("s.yaml", 4)


@pytest.mark.parametrize("schedule", ["30 5 * * 1-5", "*/15 0-6,22 1,15 JAN-mar mon", "0 0 L * *", "0 0 * * 5#2"])
def test_schedules_that_airflow_takes(tmp_path: Path, schedule: str) -> None:
    from airflow.timetables.trigger import CronTriggerTimetable

    CronTriggerTimetable(schedule, timezone="UTC").validate()
    dags = pipelines(tmp_path, {"b/s.yaml": NO_OP.format("s") + f'schedule: "{schedule}"\n'})
    assert [(broken(dag), str(dag.schedule)) for dag in dags.values()] == [(False, schedule)]


@pytest.mark.parametrize("odd", ["my flights", "flüge!", "a&b"])
def test_folders_that_are_no_names_of_dags(tmp_path: Path, odd: str) -> None:
    dags = pipelines(tmp_path, {"sound/r.yaml": NO_OP.format("r"), f"{odd}/s.yaml": NO_OP.format("s")})
    assert not broken(dags.pop("sound"))
    (dag,) = dags.values()
    assert broken(dag)
    assert f"the folder {odd!r} is no name of a DAG" in str(dag.doc_md)


def test_letters_of_any_alphabet_are_names(tmp_path: Path) -> None:
    dags = pipelines(tmp_path, {"flüge/ankünfte.yaml": NO_OP.format("r"), "航班/s.yaml": NO_OP.format("s")})
    assert not any(map(broken, dags.values()))
    assert dags["flüge"].task_ids == ["ankünfte.wait"]


def test_two_folders_of_one_name(tmp_path: Path) -> None:
    files = {"a/b/r.yaml": NO_OP.format("r"), "a.b/s.yaml": NO_OP.format("s"), "c/t.yaml": NO_OP.format("t")}
    dags = pipelines(tmp_path, files)
    assert (broken(dags["a.b"]), broken(dags["c"])) == (True, False)
    assert "the pipeline a.b is in two folders" in str(dags["a.b"].doc_md)


def _half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5])


def _latin(file: Path) -> None:
    file.with_suffix(".sql").write_bytes("SELECT 'ü' AS x FROM raw.r".encode("latin-1"))


def _gone(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent / "nothing.yaml")


def _gone_sql(file: Path) -> None:
    file.with_suffix(".sql").unlink()
    file.with_suffix(".sql").symlink_to(file.parent / "nothing.sql")


def _circle(file: Path) -> None:
    file.write_text("kind: create_table_as\noutput: {table: a.t}\nchecks: &all [*all]\n")


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()
    (file / "x").write_text("")


def _both(file: Path) -> None:
    shutil.copy(file, file.with_suffix(".yml"))


def _binary(file: Path) -> None:
    file.write_bytes(os.urandom(64) + b"\x00\xff")


def _empty(file: Path) -> None:
    file.write_text("")


@pytest.mark.parametrize(("sql", "warned"), [
    ("SELECT ds,\n  Current_Date - ds AS age FROM raw.r", "t.sql:2:3"),
    ("SELECT ds, now () AS loaded FROM raw.r", "t.sql:1:12"),
    ("SELECT ds, 'now()' AS now, r.\"current_date\" FROM raw.r -- random()", None),
])  # fmt: skip
def test_a_partition_that_depends_on_the_clock_is_warned_of(tmp_path: Path, sql: str, warned: str | None) -> None:
    written(tmp_path, {"a/r.yaml": NO_OP.format("r"), "a/t.yaml": SUM.format("raw.r", "a.t"), "a/t.sql": sql})
    found = [str(each) for each in lint(tmp_path, cache=False)]
    assert len(found) == (warned is not None)
    assert all(warned in each and "warning" in each and "{{ ds }}" in each for each in found if warned)


ANY_FILE = (_half, _gone, _circle, _binary, _empty)
DAMAGES = [
    *((damage, "t.yaml") for damage in (*ANY_FILE, _latin, _gone_sql, _both)),
    *((damage, "pipeline.yaml") for damage in ANY_FILE),
]


@pytest.mark.parametrize(("damage", "file"), DAMAGES)
def test_whatever_is_in_a_file_the_other_pipelines_run(tmp_path: Path, damage: Any, file: str) -> None:
    files = {"sound/r.yaml": NO_OP.format("r"), "bad/t.yaml": SUM.format("raw.r", "a.t"),
             "bad/t.sql": "SELECT ds FROM raw.r", "bad/pipeline.yaml": "owner: ann"}  # fmt: skip
    written(tmp_path, files)
    damage(tmp_path / "bad" / file)
    dags = pipelines(tmp_path, {})
    assert (broken(dags["sound"]), broken(dags["bad"])) == (False, True)
    found = load(tmp_path, cache=False).mistakes
    assert found
    assert {Path(each.file).parent.name for each in found} == {"bad"}
    assert lint(tmp_path, cache=False)


def test_files_that_come_and_go_between_parses(tmp_path: Path) -> None:
    files = {"a/r.yaml": NO_OP.format("r"), "b/t.yaml": SUM.format("raw.r", "a.t"), "b/t.sql": "SELECT ds FROM raw.r"}
    assert not any(map(broken, pipelines(tmp_path, files).values()))
    (tmp_path / "a" / "r.yaml").unlink()
    dags = pipelines(tmp_path, {})
    assert [*dags] == ["b"]
    assert "the input raw.r is no transform's output" in str(dags["b"].doc_md)
    dags = pipelines(tmp_path, files)
    assert not any(map(broken, dags.values()))


def test_links_are_followed_and_those_that_lead_back_are_not(tmp_path: Path) -> None:
    written(tmp_path / "elsewhere", {"r.yaml": NO_OP.format("r")})
    root = tmp_path / "project"
    written(root, {"b/s.yaml": NO_OP.format("s")})
    (root / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "b" / "back").symlink_to(root, target_is_directory=True)
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    assert [*pipelines(root, {})] == [*pipelines(tmp_path / "link", {})] == ["a", "b"]


def test_a_value_that_airflow_refuses_is_told_of_with_its_header(tmp_path: Path) -> None:
    files = {"a/r.yaml": "kind: no_op\noutput: {table: raw.r}\npoke_interval: soon\n", "b/s.yaml": NO_OP.format("s")}
    dags = pipelines(tmp_path, files)
    assert (broken(dags["a"]), broken(dags["b"])) == (True, False)
    assert "r.yaml:3:1" in str(dags["a"].doc_md)


ALERTING = """
from pathlib import Path

from airflow_dataquality.transforms import dags_from

def told(name):
    def tell(context):
        with open(Path(__file__).with_name("alerts"), "a") as file:
            file.write(f"{name}: {context['ti'].task_id}\\n")
    return tell

dags_from("transforms", conn_id="warehouse", poke_interval=1, retries=0, prefix="core_alerting_",
          on_failure_callback={"ann": told("ann"), "bob": told("bob"), "*": told("others")})
"""
ALERTED = {
    "p/pipeline.yaml": "owner: ann\nstart_date: 2013-01-01\n",
    "p/facts.yaml": """
        kind: create_table_as
        output: {table: mart.facts, partition: ds}
        checks: rules/facts.yaml
    """,
    "p/facts.sql": "SELECT '{{ ds }}'::date AS ds, n FROM generate_series(1, 3) AS n",
    "p/rules/facts.yaml": """
        name: all_facts
        rules:
          - {name: three, check: row_count, condition: {equal_to: 3}}
    """,
    "p/written.yaml": """
        kind: sql
        inputs: [mart.facts]
        output: {table: mart.written, partition: ds}
        checks:
          - {name: few, check: row_count, condition: {leq_to: 3}}
    """,
    "p/written.sql": """
        DELETE FROM mart.written WHERE ds = '{{ ds }}';
        INSERT INTO mart.written SELECT * FROM mart.facts WHERE ds = '{{ ds }}'
    """,
    "p/total.yaml": """
        kind: upsert
        owner: bob
        inputs: [mart.facts]
        output: {table: mart.total, primary_key: [ds]}
        checks:
          - {name: never, check: max, column: n, condition: {leq_to: 1}}
        monitor: {notify: "@slack-planning"}
    """,
    "p/total.sql": "SELECT ds, sum(n) AS n FROM mart.facts WHERE ds = '{{ ds }}' GROUP BY ds",
}


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """An agent of Datadog, which Airflow's configuration names."""
    agent = udp_agent()
    monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(agent.connection))
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__DATADOG_CONN_ID", "datadog")
    with agent.socket:
        yield agent


def test_a_check_that_fails_alerts_its_owner(
    tmp_path: Path, warehouse: Warehouse, airflow_db: None, agent: Agent
) -> None:
    with warehouse.connect() as db:
        db.execute("CREATE SCHEMA mart; CREATE TABLE mart.written (ds date, n integer)")
    written(tmp_path / "transforms", ALERTED)
    (tmp_path / "dag.py").write_text(ALERTING)
    dag = synced(tmp_path, "core_alerting_p")
    assert {task.task_id: task.owner for task in dag.tasks} == {
        "facts.publish": "ann", "written.run": "ann", "total.upsert": "bob",
    }  # fmt: skip
    run = dag.test(logical_date=datetime(2013, 1, 1, tzinfo=UTC))
    states = {each.task_id: each.state for each in run.get_task_instances()}
    assert states == {"facts.publish": "success", "written.run": "success", "total.upsert": "failed"}
    assert (tmp_path / "alerts").read_text() == "bob: total.upsert\n"
    heard = agent.heard()
    published = {metric.tags["table"]: metric.value for metric in heard.all("rows.published")}
    assert published == {"mart.facts": 3, "mart.written": 3}
    failed = heard.all("check.status", check="never", table="mart.total")
    assert [metric.value for metric in failed] == [2]
    assert any("never" in event for event in heard.events)
    # Who is told is Datadog's to know, by the monitor that is made of the header.
    found = in_dags(str(tmp_path / "dag.py"))
    (monitor,) = [one for table, checks in found for one in monitors_of(checks, table=table)]
    assert monitor["message"].endswith("@slack-planning")
    assert "table:mart.total" in monitor["query"]


def test_asset_events_name_the_rule_set(tmp_path: Path, warehouse: Warehouse, airflow_db: None) -> None:
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with warehouse.connect() as db:
        db.execute("CREATE SCHEMA mart; CREATE TABLE mart.written (ds date, n integer)")
    files = {name: text for name, text in ALERTED.items() if "total" not in name}
    written(tmp_path / "transforms", files)
    (tmp_path / "dag.py").write_text(ALERTING.replace("core_alerting_", "core_events_"))
    dag = synced(tmp_path, "core_events_p")
    assert dag.test(logical_date=datetime(2013, 1, 1, tzinfo=UTC)).state == "success"
    with create_session() as session:
        events = session.scalars(select(AssetEvent).where(AssetEvent.source_dag_id == "core_events_p")).all()
        found = {each.extra["airflow.dataquality.result"]["table"]: each.extra["airflow.dataquality.result"]["ruleset"]
                 for each in events if "airflow.dataquality.result" in each.extra}  # fmt: skip
    assert found == {"mart.facts": "facts", "mart.written": "p.written"}


def test_a_manual_run_without_a_logical_date(tmp_path: Path, warehouse: Warehouse, airflow_db: None) -> None:
    with warehouse.connect() as db:
        db.execute("CREATE SCHEMA mart; CREATE TABLE mart.written (ds date, n integer)")
        files = {name: text for name, text in ALERTED.items() if "total" not in name}
        files |= {
            "p/rated.yaml": """
                kind: python
                inputs: [mart.facts]
                output: {table: mart.rated, partition: ds, columns: {ds: {type: date}, n: {type: integer}}}
            """,
            "p/rated.py": "def run(inputs, ds):\n    return [{'n': row['n']} for row in inputs['mart.facts'].rows()]\n",
        }
        written(tmp_path / "transforms", files)
        (tmp_path / "dag.py").write_text(ALERTING.replace("core_alerting_", "core_manual_"))
        dag = synced(tmp_path, "core_manual_p")
        assert dag.test(logical_date=None).state == "success"
        for table in ("facts", "written", "rated"):
            assert db.execute(f"SELECT count(*), max(ds) = current_date FROM mart.{table}").fetchall() == [(3, True)]


def test_a_monitor_without_checks_is_warned_of(tmp_path: Path) -> None:
    written(tmp_path, {"a/r.yaml": NO_OP.format("r") + 'monitor: {notify: "@slack-x"}\n'})
    assert [(each.line, each.message) for each in lint(tmp_path, cache=False)] == [
        (4, "a monitor without checks watches nothing")
    ]


def test_thousands_of_files_are_read(tmp_path: Path) -> None:
    written(tmp_path, {f"p{n % 40}/t{n}.yaml": NO_OP.format(f"t{n}") for n in range(2000)})
    project = load(tmp_path, cache=False)
    assert (len(project.pipelines), len(project.transforms), project.mistakes) == (40, 2000, ())
