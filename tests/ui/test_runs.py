"""The tab on Airflow's own pages: what the checks of a DAG, a run or a task found."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete

from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.model import Check, Interval, Metric, Partition, Severity, Table
from airflow_dataquality.results import Result, Status, Summary
from airflow_dataquality.ui.pages.runs import RUNS
from support import Database, Warehouse, on

if TYPE_CHECKING:
    import httpx

    from ui.lab import Pages

ORDERS = Partition.of(Table("orders", "shop"), {"day": "2024-01-01"})


def summary(*statuses: Status) -> Summary:
    """Results of ``check 1``, ``check 2`` and so on."""
    metric, low = Metric("row_count"), Interval(low=1)
    checks = [Check(f"check {number}", metric, low, Severity.ERROR) for number, _ in enumerate(statuses, 1)]
    return Summary(tuple(Result(c, 0, s, f"words of {c.name}") for c, s in zip(checks, statuses, strict=True)))


def record(ledger: Ledger, run: Run, *statuses: Status, state: str = "published", where: Partition = ORDERS) -> None:
    """Append what a run did, as operators do."""
    found = summary(*statuses)
    ledger.record_results(run, where, found)
    if state == "published":
        ledger.record_publication(run, where, found, mode="overwrite", rows=7, previous=None)
    else:
        ledger.record_check_run(run, where, found, state=state, rows=7)


@pytest.fixture
def ledger(shown: Warehouse, dags: Any) -> Iterator[Ledger]:
    """The ledger of a database; the DAG ``secret`` may not be seen by the stranger."""
    dags("orders", "secret", hidden={"stranger": ["secret"]})
    with connected("warehouse") as session:
        ledger = Ledger(session)
        ledger.ensure()
        yield ledger


def text_of(answer: httpx.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def runs_of(dag_id: str, run_ids: Sequence[str]) -> None:
    """Have Airflow know runs of a DAG, the last the newest."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType

    with create_session() as session:
        for number, run_id in enumerate(run_ids):
            at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=number)
            session.add(DagRun(dag_id=dag_id, run_id=run_id, run_after=at, run_type=DagRunType.MANUAL))


