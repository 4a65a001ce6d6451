"""Time things in turn, so that whatever else the machine does falls on all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from airflow_dataquality.hooks.session import DbApiSession


@dataclass
class Race:
    """Seconds of each side in each round, and what the sides answered in the last.

    :param cpu: seconds that processors worked for it, which other programs on the machine change little
    """

    seconds: dict[str, list[float]]
    cpu: dict[str, list[float]]
    answers: dict[str, Any] = field(default_factory=dict)

    def median(self, side: str) -> float:
        return statistics.median(self.seconds[side])

    def ratio(self, side: str, to: str) -> float:
        """Median over the rounds of one side's time ÷ the other's in the same round."""
        return _ratio(self.seconds[side], self.seconds[to])

    def cpu_ratio(self, side: str, to: str) -> float:
        """The same of the processors' seconds."""
        return _ratio(self.cpu[side], self.cpu[to])


def _ratio(one: list[float], other: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(one, other, strict=False))


def race(
    sides: Mapping[str, Callable[[], Any]],
    rounds: int,
    fewer: Mapping[str, int] | None = None,
    cpu: Callable[[], float] = time.process_time,
) -> Race:
    """Run every side once a round, in an order that turns with the round.

    :param fewer: sides too slow for every round → in how many they run
    :param cpu: the seconds that processors have worked so far
    """
    result = Race({side: [] for side in sides}, {side: [] for side in sides})
    for number in range(rounds):
        names = [side for side in sides if number < (fewer or {}).get(side, rounds)]
        turn = number % len(names)
        for side in names[turn:] + names[:turn]:
            gc.collect()  # nobody pays for another's garbage
            worked, started = cpu(), time.perf_counter()
            result.answers[side] = sides[side]()
            result.seconds[side].append(time.perf_counter() - started)
            result.cpu[side].append(cpu() - worked)
    return result


@dataclass(frozen=True)
class Sent:
    """One message to the database. Times are :func:`time.monotonic`, which all processes share."""

    sql: str
    started: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@contextmanager
def recorded() -> Iterator[list[Sent]]:
    """Every message that our sessions send meanwhile."""
    messages: list[Sent] = []
    send = DbApiSession._send

    def timed(session: DbApiSession, sql: str) -> Any:
        started = time.monotonic()
        try:
            return send(session, sql)
        finally:
            messages.append(Sent(sql, started, time.monotonic()))

    with mock.patch.object(DbApiSession, "_send", timed):
        yield messages
