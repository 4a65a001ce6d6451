"""Measures of all facts, however long ago."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_dataquality.measures.base import Measure, State, States

if TYPE_CHECKING:
    from airflow_dataquality.dialects.base import Dialect
    from airflow_dataquality.dialects.facts import Facts
    from airflow_dataquality.dialects.summary import Typed


@dataclass(frozen=True, repr=False)
class Sum(Measure):
    """The sum of an expression's known values; NULL if there are none.

    The last digits of floating-point sums depend on the order of their facts: sum numerics where that matters.

    >>> Sum("distance")
    Sum('distance')
    """

    of: str

    def states(self) -> Mapping[str, State]:
        return {"sum": State("sum", self.of)}


@dataclass(frozen=True, repr=False)
class Count(Measure):
    """How many facts there are, or how many in which the expression is known. Never NULL."""

    of: str = "*"

    def states(self) -> Mapping[str, State]:
        return {"count": State("count", self.of)}

    def finish(self, sql: Dialect, states: States, partition: Typed) -> str:
        return sql.or_zero(states["count"])

    @property
    def plain(self) -> bool:
        """A subject has facts, so its count is known; that of a window need not be."""
        return True


@dataclass(frozen=True, repr=False)
class Min(Measure):
    """The smallest value."""

    of: str

    def states(self) -> Mapping[str, State]:
        return {"min": State("min", self.of)}


@dataclass(frozen=True, repr=False)
class Max(Measure):
    """The largest value."""

    of: str

    def states(self) -> Mapping[str, State]:
        return {"max": State("max", self.of)}


@dataclass(frozen=True, repr=False)
class Mean(Measure):
    """The mean of the known values, in double precision: kept as sum and count, so that it merges."""

    of: str

    def states(self) -> Mapping[str, State]:
        return {"sum": State("sum", self.of), "count": State("count", self.of)}

    def finish(self, sql: Dialect, states: States, partition: Typed) -> str:
        return sql.ratio(states["sum"], states["count"])


@dataclass(frozen=True, repr=False)
class FirstSeen(Measure):
    """The first partition with a fact of the subject."""

    def states(self) -> Mapping[str, State]:
        return {"first": State("min")}


@dataclass(frozen=True, repr=False)
class LastSeen(Measure):
    """The last partition with a fact of the subject."""

    def states(self) -> Mapping[str, State]:
        return {"last": State("max")}


@dataclass(frozen=True, repr=False)
class DaysSinceLast(Measure):
    """How many days ago the last partition with a fact of the subject was; 0 if it is the row's own."""

    def states(self) -> Mapping[str, State]:
        return {"last": State("max")}

    def finish(self, sql: Dialect, states: States, partition: Typed) -> str:
        return sql.days_between(partition, states["last"])


@dataclass(frozen=True, repr=False)
class Latest(Measure):
    """The value of the last fact: of the last partition, therein the highest ``order_by``, therein the highest value.

    NULL comes before everything, so it is the value only if the last fact has none.

    :param value: SQL over a fact's columns
    :param order_by: SQL by which the facts of a partition are ordered

    >>> Latest("origin", order_by="dep_time")
    Latest('origin', order_by='dep_time')
    """

    value: str
    order_by: str

    def states(self) -> Mapping[str, State]:
        return {"value": State("max", self.value), "order": State("max", self.order_by), "on": State("max")}

    def compute(self, sql: Dialect, facts: Facts) -> dict[str, str]:
        last = facts.latest(self.order_by, self.value)
        return {
            "value": sql.of_one(last, facts.of(self.value)),
            "order": sql.of_one(last, facts.of(self.order_by)),
            "on": sql.aggregate("max", facts.partition),
        }

    def merged(self, sql: Dialect, a: States, b: States) -> dict[str, str]:
        order = ("on", "order", "value")
        second = sql.after([b[name] for name in order], [a[name] for name in order])
        return {name: sql.either(second, b[name], a[name]) for name in self.states()}

    def finish(self, sql: Dialect, states: States, partition: Typed) -> str:
        return states["value"]
