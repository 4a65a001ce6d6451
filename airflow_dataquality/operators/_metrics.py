"""How each operator tells what it did: collected while it runs, and sent once when it ends, also when it fails."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from airflow.providers.common.sql.operators.sql import BaseSQLOperator

from airflow_dataquality.engine.clock import Clock
from airflow_dataquality.errors import ChecksFailed, DataQualityError, SpecError
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators import _observed as observed
from airflow_dataquality.operators._dates import RendersDate
from airflow_dataquality.operators._muted import heard
from airflow_dataquality.results import Status, Summary
from airflow_dataquality.telemetry import SERVICE_CHECK, Batch, Event, Level, ServiceCheck, observe

if TYPE_CHECKING:
    from airflow_dataquality.engine.profile import Profile

log = logging.getLogger(__name__)

_BAD = frozenset({Status.FAIL, Status.ERROR, Status.WARN})
PROGRESS = 10.0
"""Seconds between two reports of a backfill's progress."""

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Outcome(Protocol):
    """What became of a load, as the engine returns it."""

    @property
    def partition(self) -> Partition: ...
    @property
    def summary(self) -> Summary: ...
    @property
    def numbers(self) -> Mapping[str, float]: ...


class Emitting(RendersDate, BaseSQLOperator):
    """An operator that tells how it went as metrics, events and service checks.

    :param datadog_conn_id: a connection of type ``dq_datadog``; None takes ``datadog_conn_id`` of the section
        ``[airflow_dataquality]`` of Airflow's configuration, and else Airflow's own metrics
    """

    _running: Report | None = None

    def __init__(self, *, datadog_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datadog_conn_id = datadog_conn_id

    @property
    def _report(self) -> Report:
        """What the task has to say. Outside :func:`emits` nobody hears it."""
        return self._running or Report(self, {})

    @property
    def _clock(self) -> Clock:
        """Where the engine writes down how long each step takes."""
        return self._running.clock if self._running else Clock()


def emits(execute: Callable[Concatenate[Any, _P], _R]) -> Callable[Concatenate[Any, _P], _R]:
    """Have ``execute`` tell how it went, however it ends; a task that is killed ends at once instead."""

    @functools.wraps(execute)
    def told(self: Any, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        context: Any = args[0] if args else kwargs.get("context", {})
        self._running = report = Report(self, context)
        try:
            found = execute(self, *args, **kwargs)
        except Exception as error:
            report.finish(error)
            raise
        else:
            report.finish(None)
            return found
        finally:
            self._running = None

    return told


def _carefully(method: Callable[Concatenate[Report, _P], None]) -> Callable[Concatenate[Report, _P], None]:
    """Have a mistake in telling what happened be a warning: the load goes on."""

    @functools.wraps(method)
    def careful(self: Report, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            method(self, *args, **kwargs)
        except Exception:
            log.warning("Metrics are incomplete, which changes nothing else", exc_info=True)

    return careful


class Report:
    """What one run of a task has to say.

    :param operator: whose task it is
    """

    def __init__(self, operator: Emitting, context: Mapping[str, Any]) -> None:
        self.clock = Clock()
        self._operator, self._batch = operator, Batch()
        self._run = common.run_identity(context)
        self._where: Partition | None = None
        self._summary: Summary | None = None
        self._started = self._told = time.monotonic()
        self._progress: dict[str, float] = {}
        self._dead = False

    @_carefully
    def loaded(self, outcome: Outcome) -> None:
        """Rows became visible, or were found to be visible already."""
        self._where = outcome.partition
        self._judged(outcome.summary)
        self.numbers(outcome.numbers)

    @_carefully
    def judged(self, summary: Summary, what: Partition, rows: int | None = None) -> None:
        """A table that exists was checked."""
        self._where = what
        self._judged(summary)
        self.numbers({"rows.checked": rows})

    @_carefully
    def measured(self, what: Partition, found: Profile) -> None:
        """A table was measured, and not judged."""
        tags = {**self._tags(), "table": str(what.table), "grain": observed.grain_of_key(dict(what.key))}
        self._batch.observations += observed.of_profile(found, tags)

    @_carefully
    def numbers(self, numbers: Mapping[str, float | None]) -> None:
        """Metrics of the whole task: name, without the prefix → value."""
        for name, value in numbers.items():
            self._batch.observations += observe(name, value, self._tags())

    @_carefully
    def progress(self, name: str, value: float) -> None:
        """How far a backfill is: sent now and then, and when the task ends."""
        self._progress[name] = value
        if name == "seconds_left" and time.monotonic() - self._told >= PROGRESS:
            self._told = time.monotonic()
            self._flush(Batch(self._of_progress()))

    def finish(self, error: Exception | None) -> None:
        """Send it all, and whatever of it is known."""
        self._conclude(error)
        self._flush(self._batch)

    @_carefully
    def _conclude(self, error: Exception | None) -> None:
        """Say how the task ended."""
        known = _known(error)
        blocked = isinstance(known, ChecksFailed)
        if isinstance(known, ChecksFailed):
            self._rejected(known)
        elif self._summary is not None and observed.anomalies(self._summary):
            self._anomalies(self._summary)
        self.numbers({f"duration.{step}": seconds for step, seconds in self.clock.seconds.items()})
        self.numbers({"duration.task": time.monotonic() - self._started})
        outcome = "blocked" if blocked else "failed" if error else "succeeded"
        self._batch.observations += self._of_progress()
        self._batch.observations += observe("task.finished", 1, {**self._tags(), "outcome": outcome})
        self._check_service(known or error, blocked=blocked)

    def _judged(self, summary: Summary) -> None:
        self._summary = summary
        if summary.results:
            self._batch.observations += observed.of_summary(summary, self._tags())

    def _rejected(self, error: ChecksFailed) -> None:
        if self._summary is None and error.summary is not None:
            self._judged(error.summary)
            rows = error.outcome.get("rows_staged", error.outcome.get("rows"))
            self.numbers({"rows.staged": rows, "rows.rejected": rows})
        bad = [each for each in (error.summary.results if error.summary else ()) if each.status in _BAD]
        named = error.outcome.get("table")
        if not bad or not isinstance(named, str) or heard(self._operator, Table.parse(named, str), bad):
            self._event(error.message.partition("\n")[0].rstrip(":"), str(error), "error")

    def _anomalies(self, summary: Summary) -> None:
        assert self._where is not None
        found = heard(self._operator, self._where.table, observed.anomalies(summary))
        if not found:
            return
        lines = "\n".join(f"  - {each.check.name}: {each.reason}" for each in found)
        self._event(f"{len(found)} anomalies in {self._where}", lines, "warning")

    def _event(self, title: str, text: str, alert_type: str) -> None:
        run = self._run
        who = f"\n\nDAG {run.dag_id}, task {run.task_id}, run {run.run_id}, try {run.try_number}" if run.run_id else ""
        tags = {key: value for key, value in self._tags().items() if value}
        self._batch.events.append(Event(title, text + who, alert_type, tags, key=f"dataquality {tags.get('table')}"))

    def _check_service(self, error: Exception | None, *, blocked: bool) -> None:
        tags = {key: value for key, value in self._tags().items() if value}
        if "table" not in tags or (error is None and self._summary is None):
            return
        level = Level.UNKNOWN if error else observed.level_of(self._summary or Summary(()))
        message = str(error).partition("\n")[0] if error else ""
        level = Level.CRITICAL if blocked else level
        self._batch.service_checks.append(ServiceCheck(SERVICE_CHECK, level, message, tags))

    def _of_progress(self) -> list[Any]:
        named = self._progress.items()
        return [one for name, value in named for one in observe(f"backfill.{name}", value, self._tags())]

    def _tags(self) -> dict[str, str | None]:
        table, grain = _subject(self._operator) if self._where is None else _place(self._operator, self._where)
        dag_id = self._run.dag_id or (getattr(self._operator.get_dag(), "dag_id", None))
        return {"dag": dag_id, "task": self._operator.task_id, "table": table, "grain": grain}

    @_carefully
    def _flush(self, batch: Batch) -> None:
        """Send it, unless that failed before: an outage is to be told once, and to be waited for once."""
        from airflow_dataquality.hooks.datadog import DatadogMetricsHook

        if not self._dead:
            self._dead = not DatadogMetricsHook(self._operator.datadog_conn_id).flush(batch)


def _known(error: BaseException | None) -> DataQualityError | None:
    """The error of ours that Airflow's stands for."""
    while error is not None and not isinstance(error, DataQualityError):
        error = error.__cause__
    return error


def _place(operator: Any, where: Partition) -> tuple[str, str]:
    grain = getattr(operator, "grain", None)
    return str(where.table), grain if grain and grain != "auto" else observed.grain_of_key(dict(where.key))


def _subject(operator: Any) -> tuple[str | None, str | None]:
    """The table that the operator names, and its grain, where nothing was found out yet."""
    table = getattr(operator, "table", None) or getattr(operator, "summary", None)
    if not isinstance(table, str) or common.is_template(table):
        return None, None
    key = getattr(operator, "partition", None) or getattr(operator, "start", None)
    try:
        named = Table.parse(table)
    except SpecError:  # which is why the task fails
        return None, None
    return _place(operator, Partition.of(named, key if isinstance(key, Mapping) else {"": key} if key else {}))
