"""On which days tests would have fired: their own history, replayed one step ahead."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.anomaly import forecast_of, kinds_of
from airflow_dataquality.engine.dimensions import Dimension
from airflow_dataquality.engine.history import Past, Recorded, bootstrap, finite, learn
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.engine.session import Session
from airflow_dataquality.engine.timeline import Timeline, left_out
from airflow_dataquality.errors import PartitionError, SpecError, did_you_mean
from airflow_dataquality.model import Check, Column, Metric
from airflow_dataquality.vocabulary import KINDS

if TYPE_CHECKING:
    import numpy as np

    from airflow_dataquality.stats.forecast import Judgement

DAYS = {"hour": 1 / 24, "day": 1, "week": 7, "month": 365.25 / 12}
ROWS = Metric("row_count")
VALUES = 1000
"""Of a dimension with more, those with most rows."""


@dataclass(frozen=True)
class Step:
    """One period, judged by the periods before it.

    :param ago: how many periods before the partition
    :param checks: those that could be judged
    :param values: the values of their metrics
    :param found: what became of each
    """

    ago: int
    checks: Sequence[Check]
    values: np.ndarray[Any, Any]
    found: Judgement


@dataclass(frozen=True)
class Alarm:
    """A test that would have fired.

    :param ago: how many periods before the partition
    """

    check: Check
    ago: int
    value: float
    expected: float
    score: float


def known(
    session: Session, ledger: Ledger | None, metrics: Sequence[Metric], timeline: Timeline,
    window: int, *, columns: Sequence[Column], source: str,
) -> Past:  # fmt: skip
    """What metrics were up to and with a partition; nothing is recorded, and what is marked is still there.

    :param window: how many periods, the partition's own included
    :param source: ``ledger``, ``table``, or ``auto``: the ledger, and the table for what it does not know
    :raises PartitionError: if there is nothing in the partition
    """
    what, after = timeline.partition, _next(timeline)
    past = Past([metric.series for metric in metrics], after, window)
    recorded = _recorded(ledger, after, window)
    past.marked = recorded.marked
    if source != "table":
        past.recall(recorded)
    unknown = [] if source == "ledger" else [metric for metric in metrics if past.count(metric.series) < window]
    lasting = [metric for metric in unknown if not KINDS[metric.kind].momentary]
    own = measure(session, [ROWS, *lasting], what, columns=columns) if unknown else {}
    held = bool(own and own[ROWS].value)
    if not held and (source == "table" or all(ago > 1 for ago, *_ in recorded.measured)):
        where = {"ledger": "the ledger", "table": "the table"}.get(source, "the table or the ledger")
        raise PartitionError(
            f"there is nothing of {what} in {where}",
            hint="name a partition that exists, or its column alone for the newest: --partition ds",
        )
    earlier = bootstrap(session, unknown, timeline, window - 1, columns)
    learn(past, {p: groups[()] for p, groups in earlier.items() if after.ago_of(p.as_dict) is not None})
    if held:
        past.learn(1, [metric.series for metric in own], [finite(found) for found in own.values()])
    if source != "table":
        past.recall(recorded)  # what was measured then is truer than what the table holds now
    return past


def known_of_group(
    session: Session, ledger: Ledger | None, check: Check, timeline: Timeline,
    window: int, *, columns: Sequence[Column], source: str,
) -> Past:  # fmt: skip
    """The same of the metric of one value of a dimension.

    :raises SpecError: if there is no such value
    """
    assert isinstance(check.expect, Baseline)
    after, name = _next(timeline), check.metric.series
    past = Past([name], after, window)
    recorded = _recorded(ledger, after, window)
    past.marked = recorded.marked
    if source != "table":
        past.recall(recorded)
    if source == "ledger" or past.count(name) >= check.expect.min_history:
        return past
    whole = replace(check, metric=replace(check.metric, group=()), expect=replace(check.expect, window=window - 1))
    by = tuple(column for column, _ in check.metric.group)
    if same := set(by).intersection(check.metric.columns):
        raise SpecError(f"{name}: {', '.join(same)} is the same in all of its rows", hint="name another column")
    dimension = Dimension(by, timeline.partition, columns, VALUES, check.metric.where, "table")
    _, measured, before = dimension.look(session, None, Run(), [whole], Recorded(), timeline)
    now = {metric.series: found for metric, found in measured.items()}
    if name not in now:
        raise SpecError(f"there is no {name}", hint=did_you_mean(name, now, label="Metrics"))
    past.values[0, :-1] = before.values[before.rows[name]]
    past.learn(1, [name], [finite(now[name])])
    if source != "table":
        past.recall(recorded)
    return past


def remembered(
    ledger: Ledger, metric: Metric, timeline: Timeline, window: int, value: float | None = None
) -> Past:  # fmt: skip
    """What the ledger alone knows of a metric up to and with a partition.

    :param value: the partition's own, which was rejected, so that it is nobody's past
    """
    past = Past([metric.series], _next(timeline), window)
    recorded = _recorded(ledger, past.timeline, window)
    past.marked = recorded.marked
    past.recall(recorded)
    if value is not None:
        past.learn(1, [metric.series], [value])
    return past


def _next(timeline: Timeline) -> Timeline:
    """The timeline of the period after the partition's, of which the partition is the past as well."""
    return replace(timeline, moment=timeline.start(-1))


