"""What values, which the database writes as text, are in Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

from airflow_dataquality.dialects.sandbox import Typed

_WHOLE = frozenset({"smallint", "integer", "bigint", "oid"})


def value_of(column: Typed, text: str | None) -> Any:
    """The Python value of what the database wrote; text where Python has nothing of the sort."""
    if text is None:
        return None
    reader = _READERS.get("array" if column.is_array else column.bare)
    with suppress(ValueError, InvalidOperation):  # infinity, and years that Python does not have
        return reader(text) if reader else text
    return text


_READERS: Mapping[str, Callable[[str], Any]] = MappingProxyType(
    {
        **dict.fromkeys(_WHOLE, int),
        "numeric": Decimal,
        "real": float,
        "double precision": float,
        "boolean": lambda text: text == "true",
        "json": json.loads,
        "jsonb": json.loads,
        "array": json.loads,
        "date": date.fromisoformat,
        "time without time zone": time.fromisoformat,
        "timestamp without time zone": datetime.fromisoformat,
        "timestamp with time zone": datetime.fromisoformat,
    }
)


def key_of(column: Typed, text: str | None) -> Any:
    """What two values have in common that are equal to the database: ``1.50`` and ``1.5`` of a numeric.

    Floating numbers are as equal as computing in another order leaves them: to 12 digits, to 6 in single precision.
    """
    if text is None:
        return None
    if column.bare in ("real", "double precision") and not column.is_array:
        return format(float(text), ".6g" if column.bare == "real" else ".12g")
    if column.is_array or column.bare in ("json", "jsonb", "numeric"):
        return (column.category, _frozen(value_of(column, text)))  # JSON's null is not NULL
    return text


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return ("object", frozenset((key, _frozen(each)) for key, each in value.items()))
    if isinstance(value, list):
        return tuple(_frozen(each) for each in value)
    if isinstance(value, bool):
        return ("bool", value)  # which equals 1 in Python
    return str(value) if value != value else value  # noqa: PLR0124 - NaN equals NaN, to Postgres
