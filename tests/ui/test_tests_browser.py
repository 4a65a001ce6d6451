"""Saved tests in a real browser: in both themes, wide and narrow, with JavaScript and without."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.saved_tests import SavedTests
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.operators.saved_tests import PlanSavedTestsOperator, SavedTestsOperator
from airflow_dataquality.saved import read
from support import Warehouse

if TYPE_CHECKING:
    from ui.lab import Tabs

CONTROL = """SELECT avg(n) AS n, stddev(n) AS stddev FROM (
  SELECT count(*) AS n FROM shop.orders
  WHERE ds >= DATE '{{ ds }}' - 14 AND ds < DATE '{{ ds }}' GROUP BY ds
) AS days"""
EXPERIMENT = "SELECT count(*) AS n FROM shop.orders WHERE ds = '{{ ds }}'"


@pytest.fixture(autouse=True)
def orders(shown: Warehouse) -> None:
    """Four weeks of orders, a bad day, and tests that ran on each of ten days."""
    with shown.connect() as connection:
        connection.execute("""
            CREATE SCHEMA shop;
            CREATE TABLE shop.orders AS SELECT day::date AS ds, n AS id, 'x'::text AS city
            FROM generate_series(date '2013-01-01', '2013-02-28', '1 day') AS day,
              generate_series(1, CASE WHEN day = '2013-02-25' THEN 20
                ELSE 100 + extract(day FROM day)::int * 7 % 9 END) AS n""")
    with connected("warehouse") as session:
        tests = SavedTests(Ledger(session))
        tests.ledger.ensure()
        rule = {"table": "shop.orders", "partition": {"ds": "{{ ds }}"}, "owner": "ann", "tags": ["daily"]}
        tests.save(read("Enough orders", "metric", {**rule, "check": "row_count", "condition": {"geq_to": 50}}))
        tests.save(read("Volume is normal", "metric", {**rule, "check": "row_count", "severity": "warn",
                                                       "baseline": {"zscore": {"threshold": 3.5}}}))  # fmt: skip
        asked = {"conn_id": "warehouse", "control_sql": CONTROL, "experiment_sql": EXPERIMENT}
        tests.save(
            read(
                "As many as in the weeks before",
                "formula",
                {**asked, "formula": "abs(experiment.n - control.n) <= z * control.stddev", "formula_params": {"z": 4}},
            )
        )
        tests.save(
            read(
                "A test with a name that goes on and_on_without_a_blank_anywhere_in_it_for_quite_a_while",
                "metric",
                {**rule, "check": "null_count", "column": "city", "owner": "bob"},
            ),
            state="paused",
        )
    (batch,) = PlanSavedTestsOperator(task_id="plan", conn_id="warehouse", max_batches=1).execute({})
    for day in range(19, 29):
        operator: Any = SavedTestsOperator(task_id="run", conn_id="warehouse", batch=batch)
        with contextlib.suppress(AirflowException):  # of the bad day
            operator.execute({"ds": f"2013-02-{day}"})


def fill_in(tab: Any) -> None:
    tab.fill("#table", "shop.orders")
    tab.click("text=Look up its columns")
    tab.wait_for_selector("text=shop.orders has")
    assert tab.input_value("#partition_column") == "ds"
    tab.fill("#geq_to", "50")
    tab.fill("#name", "At least fifty")
    tab.click("#preview button[value=preview]")
    tab.wait_for_selector("text=It would have told on 1 of 14 days")


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")])
def test_a_metric_test_is_defined(tabs: Tabs, width: int, theme: str) -> None:
    from ui.lab import wide

    tab = tabs.open("/tests", user="user", width=width, theme=theme)
    assert wide(tab) <= 0
    tab.click("text=Test a table")
    tab.wait_for_selector("#pattern", state="hidden")
    tab.select_option("#check", "pattern_violations")
    assert tab.is_visible("#pattern")
    tab.select_option("#check", "row_count")
    assert wide(tab) <= 0
    fill_in(tab)
    tab.wait_for_selector("figure.chart canvas")
    assert wide(tab) <= 0
    tab.fill("#leq_to", "500")
    assert tab.is_disabled("#save")
    tab.click("#preview button[value=preview]")
    tab.wait_for_selector("#save:enabled")
    tab.fill("#name", "Fifty to five hundred")
    assert tab.is_enabled("#save")
    tab.click("#save")
    tab.wait_for_selector("text=It has not run yet")
    assert tab.text_content("h1") == "Fifty to five hundred"
    assert wide(tab) <= 0


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (360, "dark")])
def test_queries_are_compared_in_three_steps(tabs: Tabs, width: int, theme: str) -> None:
    from ui.lab import wide

    tab = tabs.open("/tests/new?kind=formula", user="user", width=width, theme=theme)
    tab.fill("#control_sql", CONTROL.replace("{{ ds }}", "2013-02-28"))
    tab.click("button[value=control].primary")
    tab.fill("#experiment_sql", EXPERIMENT)
    assert wide(tab) <= 0
    tab.click("button[value=experiment].primary")
    tab.click("text=abs(experiment.n - control.n) <= z_score * control.stddev")
    tab.wait_for_selector("#formula")
    assert tab.input_value("#params").strip() == "z_score = 3"
    tab.fill("#control_sql", CONTROL)
    tab.fill("#name", "As usual")
    tab.fill("#until", "2013-02-28")
    tab.click("#preview button[value=preview]")
    tab.wait_for_selector("text=It would have told on 1 of 14 days")
    assert wide(tab) <= 0
    tab.click("#save")
    tab.wait_for_selector("text=It has not run yet")


@pytest.mark.parametrize(("width", "theme"), [(1280, "dark"), (360, "light")])
def test_a_test_has_a_page(tabs: Tabs, width: int, theme: str) -> None:
    from ui.lab import wide

    for name in ("Volume is normal", "As many as in the weeks before", "A test with a name"):
        tab = tabs.open("/tests", user="user", width=width, theme=theme)
        tab.click(f"a:has-text('{name}')")
        tab.wait_for_selector("text=What it asks")
        assert wide(tab) <= 0


def test_without_javascript(tabs: Tabs) -> None:
    tab = tabs.open("/tests/new?kind=metric", user="user", javascript=False)
    assert tab.is_visible("#pattern")
    fill_in(tab)
    tab.click("#save")
    assert tab.text_content("h1") == "At least fifty"


def test_by_keyboard(tabs: Tabs) -> None:
    tab = tabs.open("/tests/new?kind=metric", user="user")
    tab.fill("#table", "shop.orders")
    tab.fill("#geq_to", "1")
    tab.press("#geq_to", "Enter")
    tab.wait_for_selector("text=It would have told on none of 14 days")
    assert tab.is_enabled("#save"), "Enter previews, and does not save"
