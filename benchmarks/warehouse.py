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
    variables = {f"AIRFLOW_CONN_{CONNECTION.upper()}": uri, f"AIRFLOW_CONN_{NO_JIT.upper()}": f"{uri}?options=-c%20jit%3Doff"}
    with mock.patch.dict(os.environ, variables), psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
        yield connection


def version(connection: psycopg.Connection[Any]) -> str:
    number = connection.info.server_version
    return f"{number // 10000}.{number % 10000}"


def hook(conn_id: str = CONNECTION) -> Any:
    """A hook, as an operator gets it."""
    from airflow.providers.common.compat.sdk import BaseHook

    return BaseHook.get_connection(conn_id).get_hook()
