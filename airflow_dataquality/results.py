"""What was found: a measurement, what was expected, and the verdicts of a run."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.interval import Interval
from airflow_dataquality.model import Check, FailOn


class Status(enum.StrEnum):
    """What was found. SKIP ("no data", "cannot tell yet") and ERROR (the query failed) are not PASS."""

    PASS = "pass"  # noqa: S105 - a status
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


@dataclass(frozen=True)
class Measurement:
    """What a metric's query gave: a value; or why there is none.

    :param rows: rows in the metric's scope, None where that has no meaning
    :param error: the database's words, if the query failed
    :param absent: why there is nothing to measure ("production has no such partition")
    :param detail: what a number counts, in words: "missing: carrier"
    """

    value: Any = None
    rows: int | None = None
    error: str | None = None
    absent: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Expectation:
    """What a baseline expects of one value, or why it cannot tell.

    :param interval: where the value may lie; None if it cannot tell
    :param expected: the likeliest value
    :param score: how far away the value is, in standard deviations of a normal distribution; negative below
    :param p_value: how often a healthy value is as far away
    :param q_value: the share of false alarms, were this and every likelier alarm of the run given
    :param history: how many values of the past it knows
    :param outside: the value is an anomaly: beyond the threshold, and not by chance
    :param by_chance: beyond the threshold, as among so many tests some value is expected to be
    :param basis: what was expected, in words: "the recent level"; or why it cannot tell
    """

    interval: Interval | None = None
    expected: float | None = None
    score: float | None = None
    p_value: float | None = None
    q_value: float | None = None
    history: int = 0
    outside: bool = False
    by_chance: bool = False
    basis: str = ""

    @property
    def detectable(self) -> float | None:
        """The smallest change that would have been noticed, in the metric's units."""
        if self.interval is None or self.expected is None:
            return None
        ends = [end for end in (self.interval.low, self.interval.high) if end is not None]
        return min((abs(end - self.expected) for end in ends), default=None)


@dataclass(frozen=True)
class Result:
    """A check, judged.

    :param expectation: what its baseline had expected, if it has one
    """

    check: Check
    value: Any
    status: Status
    reason: str
    expectation: Expectation | None = None

    @property
    def interval(self) -> str:
        """Where the value had to lie, in words."""
        known = self.expectation.interval if self.expectation else None
        return str(known or self.check.expect)


@dataclass(frozen=True)
class Summary:
    """The results of one run, counted."""

    results: tuple[Result, ...]

    def count(self, status: Status) -> int:
        return sum(result.status is status for result in self.results)

    def names(self, *statuses: Status) -> list[str]:
        return [result.check.name for result in self.results if result.status in statuses]

    @property
    def score(self) -> float:
        """1 − failures / checks, a warning counting a quarter. Without checks, 1.

        The formula of Airflow's ``common.dataquality``, so that consumers gate on either.
        """
        if not self.results:
            return 1.0
        lost = self.count(Status.FAIL) + self.count(Status.ERROR) + 0.25 * self.count(Status.WARN)
        return round(1 - lost / len(self.results), 4)

    def blocking(self, fail_on: FailOn) -> list[Result]:
        """The results that fail the task.

        A check whose query failed always does: what could not be asked was not answered.
        """
        blocked = {FailOn.ERROR: {Status.FAIL}, FailOn.WARN: {Status.FAIL, Status.WARN}, FailOn.NEVER: set()}
        return [r for r in self.results if r.status is Status.ERROR or r.status in blocked[fail_on]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "passed": self.count(Status.PASS),
            "warned": self.count(Status.WARN),
            "failed": self.count(Status.FAIL),
            "errored": self.count(Status.ERROR),
            "skipped": self.count(Status.SKIP),
            "failed_rules": self.names(Status.FAIL, Status.ERROR),
            "warned_rules": self.names(Status.WARN),
        }
