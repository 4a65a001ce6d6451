"""The newest runs of a ledger, which do not depend on who asks: kept until something happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from airflow_dataquality.engine.board import tables_of
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.session import Row

KEPT = 30.0
"""Seconds after which they are read anew in any case: a long transaction commits what is older than what is known."""


class Glance:
    """Remembers the newest runs of one ledger; of many who ask at once, one reads them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: Sequence[Row] = ()
        self._clocks: tuple[Any, ...] | None = None
        self._read_at = 0.0

    def rows(self, ledger: Ledger) -> Sequence[Row]:
        """The rows of :meth:`~airflow_dataquality.dialects.board.BoardSql.newest_runs`."""
        session, at = ledger.session, tables_of(ledger)
        with self._lock:
            clocks = tuple(session.query(ledger.dialect.newest_clocks(at))[0])
            if clocks != self._clocks or time.monotonic() - self._read_at > KEPT:
                self._rows = session.query(ledger.dialect.newest_runs(at))
                self._clocks, self._read_at = clocks, time.monotonic()
            return self._rows
