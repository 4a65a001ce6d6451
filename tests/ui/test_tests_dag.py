"""The DAG of saved tests: what it runs, what it costs, and what SQL that people wrote in a form cannot do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.saved_tests import SavedTests
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.operators.saved_tests import PlanSavedTestsOperator, SavedTestsOperator
from airflow_dataquality.saved import read
from support import Warehouse, synced

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

CONTEXT: Any = {"ds": "2013-02-08"}
FILE = "from airflow_dataquality.tests_dag import tests_dag\n\ntests_dag({arguments})\n"

Save = Callable[..., str]


@pytest.fixture
def save(request: pytest.FixtureRequest, warehouse: Warehouse) -> Iterator[Save]:
    """Save a test in the warehouse: ``save("name", "metric", check="row_count", …)``."""
    with connected("warehouse") as session:
        tests = SavedTests(Ledger(session))
        tests.ledger.ensure()

        def save(name: str, kind: str = "metric", state: str = "active", **definition: Any) -> str:
            return tests.save(read(name, kind, definition), state=state, author="ann").test_id

        yield save


@pytest.fixture
def flights(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """Thirty days of a table, ten rows each, and twenty on the last."""
    with warehouse.connect() as connection:
        connection.execute("""
            CREATE SCHEMA raw;
            CREATE TABLE raw.flights AS
            SELECT date '2013-02-09' - d AS ds, n AS id, CASE WHEN n > 1 THEN 'x' END AS tail
            FROM generate_series(1, 30) AS d, generate_series(1, CASE WHEN d = 1 THEN 20 ELSE 10 END) AS n""")
        yield connection


def on_flights(check: str, **changed: Any) -> dict[str, Any]:
    return {"table": "raw.flights", "partition": {"ds": "{{ ds }}"}, "check": check, **changed}


def asking(experiment: str, formula: str = "experiment.n == 1", **changed: Any) -> dict[str, Any]:
    return {"conn_id": "warehouse", "control_sql": "SELECT 1 AS n", "experiment_sql": experiment, "formula": formula,
            **changed}  # fmt: skip


def planned(**arguments: Any) -> list[dict[str, Any]]:
    return PlanSavedTestsOperator(task_id="plan", conn_id="warehouse", **arguments).execute(CONTEXT)


def run(batch: Any = None, context: Any = None, **arguments: Any) -> dict[str, Any]:
    """Run a batch; without one, all there is."""
    (batch,) = [batch] if batch else planned(max_batches=1)
    operator = SavedTestsOperator(task_id="run", conn_id="warehouse", batch=batch, **arguments)
    return operator.execute(context or CONTEXT)


def failure(**arguments: Any) -> str:
    with pytest.raises(AirflowFailException) as failed:
        run(**arguments)
    return str(failed.value)


def results(connection: psycopg.Connection[Any]) -> dict[str, tuple[Any, ...]]:
    found = connection.execute("SELECT check_name, status, table_name, partition, reason FROM dataquality.check_result")
    return {name: rest for name, *rest in found}


def test_results_are_recorded_under_the_names_of_tests(save: Save, flights: psycopg.Connection[Any]) -> None:
    save("ten rows", **on_flights("row_count", condition={"geq_to": 10}))
    save("tails", **on_flights("null_count", column="tail", condition={"leq_to": 1}))
    save("as usual", **on_flights("row_count", baseline={"zscore": {"threshold": 3}}, severity="warn"))
    save("one", "formula", **asking("SELECT count(*) AS n FROM raw.flights WHERE ds = '{{ ds }}' AND id = 1"))
    save("not run", state="paused", **on_flights("row_count", condition={"geq_to": 10**6}))
    outcome = run()
    assert (outcome["passed"], outcome["warned_rules"], outcome["failed"]) == (3, ["as usual"], 0)
    found = results(flights)
    assert {name: rest[0] for name, rest in found.items()} == {
        "ten rows": "pass", "tails": "pass", "as usual": "warn", "one": "pass"
    }  # fmt: skip
    assert found["tails"][1:3] == ["flights", '{"ds": "2013-02-08"}']
    assert found["one"][1:3] == ["saved_tests", "{}"]
    operator = SavedTestsOperator(task_id="run", conn_id="warehouse", batch=planned(max_batches=1)[0])
    operator.execute(CONTEXT)
    told = operator.get_openlineage_facets_on_complete(None)
    assert told is not None
    assert [each.name.partition(".")[2] for each in told.inputs] == ["raw.flights"]
    assert len(operator.check_results) == 4
    runs = flights.execute(
        "SELECT DISTINCT table_name, state, rows, passed, warned FROM dataquality.check_run ORDER BY 1"
    )
    assert runs.fetchall() == [("flights", "observed", 20, 2, 1), ("saved_tests", "observed", None, 1, 0)]


def test_a_test_that_fails_fails_the_task(save: Save, flights: psycopg.Connection[Any]) -> None:
    save("many rows", **on_flights("row_count", condition={"geq_to": 1000}))
    save("few rows", **on_flights("row_count", condition={"leq_to": 5}, severity="warn"))
    save("one", "formula", **asking("SELECT 2 AS n", table="raw.flights"))
    said = failure()
    assert "2 of 3 tests of raw.flights did not pass" in said
    assert "many rows on raw.flights/ds=2013-02-08: row_count is 20, expected >= 1000 (fail)" in said
    assert "one on raw.flights: 2.0 == 1 is false (fail)" in said
    assert "few rows" not in said
    assert "few rows" in failure(fail_on="warn")
    assert run(fail_on="never")["failed_rules"] == ["many rows", "one"]
    with pytest.raises(AirflowException, match="2 of 3") as retried:
        run(retry_on_failure=True)
    assert not isinstance(retried.value, AirflowFailException)


def test_a_broken_test_stops_no_other(save: Save, flights: psycopg.Connection[Any]) -> None:
    flights.execute("CREATE TABLE raw.dropped (id int)")
    save("good", **on_flights("row_count", condition={"geq_to": 10}))
    save("no table", table="raw.dropped", check="row_count", condition={"geq_to": 0})
    save("no column", **on_flights("null_count", column="tailnum"))
    save("no partition", table="raw.flights", partition={"day": "{{ ds }}"}, check="row_count",
         condition={"geq_to": 1})  # fmt: skip
    save("no such SQL", **on_flights("check_statement", statement="nonsense > 1"))
    save("no such function", "formula", **asking("SELECT nonsense(1) AS n"))
    save("two rows", "formula", **asking("SELECT n FROM generate_series(1, 2) AS n"))
    save("no connection", "formula", **asking("SELECT 1 AS n", conn_id="elsewhere"))
    save("division", "formula", **asking("SELECT 0 AS n", "control.n / experiment.n > 1"))
    save("well", "formula", **asking("SELECT 1 AS n"))
    unreadable = save("from tomorrow", "formula", **asking("SELECT 1 AS n"))
    flights.execute("UPDATE dataquality.test SET definition = '{\"x\": 1}' WHERE test_id = %s", [unreadable])
    flights.execute("DROP TABLE raw.dropped")
    said = failure(fail_on="never")
    found = {name: (rest[0], rest[-1]) for name, rest in results(flights).items()}
    assert {name for name, (status, _) in found.items() if status == "pass"} == {"good", "well"}
    assert found["division"][0] == "skip"
    errors = {name: reason for name, (status, reason) in found.items() if status == "error"}
    assert len(errors) == 8
    for name, words in {
        "no table": "there is no table raw.dropped", "no column": "no column 'tailnum'",
        "no partition": "'day' is not in raw.flights", "no such SQL": "nonsense", "no such function": "nonsense",
        "two rows": "more than one row", "no connection": "not one of those that saved tests may use",
        "from tomorrow": "unknown key 'x'",
    }.items():  # fmt: skip
        assert words in errors[name], name
        assert f"- {name} on" in said


def test_what_is_muted_fails_no_task(save: Save, flights: psycopg.Connection[Any]) -> None:
    save("many rows", **on_flights("row_count", condition={"geq_to": 1000}))
    save("more rows", **on_flights("row_count", condition={"geq_to": 2000}))
    mute = (
        "INSERT INTO dataquality.verdict (table_schema, table_name, partition, check_name, verdict, until, given_at) "
    )
    mute += "VALUES ('raw', 'flights', '{}', %s, 'muted', %s, now())"
    flights.execute(mute, ["many rows", datetime.now(UTC) + timedelta(hours=1)])
    assert "1 of 2 tests of raw.flights did not pass:\n  - more rows" in failure()
    flights.execute(mute, ["more rows", datetime.now(UTC) + timedelta(hours=1)])
    assert run()["muted_rules"] == ["many rows", "more rows"]
    flights.execute("UPDATE dataquality.verdict SET until = now()")
    assert "2 of 2" in failure()


def test_a_dag_is_one_line_and_asks_nothing_when_it_is_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_dataquality.demo import dags

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it connects")

    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    monkeypatch.setattr(psycopg, "connect", refuse)
    (tmp_path / "tests.py").write_text(FILE.format(arguments="'mine', conn_id='warehouse', schedule='@hourly'"))
    (dag,) = dags.load(str(tmp_path / "tests.py")).values()
    assert (dag.dag_id, sorted(dag.task_ids), dag.fileloc) == ("mine", ["plan", "run"], str(tmp_path / "tests.py"))


def states(run: Any, task: str) -> dict[str, str]:
    """What mapped tasks are called in Airflow's pages, and how they ended."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(TaskInstance).filter_by(dag_id=run.dag_id, run_id=run.run_id, task_id=task))
        return {str(each.rendered_map_index): str(each.state) for each in found}


