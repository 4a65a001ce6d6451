"""AnomalyTestOperator: what it asks, finds, records, writes and raises."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from airflow.providers.common.compat.sdk import DAG, AirflowException, AirflowFailException, Asset
from airflow.sdk.execution_time.context import OutletEventAccessors

from airflow_dataquality.engine import experiment as engine
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.errors import ChecksFailed, DataQualityError, SpecError
from airflow_dataquality.experiments import experiments_from
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.operators import _results
from airflow_dataquality.operators._common import RESULT_KEY
from airflow_dataquality.operators.anomaly_test import AnomalyTestOperator
from airflow_dataquality.results import Summary
from support import Database, Warehouse, on, told_to_listeners

CONTROL = "SELECT 113.8 AS avg, 6.8 AS stddev"
EXPERIMENT = "SELECT 120 AS avg"
Z_SCORE = "abs((experiment.avg - control.avg) / control.stddev) <= z_score"


def operator(conn_id: str | None, **arguments: Any) -> AnomalyTestOperator:
    defaults: dict[str, Any] = {"task_id": "compare", "conn_id": conn_id}
    if "tests" not in arguments:
        defaults |= {"control_sql": CONTROL, "experiment_sql": EXPERIMENT, "formula": Z_SCORE}
        defaults |= {"formula_params": {"z_score": 3}}
    return AnomalyTestOperator(**{**defaults, **arguments})


def offline(**arguments: Any) -> AnomalyTestOperator:
    return operator(arguments.pop("conn_id", "nowhere"), **arguments)


def recorded(database: Database, columns: str) -> list[tuple[Any, ...]]:
    name = database.session.dialect.table(Ledger(database.session).table("check_result"))
    return [tuple(row) for row in database.session.query(f"SELECT {columns} FROM {name}")]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """The users' queries that were run so far."""
    seen: list[str] = []
    fetch = DbApiSession.fetch

    def noted(session: DbApiSession, sql: str, most: int) -> Any:
        seen.append(sql)
        return fetch(session, sql, most)

    monkeypatch.setattr(DbApiSession, "fetch", noted)
    return lambda: list(seen)


# -- one test


def test_it_returns_what_it_found(database: Database) -> None:
    outcome = operator(database.conn_id, table="Mart.Orders", partition={"ds": date(2013, 2, 1)}).execute({})
    run_uid = outcome.pop("run_uid")
    assert json.loads(json.dumps(outcome)) == {
        "table": "mart.orders",
        "partition": {"ds": "2013-02-01"},
        "score": 1.0,
        "passed": 1,
        "warned": 0,
        "failed": 0,
        "errored": 0,
        "skipped": 0,
        "failed_rules": [],
        "warned_rules": [],
        "reason": "abs((120.0 - 113.8) / 6.8) <= 3.0 is true",
        "results_file": None,
    }
    columns = "check_name, metric, interval, status, severity, reason, table_schema, table_name, partition, run_uid"
    assert recorded(database, columns) == [
        ("compare", "formula", Z_SCORE, "pass", "error", outcome["reason"], "mart", "orders", '{"ds": "2013-02-01"}',
         run_uid)
    ]  # fmt: skip
    ((value, text),) = recorded(database, "value, value_text")
    assert value is None
    assert json.loads(text) == {"control": {"avg": 113.8, "stddev": 6.8}, "experiment": {"avg": 120}}


@on("postgres", "sqlite")
def test_a_failure_is_recorded_first_and_says_what(database: Database) -> None:
    task = operator(database.conn_id, experiment_sql="SELECT 150 AS avg")
    with pytest.raises(AirflowException) as raised:
        task.execute({})
    assert not isinstance(raised.value, AirflowFailException)
    assert "compare: abs((150.0 - 113.8) / 6.8) <= 3.0 is false (error)" in str(raised.value)
    assert isinstance(raised.value.__cause__, ChecksFailed)
    assert raised.value.__cause__.outcome["failed_rules"] == ["compare"]
    assert recorded(database, "check_name, status, table_name") == [("compare", "fail", "compare")]


