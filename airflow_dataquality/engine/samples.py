"""Rows by which checks failed, from the table that keeps what was rejected.

Nothing of the ledger is run as SQL: a check's definition is read as a metric, and its SQL is made of that anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from airflow_dataquality.engine.blocked import Found
from airflow_dataquality.engine.definition import BOUNDED, Measured
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import Row, Session
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Column, Metric, Partition, Table

MOST_CHECKS = 20
"""Of more failed checks no rows are looked for."""
_EXTREMES = frozenset({"min", "max", "mean", "sum", "stddev", "quantile", "mean_shift", "min_length", "max_length"})
"""Of these the extreme rows say something, where no single row is to blame."""
_NO_ROWS = {
    "custom_sql": "It is measured by a query of its own, which is not run here.",
    "schema": "It is about the columns, not about rows.",
    "column_count": "It is about the columns, not about rows.",
    "freshness": "It is about the newest row: what is missing is what came after it.",
}
_NONE = "It is about all rows together: no single row offends."


@dataclass(frozen=True)
class Sample:
    """Rows by which a check failed.

    :param found: what the check had found
    :param what: ``rows`` that offend, repeated ``keys`` with how often they are there, ``values``, ``lost`` keys, or
        the ``extremes``; None if there is nothing to show
    :param why: what to know of them, or why there are none
    :param count: how many offend; None if that was not counted
    :param columns: names of what each row holds
    :param hidden: columns that would tell more, and may not be shown
    :param problem: the database's words, if it could not be read
    """

    found: Found
    what: str | None = None
    why: str = ""
    count: int | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Row] = ()
    hidden: Sequence[str] = ()
    problem: str | None = None


@dataclass
class Sampling:
    """Where to look, and how far.

    :param stage: the table that keeps the rows
    :param columns: its columns
    :param production: the partition that production holds of them
    :param may_show: whether a column's values may be shown
    :param exists: there is a production table
    :param most: rows of each sample
    :param seconds: after which no other check is looked at
    """

    session: Session
    stage: Table
    columns: Sequence[Column]
    production: Partition
    may_show: Callable[[str], bool]
    exists: bool = True
    most: int = 20
    seconds: float = 10.0
    _shown: list[Column] = field(init=False)

    def __post_init__(self) -> None:
        self._shown = [column for column in self.columns if self.may_show(column.name)]

    def of(self, results: Iterable[Found]) -> list[Sample]:
        """A sample for each check that failed."""
        deadline = time.monotonic() + self.seconds
        samples = []
        for number, found in enumerate(results):
            if number >= MOST_CHECKS:
                samples.append(Sample(found, why=f"Rows are shown of the first {MOST_CHECKS} checks."))
            elif time.monotonic() > deadline:
                samples.append(Sample(found, why="There was no time left to look for its rows."))
            else:
                samples.append(self._one(found))
        return samples

    def _one(self, found: Found) -> Sample:
        if found.row["status"] == "error":
            return Sample(found, why="Its query failed, so it found no rows.")
        measured = found.measured
        if measured is None:
            return Sample(found, why="The ledger does not tell what it measured.")
        try:
            return self._look(found, measured)
        except DataQualityError as error:
            return Sample(found, why=f"{error.message[:1].upper()}{error.message[1:]}.")
        except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
            return Sample(found, problem=said(error).message)

    def _look(self, found: Found, measured: Measured) -> Sample:
        metric, sql = measured.metric, self.session.dialect
        if missing := [name for name in metric.columns if name not in {column.name for column in self.columns}]:
            return Sample(found, why=f"The kept rows have no column {', '.join(missing)}.")
        if metric.kind in ("unseen_values", "lost_keys", "orphan_count", "unique_violations"):
            return self._keys(found, metric)
        where = sql.offending(metric, measured.bounds, self.production, self.columns)
        if where is None:
            return self._extremes(found, measured)
        count = int(self.session.query(sql.count_offending(self.stage, where))[0][0])
        by = sql.measured_on(metric) if metric.kind in BOUNDED else None
        return self._rows(Sample(found, "rows", count=count), where, by=by, last=metric.kind.startswith("max"))

    def _rows(self, sample: Sample, where: str, *, by: str | None = None, last: bool = False) -> Sample:
        hidden = [column.name for column in self.columns if column not in self._shown]
        asked = self.session.dialect.sample(self.stage, self._shown, where, self.most, by=by, last=last)
        rows = self.session.query(asked) if self._shown and sample.count != 0 else []
        names = [column.name for column in self._shown]
        return Sample(sample.found, sample.what, sample.why, sample.count, names, rows, hidden)

    def _extremes(self, found: Found, measured: Measured) -> Sample:
        metric, sql = measured.metric, self.session.dialect
        why = _NO_ROWS.get(metric.kind, _NONE)
        if metric.kind not in _EXTREMES or not metric.columns or not self._may(metric):
            return Sample(found, why=why)
        value = sql.measured_on(metric)
        where = sql.both(f"{value} IS NOT NULL", sql.scope_of(metric, self.columns)) or ""
        last = not self._too_low(found, measured)
        why += f" These are the rows with the {'greatest' if last else 'least'} values."
        return self._rows(Sample(found, "extremes", why), where, by=value, last=last)

    def _too_low(self, found: Found, measured: Measured) -> bool:
        """Whether what is wrong is that the value is too low."""
        low, value = measured.bounds.low if measured.bounds else None, found.row["value"]
        try:
            return bool(low is not None and value is not None and value < float(low))
        except (TypeError, ValueError):
            return measured.metric.kind.startswith("min")

    def _keys(self, found: Found, metric: Metric) -> Sample:
        sql = self.session.dialect
        known = {column.name: column for column in self.columns}
        keys = [known[name] for name in metric.columns]
        hidden = [] if self._may(metric) else [name for name in metric.columns if not self.may_show(name)]
        if metric.kind in ("unseen_values", "lost_keys") and not self.exists:
            return Sample(found, why="Production has no such table to compare with.")
        if metric.kind == "lost_keys":
            asked = sql.sample_lost(self.stage, self.production, keys, self.most)
            count = None if found.row["value"] is None else int(found.row["value"])
            return self._listed(Sample(found, "lost", count=count, hidden=hidden), metric, asked, counted=False)
        if metric.kind == "unique_violations":
            where = sql.repeated(metric, self.columns)
            count = int(self.session.query(sql.count_keys(self.stage, metric.columns, where))[0][0])
            asked = sql.sample_keys(self.stage, keys, where, self.most, repeated=True)
            return self._listed(Sample(found, "keys", count=count, hidden=hidden), metric, asked)
        where = sql.offending(metric, None, self.production, self.columns) or ""
        count = int(self.session.query(sql.count_offending(self.stage, where))[0][0])
        asked = sql.sample_keys(self.stage, keys, where, self.most, repeated=False)
        return self._listed(Sample(found, "values", count=count, hidden=hidden), metric, asked)

    def _listed(self, sample: Sample, metric: Metric, asked: str, *, counted: bool = True) -> Sample:
        names = [*metric.columns, *(["rows"] if counted else [])]
        rows = [] if sample.hidden else self.session.query(asked)
        return Sample(sample.found, sample.what, sample.why, sample.count, names, rows, sample.hidden)

    def _may(self, metric: Metric) -> bool:
        return all(map(self.may_show, metric.columns))