def test_each_table_is_a_task_of_its_own(
    save: Save, flights: psycopg.Connection[Any], airflow_db: None, tmp_path: Path
) -> None:
    evil = "{{ var.value.get('x', 'rendered') }}"
    flights.execute(f"""CREATE TABLE raw."{evil}" AS SELECT 1 AS id""")  # type: ignore[arg-type]
    save("ten rows", **on_flights("row_count", condition={"geq_to": 10}))
    save("evil", table=f'raw."{evil}"', check="row_count", condition={"equal_to": 1})
    save("failing", "formula", **asking("SELECT 2 AS n"))
    (tmp_path / "dag.py").write_text(FILE.format(arguments="'saved', conn_id='warehouse', tags=()"))
    finished = synced(tmp_path, "saved").test(logical_date=datetime(2013, 2, 8, tzinfo=UTC))
    assert finished.state == "failed"
    assert states(finished, "run") == {
        "raw.flights": "success", f'raw."{evil}"': "success", "saved_tests": "failed"
    }  # fmt: skip
    recorded = flights.execute("SELECT DISTINCT dag_id, task_id FROM dataquality.check_result").fetchall()
    assert recorded == [("saved", "run")]
    assert results(flights)["ten rows"][2] == '{"ds": "2013-02-08"}'


