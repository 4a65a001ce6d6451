"""Questions to a catalog, with how to read the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Question:
    """One query about what hangs on a table.

    :param kind: the kind of every feature in the answer; None if each row says it: kind, name, detail
    :param names: what the columns after the first say; the first is the feature's name
    :param numbered: the order of the rows is a detail, too: ``position``
    """

    sql: str
    kind: str | None = None
    names: Sequence[str] = ()
    numbered: bool = False

    def rows(self, answer: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """The answer as rows of (kind, name, detail)."""
        if self.kind is None:
            yield from answer
            return
        for position, (name, *values) in enumerate(answer, 1):
            detail = dict(zip(self.names, values, strict=True))
            yield self.kind, name, detail | ({"position": position} if self.numbered else {})