@pytest.fixture
def many(ui: Pages) -> Iterator[list[str]]:
    """More runs of ``orders`` than are shown."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    names = [f"run~{number:02}+x" for number in range(RUNS + 5)]
    runs_of("orders", names)
    yield names
    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == "orders"))


def test_one_run(ui: Pages, ledger: Ledger) -> None:
    run = Run("u1", "orders", "load", "manual/1", -1, 2)
    record(ledger, run, Status.PASS, Status.FAIL, Status.WARN, state="rejected")
    record(ledger, Run("u2", "orders", "check", "manual/1", -1, 1), Status.SKIP, Status.PASS, state="observed")
    record(ledger, Run("u3", "orders", "load", "another", -1, 1), Status.PASS)
    answer = ui.get("/runs", params={"dag_id": "orders", "run_id": "manual/1"})
    said = text_of(answer)
    assert answer.status_code == 200
    assert "shop.orders day 2024-01-01 blocked 7 1 failed, 1 warned, 1 passed fail check 2 warn check 3" in said
    assert "another" not in said
    assert 'href="/dq/b/warehouse/u1?table=shop.orders&amp;partition=%7B%22day%22' in answer.text
    assert 'href="/dq/t/warehouse/shop.orders/checks/check%202"' in answer.text
    assert 'href="/dags/orders/runs/manual%2F1/tasks/load?try_number=2" data-airflow' in answer.text


def test_one_task(ui: Pages, ledger: Ledger) -> None:
    for task, index in (("load", -1), ("check", -1), ("mapped", 0), ("mapped", 1)):
        record(ledger, Run(f"{task}{index}", "orders", task, "r", index, 1), Status.PASS)
    where = {"dag_id": "orders", "run_id": "r", "task_id": "load", "map_index": "-1"}
    assert ui.get("/runs", params=where).text.count("<tr>") == 2
    assert ui.get("/runs", params={**where, "task_id": "mapped"}).text.count("<tr>") == 3
    one = ui.get("/runs", params={**where, "task_id": "mapped", "map_index": "1"})
    assert one.text.count("<tr>") == 2
    assert "mapped[1]" in text_of(one)


def test_the_last_runs_of_a_dag(ui: Pages, ledger: Ledger, many: list[str]) -> None:
    for number, run_id in enumerate(many):
        record(ledger, Run(f"u{number}", "orders", "load", run_id, -1, 1), Status.PASS)
    answer = ui.get("/runs", params={"dag_id": "orders"})
    found = re.findall(r"<h2><a [^>]+>([^<]+)</a>", answer.text)
    assert found == many[: -RUNS - 1 : -1]
    task = ui.get("/runs", params={"dag_id": "orders", "task_id": "other"})
    assert "No checks here" in text_of(task)


def test_who_may_not_read_the_dag_sees_that_there_is_none(ui: Pages, ledger: Ledger) -> None:
    record(ledger, Run("u", "secret", "load", "r", -1, 1), Status.FAIL, state="rejected")
    where = {"dag_id": "secret", "run_id": "r"}
    hidden = ui.get("/runs", params=where, user="stranger")
    nothing = ui.get("/runs", params={"dag_id": "secret", "run_id": "another"}, user="stranger")
    assert hidden.status_code == 404
    assert text_of(hidden) == text_of(nothing)
    assert ui.get("/runs", params=where, user=None).status_code == 401
    assert "check 1" in ui.get("/runs", params=where, user="viewer").text


@pytest.mark.parametrize("word", ["' OR '1'='1", "<script>alert(1)</script>", "{DAG_ID}", "%", "ü\U0001f600"])
def test_addresses_are_values(ui: Pages, ledger: Ledger, word: str) -> None:
    record(ledger, Run("u", "orders", "load", "r", -1, 1), Status.PASS)
    for name in ("dag_id", "run_id", "task_id", "map_index"):
        answer = ui.get("/runs", params={"dag_id": "orders", "run_id": "r", "task_id": "load", name: word})
        assert answer.status_code in (200, 404)
        assert "<script>alert" not in answer.text
        if name != "map_index":
            assert "/t/warehouse/shop.orders" not in answer.text


def test_names_of_the_ledger_are_text(ui: Pages, ledger: Ledger) -> None:
    evil = "<script>alert(1)</script>\"'"
    where = Partition.of(Table(evil, evil), {evil: evil})
    record(ledger, Run(evil, "orders", evil, evil, -1, 1), Status.FAIL, state="rejected", where=where)
    answer = ui.get("/runs", params={"dag_id": "orders", "run_id": evil})
    assert "<script>alert" not in answer.text
    assert answer.text.count("&lt;script&gt;") > 4


def test_nothing_is_configured(ui: Pages, dags: Any) -> None:
    dags("orders")
    assert "No warehouse is configured" in text_of(ui.get("/runs", params={"dag_id": "orders"}))


def test_a_warehouse_that_does_not_answer_hides_no_other(
    ui: Pages, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(ledger, Run("u", "orders", "load", "r", -1, 1), Status.PASS)
    monkeypatch.setenv("AIRFLOW_CONN_DOWN", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS", "down, warehouse")
    answer = ui.get("/runs", params={"dag_id": "orders", "run_id": "r"})
    said = text_of(answer)
    assert answer.status_code == 200
    assert "does not answer" in said
    assert "shop.orders" in said


@on("postgres", "redshift", "sqlite")
@pytest.mark.live
def test_the_queries_run_on_every_database(database: Database) -> None:
    from airflow_dataquality.engine.recorded import recorded

    ledger = Ledger(database.session)
    ledger.ensure()
    record(ledger, Run("u1", "d", "t", "r1", -1, 1), Status.PASS, Status.FAIL, state="rejected")
    record(ledger, Run("u2", "d", "t", "r2", 3, 1), Status.PASS)
    found = recorded(ledger, "d", ["r1", "r2"], [], 10)
    assert sorted(one.status for one in found) == ["blocked", "published"]
    (blocked,) = (one for one in found if one.blocked)
    assert [result["status"] for result in blocked.results] == ["fail", "pass"]
    assert [one.row["run_uid"] for one in recorded(ledger, "d", ["r1", "r2"], [("map_index", 3)], 10)] == ["u2"]
    assert recorded(ledger, "d", [], [], 10) == []


def test_the_queries_are_by_indexes(warehouse: Warehouse) -> None:
    with connected("warehouse") as session:
        ledger = Ledger(session)
        ledger.ensure()
        session.execute("SET enable_seqscan = off")
        for name, clock in (("publication", "published_at"), ("check_run", "checked_at")):
            asked = session.dialect.recorded_by(ledger.table(name), ["run_uid"], clock, 9, "d", ["a", "b"])
            assert f"{name}_dag_id_run_id_idx" in str(session.query("EXPLAIN " + asked))
        asked = session.dialect.results_of(ledger.table("check_result"), ["status"], ["a", "b"], 9)
        assert "check_result_run_uid_idx" in str(session.query("EXPLAIN " + asked))