def test_a_dag_may_run_some_of_them(save: Save, flights: psycopg.Connection[Any]) -> None:
    for name, more in {"a": {"tags": ["daily", "x"]}, "b": {"owner": "ann"}, "c": {"tags": ["weekly"]}}.items():
        save(name, **on_flights("row_count", condition={"geq_to": 1}), **more)
    save("d", "formula", **asking("SELECT 1 AS n"))
    ids: dict[str, str] = dict(flights.execute("SELECT name, test_id FROM dataquality.test").fetchall())

    def chosen(**arguments: Any) -> set[str]:
        found = {test_id for batch in planned(**arguments) for test_id in batch["tests"]}
        return {name for name, test_id in ids.items() if test_id in found}

    assert chosen() == {"a", "b", "c", "d"}
    assert chosen(tags=["daily", "weekly"]) == {"a", "c"}
    assert chosen(owners=["ann"]) == {"b"}
    assert chosen(tables=["raw.flights"]) == {"a", "b", "c"}
    assert chosen(tags=["none"]) == set()


def test_a_thousand_metric_tests_take_a_scan_of_each_table(save: Save, warehouse: Warehouse, postgres: Any) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA raw")
        for table in range(20):
            columns = ", ".join(f"{table} + {n} AS c{n}" for n in range(25))
            connection.execute(f"CREATE TABLE raw.t{table} AS SELECT {columns} FROM generate_series(1, 3)")  # type: ignore[arg-type]
            for number in range(25):
                for check, condition in (("null_count", {"equal_to": 0}), ("mean", {"geq_to": 0})):
                    save(f"t{table} {check} {number}", table=f"raw.t{table}", check=check, column=f"c{number}",
                         condition=condition)  # fmt: skip
        scans = "SELECT COALESCE(SUM(seq_scan), 0) FROM pg_stat_user_tables WHERE schemaname = 'raw'"
        connection.execute("SELECT pg_stat_force_next_flush()")
        ((before,),) = connection.execute(scans).fetchall()
        batches = planned()
        assert [len(batch["tests"]) for batch in batches] == [50] * 20
        assert sum(run(batch)["passed"] for batch in batches) == 1000
        deadline = time.monotonic() + 10
        while connection.execute(scans).fetchall() == [(before,)] and time.monotonic() < deadline:
            time.sleep(0.05)
        ((after,),) = connection.execute(scans).fetchall()
    assert after - before == 20


