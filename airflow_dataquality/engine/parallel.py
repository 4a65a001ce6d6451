"""Chunks over several connections at the same time: each is retried alone, and what failed is told at the end."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Self

from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.errors import ChecksFailed, DataQualityError, SpecError
from airflow_dataquality.plans.backfill import Chunk

log = logging.getLogger(__name__)

Connect = Callable[[], AbstractContextManager[ExchangeSession]]
Work = Callable[[ExchangeSession, Chunk], int]
Done = Callable[[Chunk, int], None]

PAUSE = 0.5
"""Seconds before a chunk is tried again, twice as many each time."""


@dataclass(frozen=True)
class Failure:
    """A chunk that could not be computed, and why."""

    chunk: Chunk
    error: Exception
    tries: int

    def __str__(self) -> str:
        message = self.error.message if isinstance(self.error, DataQualityError) else str(said(self.error))
        tries = f" ({self.tries} tries)" if self.tries > 1 else ""
        return f"{self.chunk}{tries}: " + message.removeprefix(f"chunk {self.chunk}: ").replace("\n", "\n  ")


@dataclass
class Pool:
    """Open connections, which threads borrow. The main thread opens them: others may not ask Airflow for them."""

    connect: Connect
    size: int
    _open: dict[int, tuple[ExchangeSession, ExitStack]] = field(default_factory=dict)
    _free: queue.SimpleQueue[int] = field(default_factory=queue.SimpleQueue)
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        try:
            for number in range(self.size):
                self._connect(number)
                self._free.put(number)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *details: object) -> None:
        for _, stack in self._open.values():
            with contextlib.suppress(Exception):  # the connection may be gone already
                stack.close()

    def _connect(self, number: int) -> ExchangeSession:
        stack = ExitStack()
        session = stack.enter_context(self.connect())
        self._open[number] = session, stack
        return session

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[ExchangeSession]:
        """A connection for one chunk; a new one if it broke before."""
        number = self._free.get()
        try:
            yield self._alive(number)
        finally:
            self._free.put(number)

    def _alive(self, number: int) -> ExchangeSession:
        session, stack = self._open[number]
        try:
            session.query("SELECT 1")
        except Exception:  # noqa: BLE001 - each driver has its own exceptions
            with contextlib.suppress(Exception):
                stack.close()
            return self._connect(number)
        return session

    def stop(self) -> None:
        """Begin no more, and cancel what runs; called from a signal handler, or when the main thread gives up."""
        self.stopped.set()
        for session, _ in self._open.values():
            with contextlib.suppress(Exception):
                session.cancel()


def in_parallel(
    chunks: Sequence[Chunk], work: Work, pool: Pool, *, done: Done, retries: int = 1, max_failures: int | None = None
) -> list[Failure]:
    """Compute the chunks: those of one lane one after the other, several lanes at a time.

    :param work: computes a chunk over a connection; its rows
    :param done: told of each chunk that is finished, in the main thread
    :param retries: how often a chunk that failed is tried again
    :param max_failures: after more failures than that no other chunk is begun; None begins all
    :returns: the chunks that failed; the rest of their lanes is not begun
    """
    lanes: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        lanes.setdefault(chunk.lane, []).append(chunk)
    failures: list[Failure] = []
    with ThreadPoolExecutor(max_workers=pool.size, thread_name_prefix="backfill") as executor:
        running: dict[Future[int], list[Chunk]] = {}
        waiting = list(reversed(lanes.values()))
        try:
            while waiting or running:
                while waiting and len(running) < pool.size:
                    lane = waiting.pop()
                    running[executor.submit(_attempts, pool, work, lane[0], retries)] = lane
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    lane = running.pop(future)
                    if (error := future.exception()) is None:
                        done(lane[0], future.result())
                        if lane[1:]:
                            waiting.append(lane[1:])
                    else:
                        failures.append(_failure(lane[0], error))
                if pool.stopped.is_set() or (max_failures is not None and len(failures) > max_failures):
                    waiting.clear()
        except BaseException:
            pool.stop()
            raise
    return failures


class _Failed(Exception):
    def __init__(self, error: Exception, tries: int) -> None:
        super().__init__(str(error))
        self.error, self.tries = error, tries


def _failure(chunk: Chunk, error: BaseException) -> Failure:
    if not isinstance(error, _Failed):
        raise error
    return Failure(chunk, error.error, error.tries)


def _attempts(pool: Pool, work: Work, chunk: Chunk, retries: int) -> int:
    for tried in range(1, retries + 2):
        try:
            with pool.borrowed() as session:
                return work(session, chunk)
        except Exception as error:
            for_good = isinstance(error, ChecksFailed | SpecError) or pool.stopped.is_set() or tried > retries
            if for_good:
                raise _Failed(error, tried) from error
            log.warning("Chunk %s failed, and is tried again: %s", chunk, said(error))
            time.sleep(PAUSE * 2 ** (tried - 1))
    raise AssertionError("the last attempt returns or raises")
