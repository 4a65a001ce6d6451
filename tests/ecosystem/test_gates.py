"""A consumer of an asset goes on only if the checks of what it reads went well enough; test_example_dags runs one."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_dataquality.errors import SpecError
from airflow_dataquality.gates import require_score, scores
from airflow_dataquality.operators._common import RESULT_KEY

ORDERS = Asset("orders")


def event(score: Any, minute: int = 0, name: str = "orders", run: str = "1", extra: Any = None) -> Any:
    """What Airflow tells of an asset event."""
    return SimpleNamespace(
        asset=Asset(name), extra={RESULT_KEY: {"score": score}} if extra is None else extra,
        source_dag_id="d", source_run_id=run, source_task_id="t", source_map_index=-1, partition_key=None,
        timestamp=datetime(2013, 2, 8, 0, minute, tzinfo=UTC),
    )  # fmt: skip


def passes(events: Any, **arguments: Any) -> bool:
    gate = require_score(**arguments)
    return bool(gate.python_callable(events))


def test_every_event_needs_the_score() -> None:
    assert passes({ORDERS: [event(0.9), event(1.0, run="2")]})
    assert not passes({ORDERS: [event(0.89), event(1.0, run="2")]})
    assert not passes({ORDERS: [event(1.0)], Asset("other"): [event(0.5, name="other")]})
    assert passes({ORDERS: [event(1.0)], Asset("other"): [event(0.5, name="other")]}, asset=ORDERS)


def test_the_newest_event_of_a_run_counts() -> None:
    assert passes({ORDERS: [event(1.0, minute=2), event(0.2, minute=1)]})
    assert scores({ORDERS: [event(1.0, minute=1), event(0.2, minute=2)]}) == [("orders", 0.2)]


@pytest.mark.parametrize("events", [None, {}, {ORDERS: [event(0, extra={})]}, {ORDERS: [event("high")]}])
def test_no_score_is_not_good_enough(events: Any) -> None:
    assert not passes(events)
    assert passes(events, unknown="run")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"at_least": 90}, "not a number from 0 to 1"),
        ({"at_least": True}, "not a number from 0 to 1"),
        ({"unknown": "pass"}, "Known: run, skip"),
    ],
)
def test_what_can_never_work_is_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        require_score(**arguments)
