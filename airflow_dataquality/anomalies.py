"""What people do by hand about anomalies: try tests on the past, mark incidents, and draw a metric."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.dialects.ledger import UNIT
from airflow_dataquality.engine.anomalies import Search
from airflow_dataquality.engine.backtest import Alarm, a_year, known, replay, shown
from airflow_dataquality.engine.groups import groupable
from airflow_dataquality.engine.history import SOURCES, Past, Recorded
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.engine.session import Session
from airflow_dataquality.engine.statistics import by_list
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.errors import DataQualityError, SpecError, TableError, did_you_mean
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.model import Check, Column, Metric, Partition, Scalar
from airflow_dataquality.operators._table import place

THRESHOLDS = (3.0, 3.5, 4.0)
"""At which a replay counts alarms beside its own, so that people can choose."""
FEW = 5
"""Names in a sentence; more are counted."""


@dataclass(frozen=True)
class Place:
    """A table whose past is looked at.

    :param partition: column and value; a column whose value is None stands for the newest of the table; empty for a
        table that is looked at as a whole
    :param last: how many partitions are looked at, that one included
    :param history: ``ledger``, ``table``, or ``auto``: the ledger, and the table for what it does not know
    :param ledger_conn_id: where the ledger is, if not on ``conn_id``
    """

    conn_id: str
    table: str
    partition: Mapping[str, Scalar] = field(default_factory=dict)
    last: int = 90
    history: str = "auto"
    ledger_schema: str = "dataquality"
    ledger_conn_id: str | None = None

    def __post_init__(self) -> None:
        if self.history not in SOURCES:
            raise SpecError(f"history is {self.history!r}", hint=did_you_mean(self.history, SOURCES))
        if self.last < 1:
            raise SpecError(f"last is {self.last}, not a number of partitions", hint="90 is usual")


@dataclass(frozen=True)
class Opened:
    """A place, with connections to it.

    :param notes: what the user is to be told
    """

    session: Session
    ledger: Ledger | None
    what: Partition
    columns: Sequence[Column]
    notes: list[str] = field(default_factory=list)


@contextmanager
def opened(where: Place, *, create: bool = False) -> Iterator[Opened]:
    """Connect, and find the partition and the ledger.

    :param create: create the ledger if there is none
    :raises DataQualityError: if there is no such connection, table or column, or no ledger where one is needed
    """
    with ExitStack() as stack:
        session: Session = stack.enter_context(connected(where.conn_id))
        what, columns = _located(session, where)
        other = session if where.ledger_conn_id is None else stack.enter_context(connected(where.ledger_conn_id))
        ledger = Ledger(other, where.ledger_schema)
        if create or other.columns(ledger.table("ledger_version")):
            ledger.ensure()
            yield Opened(session, ledger, what, columns)
            return
        missing = f"there is no ledger in schema {where.ledger_schema!r}"
        if where.history == "ledger":
            raise DataQualityError(missing, hint="name its schema with --ledger-schema, or read the table")
        yield Opened(session, None, what, columns, [f"{missing}: the past is what the table holds now"])


def _located(session: Session, where: Place) -> tuple[Partition, Sequence[Column]]:
    """The partition, a value that is missing replaced by the newest of the table."""
    what, columns = place(session, where.table, where.partition)
    for column, value in where.partition.items():
        if value is not None:
            continue
        newest = Metric("max", (column,))
        others = Partition(what.table, tuple((name, v) for name, v in what.key if v is not None))
        found = measure(session, [newest], others, columns=columns)[newest].value
        if found is None:
            raise TableError(f"{others} has no rows", hint=f"name a partition: {column}=…")
        what, columns = place(session, where.table, {**what.as_dict, column: found})
    return what, columns


def backtest(
    where: Place,
    *,
    metrics: Any = "auto",
    baseline: Baseline | None = None,
    columns: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Replay tests on the last partitions, each judged by those before it. Nothing is recorded.

    Each test is judged by its threshold alone: the operator's ``fdr`` lets fewer alarms of many tests through.

    :param metrics: as of ``ZScoreAnomalyOperator``
    :param columns: names of the columns to look at, where ``metrics`` does not name one; None for all
    :returns: ``table``, ``partition``, ``periods``, ``baseline``, ``notes``; ``tests``, the noisiest first, of each
        ``name``, ``judged``, ``alarms``, ``a_year`` (were all of them false), ``at`` (alarms by threshold); ``alarms``,
        the oldest first, of each ``date``, ``test``, ``value``, ``expected``, ``score``
    :raises DataQualityError: if there is no such table, partition or metric
    """
    baseline, wanted = baseline or Baseline(), by_list(metrics)
    with opened(where) as at:
        least = replace(baseline, threshold=min(baseline.threshold, *THRESHOLDS))
        checks = Search(wanted, least, chosen=columns).checks(at.session, at.what, at.columns, None)
        past = known(
            at.session, at.ledger, [check.metric for check in checks], Timeline.of(at.what, baseline.period),
            where.last + baseline.window, columns=at.columns, source=where.history,
        )  # fmt: skip
        past.forget()
        alarms, judged = replay(past, checks, where.last)
        at.notes.extend(_missing(at.session, checks, judged, past, where.last))
    return {
        "table": str(at.what.table),
        "partition": json.loads(at.what.json),
        "periods": where.last,
        "baseline": str(baseline),
        "notes": at.notes,
        "tests": _counted(alarms, judged, past.timeline, baseline.threshold),
        "alarms": [_described(alarm, past.timeline) for alarm in alarms if abs(alarm.score) > baseline.threshold],
    }


