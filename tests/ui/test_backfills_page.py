"""The pages of backfills: what they show, start, and refuse."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_dataquality.engine.job import Job
from airflow_dataquality.plans.backfill import Chunk
from airflow_dataquality.ui.template_preview import sql_of
from support import Warehouse, synced
from ui import backfills_lab
from ui.backfills_lab import RANGE, Desk

if TYPE_CHECKING:
    from ui.lab import Pages


def text(answer: Any) -> str:
    """What a page says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


@pytest.fixture
def job(ui: Pages, shown: Warehouse, tmp_path: Path) -> Iterator[Desk]:
    """A job with ten days of ``src``."""
    with backfills_lab.job(ui, shown, tmp_path) as job:
        yield job


def rows(warehouse: Warehouse, table: str = "daily") -> list[Any]:
    with warehouse.connect() as connection:
        return sorted(connection.execute(f"SELECT * FROM {table}").fetchall())


def test_from_the_form_to_the_exchange(job: Desk, shown: Warehouse) -> None:
    listed = text(job.ui.get("/backfills", user="user"))
    assert f"{job.dag_id} public.daily one a day, by ds" in listed
    assert "Fill in the first and the last partition" in text(job.ui.get(job.path, user="user"))
    planned = text(job.plan())
    assert "Partitions 10 2013-01-01 to 2013-01-10" in planned
    assert "Chunks 5 the SQL runs once for each" in planned
    assert "WHERE ds BETWEEN '2013-01-09' AND '2013-01-10'" in planned
    assert "each partition beside production's: lost_keys(id): = 0 [error]" in planned

    page = job.start()
    waiting = job.ui.get(page, user="user")
    assert "0 of 5 chunks" in text(waiting)
    assert 'hx-trigger="every 2s"' in waiting.text
    assert job.work(page) == "success"
    held = job.ui.get(page, user="user")
    assert 'hx-trigger="every 2s"' not in held.text, "it does not ask for what cannot change any more"
    assert "waits for you" in text(held)
    assert "5 of 5 chunks, 30 rows" in text(held)
    assert "9 of 10 partitions differ. Staged: 30 rows; production held 3." in text(held)
    assert "process 2, log" in text(held)
    assert len(rows(shown)) == 3

    answer = job.ui.post(f"{page}/finish", {"finish": "exchange"}, user="user")
    last = str(answer.headers["location"]).removeprefix("/dq")
    assert job.work(last) == "success"
    assert "10 partitions became visible, with 30 rows." in text(job.ui.get(last, user="user"))
    assert rows(shown) == rows(shown, "src")
    before = text(job.ui.get(page, user="user"))
    assert "It was ended by another run : exchange" in before
    assert "Publish it?" not in before
    assert job.ui.post(f"{page}/finish", {"finish": "exchange"}, user="user").status_code == 409
    past = text(job.ui.get("/backfills", user="user"))
    assert f"published 2013-01-01 to 2013-01-10 {job.dag_id} – 30" in past
    assert f"ended 2013-01-01 to 2013-01-10 {job.dag_id} 30 –" in past
    assert "10 of 10 partitions with 30 rows" in text(job.plan())


def test_while_it_runs(job: Desk, shown: Warehouse) -> None:
    page = job.start()
    job.work(page)
    job.halfway(page, shown)
    running = text(job.ui.get(page, user="user"))
    assert "computing" in running
    # Three chunks in 30 seconds, so two take 20 more.
    assert re.search(r"3 of 5 chunks, 18 rows, about (19|20|21) s left", running)
    # The newest are begun first, and each process takes every other one.
    assert "2013-01-05 to 2013-01-06 running – – process 1, log" in running
    assert "2013-01-01 to 2013-01-02 waiting – – process 1, log" in running
    assert "Publish it?" not in running
    assert job.ui.post(f"{page}/stop", user="user").status_code == 303
    stopped = text(job.ui.get(page, user="user"))
    assert "It failed, and production is as it was. What is staged stays staged" in stopped
    assert " failed – – process 1, log" in stopped


def test_names_are_shown_and_not_run(ui: Pages, shown: Warehouse, tmp_path: Path) -> None:
    table = 'public."<script>alert(1)</script>{{ 7 * 7 }}"'
    with backfills_lab.job(ui, shown, tmp_path, table) as job:
        for page in ("/backfills", f"{job.path}?start=2013-01-01&end=2013-01-02", job.start()):
            answer = ui.get(page, user="user")
            assert "<script>alert" not in answer.text
            assert table in text(answer)


def test_thousands_of_chunks_are_drawn_in_few_cells(job: Desk, shown: Warehouse) -> None:
    page = job.start(start="2003-01-01", end="2013-01-10", days_per_chunk="1")
    answer = job.ui.get(page, user="user")
    assert "0 of 3,663 chunks" in text(answer)
    assert "and 3,603 more, which are drawn above" in text(answer)
    assert answer.text.count('class="cell') <= 240
    assert len(answer.content) < 100_000


