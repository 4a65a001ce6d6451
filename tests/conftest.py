"""A Postgres for the session, a fresh database for each test, and an Airflow that touches no one else's files."""

from __future__ import annotations

import gc
import itertools
import json
import os
import re
import shutil
import sqlite3
import tempfile
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from support import Database, Warehouse

EXAMPLE_DAGS = Path(__file__).parent.parent / "example_dags"

# Temporary files are kept in memory where there is room: a database for each test is three hundred files, which cost
# a disk ten times as much. Programs may be among them.
_MEMORY, _ROOM = Path("/dev/shm"), 4 * 2**30  # noqa: S108 - a default of tempfile's is shared, too


def _has_room(folder: Path) -> bool:
    if not os.access(folder, os.W_OK):
        return False
    return shutil.disk_usage(folder).free > _ROOM and not os.statvfs(folder).f_flag & os.ST_NOEXEC


if "TMPDIR" not in os.environ and _has_room(_MEMORY):
    os.environ["TMPDIR"], tempfile.tempdir = str(_MEMORY), None

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

# A machine that does other things, too, is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

if TYPE_CHECKING:
    from airflow_dataquality.demo.postgres import EmbeddedPostgres
    from redshift_double import RedshiftDouble, RedshiftWarehouse


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


@pytest.fixture(params=["postgres", pytest.param("redshift", marks=pytest.mark.live), "sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """Each database on which a behaviour is proven, one after the other."""
    from airflow_dataquality.dialects import dialect_for
    from airflow_dataquality.hooks.session import DbApiSession

    if request.param == "postgres":
        connection: Any = request.getfixturevalue("warehouse").connect()
    elif request.param == "redshift":
        connection = request.getfixturevalue("redshift").connect()
    else:
        path = tmp_path / "lite.db"
        monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
        connection = sqlite3.connect(path)
    conn_id = {"postgres": "warehouse", "redshift": "redshift", "sqlite": "lite"}[request.param]
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


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of moto's S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A boto3 client of an S3 with the empty bucket ``lake``, known to Airflow as ``aws_default``."""
    import boto3

    reset = urllib.request.Request(f"{s3_server}/moto-api/reset", method="POST")  # noqa: S310 - moto's own address
    urllib.request.urlopen(reset).close()  # noqa: S310 - as above
    for name, value in {
        "AWS_ACCESS_KEY_ID": "double",
        "AWS_SECRET_ACCESS_KEY": "double",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    connection = {"conn_type": "aws", "extra": {"endpoint_url": s3_server, "region_name": "us-east-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
    client = boto3.client("s3", endpoint_url=s3_server)
    client.create_bucket(Bucket="lake")
    yield client
    client.close()


@pytest.fixture(scope="session")
def _redshift_double(postgres: EmbeddedPostgres) -> Iterator[RedshiftDouble]:
    from redshift_double import RedshiftDouble

    with RedshiftDouble(postgres) as double:
        yield double


@pytest.fixture
def redshift(
    request: pytest.FixtureRequest, _names: Iterator[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[RedshiftWarehouse]:
    """An empty database, known to Airflow as ``redshift``: of the double, or of a cluster (see redshift_live)."""
    import redshift_live
    from redshift_double import APPLICATION, RedshiftWarehouse

    if redshift_live.CONNECTION in os.environ:
        with redshift_live.empty_database(monkeypatch) as live:
            yield live
        return
    _redshift_double: RedshiftDouble = request.getfixturevalue("_redshift_double")
    _redshift_double.reset()
    # S3 takes seconds to start, so COPY reads it only where a test asks for it.
    wants_s3 = "s3" in request.fixturenames
    _redshift_double.s3_endpoint = request.getfixturevalue("s3_server") if wants_s3 else None
    database = next(_names)
    address = _redshift_double.create_database(database)
    warehouse = RedshiftWarehouse(_redshift_double, database)
    connection = {
        "conn_type": "redshift",
        "host": address["host"],
        "port": address["port"],
        "schema": database,
        "login": address["user"],
        "password": address["password"],
        "extra": {"ssl": False, "application_name": APPLICATION},
    }
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT", json.dumps(connection))
    yield warehouse
    shown = re.compile(rf"access_key|secret|session_token|{_redshift_double.password}", re.IGNORECASE)
    assert not [sql for sql in _redshift_double.statements if shown.search(sql)]
    _redshift_double.drop_database(database)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Keep Python's garbage collector from what is imported, Airflow: to look at all of that takes most of a second."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print at how many statements the reliability tests killed processes."""
    reports = terminalreporter.getreports("passed")
    loads = [value for report in reports for name, value in report.user_properties if name == "killed"]
    if loads:
        points = sum(load["points"] for load in loads)
        statements = len({statement for load in loads for statement in load["statements"]})
        terminalreporter.section("kill matrix")
        terminalreporter.line(
            f"{len(loads)} loads, killed at {points} points before and after sending {statements} distinct statements"
        )
