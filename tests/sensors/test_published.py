"""``published``: what releases a sensor and what does not; bar 2, step by step."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_dataquality.checks import check
from airflow_dataquality.operators.upsert import UpsertOperator
from airflow_dataquality.sensors.partition import PartitionSensor
from sensors.lab import DAY, INTERVAL, all_fired, deferred, fired, load, running, sensor
from support import Warehouse

Connection = psycopg.Connection[Any]
NEVER = [check("row_count", name="never", equal_to=-1)]


def waits(reason: str, partitions: Any = f"w.t/ds={DAY}", **arguments: Any) -> None:
    """The sensor does not find what it wants now, and says why."""
    waiting = sensor(partitions, deferrable=False, **arguments)
    found, _ = waiting._look()
    assert found is None
    trigger = waiting._trigger()
    assert reason in {trigger.unmet(sight) for sight in waiting._seen().values()}


def test_what_landed_is_not_waited_for(db: Connection) -> None:
    published = load(rows=3)
    (found,) = sensor().execute({})
    assert found.pop("age") >= 0
    assert str(found.pop("published_at")).startswith("20")
    assert found == {
        "partition": f"w.t/ds={DAY}", "table": "w.t", "key": {"ds": DAY}, "rows": 3, "score": 1.0, "mode": "create",
        "run_uid": published["run_uid"], "dag_id": None, "task_id": None, "run_id": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "written", ["w.t/ds=20130208", "W.T/DS=2013-02-08", '"w"."t"/"ds"=\'2013-02-08\'', "w.t/ds=8 Feb 2013"]
)
def test_one_partition_has_one_spelling(db: Connection, written: str) -> None:
    load()
    assert sensor(written).execute({})[0]["partition"] == f"w.t/ds={DAY}"


def test_a_bare_name_is_found_by_the_search_path(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    db.execute("CREATE TABLE t (ds date, id int)")
    load(table="t")
    assert sensor(f"t/ds={DAY}").execute({})[0]["table"] == "public.t"


def test_a_whole_table(db: Connection) -> None:
    load()
    waits("it is not published yet", "w.t")
    UpsertOperator(task_id="u", conn_id="warehouse", table="w.t", rows=[{"ds": DAY, "id": 9}], keys=["id"]).execute({})
    assert sensor("w.t").execute({})[0]["mode"] == "upsert"
    waits("it is not published yet", "w.t/ds=2013-02-09")


def test_all_of_several(db: Connection) -> None:
    load()
    both = [f"w.t/ds={DAY}", "w.t/ds=2013-02-09"]

    async def go() -> None:
        async with running(deferred(sensor(both))) as tasks:
            await asyncio.sleep(3 * INTERVAL)
            assert not tasks[0].done()
            load("2013-02-09")
            (event,) = await all_fired(tasks)
            assert [found["partition"] for found in event["partitions"]] == both

    asyncio.run(go())


# -- states without a table


def test_no_ledger_no_table_and_then_both(db: Connection) -> None:
    waits("nothing has been published yet: there is no ledger in schema 'dataquality'")
    load(table="w.other")
    waits("w.t does not exist yet")

    async def go() -> None:
        async with running(deferred(sensor("w.t/ds=20130208"))) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            load()
            (event,) = await all_fired(tasks)
            assert event["status"] == "landed", "spelled otherwise, which nobody could tell before"

    asyncio.run(go())


def test_a_ledger_that_is_dropped_and_comes_back(db: Connection) -> None:
    load("2013-02-01")

    async def go() -> None:
        async with running(deferred(sensor())) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            db.execute("DROP SCHEMA dataquality CASCADE")
            await asyncio.sleep(2 * INTERVAL)
            load()
            assert (await all_fired(tasks))[0]["status"] == "landed"

    asyncio.run(go())


@pytest.mark.parametrize(("soft", "error"), [(False, AirflowFailException), (True, AirflowSkipException)])
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_missing_table_may_fail(db: Connection, *, soft: bool, error: type[Exception], deferrable: bool) -> None:
    load(table="w.other")
    missing = sensor(on_missing_table="fail", soft_fail=soft, deferrable=deferrable)
    with pytest.raises(error, match=r"w\.t/ds=2013-02-08: w\.t does not exist yet"):
        missing.execute({})


def test_a_column_or_a_value_that_the_table_has_not(db: Connection) -> None:
    load()
    with pytest.raises(AirflowFailException, match=r"'day' is not in w\.t\nHint: .*ds"):
        sensor(f"w.t/day={DAY}").execute({})
    with pytest.raises(AirflowFailException, match=r"'soon' does not fit column 'ds' \(date\)"):
        sensor("w.t/ds=soon").execute({})


def test_a_column_that_the_table_has_not_when_it_appears(db: Connection) -> None:
    waiting = sensor(f"w.t/day={DAY}")
    trigger = deferred(waiting)
    load()
    event = asyncio.run(fired(trigger))
    assert event["status"] == "refused"
    with pytest.raises(AirflowFailException, match=r"'day' is not in w\.t"):
        waiting.execute_complete({}, event)


# -- terms


def test_min_score(db: Connection) -> None:
    load(checks=[check("max", "id", leq_to=1, severity="warn"), check("row_count", equal_to=2)])
    waits("it was published with score 0.875, less than 0.9", min_score=0.9)
    assert sensor(min_score=0.875).execute({})[0]["score"] == 0.875


def test_max_age(db: Connection) -> None:
    load()
    assert sensor(max_age="1h").execute({})
    db.execute("UPDATE dataquality.publication SET published_at = now() - interval '2 hours'")
    waits("it was published 7,200 s ago, more than 3,600 s", max_age=timedelta(hours=1))

    async def go() -> None:
        async with running(deferred(sensor(max_age="1h"))) as tasks:
            load()
            assert (await all_fired(tasks))[0]["partitions"][0]["age"] < 60

    asyncio.run(go())


def test_the_newest_publication_counts(db: Connection) -> None:
    load(rows=2)
    load(rows=5)
    assert sensor().execute({})[0]["rows"] == 5
    db.execute("UPDATE dataquality.publication SET score = 0.1 WHERE rows = 5")
    waits("it was published with score 0.1, less than 0.5", min_score=0.5)


# -- bar 2: rejected and half-written


def test_a_rejected_partition_never_releases(db: Connection) -> None:
    load("2013-02-01")

    async def go() -> None:
        async with running(*(deferred(sensor()) for _ in range(5))) as tasks:
            for _ in range(3):
                with pytest.raises(AirflowException, match="never"):
                    await asyncio.to_thread(load, checks=NEVER)
                await asyncio.sleep(2 * INTERVAL)
                assert not any(task.done() for task in tasks)
            states = db.execute("SELECT DISTINCT state FROM dataquality.metric WHERE partition LIKE %s", [f"%{DAY}%"])
            assert states.fetchall() == [("rejected",)]
            assert db.execute("SELECT count(*) FROM dataquality.check_result WHERE status = 'fail'").fetchone() == (3,)
            await asyncio.to_thread(load)
            assert {event["status"] for event in await all_fired(tasks)} == {"landed"}

    asyncio.run(go())


def test_rows_without_a_publication_release_nobody(db: Connection) -> None:
    load("2013-02-01")
    db.execute("INSERT INTO w.t VALUES (%s, 1)", [DAY])
    waits("it is not published yet")


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_an_open_publication_releases_nobody_until_it_commits(db: Connection, warehouse: Any, end: str) -> None:
    """The exchange's own statements, held open where it would commit."""
    load("2013-02-01")
    with warehouse.connect() as publisher:
        publisher.execute("BEGIN")
        publisher.execute("DELETE FROM w.t WHERE ds = %s", [DAY])
        publisher.execute("INSERT INTO w.t VALUES (%s, 1)", [DAY])
        publisher.execute(
            "INSERT INTO dataquality.publication (run_uid, table_schema, table_name, partition, mode, rows, score, "
            "published_at) VALUES ('open', 'w', 't', %s, 'overwrite', 1, 1, now())",
            [f'{{"ds": "{DAY}"}}'],
        )

        async def go() -> None:
            async with running(deferred(sensor())) as tasks:
                await asyncio.sleep(3 * INTERVAL)
                assert not tasks[0].done()
                publisher.execute(end)
                if end == "COMMIT":
                    (event,) = await all_fired(tasks)
                    assert event["partitions"][0]["run_uid"] == "open"
                else:
                    await asyncio.sleep(3 * INTERVAL)
                    assert not tasks[0].done()

        asyncio.run(go())


