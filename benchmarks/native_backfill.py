"""Airflow's own backfill of daily partitions, with all that runs it, as the peer of ours.

``python -m benchmarks.native_backfill`` measures it alone.
"""

from __future__ import annotations

import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any

import psycopg

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from benchmarks.airflow_processes import CONNECTION, AirflowError, AirflowProcesses

MAX_ACTIVE_RUNS = 8
_DAG = """
from datetime import datetime

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import DAG

with DAG(
    {dag_id!r}, schedule="@daily", start_date=datetime.fromisoformat({start!r}), catchup=False,
    is_paused_upon_creation=False, max_active_runs=1000, max_active_tasks=1000,
):
    SQLExecuteQueryOperator(task_id="load", conn_id={connection!r}, sql={sql!r}, do_xcom_push=False)
"""
_KNOWN = "SELECT count(*) FROM dag JOIN serialized_dag USING (dag_id) WHERE NOT is_paused"
_STATES = (
    "SELECT count(*), count(*) FILTER (WHERE state = 'success'), count(*) FILTER (WHERE state = 'failed') "
    "FROM dag_run WHERE dag_id = %s AND run_type = %s"
)
_RECORDED = (
    "SELECT extract(epoch FROM b.created_at)::float8, extract(epoch FROM max(r.end_date))::float8 "
    "FROM backfill b JOIN dag_run r ON r.backfill_id = b.id WHERE b.dag_id = %s GROUP BY b.id"
)


@dataclass(frozen=True)
class Timing:
    """What one backfill took, in seconds.

    :param create: the command ``airflow backfill create``: importing Airflow, then writing the runs in one transaction
    :param work: from its end until the last run ended
    :param recorded: from the backfill's creation to the end of its last run, both as Airflow recorded them; this
        leaves out what the command imports
    """

    create: float
    work: float
    recorded: float
    runs: int
    failed: int

    @property
    def seconds(self) -> float:
        """All of it, as whoever types the command sees it."""
        return self.create + self.work


def native_backfill(
    server: EmbeddedPostgres,
    warehouse_uri: str,
    sql_per_day: str,
    start: date,
    end: date,
    parallelism: int = 2,
    max_active_runs: int = MAX_ACTIVE_RUNS,
) -> Timing:
    """Start Airflow, warm it up, backfill every day from start to end once, and stop it.

    :param sql_per_day: one or more statements, with ``{{ ds }}``
    """
    with native_airflow(server, warehouse_uri, sql_per_day, start, end, parallelism=parallelism) as airflow:
        return airflow.backfill(max_active_runs)


@contextmanager
def native_airflow(
    server: EmbeddedPostgres,
    warehouse_uri: str,
    sql_per_day: str,
    start: date,
    end: date,
    *,
    parallelism: int = 2,
    times: int = 1,
) -> Iterator[NativeBackfills]:
    """Airflow, warm, with a metadata database of its own that goes with it.

    :param times: how often it can backfill; each takes a DAG of its own, because a DAG has a day's run once
    """
    database = f"airflow_{secrets.token_hex(4)}"
    with ExitStack() as stack:
        server.create_database(database)
        stack.callback(server.drop_database, database)
        # Processes that were killed may still be closing files, hence the errors to ignore.
        home = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="dataquality-native-", ignore_cleanup_errors=True))
        )
        metadata = stack.enter_context(psycopg.connect(server.uri(database), autocommit=True))
        processes = AirflowProcesses(home, server.airflow_uri(database), warehouse_uri, parallelism)
        stack.callback(processes.stop)
        backfills = NativeBackfills(processes, metadata, start, end)
        backfills.prepare(sql_per_day, times)
        yield backfills


