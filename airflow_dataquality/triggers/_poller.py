"""One poller for all triggers of a triggerer that ask the same source as often: one statement for a thousand waits."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.waiting import Sight
from airflow_dataquality.hooks.waiting import Look, Source

log = logging.getLogger(__name__)

PATIENCE = 600.0
"""Seconds after which a look that does not end is given up, as if the connection had broken."""
LONGEST_PAUSE = 300.0
"""Seconds between attempts to reach a source that cannot be reached, at most; or the interval, if that is longer."""

Sights = Mapping[Any, Sight]
_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Any, Poller]] = WeakKeyDictionary()


class Waiter:
    """One who waits, and what he is told.

    :param wanted: the partitions that he asks for
    """

    def __init__(self, wanted: Iterable[Any]) -> None:
        self.wanted = tuple(wanted)
        self._news: Sights | str | None = None
        self._told = asyncio.Event()

    def tell(self, news: Sights | str) -> None:
        """What was seen, or why nothing could be. Only the last is kept."""
        self._news = news
        self._told.set()

    async def news(self) -> Sights | str:
        """What is told next."""
        await self._told.wait()
        self._told.clear()
        assert self._news is not None
        return self._news


@contextlib.contextmanager
def waiting(source: Source, interval: float, wanted: Iterable[Any]) -> Iterator[Waiter]:
    """Be told what there is of some partitions, every so many seconds, for as long as the block runs."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    key = (source.key, interval)
    poller = pollers.get(key)
    if poller is None:
        poller = pollers[key] = Poller(source, interval)
    waiter = Waiter(wanted)
    poller.waiters.add(waiter)
    try:
        yield waiter
    finally:
        poller.waiters.discard(waiter)
        if not poller.waiters:
            pollers.pop(key, None)
            poller.stop()


class Poller:
    """Asks a source for what all of its waiters want.

    :param interval: seconds from one look to the next
    """

    def __init__(self, source: Source, interval: float) -> None:
        self.source = source
        self.interval = interval
        self.waiters: set[Waiter] = set()
        self._thread = ThreadPoolExecutor(1, "dq-poller")
        self._open = contextlib.ExitStack()
        self._look: Look | None = None
        # Not in the context of the trigger that came first, whose log would have all that is said here.
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._run(), name=f"poller of {source.key}", context=contextvars.Context())

    def stop(self) -> None:
        """End, and close the connection as soon as nothing runs on it."""
        self._task.cancel()

    async def _run(self) -> None:
        loop, failures = asyncio.get_running_loop(), 0
        try:
            while True:
                began = loop.time()
                try:
                    self._tell(await self._ask())
                    failures, pause = 0, max(self.interval - (loop.time() - began), 0)
                except Exception as error:  # noqa: BLE001 - whatever it is, nobody who waits is to be lost for it
                    self._forget()
                    failures += 1
                    pause = self._pause(failures)
                    reason = f"{said(error)} (try {failures}); asking again in {pause:,.3g} s"
                    log.warning("Cannot ask %s: %s", self.source.conn_id, reason)
                    for waiter in list(self.waiters):
                        waiter.tell(reason)
                await asyncio.sleep(pause)
        finally:
            self._forget()

    def _pause(self, failures: int) -> float:
        return min(min(self.interval, 1.0) * 2.0 ** min(failures - 1, 20), max(self.interval, LONGEST_PAUSE))

    async def _ask(self) -> Sights:
        wanted = {each for waiter in self.waiters for each in waiter.wanted}
        if self._look is None:
            connection = await self.source.connection()
            self._look = await self._in_thread(self._opened, self._open, connection)
        sights: Sights = await self._in_thread(self._look, wanted)
        return sights

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        # Not asyncio.to_thread: where Airflow's own calls need the loop, asgiref's threads find it in every version.
        run = sync_to_async(work, thread_sensitive=False, executor=self._thread)
        return await asyncio.wait_for(run(*arguments), PATIENCE)

    def _opened(self, stack: contextlib.ExitStack, connection: Any) -> Look:
        return stack.enter_context(self.source.opened(connection))

    def _tell(self, sights: Sights) -> None:
        for waiter in list(self.waiters):
            seen = {each: sights[each] for each in waiter.wanted if each in sights}
            if len(seen) == len(waiter.wanted):  # else he came while the question was under way
                waiter.tell(seen)

    def _forget(self) -> None:
        """Leave the connection to its thread, which closes it when what runs on it has ended."""
        with contextlib.suppress(RuntimeError):
            self._thread.submit(self._open.close)
        self._thread.shutdown(wait=False)
        self._thread, self._open, self._look = ThreadPoolExecutor(1, "dq-poller"), contextlib.ExitStack(), None
