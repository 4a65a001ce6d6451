"""What metrics were before: from the ledger, or from the partitions that the table still holds."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_dataquality.dialects.ledger import UNIT
from airflow_dataquality.engine.groups import groupable, measure_groups
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.rows import number
from airflow_dataquality.engine.session import Row, Session
from airflow_dataquality.engine.timeline import UNITS, Timeline, moment
from airflow_dataquality.model import Column, Metric, Partition
from airflow_dataquality.results import Measurement

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)

SOURCES = ("auto", "ledger", "table")


@dataclass
class Recorded:
    """What the ledger knows of the periods before a partition, in the order in which it was written.

    :param measured: periods ago, names, and values
    :param marked: periods ago, and the metric that was marked as an incident, None for all
    """

    measured: list[tuple[int, Sequence[str], Any]] = field(default_factory=list)
    marked: list[tuple[int, str | None]] = field(default_factory=list)

    @classmethod
    def read(cls, ledger: Ledger | None, timeline: Timeline, window: int) -> Recorded:
        """Ask the ledger, if there is one, once for all metrics."""
        if ledger is None:
            return cls()
        low, high = timeline.bounds(window)
        return cls.of(ledger.history(timeline.partition.table, low, high, timeline.since(window)), timeline, window)

    @classmethod
    def of(cls, rows: Iterable[Row], timeline: Timeline, window: int) -> Recorded:
        import numpy as np

        recorded, known = cls(), {}
        for partition, when, names, values, marked in rows:
            if timeline.column is None:
                ago = timeline.ago(_utc(when))
            else:
                if partition not in known:
                    known[partition] = timeline.ago_of(json.loads(partition))
                ago = known[partition]
            if ago is None or not 0 < ago <= window:
                continue
            if marked < 0:
                recorded.marked = [each for each in recorded.marked if each != (ago, names)]
            elif marked:
                recorded.marked.append((ago, names))
            elif isinstance(values, str):
                recorded.measured.append((ago, names.split(UNIT), np.array(values.split(" "), float)))
            else:
                recorded.measured.append((ago, [names], [np.nan if values is None else values]))
        return recorded

    @property
    def names(self) -> set[str]:
        """The metrics that were measured."""
        return {name for _, names, _ in self.measured for name in names}


def _utc(when: Any) -> Any:
    found = moment(when)
    assert found is not None
    return found


class Past:
    """The values of S metrics on the ``window`` periods before a partition; NaN where there is none.

    :param names: the metrics, each once
    """

    def __init__(self, names: Iterable[str], timeline: Timeline, window: int) -> None:
        import numpy as np

        self.timeline, self.window = timeline, window
        self.rows = {name: row for row, name in enumerate(dict.fromkeys(names))}
        self.values: np.ndarray[Any, Any] = np.full((len(self.rows), window), np.nan)
        self.learned: np.ndarray[Any, Any] = np.zeros((len(self.rows), window), bool)
        self.marked: list[tuple[int, str | None]] = []

    @property
    def dates(self) -> np.ndarray[Any, Any]:
        """When each period was, and last the partition's own, in numpy's unit of the period."""
        import numpy as np

        unit = UNITS[self.timeline.period]
        moments = [self.timeline.start(ago) for ago in range(self.window, -1, -1)]
        return np.array(moments, "datetime64[s]").astype(f"datetime64[{unit}]")

    def learn(self, ago: int, names: Sequence[str], values: Any) -> None:
        """Take in what was measured ``ago`` periods before; what is learned last counts."""
        import numpy as np

        rows = np.array([self.rows.get(name, -1) for name in names])
        known = rows >= 0
        self.values[rows[known], self.window - ago] = np.asarray(values, float)[known]
        self.learned[rows[known], self.window - ago] = True

    def recall(self, recorded: Recorded) -> None:
        """Take in what the ledger knows."""
        for ago, names, values in recorded.measured:
            self.learn(ago, names, values)
        self.marked = recorded.marked

    def forget(self) -> None:
        """Leave out what was marked as an incident."""
        for ago, name in self.marked:
            rows = slice(None) if name is None else self.rows.get(name, slice(0))
            self.values[rows, self.window - ago] = float("nan")

    def count(self, name: str) -> int:
        """On how many periods the metric was measured, whether it had a value or not."""
        return int(self.learned[self.rows[name]].sum())

    def varied(self, name: str) -> bool:
        """Whether two values of the metric are known that differ."""
        import numpy as np

        row = self.values[self.rows[name]]
        return len(np.unique(row[np.isfinite(row)])) > 1

    def without(
        self, held: Mapping[Partition, Mapping[Metric, Measurement]]
    ) -> dict[Partition, dict[Metric, Measurement]]:
        """What was measured on past partitions and is not known yet."""
        names, new = list(self.rows), {}
        for partition, measured in held.items():
            ago = self.timeline.ago_of(partition.as_dict)
            assert ago is not None
            known = {names[row] for row in self.learned[:, self.window - ago].nonzero()[0]}
            new[partition] = {metric: found for metric, found in measured.items() if metric.series not in known}
        return new


def bootstrap(
    session: Session, metrics: Iterable[Metric], timeline: Timeline, window: int, columns: Sequence[Column],
    by: Sequence[str] = (), where: str | None = None,
) -> dict[Partition, dict[tuple[Any, ...], dict[Metric, Measurement]]]:  # fmt: skip
    """Measure the partitions of the window that the table still holds, in one scan for each kind of aggregate.

    :param by: the columns of a dimension, whose every value is measured apart
    :param where: a predicate that narrows the rows
    :returns: by partition, by value of the dimension: what was measured
    """
    partition, column = timeline.partition, timeline.column
    metrics = [metric for metric in metrics if groupable(session, metric)]
    if column is None or not metrics:
        return {}
    own = partition.as_dict
    where = session.dialect.both(earlier(session, timeline, window), where)
    found = measure_groups(session, metrics, timeline.others, columns=columns, by=[column, *by], where=where)
    held: dict[Partition, dict[tuple[Any, ...], dict[Metric, Measurement]]] = {}
    for (value, *group), measured in found.items():
        key = own | {column: timeline.spelled(value)}
        ago = timeline.ago_of(key)
        if ago is not None and 0 < ago <= window:
            held.setdefault(Partition.of(partition.table, key), {})[tuple(group)] = measured
    log.info("Measured %s past partitions of %s, as the ledger knows too little of them", len(held), partition.table)
    return held


def earlier(session: Session, timeline: Timeline, window: int) -> str | None:
    """The predicate of the rows of the window; None if the partitions do not tell the time."""
    column = timeline.column
    if column is None:
        return None
    first, own = timeline.value(timeline.start(window)), timeline.partition.as_dict[column]
    return session.dialect.between(column, first, own)


def finite(found: Measurement) -> float:
    """The number as the ledger has it; NaN if there is none."""
    value = number(found.value)
    return math.nan if value is None else value


def learn(past: Past, held: Mapping[Partition, Mapping[Metric, Measurement]]) -> None:
    """Take in what was measured on past partitions."""
    for partition, measured in held.items():
        ago = past.timeline.ago_of(partition.as_dict)
        assert ago is not None
        past.learn(ago, [metric.series for metric in measured], [finite(found) for found in measured.values()])


def past_of(
    session: Session, ledger: Ledger | None, run: Run, metrics: Sequence[Metric], timeline: Timeline, *,
    recorded: Recorded, window: int, enough: int, columns: Sequence[Column], source: str = "auto",
) -> Past:  # fmt: skip
    """What metrics were before.

    :param recorded: what the ledger knows
    :param ledger: where to record what it did not know
    :param window: how many periods to look back
    :param enough: a metric of which the ledger knows fewer values is measured on the table's past partitions
    :param columns: of the table that holds them; none if it does not exist yet
    :param source: ``ledger``, ``table``, or ``auto``: the ledger, and the table for what it does not know
    """
    past = Past([metric.series for metric in metrics], timeline, window)
    past.recall(recorded)
    if source == "table":
        past.values[:] = float("nan")
        enough = window + 1
    unknown = [m for m in metrics if past.count(m.series) < enough] if source != "ledger" and columns else []
    held = {p: groups[()] for p, groups in bootstrap(session, unknown, timeline, window, columns).items()}
    if held:
        new = past.without(held)
        learn(past, held)
        if ledger:
            ledger.record_past(run, new)
    past.forget()
    return past
