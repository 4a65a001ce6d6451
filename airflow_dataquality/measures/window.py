"""Measures of the last periods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_dataquality.errors import SpecError
from airflow_dataquality.measures.base import Measure, State, States

if TYPE_CHECKING:
    from airflow_dataquality.dialects.base import Dialect
    from airflow_dataquality.dialects.facts import Facts
    from airflow_dataquality.dialects.summary import Typed

LONGEST_ROLLING = 400
MOST_BITS = 62  # of 63 that a BIGINT has beside its sign, as a shift must not lose one before it is masked


@dataclass(frozen=True, repr=False)
class Rolling(Measure):
    """A measure of the last periods only: those of the partition before it are forgotten as it moves on.

    Each period has columns of its own, so that what leaves the window can be left out.

    :param measure: what is measured: ``Sum``, ``Count``, ``Min``, ``Max``, ``Mean``, or one whose states are as theirs
    :param days: how many periods of the partition column the window has, the row's own included

    >>> from airflow_dataquality.measures import Sum
    >>> Rolling(Sum("1"), days=28)
    Rolling(Sum('1'), days=28)
    """

    measure: Measure
    days: int

    def __post_init__(self) -> None:
        if not isinstance(self.measure, Measure):
            raise SpecError(f"Rolling: {self.measure!r} is no measure", hint="write Rolling(Sum('distance'), days=28)")
        if not self.measure.columnwise or any(state.of is None for state in self.measure.states().values()):
            raise SpecError(
                f"Rolling: {self.measure!r} cannot be taken over a window",
                hint="its states have to be aggregates of values: those of Sum, Count, Min, Max and Mean are",
            )
        _whole_number(self.days, "Rolling", LONGEST_ROLLING)

    def states(self) -> Mapping[str, State]:
        inner = self.measure.states()
        return {slot: inner[name] for slots in self._slots() for name, slot in slots.items()}

    def compute(self, sql: Dialect, facts: Facts) -> dict[str, str]:
        inner, computed = self.measure.states(), {}
        for age, slots in enumerate(self._slots()):
            when = facts.age(age)
            if when is None:
                continue
            for name, slot in slots.items():
                state = inner[name]
                value = sql.aggregate(state.aggregate, facts.of(state.of), when)
                # A day without a fact has no state, so one with none to count has none either.
                computed[slot] = sql.unless_zero(value) if state.aggregate == "count" else value
        return computed

    def aged(self, sql: Dialect, states: States, periods: int) -> dict[str, str]:
        slots = self._slots()
        moved = {
            slots[age][name]: older for age in range(periods, self.days) for name, older in slots[age - periods].items()
        }
        return {slot: states[older] for slot, older in moved.items() if older in states}

    def finish(self, sql: Dialect, states: States, partition: Typed) -> str:
        slots = self._slots()
        inner = {
            name: sql.merged_all(state.aggregate, [states[each[name]] for each in slots])
            for name, state in self.measure.states().items()
        }
        return self.measure.finish(sql, inner, partition)

    @property
    def window(self) -> int:
        return self.days

    def _slots(self) -> list[dict[str, str]]:
        """Of each age, the measure's states → the states that they are here."""
        names = list(self.measure.states())
        return [{name: f"{age}" if len(names) == 1 else f"{name}_{age}" for name in names} for age in range(self.days)]


@dataclass(frozen=True, repr=False)
class ActiveDays(Measure):
    """On how many of the last periods the subject had a fact.

    Its state is a bitmap, the lowest bit the row's own partition and the next the one before. It is there to be read:
    ``active_28d__bits % 128 = 0`` are the subjects that were not seen for seven days, and from the bitmaps of two
    partitions follows who is new, who stayed, who came back and who left.

    :param days: how many periods of the partition column: 1 to 62
    """

    days: int

    def __post_init__(self) -> None:
        _whole_number(self.days, "ActiveDays", MOST_BITS)

    def states(self) -> Mapping[str, State]:
        return {"bits": State("bit_or")}

    def compute(self, sql: Dialect, facts: Facts) -> dict[str, str]:
        seen = {sql.bit(age): when for age in range(self.days) if (when := facts.age(age))}
        return {"bits": sql.bits_of(seen)}

    def aged(self, sql: Dialect, states: States, periods: int) -> dict[str, str]:
        return {"bits": sql.shifted(states["bits"], periods, self.days)}

    def finish(self, sql: Dialect, states: States, partition: Typed) -> str:
        return sql.count_bits(states["bits"])

    @property
    def window(self) -> int:
        return self.days


def _whole_number(days: object, what: str, most: int) -> None:
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= most:
        raise SpecError(f"{what}: {days!r} is no number of days", hint=f"a whole number from 1 to {most}")
