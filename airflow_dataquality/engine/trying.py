"""What a metric test would have said of the last days, from what the table holds now and what the ledger knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.backtest import series
from airflow_dataquality.engine.groups import groupable, measure_groups
from airflow_dataquality.engine.history import Past, Recorded, earlier, finite
from airflow_dataquality.engine.judge import judge
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.engine.rows import number
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.interval import Interval
from airflow_dataquality.model import Check, Column, Metric, Partition
from airflow_dataquality.results import Expectation, Measurement, Result, Status
from airflow_dataquality.vocabulary import KINDS, Family

if TYPE_CHECKING:
    from airflow_dataquality.engine.ledger import Ledger
    from airflow_dataquality.engine.session import Session

NO_ROWS = Measurement(None, 0)


@dataclass(frozen=True)
class Tried:
    """What a test would have said of one day.

    :param result: None if the day was not looked at, or nothing is known of it
    :param rows: of a formula test, the rows of its queries
    """

    day: str
    result: Result | None = None
    rows: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)

    @property
    def fired(self) -> bool:
        """Whether it would have told somebody."""
        return self.result is not None and self.result.status in (Status.FAIL, Status.WARN, Status.ERROR)

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """Where the value had to lie."""
        expect: Any = self.result and (self.result.expectation and self.result.expectation.interval)
        expect = expect or (self.result.check.expect if self.result else None)
        return (number(expect.low), number(expect.high)) if isinstance(expect, Interval) else (None, None)


@dataclass
class Trying:
    """A metric test, to be tried on days.

    :param check_on: the check of a day, resolved against the columns
    :param what_on: the rows of a day
    :param left: seconds that there are
    :param notes: what there is to say, for people
    """

    session: Session
    ledger: Ledger | None
    columns: Sequence[Column]
    check_on: Callable[[str], Check]
    what_on: Callable[[str], Partition]
    left: Callable[[], float]
    notes: list[str] = field(default_factory=list)

    def days(self, until: date, count: int) -> list[Tried]:
        """What it would have said, the oldest day first."""
        listed = [str(until - timedelta(days=ago)) for ago in range(count - 1, -1, -1)]
        check, what = self.check_on(listed[-1]), self.what_on(listed[-1])
        kind = KINDS[check.metric.kind]
        timeline = Timeline.of(what, _period(check))
        if timeline.column is None or kind.momentary or kind.family is Family.CATALOG:
            return self._remembered(check, timeline, listed)
        after = _after(timeline)
        back = count + (check.expect.window if isinstance(check.expect, Baseline) else 0)
        alike = self.check_on(listed[0]) == check and timeline.period == "day"
        found = self._scanned(check.metric, after, back) if alike and groupable(self.session, check.metric) else None
        if found is None:
            found = self._measured(listed)
        if isinstance(check.expect, Baseline):
            return self._against_past(check, after, found, listed, back)
        return [self._against_interval(day, found.get(len(listed) - at)) for at, day in enumerate(listed)]

    def _scanned(self, metric: Metric, after: Timeline, back: int) -> dict[int, Measurement] | None:
        """Each day's value, by how many days ago, in one scan or two; None if it cannot be measured so."""
        rows = Metric("row_count", where=metric.where)
        column = after.column
        assert column is not None
        where = earlier(self.session, after, back)
        groups = measure_groups(self.session, [rows, metric], after.others, columns=self.columns, by=[column],
                                where=where, needed=rows)  # fmt: skip
        found: dict[int, Measurement] = {}
        for (value,), measured in groups.items():
            ago = after.ago_of(after.partition.as_dict | {column: after.spelled(value)})
            if ago is None or metric not in measured:
                continue
            found[ago] = measured[metric]
        if groups and not found:
            return None
        oldest = max(found, default=0)
        return {ago: found.get(ago, _nothing(metric)) for ago in range(1, back + 1) if ago <= oldest or ago in found}

    def _measured(self, listed: Sequence[str]) -> dict[int, Measurement]:
        """Each day's value, day by day, the newest first, while there is time."""
        found: dict[int, Measurement] = {}
        for ago, day in enumerate(reversed(listed), 1):
            if self.left() <= 0:
                self.notes.append(f"stopped after {ago - 1} of {len(listed)} days: the time was over")
                break
            metric = self.check_on(day).metric
            rows = Metric("row_count", where=metric.where)
            found[ago] = measure(self.session, [rows, metric], self.what_on(day), columns=self.columns)[metric]
        return found

    def _against_interval(self, day: str, found: Measurement | None) -> Tried:
        if found is None:
            return Tried(day)
        check = self.check_on(day)
        return Tried(day, judge([check], {check.metric: found}).results[0])

    def _against_past(
        self, check: Check, after: Timeline, found: Mapping[int, Measurement], listed: Sequence[str], back: int
    ) -> list[Tried]:
        past = Past([check.metric.series], after, back)
        recorded = Recorded.read(self.ledger, after, back)
        past.recall(recorded)
        for ago, measured in found.items():
            if measured.error is None and measured.absent is None and measured is not NO_ROWS:
                past.learn(ago, [check.metric.series], [finite(measured)])
        return self._judged(check, past, found, listed)

    def _judged(self, check: Check, past: Past, found: Mapping[int, Measurement], listed: Sequence[str]) -> list[Tried]:
        count = len(listed)
        known = series(past, check, count)
        tried = []
        for at, day in enumerate(listed):
            value = float(known.values[at])
            measured = found.get(count - at)
            if measured is None or (measured.error is None and measured is not NO_ROWS):
                measured = Measurement(None if math.isnan(value) else _exact(value))
            if math.isnan(value) and measured.error is None and measured is not NO_ROWS:
                tried.append(Tried(day))
                continue
            expected = _expectation(check, known, at)
            tried.append(Tried(day, judge([check], {check.metric: measured}, {check: expected}).results[0]))
        return tried

    def _remembered(self, check: Check, timeline: Timeline, listed: Sequence[str]) -> list[Tried]:
        """Of what no old partition tells: what the ledger knows, and the value as it is now."""
        self.notes.append(
            f"what {check.metric.kind} was on other days only the ledger knows, once a test has run on them: "
            "the table tells how it is now"
        )
        after, count = _after(timeline), len(listed)
        back = count + (check.expect.window if isinstance(check.expect, Baseline) else 0)
        past = Past([check.metric.series], after, back)
        past.recall(Recorded.read(self.ledger, after, back))
        rows = Metric("row_count", where=check.metric.where)
        now = measure(self.session, [rows, check.metric], timeline.partition, columns=self.columns)[check.metric]
        if now.error is None and now.absent is None:
            past.learn(1, [check.metric.series], [finite(now)])
        if isinstance(check.expect, Baseline):
            return self._judged(check, past, {1: now}, listed)
        values = {count - at: float(past.values[0, back - count + at]) for at in range(count)}
        found = {ago: Measurement(_exact(value)) for ago, value in values.items() if not math.isnan(value)}
        return [self._against_interval(day, {**found, 1: now}.get(count - at)) for at, day in enumerate(listed)]


