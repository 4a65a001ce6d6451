"""Backfills in a real browser: from the form to the exchange, watching it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support import Warehouse
from ui import backfills_lab
from ui.backfills_lab import Desk

if TYPE_CHECKING:
    from ui.lab import Pages, Tabs


@pytest.fixture
def job(ui: Pages, shown: Warehouse, tmp_path: Path) -> Iterator[Desk]:
    """A job with ten days of ``src``."""
    with backfills_lab.job(ui, shown, tmp_path) as job:
        yield job


def look(tabs: Tabs, path: str) -> None:
    """A page in both themes, wide and narrow: nobody has to scroll to the side."""
    from ui.lab import wide

    for theme in ("light", "dark"):
        for width in (1280, 360):
            tab = tabs.open(path, theme=theme, width=width)
            assert wide(tab) <= 0, (path, theme, width)
            tab.close()


def here(tab: Any) -> str:
    return str(tab.url).partition("/dq")[2]


def test_from_the_form_to_the_exchange(tabs: Tabs, job: Desk, shown: Warehouse) -> None:
    tab = tabs.open(job.path, user="user")
    tab.fill("#start", "2013-01-10")
    tab.fill("#end", "2013-01-01")
    tab.keyboard.press("Tab")
    tab.get_by_text("The range ends (2013-01-01) before it starts (2013-01-10).").wait_for()
    tab.fill("#start", "2013-01-01")
    tab.fill("#end", "2013-01-10")
    tab.keyboard.press("Tab")
    tab.get_by_role("heading", name="Plan").wait_for()
    look(tabs, f"{job.path}?start=2013-01-01&end=2013-01-10&max_parallel=2")
    tab.get_by_role("button", name="Start the backfill").click()
    tab.wait_for_url("**/backfills/*/*")
    tab.get_by_role("progressbar", name="0 of 5 chunks").wait_for()
    held = here(tab)
    assert job.work(held) == "success"
    # The page finds out by itself.
    tab.get_by_role("heading", name="Publish it?").wait_for()
    look(tabs, held)
    tab.get_by_role("button", name="Publish (exchange)").click()
    tab.get_by_role("button", name="Continue").click()
    tab.wait_for_url(lambda url: not str(url).endswith(held))
    assert job.work(here(tab)) == "success"
    tab.get_by_text("10 partitions became visible, with 30 rows.").wait_for()
    look(tabs, "/backfills")
    with shown.connect() as connection:
        missing = "SELECT count(*) FROM (TABLE src EXCEPT TABLE daily) AS missing"
        assert connection.execute(missing).fetchone() == (0,)


def test_without_javascript(tabs: Tabs, job: Desk) -> None:
    tab = tabs.open(job.path, user="user", javascript=False)
    tab.fill("#start", "2013-01-01")
    tab.fill("#end", "2013-01-10")
    tab.get_by_role("button", name="Show the plan").click()
    tab.get_by_role("button", name="Start the backfill").click()
    tab.get_by_role("link", name="Look again").click()
    tab.get_by_role("progressbar", name="0 of 5 chunks").wait_for()
