"""Locks of an exchange, and what to do while they are not to be had."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_dataquality.engine.clock import LOCK_WAIT
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.staging import Stage
from airflow_dataquality.errors import ExchangeError, ExchangeTimeout
from airflow_dataquality.model import Partition

log = logging.getLogger(__name__)


PATIENCE = 2.0
"""Seconds to wait for a lock that keeps no reader waiting."""

PAUSE = 0.25
"""Longest pause between two tries, in seconds; twice the time that a try makes readers wait, if that is more.

Among readers that lock a partition before its table, one try in ten succeeds: tries have to be many.
"""


class Busy(ExchangeError):
    """A lock was not to be had in the time that others may wait behind us."""


class Locks:
    """Waiting for others, for a bounded time, without making readers wait."""

    def __init__(self, session: ExchangeSession, settings: Settings, partition: Partition) -> None:
        self.session, self.sql, self.settings, self.partition = session, session.dialect, settings, partition
        self.clock = settings.clock

    def attempts(self, action: Callable[[], None]) -> None:
        """Run a whole transaction until its locks are to be had, and nobody's transaction contradicts it.

        :raises ExchangeTimeout: if that takes longer than ``exchange_timeout``
        """
        deadline = time.monotonic() + self.settings.exchange_timeout
        pause, tries, longest = 0.02, 0, max(PAUSE, 2 * self.settings.lock_timeout)
        while True:
            tries += 1
            mark, begun = self.clock.mark, time.monotonic()
            try:
                return action()
            except Exception as error:
                known = said(error)
                busy = isinstance(error, Busy)
                reason = known.message if busy else self.sql.retry_reason(known.sqlstate, str(known))
                if reason is None:
                    raise
                self.clock.in_vain(mark, time.monotonic() - begun)
                if time.monotonic() + pause > deadline:
                    what = "could not be locked in" if "lock" in reason else "could not be written in"
                    raise ExchangeTimeout(
                        f"{self.partition.table} {what} {self.settings.exchange_timeout:g} s ({tries} tries; {reason})",
                        hint=f"end the transactions in its way ({self.sql.who_locks}), or raise exchange_timeout",
                    ) from error
                log.info("%s: %s; again in %.2f s", self.partition.table, reason, pause)
            # Readers that queued behind our lock request go first.
            with self.clock.step(LOCK_WAIT):
                time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            pause = min(pause * 2, longest)

    @contextmanager
    def exclusive(self, *, whole: bool) -> Iterator[None]:
        """A transaction in which nobody else publishes the same rows.

        :param whole: rows of the whole table, and not only of the partition
        """
        with self.session.transaction(self.sql.begin_write):
            for attempt, statement in self.sql.publication_locks(
                self.partition, self.settings.lock_timeout, whole=whole
            ):
                if attempt is not None:
                    if self.session.query(attempt)[0][0]:
                        continue
                    log.info("Another publication of %s is under way: waiting for it", self.partition.table)
                self._wait(statement)
            yield

    def _wait(self, statement: str) -> None:
        try:
            with self.clock.step(LOCK_WAIT):
                self.session.execute(statement)
        except Exception as error:
            if said(error).sqlstate in self.sql.busy:
                raise Busy("a lock was not free") from error
            raise

    def await_snapshots(self, stage: Stage) -> None:
        """Wait until no transaction is left to which the stage is empty: after a rename it would see no row.

        :raises ExchangeTimeout: if one stays
        """
        with self.clock.step(LOCK_WAIT):
            self._await(self.sql.older_snapshots(stage.fill_id, stage.filled_at, stage.strangers))

    def _await(self, query: str) -> None:
        deadline = time.monotonic() + self.settings.exchange_timeout
        pause = 0.01
        while holders := self.session.query(query):
            if time.monotonic() > deadline:
                pids = ", ".join(str(row[0]) for row in holders)
                raise ExchangeTimeout(
                    f"a transaction older than the staged rows stays open (backend {pids}): "
                    "it would see an empty table",
                    hint="end it, raise exchange_timeout, or use overwrite",
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.5)