def test_a_held_backfill_is_discarded(job: Desk, shown: Warehouse) -> None:
    page = job.start()
    job.work(page)
    answer = job.ui.post(f"{page}/finish", {"finish": "discard"}, user="user")
    last = str(answer.headers["location"]).removeprefix("/dq")
    assert job.work(last) == "success"
    assert "discarded" in text(job.ui.get(last, user="user"))
    assert len(rows(shown)) == 3
    assert "another run : discard" in text(job.ui.get(page, user="user"))


def test_a_chunk_that_fails_and_what_goes_on(job: Desk, shown: Warehouse) -> None:
    with shown.connect() as connection:
        connection.execute("UPDATE src SET amount = 1000 WHERE ds = '2013-01-05' AND id = 2")
        page = job.start(finish="exchange")
        assert job.work(page) == "failed"
        failed = job.ui.get(page, user="user")
        assert "4 of 5 chunks, 24 rows" in text(failed)
        assert "It failed, and production is as it was. What is staged stays staged: start it again" in text(failed)
        assert re.search(r'href="/dags/job_\d+/runs/[^"]+/tasks/chunks/mapped/0\?try_number=1"', failed.text)
        connection.execute("UPDATE src SET amount = 20 WHERE id = 2")
    again = job.start(finish="exchange")
    assert job.work(again) == "success"
    assert "5 of 5 chunks" in text(job.ui.get(again, user="user"))
    assert rows(shown) == rows(shown, "src")


def test_a_comparison_that_blocks(job: Desk, shown: Warehouse) -> None:
    with shown.connect() as connection:
        connection.execute("INSERT INTO daily SELECT '2013-01-03', n, n FROM generate_series(4, 9) n")
    page = job.start()
    assert job.work(page) == "failed"
    blocked = job.ui.get(page, user="user")
    assert "The comparison with production blocks it" in text(blocked)
    assert "/dq/b/warehouse/" in blocked.text
    assert "Publish it?" not in text(blocked)