@told_to_listeners
@on("sqlite")
def test_results_are_kept_for_listeners(database: Database) -> None:
    task = operator(database.conn_id, ledger_schema=None, experiment_sql="SELECT 150 AS avg", fail_on="never")
    task.execute({})
    (result,) = task.check_results
    assert (result.name, result.check_type, result.success, result.expected) == ("compare", "formula", False, Z_SCORE)
    assert json.loads(result.actual or "")["experiment"] == {"avg": 150}


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        ({"control_sql": "SELECT 1 AS avg, 0 AS stddev"}, "skip", "division by zero in 119.0 / 0.0: abs((120.0 - 1.0)"),
        ({"control_sql": "SELECT 1 AS avg, NULL AS stddev"}, "skip", "stddev is NULL: abs((120.0 - 1.0) / NULL) <= 3"),
        ({"control_sql": f"{CONTROL} WHERE 1 = 0"}, "skip", "could not tell: the control query returned no row"),
        (
            {"control_sql": f"{CONTROL} WHERE 1 = 0", "experiment_sql": "SELECT 1 AS avg WHERE 1 = 0"},
            "skip",
            "the control query returned no row; the experiment query returned no row",
        ),
        ({"control_sql": f"{CONTROL} UNION ALL SELECT 1, 2"}, "error", "the control query returned more than one row"),
        ({"control_sql": "SELECT 1 AS a, 2 AS a"}, "error", "returned several columns named a: name them with AS"),
        ({"control_sql": "SELECT 1 AS average, 2 AS stddev"}, "error", "did you mean 'average'? it returned: average"),
        ({"control_sql": "SELECT 'x' AS avg, 2 AS stddev"}, "error", "control.avg is str 'x', and no number"),
        ({"experiment_sql": "SELECT nope FROM nowhere"}, "error", "could not tell: the experiment query failed: "),
        ({"experiment_sql": "INSERT INTO t VALUES (1)"}, "error", "query is not a SELECT: it begins with 'insert'"),
        ({"experiment_sql": "SELECT 1 AS avg; DROP TABLE t"}, "error", "query is more than one statement"),
        ({"control_sql": "SELECT 1 AS avg, 1 AS stddev, NULL AS unused, 'x' AS text"}, "fail", " is false"),
    ],
)  # fmt: skip
@on("postgres", "sqlite")
def test_what_cannot_be_told_does_not_pass(database: Database, arguments: Any, status: str, says: str) -> None:
    task = operator(database.conn_id, **arguments)
    if status == "skip":
        outcome = task.execute({})
        assert (outcome["passed"], outcome["skipped"]) == (0, 1)
    else:
        with pytest.raises(AirflowException) as raised:
            task.execute({})
        assert says in str(raised.value)
    ((found, reason),) = recorded(database, "status, reason")
    assert found == status
    assert says in reason


@on("postgres")
@pytest.mark.parametrize("value", ["'NaN'::float8", "'Infinity'::float8", "'NaN'::numeric", "'-Infinity'::numeric"])
def test_what_is_not_finite_is_no_number(database: Database, value: str) -> None:
    unused = f"SELECT 113 AS avg, 7 AS stddev, {value} AS unused"
    assert operator(database.conn_id, control_sql=unused).execute({})["passed"] == 1
    outcome = operator(database.conn_id, control_sql=f"SELECT {value} AS avg, 7 AS stddev").execute({})
    assert outcome["skipped"] == 1
    assert "could not tell: control.avg is " in outcome["reason"]


@on("postgres")
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("WITH w AS (INSERT INTO t VALUES (1) RETURNING 1 AS avg) SELECT avg FROM w", "read-only transaction"),
        ("SELECT nextval('s') AS avg", "read-only transaction"),
        ("WITH w AS (DELETE FROM t RETURNING 1) SELECT 120 AS avg", "read-only transaction"),
    ],
)
def test_a_query_cannot_write(database: Database, sql: str, says: str) -> None:
    database.session.execute("CREATE TABLE t (n int)")
    database.session.execute("CREATE SEQUENCE s")
    with pytest.raises(AirflowException, match=says):
        operator(database.conn_id, experiment_sql=sql).execute({})
    assert database.session.query("SELECT count(*), (SELECT last_value FROM s) FROM t") == [(0, 1)]


