"""Who may see and do what: nobody anything without logging in, and everybody what Airflow lets them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from airflow_dataquality.ui import access

if TYPE_CHECKING:
    from ui.lab import Pages

VALUES = {"path": "dq.css", "conn_id": "warehouse", "table": "analytics.flights", "check": "not null"}
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}


def addresses(ui: Pages, method: str) -> Iterator[str]:
    """Every route of the pages with this method, with something in each place of its path."""
    for route in ui.routes:
        if method in route.methods:
            yield re.sub(r"{(\w+)(:\w+)?}", lambda place: VALUES.get(place[1], "some"), route.path)


@pytest.mark.parametrize("token", [None, "garbage", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiIsInJvbGUiOiJBRE1JTiJ9."])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_every_route_is_closed_to_strangers(ui: Pages, token: str | None, method: str) -> None:
    cookies = {"_token": token} if token else {}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    found = list(addresses(ui, method))
    assert found
    # What FastAPI reads of a query cannot stand in for who asks.
    for address in [*found, *(f"{address}?user=admin&who=admin&token=x" for address in found)]:
        for way in ({"headers": headers}, {"headers": {"Cookie": f"_token={token}"} if cookies else {}}):
            answer = ui.client(None).request(method, ui.prefix + address, **way)
            assert answer.status_code == 401, (method, address)


def test_every_kind_of_address_was_tried(ui: Pages) -> None:
    """So that a mount, or a websocket, does not slip through the walk."""
    assert {type(route).__name__ for route in ui.routes} == {"APIRoute"}


def test_whatever_writes_asks_for_an_editor(ui: Pages) -> None:
    def asked(dependant: Any) -> Iterator[Any]:
        for inner in dependant.dependencies:
            yield inner.call
            yield from asked(inner)

    for route in ui.routes:
        if route.name != "nowhere" and route.methods - {"GET", "HEAD"}:
            assert access.editor in set(asked(route.dependant)), route.path


def test_no_two_endpoints_have_the_same_name(ui: Pages) -> None:
    names = [route.name for route in ui.routes]
    assert sorted(names) == sorted(set(names))


def test_a_stranger_reads_what_to_do(ui: Pages) -> None:
    answer = ui.get("/t/warehouse/analytics.flights", user=None)
    assert answer.status_code == 401
    assert "Log in to Airflow" in answer.text
    assert 'href="/auth/login"' in answer.text
    assert "sha256-" in answer.headers["content-security-policy"]


def test_who_may_only_look_writes_nowhere(ui: Pages) -> None:
    for address in addresses(ui, "POST"):
        # The last route is for addresses that do not exist.
        expected = {403, 404} if address == "/dq.css" else {403}
        assert ui.post(address, user="viewer").status_code in expected, address


def forged(ui: Pages, **changes: Any) -> dict[str, Any]:
    """A form of the admin's browser with something about it changed."""
    return {"headers": {**SAME_ORIGIN, **changes.get("headers", {})}, "data": {"csrf": changes.get("csrf", "")}}


@pytest.fixture
def post_routes(ui: Pages) -> list[str]:
    return [address for address in addresses(ui, "POST") if address != "/dq.css"]


@pytest.mark.parametrize("attack", ["none", "garbage", "of another", "too old", "from the future", "cut", "other site"])
def test_forms_of_other_sites_are_refused(ui: Pages, post_routes: list[str], attack: str) -> None:
    valid = ui.csrf("admin")
    issued, nonce, signature = valid.split(".")
    tokens = {
        "none": "",
        "garbage": "a.b.c",
        "of another": ui.csrf("op"),
        "too old": f"{int(issued, 16) - 2 * access.CSRF_SECONDS:x}.{nonce}.{signature}",
        "from the future": f"{int(issued, 16) + 3600:x}.{nonce}.{signature}",
        "cut": valid[:-1],
    }
    headers = {"Sec-Fetch-Site": "cross-site"} if attack == "other site" else {}
    for address in post_routes:
        form = forged(ui, csrf=tokens.get(attack, valid), headers=headers)
        answer = ui.client("admin").post(ui.prefix + address, **form)
        assert answer.status_code == 403, address


