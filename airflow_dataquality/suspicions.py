"""What is suspicious in rules that can be read: what can never fail, or never pass, or is a slip of the pen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from airflow_dataquality.model import Check, Interval
from airflow_dataquality.vocabulary import KINDS, scale_of

_SHARES = ("null_ratio", "true_ratio", "unsorted_ratio")
_EXACT = ("mean", "stddev", "quantile", "mean_shift")
"""Kinds whose value is computed in floating point."""
_LEAST: Mapping[str, int] = {
    "stddev": 0, "min_length": 0, "max_length": 0, "row_count_ratio": 0, "churn_ratio": 0, "mean_shift": 0,
    "table_size_mb": 0, "stats_off": 0, "skew_rows": 1, "column_count": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Suspicion:
    """Something in a rule that is allowed, and probably not meant.

    :param path: of what it is about, inside the rule
    """

    code: str
    message: str
    hint: str
    path: tuple[str, ...] = ()


def suspicions(check: Check, rule: Mapping[str, Any]) -> Iterator[Suspicion]:
    """What is suspicious in one rule."""
    yield from _of_parameters(check)
    if isinstance(check.expect, Interval):
        yield from _of_interval(check, check.expect)
        yield from _of_condition(check, rule.get("condition") or {})


def of_pair(check: Check, other: Check, number: int) -> Suspicion | None:
    """What is suspicious in a rule beside an earlier one.

    :param number: of the other rule
    """
    if replace(check.metric, label=None) != replace(other.metric, label=None):
        return None
    if check.expect == other.expect:
        return Suspicion("duplicate-rule", f"the same as rules[{number}]", "remove one of them")
    if isinstance(check.expect, Interval) and isinstance(other.expect, Interval) and _apart(check.expect, other.expect):
        return Suspicion(
            "contradiction", f"no value can be {check.expect}, and {other.expect} as rules[{number}] wants",
            "mend one of them", ("condition",),
        )  # fmt: skip
    return None


def _of_interval(check: Check, expect: Interval) -> Iterator[Suspicion]:
    word, kind = check.metric.kind, KINDS[check.metric.kind]
    low, high = _domain(word)
    if low is None or not all(isinstance(end, int | float | Decimal | None) for end in (expect.low, expect.high)):
        return
    path = ("condition",)
    whole = scale_of(kind) == "count" or word in ("min_length", "max_length")
    if word in _SHARES and _percent(expect):
        yield Suspicion("percent", f"{word} is a share from 0 to 1, not a percentage", "write 0.05 for 5 %", path)
    elif _apart(expect, Interval(low, high)) or (whole and _between_whole_numbers(expect)):
        of = "a whole number" if whole else "a number"
        known = f"{of} from {low} on" if high is None else f"{of} from {low} to {high}"
        yield Suspicion("never-passes", f"{word} is {known}, and so never {expect}", "mend the condition", path)
    elif _holds(expect, low) and (expect.high is None if high is None else _holds(expect, high)):
        known = f"{low} or more" if high is None else f"from {low} to {high}"
        yield Suspicion("never-fails", f"{word} is always {known}: {expect} never fails", "tighten the condition", path)
    elif kind.violations and not _holds(expect, 0):
        yield Suspicion(
            "wants-violations", f"{word} counts what is wrong, and this passes only if something is: {expect}",
            "write {equal_to: 0}, or an upper bound", path,
        )  # fmt: skip


def _percent(expect: Interval) -> bool:
    return any(end is not None and end > 1 for end in (expect.low, expect.high))


def _domain(word: str) -> tuple[int | None, int | None]:
    """The least and the greatest value that a metric can have; None, None if it can have any."""
    if word in _SHARES:
        return 0, 1
    if word == "check_statement":
        return 0, 1
    if word in _LEAST:
        return _LEAST[word], 100 if word == "stats_off" else None
    return (0, None) if scale_of(KINDS[word]) == "count" else (None, None)


def _holds(expect: Interval, value: float) -> bool:
    return value in expect


def _apart(one: Interval, other: Interval) -> bool:
    """Whether no value lies in both."""
    try:
        return _below(one, other) or _below(other, one)
    except TypeError:
        return False


def _below(one: Interval, other: Interval) -> bool:
    if one.high is None or other.low is None:
        return False
    return bool(one.high < other.low or (one.high == other.low and (one.high_open or other.low_open)))


def _between_whole_numbers(expect: Interval) -> bool:
    """Whether no whole number lies in it."""
    if expect.low is None or expect.high is None:
        return False
    first = int(expect.low // 1)
    return not any(first + step in expect for step in (0, 1, 2)) and expect.high - expect.low <= 1


def _of_condition(check: Check, condition: Mapping[str, Any]) -> Iterator[Suspicion]:
    bounds = {key: value for key, value in condition.items() if key != "tolerance" and value is not None}
    if condition.get("tolerance") and all(value == 0 for value in bounds.values()):
        yield Suspicion(
            "tolerance-of-zero", "a tolerance is a percentage of the bound, and of 0 it is 0",
            "write a range: {geq_to: …, leq_to: …}", ("condition", "tolerance"),
        )  # fmt: skip
    if check.metric.kind in _EXACT and "equal_to" in bounds and not condition.get("tolerance"):
        yield Suspicion(
            "exact-float", f"{check.metric.kind} is computed in floating point, and seldom equal to anything",
            "add a tolerance, or write a range", ("condition", "equal_to"),
        )  # fmt: skip


def _of_parameters(check: Check) -> Iterator[Suspicion]:
    params = dict(check.metric.params)
    values = params.get("values", ())
    if any(isinstance(value, bool) for value in values) and not all(isinstance(value, bool) for value in values):
        yield Suspicion(
            "boolean", "a true or false among other values: YAML reads an unquoted NO, YES, ON or OFF so",
            'write them in quotes: "NO"', ("values",),
        )  # fmt: skip
    if "pattern" in params and (problem := _pattern_problem(params["pattern"])):
        yield Suspicion("pattern", f"Python cannot read the pattern: {problem}", "mend it, unless the database can",
                        ("pattern",))  # fmt: skip
    if "sql" in params and "{table}" not in params["sql"]:
        yield Suspicion(
            "no-table", "the SQL does not name {table}, and so looks neither at staged rows nor at the partition",
            "write {table} for what is checked", ("sql",),
        )  # fmt: skip


def _pattern_problem(pattern: str) -> str | None:
    if "[[:" in pattern or "{{" in pattern or pattern.startswith("***"):  # POSIX, or a template
        return None
    try:
        re.compile(pattern)
    except re.error as error:
        return str(error)
    return None
