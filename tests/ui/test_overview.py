"""The overview, as a browser has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Table
from support import Warehouse
from ui.filled import Filled, ago

if TYPE_CHECKING:
    from ui.lab import Pages

EVIL = Table("<script>alert('t')</script>\"%s; DROP", "Ünï.cödé/..")


@pytest.fixture
def filled(shown: Warehouse) -> Iterator[Filled]:
    """The ledger of the connection that the pages show."""
    with shown.connect() as connection:
        yield Filled(DbApiSession(connection, dialect_for("postgres")))


def names(html: str) -> list[str]:
    """The tables that are listed, in order."""
    return re.findall(r'<th scope="row"><a [^>]*>([^<]*)</a>', html)


def day(number: int) -> dict[str, str]:
    return {"ds": ago(number).date().isoformat()}


def test_open_failures_are_first(ui: Pages, filled: Filled) -> None:
    for name in ("a", "b", "c"):
        filled.published(Table(name, "w"), day(1), ago(1))
    filled.rejected(Table("b", "w"), day(0), ago(0.1))
    filled.observed(Table("c", "w"), day(1), ago(0.1), warned=1)
    answer = ui.get("/")
    assert answer.status_code == 200
    assert names(answer.text) == ["w.b", "w.c", "w.a"]
    assert "7 of 8 checks passed" in answer.text
    assert f'title="{ago(0.1):%Y-%m-%d %H:%M} UTC, ds {day(0)["ds"]}: blocked' in answer.text
    assert re.search(r'href="/dq/b/warehouse/run\d+\?table=w.b"', answer.text)
    assert '<b><i class="shape" aria-hidden="true"></i>1</b> Open failures' in answer.text


def test_search_filter_sort_and_pages(ui: Pages, filled: Filled) -> None:
    for number in range(60):
        filled.published(Table(f"t{number:02}", "w"), day(1), ago(60 - number), score=1 - number / 100)
    first, second = ui.get("/"), ui.get("/?page=2")
    assert (len(names(first.text)), len(names(second.text))) == (50, 10)
    assert "Page 1 of 2" in first.text
    assert names(ui.get("/?page=99").text) == names(second.text)
    assert names(ui.get("/?q=T07").text) == ["w.t07"]
    assert names(ui.get("/?sort=-name").text)[0] == "w.t59"
    assert names(ui.get("/?sort=score").text)[0] == "w.t59"
    assert names(ui.get("/?sort=freshness").text)[0] == "w.t00"
    assert names(ui.get("/?status=open").text) == []
    assert "No table is like that" in ui.get("/?status=open").text
    assert names(ui.get("/?sort=nonsense&warehouse=other&status=ok").text) == []
    assert ui.get("/?page=0").status_code == 400


def test_what_others_do_is_neither_shown_nor_counted(ui: Pages, filled: Filled, dags: Callable[..., None]) -> None:
    dags("flights", "private", hidden={"stranger": ["private"]})
    filled.published(Table("mine", "w"), day(1), ago(1))
    filled.dag_id = "private"
    filled.rejected(Table("theirs", "w"), day(1), ago(1))
    filled.rejected(Table("mine", "w"), day(2), ago(0.5))
    assert names(ui.get("/", user="op").text) == ["w.mine", "w.theirs"]
    answer = ui.get("/", user="stranger")
    assert names(answer.text) == ["w.mine"]
    assert "theirs" not in answer.text
    assert "blocked:" not in answer.text
    assert "<b>1</b> Tables" in answer.text


def test_names_are_names_and_nothing_else(ui: Pages, filled: Filled) -> None:
    partition = {"<b>": "'\"><img src=x onerror=alert(1)>"}
    filled.rejected(EVIL, partition, ago(1), run_id="<i>", task_id="%s'")
    filled.published(Table("t" * 63, "s" * 63), {}, ago(1))
    answer = ui.get("/", params={"q": "\"><script>alert('q')</script>", "sort": "'; --", "status": "<b>"})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    answer = ui.get("/")
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    (address,) = re.findall(r'<th scope="row"><a href="([^"]*script[^"]*)"', answer.text)
    page = ui.get(address.removeprefix("/dq"))
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert" in page.text


def test_without_a_warehouse_or_a_ledger_it_says_what_to_do(
    ui: Pages, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "connections = warehouse" in ui.get("/").text
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS", "warehouse, warehouse_down")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE_DOWN", "postgres://nobody@127.0.0.1:1/none")
    answer = ui.get("/")
    assert answer.status_code == 200
    assert "nothing was recorded in the schema" in answer.text
    assert "does not answer" in answer.text


def test_a_ledger_of_an_older_version_is_read_by_none(ui: Pages, filled: Filled) -> None:
    ledger = filled.ledger
    ledger.session.execute("DELETE FROM dataquality.ledger_version")
    version = ledger.dialect.insert(ledger.table("ledger_version"), ["version"], [[3]])
    ledger.session.execute(version)
    answer = ui.get("/")
    assert "has version 3" in answer.text
    assert "brings it up to date" in answer.text
    assert ui.get("/t/warehouse/w.t").status_code == 404
    assert ledger.session.query("SELECT max(version) FROM dataquality.ledger_version") == [(3,)]


def test_an_empty_ledger(ui: Pages, filled: Filled) -> None:
    assert "Nothing to see yet" in ui.get("/").text
