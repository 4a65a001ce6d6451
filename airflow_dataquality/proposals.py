"""Which rules to propose for what was measured on a table: conservative ones, with why.

A rule states what held in every partition that was looked at, widened where numbers vary from day to day. Facts
(no NULL, no repetition, these columns) are errors; ranges are warnings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from airflow_dataquality.model import Column, Metric
from airflow_dataquality.results import Measurement
from airflow_dataquality.rulefile import on_one_line

ROWS = Metric("row_count")
FEW_ROWS = 30
"""With fewer rows, that no value is missing or repeated tells nothing."""
FEW_VALUES = 20
"""Different values that are listed at most."""
OFTEN = 10
"""How often a value must come on average, for the values to be a list and no accident."""
PERIODS = 5
"""Partitions from which on their spread tells how a number varies."""
LONG = 200
"""Characters of a value that nobody lists."""
MOST_NULL = 0.9
"""A share of NULLs from which on a limit would tell nothing."""


@dataclass(frozen=True)
class Proposal:
    """A rule, and why it is proposed; without a rule, why none is."""

    rule: Mapping[str, Any]
    because: str

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return f"{self.rule['check']}({self.rule.get('column', '')})"


@dataclass(frozen=True)
class Described:
    """A column, as far as it matters here.

    :param countable: its values can be counted apart
    :param whole: it holds whole numbers, or identifiers
    """

    name: str
    category: str | None
    countable: bool
    whole: bool

    @classmethod
    def of(cls, column: Column, session: Any) -> Described:
        """Of the catalog's description."""
        kind = column.type.lower()
        known = column.category in ("number", "text", "time", "boolean") or kind == "uuid"
        countable = known and column.category not in session.dialect.unordered
        category = None if kind == "money" else column.category  # which has no average, and is read as text
        return cls(column.name, category, countable, "int" in kind or "serial" in kind or kind == "uuid")

    @property
    def title(self) -> str:
        """Its name, on one line."""
        return on_one_line(self.name)


@dataclass(frozen=True)
class Seen:
    """What was measured.

    :param groups: on each partition; one if the table was looked at as a whole
    :param past: what the ledger knows beside that: values by metric
    :param rows: in all of them
    """

    groups: Sequence[Mapping[Metric, Measurement]]
    past: Mapping[str, Sequence[float]]
    rows: int
    partitioned: bool

    def values(self, metric: Metric) -> list[Any] | None:
        """Of every partition, and of the past; None if one is not known."""
        if not self.groups or any(metric not in group or group[metric].error for group in self.groups):
            return None
        return [group[metric].value for group in self.groups]

    def numbers(self, metric: Metric) -> list[float]:
        """The finite numbers among them, and those of the past; none if one is no number."""
        values = [value for value in self.values(metric) or () if value is not None]
        if any(isinstance(value, bool) or not isinstance(value, int | float | Decimal) for value in values):
            return []
        try:
            numbers = [float(value) for value in values]
        except OverflowError:
            return []
        if not all(map(math.isfinite, numbers)):
            return []
        return [*numbers, *(value for value in self.past.get(metric.series, ()) if math.isfinite(value))]

    def few_values(self, column: Described) -> bool:
        """Whether the column has so few values, each so often, that they are a list."""
        counts = self.numbers(Metric("distinct_count", (column.name,)))
        most = max(counts, default=0)
        return 0 < most <= FEW_VALUES and self.rows >= max(FEW_ROWS, OFTEN * most)

    @property
    def each(self) -> str:
        """Where something held."""
        return "in any partition" if self.partitioned else "in the table"


def metrics_of(column: Described) -> Iterator[Metric]:
    """What is measured of a column: two scans take all of it."""
    on = (column.name,)
    yield Metric("null_count", on)
    yield Metric("null_ratio", on)
    if column.category == "number":
        yield Metric("min", on)
        yield Metric("mean", on)
    if column.category == "text":
        yield Metric("min_length", on)
        yield Metric("max_length", on)
        yield Metric("empty_count", on)
    if column.countable and (column.category == "text" or column.whole):
        yield Metric("distinct_count", on)
        yield Metric("unique_violations", on)


def of_table(seen: Seen, columns: Sequence[Column]) -> Iterator[Proposal]:
    """Rules for the table itself."""
    listed = {column.name: column.type or None for column in columns}
    yield Proposal(
        {"check": "schema", "columns": listed}, f"{len(listed)} columns; a new, missing or changed one is noticed"
    )
    counts = seen.numbers(ROWS)
    if not seen.rows:
        return
    low, high = min(counts), max(counts)
    if low == 0:  # the ledger knows of a time when there were none
        return
    if len(counts) < PERIODS:
        yield Proposal(_rule("row_count", None, {"greater_than": 0}), "some rows, at least")
        return
    condition = {"geq_to": math.floor(rounded(low / 2, -1)), "leq_to": math.ceil(rounded(high * 2, +1))}
    if not condition["geq_to"]:
        condition = {"greater_than": 0, "leq_to": condition["leq_to"]}
    yield Proposal(
        _rule("row_count", None, condition, warn=True),
        f"{_said(low)} to {_said(high)} rows in {len(counts)} partitions; half the fewest, twice the most",
    )


def of_column(column: Described, seen: Seen, values: Sequence[Any] | None) -> list[Proposal]:
    """Rules for one column; or one proposal without a rule, which says why there is none.

    :param values: its values, if they are few
    """
    found = [
        *_of_nulls(column, seen),
        *_of_keys(column, seen),
        *_of_numbers(column, seen),
        *_of_texts(column, seen),
        *_of_values(column, values),
    ]
    return found or [Proposal({}, f"{column.title}: {_why_nothing(column, seen)}")]


