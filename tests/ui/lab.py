"""What the tests of the pages share: an auth manager with permissions DAG by DAG, and a browser-like client."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
import uvicorn
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from starlette.testclient import TestClient

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

USERS = {"admin": "admin", "op": "op", "user": "user", "viewer": "viewer", "stranger": "user"}
"""Whoever there is, and their role. What is denied to whom is :data:`denied`."""
PASSWORD = "secret"  # noqa: S105 - of the tests' own Airflow
denied: dict[str, set[str]] = {}
"""DAGs that a user may not see, by the user's name."""
AIRFLOW = tuple(map(int, version("apache-airflow").split(".")[:2]))
ORIGIN = "http://testserver"


class DagByDag(SimpleAuthManager):
    """Airflow's simple auth manager, but for DAGs that some users may not see."""

    def is_authorized_dag(
        self, *, method: Any, user: SimpleAuthManagerUser, access_entity: Any = None, details: Any = None
    ) -> bool:
        if details is not None and details.id in denied.get(user.username, ()):
            return False
        return bool(super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details))


def need_pages() -> None:
    """Skip the test where Airflow has no frames for plugins, and requests of its pages carry no cookie."""
    if AIRFLOW < (3, 1):
        pytest.skip("the pages need Airflow 3.1")


def configuration(home: Path) -> dict[str, str]:
    """The environment of an Airflow with these users and this auth manager."""
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps(dict.fromkeys(USERS, PASSWORD)))
    return {
        # As Airflow's API server says of itself: connections in the metadata database are to be found, too.
        "_AIRFLOW_PROCESS_CONTEXT": "server",
        "AIRFLOW__CORE__AUTH_MANAGER": "ui.lab.DagByDag",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "AIRFLOW__API__SECRET_KEY": "a secret of the tests",
        "AIRFLOW__API_AUTH__JWT_SECRET": "another secret of the tests" * 3,
    }


class Pages:
    """The data quality pages of Airflow's real API application, as somebody's browser has them.

    :param app: Airflow's
    """

    prefix = "/dq"

    def __init__(self, app: Any) -> None:
        self.app = app
        self._clients: dict[str | None, TestClient] = {}

    def client(self, user: str | None) -> TestClient:
        """A browser of the user, logged in; None is anonymous."""
        if user not in self._clients:
            # Errors become pages, as they do in Airflow.
            client = TestClient(self.app, raise_server_exceptions=False, follow_redirects=False)
            if user is not None:
                answer = client.post("/auth/token", json={"username": user, "password": PASSWORD})
                client.cookies.set("_token", answer.json()["access_token"])
            self._clients[user] = client
        return self._clients[user]

    def get(self, path: str, user: str | None = "admin", **options: Any) -> httpx.Response:
        """Open a page: ``/`` is the overview."""
        return self.client(user).get(self.prefix + path, **options)

    def post(
        self, path: str, data: Mapping[str, Any] | None = None, user: str | None = "admin", **options: Any
    ) -> httpx.Response:
        """Send a form, as a browser does that has the page open."""
        options.setdefault("headers", {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"})
        form = {"csrf": self.csrf(user), **(data or {})}
        return self.client(user).post(self.prefix + path, data=form, **options)

    def csrf(self, user: str | None = "admin") -> str:
        """The token on the user's pages."""
        found = re.search(r'"X-CSRF": "([^"]+)"', self.get("/tests", user).text.replace("&#34;", '"'))
        assert found, "no page with a token"
        return found[1]

    @property
    def routes(self) -> list[Any]:
        """Of the application of the pages."""
        (mounted,) = [route for route in self.app.routes if getattr(route, "path", None) == self.prefix]
        return list(mounted.routes)


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of the application, served by a thread of this process."""
    # No websockets: their library warns of itself.
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", ws="none", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the application does not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@dataclass
class Tabs:
    """Tabs of a browser, each of a user who is logged in.

    :param complaints: errors that the pages logged
    """

    pages: Pages
    browser: Browser
    address: str
    complaints: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    @classmethod
    @contextlib.contextmanager
    def of(cls, pages: Pages, browser: Browser, address: str) -> Iterator[Self]:
        tabs = cls(pages, browser, address)
        yield tabs
        for context in tabs._contexts:
            context.close()
        if tabs.complaints:
            raise AssertionError("\n".join(tabs.complaints))

    def open(
        self, path: str, *, user: str | None = "admin", width: int = 1280, height: int = 800, theme: str = "light",
        airflow: bool = False, javascript: bool = True,
    ) -> Page:  # fmt: skip
        """Open one of the pages.

        :param theme: chosen in Airflow: ``light`` or ``dark``
        :param airflow: the path is Airflow's own, ``/plugin/data-quality``
        """
        context = self.browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="light",
            java_script_enabled=javascript,
            locale="en-GB",
        )
        self._contexts.append(context)
        if user is not None:
            token = self.pages.client(user).cookies["_token"]
            context.add_cookies([{"name": "_token", "value": token, "url": self.address}])
        if javascript:
            context.add_init_script(f"localStorage.setItem('theme', {json.dumps(theme)})")
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("console", lambda said: self.complaints.append(said.text) if _complains(said) else None)
        page.goto(self.address + ("" if airflow else self.pages.prefix) + path)
        return page


def _complains(said: Any) -> bool:
    """Whether one of our pages logged an error; that it was refused is for the test to see."""
    return said.type == "error" and "the server responded with a status" not in said.text


def wide(page: Any) -> int:
    """By how many pixels a page is wider than its window: nobody should have to scroll to the side."""
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return int(page.evaluate(overflow))


def register(dag_ids: Iterable[str]) -> list[str]:
    """Have Airflow know DAGs of these names, as if it had read them; those that it did not know: of other tests."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="testing"))
        session.flush()
        new = [dag_id for dag_id in dag_ids if session.get(DagModel, dag_id) is None]
        for dag_id in new:
            session.add(DagModel(dag_id=dag_id, bundle_name="testing", is_stale=False, fileloc="", is_paused=False))
    return new


def forget(dag_ids: Iterable[str]) -> None:
    """Have Airflow forget DAGs."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagModel).where(DagModel.dag_id.in_(list(dag_ids))))
