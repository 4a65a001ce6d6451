"""Faults that a test asks for, and when they strike."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["1023", "dropped", "disconnect", "slow"]
Phase = Literal["before", "after"]
SERIALIZATION = (
    "XX000",
    "1023",
    "Serializable isolation violation on table - 100123, transactions forming the cycle are: 1, 2",
)
DROPPED = ("XX000", "table 100123 dropped by concurrent transaction", None)


@dataclass
class Fault:
    """One fault.

    :param when: a regular expression that the statement contains; any statement if neither this nor ``at`` is given
    :param at: the statement's number since the last reset, from 1
    :param seconds: how long ``slow`` sleeps
    """

    kind: Kind
    when: str | None = None
    at: int | None = None
    phase: Phase = "before"
    times: int = 1
    seconds: float = 0.0

    def strikes(self, sql: str, number: int, phase: Phase) -> bool:
        if self.times <= 0 or phase != self.phase or (self.at is not None and number != self.at):
            return False
        return self.when is None or re.search(self.when, sql, re.IGNORECASE | re.DOTALL) is not None


@dataclass
class Journal:
    """Statements in the order in which they came, over all connections, and the faults to come."""

    statements: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def receive(self, sql: str) -> int:
        """Note a statement and return its number."""
        with self._lock:
            self.statements.append(sql)
            self.count += 1
            return self.count

    def fault(self, sql: str, number: int, phase: Phase) -> Fault | None:
        """The fault that strikes now, which is then used up by one."""
        with self._lock:
            for fault in self.faults:
                if fault.strikes(sql, number, phase):
                    fault.times -= 1
                    return fault
            return None
