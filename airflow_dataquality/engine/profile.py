"""Record the statistics of a table, partition by partition."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_dataquality.engine.groups import groupable, measure_groups
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.engine.session import Session
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.errors import PartitionError, TableError
from airflow_dataquality.model import Column, Metric, Partition, Table
from airflow_dataquality.results import Measurement

ROWS = Metric("row_count")


@dataclass(frozen=True)
class Profile:
    """What was measured on the partitions of a table.

    :param measured: by partition, oldest first
    """

    measured: Mapping[Partition, Mapping[Metric, Measurement]]

    @property
    def rows(self) -> int:
        return sum(int(found[ROWS].value or 0) for found in self.measured.values() if ROWS in found)

    @property
    def numbers(self) -> int:
        return sum(map(len, self.measured.values()))


def profile(
    session: Session, ledger: Ledger, run: Run, metrics: Sequence[Metric], what: Partition,
    columns: Sequence[Column], *, since_last: bool,
) -> Profile:  # fmt: skip
    """Measure a partition, or every partition since the last that the ledger knows, and record the numbers.

    :param since_last: up to ``what``, which must have a date in its key; what cannot be measured on many partitions
        in one scan is measured on ``what`` alone
    :raises PartitionError: if there is no date in the key
    """
    metrics = [ROWS, *metrics]
    if since_last:
        found = _new(session, ledger, metrics, what, columns)
    else:
        found = {what: measure(session, metrics, what, columns=columns)}
    with ledger.session.transaction():
        ledger.record_past(run, found)
    return Profile(found)


def _new(
    session: Session, ledger: Ledger, metrics: Sequence[Metric], what: Partition, columns: Sequence[Column]
) -> dict[Partition, dict[Metric, Measurement]]:
    timeline = Timeline.of(what)
    if timeline.column is None:
        raise PartitionError(f"{what}: since_last wants a date in the partition", hint='write {"ds": "{{ ds }}"}')
    column, sql = timeline.column, session.dialect
    own = what.as_dict[column]
    together = [metric for metric in metrics if groupable(session, metric)]
    ages = [timeline.ago_of(key) for key in ledger.partitions(what.table, together)]
    known = [ago for ago in ages if ago is not None and ago >= 0]
    if 0 in known:
        return {}
    last = timeline.value(timeline.start(min(known))) if known else None
    held = measure_groups(
        session, together, timeline.others, columns=columns, by=[column],
        where=sql.up_to(column, own, after=last),
    )  # fmt: skip
    found = {
        Partition.of(what.table, what.as_dict | {column: timeline.spelled(value)}): measured
        for (value,), measured in held.items()
    }
    dated = {timeline.ago_of(partition.as_dict): (partition, measured) for partition, measured in found.items()}
    _, of_own = dated.pop(0, (what, {}))
    alone = [metric for metric in metrics if metric not in of_own]
    ordered = sorted((ago for ago in dated if ago is not None and ago not in known), reverse=True)
    return {
        **dict(dated[ago] for ago in ordered),
        what: {**of_own, **measure(session, alone, what, columns=columns)},
    }


def tables_like(session: Session, pattern: str) -> list[Table]:
    """The tables that a pattern names: ``analytics.*``, ``analytics.daily_*``.

    :raises TableError: if there is none
    """
    schema, _, name = pattern.rpartition(".")
    fold = session.dialect.fold
    schema, name = fold(schema), fold(name)
    names = [str(row[0]) for row in session.query(session.dialect.tables(schema or None))]
    found = [each for each in names if fnmatch.fnmatchcase(each, name) and "__dq_" not in each]
    if not found:
        raise TableError(
            f"no table is like {pattern!r}", hint=f"tables of {schema or 'the database'}: {', '.join(names)}"
        )
    return [Table(each, schema or None) for each in found]
