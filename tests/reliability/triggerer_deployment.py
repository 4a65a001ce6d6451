"""Airflow's own triggerer, with tasks that wait in it: a metadata database, and triggerers that can be killed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from reliability.deployment import TESTS, Deployment

Serialized = tuple[str, dict[str, Any]]
"""A trigger: its class and its arguments."""

DEAD_AFTER = 4
"""Seconds without a heartbeat after which the triggers of a triggerer are another's."""
# Airflow's defaults are 30 s and, so that several triggerers share, 50 triggers a second.
SETTINGS = {
    "triggerer__job_heartbeat_sec": "1",
    "triggerer__triggerer_health_check_threshold": str(DEAD_AFTER),
    "triggerer__max_trigger_to_select_per_loop": "1000",
}

DAG = """
import json
from pathlib import Path

from airflow.sdk import DAG

from airflow_dataquality.sensors.partition import PartitionSensor

given = json.loads(Path(__file__).with_name("given.json").read_text())
with DAG("waits", schedule=None):
    PartitionSensor.partial(task_id="wait", conn_id="warehouse").expand(partitions=given["partitions"])
"""

# What the API server does with a task that defers, without 900 processes that have it do so.
DEFER = """
import json, sys
from pathlib import Path

from airflow.api.common.trigger_dag import trigger_dag
from airflow.models.connection import Connection
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from airflow.utils.types import DagRunTriggeredByType
from sensors.lab import restored
from sqlalchemy import select
from support import synced

folder = Path(sys.argv[1])
given = json.loads((folder / "given.json").read_text())
initdb()
synced(folder, "waits")
with create_session() as session:
    session.add_all(Connection(conn_id=conn_id, uri=uri) for conn_id, uri in given["connections"].items())
    trigger_dag("waits", run_id="run", triggered_by=DagRunTriggeredByType.TEST, session=session)
    instances = session.scalars(select(TaskInstance).order_by(TaskInstance.map_index)).all()
    triggers = [Trigger.from_object(restored(*each)) for each in given["triggers"]]
    session.add_all(triggers)
    session.flush()
    for instance, trigger in zip(instances, triggers, strict=True):
        instance.state, instance.next_method, instance.trigger_id = "deferred", "execute_complete", trigger.id
"""


class TriggererDeployment(Deployment):
    """The instances of a mapped sensor, deferred, and as many triggerers as are started.

    :param partitions: of each instance
    :param triggers: of each instance
    :param connections: addresses by connection id, kept in Airflow's database: a triggerer has to ask for them
    """

    def __init__(
        self, partitions: Sequence[Sequence[str]], triggers: Sequence[Serialized], connections: Mapping[str, str]
    ) -> None:
        super().__init__()
        self._given = {"partitions": partitions, "triggers": triggers, "connections": connections}

    def _start(self) -> None:
        dags = self._home / "dags"
        dags.mkdir()
        (dags / "waits.py").write_text(DAG)
        (dags / "given.json").write_text(json.dumps(self._given))
        self._configure({"core__dags_folder": str(dags), **SETTINGS})
        self._environment["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), str(TESTS)])
        self._await_end(self._spawn("defer", [sys.executable, "-c", DEFER, str(dags)], self._environment))

    def start_triggerer(self, name: str) -> None:
        """Start one, and return at once: it takes seconds before it runs its first trigger."""
        self._airflow(name, "triggerer", "--skip-serve-logs")

    def kill_triggerer(self, name: str) -> None:
        """Kill with SIGKILL the process that speaks to Airflow's database. The one that runs triggers is left alone."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def waiting(self) -> int:
        """How many task instances are deferred."""
        ((count,),) = self.query("SELECT count(*) FROM task_instance WHERE state = 'deferred'")
        return int(count)

    def events(self) -> dict[int, tuple[dict[str, Any], datetime]]:
        """The event that each task instance goes on with, and when it was scheduled to; without those that failed."""
        columns = "map_index, next_kwargs, updated_at"
        query = f"SELECT {columns} FROM task_instance WHERE state = 'scheduled' AND next_method = 'execute_complete'"
        return {index: (_plain(kwargs)["event"], at) for index, kwargs, at in self.query(query)}

    def running(self) -> int:
        """How many triggers have begun to run, by their logs."""
        return len(list((self._home / "logs" / "dag_id=waits").glob("**/*.trigger.*.log")))


def _plain(value: Any) -> Any:
    """What Airflow stored, without the types that it writes beside values before 3.2."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return _plain(value["__var"]) if "__var" in value else {name: _plain(each) for name, each in value.items()}
    return value
