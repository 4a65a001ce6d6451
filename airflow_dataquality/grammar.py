"""The grammar of one check: its parts, validated. Files and dict forms are :mod:`airflow_dataquality.spec`'s."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from airflow_dataquality.baseline import baseline as read_baseline
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.model import Baseline, Check, FailOn, Interval, Metric, Severity
from airflow_dataquality.monitor import monitor as read_monitor
from airflow_dataquality.vocabulary import DIMENSIONS, KINDS, WRITABLE, Kind, Takes

PERCENT = Decimal("0.01")
FRACTION = Decimal(1)
"""Units of ``tolerance``: rules give a percentage, the dicts of Airflow's SQL operators a fraction."""

COMPARISONS = ("equal_to", "greater_than", "geq_to", "less_than", "leq_to")
CONDITION = (*COMPARISONS, "tolerance")

_Word = TypeVar("_Word", Severity, FailOn)


def build(
    word: str,
    columns: Any,
    *,
    condition: Mapping[str, Any],
    params: Mapping[str, Any],
    where: str,
    baseline: Any = None,
    tolerance_unit: Decimal = PERCENT,
    name: str | None = None,
    severity: str | None = None,
    partition_clause: str | None = None,
    description: str | None = None,
    dimension: str | None = None,
    monitor: Any = None,
) -> Check:
    """Make a check of its parts, refusing what can never work.

    :param word: a word of the vocabulary
    :param columns: a column, several, or None
    :param where: what to call the place in an error
    :param baseline: from which the interval is computed, instead of a condition
    :param monitor: who is told when it fails
    :raises SpecError: naming the place, the mistake and the candidates
    """
    kind = kind_of(word, where)
    metric = Metric(word, _columns(kind, word, columns, where), _freeze_params(kind, word, params, where),
                    _clause(partition_clause, where), label=name if kind.params else None)  # fmt: skip
    if dimension is not None and dimension not in DIMENSIONS:
        raise SpecError(f"{where}: unknown dimension {dimension!r}", hint=did_you_mean(dimension, DIMENSIONS))
    for label, text in (("name", name), ("description", description)):
        if text is not None and (not isinstance(text, str) or not text.strip()):
            raise SpecError(f"{where}: {label} {text!r} is not a text", hint=f"write a {label}, or leave it out")
    return Check(
        name=name or str(metric),
        metric=metric,
        expect=_expect(condition, baseline, kind=kind, word=word, where=where, tolerance_unit=tolerance_unit),
        severity=one_of(Severity, severity or Severity.ERROR, f"{where}: severity"),
        description=description,
        dimension=dimension or kind.dimension,
        source=where,
        named=name is not None,
        monitor=read_monitor(monitor, where),
    )


def _expect(
    condition: Mapping[str, Any], baseline: Any, *, kind: Kind, word: str, where: str, tolerance_unit: Decimal
) -> Interval | Baseline:
    if baseline is None:
        return interval(condition, kind=kind, word=word, where=where, tolerance_unit=tolerance_unit)
    if given := [name for name, value in condition.items() if value is not None]:
        raise SpecError(f"{where}: both a baseline and {', '.join(given)}", hint="keep one of them")
    if word == "check_statement":
        raise SpecError(f"{where}: {word} is true or false, and has no baseline", hint="measure a number")
    return read_baseline(baseline, where)


def one_of(words: type[_Word], value: Any, what: str) -> _Word:
    """The member of the enumeration.

    :raises SpecError: listing the members
    """
    try:
        return words(value)
    except ValueError:
        raise SpecError(f"{what} is {value!r}", hint=did_you_mean(value, list(words), label="Known")) from None


