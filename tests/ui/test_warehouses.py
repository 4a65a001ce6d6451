"""Which warehouses the pages open, how, and what they say of those that they cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Table
from airflow_dataquality.ui import warehouses
from airflow_dataquality.ui.warehouses import Warehouse as Shown
from support import Warehouse

if TYPE_CHECKING:
    from ui.lab import Pages

CONNECTIONS = "AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS"


def option(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"AIRFLOW__AIRFLOW_DATAQUALITY__{name.upper()}", value)


def test_the_configuration_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTIONS, " warehouse , lake:dq_ledger,,")
    assert warehouses.warehouses() == [Shown("warehouse"), Shown("lake", "dq_ledger")]
    monkeypatch.setenv(CONNECTIONS, "")
    assert warehouses.warehouses() == []
    monkeypatch.setenv(CONNECTIONS, "one,one:two")
    with pytest.raises(SpecError, match="configured twice"):
        warehouses.warehouses()


def test_a_connection_that_is_not_allowed_is_none_at_all(ui: Pages, shown: Warehouse) -> None:
    with pytest.raises(warehouses.UnknownWarehouse, match=r"did you mean 'warehouse'\? Allowed: warehouse"):
        warehouses.warehouse_of("warehous")
    with pytest.raises(warehouses.UnknownWarehouse), warehouses.reading("postgres_default"):
        pass


def test_reading_cannot_write_and_takes_no_longer_than_allowed(
    ui: Pages, shown: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    option(monkeypatch, "page_statement_timeout", "0.2")
    with warehouses.writing("warehouse") as ledger:
        ledger.session.execute("CREATE TABLE there (n int)")
    with warehouses.reading("warehouse") as ledger:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            ledger.session.execute("INSERT INTO there VALUES (1)")
        with pytest.raises(psycopg.errors.QueryCanceled):
            ledger.session.query("SELECT pg_sleep(5)")
        assert ledger.session.query("SELECT count(*) FROM there") == [(0,)]


def test_the_connection_is_closed_after_the_page(ui: Pages, shown: Warehouse) -> None:
    with warehouses.writing("warehouse") as ledger:
        session = ledger.session
    assert session.connection.closed


def test_sqlite_is_read_only_too(ui: Pages, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "sqlite", "host": f"{tmp_path}/lite.db"}
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps(connection))
    monkeypatch.setenv(CONNECTIONS, "lite")
    with pytest.raises(warehouses.NoLedger, match="nothing was recorded"), warehouses.reading("lite"):
        pass
    with warehouses.writing("lite"):
        pass
    with warehouses.reading("lite") as ledger, pytest.raises(Exception, match="readonly"):
        ledger.session.execute("CREATE TABLE there (n int)")


@pytest.fixture
def asked(ui: Pages) -> Iterator[Callable[[str], tuple[int, str]]]:
    """What a page says that opens a warehouse: its status, and its text."""
    from fastapi import APIRouter
    from fastapi.responses import PlainTextResponse

    router = APIRouter()

    @router.get("/opens/{conn_id}")
    def opens(conn_id: str) -> PlainTextResponse:
        with warehouses.reading(conn_id):
            return PlainTextResponse("opened")

    (mounted,) = [route for route in ui.app.routes if getattr(route, "path", None) == ui.prefix]
    known = list(mounted.app.router.routes)
    mounted.app.include_router(router)
    mounted.app.router.routes.insert(0, mounted.app.router.routes.pop())

    def ask(conn_id: str, user: str = "admin") -> tuple[int, str]:
        answer = ui.get(f"/opens/{conn_id}", user=user)
        return answer.status_code, answer.text

    yield ask
    mounted.app.router.routes[:] = known


def test_a_page_of_an_unknown_connection_names_those_that_are(
    asked: Callable[[str], tuple[int, str]], shown: Warehouse
) -> None:
    status, text = asked("elsewhere")
    assert status == 404
    assert "may not use the connection &#39;elsewhere&#39;" in text
    assert "Allowed: warehouse" in text


def test_a_page_says_that_nothing_was_recorded_yet(asked: Callable[[str], tuple[int, str]], shown: Warehouse) -> None:
    status, text = asked("warehouse")
    assert status == 404
    assert "nothing was recorded in the schema &#39;dataquality&#39; yet" in text
    assert "<b>Hint:</b> run a DAG" in text


@pytest.mark.parametrize(("version", "advice"), [(2, "brings it up to date"), (99, "upgrade airflow-provider")])
def test_a_page_says_that_the_ledger_is_of_another_version(
    asked: Callable[[str], tuple[int, str]], shown: Warehouse, version: int, advice: str
) -> None:
    with warehouses.writing("warehouse"):
        pass
    with shown.connect() as connection:
        connection.execute("UPDATE dataquality.ledger_version SET version = %s", [version])
    status, text = asked("warehouse")
    assert status == 404
    assert f"has version {version}" in text
    assert advice in text


def test_a_database_that_is_down_is_described_to_those_who_can_mend_it(
    asked: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_DOWN", "postgresql://someone:hunter2@127.0.0.1:1/nowhere")
    monkeypatch.setenv(CONNECTIONS, "down,undefined")
    for conn_id, said in (("down", "port 1 failed"), ("undefined", "isn&#39;t defined")):
        status, text = asked(conn_id)
        assert status == 503
        assert "does not answer" in text
        assert said in text
        assert "hunter2" not in text
        status, text = asked(conn_id, user="viewer")
        assert status == 503
        assert said not in text


def test_a_slow_query_is_a_page_that_says_so(
    ui: Pages, shown: Warehouse, asked: Callable[[str], tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouses.writing("warehouse"):
        pass
    # The query for the ledger's version waits for whoever is changing it.
    option(monkeypatch, "page_statement_timeout", "0.2")
    with shown.connect(autocommit=False) as connection:
        connection.execute("LOCK TABLE dataquality.ledger_version")
        status, text = asked("warehouse")
    assert status == 503
    assert "was too slow" in text


@pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")  # that is how Airflow's own model does it
def test_a_connection_of_the_metadata_database_is_found(
    asked: Callable[[str], tuple[int, str]], warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        session.add(Connection(conn_id="in_metadata", uri=warehouse.uri))
    try:
        monkeypatch.setenv(CONNECTIONS, "in_metadata")
        with warehouses.writing("in_metadata") as ledger:
            assert isinstance(ledger, Ledger)
        assert asked("in_metadata") == (200, "opened")
    finally:
        with create_session() as session:
            session.query(Connection).filter_by(conn_id="in_metadata").delete()


def test_values_are_shown_of_listed_columns_only(monkeypatch: pytest.MonkeyPatch) -> None:
    flights = Table("flights", "analytics")
    assert not warehouses.may_show(flights, "carrier")
    option(monkeypatch, "sample_columns", "analytics.*.*, public.people.Name")
    option(monkeypatch, "pii_columns", "*email*, analytics.flights.pilot")
    assert warehouses.may_show(flights, "carrier")
    assert warehouses.may_show(Table("people", "public"), "name")
    assert not warehouses.may_show(Table("people", "public"), "age")
    assert not warehouses.may_show(flights, "Pilot")
    assert not warehouses.may_show(flights, "contact_email")
