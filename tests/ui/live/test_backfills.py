"""A backfill in a real Airflow: started in the form, watched until it has finished, and published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

from ui.pictures import picture

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from ui.running import Running

SECONDS = 180_000
"""Until a machine that does other things, too, has run a DAG; in thousandths, as the browser counts."""


def days(live: Running) -> list[tuple[int]] | None:
    """What readers see of the table; None if there is none."""
    with psycopg.connect(live.warehouse) as connection:
        if connection.execute("SELECT to_regclass('analytics.flights_by_carrier')").fetchone() == (None,):
            return None
        return connection.execute("SELECT count(DISTINCT ds) FROM analytics.flights_by_carrier").fetchall()


def test_a_backfill_is_started_watched_and_published(live: Running, tab: Page) -> None:
    tab.goto(f"{live.url}/dq/backfills")
    tab.get_by_role("link", name="dq_backfills", exact=True).click()
    for field, value in {"start": "2013-03-01", "end": "2013-08-31", "max_parallel": "3"}.items():
        tab.fill(f"#{field}", value)
    tab.get_by_role("button", name="Show the plan").click()
    tab.get_by_text("WHERE ds BETWEEN '2013-08-30' AND '2013-08-31'").wait_for()
    picture(tab, "backfill_form")
    if (unpause := tab.get_by_label("Unpause it")).count():
        unpause.check()
    tab.get_by_role("button", name="Start the backfill").click()
    tab.get_by_role("progressbar", name="of 27 chunks").wait_for()
    tab.get_by_text("computing", exact=True).wait_for(timeout=SECONDS)
    tab.get_by_role("link", name="process 3, log").first.wait_for(timeout=SECONDS)
    picture(tab, "backfill_running")
    assert days(live) is None
    # It looks again by itself, until somebody has to decide.
    tab.get_by_role("heading", name="Publish it?").wait_for(timeout=SECONDS)
    assert tab.get_by_role("progressbar", name="27 of 27 chunks").is_visible()
    picture(tab, "backfill_held")
    assert days(live) is None
    tab.get_by_role("button", name="Publish (exchange)").click()
    tab.get_by_role("button", name="Continue").click()
    tab.get_by_text("184 partitions became visible").wait_for(timeout=SECONDS)
    picture(tab, "backfill_published")
    assert days(live) == [(184,)]
    tab.goto(f"{live.url}/dq/backfills")
    tab.get_by_role("cell", name="published").wait_for()
    picture(tab, "backfills")
