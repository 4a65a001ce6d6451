"""One journey through the pages in a real Airflow: from the login to a test of one's own that tells."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from ui.pictures import picture

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

    from ui.running import Running

SECONDS = 90_000
"""Until a machine that does other things, too, has answered; in thousandths, as the browser counts."""
TABLE = "analytics.daily_flights"
CONTROL = """SELECT avg(n) AS departed, stddev(n) AS stddev FROM (
  SELECT count(dep_time) AS n FROM raw.flights
  WHERE ds >= DATE '{{ ds }}' - 28 AND ds < DATE '{{ ds }}' GROUP BY ds
) AS days"""
EXPERIMENT = "SELECT count(dep_time) AS departed FROM raw.flights WHERE ds = '{{ ds }}'"
STORM = date(2013, 2, 9)


def in_frame(tab: Page) -> FrameLocator:
    """Our page within Airflow's."""
    tab.locator("iframe").wait_for()
    return tab.frame_locator("iframe")


def heading(tab: Page | FrameLocator, text: str) -> None:
    """Wait until a page is there."""
    tab.get_by_role("heading", level=1, name=text).wait_for(timeout=SECONDS)


def test_it_fits_a_phone_and_the_dark(live: Running, browser: Browser) -> None:
    from ui.lab import wide

    for width, theme, name in ((1280, "dark", "overview_dark"), (360, "light", "overview_phone")):
        with live.logged_in(browser, width=width, theme=theme) as tab:
            tab.goto(f"{live.url}/dq/")
            heading(tab, "Tables")
            assert tab.locator("html").get_attribute("data-theme") == theme
            assert wide(tab) <= 0
            picture(tab, name)


def test_a_blocked_publication_is_followed_to_the_chart_and_a_test_is_defined(live: Running, browser: Browser) -> None:
    with live.logged_in(browser) as tab:
        tab.get_by_role("link", name="Data quality").click()
        _why_was_it_blocked(tab)
        _somebody_looks_after_it(tab)
    with live.logged_in(browser) as tab:
        tab.goto(f"{live.url}/dq/")
        _its_past(tab)
        _a_test_in_three_steps(tab)
        _the_test_tells(live, tab)


def _why_was_it_blocked(tab: Page) -> None:
    """The overview has it on top; its page says which checks, which rows, and what one may do."""
    frame = in_frame(tab)
    heading(frame, "Tables")
    first = frame.get_by_role("table").get_by_role("row").nth(1)
    expect(first).to_contain_text(TABLE)
    expect(first).to_contain_text("blocked")
    expect(first).to_contain_text("2013-02-06")
    picture(tab, "overview")
    first.get_by_role("link", name="blocked", exact=True).first.click()
    heading(frame, TABLE)
    checks = frame.get_by_role("table", name="Checks that failed or warned")
    expect(checks).to_contain_text("null_count(carrier) is 10, expected = 0")
    # An administrator has allowed these columns.
    rows = frame.get_by_role("table", name="Rows that offend: carrier_is_known")
    expect(rows).to_contain_text("NULL")
    frame.get_by_text("Production holds no rows of this partition").wait_for()
    for button in ("Clear the task", "Publish anyway", "Discard"):
        expect(frame.get_by_role("button", name=button)).to_be_enabled()
    picture(tab, "blocked")
    checks.get_by_role("link", name="carrier_is_known").click()
    heading(frame, "carrier_is_known")
    expect(frame.get_by_role("figure").locator("canvas")).to_be_visible()


def _somebody_looks_after_it(tab: Page) -> None:
    """Of each check that failed or warned; then the table is no open failure any more."""
    frame = in_frame(tab)
    for check in ("carrier_is_known", "one_row_per_carrier_and_airport", "a_day_has_this_many_flights"):
        frame.get_by_role("link", name=TABLE).first.click()
        frame.get_by_role("link", name=check, exact=True).click()
        heading(frame, check)
        frame.get_by_label("Note").first.fill("The airline sends it again")
        frame.get_by_role("button", name="Acknowledge").click()
        expect(frame.get_by_role("main")).to_contain_text("admin looks after it: The airline sends it again")
    frame.get_by_role("link", name="Tables").first.click()
    frame.get_by_role("link", name="1 Acknowledged or muted").click()
    expect(frame.get_by_role("table").get_by_role("row").nth(1)).to_contain_text(TABLE)


