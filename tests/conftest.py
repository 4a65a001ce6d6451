"""A Postgres for the session, a fresh database for each test, and an Airflow that touches no one else's files."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import Database, Warehouse

EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"

# Airflow reads its configuration when it is first imported, which importing a test module may do.
_AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="dataquality-airflow-")
os.environ.update(
    {
        "AIRFLOW_HOME": _AIRFLOW_HOME.name,
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLE_DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_AIRFLOW_HOME.name}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    }
)

if TYPE_CHECKING:
    from airflow_dataquality.demo.postgres import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """A running Postgres."""
    from airflow_dataquality.demo.postgres import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture(scope="session")
def _names() -> Iterator[str]:
    return (f"test_{number}" for number in itertools.count(1))


@pytest.fixture
def warehouse(
    postgres: EmbeddedPostgres, _names: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """An empty database of its own, known to Airflow as ``warehouse``."""
    database = next(_names)
    warehouse = Warehouse(uri=postgres.create_database(database), conn_id="warehouse")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", warehouse.uri)
    yield warehouse
    postgres.drop_database(database)


@pytest.fixture(params=["postgres", "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Each database on which a behaviour is proven, one after the other."""
    from airflow_dataquality.dialects import dialect_for
    from airflow_dataquality.hooks.session import DbApiSession

    if request.param == "postgres":
        connection: Any = request.getfixturevalue("warehouse").connect()
    else:
        path = tmp_path / "lite.db"
        monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
        connection = sqlite3.connect(path)
    conn_id = {"postgres": "warehouse", "sqlite": "lite"}[request.param]
    yield Database(DbApiSession(connection, dialect_for(request.param)), conn_id)
    connection.close()


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's metadata database, for tests that run whole DAGs. Costs two seconds, so it is made on demand."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """Run an example DAG for a day, and return its finished DagRun."""
    from airflow_dataquality.demo import dags

    return dags.run
