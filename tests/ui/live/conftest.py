"""A whole Airflow with flights, once for all tests of this folder: as ``make ui`` has it, but under a base path."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from ui.running import Running


@pytest.fixture(scope="session")
def live() -> Iterator[Running]:
    """It is running. That it stops, and leaves nothing, is tested when the last of these tests is done."""
    from ui.lab import need_pages
    from ui.running import running

    need_pages()
    with running() as live:
        yield live


@pytest.fixture
def tab(live: Running, browser: Browser) -> Iterator[Page]:
    """A tab of a browser, of somebody who logged in."""
    with live.logged_in(browser) as page:
        yield page
