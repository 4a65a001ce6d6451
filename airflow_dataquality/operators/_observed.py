"""What was found, as metrics and events. Pure: nothing here is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from airflow_dataquality.engine.profile import Profile
from airflow_dataquality.engine.rows import number
from airflow_dataquality.engine.timeline import grain_of, moment
from airflow_dataquality.interval import Interval
from airflow_dataquality.model import Metric, Range
from airflow_dataquality.results import Result, Status, Summary
from airflow_dataquality.telemetry import Level, Observation, observe

Tags = Mapping[str, Any]

_ORDER = (Status.ERROR, Status.FAIL, Status.WARN, Status.PASS)
"""Worst first: where there are too many, what is cut is what passed."""
_STATUS = {Status.PASS: 0, Status.WARN: 1, Status.FAIL: 2, Status.ERROR: 2}
_COUNTED = {Status.PASS: "passed", Status.WARN: "warned", Status.FAIL: "failed", Status.SKIP: "skipped",
            Status.ERROR: "errored"}  # fmt: skip


def of_summary(summary: Summary, tags: Tags) -> list[Observation]:
    """The counts of the results, and each of them; what was skipped is counted only."""
    found = [one for status, name in _COUNTED.items() for one in observe(f"checks.{name}", summary.count(status), tags)]
    found += observe("checks.score", summary.score, tags)
    if any(result.expectation for result in summary.results):
        found += observe("anomalies", len(anomalies(summary)), tags)
    judged = [result for status in _ORDER for result in summary.results if result.status is status]
    return [*found, *(one for result in judged for one in _of_result(result, tags))]


def anomalies(summary: Summary) -> list[Result]:
    """The results that do not look like their past."""
    alarms = (Status.WARN, Status.FAIL)
    return [each for each in summary.results if each.expectation is not None and each.status in alarms]


def _of_result(result: Result, tags: Tags) -> Iterable[Observation]:
    own = {**tags, "check": result.check.name, "severity": str(result.check.severity)}
    known = result.expectation
    interval = known.interval if known else result.check.expect
    numbers = {"check.status": _STATUS[result.status], "check.value": number(result.value)}
    if isinstance(interval, Interval):
        numbers |= {"check.low": number(interval.low), "check.high": number(interval.high)}
    if known:
        numbers |= {"anomaly.score": number(known.score), "anomaly.expected": number(known.expected)}
    for name, value in numbers.items():
        yield from observe(name, value, own)
    yield from of_freshness(result.check.metric, result.value, tags)


def of_freshness(metric: Metric, value: Any, tags: Tags) -> list[Observation]:
    """The age of the newest value of a column, if that was measured on all rows."""
    if metric.kind != "freshness" or metric.where or metric.group:
        return []
    return observe("freshness", number(value), {**tags, "column": ", ".join(metric.columns)})


def of_profile(measured: Profile, tags: Tags) -> list[Observation]:
    """What statistics were recorded. The age of values is the newest partition's."""
    found = [
        *observe("statistics.metrics", measured.numbers, tags),
        *observe("statistics.partitions", len(measured.measured), tags),
        *observe("rows.checked", measured.rows, tags),
    ]
    for metric, each in (list(measured.measured.values()) or [{}])[-1].items():
        if each.error is None and each.absent is None:
            found += of_freshness(metric, each.value, tags)
    return found


def level_of(summary: Summary) -> Level:
    """How a table is, by its checks."""
    if summary.names(Status.FAIL, Status.ERROR):
        return Level.CRITICAL
    return Level.WARNING if summary.names(Status.WARN) else Level.OK


def grain_of_key(key: Mapping[str, Any]) -> str:
    """From one partition to the next: ``hour``, ``day``, ``month``; ``table`` without a key, ``other`` without a time.

    >>> grain_of_key({"region": "EU", "ds": "2013-02-08"}), grain_of_key({}), grain_of_key({"region": "EU"})
    ('day', 'table', 'other')
    """
    if not key:
        return "table"
    for value in key.values():
        one = value.first if isinstance(value, Range) else value
        if isinstance(one, str | date) and moment(str(one)) is not None:
            return grain_of(str(one))
    return "other"