def interval(
    condition: Mapping[str, Any], *, kind: Kind, word: str, where: str, tolerance_unit: Decimal = PERCENT
) -> Interval:
    """The interval that a condition describes, widened by its tolerance.

    :param tolerance_unit: what 1 of ``tolerance`` is: PERCENT or FRACTION of the bound
    :raises SpecError: if the condition is unknown, empty, of the wrong type, or contradicts itself
    """
    only(condition, CONDITION, where, "condition")
    given = {key: _bound(value, kind, f"{where}: {key}") for key, value in condition.items() if value is not None}
    tolerance = given.pop("tolerance", None)
    if not given:
        if kind.violations or word == "check_statement":
            return Interval(0, 0) if kind.violations else Interval(1, 1)
        raise SpecError(f"{where}: no condition for {word}", hint=f"add one of {', '.join(COMPARISONS)}, or a baseline")
    for one, other in (("greater_than", "geq_to"), ("less_than", "leq_to")):
        if one in given and other in given:
            raise SpecError(f"{where}: both {one} and {other}", hint="keep one of them")
    if "equal_to" in given and len(given) > 1:
        raise SpecError(f"{where}: equal_to beside {', '.join(sorted(set(given) - {'equal_to'}))}",
                        hint="equal_to stands alone; for a range, write geq_to and leq_to")  # fmt: skip
    widen = _widener(tolerance, tolerance_unit, where)
    low = given.get("equal_to", given.get("geq_to", given.get("greater_than")))
    high = given.get("equal_to", given.get("leq_to", given.get("less_than")))
    try:
        Interval(low, high, "greater_than" in given, "less_than" in given)
        return Interval(widen(low, -1), widen(high, +1), "greater_than" in given, "less_than" in given)
    except SpecError as error:
        raise SpecError(f"{where}: the condition contradicts itself: {error.message}", hint=error.hint) from None


def _widener(tolerance: Any, unit: Decimal, where: str) -> Callable[[Any, int], Any]:
    if tolerance is None:
        return lambda bound, _: bound
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float | Decimal) or not tolerance >= 0:
        raise SpecError(f"{where}: tolerance {tolerance!r} is not a number ≥ 0", hint="tolerance: 10 widens by 10 %")
    share = Decimal(str(tolerance)) * unit

    def widen(bound: Any, sign: int) -> Any:
        if bound is None:
            return None
        if isinstance(bound, bool) or not isinstance(bound, int | float | Decimal):
            raise SpecError(f"{bound!r} is not a number, so a tolerance does not widen it", hint="remove tolerance")
        exact = Decimal(str(bound))
        # Decimal, so that 100 ± 10 % is 90 and 110, not 110.00000000000001.
        return float(exact + sign * abs(exact) * share)

    return widen


