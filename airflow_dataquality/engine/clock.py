"""How long the steps of a load took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

STAGING, CHECKS, EXCHANGE, LOCK_WAIT = "staging", "checks", "exchange", "lock_wait"


@dataclass
class Clock:
    """Adds up the seconds of each step, also of one that failed. Several threads may use it."""

    _spent: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of what runs in the block."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - started)

    def add(self, name: str, seconds: float) -> None:
        """Add seconds that were measured elsewhere."""
        self._spent.append((name, seconds))

    @property
    def mark(self) -> int:
        """Where it is now, for :meth:`in_vain`."""
        return len(self._spent)

    def in_vain(self, mark: int, seconds: float) -> None:
        """A try since the mark came to nothing, for want of a lock: all of it was waiting."""
        self._spent[mark:] = [(LOCK_WAIT, seconds)]

    @property
    def seconds(self) -> dict[str, float]:
        """Step → seconds."""
        found: dict[str, float] = {}
        for name, seconds in self._spent.copy():
            found[name] = found.get(name, 0.0) + seconds
        return found
