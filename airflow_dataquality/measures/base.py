"""What a measure is."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING

from airflow_dataquality.dialects.facts import expression
from airflow_dataquality.dialects.summary import AGGREGATES
from airflow_dataquality.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from airflow_dataquality.dialects.base import Dialect
    from airflow_dataquality.dialects.facts import Facts
    from airflow_dataquality.dialects.summary import Typed

States = Mapping[str, str]
"""SQL of each state, by its name. A state that is missing is NULL."""


@dataclass(frozen=True)
class State:
    """A column that merges with another of its kind.

    :param aggregate: ``sum``, ``count``, ``min``, ``max`` or ``bit_or``: how it is computed, and how merged
    :param of: SQL over a fact's columns; ``*`` is the fact itself; None is the fact's partition
    """

    aggregate: str
    of: str | None = None

    def __post_init__(self) -> None:
        if self.aggregate not in AGGREGATES:
            raise SpecError(
                f"no state is merged by {self.aggregate!r}",
                hint=did_you_mean(self.aggregate, AGGREGATES, label="Aggregates"),
            )


@dataclass(frozen=True, repr=False)
class Measure(abc.ABC):
    """States, how they are computed, aged, merged, and what a reader sees of them.

    Only the states have to be said. A measure with one state that is seen as it is has one column; any other has a
    column of its own name, and one of each state, as in ``mean_delay__sum``.

    :raises SpecError: if an expression of a state cannot be one
    """

    def __post_init__(self) -> None:
        for state in self.states().values():
            if state.of not in (None, "*"):
                expression(state.of, type(self).__name__)

    @abc.abstractmethod
    def states(self) -> Mapping[str, State]:
        """The states, by names that differ within the measure."""

    def compute(self, sql: Dialect, facts: Facts) -> dict[str, str]:
        """The states of facts: aggregates over what ``facts.of(expression)`` names."""
        return {name: sql.aggregate(state.aggregate, facts.of(state.of)) for name, state in self.states().items()}

    def aged(self, sql: Dialect, states: States, periods: int) -> dict[str, str]:
        """The states so many periods later, when no fact has come."""
        return dict(states)

    def merged(self, sql: Dialect, a: States, b: States) -> dict[str, str]:
        """The states of two sets of facts as those of both. Either may be NULL, wholly or in part."""
        return {
            name: sql.merged(state.aggregate, a[name], b[name]) if name in a and name in b else {**a, **b}[name]
            for name, state in self.states().items()
            if name in a or name in b
        }

    def finish(self, sql: Dialect, states: States, partition: Typed) -> str:
        """What the reader sees.

        :param partition: the value of the row's partition, of which ``str()`` is the SQL
        """
        (only,) = states.values()
        return only

    @property
    def window(self) -> int:
        """How many periods of the past the states tell apart, the row's own included; 0 if none."""
        return 0

    @property
    def plain(self) -> bool:
        """Whether the only state is what is seen."""
        return len(self.states()) == 1 and type(self).finish is Measure.finish

    @property
    def columnwise(self) -> bool:
        """Whether each state is one aggregate, merged by itself, and no older for the time that passes."""
        kind = type(self)
        return (kind.compute, kind.aged, kind.merged) == (Measure.compute, Measure.aged, Measure.merged)

    def __repr__(self) -> str:
        """The definition, as it is written: ``Latest('origin', order_by='dep_time')``."""
        words = []
        for number, field in enumerate(fields(self)):
            value = getattr(self, field.name)
            if field.default is MISSING or value != field.default:
                words.append(repr(value) if number == 0 else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(words)})"
