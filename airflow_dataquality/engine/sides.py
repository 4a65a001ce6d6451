"""Rejected rows against the rows that production holds of the same partition, column by column."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.dialects.comparison import NOT_COMPARABLE
from airflow_dataquality.engine.measure import Scan, read
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import Session
from airflow_dataquality.model import Column, Metric, Partition, Table

MOST_COLUMNS = 100
"""Of more columns nothing is measured."""
NUMBERS = ("null_count", "distinct_count", "min", "max", "mean")
"""What is measured of a column, if its type has it."""
ROWS = Metric("row_count")
_ORDERED = ("number", "time", "text")


@dataclass(frozen=True)
class Side:
    """What was measured of the rejected rows, or of production's.

    :param problems: the database's words, of what it could not measure
    """

    values: dict[Metric, Any]
    problems: Sequence[str] = ()

    @property
    def rows(self) -> int | None:
        found = self.values.get(ROWS)
        return None if found is None else int(found)


@dataclass(frozen=True)
class Sides:
    """Both sides.

    :param columns: the columns measured
    :param production: None if there is no such table
    :param withheld: columns whose values may not be shown
    :param left_out: how many columns more there are
    """

    columns: Sequence[Column]
    staged: Side
    production: Side | None
    withheld: Sequence[str] = ()
    left_out: int = 0

    def pair(self, column: str, kind: str) -> tuple[Any, Any, bool] | None:
        """A number of a column on both sides, and whether they differ; None if it is not measured."""
        metric = Metric(kind, (column,))
        if metric not in self.staged.values and (not self.production or metric not in self.production.values):
            return None
        staged = self.staged.values.get(metric)
        held = self.production.values.get(metric) if self.production else None
        return staged, held, self.production is not None and bool(self.production.rows) and staged != held


def sides(
    session: Session, stage: Table, production: Partition | None, columns: Sequence[Column],
    may_show: Callable[[Column], bool], seconds: float = 10.0,
) -> Sides:  # fmt: skip
    """Measure both sides: plain aggregates in one scan of each, different values in one more.

    :param production: None if there is no such table
    :param may_show: whether values of a column may be shown; how many are NULL or different is no value
    :param seconds: after which no other statement is begun
    """
    deadline = time.monotonic() + seconds
    measured = columns[:MOST_COLUMNS]
    metrics = [ROWS, *(metric for column in measured for metric in _metrics(column, may_show))]
    names = {column.name for column in session.columns(production.table)} if production else set()
    held = [metric for metric in metrics if not metric.columns or metric.columns[0] in names]
    return Sides(
        measured,
        _measured(session, metrics, Partition(stage), columns, deadline),
        _measured(session, held, production, columns, deadline) if production else None,
        [column.name for column in measured if not may_show(column)],
        len(columns) - len(measured),
    )


def _metrics(column: Column, may_show: Callable[[Column], bool]) -> list[Metric]:
    kinds = ["null_count"]
    if column.type not in NOT_COMPARABLE and column.category is not None:
        kinds.append("distinct_count")
    if may_show(column) and column.category in _ORDERED:
        kinds += ["min", "max"]
    if may_show(column) and column.category == "number":
        kinds.append("mean")
    return [Metric(kind, (column.name,)) for kind in kinds]


def _measured(
    session: Session, metrics: Sequence[Metric], what: Partition, columns: Sequence[Column], deadline: float
) -> Side:
    # Without halving a statement that fails, as measure() does: what ran out of time would do so again and again.
    scan = Scan.of(session.dialect, metrics, what, columns=columns)
    values: dict[Metric, Any] = {}
    problems = []
    for batch in scan.batches():
        if time.monotonic() > deadline:
            problems.append("there was no time left")
            break
        try:
            values |= dict(zip(batch, read(session, scan.sql(batch))[0], strict=True))
        except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
            problems.append(said(error).message)
    return Side(values, problems)
