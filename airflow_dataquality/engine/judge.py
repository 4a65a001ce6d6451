"""Resolve checks against the columns that the database has, and judge what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.model import Baseline, Check, Column, Interval, Metric, Severity, Table
from airflow_dataquality.results import Expectation, Measurement, Result, Status, Summary
from airflow_dataquality.vocabulary import KINDS

_VALUES: dict[str, tuple[type, ...]] = {
    "number": (int, float, Decimal),
    "text": (str,),
    "time": (date, str),
}
"""Which Python values a column of a category is compared with. A boolean is a number to some databases."""


def resolve(checks: Iterable[Check], columns: Sequence[Column], *, dialect: Dialect) -> tuple[Check, ...]:
    """Give the checks the columns' exact names, and refuse what the columns cannot answer.

    :raises SpecError: with every problem, each naming the check's place and the nearest spelling
    """
    known = {column.name: column for column in columns}
    resolved = [_with_names(check, known, dialect) for check in checks]
    problems = list(dict.fromkeys(problem for check in resolved for problem in _problems(check, known, dialect)))
    if len(problems) == 1:
        raise SpecError(problems[0][0], hint=problems[0][1])
    if problems:
        lines = [f"  - {message} ({hint})" for message, hint in problems]
        raise SpecError(f"{len(problems)} checks do not fit the table:\n" + "\n".join(lines), hint="mend each of them")
    return tuple(resolved)


def _with_names(check: Check, known: Mapping[str, Column], dialect: Dialect) -> Check:
    if not (check.folds or dialect.folds_quoted):
        return check
    names = tuple(_folded(name, known, dialect) for name in check.metric.columns)
    return replace(check, metric=replace(check.metric, columns=names))


def _folded(name: str, known: Mapping[str, Column], dialect: Dialect) -> str:
    folded = dialect.fold(name)
    if folded in known or name in known:
        return folded if folded in known else name
    return {dialect.fold(column): column for column in known}.get(folded, name)


def _problems(check: Check, known: Mapping[str, Column], dialect: Dialect) -> Iterator[tuple[str, str]]:
    place, metric = check.source or check.name, check.metric
    if KINDS[metric.kind].health and metric.kind not in dialect.templates:
        yield f"{place}: {dialect.name} does not tell {metric.kind}", KINDS[metric.kind].doc
    for name in metric.columns:
        if name not in known:
            yield f"{place}: no column {name!r}", did_you_mean(name, known, label="Columns")
        else:
            yield from ((f"{place}: {problem}", hint) for problem, hint in _misfits(check, known[name], dialect))
    yield from ((f"{place}: {problem}", hint) for problem, hint in _bad_params(metric, dialect))


def _misfits(check: Check, column: Column, dialect: Dialect) -> Iterator[tuple[str, str]]:
    kind, word = KINDS[check.metric.kind], check.metric.kind
    if column.category is None:
        return
    if kind.category and column.category != kind.category:
        yield f"{word} needs a column of category {kind.category}; {column.name} is {column.type}", "name another"
    if word in ("min", "max") and column.category in dialect.unordered:
        yield f"{word} has no meaning on {column.name}, which is {column.type}", "use values_outside or a custom_sql"
    elif word == "values_outside":
        yield from _wrong_values(check.metric.param("values"), column, "values holds")
    elif kind.value == "scalar" and isinstance(check.expect, Baseline):
        if column.category not in ("number", None):
            yield f"{word} of {column.name} is {column.type}, of which a baseline knows nothing", "name a number"
    elif kind.value == "scalar" and check.metric.columns and isinstance(check.expect, Interval):
        bounds = [bound for bound in (check.expect.low, check.expect.high) if bound is not None]
        yield from _wrong_values(bounds, column, "the condition holds")


def _wrong_values(values: Iterable[Any], column: Column, what: str) -> Iterator[tuple[str, str]]:
    wanted = _VALUES.get(column.category or "")
    if wanted is None:
        return
    for value in values:
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            hint = f"write {str(value)!r}, in quotes" if column.category == "text" else f"write a {column.category}"
            yield f"{what} {value!r}, but {column.name} is {column.type}", hint
            return


def _bad_params(metric: Metric, dialect: Dialect) -> Iterator[tuple[str, str]]:
    params = dict(metric.params)
    if "pattern" in params and (problem := dialect.pattern_problem(params["pattern"])):
        yield f"pattern {params['pattern']!r} is no regular expression: {problem}", "mend the pattern"
    if metric.kind == "custom_sql":
        try:
            dialect.query(params["sql"])
        except SpecError as error:
            yield f"sql: {error.message}", "write one SELECT"
    if metric.kind == "orphan_count":
        theirs = params.get("referenced_columns", metric.columns)
        if len(theirs) != len(metric.columns):
            yield f"{len(metric.columns)} columns refer to {len(theirs)}", "name as many referenced_columns as columns"
        try:
            Table.parse(params["references"], dialect.fold)
        except SpecError as error:
            yield f"references: {error.message}", error.hint or ""


def judge(
    checks: Iterable[Check],
    measurements: Mapping[Metric, Measurement],
    expectations: Mapping[Check, Expectation] | None = None,
) -> Summary:
    """Compare each measurement with the interval it must lie in. Nothing that was not measured passes.

    :param expectations: of the checks that have a baseline
    """
    return Summary(tuple(_judged(c, measurements[c.metric], (expectations or {}).get(c)) for c in checks))


def _judged(check: Check, found: Measurement, expectation: Expectation | None) -> Result:
    if found.error is not None:
        return Result(check, None, Status.ERROR, f"{check.metric} could not be measured: {found.error}")
    if found.absent is not None:
        return Result(check, None, Status.SKIP, found.absent)
    if found.rows == 0 and not KINDS[check.metric.kind].counts_empty:
        return Result(check, None, Status.SKIP, "no rows to check")
    if isinstance(check.expect, Baseline):
        return _against_past(check, found.value, expectation or Expectation(basis="its past was not read"))
    if found.value is None and check.null_is_zero:
        found = replace(found, value=0, detail="it is NULL, which SQLColumnCheckOperator takes as 0")
    if found.value is None:
        return _without_value(check)
    assert isinstance(check.expect, Interval)  # formulas are judged by engine.experiment
    return _against_interval(check, check.expect, found)


def _against_interval(check: Check, expect: Interval, found: Measurement) -> Result:
    value = found.value
    try:
        inside = value in expect
    except (TypeError, ValueError, ArithmeticError):
        reason = f"{check.metric} is {value!r}, which cannot be compared with {expect}"
        return Result(check, value, Status.ERROR, reason)
    detail = f" ({found.detail})" if found.detail else ""
    reason = f"{check.metric} is {said(value)}{detail}, expected {expect}"
    return Result(check, value, Status.PASS if inside else outside(check), reason)


def _without_value(check: Check) -> Result:
    if check.metric.kind == "stddev":
        return Result(check, None, Status.SKIP, "fewer than two values")
    if check.metric.kind == "custom_sql":
        return Result(check, None, outside(check), f"the SQL returned NULL, expected {check.expect}")
    every = f": every {check.metric.columns[0]} is NULL" if check.metric.columns else ""
    return Result(check, None, outside(check), f"{check.metric} has no value{every}; expected {check.expect}")


def _against_past(check: Check, value: Any, found: Expectation) -> Result:
    is_now = f"{check.metric} has no value" if value is None else f"{check.metric} is {said(value)}"
    if found.interval is None:
        return Result(check, value, Status.SKIP, f"{is_now}: {found.basis}", found)
    if found.score is None and isinstance(value, str | date):
        return Result(check, value, Status.ERROR, f"{is_now}, which is no number", found)
    if value is None and check.metric.kind == "stddev":
        return Result(check, None, Status.SKIP, "fewer than two values", found)
    reason = (
        f"{is_now}, expected about {_rounded(found.expected)} "
        f"({_range(found.interval)}; {found.basis}, {found.history} values)"
    )
    if found.score is None:  # NULL or NaN, where there were numbers
        return Result(check, value, outside(check), reason, found)
    off = f"{min(abs(found.score), 99):.1f} sigma"
    if found.outside:
        side = "above" if found.score > 0 else "below"
        return Result(check, value, outside(check), f"{reason}: {off} {side}", found)
    if found.by_chance:
        reason += f": {off}, but among so many tests chance explains it (q = {found.q_value:.2g})"
    return Result(check, value, Status.PASS, reason, found)


def _range(interval: Interval) -> str:
    low, high = interval.low, interval.high
    if low is None and high is None:
        return "anything is possible"
    if low is None or high is None:
        return f"at least {_rounded(low)}" if high is None else f"at most {_rounded(high)}"
    return f"{_rounded(low)} to {_rounded(high)}"


def _rounded(value: float | None) -> str:
    """A number that nobody measured, in four digits.

    >>> _rounded(1234567.8), _rounded(0.00123456), _rounded(472.0)
    ('1,234,568', '0.001235', '472')
    """
    if value is None:
        return "?"
    whole = 1_000 <= abs(value) < 10**15  # noqa: PLR2004 - from here on, digits after the point tell nothing
    return f"{value:,.0f}" if whole else f"{value:.4g}"


def outside(check: Check) -> Status:
    """What a check is that does not hold."""
    return Status.WARN if check.severity is Severity.WARN else Status.FAIL


def said(value: Any) -> str:
    """A value as people read it: ``0.1``, not ``0.1000000000000000055``."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
