"""What a DAG file costs each time it is parsed: building a thousand operators, and importing their module."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from benchmarks.measuring import race
from benchmarks.reporting import Report, versions

SLOWER = 1.5
PUBLISH, SQL = "StageCheckExchangeOperator, 5 checks", "SQLExecuteQueryOperator"
BARE, CHECK = "StageCheckExchangeOperator, no checks", "DataQualityCheckOperator, 5 checks"

_SELECT = (
    "SELECT ds, carrier, origin, avg(dep_delay) AS dep_delay FROM raw.flights WHERE ds = '{{ ds }}' GROUP BY 1, 2, 3"
)
_MODULES = {
    "airflow.providers.common.sql.operators.sql": "common.sql's operators",
    "airflow_dataquality.operators.check": "DataQualityCheckOperator",
    "airflow_dataquality.operators.stage_check_exchange": "StageCheckExchangeOperator",
}


def run(*, quick: bool = False) -> Report:
    """Build operators in a DAG."""
    from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator

    from airflow_dataquality.checks import check
    from airflow_dataquality.operators.check import DataQualityCheckOperator
    from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

    count, rounds = (20, 2) if quick else (1_000, 9)

    def checks() -> list[Any]:
        return [
            check("row_count", greater_than=0),
            check("null_count", "carrier", equal_to=0),
            check("unique_violations", ["ds", "carrier", "origin"], equal_to=0),
            check("values_outside", "origin", values=["EWR", "JFK", "LGA"], equal_to=0),
            check("mean", "dep_delay", geq_to=-20, leq_to=120, severity="warn"),
        ]

    def publish(number: int, checks: list[Any]) -> Any:
        return StageCheckExchangeOperator(
            task_id=f"task_{number}", conn_id="warehouse", table=f"analytics.table_{number}", sql=_SELECT,
            partition={"ds": "{{ ds }}"}, checks=checks,
        )  # fmt: skip

    sides = {
        SQL: lambda n: SQLExecuteQueryOperator(task_id=f"task_{n}", conn_id="warehouse", sql=_SELECT),
        BARE: lambda n: publish(n, []),
        PUBLISH: lambda n: publish(n, checks()),
        CHECK: lambda n: DataQualityCheckOperator(
            task_id=f"task_{n}", conn_id="warehouse", table=f"analytics.table_{n}", checks=checks()
        ),
    }
    built = race({side: _building(make, count) for side, make in sides.items()}, rounds)
    parsed = race({side: _parsing(make, count) for side, make in sides.items()}, rounds)
    lines = [
        {
            "operator": side,
            "built, ms each": built.median(side) / count * 1e3,
            "÷ SQL's": built.ratio(side, SQL),
            "built and serialized, ms each": parsed.median(side) / count * 1e3,
            "÷ SQL's ": parsed.ratio(side, SQL),
        }
        for side in sides
    ]
    return Report(
        "Building operators in a DAG",
        {"operators": count, "rounds": rounds, **versions()},
        lines,
        agree={len(dag.tasks) for dag in built.answers.values()} == {count},
        bars={f"with 5 checks at most {SLOWER} × {SQL}, serialized": parsed.ratio(PUBLISH, SQL) <= SLOWER},
        notes=["medians of pairs; Airflow serializes each DAG that it parses"],
    )


def _building(make: Callable[[int], Any], count: int) -> Callable[[], Any]:
    from airflow.sdk import DAG

    def build() -> Any:
        with DAG("benchmark", schedule=None, start_date=datetime(2013, 1, 1, tzinfo=UTC)) as dag:
            for number in range(count):
                make(number)
        return dag

    return build


def _parsing(make: Callable[[int], Any], count: int) -> Callable[[], Any]:
    module: Any = import_module("airflow.serialization.serialized_objects")
    # In earlier releases of Airflow the class that holds a serialized DAG does it.
    serialization = getattr(module, "DagSerialization", None) or module.SerializedDAG
    build = _building(make, count)
    return lambda: serialization.to_dict(build())


def imports(*, quick: bool = False) -> Report:
    """Import the operators' modules, each in a process of its own."""
    rounds = 1 if quick else 9
    timed = race({name: _importing(name) for name in _MODULES}, rounds)
    base = next(iter(_MODULES))
    lines = [
        {
            "module": shown,
            "median s": timed.median(name),
            "÷ common.sql's, median of pairs": timed.ratio(name, base),
            "our modules alone ms": timed.answers[name],
        }
        for name, shown in _MODULES.items()
    ]
    return Report(
        "Importing operators",
        {"rounds": rounds, **versions()},
        lines,
        agree=timed.answers[base] == 0,
        bars={f"at most {SLOWER} × {base}": max(timed.ratio(name, base) for name in _MODULES) <= SLOWER},
        notes=["a process that imports the module and ends, Python's own start included"],
    )


def _importing(module: str) -> Callable[[], float]:
    """Import the module, and return the milliseconds of our own modules, without what they import from others.

    https://docs.python.org/3/using/cmdline.html#cmdoption-X
    """
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]

    def imported() -> float:
        said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return sum(map(int, re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+airflow_dataquality", said))) / 1e3

    return imported
