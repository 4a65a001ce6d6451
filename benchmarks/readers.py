"""Readers in processes of their own, who note how long each of their reads took and what it saw.

Run as a program, this is one reader: ``python readers.py ADDRESS SQL``. It reads until its input is closed.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

PAUSE = 0.001
"""Seconds between two reads, so that readers leave the exchange the cores that it needs."""


@dataclass(frozen=True)
class Read:
    """One read. Times are :func:`time.monotonic`, which all processes share.

    :param seen: the row that was read; None if the read failed
    """

    started: float
    ended: float
    seen: list[Any] | None

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@contextmanager
def reading(uri: str, sql: str, count: int = 2) -> Iterator[list[Read]]:
    """Read in a loop for as long as the block runs; its list is filled when the block has ended."""
    command = [sys.executable, __file__, uri, sql]
    readers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
    ]
    reads: list[Read] = []
    try:
        for reader in readers:
            assert reader.stdout is not None
            reader.stdout.readline()  # it has connected
        yield reads
    finally:
        for reader in readers:
            noted, _ = reader.communicate("")
            reads.extend(Read(*read) for read in json.loads(noted))


def longest(reads: Sequence[Read], since: float, until: float) -> float | None:
    """Seconds of the longest read that overlapped the time; None if none did."""
    return max((read.seconds for read in reads if read.started <= until and read.ended >= since), default=None)


def _main(uri: str, sql: str) -> None:
    reads = []
    with psycopg.connect(uri, autocommit=True) as connection:
        print("connected", flush=True)
        while not select.select([sys.stdin], [], [], PAUSE)[0]:
            started = time.monotonic()
            try:
                seen = connection.execute(sql).fetchone()
            except psycopg.Error:
                seen = None
            reads.append((started, time.monotonic(), seen))
    print(json.dumps(reads))


if __name__ == "__main__":
    _main(*sys.argv[1:])
