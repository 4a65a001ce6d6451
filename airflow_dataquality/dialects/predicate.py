"""A predicate that somebody wrote once and the ledger kept, read and written anew.

The ledger's text is never run. It is taken apart into columns, constants, operators and functions of a list, and what
cannot be taken apart is refused: a sub-select, a function that is not on the list, an aggregate, a comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import NoReturn

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.errors import SpecError

LONGEST = 4000
DEEPEST = 40
_FUNCTIONS = """
abs btrim ceil ceiling char_length coalesce concat date_part date_trunc floor greatest least left length lower ltrim
mod nullif octet_length replace right round rtrim sign strpos substr trim upper
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""Functions of a row, which neither look elsewhere nor change anything."""
_TYPES = """
bigint bool boolean char date decimal float int int4 int8 integer interval numeric real smallint text time timestamp
timestamptz varchar
"""
TYPES = frozenset(_TYPES.split())
_KEYWORDS = """
all and any as asc between both case cast collate desc distinct else end except exists for from group having ilike in
intersect is isnull like limit not notnull offset on or order over row select similar some table then union using values
when where window with
"""
_RESERVED = frozenset(_KEYWORDS.split())
_NOW = frozenset({"current_date", "current_timestamp"})
_WORDS = frozenset({"true", "false", "null"})
_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.])|\.\d+(?![\w.]))
      | (?P<text>'(?:[^']|'')*')
      | (?P<name>"(?:[^"\x00]|"")+")
      | (?P<word>[^\W\d][\w$]*(?!['"\w$]))
      | (?P<comment>--|/\*)
      | (?P<sign><=|>=|<>|!=|\|\||::|!~\*|!~|~\*|[-+*/%=<>~(),])
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COMPARES = frozenset({"=", "<>", "!=", "<", "<=", ">", ">=", "~", "~*", "!~", "!~*"})


def rewritten(text: str, sql: Names, columns: Collection[str], *, escapes: bool = False) -> str:
    """The predicate, written anew.

    :param sql: writes names and constants
    :param columns: that it may speak of
    :param escapes: a backslash in a text escapes what follows
    :raises SpecError: if it is more than comparisons of a row's columns with constants and with each other

    >>> rewritten("Fare > 0 or tip IS NULL", Names(), ["fare", "tip"])
    '(("fare" > 0) OR ("tip" IS NULL))'
    """
    if len(text) > LONGEST:
        _refuse("it is too long")
    return _Reader(text, sql, columns, escapes=escapes).all()


def _refuse(what: str) -> NoReturn:
    raise SpecError(f"the condition cannot be shown row by row: {what}", hint="run it yourself on the kept table")


class _Reader:
    """Reads from left to right, a method for each strength of binding."""

    def __init__(self, text: str, sql: Names, columns: Collection[str], *, escapes: bool) -> None:
        self.sql, self.columns, self.escapes = sql, columns, escapes
        self.tokens = [(m.lastgroup or "", m.group()) for m in _TOKEN.finditer(text) if m.lastgroup != "space"]
        self.at = self.depth = 0

    def all(self) -> str:
        found = self._or()
        if self.at < len(self.tokens):
            _refuse(f"it goes on with {self.tokens[self.at][1][:20]!r}")
        return found

    @property
    def _next(self) -> tuple[str, str]:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        return kind, text.lower() if kind == "word" else text

    def _take(self) -> tuple[str, str]:
        found = self._next
        self.at += 1
        return found

    def _is(self, *texts: str) -> str | None:
        """Take the next token if it is one of these."""
        kind, text = self._next
        if kind in ("word", "sign") and text in texts:
            self.at += 1
            return text
        return None

    def _want(self, text: str) -> None:
        if not self._is(text):
            _refuse(f"{text!r} is missing before {self._next[1][:20]!r}")

    def _joined(self, part: Callable[[], str], *words: str) -> str:
        found = part()
        while word := self._is(*words):
            found = f"({found} {word.upper()} {part()})"
        return found

    def _or(self) -> str:
        self.depth += 1
        if self.depth > DEEPEST:
            _refuse("its parentheses are too deep")
        found = self._joined(self._and, "or")
        self.depth -= 1
        return found

    def _and(self) -> str:
        return self._joined(self._not, "and")

    def _not(self) -> str:
        negated = 0
        while self._is("not"):
            negated += 1
        return "(NOT " * negated + self._compared() + ")" * negated

    def _compared(self) -> str:
        left = self._other()
        if sign := self._is(*_COMPARES):
            return f"({left} {'<>' if sign == '!=' else sign} {self._other()})"
        if self._is("is"):
            return f"({left} IS {self._state()})"
        negated = "NOT " if self._is("not") else ""
        if self._is("in"):
            return f"({left} {negated}IN {self._list(self._other)})"
        if self._is("between"):
            low = self._other()
            self._want("and")
            return f"({left} {negated}BETWEEN {low} AND {self._other()})"
        if word := self._is("like", "ilike"):
            return f"({left} {negated}{word.upper()} {self._other()})"
        return left if not negated else _refuse(f"NOT stands before {self._next[1][:20]!r}")

    def _state(self) -> str:
        negated = "NOT " if self._is("not") else ""
        if word := self._is("null", "true", "false"):
            return negated + word.upper()
        self._want("distinct")
        self._want("from")
        return f"{negated}DISTINCT FROM {self._other()}"

    def _other(self) -> str:
        return self._joined(self._sum, "||")

    def _sum(self) -> str:
        return self._joined(self._product, "+", "-")

    def _product(self) -> str:
        return self._joined(self._signed, "*", "/", "%")

    def _signed(self) -> str:
        sign = self._is("-", "+")
        # Closed, as two signs in a row begin a comment.
        return f"({sign}{self._signed_again()})" if sign else self._cast()

    def _signed_again(self) -> str:
        self.depth += 1
        if self.depth > DEEPEST:
            _refuse("it has too many signs")
        found = self._signed()
        self.depth -= 1
        return found

    def _cast(self) -> str:
        found = self._primary()
        while self._is("::"):
            found = f"CAST({found} AS {self._type()})"
        return found

    def _type(self) -> str:
        _, word = self._take()
        if word not in TYPES:
            _refuse(f"{word[:20]!r} is not among its types")
        return word.upper()

    def _primary(self) -> str:
        kind, text = self._take()
        if kind == "number":
            return text
        if kind == "text":
            return self._text(text)
        if kind == "name":
            return self._column(text[1:-1].replace('""', '"'))
        if kind == "word":
            return self._word(text)
        if (kind, text) == ("sign", "("):
            found = self._or()
            self._want(")")
            return found
        _refuse(f"it holds {text[:20]!r}" if text else "it ends too early")

    def _text(self, token: str) -> str:
        if self.escapes and "\\" in token:
            _refuse("a text in it holds a backslash")
        return self.sql.text(token[1:-1].replace("''", "'"))

    def _word(self, word: str) -> str:
        kind, following = self._next
        if word in _WORDS or word in _NOW:
            return word.upper()
        if word in ("date", "timestamp", "interval") and kind == "text":
            return f"{word.upper()} {self._text(self._take()[1])}"
        if word == "cast" and following == "(":
            return self._cast_call()
        if following == "(":
            if word not in FUNCTIONS:
                _refuse(f"{word[:40]} is not among its functions")
            return word.upper() + self._list(self._or)
        if word in _RESERVED:
            _refuse(f"it holds {word.upper()}")
        return self._column(word)

    def _cast_call(self) -> str:
        self._want("(")
        found = self._or()
        self._want("as")
        kind = self._type()
        self._want(")")
        return f"CAST({found} AS {kind})"

    def _list(self, part: Callable[[], str]) -> str:
        self._want("(")
        found = [part()]
        while self._is(","):
            found.append(part())
        self._want(")")
        return f"({', '.join(found)})"

    def _column(self, name: str) -> str:
        if name in self.columns:
            return self.sql.identifier(name)
        if self.sql.folds_quoted and self.sql.fold(name) in self.columns:
            return self.sql.identifier(self.sql.fold(name))
        _refuse(f"there is no column {name[:60]!r}")