def test_whole_numbers_are_compared_exactly(database: Database) -> None:
    arguments = {"formula": "control.n == experiment.n", "control_sql": f"SELECT {2**62 + 1} AS n"}
    with pytest.raises(AirflowException, match=f"{2**62 + 1} == "):
        operator(database.conn_id, **arguments, experiment_sql=f"SELECT {2**62} AS n").execute({})


def test_a_lost_connection_is_no_result(warehouse: Warehouse) -> None:
    with pytest.raises(Exception, match=r"terminat|closed") as raised:
        operator(
            "warehouse",
            experiment_sql="SELECT 1 AS avg FROM (SELECT pg_terminate_backend(pg_backend_pid())) AS gone",
        ).execute({})
    assert not isinstance(raised.value, DataQualityError)


@on("sqlite")
def test_what_fails_the_task(database: Database) -> None:
    far = {"experiment_sql": "SELECT 150 AS avg"}
    for arguments, fail_on, fails in [
        (far, "error", True),
        (far, "never", False),
        ({**far, "severity": "warn"}, "error", False),
        ({**far, "severity": "warn"}, "warn", True),
        ({"experiment_sql": "SELECT nope"}, "never", True),
        ({"experiment_sql": "SELECT NULL AS avg"}, "warn", False),
    ]:
        task = operator(database.conn_id, **arguments, fail_on=fail_on, ledger_schema=None)
        if fails:
            with pytest.raises(AirflowException):
                task.execute({})
        else:
            outcome = task.execute({})
            assert (outcome["warned"] == 1) == ("severity" in arguments)
            assert outcome["passed"] == 0


@on("sqlite")
def test_without_retries_it_fails_for_good(database: Database) -> None:
    with pytest.raises(AirflowFailException):
        operator(database.conn_id, experiment_sql="SELECT 150 AS avg", retry_on_failure=False).execute({})


@on("postgres", "sqlite")
def test_templates_are_rendered(database: Database, tmp_path: Path) -> None:
    (tmp_path / "control.sql").write_text("SELECT {{ params.avg }} AS avg, 6.8 AS stddev")
    with DAG("templates", schedule=None, template_searchpath=str(tmp_path)):
        task = operator(
            database.conn_id,
            control_sql="control.sql",
            experiment_sql="SELECT {{ ds_nodash }} AS avg",
            formula_params={"z_score": "{{ params.z }}"},
            table="{{ params.table }}",
            partition={"ds": "{{ ds }}"},
            results_path=f"{tmp_path}/{{{{ ds }}}}",
        )
    context: Any = {"ds": "2013-02-01", "ds_nodash": "20130201", "params": {"avg": 20130200, "z": 2.5, "table": "a.b"}}
    task.resolve_template_files()
    task.render_template_fields(context)
    outcome = task.execute(context)
    assert outcome["reason"] == "abs((20130201.0 - 20130200.0) / 6.8) <= 2.5 is true"
    assert (outcome["table"], outcome["partition"]) == ("a.b", {"ds": "2013-02-01"})
    assert outcome["results_file"].startswith(f"file://{tmp_path}/2013-02-01/")


@on("sqlite")
def test_a_sql_file_is_found_without_airflow(database: Database, tmp_path: Path) -> None:
    (tmp_path / "control.sql").write_text(CONTROL)
    with DAG("files", schedule=None, template_searchpath=str(tmp_path)):
        task = operator(database.conn_id, control_sql="control.sql")
    assert task.execute({})["passed"] == 1


@on("sqlite")
def test_runs_without_a_logical_date_have_a_date(tmp_path: Path, database: Database) -> None:
    tests = [{"name": "a", "control_sql": "SELECT {{ ds_nodash }} AS n", "experiment_sql": "SELECT 20130201 AS n",
              "formula": "control.n == experiment.n"}]  # fmt: skip
    task = operator(database.conn_id, tests=tests, results_path=str(tmp_path))
    run = SimpleNamespace(partition_key=None, run_after=datetime(2013, 2, 1, 6, tzinfo=UTC))
    context: Any = {"dag_run": run}
    task.render_template_fields(context)
    outcome = task.execute(context)
    assert outcome["passed"] == 1
    assert written(outcome)["date"] == "2013-02-01"


