"""The partitions of a table on a calendar: what was published, what was blocked, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from airflow_dataquality.engine.board import Entry, key_of
from airflow_dataquality.engine.timeline import grain_of, moment, partitions_between

STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1), "month": timedelta(days=28)}
MOST = 50_000
"""Cells of a calendar; of a span that has more, the partitions are listed."""
WIDTH = {"hour": 24, "day": 7, "week": 13, "month": 12}
"""Cells of a line: hours of a day, days of a week, weeks of a quarter, months of a year."""
SHOWN = {"hour": 31, "day": 12, "week": 5, "month": 10}
"""Blocks of one view: days, months, years, years."""
_WORST = ("blocked", "fail", "error", "warn", "skip", "pass", "published")


@dataclass(frozen=True)
class Cell:
    """One time on the calendar.

    :param value: of the column that tells the time, as it is written
    :param entries: the newest run of each partition of that time: several, if the key has more columns; none if missing
    """

    value: str
    when: datetime
    entries: Sequence[Entry] = ()

    @property
    def status(self) -> str:
        """The worst of its partitions."""
        found = {entry.status for entry in self.entries}
        return next((status for status in _WORST if status in found), "missing")

    @property
    def words(self) -> str:
        """What became of it."""
        if not self.entries:
            return "nothing was published"
        if len(self.entries) == 1:
            (entry,) = self.entries
            hidden = entry.status == "blocked" and entry.row.get("visible")
            return entry.words + ("; an earlier version is visible" if hidden else "")
        counts = Counter(entry.status for entry in self.entries)
        parts = ", ".join(f"{counts[status]} {status}" for status in _WORST if counts[status])
        return f"{len(self.entries)} partitions: {parts}"


@dataclass(frozen=True)
class Block:
    """A stretch of time: a month of days, a day of hours, a year of weeks or months.

    :param cells: in order; None before its first
    """

    label: str
    cells: Sequence[Cell | None]


@dataclass(frozen=True)
class Calendar:
    """The partitions of a table.

    :param column: the column that tells the time; None if none does: then there are no blocks
    :param blocks: oldest first
    :param others: what has no place on it, the newest run first
    """

    column: str | None = None
    grain: str | None = None
    blocks: Sequence[Block] = ()
    others: Sequence[Entry] = ()
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return WIDTH[self.grain or "day"]

    def pages(self) -> int:
        """How many views it has."""
        return max(1, -(-len(self.blocks) // SHOWN[self.grain or "day"]))

    def view(self, number: int) -> Sequence[Block]:
        """The blocks of one view, from 1, the newest first."""
        size, number = SHOWN[self.grain or "day"], min(max(number, 1), self.pages())
        end = len(self.blocks) - (number - 1) * size
        return self.blocks[max(0, end - size) : end]


def calendar(entries: Iterable[Entry]) -> Calendar:
    """A calendar of the newest run of each partition."""
    rows = sorted(entries, key=lambda entry: entry.row["at"], reverse=True)
    keys = [(key_of(entry.partition), entry) for entry in rows]
    column = _time_column([key for key, _ in keys if key])
    if column is None:
        return Calendar(others=rows, counts=Counter(entry.status for entry in rows))
    placed: dict[datetime, tuple[str, list[Entry]]] = {}
    others = []
    for key, entry in keys:
        when = moment(key[column]) if column in key else None
        if when is None:
            others.append(entry)
        else:
            placed.setdefault(when, (str(key[column]), []))[1].append(entry)
    times = sorted(placed)
    grain = _grain(times, placed[times[0]][0])
    if (times[-1] - times[0]) / STEPS[grain] > MOST:
        return Calendar(others=rows, counts=Counter(entry.status for entry in rows))
    cells = _cells(times, placed, grain)
    counts = Counter(cell.status for cell in cells)
    return Calendar(column, grain, _blocks(cells, grain), others, counts)


def _time_column(keys: Sequence[Mapping[str, Any]]) -> str | None:
    """The column that holds a time in every key; of several the one with dashes, then the first."""
    if not keys:
        return None
    timed = [name for name in keys[0] if all(moment(key.get(name)) is not None for key in keys)]
    return next((name for name in timed if "-" in str(keys[0][name])), timed[0] if timed else None)


def _grain(times: Sequence[datetime], written: str) -> str:
    """From one partition to the next: as it is written, and as far apart as they are."""
    grain = grain_of(written)
    gaps = {later - earlier for earlier, later in pairwise(times)}
    if grain != "day" or not gaps:
        return grain
    if all(time.day == 1 for time in times):
        return "month"
    return "week" if all(gap % timedelta(weeks=1) == timedelta() for gap in gaps) else "day"


def _cells(times: Sequence[datetime], placed: Mapping[datetime, tuple[str, list[Entry]]], grain: str) -> list[Cell]:
    """Every time from the first to the last, also those of which there is nothing."""
    first, last = placed[times[0]][0], placed[times[-1]][0]
    every = {found: value for value in partitions_between(first, last, grain) if (found := moment(value)) is not None}
    known = {when: Cell(value, when, tuple(entries)) for when, (value, entries) in placed.items()}
    missing = {when: Cell(value, when) for when, value in every.items() if when not in known}
    return [cell for _, cell in sorted((known | missing).items())]


def _blocks(cells: Sequence[Cell], grain: str) -> list[Block]:
    label = {"hour": "%Y-%m-%d", "day": "%B %Y", "week": "%G", "month": "%Y"}[grain]
    return [
        Block(name, _padded(list(of), grain)) for name, of in groupby(cells, key=lambda cell: cell.when.strftime(label))
    ]


def _padded(cells: list[Cell], grain: str) -> list[Cell | None]:
    """The cells of a block, each where it belongs in its line: Monday is first, as are January and midnight."""
    first = cells[0].when
    start = {"hour": first.hour, "month": first.month - 1, "week": (first.isocalendar().week - 1) % WIDTH["week"]}.get(
        grain
    )
    if start is None:
        start = first.weekday()
    return [None] * start + list(cells)
