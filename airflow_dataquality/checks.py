"""Write checks in Python: ``check("null_count", "carrier", equal_to=0)``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_dataquality.baseline import THRESHOLD
from airflow_dataquality.baseline import baseline as read_baseline
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import CONDITION, build, kind_of, params_of
from airflow_dataquality.model import Check

__all__ = ["anomaly", "check"]


def check(
    check: str,
    column: str | Sequence[str] | None = None,
    *,
    name: str | None = None,
    severity: str = "error",
    partition_clause: str | None = None,
    description: str | None = None,
    dimension: str | None = None,
    condition: Mapping[str, Any] | None = None,
    baseline: Any = None,
    monitor: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Check:
    """Make a check: a metric of the vocabulary and the condition its value must meet.

    :param check: what to measure: ``row_count``, ``null_count``, ``mean`` … (see the check reference)
    :param column: the column's exact name, or several where the check takes several
    :param name: identifies the check in results and history; by default the metric, ``null_count(carrier)``
    :param severity: ``error`` blocks the publication, ``warn`` is reported
    :param partition_clause: a predicate in the warehouse's SQL that narrows the rows: ``"region = 'EU'"``
    :param description: for people
    :param dimension: completeness, consistency, freshness, uniqueness, validity or volume
    :param condition: the comparisons as a dict, instead of as arguments
    :param baseline: compute the interval from the metric's past, instead of a condition: see :func:`anomaly`
    :param monitor: who is told when it fails, in Datadog: ``{"notify": "@pagerduty-data", "renotify": 60}``
    :param arguments: the comparisons ``equal_to``, ``greater_than``, ``geq_to``, ``less_than``, ``leq_to`` and
        ``tolerance`` (in percent), and the parameters of the check itself (``values``, ``pattern``, ``q``, ``sql`` …)
    :raises SpecError: if the check can never work

    >>> str(check("row_count", equal_to=100, tolerance=10).expect)
    'between 90 and 110'
    """
    where = f"check({check!r}" + (f", {column!r})" if column is not None else ")")
    kind = kind_of(check, where)
    params = {key: arguments.pop(key) for key in params_of(kind) if key in arguments}
    if "columns" in arguments:
        if column is not None:
            raise SpecError(f"{where}: both column and columns", hint="give one of them")
        column = arguments.pop("columns")
    for key in arguments:
        if key not in CONDITION:
            known = (*CONDITION, *params_of(kind), "name", "severity", "partition_clause", "description",
                     "dimension", "condition", "baseline", "monitor")  # fmt: skip
            raise SpecError(f"{where}: unknown argument {key!r}", hint=did_you_mean(key, known))
    if condition is not None and arguments:
        raise SpecError(f"{where}: both condition= and {', '.join(arguments)}", hint="give the comparisons once")
    return build(
        check,
        column,
        condition=condition if condition is not None else arguments,
        params=params,
        where=where,
        baseline=baseline,
        name=name,
        severity=severity,
        partition_clause=partition_clause,
        description=description,
        dimension=dimension,
        monitor=monitor,
    )


def anomaly(
    metric: str,
    column: str | Sequence[str] | None = None,
    *,
    baseline: str | Callable[..., Any] = "auto",
    threshold: float = THRESHOLD,
    direction: str = "both",
    window: int = 90,
    min_history: int = 14,
    scale: str = "auto",
    period: str = "auto",
    exclude: Sequence[Any] = (),
    holidays: str | None = None,
    **arguments: Any,
) -> Check:
    """Make a check whose interval is computed from the metric's own past.

    :param metric: what to measure: ``row_count``, ``null_ratio``, ``mean`` … (see the check reference)
    :param column: the column's exact name, or several where the metric takes several
    :param baseline: ``auto``, ``zscore``, ``robust``, ``seasonal``, or a function of (past, dates, kinds) to a
        :class:`~airflow_dataquality.stats.forecast.Forecast`
    :param threshold: how far from what is expected a value may be, in standard deviations
    :param direction: ``both``, or only a ``drop``, or only a ``spike``
    :param window: how many periods of history are looked at
    :param min_history: with fewer values than that the check is skipped
    :param scale: what kind of number it is: ``count``, ``rate`` (0 to 1), ``value``, or ``cumulative`` (a running
        total); ``auto`` tells by the metric, and takes what ``custom_sql`` returns as a value
    :param period: ``hour``, ``day``, ``week`` or ``month`` from one partition to the next; ``auto`` tells by its value
    :param exclude: dates, or pairs of first and last, that are neither history nor judged
    :param holidays: the country whose public holidays are neither, as in ``US`` or ``US-NY``; needs the extra
        ``holidays``
    :param arguments: as of :func:`check`: ``name``, ``severity``, ``partition_clause`` …
    :raises SpecError: if the check can never work

    >>> str(anomaly("row_count", threshold=3, window=28).expect)
    'auto baseline, 3 sigma of 28 values'
    """
    options = {"threshold": threshold, "direction": direction, "window": window, "min_history": min_history,
               "scale": scale, "period": period, "exclude": exclude, "holidays": holidays}  # fmt: skip
    where = f"anomaly({metric!r}" + (f", {column!r})" if column is not None else ")")
    return check(metric, column, baseline=read_baseline({baseline: options}, where), **arguments)
