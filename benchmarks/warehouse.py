"""The database that is measured, and the Airflow connection to it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg

CONNECTION = "benchmark"
NO_JIT = "benchmark_without_jit"


@contextmanager
def connected(uri: str) -> Iterator[psycopg.Connection[Any]]:
    """Name the database as two Airflow connections, with the server's jit and without, and connect to it."""
    addresses = {CONNECTION: uri, NO_JIT: f"{uri}?options=-c%20jit%3Doff"}
    variables = {f"AIRFLOW_CONN_{name.upper()}": address for name, address in addresses.items()}
    with mock.patch.dict(os.environ, variables), psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA bench")
        hook().get_conn().close()  # now, because Airflow's first look at its providers takes seconds
        yield connection


def version(connection: psycopg.Connection[Any]) -> str:
    """The server's."""
    number = connection.info.server_version
    return f"{number // 10000}.{number % 10000}"


def processor_seconds(connection: psycopg.Connection[Any]) -> float:
    """What processors worked so far for this process and for the server's sessions that have ended.

    A server process that ends, be it a session or a parallel worker, bequeaths its seconds to the postmaster:
    https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    """
    first_line = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"
    ((postmaster,),) = connection.execute(first_line).fetchall()
    process = Path(f"/proc/{postmaster}")
    if not process.exists():  # not Linux, or not this machine
        return time.process_time()
    deadline = time.monotonic() + 5
    while _ending(connection, process) and time.monotonic() < deadline:
        time.sleep(0.01)
    user, system = (process / "stat").read_text().rpartition(")")[2].split()[13:15]
    return time.process_time() + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _ending(connection: psycopg.Connection[Any], postmaster: Path) -> bool:
    """Whether a session other than this one lives, or its process is not quite gone."""
    listed = connection.execute("SELECT pid, backend_type = 'client backend' FROM pg_stat_activity").fetchall()
    children = (postmaster / "task" / postmaster.name / "children").read_text().split()
    return sum(client for _, client in listed) > 1 or not {int(child) for child in children} <= {
        pid for pid, _ in listed
    }


def hook(conn_id: str = CONNECTION) -> Any:
    """A hook, as an operator gets it."""
    from airflow.providers.common.compat.sdk import BaseHook

    return BaseHook.get_connection(conn_id).get_hook()  # type: ignore[no-untyped-call]