def _its_past(tab: Page) -> None:
    """The table of the blocked publication; a check of another one over time, and the number that it judges."""
    tab.get_by_role("link", name=TABLE, exact=True).click()
    heading(tab, TABLE)
    tab.get_by_role("listitem").filter(has_text="2013-02-06").first.wait_for()
    picture(tab, "table")
    tab.get_by_role("link", name="raw.flights").first.click()
    checks = tab.get_by_role("table", name="Checks, the failing ones first")
    checks.get_by_role("link", name="null_ratio(dep_time)", exact=True).click()
    tab.get_by_role("table", name="The newest results").get_by_role("link", name="2013-02-09").click()
    expect(tab.get_by_role("status")).to_contain_text("sigma above")
    expect(tab.get_by_role("figure").locator("canvas")).to_be_visible()
    picture(tab, "check")
    tab.get_by_role("link", name="raw.flights").click()
    columns = tab.get_by_role("table", name="What was last measured of each column")
    columns.get_by_role("row", name="dep_time", exact=False).get_by_role("link").first.click()
    heading(tab, "null_ratio(dep_time)")
    expect(tab.get_by_role("figure").locator("canvas")).to_be_visible()
    picture(tab, "metric")


def _a_test_in_three_steps(tab: Page) -> None:
    """What one query says is compared with what another says; tried on the past before it is saved."""
    tab.get_by_role("link", name="Tests").click()
    tab.get_by_role("link", name="Compare two queries").click()
    tab.get_by_label("Control query").fill(CONTROL)
    tab.get_by_role("button", name="Run it, and go on").click()
    tab.get_by_label("Experiment query").fill(EXPERIMENT)
    tab.get_by_role("button", name="Run it, and go on").click()
    formula = "abs(experiment.departed - control.departed) <= z_score * control.stddev"
    tab.get_by_role("button", name=formula).click()
    expect(tab.get_by_label("Formula")).to_have_value(formula)
    tab.get_by_label("Name", exact=True).fill("As many depart as in the weeks before")
    tab.get_by_label("Until").fill("2013-02-14")
    expect(tab.get_by_role("button", name="Save")).to_be_disabled()
    tab.get_by_role("button", name="Preview").click()
    tab.get_by_text("It would have told on 2 of 14 days").wait_for(timeout=SECONDS)
    for day in ("2013-02-08", "2013-02-09"):
        expect(tab.get_by_role("row", name=day)).to_contain_text("fail")
    expect(tab.get_by_role("figure").locator("canvas")).to_be_visible()
    picture(tab.get_by_role("region", name="Preview"), "tests_preview")
    tab.get_by_role("button", name="Save").click()
    heading(tab, "As many depart as in the weeks before")
    tab.get_by_text("It has not run yet").wait_for()


def _the_test_tells(live: Running, tab: Page) -> None:
    """A run of the DAG that runs saved tests has judged it."""
    assert live.client.run("data_quality_tests", STORM)["state"] == "failed"
    tab.get_by_role("link", name="Tests").first.click()
    tab.get_by_role("link", name="Compare two queries").wait_for()
    picture(tab, "tests_list")
    tab.get_by_role("row", name="As many depart").get_by_role("link").first.click()
    # The scheduler may have added a run of yesterday, of which there are no flights.
    told = tab.get_by_role("table", name="Last results").get_by_role("row").filter(has_text="abs(291")
    expect(told).to_contain_text("fail")


def test_the_checks_of_a_run_are_in_a_tab_of_its_page(live: Running, tab: Page) -> None:
    (run,) = live.client.api("GET", "/dags/dq_publish_corrupted_batch/dagRuns")["dag_runs"]
    assert run["state"] == "failed"
    tab.goto(f"{live.url}/dags/dq_publish_corrupted_batch/runs/{run['dag_run_id']}")
    tab.get_by_role("link", name="Audit Log").wait_for()  # until the tabs are there, only the menu has such a link
    tab.get_by_role("link", name="Data quality").last.click()
    frame = in_frame(tab)
    frame.get_by_text("2 failed, 1 warned, 1 passed").wait_for(timeout=SECONDS)
    picture(tab, "runs")
    frame.get_by_role("link", name="blocked").click()
    heading(frame, TABLE)
