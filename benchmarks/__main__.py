"""``python -m benchmarks [NAME ...] [--quick] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.reporting import Report

NAMES = ("checks", "anomalies", "detectors", "exchange", "publish", "upsert", "summary", "backfill", "parse", "import",
         "tests", "board", "transforms")  # fmt: skip


def main() -> None:
    """Run the benchmarks asked for, and print what they found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="benchmark", help=f"of {', '.join(NAMES)}; all if none is named")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run? The numbers mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found to the file, too")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"unknown benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    # Airflow reads its configuration when it is first imported.
    with tempfile.TemporaryDirectory(prefix="dataquality-airflow-") as home:
        os.environ.update({"AIRFLOW_HOME": home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"})
        reports = [
            report
            for name in NAMES
            if not arguments.names or name in arguments.names
            for report in _run(name, quick=arguments.quick)
        ]
    if arguments.json:
        found = [report.as_dict() for report in reports]
        arguments.json.write_text(json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n")


def _run(name: str, *, quick: bool) -> list[Report]:
    from rich.console import Console

    console = Console(soft_wrap=True)
    console.width = max(console.width, 140)
    reports = []
    for benchmark in _benchmarks(name):
        report = benchmark(quick)
        console.print(report.table(), report.verdicts(), sep="\n")
        reports.append(report)
    return reports


def _benchmarks(name: str) -> list[Callable[[bool], Report]]:
    from benchmarks import (
        anomalies,
        board,
        checks,
        detectors,
        exchange,
        parse,
        publish,
        summary,
        tests_dag,
        transforms,
        upsert,
    )

    on_a_server = {"checks": checks.run, "anomalies": anomalies.run, "publish": publish.run, "upsert": upsert.run,
                   "summary": summary.run, "board": board.run}  # fmt: skip
    if name in on_a_server:
        return [lambda quick: _on_a_server(on_a_server[name], quick=quick, durable=False)]
    if name == "tests":
        return [
            lambda quick: tests_dag.parsing(quick=quick),
            lambda quick: _on_a_server(tests_dag.run, quick=quick, durable=False),
        ]
    without = {"detectors": detectors.run, "parse": parse.run, "import": parse.imports,
               "transforms": transforms.run}  # fmt: skip
    if name == "backfill":  # Airflow's own needs a database beside it
        return [_backfill]
    if name == "exchange":  # COMMIT waits for the disk, or does not: under the lock, that shows
        return [
            lambda quick: _on_a_server(exchange.run, quick=quick, durable=False),
            lambda quick: _on_a_server(exchange.run, quick=quick, durable=True),
        ]
    return [lambda quick: without[name](quick=quick)]


def _backfill(quick: bool) -> Report:
    from airflow_dataquality.demo.postgres import EmbeddedPostgres
    from benchmarks import backfill

    with EmbeddedPostgres() as server:
        return backfill.run(server, quick=quick)


def _on_a_server(benchmark: Callable[..., Report], *, quick: bool, durable: bool) -> Report:
    from airflow_dataquality.demo.postgres import EmbeddedPostgres

    with EmbeddedPostgres(durable=durable) as server:
        return benchmark(server.create_database("benchmark"), quick=quick)


if __name__ == "__main__":
    main()
