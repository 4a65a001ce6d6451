"""Measure metrics once for each group of rows, in as many statements as once for all of them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_dataquality.engine.measure import Batch, Scan, ask, completed
from airflow_dataquality.engine.said import database_error, said
from airflow_dataquality.engine.session import Session
from airflow_dataquality.model import Column, Metric, Partition
from airflow_dataquality.results import Measurement
from airflow_dataquality.vocabulary import KINDS, Family

log = logging.getLogger(__name__)

Group = tuple[Any, ...]


@dataclass(frozen=True)
class GroupScan(Scan):
    """A scan whose every statement yields a row for each group.

    :param by: the columns whose values make a group
    :param where: a predicate that narrows the rows of all metrics
    """

    by: tuple[str, ...] = ()
    where: str | None = None

    def sql(self, batch: Batch) -> str:
        return self.dialect.groups([self._item(metric) for metric in batch], self.what, self.by, self.where)


def measure_groups(
    session: Session,
    metrics: Iterable[Metric],
    what: Partition,
    *,
    columns: Sequence[Column],
    by: Sequence[str],
    where: str | None = None,
    needed: Metric | None = None,
) -> dict[Group, dict[Metric, Measurement]]:
    """Measure every metric on every group that has rows.

    :param by: the columns whose values make a group
    :param where: a predicate that narrows the rows, written by the dialect
    :param needed: a metric without which the others tell nothing
    :returns: by the values of ``by``: a measurement for each metric; none for a metric that cannot be grouped, or
        whose query failed
    :raises TableError: if the query of ``needed`` failed
    """
    dialect = session.dialect
    scan = GroupScan(
        dialect, tuple(m for m in dict.fromkeys(metrics) if groupable(session, m)), what,
        {c.name: c for c in columns}, by=tuple(by), where=where,
    )  # fmt: skip
    dialect.prepare(session.connection)
    found: dict[Group, dict[Metric, Measurement]] = {}
    for batch in scan.batches():
        for part, answer in ask(session, scan, batch):
            if isinstance(answer, Exception):
                if part[0] == needed:
                    raise database_error(f"{what} cannot be measured for each {', '.join(by)}", answer)
                log.warning("%s cannot be measured for each %s: %s", part[0], ", ".join(by), said(answer).message)
                continue
            for row in answer:
                values = zip(part, row[len(by) :], strict=True)
                group = found.setdefault(tuple(row[: len(by)]), {})
                group |= {metric: Measurement(value) for metric, value in values}
    return {
        group: {m: completed(m, measured) for m in scan.metrics if m in measured} for group, measured in found.items()
    }


def groupable(session: Session, metric: Metric) -> bool:
    """Whether a group's rows alone tell the metric, whenever they are asked."""
    kind = KINDS[metric.kind]
    asked = kind.family in (Family.PLAIN, Family.SORTED) and not (kind.momentary or kind.implied)
    return asked and session.dialect.groupable(metric)


def of_group(metric: Metric, by: Sequence[str], group: Group) -> Metric:
    """The metric of one group."""
    return replace(metric, group=tuple(zip(by, group, strict=True)))
