"""What the ledger's rows hold, made of the words of the package."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_dataquality.engine.definition import definition_of
from airflow_dataquality.engine.tables import TABLES
from airflow_dataquality.model import Metric, Partition
from airflow_dataquality.results import Expectation, Measurement, Result, Summary


@dataclass(frozen=True)
class Run:
    """Who measures: one attempt of one Airflow task. Outside Airflow only ``run_uid`` is known."""

    run_uid: str = field(default_factory=lambda: uuid.uuid4().hex)
    dag_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None


def counts_of(summary: Summary) -> dict[str, Any]:
    """The counts of a summary that a publication keeps."""
    return {name: value for name, value in summary.as_dict().items() if name in TABLES["publication"]}


def where_of(run: Run, partition: Partition) -> dict[str, Any]:
    """Which run, and which partition."""
    return {"run_uid": run.run_uid, **place_of(partition)}


def place_of(partition: Partition) -> dict[str, Any]:
    """Which partition."""
    table = partition.table
    return {"table_schema": table.schema, "table_name": table.name, "partition": partition.json}


def metrics_of(
    run: Run, partition: Partition, measurements: Mapping[Metric, Measurement], state: str
) -> list[dict[str, Any]]:
    """The rows of what was measured: without what could not be."""
    where = where_of(run, partition)
    return [
        {
            **where,
            "column_name": ", ".join(metric.columns) or None,
            "metric": metric.series,
            "value": number(measured.value),
            "state": state,
        }
        for metric, measured in measurements.items()
        if measured.error is None and measured.absent is None
    ]


def task_of(run: Run) -> dict[str, Any]:
    """Which task."""
    return {key: value for key, value in asdict(run).items() if key != "run_uid"}


def result_of(result: Result) -> dict[str, Any]:
    """A result, column by column."""
    check = result.check
    return {
        "check_name": check.name,
        "metric": check.metric.kind,
        "column_name": ", ".join(check.metric.columns) or None,
        "definition": definition_of(check),
        "value": number(result.value),
        "value_text": None if result.value is None else str(result.value).replace("\x00", "�"),
        "interval": result.interval,
        **_expectation(result.expectation),
        "status": str(result.status),
        "severity": str(check.severity),
        "dimension": check.dimension,
        "reason": result.reason.replace("\x00", "�"),
    }


def _expectation(found: Expectation | None) -> dict[str, Any]:
    found = found or Expectation()
    ends = (found.interval.low, found.interval.high) if found.interval else (None, None)
    values = {
        "expected": found.expected,
        "low": ends[0],
        "high": ends[1],
        "score": found.score,
        "p_value": found.p_value,
    }
    return {name: number(value) for name, value in values.items()}


def number(value: Any) -> float | None:
    """A measured value as the ledger's number; None for what is no number (dates, text) or not finite."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if value is None or isinstance(value, str | date | datetime) or not isinstance(value, int | float | Decimal):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None
