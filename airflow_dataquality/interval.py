"""Where a metric's value must lie: data, so that it prints, is stored, and comes from YAML."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_dataquality.errors import SpecError


@dataclass(frozen=True)
class Interval:
    """Where a metric's value must lie. A bound of None is unbounded.

    >>> str(Interval(low=0, low_open=True)), str(Interval(90, 110)), str(Interval(0, 0))
    ('> 0', 'between 90 and 110', '= 0')
    """

    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if isinstance(bound, float) and math.isnan(bound):
                raise SpecError("a condition's bound is NaN, which nothing compares with", hint="write a number")
        if self.low is None or self.high is None:
            return
        try:
            empty = self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))
        except TypeError:
            raise SpecError(
                f"the bounds {self.low!r} and {self.high!r} cannot be compared with each other",
                hint="write both as numbers, or both as dates",
            ) from None
        if empty:
            raise SpecError(f"no value can be {self}", hint="the lower bound must be below the upper one")

    def __contains__(self, value: Any) -> bool:
        """Whether the value lies inside. NaN lies in no interval.

        :raises TypeError: if the value cannot be compared with a bound
        """
        if value != value:  # noqa: PLR0124 - NaN alone differs from itself
            return False
        if self.low is not None:
            low = _like(self.low, value)
            if value < low or (self.low_open and value == low):
                return False
        if self.high is not None:
            high = _like(self.high, value)
            if value > high or (self.high_open and value == high):
                return False
        return True

    def __str__(self) -> str:
        if self.low is not None and self.low == self.high:
            return f"= {_number(self.low)}"
        low = f"{'>' if self.low_open else '>='} {_number(self.low)}" if self.low is not None else ""
        high = f"{'<' if self.high_open else '<='} {_number(self.high)}" if self.high is not None else ""
        if low and high and not (self.low_open or self.high_open):
            return f"between {_number(self.low)} and {_number(self.high)}"
        return " and ".join(part for part in (low, high) if part) or "anything"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return f"{value}"


def _like(bound: Any, value: Any) -> Any:
    """The bound in the value's type: conditions come from YAML, values from a driver."""
    if isinstance(value, Decimal) and isinstance(bound, float):
        return Decimal(str(bound)) if math.isfinite(bound) else Decimal(bound)
    if isinstance(value, datetime):
        moment = bound if isinstance(bound, datetime) else datetime.fromisoformat(str(bound))
        if (moment.tzinfo is None) != (value.tzinfo is None):
            moment = moment.replace(tzinfo=value.tzinfo)
        return moment
    if isinstance(value, date):
        return bound if isinstance(bound, date) else date.fromisoformat(str(bound))
    if isinstance(value, timedelta) and isinstance(bound, int | float):
        return timedelta(seconds=bound)
    if isinstance(value, str) and isinstance(bound, date):
        return bound.isoformat()
    return bound
