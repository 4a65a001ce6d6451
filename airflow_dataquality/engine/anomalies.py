"""Look for anomalies in every column of a partition."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.anomaly import discovered, judged_by
from airflow_dataquality.engine.backtest import false_alarms
from airflow_dataquality.engine.dimensions import Dimension
from airflow_dataquality.engine.history import Past, Recorded, past_of
from airflow_dataquality.engine.judge import judge, resolve
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.engine.rows import number
from airflow_dataquality.engine.session import Session
from airflow_dataquality.engine.statistics import Wanted, checks_of
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Column, Metric, Partition
from airflow_dataquality.results import Expectation, Measurement, Result, Status, Summary

log = logging.getLogger(__name__)

SEVERAL = 10
"""Rows from which on it is no accident that all of them hold the same number."""
RETURNED = 1000
"""Tests that an operator returns: an XCom is no place for more."""

OF_THE_KEY = Expectation(
    basis="it is the same in every row and another in other partitions, so that it tells the partition and not the data"
)
"""Of a column such as ``month``, which would be an anomaly on every first of one."""


@dataclass(frozen=True)
class Found:
    """What was measured, and judged."""

    summary: Summary
    measured: Mapping[Metric, Measurement]
    rows: int | None


@dataclass(frozen=True)
class Search:
    """What to look at, and how.

    :param chosen: the columns; None for all
    :param most: of a dimension with more values, those with most rows
    :param source: where the past is read
    :param fdr: false discovery rate over all tests; None for none
    """

    wanted: Sequence[Wanted]
    baseline: Baseline
    severity: str = "warn"
    chosen: Sequence[str] | None = None
    dimensions: Sequence[tuple[str, ...]] = ()
    most: int = 50
    source: str = "auto"
    fdr: float | None = 0.05
    max_false_alarms: float = 12

    def run(
        self, session: Session, ledger: Ledger | None, run: Run, what: Partition, columns: Sequence[Column],
        clause: str | None = None,
    ) -> Found:  # fmt: skip
        """Measure, and judge against the past.

        :raises SpecError: if no metric fits the columns
        """
        checks = whole = self.checks(session, what, columns, clause)
        timeline = Timeline.of(what, self.baseline.period)
        rows = Metric("row_count", where=clause)
        ends = self._ends(checks)
        asked = [rows, *(check.metric for check in checks), *(metric for pair in ends.values() for metric in pair)]
        measured = measure(session, asked, what, columns=columns)
        recorded = Recorded.read(ledger, timeline, self.baseline.window)
        past = past_of(
            session, ledger, run, [check.metric for check in checks], timeline, recorded=recorded,
            window=self.baseline.window, enough=self.baseline.min_history, columns=columns, source=self.source,
        )  # fmt: skip
        found = judged_by(past, checks, measured)
        if (measured[rows].value or 0) >= SEVERAL:
            same = [check for check, (low, high) in ends.items() if measured[low].value == measured[high].value]
            found |= {check: OF_THE_KEY for check in same if past.varied(check.metric.series)}
        self._confirm_trust(past, checks)
        for by in self.dimensions:
            dimension = Dimension(by, what, columns, self.most, clause, self.source)
            more, values, before = dimension.look(session, ledger, run, whole, recorded, timeline)
            measured |= values
            found |= judged_by(before, more, values)
            checks = [*checks, *more]
        found = discovered(found, self.fdr)
        tested = {metric: measured[metric] for metric in (rows, *(check.metric for check in checks))}
        return Found(judge(checks, measured, found), tested, measured[rows].value)

    def _ends(self, checks: Sequence[Check]) -> dict[Check, tuple[Metric, Metric]]:
        """The smallest and the largest value beside each mean that nobody asked for by its column's name."""
        named = {(item.word, item.columns) for item in self.wanted}
        means = [c for c in checks if c.metric.kind == "mean" and ("mean", c.metric.columns) not in named]
        return {c: (replace(c.metric, kind="min"), replace(c.metric, kind="max")) for c in means}

    def checks(self, session: Session, what: Partition, columns: Sequence[Column], clause: str | None) -> list[Check]:
        """The tests of the whole partition.

        :raises SpecError: if there is none
        """
        found = checks_of(
            self.wanted, columns, baseline=self.baseline, severity=self.severity, chosen=self.chosen,
            skip=[name for name, _ in what.key], clause=clause,
        )  # fmt: skip
        if not found:
            raise SpecError(f"{what}: no metric fits its columns", hint="name columns and metrics that fit each other")
        for by in self.dimensions:
            checks_of([], columns, baseline=self.baseline, severity=self.severity, chosen=by)
            if fixed := [name for name, _ in what.key if name in by]:
                raise SpecError(f"{what}: the dimension {fixed[0]!r} is part of the partition", hint="leave it out")
        return list(resolve(found, columns, dialect=session.dialect))

    def _confirm_trust(self, past: Past, checks: Sequence[Check]) -> None:
        """Warn of tests that block, and would have blocked too often."""
        if self.severity != "error":
            return
        for name, rate in false_alarms(past, checks).items():
            if rate > self.max_false_alarms:
                log.warning(
                    "%s blocks, and on its own history it would have fired %.0f times a year (max_false_alarms=%g): "
                    'raise threshold, exclude holidays, or let it warn; "airflow dq backtest" has the dates',
                    name, rate, self.max_false_alarms,
                )  # fmt: skip


def described(summary: Summary) -> dict[str, Any]:
    """What an operator returns of its tests: anomalies first."""
    alarms = (Status.WARN, Status.FAIL)
    anomalies = [result for result in summary.results if result.status in alarms]
    rest = [result for result in summary.results if result.status not in alarms]
    ranked = sorted(anomalies, key=lambda r: -abs((r.expectation or Expectation()).score or 0)) + rest
    return {
        "anomalies": [result.check.name for result in anomalies],
        "tests": [_test(result, result.expectation or Expectation()) for result in ranked[:RETURNED]],
    }


def _test(result: Result, found: Expectation) -> dict[str, Any]:
    ends = (found.interval.low, found.interval.high) if found.interval else (None, None)
    numbers = {"value": result.value, "expected": found.expected, "low": ends[0], "high": ends[1],
               "score": found.score, "p_value": found.p_value, "detectable": found.detectable}  # fmt: skip
    return {
        "name": result.check.name,
        "status": str(result.status),
        **{key: number(value) for key, value in numbers.items()},
        "history": found.history,
        "reason": result.reason,
    }