def _counted(
    alarms: Sequence[Alarm], judged: Mapping[str, int], timeline: Timeline, threshold: float
) -> list[dict[str, Any]]:
    """Each test, the noisiest first."""
    by_level = {
        level: Counter(alarm.check.name for alarm in alarms if abs(alarm.score) > level)
        for level in sorted({*THRESHOLDS, threshold})
    }
    tests = [
        {
            "name": name,
            "judged": count,
            "alarms": by_level[threshold][name],
            "a_year": round(a_year(by_level[threshold][name], count, timeline), 1) if count else None,
            "at": {f"{level:g}": found[name] for level, found in by_level.items()},
        }
        for name, count in judged.items()
    ]
    return sorted(tests, key=lambda test: -test["alarms"])


def _described(alarm: Alarm, timeline: Timeline) -> dict[str, Any]:
    return {
        "date": shown(timeline.start(alarm.ago)),
        "test": alarm.check.name,
        "value": alarm.value,
        "expected": alarm.expected,
        "score": round(alarm.score, 2),
    }


def _missing(
    session: Session, checks: Sequence[Check], judged: Mapping[str, int], past: Past, last: int
) -> Iterator[str]:
    """What was not judged, and why."""
    for ago, name in sorted(set(past.marked), key=str, reverse=True):
        if ago <= last and (name is None or name in past.rows):
            yield f"{shown(past.timeline.start(ago))} is left out: {name or 'all of it'} is marked as an incident"
    unknown = [check for check in checks if not judged[check.name]]
    alone = [check.name for check in unknown if not groupable(session, check.metric)]
    short = [check.name for check in unknown if check.name not in alone]
    if alone:
        yield f"only the ledger knows the past of {_few(alone)}, and not enough of it"
    if short:
        whole = "; name its partitions: --partition ds" if past.timeline.column is None else ""
        yield f"too few values to judge {_few(short)}{whole}"


def _few(names: Sequence[str]) -> str:
    rest = len(names) - FEW
    return ", ".join(names[:FEW]) + (f" and {rest} more" if rest > 0 else "")


def mark(where: Place, *, metric: str | None = None, note: str | None = None, remove: bool = False) -> dict[str, Any]:
    """Say in the ledger that what was measured on a partition is an incident, and so no history; or take that back.

    :param metric: one metric, spelled as recorded or as ``mean:dep_delay``; None for all
    :param note: why, for people to read
    :returns: ``table``, ``partition``, ``metric``, ``rows`` (of the ledger, written or removed), ``notes``
    :raises SpecError: if no such metric is recorded, naming those that are
    :raises DataQualityError: if there is nothing to take back
    """
    with opened(where, create=not remove) as at:
        if at.ledger is None:
            raise DataQualityError(at.notes[0].partition(":")[0], hint="name its schema with --ledger-schema")
        names = _recorded_names(at.ledger, at.what)
        name = None if metric is None else _recorded_name(metric, names, at.what)
        if not remove:
            with at.ledger.session.transaction():
                at.ledger.record_incident(at.what, name, note)
            rows = 1
        else:
            rows = at.ledger.forget_incident(at.what, name)
            if not rows:
                raise DataQualityError(
                    f"nothing of {at.what} is marked as an incident" + (f" for {name}" if name else ""),
                    hint="what is marked is in the ledger's table verdict",
                )
    return {"table": str(at.what.table), "partition": json.loads(at.what.json), "metric": name, "rows": rows}


def _recorded_names(ledger: Ledger, what: Partition) -> set[str]:
    """The metrics that were measured on the partition; if none was, those of the periods before."""
    own = ledger.history(what.table, what.json, what.json, None)
    names = {name for _, _, names, _, marked in own if not marked for name in names.split(UNIT)}
    timeline = Timeline.of(what)
    return names or Recorded.read(ledger, timeline, Baseline().window).names


def _recorded_name(metric: str, names: set[str], what: Partition) -> str:
    for name in (metric, spelled_out(metric)):
        if name in names:
            return name
    hint = did_you_mean(metric, names, label="Recorded") if names else "run an operator on it first, or mark all of it"
    raise SpecError(f"no metric {metric!r} is recorded for {what}", hint=hint)


def spelled_out(metric: str) -> str:
    """A metric's name, as the ledger has it.

    >>> spelled_out("mean:dep_delay"), spelled_out("row_count")
    ('mean(dep_delay)', 'row_count')
    """
    word, colon, columns = metric.partition(":")
    return f"{word}({columns})" if colon and word.isidentifier() else metric
