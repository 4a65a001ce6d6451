"""The pages: in Airflow's API application in this process, in a real Airflow, and in a real browser."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from support import Warehouse

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from ui.lab import Pages, Tabs


@pytest.fixture(scope="session")
def _airflow_app(airflow_db: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, dict[str, str]]:
    """Airflow's API application, and the environment in which its requests are to be answered."""
    from ui import lab

    lab.need_pages()

    environment = lab.configuration(tmp_path_factory.mktemp("airflow-ui"))
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own, of an application that other tests do not make
        for name, value in environment.items():
            patch.setenv(name, value)
        from airflow.api_fastapi.app import create_app, purge_cached_app

        import airflow_dataquality.ui.app  # noqa: F401 - whose mistakes the plugin keeps from Airflow

        purge_cached_app()
        return create_app(apps="core"), environment


@pytest.fixture
def ui(_airflow_app: tuple[Any, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    """The pages: ``ui.get("/", user="viewer")``, ``ui.post("/tests/new", {...})``. With no connection configured."""
    from ui import lab

    app, environment = _airflow_app
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS", raising=False)
    yield lab.Pages(app)
    lab.denied.clear()


@pytest.fixture
def shown(ui: Pages, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty database that the pages may open."""
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS", "warehouse")
    return warehouse


@pytest.fixture
def dags(ui: Pages) -> Iterator[Callable[..., None]]:
    """Have Airflow know DAGs: ``dags("one", "two", hidden={"stranger": ["two"]})``."""
    from ui import lab

    new: list[str] = []

    def register(*dag_ids: str, hidden: dict[str, list[str]] | None = None) -> None:
        new.extend(lab.register(dag_ids))
        for user, names in (hidden or {}).items():
            lab.denied.setdefault(user, set()).update(names)

    yield register
    lab.forget(new)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium. For a module, because Playwright keeps an event loop, beside which others cannot run theirs."""
    from ui.browser import launched

    with launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def _address(_airflow_app: tuple[Any, dict[str, str]]) -> Iterator[str]:
    from ui import lab

    with lab.served(_airflow_app[0]) as address:
        yield address


@pytest.fixture
def tabs(ui: Pages, browser: Browser, _address: str) -> Iterator[Tabs]:
    """Pages of ``ui`` in the browser: ``tab = tabs.open("/", user="viewer", width=360, theme="dark")``.

    A test fails if a page logged an error, as it does where its security policy forbids something.
    """
    from ui import lab

    with lab.Tabs.of(ui, browser, _address) as tabs:
        yield tabs
