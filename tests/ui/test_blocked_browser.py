"""A blocked publication in a real browser: both themes, wide and narrow, with JavaScript and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.checks import check
from publishing import publish
from support import Warehouse

if TYPE_CHECKING:
    from ui.lab import Tabs

SIZES = [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")]
NEW = """
SELECT '2013-02-09'::date AS day, g AS flight, CASE WHEN g % 4 > 0 THEN 'N' || 14000 + g END AS tail_number,
  CASE WHEN g % 9 = 0 THEN 'XX' ELSE 'UA' END AS carrier, (g * 37) % 400 - 20 AS delay,
  CASE g WHEN 7 THEN repeat('a rather long remark ', 20) WHEN 8 THEN '' END AS remark, 'p' || g AS passenger
FROM generate_series(1, 60) AS g UNION ALL SELECT '2013-02-09', 7, 'N14007', 'UA', 5, 'again', 'p7'
"""
CHECKS = [
    check("null_count", "tail_number", equal_to=0, name="tail_number_not_null"),
    check("unique_violations", "flight", equal_to=0),
    check("values_outside", "carrier", values=["UA", "AA", "DL"], equal_to=0),
    check("max", "delay", leq_to=300, severity="warn"),
    check("row_count", geq_to=500, name="volume"),
    check("mean", "delay", leq_to=500),
]


@pytest.fixture
def address(shown: Warehouse, dags: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page of rejected flights."""
    dags("flights")
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__SAMPLE_COLUMNS", "air.flights.*")
    with shown.connect() as connection:
        connection.execute(f"CREATE SCHEMA air; CREATE TABLE air.flights AS {NEW}")
        connection.execute("UPDATE air.flights SET tail_number = 'N1', delay = delay / 2, carrier = 'UA'")
        connection.execute("COMMENT ON COLUMN air.flights.passenger IS 'pii'")
        with pytest.raises(AirflowException) as failed:
            publish("air.flights", NEW, checks=CHECKS, partition={"day": "2013-02-09"})
        for name in ("check_run", "check_result"):
            connection.execute(
                f"UPDATE dataquality.{name} SET dag_id = 'flights', task_id = 'publish_flights', "
                "run_id = 'scheduled__2013-02-10T06:00:00+00:00', map_index = -1, try_number = 2"
            )
        connection.execute("UPDATE dataquality.check_run SET checked_at = now() - interval '3 hours'")
        uid = failed.value.__cause__.outcome["run_uid"]  # type: ignore[union-attr]
        yield f"/b/warehouse/{uid}"


def fits(tab: Any) -> bool:
    return bool(tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize(("width", "theme"), SIZES)
def test_the_page_fits(tabs: Tabs, address: str, width: int, theme: str) -> None:
    tab = tabs.open(address, width=width, theme=theme)
    tab.get_by_text("Rows in production").wait_for()  # what is asked for once the page is there
    tab.get_by_text("Rows that offend: values_outside(carrier)").first.wait_for(state="attached")
    assert fits(tab)
    tab = tabs.open("/runs?dag_id=flights&run_id=scheduled__2013-02-10T06:00:00%2B00:00", width=width, theme=theme)
    tab.get_by_text("tail_number_not_null").first.wait_for()
    assert fits(tab)


def test_publish_by_keyboard(tabs: Tabs, address: str) -> None:
    tab = tabs.open(address, user="user")
    tab.get_by_label("Reason").focus()
    tab.keyboard.type("The vendor confirmed these rows, see ticket 12")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    tab.get_by_text("Publish rows that failed their checks?").wait_for()
    tab.get_by_role("button", name="Continue").press("Enter")
    tab.get_by_text("published these rows anyway").wait_for()
    assert tab.get_by_role("button", name="Publish anyway").count() == 0


def test_a_reason_is_asked_for_before_anything_is_sent(tabs: Tabs, address: str) -> None:
    tab = tabs.open(address)
    tab.get_by_role("button", name="Publish anyway").click()
    tab.wait_for_timeout(200)
    assert tab.get_by_role("button", name="Continue").count() == 0
    assert tab.evaluate("document.activeElement.name") == "reason"


def test_without_javascript(tabs: Tabs, address: str) -> None:
    tab = tabs.open(address, javascript=False)
    tab.get_by_role("link", name="Show the rows").click()
    assert tab.get_by_role("columnheader", name="tail_number").count()
    tab.get_by_role("link", name="Compare with production").click()
    assert tab.get_by_text("Rows in production").count() == 1
    tab.get_by_role("button", name="Discard").click()
    assert tab.get_by_text("discarded these rows").count() == 1
