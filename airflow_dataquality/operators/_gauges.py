"""A backfill's progress as metrics of Airflow, which go wherever the deployment sends its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import Stats

if TYPE_CHECKING:
    from airflow_dataquality.engine.progress import Gauge
    from airflow_dataquality.model import Table


def gauge(operator: Any, table: Table) -> Gauge:
    """What reports a number as ``dataquality.backfill.<name>``, with the table as a tag."""
    tags = {"table": str(table), "task_id": re.sub(r"[^\w.-]", "_", operator.task_id)}

    def report(name: str, value: float) -> None:
        Stats.gauge(f"dataquality.backfill.{name}", value, tags=tags)

    return report
