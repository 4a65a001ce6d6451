"""Redshift's tokens, exactly: what stands in a string or in a comment is never a keyword."""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple

# In Redshift a backslash escapes in every literal, as in Postgres 8.0 without standard_conforming_strings.
_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*(?:[^*]|\*(?!/))*\*/)
      | (?P<string>[eE]?'(?:[^'\\]|''|\\.)*')
      | (?P<dollar>\$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$)
      | (?P<name>"(?:[^"]|"")*")
      | (?P<parameter>\$\d+)
      | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<word>[#A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)
      | (?P<operator>::|->>|->|\#>>|\#>|@>|<@|\|\||<=|>=|<>|!=|!~\*|!~|~\*|<<|>>|[-+*/%<>=~!@\#^&|?:.,()\[\]{};])""",
    re.VERBOSE | re.DOTALL,
)
STRING_KEY = "'"
NAME_KEY = '"'


class Token(NamedTuple):
    """One token; ``key`` is the upper-case word, the operator, or a mark for its kind."""

    kind: str
    text: str
    key: str
    start: int
    end: int


class UnreadableError(ValueError):
    """The text is no sequence of tokens: a quote that does not close, say."""


def tokens(sql: str) -> list[Token]:
    r"""Tokens of the text, without space and comments.

    >>> [token.key for token in tokens("select 'a; b' -- c\nfrom t")]
    ['SELECT', "'", 'FROM', 'T']
    """
    found, position = [], 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise UnreadableError(sql[position : position + 10])
        kind = "dollar" if match["dollar"] else match.lastgroup or ""
        text = match.group()
        keys = {"string": STRING_KEY, "dollar": STRING_KEY, "name": NAME_KEY}
        if kind == "string" and found and found[-1].end == match.start() and found[-1].key in {"B", "X", "U&"}:
            raise UnreadableError(found[-1].text + text)  # a bit string
        if kind != "space":
            found.append(Token(kind, text, keys.get(kind) or text.upper(), position, match.end()))
        position = match.end()
    return found


def string_value(token: Token) -> str:
    r"""What a literal says.

    >>> string_value(tokens("'it''s a \\'tab\\''")[0])
    "it's a 'tab'"
    """
    if token.kind == "dollar":
        return token.text.split("$", 2)[2].rsplit("$", 2)[0]
    body = token.text[token.text.index("'") + 1 : -1].replace("''", "'")
    escapes = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), body, flags=re.DOTALL)


def literal(value: object) -> str:
    """A literal for the Postgres below, where a backslash escapes, too."""
    return "NULL" if value is None else "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A quoted name."""
    return '"' + name.replace('"', '""') + '"'


class Statement:
    """A statement's tokens, and the edits that turn it into what Postgres understands."""

    def __init__(self, sql: str, *, case_sensitive: bool = False) -> None:
        self.sql = sql
        self.case_sensitive = case_sensitive
        self.tokens = tokens(sql)
        while self.tokens and self.tokens[-1].key == ";":
            self.tokens.pop()
        self.keys = [token.key for token in self.tokens]
        self._edits: dict[int, tuple[int, str]] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    def key(self, index: int) -> str:
        """Key of a token; empty before the first and after the last."""
        return self.keys[index] if 0 <= index < len(self.keys) else ""

    def near(self, index: int) -> str:
        """How an error message names the place."""
        return self.tokens[index].text.lower() if index < len(self.tokens) else "end of input"

    def starts(self, *words: str, at: int = 0) -> bool:
        return tuple(self.keys[at : at + len(words)]) == words

    def find(self, *words: str, start: int = 0) -> int:
        """Where these keys follow each other first, or -1."""
        for index in range(start, len(self.keys) - len(words) + 1):
            if self.keys[index] == words[0] and self.starts(*words, at=index):
                return index
        return -1

    @cached_property
    def closing(self) -> dict[int, int]:
        """Of each opening parenthesis, where it closes."""
        pairs, open_ = {}, []
        for index, key in enumerate(self.keys):
            if key == "(":
                open_.append(index)
            elif key == ")" and open_:
                pairs[open_.pop()] = index
        return pairs

    @cached_property
    def depths(self) -> list[int]:
        """How deep in parentheses each token stands."""
        depths, depth = [], 0
        for key in self.keys:
            depth -= key == ")"
            depths.append(depth)
            depth += key == "("
        return depths

    def split(self, start: int, end: int) -> list[tuple[int, int]]:
        """Ranges between the commas that stand directly in ``start .. end``."""
        ranges, first = [], start
        for index in range(start, end + 1):
            if index == end or (self.keys[index] == "," and self.depths[index] == self.depths[start]):
                ranges.append((first, index))
                first = index + 1
        return ranges

    def identifier(self, index: int) -> str:
        """The name that a token stands for, folded as Redshift folds it."""
        token = self.tokens[index]
        if token.kind == "name":
            name = token.text[1:-1].replace('""', '"')
            return name if self.case_sensitive else name.lower()
        return token.text.lower()

    def qualified(self, index: int) -> tuple[tuple[str, ...], int]:
        """A name with its schema, and the index of the token behind it."""
        if self.key(index) == "" or self.tokens[index].kind not in {"word", "name"}:
            return (), index
        parts = [self.identifier(index)]
        index += 1
        while self.key(index) == "." and index + 1 < len(self.tokens):
            parts.append(self.identifier(index + 1))
            index += 2
        return tuple(parts), index

    def replace(self, first: int, last: int, text: str) -> None:
        """Put a text in the place of the tokens ``first`` to ``last``, both included."""
        self._edits[first] = (last, text)

    def render(self, start: int = 0, end: int | None = None) -> str:
        """The edited text of a range of tokens, comments left out."""
        end = len(self.tokens) if end is None else end
        parts, index = [], start
        while index < end:
            if index > start and self.tokens[index - 1].end < self.tokens[index].start:
                parts.append(" ")
            last, text = self._edits.get(index, (index, self.tokens[index].text))
            parts.append(text)
            index = max(last, index) + 1
        return "".join(parts)


def rendered_name(parts: tuple[str, ...]) -> str:
    """A qualified name for the Postgres below."""
    return ".".join(map(quoted, parts))
