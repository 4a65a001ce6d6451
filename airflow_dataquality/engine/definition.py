"""What a recorded check measured: written beside its result, and read again as a metric.

The kind of the metric and its column have columns of their own in the ledger. This is the rest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.model import Check, Interval, Metric
from airflow_dataquality.vocabulary import KINDS

BOUNDED = frozenset({"min", "max", "min_length", "max_length"})
"""Kinds whose bounds tell which rows are outside."""
LONGEST = 60_000
"""Bytes: a text of Redshift has 65,535, https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html."""
_SAID = frozenset({"key"})
"""Parameters that the ledger has in other columns."""


@dataclass(frozen=True)
class Measured:
    """What a check measured.

    :param bounds: where its value had to lie, of the kinds in :data:`BOUNDED`
    """

    metric: Metric
    bounds: Interval | None = None


def definition_of(check: Check) -> str | None:
    """What the names of kind and column do not tell, as JSON; None if that is nothing, or too long to keep."""
    metric = check.metric
    known: dict[str, Any] = {}
    if len(metric.columns) > 1:
        known["columns"] = list(metric.columns)
    if params := {name: value for name, value in metric.params if name not in _SAID}:
        known["params"] = params
    if metric.where:
        known["where"] = metric.where
    if metric.group:
        known["group"] = dict(metric.group)
    if metric.kind in BOUNDED and isinstance(check.expect, Interval):
        known |= {name: value for name, value in vars(check.expect).items() if value is not None and value is not False}
    if not known:
        return None
    text = json.dumps(known, ensure_ascii=False, default=str).replace("\x00", "�").replace("\\u0000", "�")
    return text if len(text.encode()) <= LONGEST else None


def measured_of(kind: str, column_name: str | None, definition: str | None) -> Measured | None:
    """The metric of a recorded result; None if the ledger does not tell, or tells what no metric is."""
    try:
        known = json.loads(definition) if definition else {}
        columns = tuple(_texts(known.get("columns", [column_name] if column_name else [])))
        params = {name: _frozen(value) for name, value in dict(known.get("params", {})).items()}
        where = known.get("where")
        group = tuple((str(name), value) for name, value in dict(known.get("group", {})).items())
        bounds = {name: known[name] for name in ("low", "high", "low_open", "high_open") if name in known}
        if kind not in KINDS or any(name not in params for name in _wanted(kind)):
            return None
        metric = Metric(kind, columns, tuple(sorted(params.items())), None if where is None else str(where), group)
        return Measured(metric, Interval(**bounds) if bounds else None)
    except (ValueError, TypeError, AttributeError):
        return None


def _wanted(kind: str) -> Iterable[str]:
    return (name for name in KINDS[kind].params if not name.endswith("?") and name not in _SAID)


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{value!r} is no name")
        yield value


def _frozen(value: Any) -> Any:
    """Lists as tuples, which metrics are made of."""
    if isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no parameter")
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
