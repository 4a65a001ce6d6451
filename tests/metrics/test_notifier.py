"""Events for callbacks."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG
from metrics.lab import CONTEXT, Agent

from airflow_dataquality.checks import check
from airflow_dataquality.errors import SpecError
from airflow_dataquality.notifications.datadog import DatadogNotifier
from airflow_dataquality.operators.check import DataQualityCheckOperator


def of_a_dag() -> Any:
    """The context of a task in a DAG, whose environment renders templates before Airflow 3.1."""
    return {**CONTEXT, "dag": DAG("flights", schedule=None)}


def failed(db: psycopg.Connection[Any]) -> dict[str, Any]:
    """The context of a task whose checks did not pass."""
    operator = DataQualityCheckOperator(
        task_id="t", conn_id="warehouse", table="w.orders", checks=[check("row_count", leq_to=1)]
    )
    with pytest.raises(AirflowException) as raised:
        operator.execute({})
    return {**of_a_dag(), "exception": raised.value, "task": operator}


def test_the_failed_checks_are_in_the_event(db: psycopg.Connection[Any], agent: Agent) -> None:
    DatadogNotifier(datadog_conn_id="datadog", tags={"team": "a b"})(failed(db))
    (event,) = agent.heard().events
    assert ":1 of 1 checks on w.orders did not pass|" in event
    assert "row_count is 630, expected <= 1" in event
    assert event.endswith("|k:dataquality flights t|s:airflow|t:error|#dag:flights,env:test,task:t,team:a_b")


def test_texts_are_templates(agent: Agent) -> None:
    notifier = DatadogNotifier(
        datadog_conn_id="{{ where }}", title="{{ ti.task_id }} went well", text="on {{ ds }}", alert_type="success"
    )
    notifier({**of_a_dag(), "ds": "2013-02-08", "where": "datadog"})
    (event,) = agent.heard().events
    assert ":t went well|on 2013-02-08|" in event
    assert "|t:success|" in event


def test_without_a_connection_it_is_a_warning(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="airflow_dataquality"):
        DatadogNotifier()(of_a_dag())
    assert caplog.messages == ["No connection to Datadog is named: the event is not sent (datadog_conn_id)"]


def test_the_configuration_names_the_connection(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__DATADOG_CONN_ID", "datadog")
    DatadogNotifier()({**of_a_dag(), "exception": ValueError("no")})
    assert len(agent.heard().events) == 1


def test_an_alert_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="did you mean 'error'"):
        DatadogNotifier(alert_type="eror")
