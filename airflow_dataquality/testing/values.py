"""Columns with their types, and what their values, which the database writes as text, are in Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any

_WHOLE = frozenset({"smallint", "integer", "bigint", "oid"})
_DEFAULTS: Mapping[str, str] = MappingProxyType(
    {"N": "0", "S": "", "B": "false", "A": "{}", "T": "0", "I": "0.0.0.0", "R": "empty", "V": ""}  # noqa: S104 - a value
)
"""By category: https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE."""
_OF_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "json": "{}", "jsonb": "{}", "uuid": "00000000-0000-0000-0000-000000000000", "bytea": "", "xml": "", "bit": "0",
        "time without time zone": "00:00", "time with time zone": "00:00+00",
    }
)  # fmt: skip
DAY = "1970-01-01"


@dataclass(frozen=True)
class Typed:
    """A column.

    :param type: as a table is created with it: ``numeric(10,2)``
    :param bare: without its size: ``numeric``
    :param category: Postgres' own letter for kinds of types
    :param label: the first of an enum's labels
    """

    name: str
    type: str
    bare: str
    category: str
    label: str | None = None

    @property
    def is_array(self) -> bool:
        return self.category == "A"

    @property
    def default(self) -> str | None:
        """What a row gets that does not name the column: a value of the type, where one is known; else NULL."""
        if self.category == "E":
            return self.label
        if self.bare in _OF_TYPES:
            return _OF_TYPES[self.bare]
        return DAY if self.category == "D" else _DEFAULTS.get(self.category)


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
