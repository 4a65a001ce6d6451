"""The plan of a backfill: which partitions, in which chunks, in which order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean

ORDERS = ("newest_first", "oldest_first")


@dataclass(frozen=True)
class Chunk:
    """Partitions that are computed together.

    :param number: its number, from 1 in the order of time
    :param partitions: their values, in the order of time
    :param lane: chunks of a lane are computed one after the other; those of different lanes at the same time
    """

    number: int
    partitions: tuple[str, ...]
    lane: int

    @property
    def first(self) -> str:
        """The value of its first partition."""
        return self.partitions[0]

    @property
    def last(self) -> str:
        """The value of its last partition."""
        return self.partitions[-1]

    def __str__(self) -> str:
        return self.first if len(self.partitions) == 1 else f"{self.first} to {self.last}"


def chunks(partitions: Sequence[str], size: int, order: str = "newest_first") -> tuple[Chunk, ...]:
    """Cut a range into chunks that may be computed at the same time, in the order in which they are to begin.

    :param size: partitions in a chunk
    :raises SpecError: if there is no such order

    >>> [str(chunk) for chunk in chunks(["2013-01-01", "2013-01-02", "2013-01-03"], 2)]
    ['2013-01-03', '2013-01-01 to 2013-01-02']
    """
    if order not in ORDERS:
        raise SpecError(f"order is {order!r}", hint=did_you_mean(order, ORDERS, label="Orders"))
    starts = range(0, len(partitions), size)
    cut = [Chunk(n, tuple(partitions[start : start + size]), n) for n, start in enumerate(starts, 1)]
    return tuple(reversed(cut)) if order == "newest_first" else tuple(cut)


def identity(*words: Any, statements: Iterable[str] = ()) -> str:
    """What tells a backfill from every other one: a hash of its table, its range and grain, and its SQL."""
    text = json.dumps([*words, *statements], default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