ESCAPES = {
    "a CTE that deletes": "WITH gone AS (DELETE FROM raw.flights RETURNING 1) SELECT count(*) AS n FROM gone",
    "a CTE that inserts": "WITH x AS (INSERT INTO raw.flights (id) VALUES (1) RETURNING 1) SELECT count(*) AS n FROM x",
    "SELECT INTO": "SELECT 1 AS n INTO raw.copied",
    "a sequence": "SELECT nextval('raw.numbers') AS n",
    "a function that writes": "SELECT raw.writes() AS n",
    "read write again": "SELECT 1 AS n, set_config('transaction_read_only', 'off', false) AS x",
    "out of the brackets": "SELECT 1 AS n) AS q LIMIT 1 FOR UPDATE OF q --",
    "a lock": "SELECT id AS n FROM raw.flights LIMIT 1 FOR UPDATE",
}


@pytest.mark.parametrize("sql", ESCAPES.values(), ids=ESCAPES.keys())
def test_sql_of_a_test_writes_nothing(sql: str, save: Save, flights: psycopg.Connection[Any]) -> None:
    flights.execute("""CREATE SEQUENCE raw.numbers;
        CREATE FUNCTION raw.writes() RETURNS int LANGUAGE sql AS 'DELETE FROM raw.flights RETURNING 1'""")
    save("escape", "formula", **asking(sql))
    assert "could not tell: the experiment query failed" in failure()
    assert flights.execute("SELECT count(*) FROM raw.flights").fetchone() == (310,)
    assert flights.execute("SELECT to_regclass('raw.copied'), is_called FROM raw.numbers").fetchone() == (None, False)


@pytest.mark.parametrize("clause", ["raw.writes() = 1", "1 = 1) AND raw.writes() = 1 AND (1 = 1"])
def test_clauses_of_metric_tests_write_nothing_either(
    clause: str, save: Save, flights: psycopg.Connection[Any]
) -> None:
    flights.execute("""CREATE FUNCTION raw.writes() RETURNS int LANGUAGE sql
        AS 'DELETE FROM raw.flights RETURNING 1'""")
    off = "SELECT count(set_config('default_transaction_read_only', 'off', false)) FROM {table}"
    save("a", **on_flights("custom_sql", sql=off, condition={"geq_to": 0}))
    save("b", **on_flights("custom_sql", sql="SELECT raw.writes() FROM {table}", condition={"geq_to": 0}))
    save("c", **on_flights("row_count", partition_clause=clause, condition={"geq_to": 0}))
    save("d", **on_flights("check_statement", statement=clause))
    failure()
    assert flights.execute("SELECT count(*) FROM raw.flights").fetchone() == (310,)
    assert {name: rest[0] for name, rest in results(flights).items()} == {
        "a": "pass", "b": "error", "c": "error", "d": "error"
    }  # fmt: skip