_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?)\s*")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(value: Any, what: str) -> float:
    """A duration in seconds, of a number, a timedelta or a text such as "200ms", "15m", "26h".

    :raises SpecError: if it is none of these, or negative

    >>> seconds("1.5h", "lock_timeout"), seconds(2, "lock_timeout")
    (5400.0, 2.0)
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        number, unit = match.groups()
        return float(number) * (_SECONDS["ms"] if unit == "ms" else _SECONDS[unit[0]])
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise SpecError(f"{what} {value!r} is not a duration", hint='write seconds, a timedelta, or "200ms", "15m", "26h"')


def _bound(value: Any, kind: Kind, what: str) -> Any:
    if kind.value == "duration" and isinstance(value, str | timedelta):
        return seconds(value, what)
    if kind.value == "scalar" and isinstance(value, str | date | bool):
        return value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return value
    wanted = {"number": "a number", "duration": 'seconds or "26h"', "scalar": "a number, text or date"}[kind.value]
    raise SpecError(f"{what} is {value!r}, not {wanted}", hint=f"write {wanted}")


def kind_of(word: Any, where: str) -> Kind:
    """The kind of that word.

    :raises SpecError: naming the nearest one
    """
    if word in WRITABLE:
        return KINDS[word]
    raise SpecError(f"{where}: unknown check {word!r}", hint=did_you_mean(str(word), WRITABLE, label="Checks"))


def params_of(kind: Kind) -> tuple[str, ...]:
    """The names of its parameters."""
    return tuple(name.rstrip("?") for name in kind.params)


_COLUMN_HINTS = {
    Takes.NONE: "remove `column`",
    Takes.ONE: "write one check for each column",
    Takes.SOME: "add `column`",
}


def _columns(kind: Kind, word: str, columns: Any, where: str) -> tuple[str, ...]:
    listed = () if columns is None else (columns,) if isinstance(columns, str) else tuple(columns)
    if any(not isinstance(column, str) or not column for column in listed):
        raise SpecError(f"{where}: column {columns!r} is not a name", hint="write the column's exact name")
    if len(set(listed)) != len(listed):
        raise SpecError(f"{where}: a column is named twice in {list(listed)}", hint="name each column once")
    fits = {Takes.NONE: len(listed) == 0, Takes.ONE: len(listed) == 1, Takes.SOME: len(listed) >= 1}[kind.takes]
    if not fits:
        raise SpecError(f"{where}: {word} takes {kind.takes.value}, not {len(listed)}",
                        hint=_COLUMN_HINTS[kind.takes if listed else Takes.SOME])  # fmt: skip
    return listed


def _freeze_params(kind: Kind, word: str, params: Mapping[str, Any], where: str) -> tuple[tuple[str, Any], ...]:
    frozen = {}
    for name in params_of(kind):
        if params.get(name) is None:
            if name in kind.params:  # and not `name?`
                raise SpecError(f"{where}: {word} needs `{name}`", hint=KINDS[word].doc)
            continue
        try:
            frozen[name] = _PARAMS.get(name, lambda value: value)(params[name])
        except (TypeError, ValueError) as error:
            raise SpecError(f"{where}: {name} {params[name]!r} {error}", hint=KINDS[word].doc) from None
    return tuple(sorted(frozen.items()))


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("is not a text")
    return value


def _quantile(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("is not a number from 0 to 1")
    return float(value)


def _accepted(values: Any) -> tuple[Any, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ValueError("is not a list")
    listed = tuple(value for value in values if value is not None)
    if not listed:
        raise ValueError("names no value, so every row would violate it")
    if bad := [v for v in listed if not isinstance(v, str | int | float | Decimal | bool | date)]:
        raise ValueError(f"holds {bad[0]!r}, which is not a plain value")
    return listed


def _names(value: Any) -> tuple[str, ...]:
    listed = (value,) if isinstance(value, str) else tuple(value)
    if not listed or not all(isinstance(name, str) and name for name in listed):
        raise ValueError("is not a list of column names")
    return listed


def _expected_columns(value: Any) -> tuple[tuple[str, str | None], ...]:
    if isinstance(value, Mapping):
        if not value or not all(isinstance(k, str) and isinstance(v, str | None) for k, v in value.items()):
            raise ValueError("is not a mapping of column to type")
        return tuple(value.items())
    return tuple((name, None) for name in _names(value))


_PARAMS: dict[str, Callable[[Any], Any]] = {
    "q": _quantile,
    "values": _accepted,
    "pattern": _text,
    "sql": _text,
    "statement": _text,
    "references": _text,
    "referenced_columns": _names,
    "columns": _expected_columns,
}


def _clause(clause: Any, where: str) -> str | None:
    if clause is None:
        return None
    if not isinstance(clause, str) or not clause.strip():
        raise SpecError(f"{where}: partition_clause {clause!r} is not a text", hint="write a predicate: region = 'EU'")
    # Airflow's operators refuse it too: a clause is one predicate, pasted into a WHERE.
    if ";" in clause:
        raise SpecError(f"{where}: a semicolon in partition_clause {clause!r}", hint="write one predicate, no `;`")
    return clause.strip()


def only(data: Mapping[str, Any], known: Iterable[str], where: str, what: str) -> None:
    """Refuse keys that are not known.

    :raises SpecError: naming the nearest one
    """
    known = tuple(dict.fromkeys(known))
    for key in data:
        if key not in known:
            raise SpecError(f"{where}: unknown {what} {key!r}", hint=did_you_mean(str(key), known))
