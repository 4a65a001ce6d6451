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
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    deadline = time.monotonic() + 5
    while connection.execute(others).fetchone() != (0,) and time.monotonic() < deadline:
        time.sleep(0.01)  # a session ends a moment after its client has closed the connection
    time.sleep(0.01)
    (postmaster,) = connection.execute("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)").fetchone() or (
        "",
    )
    stat = Path(f"/proc/{postmaster}/stat")
    if not stat.exists():
        return time.process_time()
    user, system = stat.read_text().rpartition(")")[2].split()[13:15]
    return time.process_time() + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def hook(conn_id: str = CONNECTION) -> Any:
    """A hook, as an operator gets it."""
    from airflow.providers.common.compat.sdk import BaseHook

    return BaseHook.get_connection(conn_id).get_hook()  # type: ignore[no-untyped-call]