def _why_nothing(column: Described, seen: Seen) -> str:
    if not seen.rows:
        return "there are no rows"
    shares = seen.numbers(Metric("null_ratio", (column.name,)))
    if shares and min(shares) >= 1:
        return "every value is NULL"
    return "nothing about it held that would be worth a rule"


def _of_nulls(column: Described, seen: Seen) -> Iterator[Proposal]:
    counts = seen.numbers(Metric("null_count", (column.name,)))
    shares = seen.numbers(Metric("null_ratio", (column.name,)))
    if not counts or not seen.rows or not shares:
        return
    if max(counts) == 0 and max(shares) == 0:
        sure = seen.rows >= FEW_ROWS
        why = f"no NULL {seen.each}" + ("" if sure else f", though of {seen.rows} rows alone")
        yield Proposal(_rule("null_count", column.name, {"equal_to": 0}, warn=not sure), why)
        return
    limit = rounded(min(max(shares) * 1.5 + 0.01, 1.0), +1)
    if limit < MOST_NULL and seen.rows >= FEW_ROWS:
        why = f"{max(shares):.2%} NULL at most {seen.each}"
        yield Proposal(_rule("null_ratio", column.name, {"leq_to": limit}, warn=True), why)


def _of_keys(column: Described, seen: Seen) -> Iterator[Proposal]:
    repeated = seen.numbers(Metric("unique_violations", (column.name,)))
    nulls = seen.numbers(Metric("null_count", (column.name,)))
    counts = seen.numbers(ROWS)
    if not repeated or max(repeated) or not nulls or max(nulls) or seen.rows < FEW_ROWS:
        return
    if max(counts) < 2:  # noqa: PLR2004 - one row in each partition repeats nothing
        return
    yield Proposal(_rule("unique_violations", column.name, {"equal_to": 0}), f"no value comes twice {seen.each}")


def _of_numbers(column: Described, seen: Seen) -> Iterator[Proposal]:
    if column.category != "number":
        return
    least = seen.numbers(Metric("min", (column.name,)))
    if least and min(least) >= 0 and seen.rows >= FEW_ROWS:
        why = f"nothing below 0 {seen.each}; the least is {_said(min(least))}"
        yield Proposal(_rule("min", column.name, {"geq_to": 0}, warn=True), why)
    means = seen.numbers(Metric("mean", (column.name,)))
    if len(means) < PERIODS or seen.numbers(Metric("unique_violations", (column.name,))) == [0.0] * len(seen.groups):
        return
    low, high = min(means), max(means)
    room = max(high - low, abs(low) * 0.1, abs(high) * 0.1)
    bounds = [rounded(low - room, -1), rounded(high + room, +1)]
    if room and all(map(math.isfinite, bounds)):
        condition = dict(zip(("geq_to", "leq_to"), bounds, strict=True))
        why = f"means from {_said(low)} to {_said(high)} in {len(means)} partitions, and as much again on each side"
        yield Proposal(_rule("mean", column.name, condition, warn=True), why)


def _of_texts(column: Described, seen: Seen) -> Iterator[Proposal]:
    if column.category != "text" or seen.rows < FEW_ROWS:
        return
    shortest = seen.numbers(Metric("min_length", (column.name,)))
    longest = seen.numbers(Metric("max_length", (column.name,)))
    empty = seen.numbers(Metric("empty_count", (column.name,)))
    if not shortest or not longest:
        return
    if min(shortest) == max(longest) and min(shortest) > 0:
        why = f"every value has {_said(min(shortest))} characters"
        for check in ("min_length", "max_length"):
            yield Proposal(_rule(check, column.name, {"equal_to": int(min(shortest))}), why)
    elif empty and max(empty) == 0:
        yield Proposal(_rule("empty_count", column.name, {"equal_to": 0}), f"no empty text {seen.each}")


def _of_values(column: Described, values: Sequence[Any] | None) -> Iterator[Proposal]:
    if not values or not all(_listable(value) for value in values):
        return
    rule = {"check": "values_outside", "column": column.name, "values": sorted(values), "condition": {"equal_to": 0}}
    yield Proposal(rule, f"{len(values)} values in all; a new one is noticed")


def _listable(value: Any) -> bool:
    """Whether a value can stand in a file, and is no template there."""
    return isinstance(value, str) and len(value) <= LONG and not any(part in value for part in ("\x00", "{{", "{%"))


def _rule(check: str, column: str | None, condition: Mapping[str, Any], *, warn: bool = False) -> dict[str, Any]:
    return {
        "check": check,
        **({} if column is None else {"column": column}),
        "condition": {name: _plain(value) for name, value in condition.items()},
        **({"severity": "warn"} if warn else {}),
    }


def _plain(value: float) -> float:
    return int(value) if float(value).is_integer() else float(value)


def rounded(value: float, direction: int) -> float:
    """The nearest number of two digits that is not inside: below (-1) or above (+1).

    >>> rounded(0.1234, +1), rounded(1234.0, -1), rounded(-5.01, -1)
    (0.13, 1200.0, -5.1)
    """
    if not value or not math.isfinite(value):
        return value
    with_digits = Decimal(repr(value))
    unit = Decimal(1).scaleb(with_digits.adjusted() - 1)
    quotient = with_digits / unit
    whole = quotient.to_integral_value("ROUND_FLOOR" if direction < 0 else "ROUND_CEILING")
    return float(whole * unit)


def _said(value: float) -> str:
    return f"{value:,.6g}"
