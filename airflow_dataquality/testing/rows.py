"""Rows as a test writes them: a line of names, and a line for each row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_dataquality.errors import SpecError

Cell = Any
"""None is NULL, text is to be read by the column's type, anything else is a Python value."""

_CLOSES = {"{": "}", "[": "])", "(": ")]"}  # ranges are closed as they like: [1,5)
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)')
_HINT = """quote it: "'…'" """.strip()


@dataclass(frozen=True)
class Rows:
    """Columns and rows that are given, or expected. Types are the database's business: they are not known here."""

    columns: tuple[str, ...] = ()
    cells: tuple[tuple[Cell, ...], ...] = ()

    @classmethod
    def of(cls, given: Any) -> Rows:
        """Rows of whatever a test may write for them: :class:`Rows`, or mappings of column to value.

        :raises SpecError: if it is neither
        """
        if isinstance(given, Rows):
            return given
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise SpecError(f"{given!r} holds no rows", hint='write rows("ds, carrier", "2013-01-01, UA")')
        listed = list(given)
        bad = next((each for each in listed if not isinstance(each, Mapping)), None)
        if bad is not None:
            raise SpecError(f"the row {bad!r} names no columns", hint='write rows("ds, carrier", …), or dicts')
        names = dict.fromkeys(str(name) for row in listed for name in row)
        lacking = [(n, name) for n, row in enumerate(listed, 1) for name in names if name not in row]
        if lacking:
            raise SpecError(
                f"row {lacking[0][0]} has no {lacking[0][1]}, which others have", hint="give it, or None for NULL"
            )
        return cls(tuple(names), tuple(tuple(row[name] for name in names) for row in listed))

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        lines = [", ".join(self.columns), *(", ".join(map(shown, row)) for row in self.cells)]
        return f"rows({', '.join(map(repr, lines))})"


def rows(columns: str | Sequence[str] = (), *lines: str | Sequence[Any] | Mapping[str, Any]) -> Rows:
    r"""Rows, written as text: names with commas between, then a line for each row.

    ``NULL`` is NULL; ``'NULL'`` and ``"NULL"`` are text. Quotes are doubled inside quotes of their kind, and blanks
    around commas do not count, so that columns may be aligned. Arrays and JSON keep the commas inside their brackets.
    A row may also be a sequence of Python values, where None is NULL, or a mapping.

    :raises SpecError: naming the row, and the columns that have no value

    >>> rows("id, name, tags", "1, 'O''Hare, IL', {a,b}", (2, None, ["c"])).cells
    (('1', "O'Hare, IL", '{a,b}'), (2, None, ['c']))
    """
    names = _names(columns) if isinstance(columns, str) else tuple(map(str, columns))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"rows name {twice[0]} twice", hint="name each column once")
    return Rows(names, tuple(_row(number, line, names) for number, line in enumerate(lines, 1)))


def _names(text: str) -> tuple[str, ...]:
    found = []
    for part in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', text) if text.strip() else ():
        match = _NAME.fullmatch(part.strip())
        if match is None:
            hint = 'write names with commas between, and quote what is no plain word: ds, "Flight No"'
            raise SpecError(f"{part.strip()!r} is no name of a column, in {text!r}", hint=hint)
        found.append(match[1].replace('""', '"') if match[1] else match[2].lower())
    return tuple(found)


