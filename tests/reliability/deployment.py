"""What deployments of Airflow share: processes of their own, on a Postgres of their own, that end with the test."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from airflow_dataquality.demo.postgres import EmbeddedPostgres

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


class DeploymentError(RuntimeError):
    """The deployment lacks a program, did not start, or did not finish what it had to do."""


class Deployment:
    """An Airflow that lives as long as the ``with`` block, and no longer than this process.

    What leaves the block as an exception carries the ends of all logs as a note.
    """

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._environment: dict[str, str] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as resources:
            home = resources.enter_context(tempfile.TemporaryDirectory(prefix="dataquality-airflow-"))
            self._home = Path(home)
            resources.push(self._explain)
            postgres = resources.enter_context(EmbeddedPostgres())
            self._start_reaper()
            resources.callback(self._kill)
            self._metadata = postgres.create_database("airflow")
            ours = ("AIRFLOW_", "CELERY_")
            self._environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
            self._environment["AIRFLOW_HOME"] = home
            uri = postgres.airflow_uri("airflow")
            self._configure({"core__fernet_key": "", "core__load_examples": "False", "database__sql_alchemy_conn": uri})
            self._start()
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.__exit__(kind, error, trace)

    def query(self, sql: str, *parameters: str) -> list[tuple[Any, ...]]:
        """Ask the metadata database."""
        with psycopg.connect(self._metadata) as connection:
            return connection.execute(sql, parameters).fetchall()

    def _start(self) -> None:
        """Start what belongs to it."""
        raise NotImplementedError

    def _configure(self, settings: Mapping[str, str]) -> None:
        """Set options, ``section__key``, for the processes that are started from now on."""
        self._environment |= {f"AIRFLOW__{name.upper()}": value for name, value in settings.items()}

    def _start_reaper(self) -> None:
        command = [sys.executable, "-I", "-c", REAPER]
        self._reaper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

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
        for _ in self.until(START_SECONDS, f"{name} did not end"):
            if self._processes[name].poll() is not None:
                break
        if code := self._processes.pop(name).returncode:
            raise DeploymentError(f"{name} ended with exit code {code}")

    def until(self, timeout: float, complaint: str) -> Iterator[None]:
        """Try again and again while all processes live; complain when the time is over."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            yield
            for name, process in self._processes.items():
                if process.poll():
                    raise DeploymentError(f"{name} died with exit code {process.returncode}")
            time.sleep(0.1)
        raise DeploymentError(f"{complaint} after {timeout:.0f} seconds")

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
