"""Bar 1 in Airflow's own triggerer: 900 wait at one statement for each interval, and none is late or lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg
from reliability.triggerer_deployment import TriggererDeployment

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from sensors.lab import DAYS, MANY, journal, land, load, triggers, unheard
from support import Warehouse

Connection = psycopg.Connection[Any]
INTERVAL = 2.0
INTERVALS = 4
KILLED = range(300)
"""Land while there is a triggerer, which is killed while it stores their events."""
ALONE = range(300, 800)
"""Land while there is none."""
LAST = range(800, MANY)
"""Land while there is another."""
TOO_LATE = 3.0
"""Seconds that Airflow takes to store a hundred events, on a machine that does other things, too."""
SECONDS = 120.0
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def test_900_tasks_in_airflows_triggerer(warehouse: Warehouse, postgres: EmbeddedPostgres) -> None:
    with unheard(warehouse.uri) as db:
        db.execute("CREATE SCHEMA w")
        load("2012-12-31")
        rows = [trigger.serialize() for trigger in triggers(INTERVAL)]
        with TriggererDeployment([[f"w.t/ds={day}"] for day in DAYS], rows, {"warehouse": warehouse.uri}) as airflow:
            looks = _looks_of_the_first(airflow, warehouse, postgres)
            assert INTERVALS - 1 <= len(looks) <= INTERVALS + 1, looks
            assert db.execute(SESSIONS).fetchone() == (1,)

            _land(db, KILLED)
            _until(airflow, lambda: airflow.waiting() < MANY)
            airflow.kill_triggerer("first")
            in_time = airflow.events()
            assert 0 < len(in_time) < len(KILLED), "it was killed while events were stored"
            _until(airflow, lambda: db.execute(SESSIONS).fetchone() == (0,))

            _land(db, ALONE)
            airflow.start_triggerer("second")
            _until(airflow, lambda: airflow.waiting() == len(LAST))
            _land(db, LAST)
            _until(airflow, lambda: airflow.waiting() == 0)
            events = airflow.events()

    found = {index: event["partitions"] for index, (event, _) in events.items() if event["status"] == "landed"}
    assert sorted(found) == list(range(MANY)), "nobody is lost"
    assert [[each["key"] for each in found[index]] for index in range(MANY)] == [[{"ds": day}] for day in DAYS]
    for index in (*in_time, *LAST):
        event, scheduled_at = events[index]
        (partition,) = event["partitions"]
        assert partition["age"] <= 2 * INTERVAL, "seconds from its landing to the look that found it"
        stored = scheduled_at - datetime.fromisoformat(partition["published_at"])
        assert stored.total_seconds() <= 2 * INTERVAL + TOO_LATE


def _looks_of_the_first(airflow: TriggererDeployment, warehouse: Warehouse, postgres: EmbeddedPostgres) -> list[str]:
    """Start a triggerer; what it asks in some intervals, once all triggers run."""
    with journal(postgres, warehouse.uri.rsplit("/", 1)[1]) as asked:
        airflow.start_triggerer("first")
        _until(airflow, lambda: airflow.running() == MANY and bool(asked.statements))
        asked.clear()
        time.sleep(INTERVALS * INTERVAL)
        assert airflow.waiting() == MANY
        return asked.statements


def _land(db: Connection, numbers: range) -> None:
    land(db, DAYS[numbers.start : numbers.stop])


def _until(airflow: TriggererDeployment, condition: Callable[[], bool]) -> None:
    for _ in airflow.until(SECONDS, "somebody was lost"):
        if condition():
            return
