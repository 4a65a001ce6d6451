"""Enough of SQL's lexical rules to tell one SELECT from several statements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from airflow_dataquality.errors import SpecError

# https://www.postgresql.org/docs/current/sql-syntax-lexical.html. Comments nest, so they are counted by hand.
TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<line>--[^\n]*)
      | (?P<block>/\*)
      | (?P<escape>[eE]'(?:[^'\\]|''|\\.)*')
      | (?P<text>'(?:[^']|'')*')
      | (?P<name>"(?:[^"]|"")*")
      | (?P<dollar>\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$)
      | (?P<word>[^\W\d][\w$]*)
      | (?P<open>['"]|\$(?:[^\W\d]\w*)?\$)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")
_QUERY = ("select", "with", "values", "table", "(")


def single_select(sql: str) -> str:
    r"""The one SELECT in the text, without a semicolon at its end.

    :raises SpecError: if there is none, several, or something else

    >>> single_select("SELECT ';' -- one; two\n;")
    "SELECT ';' -- one; two\n"
    """
    end, first = None, None
    for match in _closed(tokens(sql)):
        if match["other"] == ";" and first:
            end = match.start() if end is None else end
            continue
        if end is not None:
            raise SpecError(
                f"more than one statement: {sql[match.start() :][:40]!r} follows a semicolon",
                hint="write one SELECT; what must happen before or after it belongs into tasks of their own",
            )
        first = first or match.group().lower()
    if first not in _QUERY:
        raise SpecError(
            f"not a SELECT: it begins with {first!r}" if first else "the SELECT is empty",
            hint="write the SELECT alone: staging, checking and exchanging are done around it",
        )
    return sql if end is None else sql[:end]


def statements_in(sql: str) -> list[str]:
    r"""The statements of a text, at its semicolons; what is a comment alone is none.

    :raises SpecError: for a quote or a comment that does not close

    >>> statements_in("DELETE FROM t; -- all\nINSERT INTO t VALUES (';');\n-- done")
    ['DELETE FROM t', "-- all\nINSERT INTO t VALUES (';')"]
    """
    found: list[str] = []
    start, said = 0, False
    for match in _closed(tokens(sql)):
        if match["other"] == ";":
            found += [sql[start : match.start()].strip()] if said else []
            start, said = match.end(), False
        else:
            said = True
    return [*found, sql[start:].strip()] if said else found


def first_word(sql: str) -> str:
    r"""The first word of a statement, in small letters; empty if it begins otherwise.

    >>> first_word("-- all\n/* of them */ DELETE FROM t")
    'delete'
    """
    first = next(tokens(sql), None)
    return ((first and first["word"]) or "").lower()


def bare(sql: str) -> str:
    r"""A statement without its comments and what it quotes, with single blanks.

    >>> bare("COPY -- all\n  t FROM 'STDIN'")
    "COPY t FROM ''"
    """
    parts: list[str] = []
    for match in _all_tokens(sql):
        quoted = match["text"] or match["escape"] or match["dollar"]
        parts.append(" " if _is_blank(match) else "''" if quoted else '""' if match["name"] else match.group())
    return " ".join("".join(parts).split())


def tokens(sql: str) -> Iterator[re.Match[str]]:
    """The words and signs of SQL, matches of :data:`TOKEN`, without blanks and comments.

    :raises SpecError: for a comment that does not close
    """
    return (match for match in _all_tokens(sql) if not _is_blank(match))


def _all_tokens(sql: str) -> Iterator[re.Match[str]]:
    """The tokens in order; of a comment in ``/* … */`` the beginning stands for all of it.

    :raises SpecError: for such a comment that does not close
    """
    position = 0
    while match := TOKEN.match(sql, position):
        position = _end_of_comment(sql, match.end()) if match["block"] else match.end()
        yield match


def _closed(found: Iterable[re.Match[str]]) -> Iterator[re.Match[str]]:
    """The tokens, of which none is a quote that does not close.

    :raises SpecError: for one
    """
    for match in found:
        if match["open"]:
            raise SpecError(
                f"a quote opens and does not close: {match.string[match.start() :][:40]!r}", hint="close it"
            )
        yield match


def _is_blank(match: re.Match[str]) -> bool:
    """Whether it is white space or a comment."""
    return match.lastgroup in ("block", "line", "space")


def _end_of_comment(sql: str, position: int) -> int:
    depth = 1
    while depth:
        match = _BLOCK.search(sql, position)
        if match is None:
            raise SpecError("a comment opens and does not close", hint="close it with */")
        depth += 1 if match.group() == "/*" else -1
        position = match.end()
    return position
