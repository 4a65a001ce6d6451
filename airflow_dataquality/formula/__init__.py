"""Formulas over the rows of a control and an experiment query, which say when all is well.

``abs(experiment.avg - control.avg) / control.stddev <= z_score`` is a comparison of numbers: columns of the two rows,
parameters, arithmetic and a list of functions. Anyone may write one, also in a YAML file, so it is no program: every
word and every node of its syntax tree is on a list, and Jinja2's sandbox computes it in floats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_dataquality.errors import SpecError
from airflow_dataquality.formula.sandbox import FUNCTIONS, SANDBOX, CannotTell, Misfit, Row, number
from airflow_dataquality.formula.syntax import SCOPES, WORDS, Place, read

if TYPE_CHECKING:
    from jinja2.environment import TemplateExpression

__all__ = ["FUNCTIONS", "SCOPES", "CannotTell", "Formula", "Misfit", "check_params", "finite"]

_PARAM = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_RESERVED = {*SCOPES, *WORDS, *FUNCTIONS, "True", "False", "None", "none", "self", "in", "is", "elif"}


@dataclass(frozen=True)
class Formula:
    """When all is well, as a comparison of the rows that a control and an experiment query returned.

    :param text: the formula as it was written
    :param params: names that stand for numbers in it
    :raises SpecError: if it is none, naming the place in it

    >>> formula = Formula("abs(experiment.avg - control.avg) / control.stddev <= z_score", ("z_score",))
    >>> rows = {"control": {"avg": 113.8, "stddev": 6.8}, "experiment": {"avg": 120}}
    >>> formula.holds(rows, {"z_score": 3}), formula.with_values(rows, {"z_score": 3})
    (True, 'abs(120.0 - 113.8) / 6.8 <= 3.0')
    """

    text: str
    params: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise SpecError(f"formula is {self.text!r}, not a text", hint="write control.n <= experiment.n")
        _program(self.text, self.params)

    def __str__(self) -> str:
        return self.text

    @property
    def columns(self) -> dict[str, list[str]]:
        """The columns that it names, of each row."""
        places = _program(self.text, self.params).places
        return {scope: sorted({p.name for p in places if p.scope == scope}) for scope in SCOPES}

    def holds(self, rows: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> bool:
        """Whether all is well.

        :param rows: the row of each scope
        :raises CannotTell: if the numbers do not say
        """
        program = _program(self.text, self.params)
        known = {scope: Row(scope, rows[scope]) for scope in SCOPES}
        for place in program.places:
            if place.scope is not None:
                known[place.scope].name(place.name)
        try:
            numbers = {name: number(params[name], name) for name in self.params}
            return bool(program.expression({**numbers, **known}))
        except CannotTell:
            raise
        except Exception as error:  # a mistake of ours, which is not to look like an answer
            raise Misfit(f"it cannot be computed: {error}") from error

    def with_values(self, rows: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> str:
        """The formula, with values in place of names. What has none keeps its name."""
        pieces, end = [], 0
        for place in _program(self.text, self.params).places:
            pieces += [self.text[end : place.start], _shown(self.text, place, rows, params)]
            end = place.end
        return "".join([*pieces, self.text[end:]])


def finite(value: Any) -> int | float:
    """A parameter as a formula computes with it.

    :raises CannotTell: if it is no finite number
    """
    return number(value, "it")


def check_params(names: Mapping[str, Any], what: str) -> None:
    """Refuse names that a formula cannot use.

    :raises SpecError: naming the parameter
    """
    for name in names:
        if not isinstance(name, str) or not _PARAM.fullmatch(name) or name in _RESERVED:
            taken = "is a word of formulas" if name in _RESERVED else "is not a name"
            raise SpecError(f"{what}: {name!r} {taken}", hint="take another name, of letters, digits and underscores")


@dataclass(frozen=True)
class _Program:
    expression: TemplateExpression
    places: tuple[Place, ...]


@lru_cache(maxsize=4096)
def _program(text: str, params: tuple[str, ...]) -> _Program:
    """Read and compile a formula; once, however many tests share it."""
    source, places = read(text, params)
    return _Program(SANDBOX.compile_expression(source, undefined_to_none=False), places)


def _shown(text: str, place: Place, rows: Mapping[str, Mapping[str, Any]], params: Mapping[str, Any]) -> str:
    """A value as it stands in the formula: ``120.0``, ``NULL``; a negative one beside an operator in parentheses."""
    try:
        if place.scope is None:
            value = params[place.name]
        else:
            values = rows[place.scope]
            value = values[Row(place.scope, values).name(place.name)]
    except (KeyError, Misfit):
        return text[place.start : place.end]
    try:
        value = number(value, "")
    except CannotTell:
        return "NULL" if value is None else str(value) if isinstance(value, float) else repr(str(value)[:40])
    before, after = text[: place.start].rstrip(), text[place.end :].lstrip()
    beside = before.endswith(tuple("+-*/%")) or after.startswith(tuple("+-*/%"))
    return f"({value})" if value < 0 and beside else str(value)