class TestToken:
    """The token by itself."""

    class User:
        """Somebody, as auth managers have them."""

        def __init__(self, name: str) -> None:
            self.name = name

        def get_id(self) -> str:
            return self.name

        def get_name(self) -> str:
            return self.name

    def test_it_is_its_owners_for_a_day(self, ui: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
        one, other = access.Who(self.User("one")), access.Who(self.User("other"))
        token = access.csrf_token(one)
        assert access._valid(one, token)
        assert not access._valid(other, token)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + access.CSRF_SECONDS + 60)
        assert not access._valid(one, token)

    def test_it_is_another_one_on_each_page(self, ui: Pages) -> None:
        who = access.Who(self.User("one"))
        assert access.csrf_token(who) != access.csrf_token(who)

    @pytest.mark.parametrize("token", ["", ".", "..", "...", "ü.ü.ü", "g.1.2"])
    def test_what_is_none_is_refused(self, ui: Pages, token: str) -> None:
        assert not access._valid(access.Who(self.User("one")), token)


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://airflow.test"}, False),
        ({"origin": "http://airflow.test"}, True),
        ({"origin": "https://public.test"}, True),
        ({"origin": "http://evil.test"}, False),
        ({"origin": "null"}, False),
    ],
)
def test_browsers_say_where_a_form_is_from(
    headers: dict[str, str], same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from starlette.requests import Request

    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://public.test/airflow/")
    raw = [(name.encode(), value.encode()) for name, value in {"host": "airflow.test", **headers}.items()]
    assert access._same_origin(Request({"type": "http", "headers": raw})) is same


def who(ui: Pages, name: str) -> access.Who:
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    from ui.lab import USERS

    return access.Who(SimpleAuthManagerUser(username=name, role=USERS[name].upper()))


def test_permissions_are_those_that_airflow_gives(ui: Pages, dags: Callable[..., None]) -> None:
    dags("open", "secret", hidden={"stranger": ["secret"]})
    viewer, user, stranger, admin = (who(ui, name) for name in ("viewer", "user", "stranger", "admin"))
    assert viewer.may_read("open")
    assert not viewer.may_edit("open")
    assert not viewer.may_trigger("open")
    assert not viewer.may_clear("open")
    assert not viewer.may_write
    assert user.may_write
    assert user.may_edit("open")
    assert user.may_trigger("open")
    assert user.may_clear("open")
    assert not stranger.may_read("secret")
    assert not stranger.may_edit("secret")
    assert stranger.may_read("open")
    # What was recorded without a DAG: by hand, or with `airflow dq`.
    assert viewer.may_read(None)
    assert not user.may_edit(None)
    assert admin.may_edit(None)


def test_rows_are_narrowed_to_what_somebody_may_read(ui: Pages, dags: Callable[..., None]) -> None:
    dags("open", "secret", hidden={"stranger": ["secret", "forgotten secret"]})
    stranger, admin = who(ui, "stranger"), who(ui, "admin")
    assert admin.readable is None
    assert stranger.readable is not None
    assert "open" in stranger.readable
    assert "secret" not in stranger.readable
    rows = ["open", "secret", None, "forgotten secret", "forgotten"]
    assert stranger.visible(rows, lambda row: row) == ["open", None, "forgotten"]
    assert admin.visible(rows, lambda row: row) == rows


def test_what_is_asked_twice_is_answered_once(
    ui: Pages, dags: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ui.lab import DagByDag

    dags("open")
    asked = []
    real = DagByDag.is_authorized_dag

    def counting(self: DagByDag, **how: Any) -> bool:
        asked.append(how)
        return real(self, **how)

    monkeypatch.setattr(DagByDag, "is_authorized_dag", counting)
    somebody = who(ui, "user")
    assert somebody.visible(["open"] * 500, lambda row: row) == ["open"] * 500
    assert len(asked) == 1
