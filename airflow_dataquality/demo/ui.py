"""``python -m airflow_dataquality.demo.ui``: an Airflow with the data quality pages, on the flights of New York.

Everything is in a temporary directory, which goes with the Postgres in it, however this process ends.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from typing import IO

from airflow_dataquality import examples
from airflow_dataquality.demo import dags, flights
from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.demo.server import AirflowServer
from airflow_dataquality.demo.terminal import tail, terminal_apart

DAYS = [date(2013, 2, 1) + timedelta(days=n) for n in range(10)]
CORRUPTED = date(2013, 2, 6)
PUBLISHED = ("dq_publish_daily_flights", "dq_publish_from_yaml", "dq_check_existing_table")
ANOMALIES = "dq_anomalies_flights"
"""Finds the blizzard, on the last of the days."""
STORM = DAYS[5:]
BLOCKED = "dq_publish_corrupted_batch"
_READY = """
Airflow      {url}
The pages    {url}/plugin/data-quality
User         admin
Password     {password}
Warehouse    {warehouse}

Ctrl-C stops it, and removes everything.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start it all, and stay until Ctrl-C or SIGTERM. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m airflow_dataquality.demo.ui", description=__doc__)
    parser.add_argument("--port", type=int, help="where Airflow listens; by default a port that is free")
    parser.add_argument("--base-path", default="", help="the path under which it lives: /airflow")
    options = parser.parse_args(arguments)
    # Both unwind the blocks below: without a handler SIGTERM ends the process on the spot, and a shell that starts us
    # in the background has us ignore SIGINT.
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, _interrupt)
    with EmbeddedPostgres(durable=True) as server:
        log = server.data_directory.with_name("airflow.log")
        with terminal_apart(log) as terminal:
            try:
                _show(server, terminal, options)
            except KeyboardInterrupt:
                print("\nStopped.", file=terminal, flush=True)
            except Exception:
                print(tail(log), file=terminal, flush=True)
                raise
    return 0


def _interrupt(*_: object) -> None:
    # Only once: what stops Airflow and Postgres is not to be interrupted itself.
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, signal.SIG_IGN)
    raise KeyboardInterrupt


def _show(server: EmbeddedPostgres, terminal: IO[str], options: argparse.Namespace) -> None:
    def say(what: str) -> None:
        print(what, file=terminal, flush=True)

    airflow = _configured(server, options)
    say(f"{flights.FLIGHTS:,} flights of 2013 …")
    _load(server)
    say(f"Runs of {', '.join((*PUBLISHED, ANOMALIES))} …")
    dags.configure(airflow.home, server.airflow_uri("airflow"), examples.directory())
    try:
        _run_examples()
    finally:
        dags.disconnect()
    say("Airflow …")
    with airflow:
        say(f"A run of {BLOCKED}, whose checks fail …")
        airflow.client.run(BLOCKED, CORRUPTED)
        password, warehouse = airflow.passwords["admin"], server.uri("warehouse")
        say(_READY.format(url=airflow.url, password=password, warehouse=warehouse))
        signal.pause()


def _configured(server: EmbeddedPostgres, options: argparse.Namespace) -> AirflowServer:
    """An Airflow, and this process' environment as it has it."""
    server.create_database("airflow")
    airflow = AirflowServer(
        server.data_directory.with_name("airflow"),
        server.airflow_uri("airflow"),
        dags_folder=examples.directory(),
        port=options.port,
        base_path=options.base_path,
        environment={
            "AIRFLOW_CONN_WAREHOUSE": server.create_database("warehouse"),
            "AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS": "warehouse",
            "AIRFLOW__AIRFLOW_DATAQUALITY__SAMPLE_COLUMNS": "analytics.*.*, raw.*.*",
            "AIRFLOW__AIRFLOW_DATAQUALITY__PII_COLUMNS": "tailnum",
        },
    )
    os.environ.update(airflow.environment)
    return airflow


def _load(server: EmbeddedPostgres) -> None:
    import psycopg

    with psycopg.connect(server.uri("warehouse"), autocommit=True) as warehouse:
        flights.load(warehouse)
        warehouse.execute("CREATE SCHEMA staging; CREATE SCHEMA analytics")


def _run_examples() -> None:
    """In this process, which takes a third of a second for a run where the scheduler needs several."""
    for day in DAYS:
        for dag_id in PUBLISHED:
            if (dag_id, day) != (PUBLISHED[0], CORRUPTED):
                dags.run(dag_id, day)
    for day in STORM:
        dags.run(ANOMALIES, day)


if __name__ == "__main__":
    sys.exit(main())
