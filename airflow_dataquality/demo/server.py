"""A whole Airflow on 127.0.0.1: API server, scheduler, DAG processor and triggerer."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, date, datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from airflow_dataquality.demo.postgres import free_port

START_SECONDS = 180
"""A machine that does other things, too, needs a minute."""
PROGRAMS = ("api-server", "scheduler", "dag-processor", "triggerer")
_HEALTHY = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class AirflowError(RuntimeError):
    """Airflow did not start."""


class Client:
    """An Airflow's API.

    :param url: of Airflow, without a slash at its end
    :param passwords: of its users
    """

    def __init__(self, url: str, passwords: Mapping[str, str]) -> None:
        self.url = url
        self.passwords = passwords

    def token(self, user: str = "admin") -> str:
        """What a user's requests carry."""
        given = {"username": user, "password": self.passwords[user]}
        token: str = self.request("POST", "/auth/token", given)["access_token"]
        return token

    def api(self, method: str, path: str, body: Any = None, *, user: str = "admin") -> Any:
        """Ask Airflow's API something: ``api("GET", "/dags")``.

        :raises urllib.error.HTTPError: if it refuses
        """
        return self.request(method, f"/api/v2{path}", body, self.token(user))

    def run(self, dag_id: str, day: date, conf: Mapping[str, Any] | None = None, *, seconds: float = 120) -> Any:
        """Have the scheduler run a DAG for a day; the run, when it has finished.

        :raises AirflowError: if that takes longer
        """
        deadline = time.monotonic() + seconds
        self._await_dag(dag_id, deadline)
        self.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        moment = datetime.combine(day, datetime.min.time(), UTC).isoformat()
        found = self.api("POST", f"/dags/{dag_id}/dagRuns", {"logical_date": moment, "conf": dict(conf or {})})
        while found["state"] not in {"success", "failed"}:
            if time.monotonic() > deadline:
                raise AirflowError(f"{dag_id} of {day} is {found['state']} after {seconds:.0f} seconds")
            time.sleep(0.3)
            found = self.api("GET", f"/dags/{dag_id}/dagRuns/{quote(found['dag_run_id'], safe='')}")
        return found

    def _await_dag(self, dag_id: str, deadline: float) -> None:
        """Wait until the DAG processor has read it."""
        while not self._knows(dag_id):
            if time.monotonic() > deadline:
                raise AirflowError(f"Airflow has not read the DAG {dag_id!r}")
            time.sleep(0.3)

    def _knows(self, dag_id: str) -> bool:
        try:
            self.api("GET", f"/dags/{dag_id}/details")
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def request(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        """Ask for JSON at an address."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(self.url + path, data, headers, method=method)  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            return json.load(answer)


class AirflowServer:
    """An Airflow that lives as long as the ``with`` block, and no longer than this process, however it ends.

    :param home: a directory for its files
    :param metadata_uri: its metadata database, a Postgres: a scheduler and a web server are too many for SQLite
    :param dags_folder: where its DAGs are
    :param base_path: the path under which it lives, ``/airflow``
    :param port: where it listens; by default one that is free
    :param users: name → role, of Airflow's simple auth manager
    :param environment: further configuration
    """

    def __init__(
        self, home: Path, metadata_uri: str, *, dags_folder: Path, base_path: str = "",
        port: int | None = None, users: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.home = home
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}{base_path}"
        self.passwords = {name: secrets.token_urlsafe(9) for name in users or {"admin": "admin"}}
        self.client = Client(self.url, self.passwords)
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._passwords_file = home / "passwords.json"
        roles = users or {"admin": "admin"}
        self.environment = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_uri,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in roles.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords_file),
            "AIRFLOW__API__BASE_URL": f"{self.url}/",
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            **(environment or {}),
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Create the metadata's tables, start the programs, and return when Airflow says that all of them are well.

        :raises AirflowError: if it does not, with what they said
        """
        self.home.mkdir(parents=True, exist_ok=True)
        self._passwords_file.touch(mode=0o600)
        self._passwords_file.write_text(json.dumps(self.passwords))
        environment = {**os.environ, **self.environment}
        try:
            self._migrate(environment)
            self._supervisor = self._supervise(environment)
            self._await_healthy()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the programs, and every process that they started."""
        if self._supervisor is not None:
            self._supervisor.communicate(b"\n")
        self._supervisor = None

    def said(self, lines: int = 40) -> str:
        """The end of what each program logged."""
        logs = {log.stem: log.read_text(errors="replace").splitlines()[-lines:] for log in self.home.glob("*.log")}
        return "\n".join(f"== {name}\n" + "\n".join(tail) for name, tail in logs.items())

    def health(self) -> dict[str, Any]:
        """What Airflow says of its parts; empty if it says nothing yet."""
        try:
            found: dict[str, Any] = self.client.request("GET", "/api/v2/monitor/health")
        except (OSError, ValueError):
            return {}
        return found

    def _migrate(self, environment: Mapping[str, str]) -> None:
        code = "from airflow.utils.db import initdb; initdb()"
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, cwd=self.home, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise AirflowError(f"Airflow's metadata database cannot be made:\n{done.stderr[-4000:]}")

    def _supervise(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        options = {"api-server": ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]}
        programs = [
            {
                "command": [sys.executable, "-m", "airflow", program, *options.get(program, [])],
                "log": str(self.home / f"{program}.log"),
            }
            for program in PROGRAMS
        ]
        supervisor = Path(__file__).with_name("_supervisor.py")
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(supervisor), *map(json.dumps, programs)],
            stdin=subprocess.PIPE,
            env=environment,
            cwd=self.home,
            start_new_session=True,  # Ctrl-C ends the parent, which ends the programs in order
        )

    def _await_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._supervisor is None or self._supervisor.poll() is not None:
                raise AirflowError(f"Airflow did not start:\n{self.said()}")
            health = self.health()
            if health and all((health.get(part) or {}).get("status") == "healthy" for part in _HEALTHY):
                return
            time.sleep(0.2)
        raise AirflowError(f"Airflow was not healthy after {START_SECONDS} seconds:\n{self.said()}")
