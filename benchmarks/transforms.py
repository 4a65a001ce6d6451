"""What a folder of transforms costs each time its DAG file is parsed, and to be listed and linted.

dag-factory makes DAGs of YAML, too, and is timed beside it where it is installed. What it does is less: its tasks are
Airflow's own SQL operators, without groups, assets and checks, and it reads no SQL.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

from benchmarks.measuring import Race, race
from benchmarks.reporting import Report, versions

SEEN, NEW, PEER = (
    "dags_from, SQL unchanged",
    "dags_from, all SQL new, a first parse",
    "dag-factory, SQLExecuteQueryOperator",
)
LISTED, LINTED = "ls", "lint"
WHOLE = {LISTED: "ls, with the start of Airflow", LINTED: "lint, with the start of Airflow"}
START = "airflow version"
LIMITS = {SEEN: 1.0, NEW: 1.0, LISTED: 5.0, LINTED: 5.0}
"""Seconds for 800."""

_HEADER = """\
kind: {kind}
description: Step {number} of {pipeline}.
owner: planning
inputs: [{inputs}]
output: {{table: {pipeline}.t{number}, partition: ds, primary_key: [ds, carrier, origin], indexes: [[carrier]],
         columns: {{flights: "how many"}}}}
checks:
  - {{check: null_count, column: carrier}}
  - {{check: row_count, condition: {{greater_than: 0}}}}
monitor: {{notify: "@slack-planning"}}
schedule: "@daily"
"""
_SQL = """\
WITH day AS (SELECT ds, carrier, origin, flights FROM {first} WHERE ds = '{{{{ ds }}}}')
SELECT day.ds, day.carrier, day.origin, sum(day.flights) AS flights, count(*) AS parts
FROM day JOIN {second} AS other ON other.ds = day.ds AND other.carrier = day.carrier AND other.origin = day.origin
GROUP BY day.ds, day.carrier, day.origin
"""


def generate(root: Path, pipelines: int, size: int) -> None:
    """Write a project: each transform reads two before it, the first ones data of others."""
    for one in range(pipelines):
        folder, name = root / f"p{one}", f"p{one}"
        folder.mkdir(parents=True)
        for number in range(size):
            kind = "no_op" if number < 2 else "create_table_as"
            inputs = [] if number < 2 else [f"{name}.t{number - 1}", f"{name}.t{number - 2}"]
            header = _HEADER.format(kind=kind, number=number, pipeline=name, inputs=", ".join(inputs))
            if number < 2:
                header = f"kind: no_op\noutput: {{table: {name}.t{number}, partition: ds}}\n"
            else:
                (folder / f"t{number}.sql").write_text(_SQL.format(first=inputs[0], second=inputs[1]))
            (folder / f"t{number}.yaml").write_text(header)


def generate_peer(root: Path, pipelines: int, size: int) -> None:
    """The same tasks and edges in the YAML of dag-factory: https://astronomer.github.io/dag-factory/."""
    root.mkdir(parents=True)
    for one in range(pipelines):
        lines = [f"p{one}:", "  default_args: {owner: planning, start_date: 2013-01-01, retries: 2}",
                 '  schedule: "@daily"', "  catchup: false", "  tasks:"]  # fmt: skip
        for number in range(size):
            first, second = f"p{one}.t{number - 1}", f"p{one}.t{number - 2}"
            sql = _SQL.format(first=first, second=second).replace("\n", "\n          ").rstrip()
            lines += [f"    t{number}:",
                      "      operator: airflow.providers.common.sql.operators.sql.SQLExecuteQueryOperator",
                      "      conn_id: warehouse", "      sql: |", f"          {sql}"]  # fmt: skip
            lines += [f"      dependencies: [t{number - 1}, t{number - 2}]"] if number > 1 else []
        (root / f"p{one}.yaml").write_text("\n".join(lines) + "\n")