@on("sqlite")
def test_the_run_is_recorded(database: Database) -> None:
    instance = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=-1, try_number=2)
    context: Any = {"ti": instance}
    operator(database.conn_id).execute(context)
    assert recorded(database, "dag_id, task_id, run_id, map_index, try_number") == [("d", "t", "r", -1, 2)]


@on("sqlite")
def test_asset_events_carry_the_summary(database: Database) -> None:
    asset = Asset("compared")
    events = OutletEventAccessors()
    context: Any = {"outlet_events": events, "task": SimpleNamespace(outlets=[asset])}
    outcome = operator(database.conn_id).execute(context)
    assert events[asset].extra[RESULT_KEY]["run_uid"] == outcome["run_uid"]


# -- two connections


@pytest.fixture
def lite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The connection to a SQLite database of its own."""
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "other.db")}))
    return "other"


def test_control_and_experiment_may_be_in_two_databases(database: Database, lite: str) -> None:
    database.session.execute("CREATE TABLE here (n integer)")
    database.session.execute("INSERT INTO here VALUES (3), (4)")
    comparison = {
        "control_sql": "SELECT count(*) AS n FROM here",
        "experiment_sql": "SELECT count(*) AS n FROM sqlite_master",
        "formula": "control.n == experiment.n + 2",
        "formula_params": None,
    }
    assert operator(database.conn_id, experiment_conn_id=lite, ledger_schema=None, **comparison).execute({})["passed"]
    both = operator("", control_conn_id=database.conn_id, experiment_conn_id=lite, ledger_schema=None, **comparison)
    assert both.execute({})["reason"] == "2.0 == 0.0 + 2 is true"


@on("postgres", "sqlite")
def test_recording_can_be_off_or_elsewhere(database: Database, lite: str, tmp_path: Path) -> None:
    operator(database.conn_id, ledger_schema=None).execute({})
    operator(database.conn_id, ledger_conn_id=lite, ledger_schema="dq").execute({})
    assert not database.session.columns(Ledger(database.session).table("check_result"))

    import sqlite3

    connection = sqlite3.connect(tmp_path / "other.db")
    assert connection.execute("SELECT check_name, status FROM dq_check_result").fetchall() == [("compare", "pass")]
    connection.close()


# -- many tests


def many(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": f"test {n}", "control_sql": CONTROL, "experiment_sql": f"SELECT {100 + n} AS avg",
             "formula": Z_SCORE, "formula_params": {"z_score": 3}, **fields} for n in range(count)]  # fmt: skip


def test_each_query_runs_once(database: Database, asked: Callable[[], list[str]]) -> None:
    outcome = operator(database.conn_id, tests=many(200), fail_on="never").execute({})
    # 113.8 ± 3 · 6.8 is 93.4 to 134.2.
    assert (outcome["passed"], outcome["failed"]) == (35, 165)
    assert len(outcome["failed_rules"]) == 165
    assert "reason" not in outcome
    assert len(asked()) == len(set(asked())) == 201
    assert len(recorded(database, "check_name")) == 200


@on("postgres", "sqlite")
def test_a_query_is_run_on_each_connection_that_asks(
    database: Database, lite: str, asked: Callable[[], list[str]]
) -> None:
    same = {"control_sql": CONTROL, "experiment_sql": CONTROL}
    tests = many(3, **same)
    operator(database.conn_id, tests=tests, ledger_schema=None).execute({})
    assert asked() == [CONTROL]
    operator(database.conn_id, tests=tests, experiment_conn_id=lite, ledger_schema=None).execute({})
    assert asked() == [CONTROL] * 3


RULES = """
name: of orders
defaults:
  control_sql: SELECT {{ params.avg }} AS avg, 6.8 AS stddev
  formula: abs((experiment.avg - control.avg) / control.stddev) <= z_score
  formula_params: {z_score: 3}
  severity: warn
tests:
  - name: as usual
    experiment_sql: SELECT 120 AS avg
  - name: wide
    experiment_sql: experiment.sql
    formula_params: {z_score: "{{ params.z }}"}
    description: told at {{ ds }}
  - name: far
    experiment_sql: SELECT 150 AS avg
    severity: error
    dimension: volume
