"""The pages in a real Airflow, which lives under a base path."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from ui.running import Running


def test_whoever_logs_in_finds_the_pages_in_the_menu(live: Running, tab: Page) -> None:
    tab.get_by_role("link", name="Data quality").click()
    frame = tab.frame_locator("iframe")
    frame.get_by_role("heading", level=1).wait_for()
    assert "/airflow/plugin/data-quality" in tab.url
    # Styles, scripts and links are under the base path, too.
    tab.frames[1].wait_for_load_state()  # scripts run after the page is there
    assert tab.frames[1].evaluate("typeof htmx") == "object"
    assert "/airflow/dq/" in tab.frames[1].url


def test_who_is_not_logged_in_is_told_so(live: Running, tab: Page) -> None:
    tab.context.clear_cookies()
    tab.goto(f"{live.url}/dq/")
    tab.get_by_role("link", name="Log in to Airflow").click()
    tab.wait_for_url("**/airflow/auth/login**")