def _row(number: int, line: Any, names: Sequence[str]) -> tuple[Cell, ...]:
    if isinstance(line, Mapping):
        wrong = [*(name for name in line if name not in names), *(name for name in names if name not in line)]
        if wrong:
            raise SpecError(f"row {number}: {wrong[0]} is not in both the row and the columns", hint=_columns(names))
        return tuple(line[name] for name in names)
    try:
        cells = tuple(cells_of(line)) if isinstance(line, str) else tuple(line)
    except SpecError as error:
        raise SpecError(f"row {number}: {error.message}", hint=error.hint) from None
    if len(cells) < len(names):
        missing = ", ".join(names[len(cells) :])
        raise SpecError(
            f"row {number} has {_values(len(cells))} for {len(names)} columns, in {line!r}: {missing} is missing"
            if len(cells) + 1 == len(names)
            else f"row {number} has {_values(len(cells))} for {len(names)} columns, in {line!r}: {missing} are missing",
            hint=f"write NULL for a value that there is not; {_columns(names)}",
        )
    if len(cells) > len(names):
        more = ", ".join(map(shown, cells[len(names) :]))
        hint = f"quote a value that holds a comma: 'a, b'; {_columns(names)}"
        raise SpecError(
            f"row {number} has {_values(len(cells))} for {len(names)} columns: {more} is too much", hint=hint
        )
    return cells


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def _columns(names: Iterable[str]) -> str:
    return f"the columns are {', '.join(names)}"


def cells_of(line: str) -> Iterator[str | None]:
    """The values of a line.

    :raises SpecError: for a quote or a bracket that does not close
    """
    position = 0
    while True:
        position += len(line[position:]) - len(line[position:].lstrip())
        first = line[position : position + 1]
        if first in ("'", '"'):
            text, position = _quoted(line, position)
            yield text
        elif first in _CLOSES and first:
            text, position = _bracketed(line, position)
            yield text
        else:
            end = line.find(",", position)
            end = len(line) if end < 0 else end
            bare = line[position:end].strip()
            yield None if bare == "NULL" else bare
            position = end
        if position >= len(line):
            return
        position += 1


def _quoted(line: str, start: int) -> tuple[str, int]:
    quote, position, value = line[start], start + 1, ""
    while True:
        end = line.find(quote, position)
        if end < 0:
            raise SpecError(f"a quote opens and does not close, in {line[start:]!r}", hint=f"close it with {quote}")
        value += line[position:end]
        position = end + 1
        if line[position : position + 1] != quote:
            break
        value += quote
        position += 1
    rest = line[position:].partition(",")[0]
    if rest.strip():
        hint = f"double a quote inside quotes: {quote}{quote}"
        raise SpecError(f"{rest.strip()!r} follows a closing quote, in {line[start:]!r}", hint=hint)
    return value, position + len(rest)


def _bracketed(line: str, start: int) -> tuple[str, int]:
    """A value up to the comma behind the bracket that closes the first one; texts in double quotes are skipped."""
    open_now, position = 0, start
    while position < len(line):
        character = line[position]
        if character == '"':
            text = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL).match(line, position)
            if text is None:
                break
            position = text.end()
            continue
        open_now += (character in "{[(") - (character in "}])")
        if character == "," and open_now <= 0:
            break
        position += 1
    if open_now > 0:
        raise SpecError(f"a bracket opens and does not close, in {line[start:]!r}", hint=_HINT)
    return line[start:position].strip(), position


def shown(cell: Cell) -> str:
    """A value as a line of :func:`rows` has it.

    >>> shown(None), shown("NULL"), shown("a, b"), shown(1.5)
    ('NULL', "'NULL'", "'a, b'", '1.5')
    """
    if cell is None:
        return "NULL"
    if not isinstance(cell, str):
        return as_text(cell)
    plain = cell == cell.strip() and cell not in ("NULL", "") and cell[0] not in "'\"{[(" and "," not in cell
    bracketed = False
    if cell and cell[0] in _CLOSES:
        try:
            bracketed = list(cells_of(cell)) == [cell]
        except SpecError:
            bracketed = False
    return cell if plain or bracketed else "'" + cell.replace("'", "''") + "'"


def as_text(value: Any, *, array: bool = False) -> str:
    """A Python value as the database reads it.

    :param array: a list is an array, and not JSON

    >>> as_text([1, None, "a b"], array=True), as_text({"a": True}), as_text(True)
    ('{1,NULL,"a b"}', '{"a": true}', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if array and isinstance(value, list | tuple):
        return "{" + ",".join(_element(each) for each in value) + "}"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list | tuple):
        return as_text(value, array=True)
    text = as_text(value)
    if re.fullmatch(r"[\w.+-]+", text) and text.upper() != "NULL":
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
