"""The page of a blocked publication: who sees what of it, and what they may decide."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from sqlalchemy import delete, select

from airflow_dataquality.checks import check
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.results import Summary
from publishing import left_beside, publish
from support import Warehouse

if TYPE_CHECKING:
    import psycopg

    from ui.lab import Pages

SETTING = "AIRFLOW__AIRFLOW_DATAQUALITY__"
DAY = {"day": "2024-01-01"}
NEW = """
SELECT '2024-01-01'::date AS day, g AS id, CASE WHEN g > 1 THEN g || '@x.org' END AS email, g * 1.5 AS amount
FROM generate_series(1, 3) AS g
"""
CHECKS = [check("null_count", "email", equal_to=0), check("max", "amount", leq_to=4), check("row_count", geq_to=9)]


@pytest.fixture
def shop(shown: Warehouse, dags: Any) -> Iterator[psycopg.Connection[Any]]:
    """A database with ``shop.orders``; the DAG ``orders`` may be read by all but the stranger."""
    dags("orders", hidden={"stranger": ["orders"]})
    with shown.connect() as connection:
        connection.execute("CREATE SCHEMA shop")
        connection.execute("CREATE TABLE shop.orders (day date, id int, email text, amount numeric)")
        connection.execute("INSERT INTO shop.orders VALUES ('2024-01-01', 1, 'old@x.org', 1)")
        yield connection


def reject(
    shop: psycopg.Connection[Any], sql: str = NEW, checks: Any = CHECKS, *, dag_id: str | None = "orders",
    **arguments: Any,
) -> str:  # fmt: skip
    """Have rows rejected, as a task of a DAG does; the address of the page."""
    with pytest.raises(AirflowException) as failed:
        publish("shop.orders", sql, checks=checks, **{"partition": DAY, **arguments})
    assert hasattr(failed.value.__cause__, "outcome"), failed.value
    uid = failed.value.__cause__.outcome["run_uid"]  # type: ignore[union-attr]
    for name in ("check_run", "check_result"):
        shop.execute(
            f"UPDATE dataquality.{name} SET dag_id = %s, task_id = 'load', run_id = 'manual__1', map_index = -1, "
            "try_number = 1 WHERE run_uid = %s",
            [dag_id, uid],
        )  # fmt: skip
    return f"/b/warehouse/{uid}"


def text_of(answer: Any) -> str:
    """What is to be read on the page, in one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def ids(shop: psycopg.Connection[Any]) -> list[Any]:
    return [number for (number,) in shop.execute("SELECT id FROM shop.orders ORDER BY id").fetchall()]


