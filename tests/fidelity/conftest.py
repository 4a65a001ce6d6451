"""Roles, and a database with a schema ``w``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from support import Warehouse

Connection = psycopg.Connection[Any]

ROLES = ("fid_owner", "fid_lead", "fid_analyst", "fid_loader")


@pytest.fixture(scope="module")
def roles(postgres: EmbeddedPostgres) -> Iterator[None]:
    """Roles belong to the server, so they are made once. They own nothing after each test's database is gone."""
    with psycopg.connect(postgres.uri(), autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'fid'")
        yield
        for role in ROLES:
            connection.execute(f"DROP ROLE {role}")


@pytest.fixture
def db(roles: None, warehouse: Warehouse) -> Iterator[Connection]:
    """A connection of the superuser to a database with a schema ``w``."""
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA w")
        yield connection


@pytest.fixture
def loader(db: Connection, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> str:
    """An Airflow connection of an ordinary role, which may create tables in ``w`` and keep a ledger."""
    uri = warehouse.uri.split("@", 1)[1]
    monkeypatch.setenv("AIRFLOW_CONN_LOADER", f"postgresql://fid_loader:fid@{uri}")
    db.execute("CREATE SCHEMA dataquality AUTHORIZATION fid_loader")
    db.execute("GRANT USAGE, CREATE ON SCHEMA w TO fid_loader, fid_owner")
    return "loader"
