"""Rows that a run made, held against those that a test expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.sandbox import Typed
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.testing.rows import Rows, as_text, shown
from airflow_dataquality.testing.sandbox import Sandbox, Texts
from airflow_dataquality.testing.values import key_of, value_of

_SAME, _MISSING, _MORE = " ", "-", "+"
_MOST_SAME, _MOST = 3, 20


class Found(Sequence[Mapping[str, Any]]):
    """Rows of a table, as mappings of column to Python value.

    They equal :func:`rows` that name some, or all, of their columns, in any order, if each value is equal to its
    column's type: ``1.50`` is ``1.5`` of a numeric.

    :param what: whose rows
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, sandbox: Sandbox, what: str, columns: Sequence[Typed], texts: Sequence[Texts]) -> None:
        self.what, self.columns, self.texts = what, tuple(columns), [tuple(row) for row in texts]
        self._sandbox = sandbox

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[each] for each in range(*number.indices(len(self)))]
        pairs = zip(self.columns, self.texts[number], strict=True)
        return {column.name: value_of(column, text) for column, text in pairs}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[number] for number in range(len(self)))

    def __repr__(self) -> str:
        return repr(Rows(tuple(column.name for column in self.columns), tuple(self.texts)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Found):
            return Counter(self._keys(self.columns)) == Counter(other._keys(other.columns))
        if not isinstance(other, Rows | list | tuple):
            return NotImplemented
        return not any(self._compared(Rows.of(other))[1:])

    def difference(self, expected: Rows) -> list[str]:
        """What differs, line by line, for people to read.

        :raises SpecError: for a column that is not there, or a value that is not of its type
        """
        columns = self._named(expected)
        same, missing, more = self._compared(expected)
        lines = [
            f"{self.what} has {_count(len(self))}, expected {'is' if len(expected) == 1 else 'are'} {len(expected)}:"
        ]
        body: list[tuple[str, Texts, str]] = [(_SAME, row, "") for row in same[:_MOST_SAME]]
        pairs, missing, more = _paired(missing, more)
        for wanted, got in pairs[:_MOST]:
            body += [(_MISSING, wanted, "expected"), (_MORE, got, "; ".join(_notes(columns, wanted, got)))]
        body += [(_MISSING, row, "expected, and missing") for row in missing[:_MOST]]
        body += [(_MORE, row, "not expected") for row in more[:_MOST]]
        lines += _table([column.name for column in columns], body)
        left = len(same[_MOST_SAME:]) + sum(len(each[_MOST:]) for each in (pairs, missing, more))
        return [*lines, *([f"  … and {left} more, {len(same[_MOST_SAME:])} of them as expected"] if left else [])]

    def _named(self, expected: Rows) -> list[Typed]:
        known = {column.name: column for column in self.columns}
        for name in expected.columns:
            if name not in known:
                hint = did_you_mean(name, known, label="Columns")
                raise SpecError(f"{self.what} has no column {name!r}", hint=hint)
        return [known[name] for name in expected.columns] if expected.columns else list(self.columns)

    def _keys(self, columns: Iterable[Typed]) -> list[tuple[Any, ...]]:
        names = [column.name for column in columns]
        return [tuple(sorted(zip(names, map(repr, _keyed(columns, row)), strict=True))) for row in self.texts]

    def _compared(self, expected: Rows) -> tuple[list[Texts], list[Texts], list[Texts]]:
        """Rows of both, of the expected alone, and of these alone, as texts of the expected columns."""
        columns = self._named(expected)
        if not expected.columns:
            return [], [], list(self.texts)
        cells = [[_cell(column, cell) for column, cell in zip(columns, row, strict=True)] for row in expected.cells]
        wanted = self._sandbox.as_written(columns, cells, what="expected rows")
        place = {column.name: number for number, column in enumerate(self.columns)}
        got = [tuple(row[place[column.name]] for column in columns) for row in self.texts]
        left = Counter(_keyed(columns, row) for row in wanted)
        same: list[Texts] = []
        more: list[Texts] = []
        for row in got:
            key = _keyed(columns, row)
            (same if left[key] > 0 else more).append(row)
            left[key] -= 1
        missing: list[Texts] = []
        for each in wanted:
            if left[_keyed(columns, each)] > 0:
                left[_keyed(columns, each)] -= 1
                missing.append(each)
        return same, missing, more


def _cell(column: Typed, cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else as_text(cell, array=column.is_array)


def _notes(columns: Iterable[Typed], wanted: Texts, got: Texts) -> Iterator[str]:
    for column, one, other in zip(columns, wanted, got, strict=True):
        if key_of(column, one) != key_of(column, other):
            yield f"{column.name} is {shown(other)}, expected {shown(one)}"


def _keyed(columns: Iterable[Typed], row: Texts) -> tuple[Any, ...]:
    return tuple(key_of(column, text) for column, text in zip(columns, row, strict=True))


def _paired(
    missing: Sequence[Texts], more: Sequence[Texts]
) -> tuple[list[tuple[Texts, Texts]], list[Texts], list[Texts]]:
    """Rows that are probably meant to be the same: those that share most values, and one at least."""
    pairs, left = [], list(more)
    alone = []
    for wanted in missing:
        alike = [sum(a == b for a, b in zip(wanted, got, strict=True)) for got in left[:200]]
        if alike and max(alike) > 0:
            pairs.append((wanted, left.pop(alike.index(max(alike)))))
        else:
            alone.append(wanted)
    return pairs, alone, left


def _table(names: Sequence[str], body: Sequence[tuple[str, Texts, str]]) -> list[str]:
    cells = [list(map(shown, row)) for _, row, _ in body]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]

    def line(values: Iterable[str]) -> str:
        return "  ".join(value.ljust(width) for value, width in zip(values, widths, strict=True))

    rows = (f"{sign} {line(row)}  {note}" for (sign, _, note), row in zip(body, cells, strict=True))
    return [f"  {line(names)}".rstrip(), *(row.rstrip() for row in rows)]


def _count(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
