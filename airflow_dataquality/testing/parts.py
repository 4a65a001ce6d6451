"""Parts of a SELECT that can run alone: its CTEs, and its subqueries. The text of each stays as it was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_dataquality.dialects import sandbox as sql_of
from airflow_dataquality.dialects.lexer import single_select, tokens
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.testing.names import bare

_QUERY = ("select", "with", "values", "table")


@dataclass(frozen=True)
class Cte:
    """A query with a name.

    :param written: the name as the SQL has it, perhaps in quotes
    :param end: behind its closing parenthesis
    """

    name: str
    written: str
    end: int


@dataclass(frozen=True)
class Subquery:
    """A query in parentheses.

    :param name: its alias; None without one
    :param start: of its opening parenthesis
    """

    name: str | None
    start: int
    end: int


class Parts:
    """What a SELECT is made of.

    :param sql: one SELECT, rendered
    :raises SpecError: if it is none
    """

    def __init__(self, sql: str) -> None:
        self.sql = single_select(sql)
        self._tokens = [(match.start(), match.end(), match.group()) for match in tokens(self.sql)]
        self._closing = self._pairs()
        self.ctes = self._named()
        self.subqueries = self._nested()

    def cte(self, name: str) -> str:
        """A SELECT of all rows of a CTE.

        :raises SpecError: with candidates
        """
        wanted = bare(name)
        for each in self.ctes:
            if each.name == wanted:
                return sql_of.part_of(self.sql[: each.end], each.written)
        hint = did_you_mean(name, [each.name for each in self.ctes], label="CTEs")
        others = [each.name for each in self.subqueries if each.name]
        also = f"; subqueries, with .subquery(): {', '.join(others)}" if others else ""
        raise SpecError(f"the SQL has no CTE {name!r}", hint=hint + also)

    def subquery(self, name: str | int) -> str:
        """A SELECT of all rows of a subquery, by its alias or its number: the first is 0.

        :raises SpecError: with candidates
        """
        if isinstance(name, int):
            if not -len(self.subqueries) <= name < len(self.subqueries):
                count = len(self.subqueries)
                raise SpecError(f"the SQL has no subquery {name}", hint=f"it has {count}, and the first is 0")
            return self._alone(self.subqueries[name])
        wanted = [each for each in self.subqueries if each.name == bare(name)]
        if not wanted:
            names = [each.name for each in self.subqueries if each.name]
            hint = f"{did_you_mean(name, names, label='Subqueries')}; or its number: .subquery(0)"
            raise SpecError(f"the SQL has no subquery {name!r}", hint=hint)
        return self._alone(wanted[0])

    def _alone(self, found: Subquery) -> str:
        # A subquery inside a CTE knows those before it; one behind them knows all.
        before = [each for each in self.ctes if each.end <= found.start]
        return sql_of.part_of(
            self.sql[: before[-1].end] if before else "", f"{self.sql[found.start : found.end]} AS subquery"
        )

    def _pairs(self) -> dict[int, int]:
        """Of each opening parenthesis the closing one, as numbers of tokens."""
        stack: list[int] = []
        found = {}
        for number, (_, _, text) in enumerate(self._tokens):
            if text == "(":
                stack.append(number)
            elif text == ")" and stack:
                found[stack.pop()] = number
        return found

    def _word(self, number: int) -> str:
        return self._tokens[number][2].lower() if number < len(self._tokens) else ""

    def _named(self) -> Sequence[Cte]:
        """``WITH [RECURSIVE] name [(columns)] AS [[NOT] MATERIALIZED] (…), …``."""
        if self._word(0) != "with":
            return ()
        found: list[Cte] = []
        number = 2 if self._word(1) == "recursive" else 1
        while number < len(self._tokens):
            written = self._tokens[number][2]
            number += 1
            while number < len(self._tokens) and self._word(number) != "as":
                number = self._closing.get(number, number) + 1
            while number < len(self._tokens) and self._word(number) != "(":
                number += 1
            if number not in self._closing:  # the database will say what is wrong with it
                break
            number = self._closing[number]
            found.append(Cte(bare(written), written, self._tokens[number][1]))
            number += 1
            if self._word(number) != ",":
                break
            number += 1
        return found

    def _nested(self) -> Sequence[Subquery]:
        bodies = {each.end for each in self.ctes}
        found = []
        for opening, closing in sorted(self._closing.items()):
            end = self._tokens[closing][1]
            if self._word(opening + 1) not in _QUERY or end in bodies:
                continue
            behind = closing + 2 if self._word(closing + 1) == "as" else closing + 1
            text = self._tokens[behind][2] if behind < len(self._tokens) else ""
            alias = bare(text) if _is_alias(text) or (behind == closing + 2 and text) else None
            found.append(Subquery(alias, self._tokens[opening][0], end))
        return found


_NO_ALIAS = frozenset({
    "on", "using", "where", "group", "order", "having", "limit", "offset", "fetch", "union", "except", "intersect",
    "join", "left", "right", "full", "inner", "cross", "natural", "and", "or", "then", "else", "end", "when", "from",
    "window", "for", "as", "is", "in", "between", "like", "ilike", "not", "asc", "desc",
})  # fmt: skip


def _is_alias(text: str) -> bool:
    return text.startswith('"') or (text[:1].isidentifier() and text.lower() not in _NO_ALIAS)