def run(*, quick: bool = False) -> Report:
    """Parse, list and lint a generated project."""
    pipelines, size, rounds = (2, 5, 2) if quick else (40, 20, 7)
    with tempfile.TemporaryDirectory() as place:
        root, new, peer = (Path(place, name) for name in ("transforms", "new", "peer"))
        generate(root, pipelines, size)
        generate(new, pipelines, size)
        sides = _sides(root, new)
        if util.find_spec("dagfactory") is not None:
            generate_peer(peer, pipelines, size)
            sides[PEER] = _peer(peer)
        whole = {} if quick else _processes(root)
        timed = race({**sides, **whole}, rounds, fewer=dict.fromkeys(whole, 3), cpu=_worked)
    count = pipelines * size
    bars = {
        f"{side}: {count} in {limit:g} s": statistics.median(timed.cpu[side]) <= limit for side, limit in LIMITS.items()
    }
    setting = {"transforms": count, "pipelines": pipelines, "rounds": rounds, **versions(), **_peer_version()}
    agree = {timed.answers[side] for side in sides} == {count}
    return Report("A folder of transforms", setting, _lines(timed), agree=agree, bars=bars, notes=_NOTES)


_NOTES = (
    "in one process, after Airflow's operators are imported, but for the last three sides; each side in turn",
    "bars are of the processor's seconds, to which other programs on the machine add little",
    (__doc__ or "").split("\n\n")[1],
)


def _lines(timed: Race) -> list[dict[str, Any]]:
    """A line for each side; those that make DAGs are compared."""
    compared = (SEEN, NEW, PEER) if PEER in timed.seconds else ()
    return [
        {
            "side": side,
            "median s": timed.median(side),
            "CPU s": statistics.median(timed.cpu[side]),
            "CPU ÷ dag-factory": timed.cpu_ratio(side, PEER) if side in compared else None,
        }
        for side in timed.seconds
    ]


def _peer_version() -> Mapping[str, str]:
    try:
        return {"dag-factory": metadata.version("dag-factory")}
    except metadata.PackageNotFoundError:
        return {"dag-factory": "not installed"}


def _sides(root: Path, new: Path) -> dict[str, Callable[[], int]]:
    from airflow_dataquality.transforms import dags_from, load
    from airflow_dataquality.transforms.cache import Cache

    def parsed(folder: Path = root) -> int:
        return _operators(dags_from(folder, conn_id="warehouse"))

    def first() -> int:
        file = Cache.of(new).file
        assert file is not None
        file.unlink(missing_ok=True)
        return parsed(new)

    def linted() -> int:
        found = _said("lint", str(root))
        assert not found["findings"]
        return int(found["transforms"])

    load(root)
    return {SEEN: parsed, NEW: first, LISTED: lambda: len(_said("ls", "--folder", str(root))["transforms"]),
            LINTED: linted}  # fmt: skip


def _said(name: str, *arguments: str) -> Any:
    """What a command of `airflow dq` prints as JSON, without starting Airflow for it."""
    from airflow_dataquality.cli import get_dq_commands

    (group,) = get_dq_commands()
    command = next(each for each in group.subcommands if each.name == name)
    parser = argparse.ArgumentParser()
    for argument in command.args:
        argument.add_to_parser(parser)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        command.func(parser.parse_args([*arguments, "--json"]))
    return json.loads(printed.getvalue())


def _processes(root: Path) -> dict[str, Callable[[], int]]:
    """The commands as people call them, and how long Airflow takes to start for one that does nothing."""

    def started(*arguments: str) -> Callable[[], int]:
        command = [sys.executable, "-m", "airflow", *arguments]
        return lambda: subprocess.run(command, check=True, capture_output=True).returncode

    return {WHOLE[LISTED]: started("dq", "ls", "--folder", str(root)), WHOLE[LINTED]: started("dq", "lint", str(root)),
            START: started("version")}  # fmt: skip


def _worked() -> float:
    """The processor's seconds of this process and of those that it started."""
    return sum(os.times()[:4])


def _operators(dags: list[Any]) -> int:
    return sum(len(dag.tasks) for dag in dags)


def _peer(root: Path) -> Callable[[], int]:
    os.environ.setdefault("AIRFLOW__DAG_FACTORY__ENABLE_TELEMETRY", "False")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names of Airflow 2 that it still imports
        from dagfactory import load_yaml_dags

    def parsed() -> int:
        found: dict[str, Any] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            load_yaml_dags(globals_dict=found, dags_folder=str(root))
        return sum(len(dag.tasks) for dag in found.values() if hasattr(dag, "tasks"))

    return parsed
