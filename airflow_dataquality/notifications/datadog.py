"""Tell Datadog that a task failed, and which checks did not pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseNotifier

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.messages import dq_failure_message
from airflow_dataquality.telemetry import Batch, Event

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

ALERTS = ("error", "warning", "info", "success")


class DatadogNotifier(BaseNotifier):
    """Send an event: for ``on_failure_callback`` and the others, of any task.

    The operators of this package send events of their own for blocked publications and for anomalies; this one is for
    the tasks around them, or for an event with a title and with tags of yours. Whatever goes wrong is a warning.

    :param datadog_conn_id: a connection of type ``dq_datadog``; None takes the configuration's (templated)
    :param title: default: the first line of the text (templated)
    :param text: default: what :func:`~airflow_dataquality.messages.dq_failure_message` says: the table, the failed
        checks with values and intervals, where the rejected rows are, the link to the log (templated)
    :param alert_type: ``error``, ``warning``, ``info`` or ``success``
    :param tags: name → value, beside ``dag``, ``task`` and ``env`` (templated)
    :raises SpecError: when the DAG is parsed, for an argument that can never work
    """

    template_fields: Sequence[str] = ("datadog_conn_id", "title", "text", "tags")

    def __init__(
        self,
        *,
        datadog_conn_id: str | None = None,
        title: str | None = None,
        text: str | None = None,
        alert_type: str = "error",
        tags: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if alert_type not in ALERTS:
            raise SpecError(f"alert_type is {alert_type!r}", hint=did_you_mean(str(alert_type), ALERTS))
        self.datadog_conn_id = datadog_conn_id
        self.title = title
        self.text = text
        self.alert_type = alert_type
        self.tags = dict(tags or {})

    def notify(self, context: Context) -> None:
        """Send the event."""
        from airflow_dataquality.hooks.datadog import Configured, DatadogMetricsHook

        if not (self.datadog_conn_id or Configured.read().conn_id):
            log.warning("No connection to Datadog is named: the event is not sent (datadog_conn_id)")
            return
        DatadogMetricsHook(self.datadog_conn_id).flush(Batch(events=[self.event(context)]))

    def event(self, context: Mapping[str, Any]) -> Event:
        """What is sent."""
        text = self.text or dq_failure_message(context)
        instance: Any = context.get("ti") or context.get("task_instance")
        dag_id = getattr(instance, "dag_id", None) or getattr(context.get("dag"), "dag_id", None)
        known = {"dag": dag_id, "task": getattr(instance, "task_id", None)}
        tags = {**{name: str(value) for name, value in known.items() if value}, **self.tags}
        key = " ".join(["dataquality", *filter(None, known.values())])
        return Event(self.title or text.partition("\n")[0], text, self.alert_type, tags, key=key)
