"""The pictures of the docs, which the tests of a whole Airflow take.

Renew them with ``DQ_SCREENSHOTS=docs/pages/images/ui python -m pytest tests/ui/live``, which is ``make pictures``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

IMAGES = os.environ.get("DQ_SCREENSHOTS")
"""Where to put them; nowhere, if it is not said."""


def picture(of: Page | Locator, name: str) -> None:
    """Take one of what is in the window, or of a part of a page."""
    if IMAGES:
        of.screenshot(path=str(Path(IMAGES) / f"{name}.png"), animations="disabled")
