"""Measures of a summary: numbers over all of history that a day's facts bring up to date.

A measure is a state that merges: the state of all facts is that of some merged with that of the others, in any order
and any grouping. So a summary of yesterday and the facts of today make the summary of today. What a reader sees is
finished from the state.

A measure of one's own is a frozen dataclass that says its states, and how they are finished::

    @dataclass(frozen=True)
    class Spread(Measure):
        of: str

        def states(self):
            return {"low": State("min", self.of), "high": State("max", self.of)}

        def finish(self, sql, states, partition):
            return f"{states['high']} - {states['low']}"
"""

from __future__ import annotations

from airflow_dataquality.measures.base import Measure, State
from airflow_dataquality.measures.history import (
    Count,
    DaysSinceLast,
    FirstSeen,
    LastSeen,
    Latest,
    Max,
    Mean,
    Min,
    Sum,
)
from airflow_dataquality.measures.window import ActiveDays, Rolling

__all__ = [
    "ActiveDays",
    "Count",
    "DaysSinceLast",
    "FirstSeen",
    "LastSeen",
    "Latest",
    "Max",
    "Mean",
    "Measure",
    "Min",
    "Rolling",
    "State",
    "Sum",
]
