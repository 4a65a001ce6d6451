"""A job of the tests of the pages of backfills: known to Airflow, with ten days to compute."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlencode

from asset_runs import _finish
from support import Warehouse, synced

if TYPE_CHECKING:
    from ui.lab import Pages

DAG_FILE = """
from airflow.sdk import DAG
from airflow_dataquality.backfill_dag import backfill_dag
from airflow_dataquality.checks import check

backfill_dag(
    "NAME", conn_id="warehouse", table='TABLE', partition_column="ds", days_per_chunk=2, chunk_retries=0,
    sql="SELECT ds, id, amount FROM src WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'",
    chunk_arguments={"retries": 0}, checks=[check("max", "amount", leq_to=100)],
    compare_with_production=[check("row_count_ratio", geq_to=1), check("lost_keys", ["id"], equal_to=0)],
)
"""
RANGE = {"start": "2013-01-01", "end": "2013-01-10"}
_names = (f"job_{number}" for number in itertools.count(1))


class Desk:
    """A job that Airflow knows, and its page."""

    def __init__(self, ui: Pages, folder: Path, dag_id: str) -> None:
        self.ui, self.dag_id, self.folder = ui, dag_id, folder
        self.dag = synced(folder, dag_id)
        self.pause(paused=False)

    @property
    def path(self) -> str:
        return f"/backfills/{self.dag_id}"

    def pause(self, *, paused: bool) -> None:
        from airflow.models.dag import DagModel
        from airflow.utils.session import create_session

        with create_session() as session:
            session.get(DagModel, self.dag_id).is_paused = paused

    def plan(self, user: str = "user", **given: Any) -> Any:
        return self.ui.get(f"{self.path}?{urlencode({**RANGE, **given})}", user=user)

    def start(self, user: str = "user", **given: Any) -> str:
        """Start a run; its page."""
        answer = self.ui.post(self.path, {**RANGE, "max_parallel": "2", "days_per_chunk": "2", **given}, user=user)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"]).removeprefix("/dq")

    def work(self, page: str) -> str:
        """Run what was started, as the scheduler and workers do; the state of the run."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select

        run_id = run_id_of(page)
        with create_session() as session:
            run = session.scalar(select(DagRun).where(DagRun.dag_id == self.dag_id, DagRun.run_id == run_id))
            run.start_date = run.queued_at
            _finish(run, self.dag, session)
            session.commit()
            return str(run.state)

    def halfway(self, page: str, warehouse: Warehouse) -> None:
        """Have a run that is finished look as it did 30 seconds after it began, with three of five chunks staged."""
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            mine = {"dag_id": self.dag_id, "run_id": run_id_of(page)}
            session.scalar(select(DagRun).filter_by(**mine)).state = "running"
            for task in session.scalars(select(TaskInstance).filter_by(**mine)):
                if task.task_id == "chunks":
                    task.start_date = datetime.now(UTC) - timedelta(seconds=30)
                    task.state = "running" if task.map_index == 0 else "success"
                elif task.task_id != "plan":
                    task.state = None
        with warehouse.connect() as connection:
            connection.execute("DELETE FROM dataquality.chunk WHERE map_index = 0 AND number < 5")

    def runs(self) -> int:
        from airflow_dataquality.ui import jobs

        return jobs.runs([self.dag_id], most=1)[1]


def run_id_of(page: str) -> str:
    return unquote(page.rpartition("/")[2])


@contextlib.contextmanager
def job(ui: Pages, shown: Warehouse, folder: Path, table: str = "public.daily") -> Iterator[Desk]:
    """A job with ten days of ``src``."""
    from ui import lab

    with shown.connect() as connection:
        connection.execute("""
            CREATE TABLE src AS SELECT d::date AS ds, n AS id, n * 10 AS amount
            FROM generate_series(date '2013-01-01', '2013-01-10', '1 day') d, generate_series(1, 3) n;
            CREATE TABLE daily (ds date, id int, amount int);
            INSERT INTO daily SELECT ds, id, 0 FROM src WHERE ds = '2013-01-03'""")
    name = next(_names)
    (folder / "dag.py").write_text(DAG_FILE.replace("NAME", name).replace("TABLE", table))
    yield Desk(ui, folder, name)
    forget(name)
    lab.forget([name])


def forget(dag_id: str) -> None:
    from airflow.api.common.delete_dag import delete_dag

    delete_dag(dag_id)
