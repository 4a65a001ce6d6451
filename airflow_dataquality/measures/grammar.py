"""Measures in words, as a file of YAML or HOCON has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.measures.base import Measure
from airflow_dataquality.measures.history import (
    Count,
    DaysSinceLast,
    FirstSeen,
    LastSeen,
    Latest,
    Max,
    Mean,
    Min,
    Sum,
)
from airflow_dataquality.measures.window import ActiveDays, Rolling

WORDS: Mapping[str, type[Measure]] = {
    "active_days": ActiveDays,
    "count": Count,
    "days_since_last": DaysSinceLast,
    "first_seen": FirstSeen,
    "last_seen": LastSeen,
    "latest": Latest,
    "max": Max,
    "mean": Mean,
    "min": Min,
    "rolling": Rolling,
    "sum": Sum,
}
"""What each measure is called. Its first parameter is the word's value, any other goes by its name."""


def measures_from(found: Any, where: str) -> dict[str, Measure]:
    """Measures by their names.

    :param where: what to call the place in an error
    :raises SpecError: naming the place, the mistake and the candidates

    >>> measures_from({"flights": "count", "miles": {"sum": "distance"}}, "aircraft.yaml: measures")
    {'flights': Count(), 'miles': Sum('distance')}
    """
    if not isinstance(found, Mapping):
        raise SpecError(
            f"{where}: {found!r} is no mapping", hint="write a name and a measure: {miles: {sum: distance}}"
        )
    measures = {}
    for name, words in found.items():
        if not isinstance(name, str):
            raise SpecError(f"{where}: the name {name!r} is not a text", hint=f'put it into quotes: "{name}"')
        measures[name] = measure_from(words, f"{where}.{name}")
    return measures


def measure_from(found: Any, where: str) -> Measure:
    """One measure: a word, or a mapping with one word and the parameters that belong to it.

    :raises SpecError: as :func:`measures_from`

    >>> measure_from({"rolling": {"sum": 1}, "days": 28}, "measure")
    Rolling(Sum('1'), days=28)
    """
    if isinstance(found, str):
        return _made(found, {}, where)
    if not isinstance(found, Mapping):
        raise SpecError(f"{where}: {found!r} is no measure", hint="write a word, or {sum: distance}")
    words = [word for word in found if word in WORDS]
    if len(words) > 1:
        raise SpecError(f"{where}: both {' and '.join(words)}", hint="write one measure for each")
    if not words:
        named = next(iter(found), "")
        raise SpecError(f"{where}: no measure is named", hint=did_you_mean(str(named), WORDS, label="Measures"))
    return _made(words[0], found, where)


def _made(word: str, found: Mapping[Any, Any], where: str) -> Measure:
    if word not in WORDS:
        raise SpecError(f"{where}: {word!r} is no measure", hint=did_you_mean(word, WORDS, label="Measures"))
    made = WORDS[word]
    given = [(field, word if number == 0 else field.name) for number, field in enumerate(fields(made))]
    known = [key for _, key in given] or [word]
    for key in found:
        if key not in known:
            raise SpecError(f"{where}: {word} has no parameter {key!r}",
                            hint=did_you_mean(str(key), known[1:], label="Its parameters"))  # fmt: skip
    if not given and found.get(word) is not None:
        raise SpecError(f"{where}: {word} is of the whole fact, and not of {found[word]!r}", hint=f"write {word} alone")
    for field, key in given:
        if found.get(key) is None and field.default is MISSING:
            raise SpecError(f"{where}: {word} lacks {'what it is of' if key == word else key}", hint=_example(given))
    values = {
        field.name: _value(field, found[key], f"{where}.{key}") for field, key in given if found.get(key) is not None
    }
    try:
        return made(**values)
    except SpecError as error:
        raise SpecError(f"{where}: {error.message}", hint=error.hint) from None


def _value(field: Field[Any], value: Any, where: str) -> Any:
    if field.type == "Measure":
        return measure_from(value, where)
    # An expression may look like a number to the parser: `sum: 1`.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if number and field.type == "str" else value


def _example(given: list[tuple[Field[Any], str]]) -> str:
    values = {"str": "distance", "int": "28", "Measure": "{sum: distance}"}
    return "write {" + ", ".join(f"{key}: {values[str(field.type)]}" for field, key in given) + "}"