def verdicts(shop: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    return shop.execute("SELECT verdict, author, note FROM dataquality.verdict ORDER BY given_at").fetchall()


def test_why_it_was_blocked(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    answer = ui.get(reject(shop))
    assert answer.status_code == 200
    said = text_of(answer)
    for words in ("shop.orders, day 2024-01-01 blocked", "null_count(email)", "row_count is 3, expected >= 9",
                  "3 failed of 3", "manual__1", "try 1"):  # fmt: skip
        assert words in said
    assert 'href="/dags/orders/runs/manual__1/tasks/load?try_number=1" data-airflow' in answer.text
    assert 'href="/dq/t/warehouse/shop.orders/checks/row_count"' in answer.text


def test_by_default_rows_are_counted_and_not_shown(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    said = text_of(ui.get(reject(shop) + "?show=samples"))
    assert "1 row " in said
    assert "2@x.org" not in said
    assert "Not shown: day, id, email, amount" in said
    assert "sample_columns" in said


def test_columns_on_the_list_are_shown(
    ui: Pages, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING + "SAMPLE_COLUMNS", "shop.orders.id, shop.*.amount")
    address = reject(shop)
    part = ui.get(address + "/part/samples")
    assert part.status_code == 200
    assert "<html" not in part.text
    assert re.findall(r'<th scope="col">(\w+)</th>', part.text)[:2] == ["id", "amount"]
    assert "@x.org" not in part.text
    whole = ui.get(address + "?show=samples")
    assert "<html" in whole.text
    assert ">4.5<" in whole.text


def test_personal_columns_stay_hidden(
    ui: Pages, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING + "SAMPLE_COLUMNS", "shop.*")
    address = reject(shop, checks=[check("null_count", "id", equal_to=9)], partition=DAY)
    address = reject(shop, checks=[check("max", "email", less_than="2"), check("max", "amount", leq_to=1)])
    assert "3@x.org" in text_of(ui.get(address))
    assert "3@x.org" in text_of(ui.get(address + "?show=samples"))
    shop.execute("COMMENT ON COLUMN shop.orders.email IS 'Where to write to (PII!)'")
    monkeypatch.setenv(SETTING + "PII_COLUMNS", "amount")
    for page in ("", "?show=samples", "?show=production", "/part/samples", "/part/production"):
        assert "3@x.org" not in ui.get(address + page).text
        assert "4.5" not in text_of(ui.get(address + page))
    assert "withheld" in text_of(ui.get(address))
    monkeypatch.setenv(SETTING + "SAMPLE_COLUMNS", "shop.*, Shop.Orders.Email, shop.orders.amount")
    for page in ("", "?show=samples", "?show=production"):
        assert "3@x.org" in ui.get(address + page).text  # the comment is a default, and this is its exception
        assert "4.5" not in text_of(ui.get(address + page))  # pii_columns has none


def test_against_production(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    said = text_of(ui.get(reject(shop) + "?show=production"))
    assert "Rows rejected 3 Rows in production 1" in said
    assert "amount 0 3 production 1 1.5 production 1 4.5 production 1 3 production 1" in said
    assert "old@x.org" not in said


EVIL = "<script>alert(1)</script>\"'& {7*7}"


def test_nothing_of_the_database_is_html(
    ui: Pages, shop: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING + "SAMPLE_COLUMNS", "*")
    quoted = '"' + EVIL.replace('"', '""') + '"'
    shop.execute(f"ALTER TABLE shop.orders ADD COLUMN {quoted} text")
    value = EVIL.replace("'", "''")
    sql = f"SELECT d.*, '{value}' AS {quoted} FROM ({NEW}) AS d"
    evil = [check("values_outside", EVIL, values=[EVIL + "x"], name=EVIL, equal_to=0), check("max", EVIL, leq_to=EVIL)]
    address = reject(shop, sql, evil, partition={EVIL: EVIL})
    shop.execute("UPDATE dataquality.check_run SET run_id = %s, task_id = %s", [EVIL, EVIL])
    shop.execute(
        "INSERT INTO dataquality.verdict "
        "(table_schema, table_name, partition, run_uid, verdict, author, note, given_at) "
        "SELECT table_schema, table_name, partition, run_uid, 'retried', %s, %s, now() FROM dataquality.check_run",
        [EVIL, EVIL],
    )
    for page in ("", "?show=samples", "?show=production", "/part/samples", "/part/production"):
        answer = ui.get(address + page)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text


@pytest.mark.parametrize("path", ["/x' OR '1'='1", "/%00", "/nothing"])
def test_there_is_no_such_publication(ui: Pages, shop: psycopg.Connection[Any], path: str) -> None:
    reject(shop)
    assert ui.get("/b/warehouse" + path).status_code in (400, 404)


def test_a_part_that_is_none(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    assert ui.get(reject(shop) + "/part/secrets").status_code == 404


def test_another_dags_rows_are_as_if_they_were_not_there(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    nothing = text_of(ui.get("/b/warehouse/nothing", user="stranger"))
    for page in ("", "?show=samples", "/part/samples", "/part/production"):
        answer = ui.get(address + page, user="stranger")
        assert answer.status_code == 404
        assert text_of(answer) == nothing
        assert ui.get(address + page, user=None).status_code == 401
        assert ui.get(address + page, user="viewer").status_code == 200
    for action in ("retry", "publish", "discard"):
        assert ui.post(f"{address}/{action}", {"reason": "x"}, user="stranger").status_code == 404
    assert (ids(shop), verdicts(shop)) == ([1], [])


def test_a_viewer_looks_and_decides_nothing(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    assert "<textarea" not in ui.get(address, user="viewer").text
    for action in ("retry", "publish", "discard"):
        assert ui.post(f"{address}/{action}", {"reason": "x"}, user="viewer").status_code == 403
        anonymous = ui.client(None).post(f"/dq{address}/{action}", data={"reason": "x"})
        assert anonymous.status_code == 401
    assert (ids(shop), verdicts(shop)) == ([1], [])


def test_what_no_dag_loaded_is_for_those_who_edit_connections(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop, dag_id=None)
    assert ui.post(address + "/discard", user="user").status_code == 403
    assert ui.post(address + "/discard", user="admin").status_code == 303


def test_a_form_of_another_site_decides_nothing(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    assert ui.post(address + "/discard", {"csrf": "made up"}).status_code == 403
    assert ui.post(address + "/discard", headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert ui.post(address + "/discard", {"csrf": ui.csrf("viewer")}).status_code == 403
    assert verdicts(shop) == []


def test_published_anyway(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    reason = "it's <b>right</b>\nsee ticket 12"
    answer = ui.post(address + "/publish", {"reason": reason}, user="user")
    assert answer.status_code == 303
    said = text_of(ui.client("user").get(answer.headers["location"]))
    assert "user published these rows anyway, now ." in said
    assert "it's <b>right</b> see ticket 12" in said
    assert "Decide" not in said
    assert ids(shop) == [1, 2, 3]
    row = shop.execute("SELECT dag_id, run_id, task_id, failed, rows FROM dataquality.publication").fetchone()
    assert row == ("orders", "manual__1", "load", 3, 3)
    assert logged("data_quality.published") == [("user", "orders", "load")]
    again = ui.post(address + "/publish", {"reason": "again"}, user="admin")
    assert again.status_code == 409
    assert "user has published these rows already" in text_of(again)


def test_only_so_many_are_published_at_once(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    from airflow_dataquality.ui.pages.blocked import SLOTS

    address = reject(shop)
    with SLOTS, SLOTS:
        busy = ui.post(address + "/publish", {"reason": "because"})
    assert (busy.status_code, ids(shop)) == (409, [1])
    assert "try again in a minute" in text_of(busy)
    assert ui.post(address + "/publish", {"reason": "because"}).status_code == 303


def test_no_reason_no_publication(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    assert "no reason is given" in text_of(ui.post(address + "/publish", {"reason": " "}))
    assert ui.post(address + "/publish", {"reason": "x" * 2001}).status_code == 400
    assert ui.post(address + "/publish", {"reason": "a\x00b"}).status_code in (400, 409)
    assert (ids(shop), verdicts(shop)) == ([1], [])


def test_newer_rows_are_to_be_confirmed(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    columns = "run_uid, table_schema, table_name, partition, mode, rows, dag_id, published_at"
    values = "'later', 'shop', 'orders', '{\"day\": \"2024-01-01\"}', 'overwrite', 1, 'orders', clock_timestamp()"
    shop.execute(f"INSERT INTO dataquality.publication ({columns}) VALUES ({values})")
    page = ui.get(address)
    assert "Newer rows were published since" in text_of(page)
    over = re.search(r'name="over" value="(\w+)"', page.text)
    assert over is not None
    refused = ui.post(address + "/publish", {"reason": "because", "over": over[1]})
    assert (refused.status_code, ids(shop)) == (409, [1])
    assert "because</textarea>" in refused.text
    assert ui.post(address + "/publish", {"reason": "because", "over": "x", "replace": "yes"}).status_code == 409
    assert ui.post(address + "/publish", {"reason": "because", "over": over[1], "replace": "yes"}).status_code == 303
    assert ids(shop) == [1, 2, 3]


def test_discarded(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    answer = ui.post(address + "/discard", {"reason": ""}, user="user")
    assert answer.status_code == 303
    said = text_of(ui.client("user").get(answer.headers["location"]))
    assert "user discarded these rows" in said
    assert (ids(shop), verdicts(shop)) == ([1], [("discarded", "user", None)])


def test_what_is_swept_is_said(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    (name,) = left_beside(shop)
    shop.execute(f"DROP TABLE {name}")
    said = text_of(ui.get(address))
    assert "not kept any more" in said
    assert "Not possible: the rejected rows are not kept any more" in said
    assert ui.get(address + "/part/samples").status_code == 404


def test_rows_that_cannot_be_right_have_no_button(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    said = text_of(ui.get(reject(shop, NEW + " UNION ALL SELECT '2024-02-02', 1, 'a', 1", [])))
    assert "Not possible: some of the rows are not of shop.orders/day=2024-01-01" in said


def test_a_run_that_rejected_several_tables(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    address = reject(shop)
    with connected("warehouse") as session:
        other = Partition.of(Table("o'clock", "shop"), {"day": "x"})
        run = Run(address.rpartition("/")[2], dag_id="orders", run_id="manual__1")
        Ledger(session).record_check_run(run, other, Summary(()), state="rejected", rows=0)
    first, named = ui.get(address), ui.get(address, params={"table": "shop.orders"})
    assert "The same run rejected" in text_of(first)
    assert "shop.orders, day 2024-01-01 blocked" in text_of(named)
    assert "There were no rows" in text_of(ui.get(address, params={"table": 'shop."o\'clock"'}))


def logged(event: str) -> list[tuple[Any, ...]]:
    """Airflow's audit log."""
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.execute(select(Log.owner, Log.dag_id, Log.task_id).where(Log.event == event)).all()
        session.execute(delete(Log).where(Log.event == event))
    return [tuple(row) for row in found]


DAG_FILE = """
from airflow.sdk import DAG, task

with DAG("dq_blocked", schedule=None) as dag:
    @task
    def load():
        raise ValueError("blocked")

    @task
    def after():
        pass

    @task
    def mapped(number):
        raise ValueError("blocked")

    load() >> after()
    mapped.expand(number=[1, 2])
"""


def test_retry_clears_the_task_and_what_follows(
    ui: Pages, shop: psycopg.Connection[Any], tmp_path: Any, airflow_db: None
) -> None:
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState

    from support import synced

    (tmp_path / "dq_blocked.py").write_text(DAG_FILE)
    run = synced(tmp_path, "dq_blocked").test()
    assert run.state == DagRunState.FAILED
    address = reject(shop, dag_id="dq_blocked")
    where = f"WHERE run_uid = '{address.rpartition('/')[2]}'"
    shop.execute(f"UPDATE dataquality.check_run SET run_id = %s {where}", [run.run_id])
    assert ui.post(address + "/retry", user="viewer").status_code == 403
    assert states(run) == {"load": "failed", "after": "upstream_failed", "mapped": "failed"}
    assert ui.post(address + "/retry", user="user").status_code == 303
    assert states(run) == {"load": None, "after": None, "mapped": "failed"}
    assert "user cleared the task, to load them again" in text_of(ui.get(address))
    assert verdicts(shop) == [("retried", "user", None)]
    assert logged("data_quality.retried") == [("user", "dq_blocked", "load")]
    shop.execute(f"UPDATE dataquality.check_run SET task_id = 'mapped', map_index = 1 {where}")
    assert ui.post(address + "/retry").status_code == 303
    with create_session() as session:
        found = session.scalars(select(instances()).where(instances().run_id == run.run_id))
        mapped = sorted((one.map_index, one.state) for one in found if one.task_id == "mapped")
    assert mapped == [(0, "failed"), (1, None)]
    assert logged("data_quality.retried") == [("admin", "dq_blocked", "mapped")]


def instances() -> Any:
    from airflow.models.taskinstance import TaskInstance

    return TaskInstance


def states(run: Any) -> dict[str, Any]:
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.scalars(select(instances()).where(instances().run_id == run.run_id))
        return {one.task_id: one.state for one in found}


def test_retry_of_what_airflow_has_forgotten(ui: Pages, shop: psycopg.Connection[Any]) -> None:
    answer = ui.post(reject(shop) + "/retry")
    assert answer.status_code == 409
    assert "not found" in text_of(answer)
    assert verdicts(shop) == []
    assert json.dumps(logged("data_quality.retried")) == "[]"
