"""Measure metrics, with as few statements as the database allows.

Every plain aggregate of a table is one scan, every distinct count and quantile one more; the catalog answers
what it can; what joins, or is the user's own SQL, is a statement of its own. Should a shared statement fail,
it is halved until only the faulty metrics are left alone, so that the others keep their numbers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.schema import differences
from airflow_dataquality.engine.session import Row, Session
from airflow_dataquality.model import Column, Metric, Partition
from airflow_dataquality.results import Measurement
from airflow_dataquality.vocabulary import KINDS, Family

Batch = tuple[Metric, ...]


@dataclass(frozen=True)
class Scan:
    """What is measured, and on what. It knows its SQL without a connection.

    :param what: the table or partition that is checked
    :param production: the partition that production holds, to compare with
    """

    dialect: Dialect
    metrics: Batch
    what: Partition
    columns: Mapping[str, Column]
    production: Partition | None = None

    @classmethod
    def of(
        cls,
        dialect: Dialect,
        metrics: Iterable[Metric],
        what: Partition,
        *,
        columns: Sequence[Column],
        production: Partition | None = None,
    ) -> Scan:
        return cls(dialect, tuple(dict.fromkeys(metrics)), what, {c.name: c for c in columns}, production)

    def statements(self) -> list[str]:
        """The SQL that measures everything, if nothing fails."""
        return [self.sql(batch) for batch in self.batches()]

    def batches(self) -> list[Batch]:
        """The metrics that share a statement, statement by statement."""
        scopes = dict.fromkeys(m.where for m in self.metrics if _scoped(m))
        counts = [Metric("row_count", where=where) for where in scopes]
        plain = [m for m in self.metrics if _family(m) is Family.PLAIN]
        sorting = [m for m in self.metrics if _family(m) is Family.SORTED]
        if sorting and all(m.kind == "row_count" for m in plain):
            sorting, counts, plain = [*counts, *plain, *sorting], [], []
        fused = [tuple(dict.fromkeys(batch)) for batch in ([*counts, *plain], sorting)]
        size = self.dialect.max_select_items
        shared = [batch[start : start + size] for batch in fused for start in range(0, len(batch), size)]
        return shared + [(m,) for m in self.metrics if self._asked_alone(m)]

    def _asked_alone(self, metric: Metric) -> bool:
        return _family(metric) is Family.ALONE and not (KINDS[metric.kind].compares and self.production is None)

    def sql(self, batch: Batch) -> str:
        """One statement for the batch."""
        if _family(batch[0]) is Family.ALONE:
            return self._item(batch[0])
        wheres = {metric.where for metric in batch}
        if len(wheres) > 1:
            return self.dialect.scan([self._item(metric) for metric in batch], self.what)
        (where,) = wheres
        return self.dialect.scan([self._item(metric, narrowed=True) for metric in batch], self.what, where)

    def _item(self, metric: Metric, *, narrowed: bool = False) -> str:
        return self.dialect.measure(metric, self.what, self.columns, production=self.production, narrowed=narrowed)


def measure(
    session: Session,
    metrics: Iterable[Metric],
    what: Partition,
    *,
    columns: Sequence[Column],
    production: Partition | None = None,
) -> dict[Metric, Measurement]:
    """Measure every metric.

    :param what: the table or partition that is checked; a staging table is whole
    :param columns: its columns
    :param production: the partition to compare with, None if the table does not exist yet
    :returns: a measurement for each metric; a query that failed is one with ``error``
    """
    scan = Scan.of(session.dialect, metrics, what, columns=columns, production=production)
    session.dialect.prepare(session.connection)
    found: dict[Metric, Measurement] = {}
    for batch in scan.batches():
        for part, answer in ask(session, scan, batch):
            found |= _read(part, answer)
    found |= {m: differences(session.dialect, m, columns) for m in scan.metrics if _family(m) is Family.CATALOG}
    return {metric: completed(metric, found) for metric in scan.metrics}


def preflight(
    session: Session,
    metrics: Iterable[Metric],
    what: Partition,
    *,
    columns: Sequence[Column],
    production: Partition | None = None,
) -> dict[Metric, str]:
    """Have the database analyse the statements without running them.

    :returns: the metrics that can never be measured, and the database's words: names and types that do not
        exist, literals that are none. Errors that depend on the rows are not among them
    """
    if session.dialect.explain is None:
        return {}
    scan = Scan.of(session.dialect, metrics, what, columns=columns, production=production)
    session.dialect.prepare(session.connection)
    problems: dict[Metric, str] = {}
    for batch in scan.batches():
        for part, answer in ask(session, scan, batch, prefix=session.dialect.explain):
            if isinstance(answer, Exception) and session.dialect.is_static(said(answer).sqlstate):
                problems[part[0]] = said(answer).message
    wanted = {m: problem for m, problem in problems.items() if m in scan.metrics}
    return wanted | _bad_patterns(session, scan.metrics)


def _family(metric: Metric) -> Family:
    return KINDS[metric.kind].family


def _scoped(metric: Metric) -> bool:
    """Whether the number of rows in its scope matters to the verdict."""
    return not KINDS[metric.kind].counts_empty and metric.kind != "check_statement"


def ask(session: Session, scan: Scan, batch: Batch, prefix: str = "") -> Iterator[tuple[Batch, list[Row] | Exception]]:
    """The rows of the batch's statement; if it fails, those of its halves, down to the faulty metrics."""
    try:
        answer: list[Row] | Exception = read(session, prefix + scan.sql(batch))
    except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
        confirm_alive(session, error)
        answer = error
    if isinstance(answer, Exception) and len(batch) > 1:
        middle = len(batch) // 2
        yield from ask(session, scan, batch[:middle], prefix)
        yield from ask(session, scan, batch[middle:], prefix)
    else:
        yield batch, answer


