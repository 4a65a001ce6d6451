"""The page of a table and of a partition, as a browser has it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Table
from publishing import publish
from support import Warehouse
from ui.filled import Filled, ago

if TYPE_CHECKING:
    from ui.lab import Pages

T = Table("flights", "analytics")
HERE = "/t/warehouse/analytics.flights"


@pytest.fixture
def filled(shown: Warehouse) -> Iterator[Filled]:
    """The ledger of the connection that the pages show."""
    with shown.connect() as connection:
        yield Filled(DbApiSession(connection, dialect_for("postgres")))


def day(number: int) -> dict[str, str]:
    return {"ds": ago(number).date().isoformat()}


def test_all_that_is_known_of_a_table(ui: Pages, filled: Filled) -> None:
    for number in (5, 4, 2):
        run_uid = filled.published(T, day(number), ago(number - 0.5), run_id="scheduled__1 +", try_number=2)
        filled.result(T, day(number), ago(number - 0.5), "null_count(carrier)", run_uid=run_uid)
        filled.measured(T, day(number), ago(number - 0.5), "row_count", run_uid=run_uid, value=200.0)
        filled.measured(T, day(number), ago(number - 0.5), "null_count(carrier)", run_uid=run_uid, value=3.0,
                        column_name="carrier")  # fmt: skip
        filled.measured(T, day(number), ago(number - 0.5), "max(carrier)", run_uid=run_uid, value=None,
                        column_name="carrier")  # fmt: skip
    filled.rejected(T, day(1), ago(0.5))
    filled.result(T, day(1), ago(0.5), "cancelled", status="fail", value=472.0, value_text="472", interval="4 to 61")
    filled.ledger.record_lineage(Run(dag_id="flights"), T, "x", ["raw.flights", "s3://lake/flights"])
    filled.ledger.record_lineage(Run(dag_id="flights"), Table("mart", "m"), "x", ["analytics.flights"])
    answer = ui.get(HERE)
    assert answer.status_code == 200
    html = answer.text
    assert "1 partition is not as it should be" in html
    assert f'title="{day(3)["ds"]}: nothing was published"' in html
    assert f'title="{day(1)["ds"]}: blocked, 7 of 8 checks passed"' in html
    assert html.index(">cancelled</a>") < html.index(">null_count(carrier)</a>")
    assert "4 to 61" in html
    assert "1.5 %" in html  # of 200 rows, 3 are NULL
    assert "/dags/flights/runs/scheduled__1%20%2B/tasks/publish?try_number=2" in html
    assert all(name in html for name in (">raw.flights</a>", "s3://lake/flights", ">m.mart</a>"))
    missing = ui.get(HERE, params={"partition": json.dumps(day(3))})
    assert "Nothing was published" in missing.text
    there = ui.get(HERE, params={"partition": json.dumps(day(2))})
    assert "null_count(carrier)" in there.text
    assert "overwrite" in there.text


def test_a_table_that_a_dag_published(ui: Pages, shown: Warehouse) -> None:
    with shown.connect() as connection:
        connection.execute("CREATE SCHEMA w")
        connection.execute("CREATE TABLE w.raw AS SELECT i AS id, 'x' AS name FROM generate_series(1, 9) AS i")
        connection.execute("SET search_path = w; CREATE TABLE w.also (id int)")
    publish("w.t", "SELECT id, name FROM w.raw LEFT JOIN w.also USING (id)")
    answer = ui.get("/t/warehouse/w.t")
    assert answer.status_code == 200
    assert "published as a whole" in answer.text
    assert re.search(r'data-label="Rows" class="num">9<', answer.text)
    assert ">w.also</a>" in answer.text
    assert ">w.raw</a>" in answer.text


@pytest.mark.parametrize("table", ["w.unheard_of", '"; DROP TABLE x; --', "a.b.c", "<script>", "w.%00t", "%FF"])
def test_what_is_unknown_is_not_found(table: str, ui: Pages, filled: Filled) -> None:
    answer = ui.get(f"/t/warehouse/{table}")
    assert answer.status_code in (400, 404)
    assert "<script>" not in answer.text.replace('<script src="', "").replace('<script defer src="', "")
    assert ui.get(f"/t/other/{table}").status_code in (400, 404)


def test_what_others_did_is_as_if_it_were_not_there(ui: Pages, filled: Filled, dags: Callable[..., None]) -> None:
    dags("flights", "private", hidden={"stranger": ["private", "flights"]})
    filled.published(T, day(2), ago(2))
    assert ui.get(HERE, user="stranger").status_code == 404
    dags("flights", "private")
    from ui import lab

    lab.denied["stranger"] = {"private"}
    filled.dag_id = "private"
    run_uid = filled.rejected(T, day(1), ago(1))
    filled.result(T, day(1), ago(1), "their_check", run_uid=run_uid, status="fail", reason="their reason")
    filled.measured(T, day(1), ago(1), "their(number)", column_name="theirs", run_uid=run_uid, state="observed")
    html = ui.get(HERE, user="stranger").text
    assert "their" not in html
    assert day(1)["ds"] not in html
    assert "their_check" in ui.get(HERE, user="op").text
    assert ui.get(f"{HERE}/checks/their_check", user="stranger").status_code == 404
    assert ui.get(f"{HERE}/metrics?metric=their(number)", user="stranger").status_code == 404
    assert "their" not in ui.get(HERE, user="stranger", params={"partition": json.dumps(day(1))}).text


def test_pages_of_checks_and_columns(ui: Pages, filled: Filled) -> None:
    run_uid = filled.published(T, day(1), ago(1))
    for number in range(30):
        filled.result(T, day(1), ago(1), f"check_{number:02}", run_uid=run_uid)
        filled.measured(T, day(1), ago(1), f"mean(c{number:02})", column_name=f"c{number:02}", run_uid=run_uid)
    first, second = ui.get(HERE).text, ui.get(f"{HERE}?checks=2&columns=2").text
    assert "check_24" in first
    assert "check_25" not in first
    assert "check_29" in second
    assert "mean(c29)" not in first
    assert ">c29<" in second
    assert 'href="/dq/t/warehouse/analytics.flights?checks=2#checks"' in first
