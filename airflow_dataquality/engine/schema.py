"""The ``schema`` check: how a table's columns differ from the columns that are expected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.model import Column, Metric
from airflow_dataquality.results import Measurement

_SIZE = re.compile(r"\(([^)]*)\)")
_ARRAY = re.compile(r"(\s*\[\d*\])+$")


def differences(dialect: Dialect, metric: Metric, columns: Sequence[Column]) -> Measurement:
    """Count the columns that are missing, unexpected, or of another type, and name them; or count the columns."""
    if metric.kind == "column_count":
        return Measurement(len(columns))
    expected = dict(metric.param("columns"))
    found = {column.name: column.type for column in columns}
    missing = [name for name in expected if name not in found]
    unexpected = [name for name in found if name not in expected]
    retyped = [
        f"{name} is {found[name]}, not {wanted}"
        for name, wanted in expected.items()
        if wanted is not None and name in found and not same_type(wanted, found[name], dialect.type_names)
    ]
    parts = {"missing": missing, "unexpected": unexpected, "of another type": retyped}
    detail = "; ".join(f"{label}: {', '.join(names)}" for label, names in parts.items() if names)
    return Measurement(len(missing) + len(unexpected) + len(retyped), detail=detail or None)


def same_type(one: str, other: str, type_names: Mapping[str, str]) -> bool:
    """Whether two spellings name one type.

    >>> same_type("VARCHAR (10)", "character varying(10)", {"varchar": "character varying"})
    True
    """
    return _canonical(one, type_names) == _canonical(other, type_names)


def _canonical(text: str, type_names: Mapping[str, str]) -> tuple[str, str, int]:
    array = _ARRAY.search(text)
    element = text[: array.start()] if array else text
    words = " ".join(_SIZE.sub(" ", element).lower().split())
    name = type_names.get(words, words)
    size = _SIZE.search(element) or _SIZE.search(name)
    return (
        _SIZE.sub("", name),
        size[1].replace(" ", "") if size else "",
        array[0].count("[") if array else 0,
    )