def read(session: Session, sql: str) -> list[Row]:
    """The rows of a query that looks at many rows."""
    begin = session.dialect.begin_read
    with session.transaction(begin) if begin else contextlib.nullcontext():
        for statement in session.dialect.read_setup:
            session.query(statement)
        return session.query(sql)


def confirm_alive(session: Session, error: Exception) -> None:
    """A lost connection is no property of a check: let the task be retried."""
    try:
        session.query("SELECT 1")
    except Exception:  # noqa: BLE001
        raise error from None


def _read(batch: Batch, answer: list[Row] | Exception) -> dict[Metric, Measurement]:
    if isinstance(answer, Exception):
        return {batch[0]: Measurement(error=said(answer).message)}
    first = batch[0]
    if first.kind == "custom_sql":
        return {first: _scalar(answer)}
    if KINDS[first.kind].health:
        value = answer[0][0] if answer else None
        return {first: Measurement(absent="the database says nothing of it") if value is None else Measurement(value)}
    if KINDS[first.kind].compares:
        value, held = answer[0]
        return {first: Measurement(value) if held else _absent()}
    return {metric: Measurement(value) for metric, value in zip(batch, answer[0], strict=True)}


def _scalar(rows: list[Row]) -> Measurement:
    if len(rows) == 1 and len(rows[0]) == 1:
        return Measurement(rows[0][0])
    columns = f" of {len(rows[0])} columns" if rows else ""
    return Measurement(error=f"the SQL returned {len(rows)} rows{columns}, not one value")


def _absent() -> Measurement:
    return Measurement(absent="production holds no rows to compare with")


def completed(metric: Metric, found: Mapping[Metric, Measurement]) -> Measurement:
    """The measurement, with the number of rows in scope."""
    if metric not in found:
        return _absent()
    measured = found[metric]
    if metric.kind == "check_statement" and measured.error is None and measured.value is None:
        return Measurement(rows=0)
    counted = found.get(Metric("row_count", where=metric.where)) if _scoped(metric) else None
    rows: Any = counted.value if counted else None
    return Measurement(measured.value, rows, measured.error, measured.absent, measured.detail)


def _bad_patterns(session: Session, metrics: Iterable[Metric]) -> dict[Metric, str]:
    problems = {}
    for metric in metrics:
        probe = session.dialect.pattern_probe(metric.param("pattern")) if metric.kind == "pattern_violations" else None
        if probe is None:
            continue
        try:
            session.query(probe)
        except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
            if session.dialect.is_static(said(error).sqlstate):
                problems[metric] = said(error).message
    return problems
