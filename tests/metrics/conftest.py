"""Agents, an API, and a database with a few days of orders."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from metrics.lab import Agent, FakeDatadog, fake_datadog, udp_agent, unix_agent

from support import Warehouse


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """An agent over UDP, known to Airflow as ``datadog``."""
    agent = udp_agent()
    monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(agent.connection))
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__ENV", "test")
    with agent.socket:
        yield agent


@pytest.fixture
def unix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """An agent on a Unix socket, known to Airflow as ``datadog``."""
    agent = unix_agent(str(tmp_path / "dsd.socket"))
    monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(agent.connection))
    with agent.socket:
        yield agent


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDatadog]:
    """Datadog's API, known to Airflow as ``datadog``."""
    with fake_datadog() as api:
        monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(api.connection))
        yield api


@pytest.fixture
def db(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with ``w.orders (ds, id, amount, at)`` of thirty days."""
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA w")
        connection.execute(
            "CREATE TABLE w.orders AS SELECT '2013-01-01'::date + d AS ds, i AS id, i * 1.5 AS amount, "
            "now() - interval '1 hour' AS at FROM generate_series(0, 29) AS d, generate_series(1, 20 + d % 3) AS i"
        )
        yield connection
