"""Airflow with a scheduler, a DAG processor and an API, on an embedded Postgres, for as long as a benchmark takes."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]

PATIENCE = 600
CONNECTION = "warehouse"
_AIRFLOW = (sys.executable, "-m", "airflow")
# Our end of the pipe closes however we end, and then the whole process group goes; it also goes when the command ends.
_AS_LONG_AS_WE_LIVE = ("sh", "-c", '("$@"; kill -KILL 0) & read -r _; kill -KILL 0', "sh")
_COMPONENTS = {
    "api-server": ("--apps", "execution", "--workers", "1", "--host", "127.0.0.1"),
    "scheduler": ("--skip-serve-logs",),
    "dag-processor": (),
}
# Every Airflow process imports this file first. Tasks are forks, and so need not import it all again.
_LOCAL_SETTINGS = """
import airflow.providers.common.sql.operators.sql
import airflow.providers.postgres.hooks.postgres
import airflow.sdk.execution_time.task_runner
"""


class AirflowError(RuntimeError):
    """Airflow did not get as far as a measurement."""


class AirflowProcesses:
    """The processes, their settings and their logs.

    :param home: a folder of their own, whose ``dags`` they run
    :param parallelism: how many tasks run at a time
    """

    def __init__(self, home: Path, metadata_uri: str, warehouse_uri: str, parallelism: int) -> None:
        self.home = home
        self.dags = home / "dags"
        self.dags.mkdir()
        self._port = _free_port()
        self._environment = {
            **_inherited(),
            **_settings(home, metadata_uri, self._port, parallelism),
            f"AIRFLOW_CONN_{CONNECTION.upper()}": warehouse_uri,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Create the metadata database's tables, start everything, and wait until the API answers.

        :raises AirflowError: if it does not, with what every process said last
        """
        (self.home / "config").mkdir()
        (self.home / "config" / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS)
        self.command("db", "migrate")
        for component, options in _COMPONENTS.items():
            at = ("--port", str(self._port)) if component == "api-server" else ()
            self._spawn(component, *options, *at)
        self.wait("the API to answer", lambda: _listens(self._port))

    def stop(self) -> None:
        """Kill every process: what they would save on the way goes, too."""
        # A task leads a process group of its own, but does not leave the session.
        sessions = {process.pid for process in self._processes.values()}
        for pid in psutil.pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(pid) in sessions:
                    os.kill(pid, signal.SIGKILL)
        for process in self._processes.values():
            process.communicate()

    def command(self, *arguments: str) -> None:
        """Run ``airflow ...``.

        :raises AirflowError: if it fails, with what every process said last
        """
        with self._log(arguments[0]).open("ab") as log:
            code = subprocess.run(
                [*_AIRFLOW, *arguments], env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                check=False, timeout=PATIENCE,
            ).returncode  # fmt: skip
        if code:
            raise AirflowError(f"airflow {' '.join(arguments)} ended with {code}\n{self.said()}")

    def wait(self, what: str, happened: Callable[[], bool]) -> None:
        """Wait until something has happened.

        :raises AirflowError: if a process ends or it takes too long, with what every process said last
        """
        deadline = time.monotonic() + PATIENCE
        while not happened():
            dead = [component for component, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"{', '.join(dead)} ended" if dead else f"{PATIENCE} seconds were not enough"
                raise AirflowError(f"waiting for {what}: {why}\n{self.said()}")
            time.sleep(0.1)

    def said(self) -> str:
        """The last lines of every log."""
        tails = {log.name: log.read_text(errors="replace").splitlines()[-40:] for log in self.home.glob("*.log")}
        return "\n".join(line for name, lines in tails.items() for line in [f"--- {name}", *lines])

    def _spawn(self, component: str, *options: str) -> None:
        with self._log(component).open("ab") as log:
            self._processes[component] = subprocess.Popen(
                [*_AS_LONG_AS_WE_LIVE, *_AIRFLOW, component, *options], env=self._environment, stdin=subprocess.PIPE,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _log(self, of: str) -> Path:
        return self.home / f"{of}.log"


def _inherited() -> Mapping[str, str]:
    """Neither the Airflow settings of whoever measures, nor a ban on bytecode, which would slow imports down."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("AIRFLOW") and name != "PYTHONDONTWRITEBYTECODE"
    }


def _settings(home: Path, metadata_uri: str, port: int, parallelism: int) -> Mapping[str, str]:
    """What makes Airflow as quick as it gets on few cores: nothing sleeps long, and nothing else has work to do."""
    settings = {
        "API__SECRET_KEY": secrets.token_hex(),
        "API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "CORE__DAGS_FOLDER": str(home / "dags"),
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": str(parallelism),
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": str(PATIENCE * 10),
        "DATABASE__SQL_ALCHEMY_CONN": metadata_uri,
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "LOGGING__LOGGING_LEVEL": "WARNING",
        "SCHEDULER__MAX_DAGRUNS_PER_LOOP_TO_SCHEDULE": "100",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "SCHEDULER__USE_JOB_SCHEDULE": "False",  # no run but ours
        # If a task's sockets close before its process has ended, its worker sleeps that long: with the default 5 s,
        # 90 runs took more than twice as long.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }
    return {"AIRFLOW_HOME": str(home), **{f"AIRFLOW__{name}": value for name, value in settings.items()}}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
