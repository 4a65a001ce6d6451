"""The embedded Postgres: starts as root and as anyone else, and ends with its parent, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from airflow_dataquality.demo import flights, postgres
from airflow_dataquality.demo.postgres import EmbeddedPostgres, PostgresError

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")

CHILD = """
import signal, sys, time
# A shell that starts the tests in the background has them ignore it, and children with them.
signal.signal(signal.SIGINT, signal.default_int_handler)
from airflow_dataquality.demo.postgres import EmbeddedPostgres
server = EmbeddedPostgres()
server.start()
print(server.uri(), server.data_directory, flush=True)
{then}
"""


def start_child(then: str, **options: object) -> tuple[subprocess.Popen[str], str, Path]:
    """Start a server in a process of its own; return the process, the address and the data directory."""
    child = subprocess.Popen(  # type: ignore[call-overload]
        [sys.executable, "-c", CHILD.format(then=then)], stdout=subprocess.PIPE, text=True, **options
    )
    uri, directory = child.stdout.readline().split()
    return child, uri, Path(directory)


def answers(uri: str) -> bool:
    try:
        psycopg.connect(uri, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def eventually(condition: Callable[[], bool], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def test_starts_and_leaves_nothing() -> None:
    with EmbeddedPostgres(settings={"work_mem": "5MB"}) as server:
        directory = server.data_directory.parent
        uri = server.create_database("a b")
        with psycopg.connect(uri) as connection:
            assert connection.execute("SELECT current_database(), current_setting('work_mem')").fetchone() == (
                "a b",
                "5MB",
            )
        server.drop_database("a b")
        assert not answers(uri)
    assert not directory.exists()
    assert not answers(server.uri())


def test_asks_for_the_password(postgres: EmbeddedPostgres) -> None:
    assert not answers(f"postgresql://postgres:guess@127.0.0.1:{postgres.port}/postgres")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ends_with_a_killed_parent(ending: signal.Signals) -> None:
    child, uri, directory = start_child("time.sleep(600)", stderr=subprocess.DEVNULL)
    with child:
        assert answers(uri)
        child.send_signal(ending)
        child.wait(30)
    assert eventually(lambda: not directory.parent.exists())
    assert not answers(uri)


def test_ends_with_a_parent_that_forgets_it() -> None:
    child, uri, directory = start_child("")
    with child:
        pass
    assert child.returncode == 0
    assert eventually(lambda: not directory.parent.exists())
    assert not answers(uri)


def test_outlives_a_forked_child() -> None:
    with EmbeddedPostgres() as server:
        if (child := os.fork()) == 0:
            server.stop()
            os._exit(0)
        os.waitpid(child, 0)
        assert answers(server.uri())


def test_stops_while_a_forked_child_lives() -> None:
    with EmbeddedPostgres():
        if (child := os.fork()) == 0:
            time.sleep(600)
            os._exit(0)
        started = time.monotonic()
    assert time.monotonic() - started < 10
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@AS_ROOT
@pytest.mark.parametrize("readable", [True, False], ids=["in place", "copied"])
def test_root_without_user_namespaces(monkeypatch: pytest.MonkeyPatch, readable: bool) -> None:
    monkeypatch.setattr(postgres, "_user_namespaces_work", lambda: False)
    if not readable:
        monkeypatch.setattr(postgres._Account, "can_run", lambda *_: False)
    with EmbeddedPostgres() as server, psycopg.connect(server.uri()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert server.data_directory.stat().st_uid == postgres.NOBODY


@AS_ROOT
def test_ordinary_user() -> None:
    nobody = {"user": postgres.NOBODY, "group": postgres.NOBODY, "extra_groups": []}
    try:
        child, uri, directory = start_child("sys.stdin.read()", stdin=subprocess.PIPE, **nobody)
    except PermissionError:
        pytest.skip("this Python is below a directory that other users may not enter")
    with child:
        assert answers(uri)
        assert directory.stat().st_uid == postgres.NOBODY
    assert eventually(lambda: not directory.parent.exists())


def test_says_why_it_does_not_start() -> None:
    with pytest.raises(PostgresError, match="no_such_setting"), EmbeddedPostgres(settings={"no_such_setting": "1"}):
        pass


def test_names_the_remedy_when_there_are_no_binaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(postgres.BINARIES_VARIABLE, str(tmp_path))
    with pytest.raises(PostgresError, match="Hint: pip install"):
        postgres.find_binaries()


def test_binaries_of_choice_come_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for program in ("initdb", "postgres"):
        (tmp_path / program).touch()
    monkeypatch.setenv(postgres.BINARIES_VARIABLE, str(tmp_path))
    assert postgres.find_binaries() == tmp_path


def test_loads_the_flights(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.create_database("flights")) as connection:
        rows = flights.load(connection)
        again = flights.load(connection)
        (days,) = connection.execute("SELECT count(DISTINCT ds) FROM raw.flights").fetchone() or (0,)
    postgres.drop_database("flights")
    assert rows == again == {"flights": flights.FLIGHTS, "airlines": 16, "airports": 1458, "planes": 3322}
    assert days == 365
