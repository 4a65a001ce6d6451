"""The database that is measured, and the Airflow connection to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


def hook(conn_id: str = CONNECTION) -> Any:
    """A hook, as an operator gets it."""
    from airflow.providers.common.compat.sdk import BaseHook

    return BaseHook.get_connection(conn_id).get_hook()  # type: ignore[no-untyped-call]
