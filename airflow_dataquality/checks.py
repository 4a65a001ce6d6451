"""Write checks in Python: ``check("null_count", "carrier", equal_to=0)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import CONDITION, build, kind_of, params_of
from airflow_dataquality.model import Check

__all__ = ["check"]


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
                     "dimension", "condition")  # fmt: skip
            raise SpecError(f"{where}: unknown argument {key!r}", hint=did_you_mean(key, known))
    if condition is not None and arguments:
        raise SpecError(f"{where}: both condition= and {', '.join(arguments)}", hint="give the comparisons once")
    return build(
        check,
        column,
        condition=condition if condition is not None else arguments,
        params=params,
        where=where,
        name=name,
        severity=severity,
        partition_clause=partition_clause,
        description=description,
        dimension=dimension,
    )