def test_a_dry_run_in_the_database(job: Desk, shown: Warehouse) -> None:
    page = job.start(finish="plan")
    assert job.work(page) == "success"
    planned = text(job.ui.get(page, user="user"))
    assert "planned" in planned
    assert "Exchange by overwrite" in planned
    assert "Production holds 3 rows of the range" in planned


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "2013-01-10", "end": "2013-01-01"}, "The range ends (2013-01-01) before it starts (2013-01-10)."),
        ({"start": "1973-01-01"}, "1973-01-01 to 2013-01-10 is about 14,620 partitions, and this job allows 4,000."),
        ({"start": ""}, "There is no first partition (start). Hint: write it so: 2013-01-31"),
        ({"start": "yesterday"}, "'yesterday', the first partition, is no day. Hint: write it so: 2013-01-31"),
        ({"end": "2013-02-30"}, "'2013-02-30', the last partition, is no day."),
        ({"end": "9999-12-31"}, "partitions, and this job allows 4,000."),
        ({"max_parallel": "0"}, "Max_parallel is '0'. Hint: write a whole number from 1 to 16"),
        ({"days_per_chunk": "many"}, "Days_per_chunk is 'many'. Hint: write a whole number from 1 to 366"),
        ({"finish": "somehow"}, "Finish is 'somehow'."),
        ({"start": "2013-01-01' OR 1=1 --"}, "is no day."),
        ({"start": "<script>alert(1)</script>"}, "is no day."),
        ({"start": "{{ 7 * 7 }}"}, "'{{ 7 * 7 }}', the first partition, is no day."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_mistakes_are_told_at_once_and_start_nothing(job: Desk, given: dict[str, str], message: str) -> None:
    told = job.plan(**given)
    assert message in text(told)
    assert "Start the backfill" not in told.text
    assert "<script>alert" not in told.text
    refused = job.ui.post(job.path, {**RANGE, **given}, user="user")
    assert refused.status_code == 400
    assert message in text(refused)
    assert job.runs() == 0


def test_a_job_that_is_paused(job: Desk) -> None:
    job.pause(paused=True)
    assert "Unpause it" in text(job.plan())
    refused = job.ui.post(job.path, RANGE, user="user")
    assert refused.status_code == 400
    assert "is paused: its runs would wait until somebody unpauses it. Hint: tick the box" in text(refused)
    assert job.runs() == 0
    page = job.start(unpause="true")
    assert "paused" not in text(job.ui.get(page, user="user"))


def test_a_run_that_is_under_way(job: Desk) -> None:
    page = job.start()
    assert "A run is under way that has partitions in common: 2013-01-01 to 2013-01-10" in text(
        job.plan(end="2013-01-02")
    )
    refused = job.ui.post(job.path, {**RANGE, "start": "2013-01-10"}, user="user")
    assert "a run is under way that has partitions in common" in text(refused).lower()
    assert job.runs() == 1
    job.start(start="2013-02-01", end="2013-02-02")
    stopped = job.ui.post(f"{page}/stop", user="user")
    assert stopped.status_code == 303
    assert "failed" in text(job.ui.get(page, user="user"))
    job.start()


def test_a_dag_that_is_gone(job: Desk) -> None:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    page = job.start()
    with create_session() as session:
        session.get(DagModel, job.dag_id).is_stale = True
    assert job.dag_id not in text(job.ui.get("/backfills", user="user"))
    assert "The DAG is gone from its file" in text(job.plan())
    assert "gone from its file" in text(job.ui.get(page, user="user"))
    assert "is gone from its file" in text(
        job.ui.post(job.path, {"start": "2014-01-01", "end": "2014-01-01"}, user="user")
    )


@pytest.mark.parametrize("broken", ["not allowed", "missing"])
def test_a_connection_that_is_not_there(job: Desk, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    page = job.start()
    if broken == "missing":
        monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    else:
        monkeypatch.delenv("AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS")
    said = {"not allowed": "may not use the connection", "missing": "the database of the connection 'warehouse'"}[
        broken
    ]
    answer = job.ui.get(page, user="user")
    assert answer.status_code == 200
    assert said in text(answer).replace("The database", "the database")
    assert said in text(job.plan())


def test_who_may_what(job: Desk) -> None:
    from ui import lab

    page = job.start()
    posts: list[tuple[str, dict[str, str]]] = [
        (job.path, RANGE), (f"{page}/finish", {"finish": "exchange"}), (f"{page}/stop", {})
    ]  # fmt: skip
    for path in ("/backfills", job.path, page):
        assert job.ui.get(path, user=None).status_code == 401
        assert job.ui.get(path, user="viewer").status_code == 200
    for path, form in posts:
        assert job.ui.client(None).post(f"/dq{path}", data=form).status_code == 401
        assert job.ui.post(path, form, user="viewer").status_code == 403
        assert job.ui.client("user").post(f"/dq{path}", data=form).status_code == 403, "without a token"
    assert "Backfill …" not in text(job.ui.get("/backfills", user="viewer"))
    assert "You may not start runs of this DAG" in text(job.plan(user="viewer"))
    lab.denied["stranger"] = {job.dag_id}
    assert job.dag_id not in job.ui.get("/backfills", user="stranger").text
    for path in (job.path, page):
        assert job.ui.get(path, user="stranger").status_code == 404
    for path, form in posts:
        assert job.ui.post(path, form, user="stranger").status_code == 404
    assert job.runs() == 1


@pytest.mark.parametrize("name", ["nothing", "<b>x</b>", "'; DROP TABLE dag; --", "../../x", "{{ 7*7 }}"])
def test_jobs_that_do_not_exist(ui: Pages, name: str) -> None:
    answer = ui.get(f"/backfills/{quote(name, safe='')}")
    assert answer.status_code == 404
    assert "<b>x</b>" not in answer.text
    assert ui.get("/backfills/nothing/manual__2013").status_code == 404


def test_a_dag_that_says_nothing_of_a_job_is_none(ui: Pages, tmp_path: Path) -> None:
    """Others may use the tag, too."""
    name = "tagged_alike"
    (tmp_path / "dag.py").write_text(
        f"from airflow.sdk import DAG\nwith DAG({name!r}, schedule=None, tags=['backfill']): pass\n"
    )
    synced(tmp_path, name)
    assert name not in ui.get("/backfills").text
    assert ui.get(f"/backfills/{name}").status_code == 404
    backfills_lab.forget(name)


def test_who_started_it_is_in_airflows_audit_log(job: Desk) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    job.start()
    with create_session() as session:
        query = select(Log.event, Log.owner).where(Log.dag_id == job.dag_id, Log.event == "trigger_dag_run")
        assert session.execute(query).all() == [("trigger_dag_run", "user")]


CHUNK = Chunk(1, ("2013-01-01", "2013-01-02"), 1)


@pytest.mark.parametrize(
    ("template", "shown_as", "rendered"),
    [
        ("ds >= '{{ start_date }}' AND ds <= '{{ end_date }}'", "ds >= '2013-01-01' AND ds <= '2013-01-02'", True),
        ("{% if backfill %}many{% else %}one{% endif %}", "many", True),
        ("{{ 'a' if ds == '2013-01-01' else 'b' }}", "a", True),
        ("{{ params.region }}", None, False),
        ("{{ var.value.secret }}", None, False),
        ("{% for n in range(999999999) %}x{% endfor %}", None, False),
        ("{{ 'x' * 999999999 }}", None, False),
        ("{{ ''.__class__.__mro__ }}", None, False),
        ("{{ logical_date.add(days=1) }}", None, False),
        ("{{ 9 ** 9 ** 9 }}", None, False),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", None, False),
        ("{% include 'x' %}", None, False),
        ("{{ nothing_of_ours }}", None, False),
        ("{% if %}", None, False),
    ],
)
def test_what_a_dags_author_wrote_is_not_run_here(template: str, shown_as: str | None, rendered: bool) -> None:
    assert sql_of(template, CHUNK, "day") == (template if shown_as is None else shown_as, rendered)


@pytest.mark.parametrize("said", [None, "", "[]", "{}", '{"airflow_dataquality.backfill": 1}', '{"other": {}}'])
def test_what_says_nothing_of_a_job(said: str | None) -> None:
    assert Job.read(said) is None