class NativeBackfills:
    """A number of DAGs, each good for one backfill.

    :param metadata: tells how far a backfill is
    """

    def __init__(self, processes: AirflowProcesses, metadata: psycopg.Connection[Any], start: date, end: date) -> None:
        self.processes = processes
        self.metadata = metadata
        self.start, self.end = start, end
        self._dags: list[str] = []

    def prepare(self, sql_per_day: str, times: int) -> None:
        """Start Airflow, wait until it knows the DAGs, and run each once.

        :raises AirflowError: if one does not run
        """
        self._dags = [f"native_{number}" for number in range(times)]
        start = datetime.combine(self.start, clock(), UTC).isoformat()
        for dag_id in self._dags:
            dag = _DAG.format(dag_id=dag_id, start=start, connection=CONNECTION, sql=sql_per_day)
            (self.processes.dags / f"{dag_id}.py").write_text(dag)
        self.processes.start()
        self.processes.wait("the DAGs to be known", lambda: self._count(_KNOWN) == (times,))
        for dag_id in self._dags:
            self._warm_up(dag_id)

    def backfill(self, max_active_runs: int = MAX_ACTIVE_RUNS) -> Timing:
        """Backfill every day once."""
        dag_id = self._dags.pop(0)
        began = time.time()
        self.processes.command(
            "backfill", "create", "--dag-id", dag_id, "--max-active-runs", str(max_active_runs),
            "--from-date", self.start.isoformat(), "--to-date", self.end.isoformat(),
        )  # fmt: skip
        created = time.time()
        runs, failed = self._await_runs(dag_id, "backfill", (self.end - self.start).days + 1)
        ((recorded, ended),) = self.metadata.execute(_RECORDED, [dag_id]).fetchall()
        return Timing(created - began, max(ended - created, 0.0), ended - recorded, runs, failed)

    def _warm_up(self, dag_id: str) -> None:
        # The first day, for that is a partition that the backfill writes anyway; at another hour, for otherwise the
        # backfill would find that the day has a run.
        at = datetime.combine(self.start, clock(hour=1), UTC).isoformat()
        self.processes.command("dags", "trigger", dag_id, "--logical-date", at)
        _, failed = self._await_runs(dag_id, "manual", 1)
        if failed:
            raise AirflowError(f"the first run of {dag_id} failed\n{self.processes.said()}")

    def _await_runs(self, dag_id: str, run_type: str, expected: int) -> tuple[int, int]:
        """Wait for the runs to end, and count them and those that failed."""

        def ended() -> bool:
            runs, succeeded, failed = self._count(_STATES, dag_id, run_type)
            return runs == succeeded + failed == expected

        self.processes.wait(f"{expected} {run_type} runs of {dag_id} to end", ended)
        runs, _, failed = self._count(_STATES, dag_id, run_type)
        return runs, failed

    def _count(self, sql: str, *parameters: str) -> tuple[int, ...]:
        (counts,) = self.metadata.execute(sql, parameters).fetchall()
        return tuple(counts)


def main() -> None:
    """Backfill 90 days of 5,000 rows each, and see that all of them are there."""
    # Without a handler SIGTERM ends the process on the spot, and the temporary folder stays.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    start = date(2024, 1, 1)
    end = start + timedelta(days=89)
    days = f"generate_series(date '{start}', date '{end}', interval '1 day')"
    rows = f"SELECT d::date AS ds, g AS id FROM {days} AS d, generate_series(1, 5000) AS g"
    of_the_day = "WHERE ds = '{{ ds }}'"
    sql = f"DELETE FROM target {of_the_day}; INSERT INTO target SELECT * FROM source {of_the_day}"
    with EmbeddedPostgres() as server:
        uri = server.create_database("warehouse")
        with psycopg.connect(uri, autocommit=True) as warehouse:
            warehouse.execute(f"CREATE TABLE source AS {rows}")
            warehouse.execute("CREATE INDEX ON source (ds)")
            warehouse.execute("CREATE TABLE target (ds date, id int)")
            timing = native_backfill(server, uri, sql, start, end)
            found = warehouse.execute("SELECT count(DISTINCT ds), count(*) FROM target").fetchone()
    print(asdict(timing), f"all of it: {timing.seconds:.1f} s")
    if found != (90, 450_000):
        raise SystemExit(f"90 partitions of 5,000 rows were expected, and there are {found}")


if __name__ == "__main__":
    main()