def _period(check: Check) -> str:
    return check.expect.period if isinstance(check.expect, Baseline) else "auto"


def _after(timeline: Timeline) -> Timeline:
    """The timeline of the period after the partition's, of which the partition is the past as well."""
    following = replace(timeline, moment=timeline.start(-1))
    if timeline.column is None:
        return following
    key = {**timeline.partition.as_dict, timeline.column: timeline.value(following.moment)}
    return replace(following, partition=Partition.of(timeline.partition.table, key))


def _nothing(metric: Metric) -> Measurement:
    """What a day without rows gives: of their number, a number."""
    return Measurement(0, 0) if metric.kind == "row_count" else NO_ROWS


def _exact(value: float) -> float | int:
    return int(value) if value.is_integer() else value


def _expectation(check: Check, known: Any, at: int) -> Expectation:
    low, high, expected, score = (float(part[at]) for part in (known.low, known.high, known.expected, known.score))
    if bool(known.left_out[at]):
        return Expectation(basis="it is left out, as an incident or by `exclude`")
    if math.isnan(low) or math.isnan(high):
        assert isinstance(check.expect, Baseline)
        return Expectation(basis=f"fewer than {check.expect.min_history} values are known before it")
    return Expectation(
        interval=Interval(low if math.isfinite(low) else None, high if math.isfinite(high) else None),
        expected=expected,
        score=None if math.isnan(score) else score,
        outside=bool(known.outside[at]),
        basis="from its own past",
    )