def test_a_slow_query_ends(save: Save, flights: psycopg.Connection[Any]) -> None:
    save("slow", "formula", **asking("SELECT 1 AS n, pg_sleep(60)"))
    out = "SELECT 1 AS n, set_config('statement_timeout', '0', false) AS t, pg_sleep(60)"
    save("slow, without a limit", "formula", **asking(out))
    save("good", "formula", **asking("SELECT 1 AS n"))
    started = time.monotonic()
    said = failure(statement_timeout=0.3, parallel=1)
    assert time.monotonic() - started < 10
    assert said.count("statement timeout") == 2
    assert results(flights)["good"][0] == "pass"


def test_few_rows_leave_the_database(save: Save, flights: psycopg.Connection[Any]) -> None:
    save("large", "formula", **asking("SELECT 1 AS n FROM raw.flights a, raw.flights b, raw.flights c, raw.flights d"))
    save("good", "formula", **asking("SELECT n FROM generate_series(1, 1) AS n -- LIMIT 5"))
    started = time.monotonic()
    assert "the experiment query returned more than one row" in failure()
    assert time.monotonic() - started < 5, "of nine thousand million rows"
    assert results(flights)["good"][0] == "pass"


def test_queries_run_at_the_same_time(save: Save, flights: psycopg.Connection[Any]) -> None:
    for number in range(8):
        save(f"slow {number}", "formula", **asking(f"SELECT 1 AS n, pg_sleep(0.3), {number} AS m"))
    started = time.monotonic()
    assert run(parallel=8)["passed"] == 8
    assert time.monotonic() - started < 2.4


def test_a_test_on_redshift(redshift: RedshiftWarehouse) -> None:
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (ds date, id int)")
        cursor.execute("INSERT INTO orders VALUES ('2013-02-08', 1), ('2013-02-08', 2)")
        connection.commit()
    with connected("redshift") as session:
        tests = SavedTests(Ledger(session))
        tests.ledger.ensure()

        def save(name: str, sql: str) -> None:
            tests.save(read(name, "formula", asking(sql, conn_id="redshift")))

        save("two", "SELECT count(*) - 1 AS n FROM orders WHERE ds = '{{ ds }}'")
        save("into", "SELECT 1 AS n INTO copied")
        save("set_config", "SELECT set_config('transaction_read_only', 'off', false) AS n")
        rule = {"table": "public.orders", "partition": {"ds": "{{ ds }}"}, "check": "row_count"}
        tests.save(read("rows", "metric", {**rule, "condition": {"equal_to": 2}}))
    (batch,) = PlanSavedTestsOperator(task_id="plan", conn_id="redshift", max_batches=1).execute(CONTEXT)
    operator = SavedTestsOperator(task_id="run", conn_id="redshift", batch=batch, fail_on="never")
    with pytest.raises(AirflowFailException, match="2 of 4 tests"):
        operator.execute(CONTEXT)
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT check_name, status FROM dataquality.check_result ORDER BY 1")
        assert [tuple(row) for row in cursor.fetchall()] == [
            ("into", "error"), ("rows", "pass"), ("set_config", "error"), ("two", "pass")
        ]  # fmt: skip
    timeouts = [sql for sql in redshift.double.statements if "statement_timeout" in sql]
    assert timeouts
    assert "BEGIN READ ONLY" in redshift.double.statements


def test_arguments_that_can_never_work(tmp_path: Path) -> None:
    for wrong in ({"batch": {}, "parallel": 0}, {"batch": {}, "fail_on": "x"}, {"batch": {}, "conn_ids": "a"},
                  {"batch": {}, "statement_timeout": "soon"}, {"batch": {}, "conn_id": None}):  # fmt: skip
        with pytest.raises(ValueError, match=r"\w"):
            SavedTestsOperator(**{"task_id": "run", "conn_id": "warehouse", **wrong})
    with pytest.raises(AirflowException, match="no date"):
        SavedTestsOperator(task_id="run", conn_id="warehouse", batch={"label": "x", "tests": []}).execute({"x": 1})  # type: ignore[arg-type]
    with pytest.raises(AirflowException, match="give what PlanSavedTestsOperator returns"):
        SavedTestsOperator(task_id="run", conn_id="warehouse", batch={"tests": 1}).execute(CONTEXT)
    assert json.dumps(FILE)
