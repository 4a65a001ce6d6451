"""What saved tests cost: parsing the DAG file of thousands, and running them on the tables that they are about."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measuring import race, recorded
from benchmarks.reporting import Report, versions
from benchmarks.warehouse import CONNECTION, connected

FACTORY, OPERATORS, SQL = "tests_dag()", "AnomalyTestOperator, a task each", "SQLExecuteQueryOperator, a task each"
_HEAD = """from datetime import UTC, datetime
from airflow.sdk import DAG
from airflow_dataquality.operators.anomaly_test import AnomalyTestOperator
from airflow_dataquality.tests_dag import tests_dag
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
"""
_FILES = {
    FACTORY: 'tests_dag("benchmark", conn_id="warehouse")\n',
    OPERATORS: """with DAG("benchmark", schedule="@daily", start_date=datetime(2013, 1, 1, tzinfo=UTC)):
    for number in range({count}):
        AnomalyTestOperator(
            task_id=f"test_{{number}}", conn_id="warehouse",
            control_sql=f"SELECT avg(n) AS n, stddev(n) AS stddev FROM d_{{number}} WHERE ds < '{{{{{{{{ ds }}}}}}}}'",
            experiment_sql=f"SELECT count(*) AS n FROM raw.t_{{number}} WHERE ds = '{{{{{{{{ ds }}}}}}}}'",
            formula="abs(experiment.n - control.n) <= z_score * control.stddev", formula_params={{"z_score": 3}},
        )
""",
    SQL: """with DAG("benchmark", schedule="@daily", start_date=datetime(2013, 1, 1, tzinfo=UTC)):
    for number in range({count}):
        SQLExecuteQueryOperator(
            task_id=f"test_{{number}}", conn_id="warehouse",
            sql=f"SELECT count(*) AS n FROM raw.t_{{number}} WHERE ds = '{{{{{{{{ ds }}}}}}}}'",
        )
""",
}
_PARSE = """
import sys, time
{head}
from importlib import import_module
module = import_module("airflow.serialization.serialized_objects")
serialization = getattr(module, "DagSerialization", None) or module.SerializedDAG
from airflow.dag_processing.dagbag import DagBag
DagBag  # what the processor has loaded before it looks at a file
started = time.perf_counter()
bag = DagBag(dag_folder=sys.argv[1])
assert not bag.import_errors, bag.import_errors
(dag,) = bag.dags.values()
serialization.to_dict(dag)
print(len(dag.task_ids), time.perf_counter() - started)
"""


def parsing(*, quick: bool = False) -> Report:
    """Parse and serialize a DAG file of each side, as the DAG processor does: each in a process of its own."""
    count, rounds = (20, 1) if quick else (5_000, 5)
    with tempfile.TemporaryDirectory() as folder:
        sides = {name: _parsed(Path(folder, f"{number}.py"), text.format(count=count))
                 for number, (name, text) in enumerate(_FILES.items())}  # fmt: skip
        timed = race(sides, rounds)
    seconds = {name: timed.answers[name][1] for name in _FILES}
    lines = [
        {"DAG file": name, "tasks": timed.answers[name][0], "parsed and serialized s": seconds[name],
         "÷ tests_dag()": seconds[name] / seconds[FACTORY]}
        for name in _FILES
    ]  # fmt: skip
    return Report(
        "Parsing a DAG file of saved tests",
        {"tests": count, "rounds": rounds, **versions()},
        lines,
        agree=[timed.answers[name][0] for name in _FILES] == [2, count, count],
        bars={
            "under a second": quick or seconds[FACTORY] < 1,
            "less than a task each": seconds[FACTORY] < seconds[SQL],
        },
        notes=["the last round; modules are loaded before the clock starts, as in a DAG processor"],
    )


def _parsed(path: Path, text: str) -> Callable[[], tuple[int, float]]:
    path.write_text(_HEAD + text)

    def parse() -> tuple[int, float]:
        script = _PARSE.format(head=_HEAD)
        done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
        tasks, seconds = done.stdout.split()[-2:]
        return int(tasks), float(seconds)

    return parse


def run(uri: str, *, quick: bool = False) -> Report:
    """Run metric tests of some tables, in the tasks that they would have."""
    tables, each, rows = (2, 10, 100) if quick else (20, 50, 100_000)
    with connected(uri) as connection:
        _fill(connection, tables, each, rows)
        scans = _scans(connection)
        with recorded() as messages:
            passed = _run_all()
        read = _wait(connection, scans, tables)
        statements = [sent for sent in messages if not sent.sql.startswith(("BEGIN", "COMMIT", "ROLLBACK", "SET"))]
        measuring = [sent for sent in messages if "SELECT\n  " in sent.sql]
    line = {
        "tests": tables * each, "tables": tables, "rows each": rows, "scans, as the server counts": read,
        "statements that measure": len(measuring), "statements, with the ledger's": len(statements),
        "s": sum(sent.seconds for sent in messages),
    }  # fmt: skip
    return Report(
        "Running saved metric tests",
        {**versions()},
        [line],
        agree=passed == tables * each,
        bars={"one scan of each table": read == tables, "fewer statements than tests": len(statements) < tables * each},
        notes=["in one process, task after task"],
    )


def _fill(connection: Any, tables: int, each: int, rows: int) -> None:
    from airflow_dataquality.engine.ledger import Ledger
    from airflow_dataquality.engine.saved_tests import SavedTests
    from airflow_dataquality.hooks.connections import connected as opened
    from airflow_dataquality.saved import read

    connection.execute("CREATE SCHEMA IF NOT EXISTS bench_tests")
    with opened(CONNECTION) as session:
        tests = SavedTests(Ledger(session))
        tests.ledger.ensure()
        for table in range(tables):
            columns = ", ".join(f"n + {number} AS c{number}" for number in range(each))
            name = f"bench_tests.t{table}"
            connection.execute(f"CREATE TABLE {name} AS SELECT {columns} FROM generate_series(1, {rows}) AS n")
            connection.execute(f"ALTER TABLE {name} SET (parallel_workers = 0)")  # each would count as a scan
            connection.execute(f"ANALYZE {name}")
            for number in range(each):
                rule = {"table": name, "check": "mean", "column": f"c{number}", "condition": {"geq_to": 0}}
                tests.save(read(f"t{table} mean {number}", "metric", rule))


def _run_all() -> int:
    from airflow_dataquality.operators.saved_tests import PlanSavedTestsOperator, SavedTestsOperator

    context: Any = {"ds": "2013-02-08"}
    planned = PlanSavedTestsOperator(task_id="plan", conn_id=CONNECTION).execute(context)
    passed = 0
    for batch in planned:
        passed += SavedTestsOperator(task_id="run", conn_id=CONNECTION, batch=batch).execute(context)["passed"]
    return passed


def _scans(connection: Any) -> int:
    query = "SELECT COALESCE(SUM(seq_scan), 0) FROM pg_stat_user_tables WHERE schemaname = 'bench_tests'"
    return int(connection.execute(query).fetchone()[0])


def _wait(connection: Any, before: int, least: int) -> int:
    """Sessions report what they have scanned when they end."""
    deadline = time.monotonic() + 5
    while _scans(connection) - before < least and time.monotonic() < deadline:
        time.sleep(0.05)
    return _scans(connection) - before
