"""Metrics, events and service checks on their way to Datadog, or to wherever Airflow sends its own."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import BaseHook, Stats, conf

from airflow_dataquality.errors import SpecError
from airflow_dataquality.hooks.allowed import SECTION
from airflow_dataquality.hooks.datadog_api import SITE, Api
from airflow_dataquality.hooks.dogstatsd import PORT, DogStatsD, Sender
from airflow_dataquality.hooks.secrets import redacted
from airflow_dataquality.telemetry import MAX_TAG_VALUES, Batch, Kind, bounded, clean_name, clean_tag

log = logging.getLogger(__name__)

SECONDS = 0.8
"""What a flush may take: a task does not wait for its metrics."""

_Tagged = TypeVar("_Tagged", bound=Any)


@dataclass(frozen=True)
class Configured:
    """What the section ``[airflow_dataquality]`` of Airflow's configuration says.

    :param conn_id: the connection to Datadog, of operators that name none
    :param env: the tag ``env`` of everything
    :param max_tag_values: values of a tag that one task sends
    """

    conn_id: str | None = None
    env: str | None = None
    max_tag_values: int = MAX_TAG_VALUES

    @classmethod
    def read(cls) -> Configured:
        return cls(
            conf.get(SECTION, "datadog_conn_id", fallback=None) or None,
            conf.get(SECTION, "env", fallback=None) or None,
            conf.getint(SECTION, "max_tag_values", fallback=MAX_TAG_VALUES),
        )


class DatadogMetricsHook(BaseHook):
    """Sends what a task has to say, at once.

    Whatever goes wrong is a warning: metrics are no reason for a load to fail, or to wait longer than a second.

    :param datadog_conn_id: a connection of type ``dq_datadog``: DogStatsD, if it has a host or a socket; else Datadog's
        API, if it has a key. None takes the one of the configuration; if there is none either, Airflow's own metrics
        are the way, which know no events and no service checks
    :param env: the tag ``env`` of everything; None takes the configuration's
    :param max_tag_values: values of a tag in one batch; the others become ``other``. None takes the configuration's
    """

    conn_name_attr = "datadog_conn_id"
    default_conn_name = "dq_datadog_default"
    conn_type = "dq_datadog"
    hook_name = "Datadog (data quality metrics)"

    def __init__(
        self, datadog_conn_id: str | None = None, *, env: str | None = None, max_tag_values: int | None = None
    ) -> None:
        super().__init__()
        self.datadog_conn_id = datadog_conn_id
        self.env = env
        self.max_tag_values = max_tag_values

    def flush(self, batch: Batch) -> bool:
        """Send a batch; whether it was sent, as far as one can tell.

        Connections are read in this thread, as Airflow wants it. The network is left to another one, as looking up a
        host's name has no timeout.
        """
        if not batch:
            return True
        try:
            configured = self._configured()
            way = sender(configured.conn_id)  # first: its key is a secret from then on
            prepared = self._prepared(batch, configured, way)
            problem = within(SECONDS if way.remote else None, lambda: way.send(prepared, SECONDS))
        except Exception as error:  # noqa: BLE001 - whatever it is, the load was done
            problem = error
        if problem is not None:
            what = f"{type(problem).__name__}: {problem}" if str(problem) else type(problem).__name__
            log.warning("Metrics were not sent, which changes nothing else: %s", redacted(what)[:300])
        return problem is None

    def _configured(self) -> Configured:
        found = Configured.read()
        return Configured(
            self.datadog_conn_id or found.conn_id,
            self.env or found.env,
            found.max_tag_values if self.max_tag_values is None else self.max_tag_values,
        )

    def _prepared(self, batch: Batch, configured: Configured, way: Sender) -> Batch:
        """The batch with bounded tags, the tag ``env``, and without secrets."""
        kept, cut = bounded(batch.observations, max(1, configured.max_tag_values))
        if cut:
            listed = ", ".join(f"{number} of {key!r}" for key, number in sorted(cut.items()))
            log.warning(
                "Tags have more than %s values: %s became 'other' (max_tag_values)", configured.max_tag_values, listed
            )

        def safe(text: str) -> str:
            return redacted(text.replace(way.key, "***") if isinstance(way, Api) else text)

        def tagged(each: _Tagged) -> _Tagged:
            found: _Tagged = replace(each, tags={**each.tags, "env": configured.env}) if configured.env else each
            return found

        return Batch(
            [tagged(each) for each in kept],
            [tagged(replace(each, title=safe(each.title), text=safe(each.text))) for each in batch.events],
            [tagged(replace(each, message=safe(each.message))) for each in batch.service_checks],
        )


def sender(conn_id: str | None) -> Sender:
    """The way to Datadog that a connection says.

    :raises SpecError: if the connection says none
    """
    if not conn_id:
        return AirflowStats()
    connection = BaseHook.get_connection(conn_id)
    extra, host = connection.extra_dejson, connection.host or ""
    path = extra.get("socket") or (host if re.match("/|unix:", host) else None)
    if path:
        return DogStatsD(path=re.sub("^unix:/*", "/", str(path)))
    if host:
        return DogStatsD(host, connection.port or PORT)
    if connection.password:
        url = extra.get("api_url") or f"https://api.{extra.get('site') or SITE}"
        return Api(str(url).rstrip("/"), connection.password)
    raise SpecError(
        f"the connection {conn_id!r} has no host, no socket and no API key",
        hint="give it the host of an agent, or the API key as its password",
    )


def within(seconds: float | None, action: Callable[[], None]) -> BaseException | None:
    """Run an action, and do not wait for it longer than that: what went wrong.

    :param seconds: None runs it in this thread
    :returns: what it raised; a TimeoutError if it still runs, in a thread that keeps no process alive
    """
    problems: list[BaseException] = []

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - it is handed on
            problems.append(error)

    if seconds is None:
        run()
    else:
        thread = threading.Thread(target=run, name="dq-metrics", daemon=True)
        thread.start()
        thread.join(seconds)
        if thread.is_alive():
            return TimeoutError(f"no answer in {seconds:g} s")
    return problems[0] if problems else None


class AirflowStats:
    """Airflow's own metrics, which go wherever the deployment sends its own.

    Distributions are gauges there: a timing would be in milliseconds, and no longer what the catalogue says.
    """

    remote = False

    def send(self, batch: Batch, seconds: float) -> None:
        """Hand on the metrics of a batch."""
        for each in batch.observations:
            tags = {key: clean_tag(key, value).partition(":")[2] for key, value in each.tags.items()}
            name = clean_name(each.name)
            if each.kind is Kind.COUNT:
                Stats.incr(name, int(each.value), tags=tags)
            else:
                Stats.gauge(name, each.value, tags=tags)
