"""An interval that is computed from a metric's own past: data, so that it prints and comes from YAML.

The arithmetic is that of :mod:`airflow_dataquality.stats`, which is imported when a baseline is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean

METHODS = ("auto", "zscore", "robust", "seasonal")
DIRECTIONS = ("both", "drop", "spike")
PERIODS = ("auto", "hour", "day", "week", "month")
SCALES = ("auto", "count", "rate", "value", "cumulative")

THRESHOLD = 3.5
"""Standard deviations. The default baseline flags a healthy daily metric once in three years at 3.5, and once a year
at 3.0: ``benchmarks/README.md`` has what was measured."""

FARTHEST = 30
"""Standard deviations beyond which a normal distribution has no tail that a float tells from none."""


@dataclass(frozen=True)
class Baseline:
    """What a metric's next value is expected to be, from the values before it.

    :param method: one of :data:`METHODS`; or a function of (past, dates, kinds) to a
        :class:`~airflow_dataquality.stats.forecast.Forecast`
    :param threshold: how far from what is expected a value may be, in standard deviations of a normal distribution
    :param direction: ``both``, or only a ``drop``, or only a ``spike``
    :param window: how many periods of history are looked at
    :param min_history: with fewer values than that, it cannot tell
    :param scale: what kind of number it is: a ``count``, a ``rate`` from 0 to 1, any ``value``, or a ``cumulative``
        total; ``auto`` tells by the metric, of which ``custom_sql`` and user-made numbers are values
    :param period: from one partition to the next; ``auto`` tells hours, days and months by the partition's value
    :param exclude: first and last dates that are neither history nor judged
    :param holidays: country, with ``-`` and a subdivision if need be, whose public holidays are neither: ``US-NY``
    """

    method: str | Callable[..., Any] = "auto"
    threshold: float = THRESHOLD
    direction: str = "both"
    window: int = 90
    min_history: int = 14
    scale: str = "auto"
    period: str = "auto"
    exclude: tuple[tuple[date, date], ...] = ()
    holidays: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.method):
            _one_of(self.method, METHODS, "baseline")
        _one_of(self.direction, DIRECTIONS, "direction")
        _one_of(self.scale, SCALES, "scale")
        _one_of(self.period, PERIODS, "period")
        if not _is(self.threshold, int | float) or not 0 < self.threshold <= FARTHEST:
            known = f"a number above 0 and up to {FARTHEST}"
            raise SpecError(f"threshold is {self.threshold!r}, not {known}", hint="3.5 standard deviations is usual")
        for name, least in (("window", 3), ("min_history", 3)):
            value = getattr(self, name)
            if not _is(value, int) or value < least:
                raise SpecError(f"{name} is {value!r}, not a whole number >= {least}", hint="90 days and 14 are usual")
        if self.holidays is not None and not (isinstance(self.holidays, str) and self.holidays):
            raise SpecError(f"holidays is {self.holidays!r}, not a country", hint="write US, or US-NY")
        if self.min_history > self.window:
            raise SpecError(
                f"min_history {self.min_history} is more than window {self.window}", hint="widen the window"
            )
        object.__setattr__(self, "exclude", tuple(_range(item) for item in _listed(self.exclude)))

    def __str__(self) -> str:
        name = self.method if isinstance(self.method, str) else getattr(self.method, "__name__", "own")
        side = "" if self.direction == "both" else f", {self.direction} only"
        return f"{name} baseline, {self.threshold:g} sigma of {self.window} values{side}"


def baseline(given: Any, where: str) -> Baseline:
    """A baseline as rules write it: ``auto``, ``{zscore: {threshold: 3, window: 28}}``, or a function.

    :raises SpecError: naming the place and the candidates

    >>> baseline({"zscore": {"threshold": 3, "window": 28}}, "checks[0]").window
    28
    """
    if isinstance(given, Baseline):
        return given
    try:
        if isinstance(given, str) or callable(given):
            return Baseline(given)
        if isinstance(given, Mapping) and len(given) == 1:
            ((method, options),) = given.items()
            options = options or {}
            if isinstance(options, Mapping):
                _known(options)
                return Baseline(method, **options)
    except SpecError as error:
        raise SpecError(f"{where}: {error.message}", hint=error.hint) from None
    raise SpecError(
        f"{where}: baseline {given!r} is none", hint="write auto, or {zscore: {threshold: 3, window: 28}}; "
        f"baselines: {', '.join(METHODS)}"
    )  # fmt: skip


def _known(options: Mapping[str, Any]) -> None:
    known = [name for name in Baseline.__dataclass_fields__ if name != "method"]
    for name in options:
        if name not in known:
            raise SpecError(f"unknown option {name!r} of a baseline", hint=did_you_mean(str(name), known))


def _one_of(value: Any, known: Iterable[str], what: str) -> None:
    if value not in known:
        raise SpecError(f"{what} is {value!r}", hint=did_you_mean(str(value), known))


def _is(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _listed(given: Any) -> Iterable[Any]:
    return given if isinstance(given, Iterable) and not isinstance(given, str) else [given]


def _range(item: Any) -> tuple[date, date]:
    """One date, or the first and the last.

    :raises SpecError: if it is neither
    """
    ends = [item, item] if isinstance(item, str | date) else list(item) if isinstance(item, Iterable) else []
    try:
        first, last = (_day(end) for end in ends)
    except (TypeError, ValueError):
        raise SpecError(
            f"exclude holds {item!r}, neither a date nor two", hint='write "2013-12-25" or ["2013-12-24", "2013-12-26"]'
        ) from None
    if first > last:
        raise SpecError(f"exclude holds a range that ends before it begins: {first} to {last}", hint="turn it round")
    return first, last


def _day(end: Any) -> date:
    if isinstance(end, datetime):
        return end.date()
    return end if isinstance(end, date) else date.fromisoformat(end)
