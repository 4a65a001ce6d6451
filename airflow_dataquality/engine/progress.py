"""How far a backfill is: a log line for each chunk, and numbers for whoever draws them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from airflow_dataquality.plans.backfill import Chunk

log = logging.getLogger(__name__)

Gauge = Callable[[str, float], None]


FEW = 100
"""Of more chunks than that not each has a line of its own in the log, but one a second."""


def no_gauge(_name: str, _value: float) -> None:
    """Tell nobody."""


@dataclass
class Progress:
    """The progress of one run of a backfill.

    :param total: all chunks
    :param done: those that are staged
    :param gauge: told of each number: ``chunks_done``, ``chunks_total``, ``rows``, ``rows_per_second``,
        ``seconds_left``
    """

    total: int
    done: int = 0
    gauge: Gauge = no_gauge
    rows: int = 0
    _begun: int = field(init=False)
    _started: float = field(default_factory=time.monotonic)
    _told: float = 0.0

    def __post_init__(self) -> None:
        self._begun = self.done

    def finished(self, chunk: Chunk, rows: int) -> None:
        """Tell of a chunk."""
        self.done += 1
        self.rows += rows
        now = time.monotonic()
        numbers = self.numbers(now - self._started)
        for name, value in numbers.items():
            self.gauge(name, value)
        if self.total > FEW and now - self._told < 1 and self.done < self.total:
            return
        self._told = now
        log.info(
            "%s of %s chunks, %s rows, %s rows/s, about %s left: staged %s (%s rows)",
            self.done, self.total, f"{self.rows:,}", f"{numbers['rows_per_second']:,.0f}",
            as_time(numbers["seconds_left"]), chunk, f"{rows:,}",
        )  # fmt: skip

    def numbers(self, seconds: float) -> Mapping[str, float]:
        """Where it is after so many seconds."""
        fresh = self.done - self._begun
        return {
            "chunks_done": self.done,
            "chunks_total": self.total,
            "rows": self.rows,
            "rows_per_second": self.rows / seconds if seconds else 0.0,
            "seconds_left": seconds / fresh * (self.total - self.done) if fresh else 0.0,
        }


def as_time(seconds: float) -> str:
    """A duration for people.

    >>> as_time(7.4), as_time(123), as_time(7300)
    ('7 s', '2 min 3 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004 - seconds of an hour
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
