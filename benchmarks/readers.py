"""Readers in processes of their own, who note how long each of their reads waited and what it saw."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg

PAUSE = 0.001
"""Seconds between two reads, so that readers do not eat the cores that the exchange needs."""


@dataclass(frozen=True)
class Read:
    """One read. Times are :func:`time.monotonic`.

    :param seen: the row that was read; None if the read failed
    """

    started: float
    ended: float
    seen: tuple[Any, ...] | None

    @property
    def seconds(self) -> float:
        return self.ended - self.started


@contextmanager
def reading(uri: str, sql: str, count: int = 2) -> Iterator[list[Read]]:
    """Read in a loop for as long as the block runs; its list is filled when the block has ended."""
    processes = multiprocessing.get_context("spawn")  # a fork would inherit our connections
    stop = processes.Event()
    pipes, readers = [], []
    for _ in range(count):
        ours, theirs = processes.Pipe()
        reader = processes.Process(target=_read, args=(uri, sql, stop, theirs), daemon=True)
        reader.start()
        theirs.close()
        pipes.append(ours)
        readers.append(reader)
    for pipe in pipes:
        pipe.recv()  # it has connected
    reads: list[Read] = []
    try:
        yield reads
    finally:
        stop.set()
        for pipe, reader in zip(pipes, readers, strict=True):
            with suppress(EOFError):
                reads.extend(pipe.recv())
            reader.join()
            pipe.close()


def _read(uri: str, sql: str, stop: Any, pipe: Any) -> None:
    reads: list[Read] = []
    with psycopg.connect(uri, autocommit=True) as connection:
        pipe.send("connected")
        while not stop.is_set():
            started = time.monotonic()
            try:
                seen = connection.execute(sql).fetchone()
            except psycopg.Error:
                seen = None
            reads.append(Read(started, time.monotonic(), seen))
            time.sleep(PAUSE)
    pipe.send(reads)


def longest(reads: Sequence[Read], since: float, until: float) -> float | None:
    """Seconds of the longest read that overlapped the time; None if none did."""
    return max((read.seconds for read in reads if read.started <= until and read.ended >= since), default=None)
