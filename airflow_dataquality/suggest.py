"""Profile a table, and propose rules that its own rows pass, as YAML to edit."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_dataquality.anomalies import Opened, Place, opened
from airflow_dataquality.engine.groups import groupable, measure_groups
from airflow_dataquality.engine.history import Recorded
from airflow_dataquality.engine.judge import judge, resolve
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.engine.session import Session
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.errors import DataQualityError, PartitionError, SpecError, TableError, did_you_mean
from airflow_dataquality.model import Check, Metric, Partition
from airflow_dataquality.proposals import FEW_VALUES, ROWS, Described, Proposal, Seen, metrics_of, of_column, of_table
from airflow_dataquality.results import Measurement, Status
from airflow_dataquality.rulefile import as_yaml
from airflow_dataquality.spec import rule_of

log = logging.getLogger(__name__)

MOST_LISTED = 20
"""Columns whose values are listed: each takes a scan of its own."""
KNOWN = 14
"""Partitions from which on a baseline can tell."""

Held = Mapping[tuple[Any, ...], Mapping[Metric, Measurement]]


@dataclass(frozen=True)
class Suggestion:
    """Rules for a table.

    :param partitions: how many partitions they are from; None if the table was looked at as a whole
    :param unproposed: what there is to say of columns for which nothing is proposed
    :param decisions: rules that somebody has to decide on, as text
    """

    what: Partition
    column: str | None
    partitions: int | None
    rows: int
    proposals: Sequence[Proposal]
    unproposed: Sequence[str] = ()
    decisions: Sequence[Proposal] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def described(self) -> str:
        """What was profiled, in words."""
        rows = f"{self.rows:,} rows"
        if self.partitions is None:
            return f"{self.what}, {rows}"
        return f"{self.what}, {rows} in {self.partitions:,} partitions by {self.column}"

    def as_dict(self) -> dict[str, Any]:
        """The rules as JSON."""
        return {
            "table": str(self.what.table),
            "partition_column": self.column,
            "partitions": self.partitions,
            "rows": self.rows,
            "rules": [{**proposal.rule, "because": proposal.because} for proposal in self.proposals],
            "to_decide": [{**proposal.rule, "because": proposal.because} for proposal in self.decisions],
            "not_proposed": list(self.unproposed),
        }

    def as_yaml(self) -> str:
        """The rules as a file, with why each of them is proposed."""
        name = self.what.table.name
        flag = f" --partition '{self.column}=…'" if self.column else ""
        head = [
            f"Proposed from {self.described}. Edit it: these rows are not known to be right.",
            f"airflow dq check '{self.what.table}'{flag} --rules THIS_FILE runs it.",
        ]
        rules, decisions = ([(p.rule, p.because) for p in listed] for listed in (self.proposals, self.decisions))
        return as_yaml(name, head, rules, decisions, self.unproposed)


def suggest(
    conn_id: str, table: str, *, partition_column: str | None = None, where: str | None = None, last: int = 90,
    ledger_schema: str = "dataquality", ledger_conn_id: str | None = None,
) -> Suggestion:  # fmt: skip
    """Propose rules that no row, or no partition, of the table's past would have failed.

    :param partition_column: the rules are for one partition; thresholds are from those that the table holds, and from
        what the ledger knows of them
    :param where: a predicate that narrows the rows that are profiled
    :param last: how many partitions, the newest
    :raises DataQualityError: if there is no such table or column
    """
    with opened(Place(conn_id, table, last=last, ledger_schema=ledger_schema, ledger_conn_id=ledger_conn_id)) as at:
        names = [column.name for column in at.columns]
        if partition_column is not None and partition_column not in names:
            hint = did_you_mean(partition_column, names, label="Columns")
            raise PartitionError(f"partition column {partition_column!r} is not in {at.what.table}", hint=hint)
        return _Profiling(at, partition_column, where, last).suggestion()


class _Profiling:
    """One table, looked at."""

    def __init__(self, at: Opened, by: str | None, where: str | None, last: int) -> None:
        self.session: Session = at.session
        self.at, self.by, self.where, self.last = at, by, where, last
        self.what, self.columns = at.what, at.columns
        self.described = [Described.of(column, self.session) for column in at.columns if column.name != by]
        self.since: str | None = where
        self.notes: list[str] = []
        self.listed = 0

    def suggestion(self) -> Suggestion:
        metrics = list(dict.fromkeys(m for column in self.described for m in metrics_of(column)))
        self.since = self.session.dialect.both(self.where, self._newest())
        held = self._measured([ROWS, *metrics])
        past = self._past(held)
        rows = sum(int(found[ROWS].value or 0) for found in held.values())
        seen = Seen([*held.values()], past, rows, partitioned=self.by is not None)
        proposals = list(of_table(seen, self.columns))
        unproposed = []
        for column in self.described:
            found = of_column(column, seen, self._values(column, seen))
            proposals += [proposal for proposal in found if proposal.rule]
            unproposed += [proposal.because for proposal in found if not proposal.rule]
        kept = self._passing(proposals, held)
        return Suggestion(
            self.what, self.by, len(held) if self.by else None, rows, kept, unproposed,
            list(self._decisions(len(held), rows)), self.notes,
        )  # fmt: skip

    def _newest(self) -> str | None:
        """The predicate of the newest partitions, if there are more than are looked at."""
        if self.by is None:
            return None
        counted = measure_groups(self.session, [ROWS], self.what, columns=self.columns, by=[self.by], where=self.where)
        values = sorted((key[0] for key in counted if key[0] is not None), key=_order)
        if len(values) <= self.last:
            return None
        return self.session.dialect.up_to(self.by, values[-1], after=values[-self.last - 1])

    def _measured(self, metrics: Sequence[Metric]) -> Held:
        """What was measured, by partition; of the whole table, under the empty key."""
        if self.by is None:
            narrowed = [Metric(m.kind, m.columns, m.params, self.where) for m in metrics] if self.where else metrics
            found = measure(self.session, narrowed, self.what, columns=self.columns)
            if problem := found[narrowed[0]].error:
                raise TableError(f"the rows of {self.what} cannot be read: {problem}", hint="mend --where")
            return {(): {metric: found[other] for metric, other in zip(metrics, narrowed, strict=True)}}
        asked = [metric for metric in metrics if groupable(self.session, metric)]
        return measure_groups(
            self.session, asked, self.what, columns=self.columns, by=[self.by], where=self.since, needed=ROWS
        )

    def _past(self, held: Held) -> dict[str, list[float]]:
        """What the ledger knows of the same partitions, or of the table at other times: values by metric."""
        own = [key[0] for key in held if key and key[0] is not None]
        if self.at.ledger is None or self.where or (self.by is not None and not own):
            return {}
        newest = max(own, key=_order) if own else None
        what = self.what if self.by is None else Partition.of(self.what.table, {self.by: _spelled(newest)})
        timeline = Timeline.of(what)
        if self.by is not None and timeline.column is None:
            return {}
        recorded = Recorded.read(self.at.ledger, timeline, self.last)
        left_out = {ago for ago, name in recorded.marked if name is None}
        found: dict[str, list[float]] = {}
        for ago, names, values in recorded.measured:
            for name, value in zip(names, values, strict=True) if ago not in left_out else ():
                if (ago, name) not in recorded.marked:
                    found.setdefault(name, []).append(float(value))
        return found

    def _values(self, column: Described, seen: Seen) -> list[Any] | None:
        """The values of a column with few of them."""
        if column.category != "text" or not seen.few_values(column):
            return None
        self.listed += 1
        if self.listed > MOST_LISTED:
            self.notes.append(f"the values of {column.title} are not listed: {MOST_LISTED} columns have theirs")
            return None
        found = measure_groups(
            self.session, [ROWS], self.what, columns=self.columns, by=[column.name], where=self.since
        )
        values = [key[0] for key in found if key[0] is not None]
        return values if len(values) <= FEW_VALUES else None

    def _passing(self, proposals: Sequence[Proposal], held: Held) -> list[Proposal]:
        """The rules that every profiled partition passes, tried and not only computed."""
        checks: dict[int, Check] = {}
        for number, proposal in enumerate(proposals):
            try:
                (checks[number],) = resolve(
                    [rule_of(proposal.rule, proposal.title)], self.columns, dialect=self.session.dialect
                )
            except SpecError as error:
                log.debug("Not proposed: %s", error)
        catalog = [c.metric for c in checks.values() if not groupable(self.session, c.metric)]
        new = [c.metric for c in checks.values() if c.metric not in catalog and c.metric not in _first(held)]
        of_all = measure(self.session, catalog, self.what, columns=self.columns) if catalog else {}
        more = self._measured([ROWS, *new]) if new else {}
        return [
            proposals[number]
            for number, check in checks.items()
            if all(_passes(check, {**found, **more.get(key, {}), **of_all}) for key, found in held.items())
        ]

    def _decisions(self, partitions: int, rows: int) -> Iterator[Proposal]:
        """Rules whose verdict on the past is not known, or changes with the time: for people to decide on."""
        if self.by and partitions >= KNOWN:
            usual = {"check": "row_count", "baseline": "auto", "severity": "warn"}
            yield Proposal(usual, "the number of rows is as usual for the day, by the partitions before it")
        for column in self.described:
            if column.category == "time" and rows:
                rule = {"check": "freshness", "column": column.name, "condition": {"leq_to": "26h"}}
                yield Proposal(rule, f"{column.title} goes on; how old its newest value may be is yours to say")


def _first(held: Held) -> Mapping[Metric, Measurement]:
    return next(iter(held.values()), {})


def _passes(check: Check, measured: Mapping[Metric, Measurement]) -> bool:
    if check.metric not in measured:
        return False
    (result,) = judge([check], measured).results
    return result.status in (Status.PASS, Status.SKIP)


def _order(value: Any) -> tuple[str, Any]:
    """By which values of any one type are sorted."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return ("", value) if number else (type(value).__name__, str(value))


def _spelled(value: Any) -> Any:
    """A partition's value as the ledger has it."""
    return value if isinstance(value, int | str | None) else str(value)


def write(file: Path, text: str, *, force: bool) -> None:
    """Write the rules.

    :raises DataQualityError: if there is such a file, or it cannot be written
    """
    if file.exists() and not force:
        raise DataQualityError(f"already there: {file}", hint="--force overwrites it")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DataQualityError(
            f"{file} cannot be written: {error.strerror}", hint="name a file in a folder that exists"
        ) from error
