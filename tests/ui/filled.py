"""A ledger with a past of one's own: rows as operators write them, but at times that the test chooses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Table

NOW = datetime.now(UTC).replace(microsecond=0)


def ago(days: float) -> datetime:
    """So many days before now."""
    return NOW - timedelta(days=days)


class Filled:
    """A ledger, and what is written into it.

    :param dag_id: of what is written, unless it says another
    """

    def __init__(self, session: DbApiSession, dag_id: str | None = "flights") -> None:
        self.ledger = Ledger(session)
        self.ledger.ensure()
        self.dag_id = dag_id
        self._runs = 0

    def _row(self, name: str, table: Table, partition: Mapping[str, Any], row: dict[str, Any]) -> str:
        self._runs += 1
        task = {"dag_id": self.dag_id, "task_id": "publish", "run_id": "manual__1", "map_index": -1, "try_number": 1}
        place = {"run_uid": f"run{self._runs:06}", "table_schema": table.schema, "table_name": table.name}
        known = {**place, "partition": json.dumps(dict(partition), sort_keys=True, ensure_ascii=False), **task, **row}
        if name == "metric":
            known = {key: value for key, value in known.items() if key not in task}
        sql = self.ledger.dialect.insert(self.ledger.table(name), list(known), [list(known.values())])
        self.ledger.session.execute(sql)
        return str(known["run_uid"])

    def published(self, table: Table, partition: Mapping[str, Any], at: datetime, **row: Any) -> str:
        """A publication, whose checks passed."""
        return self._row("publication", table, partition, {**_COUNTS, "rows": 842, "mode": "overwrite", **row,
                                                            "published_at": at})  # fmt: skip

    def rejected(self, table: Table, partition: Mapping[str, Any], at: datetime, **row: Any) -> str:
        """A blocked publication, of which one check failed."""
        counts = {**_COUNTS, "passed": 7, "failed": 1, "score": 0.875, "rows": 842, "state": "rejected"}
        return self._row("check_run", table, partition, {**counts, **row, "checked_at": at})

    def observed(self, table: Table, partition: Mapping[str, Any], at: datetime, **row: Any) -> str:
        """A table that was checked in place."""
        return self._row("check_run", table, partition, {**_COUNTS, "rows": 842, "state": "observed", **row,
                                                          "checked_at": at})  # fmt: skip

    def result(self, table: Table, partition: Mapping[str, Any], at: datetime, check: str, **row: Any) -> str:
        """What a check found."""
        known = {"check_name": check, "metric": "row_count", "value": 842.0, "value_text": "842", "status": "pass",
                 "severity": "error", "interval": "> 0", "reason": f"{check} is 842", **row,
                 "checked_at": at}  # fmt: skip
        return self._row("check_result", table, partition, known)

    def measured(self, table: Table, partition: Mapping[str, Any], at: datetime, metric: str, **row: Any) -> str:
        """A number."""
        return self._row("metric", table, partition, {"metric": metric, "state": "published", "value": 842.0, **row,
                                                       "measured_at": at})  # fmt: skip


_COUNTS = {"score": 1.0, "passed": 8, "warned": 0, "failed": 0, "errored": 0, "skipped": 0}