def _recorded(ledger: Ledger | None, after: Timeline, window: int) -> Recorded:
    """What the ledger, if there is one, knows of the partition and of those before it."""
    if ledger is None:
        return Recorded()
    table, own = after.partition.table, after.partition.json
    low, high = after.bounds(window)
    rows = ledger.history(table, low, high, after.since(window))
    if low != high:
        rows = [*rows, *ledger.history(table, own, own, None)]
    return Recorded.of(rows, after, window)


def steps(past: Past, checks: Sequence[Check], periods: int) -> Iterator[Step]:
    """Judge each of the last ``periods`` values by those before it, those of alike baselines together.

    :param checks: whose metrics the past has, with baselines
    """
    import numpy as np

    days = past.timeline.days(past.window)[:-1]
    for baseline in dict.fromkeys(check.expect for check in checks if isinstance(check.expect, Baseline)):
        alike = [check for check in checks if check.expect == baseline]
        values = past.values[[past.rows[check.metric.series] for check in alike]].copy()
        excluded = left_out(baseline, days)
        values[:, [day in excluded for day in days]] = np.nan
        kinds = kinds_of(alike)
        for at in range(max(past.window - periods, 0), past.window):
            history, now = values[:, max(0, at - baseline.window) : at], values[:, at]
            able = np.flatnonzero((np.isfinite(history).sum(1) >= baseline.min_history) & ~np.isnan(now))
            if not len(able):
                continue
            dates = past.dates[max(0, at - baseline.window) : at + 1]
            found = forecast_of(baseline, history[able], dates, kinds[able]).judge(
                now[able], threshold=baseline.threshold, direction=baseline.direction
            )
            yield Step(past.window - at, [alike[row] for row in able], now[able], found)


def replay(past: Past, checks: Sequence[Check], periods: int) -> tuple[list[Alarm], dict[str, int]]:
    """Judge each of the last ``periods`` values by those before it.

    :param checks: whose metrics the past has, with baselines
    :returns: the alarms, oldest first; and for each check, how many values could be judged
    """
    alarms: list[Alarm] = []
    judged = {check.name: 0 for check in checks}
    for step in steps(past, checks, periods):
        found = step.found
        for row, check in enumerate(step.checks):
            judged[check.name] += not math.isnan(found.score[row])
            if found.outside[row]:
                value, expected, score = (float(n[row]) for n in (step.values, found.expected, found.score))
                alarms.append(Alarm(check, step.ago, value, expected, score))
    return sorted(alarms, key=lambda alarm: -alarm.ago), judged


def false_alarms(past: Past, checks: Sequence[Check]) -> dict[str, float]:
    """How often a year each test would have fired, were every alarm on its history a false one."""
    alarms, judged = replay(past, checks, past.window)
    fired = Counter(alarm.check.name for alarm in alarms)
    return {name: a_year(fired[name], count, past.timeline) for name, count in judged.items() if count}


def a_year(alarms: int, judged: int, timeline: Timeline) -> float:
    """How many alarms that is in a year."""
    return alarms * 365.25 / (judged * DAYS[timeline.period])


@dataclass(frozen=True)
class Series:
    """The last values of a metric, and what was expected of each: arrays, NaN where there is none.

    :param when: when each period was
    :param outside: the value is an anomaly
    :param left_out: it is marked as an incident, or its day is excluded: neither history nor judged
    """

    check: Check
    when: list[datetime]
    values: np.ndarray[Any, Any]
    expected: np.ndarray[Any, Any]
    low: np.ndarray[Any, Any]
    high: np.ndarray[Any, Any]
    score: np.ndarray[Any, Any]
    outside: np.ndarray[Any, Any]
    left_out: np.ndarray[Any, Any]

    @property
    def days(self) -> list[str]:
        """When each period was, for people to read."""
        return [shown(moment) for moment in self.when]


def shown(moment: datetime) -> str:
    """When that was, for people to read; the hour if there is one.

    >>> shown(datetime(2013, 2, 8)), shown(datetime(2013, 2, 8, 13))
    ('2013-02-08', '2013-02-08 13:00')
    """
    return moment.isoformat(" ", "minutes") if moment.time() != time() else moment.date().isoformat()


def series(past: Past, check: Check, periods: int) -> Series:
    """What the test would have said of each of the last ``periods`` values.

    :param past: what is marked is still there; it is forgotten here
    """
    import numpy as np

    assert isinstance(check.expect, Baseline)
    start, row = past.window - periods, past.rows[check.metric.series]
    excluded = left_out(check.expect, past.timeline.days(past.window))
    values = past.values[row, start:].copy()
    past.forget()
    when = [past.timeline.start(ago) for ago in range(periods, 0, -1)]
    expected, low, high, score, outside = found = [np.full(periods, np.nan) for _ in range(5)]
    for step in steps(past, [check], periods):
        told = step.found
        parts = (told.expected, told.low, told.high, told.score, told.outside)
        for numbers, part in zip(found, parts, strict=True):
            numbers[periods - step.ago] = part[0]
    marked = np.isfinite(values) & ~np.isfinite(past.values[row, start:])
    days = np.array([moment.date() in excluded for moment in when])
    return Series(check, when, values, expected, low, high, score, outside == 1, marked | days)