"""


@pytest.mark.parametrize("read", [str, yaml.safe_load], ids=["file", "mapping"])
@on("postgres", "sqlite")
def test_a_file_of_tests(database: Database, tmp_path: Path, read: Callable[[str], Any]) -> None:
    (tmp_path / "tests.yaml").write_text(RULES)
    (tmp_path / "experiment.sql").write_text("SELECT {{ params.far }} AS avg")
    with DAG("many", schedule=None, template_searchpath=str(tmp_path)):
        task = operator(database.conn_id, tests="tests.yaml" if read is str else read(RULES), fail_on="never")
    context: Any = {"ds": "2013-02-01", "params": {"avg": 113.8, "z": 9, "far": 150}}
    outcome = task.execute(context)
    assert (outcome["passed"], outcome["failed_rules"]) == (2, ["far"])
    assert recorded(database, "check_name, severity, dimension, reason") == [
        ("as usual", "warn", "validity", "abs((120.0 - 113.8) / 6.8) <= 3.0 is true"),
        ("wide", "warn", "validity", "abs((150.0 - 113.8) / 6.8) <= 9.0 is true"),
        ("far", "error", "volume", "abs((150.0 - 113.8) / 6.8) <= 3.0 is false"),
    ]


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (("experiment_sql: SELECT 120 AS avg", "experiment: SELECT"), "tests.yaml: tests[0]: unknown key 'experiment'"),
        (("experiment_sql: SELECT 120 AS avg", ""), "tests.yaml: tests[0].experiment_sql is None, not a text"),
        (("    severity: error", "    severity: eror"), "tests.yaml: tests[2].severity is 'eror'"),
        (("severity: warn", "severity: wrn"), "tests.yaml: defaults.severity is 'wrn'"),
        (("dimension: volume", "dimension: volumes"), "tests.yaml: tests[2].dimension is 'volumes'"),
        (("<= z_score", "<= z_scor"), "tests.yaml: defaults.formula at column 57: unknown name 'z_scor'"),
        (("    dimension: volume", "    formula: control.n = 1"), "tests.yaml: tests[2].formula at column 11: "),
        (("    dimension: volume", "    formula: [1]"), "tests.yaml: tests[2].formula is [1], not a text"),
        (("{z_score: 3}", "3"), "tests.yaml: defaults.formula_params is 3, not a mapping"),
        (("{z_score: 3}", "{z_score: x}"), "tests.yaml: defaults.formula_params.z_score is 'x', not a number"),
        (("{z_score: 3}", "{and: 3}"), "tests.yaml: defaults.formula_params: 'and' is a word of formulas"),
        (("{{ params.z }}", "nan"), "tests.yaml: tests[1].formula_params.z_score is 'nan', not a number"),
        (("name: wide", "name: far"), "two tests are named 'far' (tests.yaml: tests[1]; tests.yaml: tests[2])"),
        (("name: wide\n    exp", "exp"), "tests.yaml: tests[1]: no name"),
        (("  - name: wide", "  - wide\n  - name: w"), "tests.yaml: tests[1]: 'wide' is not a test"),
        (("name: wide", "name: 7"), "tests.yaml: tests[1].name is 7, not a text"),
        (("defaults:", "default:"), "tests.yaml: tests: unknown key 'default'"),
        (("  severity: warn", "  severty: warn"), "tests.yaml: defaults: unknown key 'severty'"),
        ((RULES, "tests: []"), "tests.yaml: tests: [] is not a list of tests"),
        ((RULES, "7"), "tests.yaml: no `tests` at the top"),
        ((RULES, "defaults: 7\ntests: [{name: x}]"), "tests.yaml: defaults: 7 is not a mapping"),
        (("name: of orders", "name: a\nname: b"), "found the key 'name' twice"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_place(tmp_path: Path, edit: tuple[str, str], says: str) -> None:
    assert edit[0] in RULES
    (tmp_path / "tests.yaml").write_text(RULES.replace(*edit))
    with DAG("mistaken", schedule=None, template_searchpath=str(tmp_path)), pytest.raises(SpecError) as raised:
        offline(tests="tests.yaml")
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)


def test_a_thousand_tests_are_read_quickly(tmp_path: Path) -> None:
    path = tmp_path / "tests.yaml"
    path.write_text(yaml.safe_dump({"tests": many(1000, formula_params={"z_score": 3})}))
    begun = time.process_time()
    assert len(experiments_from(str(path))) == 1000
    assert time.process_time() - begun < 2, "0.3 seconds where this was written"


# -- results as files


def written(outcome: dict[str, Any]) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not strict JSON")

    text = Path(outcome["results_file"].removeprefix("file://")).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


@on("postgres", "sqlite")
def test_the_results_are_written_also_when_the_task_fails(database: Database, tmp_path: Path) -> None:
    tests = many(2) + many(1, name="far", experiment_sql="SELECT 150 AS avg", description="é")
    tests += many(1, name="unknown", control_sql="SELECT NULL AS avg, 1 AS stddev", severity="warn")
    tests += many(1, name="broken", control_sql="SELECT nope")
    folder = tmp_path / "new" / "folder"
    instance = SimpleNamespace(dag_id="d", task_id="t", run_id="manual__2013-02-01T00:00:00+00:00", map_index=-1,
                               try_number=1)  # fmt: skip
    context: Any = {"ti": instance, "ds": "2013-02-01"}
    for scheme in ("", "file://"):
        with pytest.raises(AirflowException, match="2 of 5 checks on compare did not pass"):
            operator(database.conn_id, tests=tests, results_path=f"{scheme}{folder}").execute(context)
    (file,) = folder.iterdir()
    assert file.name == "d.t.manual__2013-02-01T00_00_00_00_00.json"
    document = written({"results_file": str(file)})
    assert (document["date"], document["passed"], document["errored"]) == ("2013-02-01", 2, 1)
    found = {result["name"]: result for result in document["results"]}
    assert {name: (r["status"], r["success"]) for name, r in found.items()} == {
        "test 0": ("pass", True),
        "test 1": ("pass", True),
        "far": ("fail", False),
        "unknown": ("skip", None),
        "broken": ("error", None),
    }
    far = found["far"]
    assert far.pop("run_uid") == document["run_uid"]
    assert far == {
        "name": "far",
        "description": "é",
        "severity": "error",
        "status": "fail",
        "success": False,
        "control": {"avg": 113.8, "stddev": 6.8},
        "experiment": {"avg": 150},
        "formula_template": Z_SCORE,
        "formula": "abs((150.0 - 113.8) / 6.8) <= 3.0",
        "reason": "abs((150.0 - 113.8) / 6.8) <= 3.0 is false",
        "date": "2013-02-01",
        "table": "compare",
        "partition": {},
        "dag_id": "d",
        "task_id": "t",
        "run_id": instance.run_id,
        "map_index": -1,
        "try_number": 1,
    }
    assert found["broken"]["control"] is None


@on("postgres")
def test_the_file_is_strict_json(database: Database, tmp_path: Path) -> None:
    control = (
        "SELECT 'NaN'::float8 AS a, '-Infinity'::float8 AS b, 'Infinity'::numeric AS c, 12::numeric AS d, 0.5 AS e, "
        "date '2013-02-01' AS f, interval '90 s' AS g, 'x'::bytea AS h, '{\"n\": [1, null]}'::jsonb AS i, "
        "true AS j, NULL AS k, 1e40::numeric AS l, 1 AS avg, time '06:00' AS m, 'ü\u0001' AS n"
    )
    task = operator(database.conn_id, control_sql=control, formula="control.avg == 1", results_path=str(tmp_path))
    found = written(task.execute({}))["results"][0]["control"]
    assert found == {
        "a": "NaN", "b": "-Infinity", "c": "Infinity", "d": 12, "e": 0.5, "f": "2013-02-01", "g": 90.0, "h": "78",
        "i": {"n": [1, None]}, "j": True, "k": None, "l": 1e40, "avg": 1, "m": "06:00:00", "n": "ü\u0001",
    }  # fmt: skip


@on("sqlite")
def test_secrets_are_not_in_the_file(database: Database, tmp_path: Path) -> None:
    from airflow.sdk.log import mask_secret

    mask_secret("hunter2-hunter2")
    task = operator(
        database.conn_id,
        control_sql=f"{CONTROL}, 'my hunter2-hunter2' AS word, 120 AS password",
        experiment_sql="SELECT avg FROM 'hunter2-hunter2'",
        results_path=str(tmp_path),
    )
    with pytest.raises(AirflowException):
        task.execute({})
    (file,) = tmp_path.glob("*.json")
    text = file.read_text()
    assert "hunter2" not in text
    assert '"password": 120' in text


@on("sqlite")
def test_a_result_that_cannot_be_written_does_not_hide_a_failure(database: Database, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    arguments = {"results_path": str(occupied / "below"), "ledger_schema": None}
    with pytest.raises(AirflowException, match=r"the results cannot be written to [\s\S]*Hint: grant the right"):
        operator(database.conn_id, **arguments).execute({})
    with pytest.raises(AirflowException, match="is false"):
        operator(database.conn_id, **arguments, experiment_sql="SELECT 150 AS avg").execute({})


def test_a_store_that_needs_a_package_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    for path, says in [
        ("s3://lake/x", "Hint: pip install 'apache-airflow-providers-amazon[s3fs]'"),
        ("gs://lake/x", "Hint: pip install 'apache-airflow-providers-google'"),
        ("nosuch://lake/x", "Hint: install the Airflow provider"),
    ]:
        with pytest.raises(AirflowException) as raised:
            offline(results_path=path).execute({})
        assert says in str(raised.value)


@on("sqlite")
def test_the_results_are_written_to_s3(
    database: Database, s3: Any, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs", reason="Airflow writes to S3 with s3fs")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)  # without a connection, only boto's own configuration is known
    context: Any = {"ds": "2013-02-01", "ti": SimpleNamespace(dag_id="d", task_id="t", run_id="r")}
    for path, key in [("s3://aws_default@lake/a/b", "a/b/d.t.r.json"), ("s3://lake/c", "c/d.t.r.json")]:
        outcome = operator(database.conn_id, results_path=path).execute(context)
        document = json.loads(s3.get_object(Bucket="lake", Key=key)["Body"].read())
        assert (document["run_uid"], document["passed"]) == (outcome["run_uid"], 1)
        assert outcome["results_file"].endswith(f"lake/{key}")
    with pytest.raises(AirflowException, match="the results cannot be written to"):
        operator(database.conn_id, results_path="s3://nowhere/c").execute(context)
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["lake"]


def test_files_of_mapped_tasks_and_of_no_task() -> None:
    mapped = Run(run_uid="u", dag_id="d", task_id="t", run_id="r", map_index=3, try_number=2)
    assert _results.file_name(mapped) == "d.t.r.3.json"
    assert _results.file_name(Run(run_uid="u")) == "u.json"


def test_large_rows_fit_into_the_ledger() -> None:
    (test,) = experiments_from(many(1))
    rows = {"control": {"avg": Decimal(1), "stddev": 2, "text": "x" * 5000}, "experiment": {"avg": math.nan}}
    evidence = engine.Evidence(rows, "", test.formula.columns)
    assert json.loads(str(evidence)) == {"control": {"avg": 1, "stddev": 2}, "experiment": {"avg": "NaN"}}
    document = engine.document(Summary(()), Run(), Partition(Table("t")), None)
    assert (document["date"], document["results"]) == (None, [])


# -- what can never work


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"conn_id": None}, "has no conn_id"),
        ({"conn_id": None, "control_conn_id": "a"}, "has no conn_id"),
        ({"formula": None}, "AnomalyTestOperator 'compare': formula is None, not a text"),
        ({"formula": "experiment.avg <= z"}, "'compare': formula at column 19: unknown name 'z'"),
        ({"formula": "{{ params.formula }}"}, "a formula is no template"),
        ({"control_sql": None}, "'compare': control_sql is None, not a text"),
        ({"experiment_sql": " "}, "'compare': experiment_sql is ' ', not a text"),
        ({"formula_params": {"z_score": None}}, "formula_params.z_score is None, not a number"),
        ({"formula_params": {"z_score": [3]}}, "formula_params.z_score is [3], not a number"),
        ({"formula_params": {"z_score": math.inf}}, "formula_params.z_score is inf, not a number"),
        ({"formula_params": [3]}, "formula_params is [3], not a mapping"),
        ({"severity": "eror"}, "did you mean 'error'?"),
        ({"description": 7}, "description is 7"),
        ({"fail_on": "err"}, "did you mean 'error'?"),
        ({"table": "a.b.c"}, "names a database"),
        ({"partition": "ds=1"}, "is not a mapping"),
        ({"results_path": "results"}, "is relative"),
        ({"results_path": 7}, "results_path is 7"),
        ({"results_path": "s3://key:word@bucket/x"}, "results_path holds credentials"),
        ({"tests": []}, "tests: [] is not a list of tests"),
        ({"tests": "nowhere.yaml"}, "file of tests 'nowhere.yaml' does not exist; looked at"),
        ({"tests": "tests.txt"}, "is not a file of tests"),
        ({"tests": [{"name": "a"}], "formula": "1", "control_sql": "x"}, "tests= beside control_sql, formula"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_refused_at_once(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises((SpecError, DataQualityError)) as raised:
        offline(**arguments)
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)
    assert "key:word" not in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"control_sql": "SELECT '{{ ds }}'"},
        {"experiment_conn_id": "{{ params.conn }}"},
        {"formula_params": {"z_score": "{{ params.z }}"}},
        {"results_path": "/{{ ds }}"},
        {"tests": many(1, control_sql="SELECT '{{ ds }}'")},
        {"tests": many(1, formula_params={"z_score": "{{ params.z }}"})},
    ],
)
def test_what_was_not_rendered_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(AirflowException, match=r"was not rendered[\s\S]*Hint: Airflow renders templates when"):
        offline(**arguments).execute({})


@on("sqlite")
def test_a_parameter_that_renders_to_no_number(database: Database) -> None:
    tests = many(1, formula_params={"z_score": "{{ params.z }}"})
    context: Any = {"ds": "2013-02-01", "params": {"z": "three"}}
    with pytest.raises(AirflowException, match=r"tests\[0\]\.formula_params\.z_score is 'three', not a number"):
        operator(database.conn_id, tests=tests).execute(context)


# -- as Airflow runs it


@pytest.fixture
def flights(warehouse: Warehouse) -> Warehouse:
    """Five weeks of flights; on the last day a fifth of them, all cancelled and none of them late."""
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute("CREATE TABLE raw.flights (ds date, dep_time int, dep_delay int)")
        for day in range(36):
            count, departed = (100 + day % 5, 600) if day < 35 else (20, None)
            connection.execute(
                "INSERT INTO raw.flights SELECT %s, %s, %s FROM generate_series(1, %s)",
                (date(2013, 1, 1) + timedelta(day), departed, departed and 10 + day % 3, count),
            )
    return warehouse


def test_a_dag_run(flights: Warehouse, run_dag: Callable[[str, date], Any]) -> None:
    query = (
        "SELECT task_id, check_name, status, reason FROM dataquality.check_result "
        "WHERE partition = %s AND table_name = 'flights' ORDER BY 1, 2"
    )

    def found(day: date) -> tuple[str, list[tuple[Any, ...]]]:
        run = run_dag("anomaly_test_control_experiment", day)
        with flights.connect() as connection:
            rows = connection.execute(query, [json.dumps({"ds": str(day)})]).fetchall()
        return run.state, [(task, name, status) for task, name, status, _ in rows]

    many_of = "flights_and_cancellations"
    names = ("few_cancelled", "flights_as_usual", "not_half_of_the_flights", "not_more_than_half_cancelled")
    assert found(date(2013, 2, 4)) == (
        "success",
        [("departure_delay", "departure_delay", "pass"), *((many_of, name, "pass") for name in names)],
    )
    state, rows = found(date(2013, 2, 5))
    assert state == "failed"
    assert rows == [
        ("departure_delay", "departure_delay", "skip"),
        (many_of, "few_cancelled", "warn"),
        (many_of, "flights_as_usual", "fail"),
        (many_of, "not_half_of_the_flights", "fail"),
        (many_of, "not_more_than_half_cancelled", "warn"),
    ]
