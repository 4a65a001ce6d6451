"""The facts of a subject, and the expressions that a user writes over them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.lexer import TOKEN, single_select
from airflow_dataquality.dialects.summary import ALWAYS, NEVER, SummarySql
from airflow_dataquality.errors import SpecError


class Facts:
    """The facts of a subject, as the aggregates of its measures see them.

    Whatever is said of a fact is computed for each fact before it is aggregated, and has a name of its own.

    :param partition: SQL of the partition that a fact is of
    :param ages: the partition's values, and how many periods before the row's each is; None if all facts are of the
        row's own partition
    :param taken: names that what is computed must not have
    :param typed: a state that no fact can have is to be computed nevertheless, so that it has a type
    """

    def __init__(
        self, sql: SummarySql, keys: Sequence[str], partition: str, ages: Mapping[Any, int] | None, *, typed: bool,
        taken: Sequence[str],
    ) -> None:  # fmt: skip
        self.sql = sql
        self.keys = keys
        self.partition = partition
        self.ages = ages
        self.typed = typed
        self.columns: dict[str, str] = {}
        self._prefix = "dq_"
        while any(name.lower().startswith(self._prefix) for name in taken):
            self._prefix += "_"

    def of(self, expression: str | None) -> str:
        """What an expression is of a fact; None is its partition, ``*`` the fact itself."""
        if expression is None or expression == "*":
            return expression or self.partition
        return self._named(_closed(expression))

    def age(self, periods: int) -> str | None:
        """The predicate of the facts so many periods before the row's partition; None if there are none."""
        if self.ages is None:
            found = [ALWAYS] if periods == 0 else []
        else:
            values = (value for value, age in self.ages.items() if age == periods)
            found = [f"{self.partition} = {self.sql.literal(value)}" for value in values]
        never = NEVER if self.typed else None
        return f"({' OR '.join(found)})" if len(found) > 1 else next(iter(found), never)

    def latest(self, *order: str) -> str:
        """The predicate of the one fact that comes last, by its partition and then by these expressions."""
        first = [] if self.ages is None else [self.partition]
        return f"{self._named(self.sql.rank(self.keys, [*first, *map(_closed, order)]))} = 1"

    def _named(self, value: str) -> str:
        names = {known: name for name, known in self.columns.items()}
        name = names.get(value, f"{self._prefix}{len(names) + 1}")
        self.columns[name] = value
        return self.sql.identifier(name)


def _closed(expression: str) -> str:
    return expression if re.fullmatch(r"\w+", expression) else f"({expression})"


_CLOSES = {")": "(", "]": "[", "}": "{"}


def expression(sql: Any, what: str) -> str:
    """One expression of SQL, which keeps to itself wherever it is put.

    :param what: whose it is, for messages
    :raises SpecError: if it is none

    >>> expression(" distance ", "Sum"), expression("COALESCE(a, ')')", "Sum")
    ('distance', "COALESCE(a, ')')")
    """
    if not isinstance(sql, str) or not sql.strip():
        raise SpecError(f"{what}: {sql!r} is no expression", hint="write SQL over the columns of a fact: 'distance'")
    try:
        single_select(f"SELECT {sql}")
    except SpecError as error:
        raise SpecError(f"{what}: {error.message}", hint=error.hint) from None
    opened: list[str] = []
    for match in TOKEN.finditer(sql):
        sign = match["other"]
        if match["line"] or match["block"]:
            raise SpecError(f"{what}: {sql!r} holds a comment", hint="leave it out: SQL follows the expression")
        if sign == ";" or (sign == "," and not opened):
            raise SpecError(f"{what}: {sql!r} is more than one expression", hint="write one measure for each")
        if sign in _CLOSES and (not opened or opened.pop() != _CLOSES[sign]):
            raise SpecError(f"{what}: {sql!r} closes a {sign} that does not open", hint="open it, or leave it out")
        if sign in _CLOSES.values():
            opened.append(sign)
    if opened:
        raise SpecError(f"{what}: {sql!r} opens a {opened[-1]} that does not close", hint="close it")
    return sql.strip()