def test_publications_and_rejections_of_many_at_once(db: Connection) -> None:
    """Each of 12 days is published or rejected while all are waited for: those that were published fire, alone."""
    load("2013-01-01")
    days = [f"2013-02-{number:02}" for number in range(1, 13)]

    def attempt(number: int) -> None:
        if number % 2:
            load(days[number])
        else:
            with pytest.raises(AirflowException):
                load(days[number], checks=NEVER)

    async def go() -> None:
        async with running(*(deferred(sensor(f"w.t/ds={day}")) for day in days)) as tasks:
            await asyncio.gather(*(asyncio.to_thread(attempt, number) for number in range(12)))
            await all_fired(tasks[1::2])
            await asyncio.sleep(2 * INTERVAL)
            assert [task.done() for task in tasks] == [False, True] * 6

    asyncio.run(go())


# -- in Airflow


def test_poking(db: Connection) -> None:
    load("2013-02-01")
    impatient = sensor(deferrable=False, timeout=0.3)
    with pytest.raises(AirflowSensorTimeout):
        impatient.execute({})
    load()
    assert impatient.execute({})[0]["rows"] == 2


def test_the_log_says_who_published(db: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    run_uid, said = load()["run_uid"], []
    log = SimpleNamespace(info=lambda text, *values: said.append(text % values), warning=lambda _: None)
    monkeypatch.setattr(PartitionSensor, "log", log)
    sensor().execute({})
    assert said[0].startswith(f"w.t/ds={DAY} landed: run_uid {run_uid}, mode create, rows 2, score 1.0, published_at ")


def test_the_grants_of_the_page_are_enough(
    db: Connection, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    load()
    db.execute("CREATE ROLE dq_waiter LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA dataquality, w TO dq_waiter")
    db.execute("GRANT SELECT ON dataquality.publication TO dq_waiter")
    try:
        monkeypatch.setenv("AIRFLOW_CONN_READER", f"postgresql://dq_waiter:x@{warehouse.uri.split('@', 1)[1]}")
        assert sensor(conn_id="reader").execute({})[0]["rows"] == 2
    finally:
        db.execute("DROP OWNED BY dq_waiter; DROP ROLE dq_waiter")


def test_a_connection_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "http://example.com")
    with pytest.raises(AirflowFailException, match="is of type 'http', and no database"):
        sensor().execute({})
