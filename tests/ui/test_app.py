"""The frame of all pages: headers, errors, static files, addresses, themes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.testclient import TestClient

from airflow_dataquality.ui import render
from ui import lab

if TYPE_CHECKING:
    from ui.lab import Pages, Tabs

STATIC = render.HERE / "static"
ODD = [
    "plain",
    "a/b",
    "a%2Fb",
    "%",
    "..",
    ".",
    'Tëst "täble"',
    "a'b;--",
    "<script>",
    "表",
    "a b+c&d=e?f#g",
    "x.y",
    "~2F",
    "a\\b",
]


def test_an_address_that_does_not_exist_is_a_page_that_says_so(ui: Pages) -> None:
    answer = ui.get("/nowhere")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text


@pytest.mark.parametrize("path", ["/", "/nowhere", "/static/dq.css"])
def test_nothing_runs_but_our_own_files(ui: Pages, path: str) -> None:
    answer = ui.get(path)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_pages_are_kept_by_no_cache_and_files_by_the_browsers(ui: Pages) -> None:
    page = ui.get("/nowhere")
    assert page.headers["cache-control"] == "no-store"
    (address,) = set(re.findall(r'href="/dq(/static/dq.css[^"]*)"', page.text))
    assert "immutable" in ui.get(address).headers["cache-control"]
    assert "immutable" not in ui.get("/static/dq.css?v=old").headers["cache-control"]


@pytest.mark.parametrize("path", ["../app.py", "%2e%2e/app.py", "..%2fapp.py", "none.css", "vendor", ""])
def test_static_files_are_the_only_files(ui: Pages, path: str) -> None:
    assert ui.get(f"/static/{path}").status_code == 404


def test_vendored_files_have_their_licences_and_versions() -> None:
    vendor = STATIC / "vendor"
    told = (vendor / "README.md").read_text()
    for file in vendor.iterdir():
        assert file.name in told or file.name == "README.md"
    assert 'version:"2.0.11"' in (vendor / "htmx.min.js").read_text()
    for script in STATIC.rglob("*.js"):
        assert "sourceMappingURL" not in script.read_text(), "there is no map to fetch"


def test_no_template_breaks_the_policy() -> None:
    """What the policy forbids fails without a word: styles in attributes, scripts in pages, handlers in attributes."""
    for template in (render.HERE / "templates").glob("*.html"):
        text = template.read_text()
        assert not re.search(r"\sstyle\s*=", text), template.name
        assert not re.search(r"\son[a-z]+\s*=\s*[\"']", text), template.name
        assert not re.search(r"<script(?![^>]*(src=|application/json))", text), template.name
        assert not re.search(r"(src|href|action)=[\"']https?:", text), template.name
        assert "<style" not in text or template.name == "unknown.html"


@pytest.fixture(params=["", "/airflow"])
def echo(request: pytest.FixtureRequest) -> Iterator[TestClient]:
    """An application that says which name it was asked for, and what the address of that name is."""
    app, outer = FastAPI(), FastAPI(root_path=request.param)

    @app.get("/t/{name:name}/checks/{check:name}")
    def named(request: Request, name: str, check: str) -> JSONResponse:
        address = render.link(request, "named", {"q": check, "none": None, "empty": ""}, name=name, check=check)
        return JSONResponse({"name": name, "check": check, "link": address, "home": render.home(request)})

    outer.mount("/dq", app)
    with TestClient(outer) as client:
        yield client


@pytest.mark.parametrize(("name", "check"), [*zip(ODD, reversed(ODD), strict=True), *itertools.pairwise(ODD)])
def test_whatever_a_table_is_called_its_address_leads_to_it(echo: TestClient, name: str, check: str) -> None:
    from urllib.parse import quote

    encoded = [quote(render.NameConvertor().to_string(part), safe="") for part in (name, check)]
    root = echo.app.root_path  # type: ignore[attr-defined]
    first = echo.get(f"{root}/dq/t/{encoded[0]}/checks/{encoded[1]}").json()
    assert (first["name"], first["check"]) == (name, check)
    assert first["home"] == root
    assert first["link"].startswith(f"{root}/dq/t/")
    second = echo.get(first["link"]).json()
    assert second == first


def test_links_into_airflow(ui: Pages) -> None:
    request = Request({"type": "http", "root_path": "/team/dq", "app_root_path": "/team"})
    link = render.airflow_link
    assert link(request, "a b") == "/team/dags/a%20b"
    assert link(request, "d", "manual__2013-01-01T00:00:00+00:00") == (
        "/team/dags/d/runs/manual__2013-01-01T00%3A00%3A00%2B00%3A00"
    )
    assert link(request, "d", "r", "t", -1, 2) == "/team/dags/d/runs/r/tasks/t?try_number=2"
    assert link(request, "d", "r", "t", 0) == "/team/dags/d/runs/r/tasks/t/mapped/0"
    assert link(request, "d", None, "t") == "/team/dags/d/tasks/t"


HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{ 7*7 }}"


def test_what_users_write_stays_text(ui: Pages) -> None:
    for user_text in (HOSTILE, "{{ config }}", "<!--"):
        answer = ui.get("/t/" + "warehouse" + "?q=" + user_text)
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
    assert "<" not in render.status(HOSTILE).removeprefix("<span").partition(">")[2].replace("</i>", "").replace(
        "</span>", ""
    ).replace('<i class="shape" aria-hidden="true">', "")
    template = render._environment().from_string("<script type='application/json'>{{ x|tojson }}</script>{{ x }}")
    shown = template.render(x={HOSTILE: [HOSTILE, float("nan"), float("inf"), None]})
    assert shown.count("<script") == 1
    assert "null, null, null" in shown


def test_a_mistake_of_ours_is_a_page(ui: Pages) -> None:
    """It says nothing of what went wrong inside, which is in the log."""
    (mounted,) = [route for route in ui.app.routes if getattr(route, "path", None) == ui.prefix]
    known = list(mounted.app.router.routes)

    @mounted.app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the secret of the machine")

    mounted.app.router.routes.insert(0, mounted.app.router.routes.pop())
    try:
        answer = ui.get("/broken")
    finally:
        mounted.app.router.routes[:] = known
    assert answer.status_code == 500
    assert "a mistake in the package" in answer.text
    assert "secret of the machine" not in answer.text


# The relative luminance and the contrast of WCAG: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def colours(theme: str) -> dict[str, str]:
    css = (STATIC / "dq.css").read_text()
    light = re.search(r":root {(.*?)}", css, re.DOTALL)
    dark = re.search(r"\[data-theme=\"dark\"\] {(.*?)}", css, re.DOTALL)
    assert light
    assert dark
    found = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light[1]))
    return found | (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark[1])) if theme == "dark" else {})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_is_legible(theme: str) -> None:
    of = colours(theme)
    grounds = ("bg", "surface", "raised", "hover")
    pairs = [(text, ground) for text in ("text", "muted", "accent", "fail") for ground in grounds]
    pairs += [("accent-text", "accent")]
    pairs += [(status, f"{status}-bg") for status in (*render.STATUSES, "unknown")]
    low = {pair: round(contrast(of[pair[0]], of[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    # Borders of what is filled in, and the focus: https://www.w3.org/TR/WCAG22/#non-text-contrast
    edges = [("line-strong", "bg"), ("line-strong", "raised"), ("focus", "bg"), ("focus", "surface")]
    assert {pair for pair in edges if contrast(of[pair[0]], of[pair[1]]) < 3} == set()


def test_every_status_has_a_colour_a_shape_and_a_meaning() -> None:
    css = (STATIC / "dq.css").read_text()
    for status, meaning in render.STATUSES.items():
        assert meaning
        assert f".is-{status} {{" in css
        assert f".is-{status} > .shape" in css


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_theme_is_airflows(tabs: Tabs, theme: str) -> None:
    tab = tabs.open("/nowhere", theme=theme)
    ground = "getComputedStyle(document.body).backgroundColor"
    expected = tuple(int(colours(theme)["bg"][at : at + 2], 16) for at in (1, 3, 5))
    assert tab.evaluate(ground) == f"rgb{expected}"
    # Chosen anew in Airflow, in another window or around the page.
    other = {"light": "dark", "dark": "light"}[theme]
    second = tab.context.new_page()
    second.goto(tab.url)
    second.evaluate(f"localStorage.setItem('theme', '{other}')")
    tab.wait_for_function(f"document.documentElement.dataset.theme === '{other}'")


@pytest.mark.skipif(lab.AIRFLOW < (3, 3), reason="Airflow's address tells of its frames since 3.3")
def test_pages_work_in_airflows_frame(tabs: Tabs) -> None:
    """Airflow's address tells which page is open, and its own links lead out of the sandbox."""
    tab = tabs.open("/plugin/data-quality", airflow=True)
    frame = tab.frame_locator("iframe")
    frame.get_by_role("link", name="Backfills").click()
    tab.wait_for_url("**/plugin/data-quality/dq/backfills")
    other = tab.context.new_page()
    other.goto(tab.url)
    frame = other.frame_locator("iframe")
    frame.locator("[aria-current=page]", has_text="Backfills").wait_for()
    # Hidden, as Airflow's own menu is beside it; but every link to Airflow is such a one.
    frame.locator("a[data-airflow]").first.dispatch_event("click", {"button": 0})
    other.wait_for_url(lambda url: "/plugin/" not in url)


def test_the_keyboard_reaches_everything(tabs: Tabs) -> None:
    tab = tabs.open("/nowhere")
    tab.keyboard.press("Tab")
    skip = tab.get_by_role("link", name="Skip to the page")
    assert skip.evaluate("link => link === document.activeElement")
    assert skip.bounding_box()["y"] >= 0  # type: ignore[index]
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.closest('main') !== null")


def test_a_page_works_without_javascript(tabs: Tabs) -> None:
    tab = tabs.open("/nowhere", javascript=False)
    tab.get_by_role("link", name="All tables").click()
    assert tab.url.endswith("/dq/")
