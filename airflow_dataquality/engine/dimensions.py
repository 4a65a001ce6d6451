"""The same metrics for every value of a dimension: those that are there, and those that are gone."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.groups import Group, groupable, measure_groups, of_group
from airflow_dataquality.engine.history import Past, Recorded, bootstrap, earlier, learn
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.session import Session
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Column, Metric, Partition, as_json
from airflow_dataquality.results import Measurement

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dimension:
    """A dimension of a table, at one partition.

    :param by: its columns
    :param most: of more values than that, those are looked at that have most rows
    :param source: where the past is read: ``ledger``, ``table``, or ``auto``
    """

    by: tuple[str, ...]
    what: Partition
    columns: Sequence[Column]
    most: int
    clause: str | None = None
    source: str = "auto"

    def look(
        self, session: Session, ledger: Ledger | None, run: Run, checks: Sequence[Check], recorded: Recorded,
        timeline: Timeline,
    ) -> tuple[list[Check], dict[Metric, Measurement], Past]:  # fmt: skip
        """Measure every value of the dimension.

        :param checks: what is looked at in the whole partition; those of the dimension's own columns are left out
        :returns: the checks of each value, what was measured, and what was before
        :raises SpecError: if none of the checks is left
        """
        checks = [check for check in checks if self._fits(session, check)]
        if not checks:
            raise SpecError(
                f"no metric can be measured for each {', '.join(self.by)} of {self.what}", hint='add "row_count"'
            )
        metrics = [check.metric for check in checks]
        window = max(check.expect.window for check in checks if isinstance(check.expect, Baseline))
        counted = [Metric("row_count", where=self.clause), *metrics]
        now = self._now(session, counted)
        then = self._recorded(recorded, counted) if self.source != "table" else []
        held: dict[Partition, dict[Group, dict[Metric, Measurement]]] = {}
        if not then and self.source != "ledger":
            where = session.dialect.largest(timeline.others, self.by[0], self.most, earlier(session, timeline, window))
            held = bootstrap(session, counted, timeline, window, self.columns, self.by, where)
        groups = self._chosen(now, [*then, *(group for measured in held.values() for group in measured)])
        asked = {of_group(metric, self.by, group): (metric, group) for group in groups for metric in metrics}
        past = Past([metric.series for metric in asked], timeline, window)
        past.recall(recorded)
        named = {p: {of_group(m, self.by, g): found for g, measured in by.items() for m, found in measured.items()}
                 for p, by in held.items()}  # fmt: skip
        new = past.without(named)
        learn(past, named)
        if held and ledger:
            ledger.record_past(run, new)
        self._fill_gaps(past, asked)
        past.forget()
        measured = {metric: now.get(group, {}).get(plain, _gone(plain)) for metric, (plain, group) in asked.items()}
        like = {check.metric: check for check in checks}
        return [_check_of(like[plain], metric) for metric, (plain, _) in asked.items()], measured, past

    def _now(self, session: Session, metrics: Sequence[Metric]) -> dict[Group, dict[Metric, Measurement]]:
        most = session.dialect.largest(self.what, self.by[0], self.most + 1, self.clause)
        return measure_groups(
            session, metrics, self.what, columns=self.columns, by=self.by, where=most, needed=metrics[0]
        )

    def _recorded(self, recorded: Recorded, metrics: Iterable[Metric]) -> list[Group]:
        """The values that the ledger knows."""
        found: dict[Group, None] = {}
        for prefix in (f"{metric.series} " for metric in metrics):
            for name in sorted(recorded.names):
                if name.startswith(prefix + "{"):
                    group = json.loads(name[len(prefix) :])
                    if group.keys() == set(self.by):
                        found[tuple(group[column] for column in self.by)] = None
        return list(found)

    def _chosen(self, now: Mapping[Group, Mapping[Metric, Measurement]], then: Iterable[Group]) -> list[Group]:
        """The values to look at, each spelled once: those with most rows now, then those of the past."""
        rows = Metric("row_count", where=self.clause)
        ranked = sorted(now, key=lambda group: (-int(now[group][rows].value or 0), str(group)))
        spelled: dict[str, Group] = {}
        for group in [*ranked, *then]:
            spelled.setdefault(as_json(zip(self.by, group, strict=True)), group)
        chosen = list(spelled.values())
        if len(chosen) > self.most:
            log.warning(
                "%s: %s has more than %s values; those with most rows are looked at",
                self.what,
                ", ".join(self.by),
                self.most,
            )
        return chosen[: self.most]

    def _fill_gaps(self, past: Past, asked: Iterable[Metric]) -> None:
        """A value without rows on a day that had others had 0 of them, if it had been seen before."""
        import numpy as np

        days = past.learned.any(axis=0)
        for metric in asked:
            if metric.kind == "row_count":
                row = past.values[past.rows[metric.series]]
                known = np.isfinite(row)
                row[days & ~known & np.logical_or.accumulate(known)] = 0

    def _fits(self, session: Session, check: Check) -> bool:
        """Whether a value's rows alone tell the metric, and it is not of the dimension's own columns."""
        return groupable(session, check.metric) and not set(check.metric.columns) & set(self.by)


def _gone(metric: Metric) -> Measurement:
    return Measurement(0, 0) if metric.kind == "row_count" else Measurement(None, 0)


def _check_of(check: Check, metric: Metric) -> Check:
    return replace(check, name=str(metric), metric=metric)
