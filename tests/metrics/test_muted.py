"""Checks that somebody muted: what they block stays blocked, and no event is sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from metrics.lab import CONTEXT, Agent

from airflow_dataquality.checks import check
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine import verdicts
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Table
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

T = Table("daily", "w")


def blocked() -> None:
    """Publish what two checks block."""
    with pytest.raises(AirflowException):
        StageCheckExchangeOperator(
            task_id="t", conn_id="warehouse", datadog_conn_id="datadog", table="w.daily", sql="SELECT * FROM w.orders",
            checks=[check("row_count", leq_to=2), check("max", "id", leq_to=1)],
        ).execute(CONTEXT)  # fmt: skip


def test_muted_checks_are_no_event(db: psycopg.Connection[Any], agent: Agent) -> None:
    ledger = Ledger(DbApiSession(db, dialect_for("postgres")))
    ledger.ensure()

    def say(verdict: str, name: str | None) -> None:
        until = datetime.now(UTC) + timedelta(days=1) if verdict == "muted" else None
        verdicts.give(ledger, T, verdict, author="anna", note=None, check_name=name, until=until)

    blocked()
    assert len(agent.heard().events) == 1
    say("muted", "row_count")
    blocked()
    assert len(agent.heard().events) == 1  # the other one is news
    say("muted", "max(id)")
    blocked()
    heard = agent.heard()
    assert heard.events == []
    assert heard.value("task.finished", outcome="blocked") == 1
    assert db.execute("SELECT to_regclass('w.daily') IS NULL").fetchall() == [(True,)]
    say("unmuted", "max(id)")
    blocked()
    assert len(agent.heard().events) == 1
    say("muted", None)
    blocked()
    assert agent.heard().events == []
