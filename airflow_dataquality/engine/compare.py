"""Compare what is staged with production, partition by partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from airflow_dataquality.engine.backfill import Job
from airflow_dataquality.engine.checking import ROWS, Checking
from airflow_dataquality.engine.judge import judge, resolve
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.measure import confirm_alive, read
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.errors import ChecksFailed, PartitionError, SpecError, did_you_mean
from airflow_dataquality.model import Check, Metric, Partition
from airflow_dataquality.results import Measurement, Result, Summary
from airflow_dataquality.vocabulary import KINDS

log = logging.getLogger(__name__)

COMPARING = tuple(name for name, kind in KINDS.items() if kind.compares)


@dataclass(frozen=True)
class Compared:
    """One partition on both sides.

    :param staged: rows
    :param held: rows in production
    :param changed: whether any row differs; None if nobody asked
    """

    partition: Partition
    staged: int
    held: int
    changed: bool | None
    summary: Summary

    @property
    def differs(self) -> bool:
        """Whether it is known to differ."""
        return self.changed or self.staged != self.held or any(r.reason and _bad(r) for r in self.summary.results)


def _bad(result: Result) -> bool:
    return str(result.status) in ("fail", "warn", "error")


def refuse_others(checks: Iterable[Check]) -> None:
    """Refuse checks that compare with nothing.

    :raises SpecError: naming the check
    """
    for check in checks:
        if check.metric.kind not in COMPARING:
            raise SpecError(
                f"{check.source or check.name}: {check.metric.kind} does not compare with production",
                hint=f"put it into checks=; {did_you_mean(check.metric.kind, COMPARING, label='here go')}",
            )


def compare(session: ExchangeSession, ledger: Ledger, job: Job) -> list[Compared]:
    """Count, compare and judge every partition of the range, and record it.

    :returns: all partitions, in the order of time
    :raises PartitionError: if rows lie between two partitions
    """
    spec, by = job.spec, job.spec.column
    production = job.whole if job.target.oid is not None else None
    stage = Partition(job.stage.table)
    counts = _by_name(job, read(session, session.dialect.counted_sides(stage, production, by)))
    changed = _changed(session, job, stage, production) if spec.skip_unchanged else None
    checks = resolve(spec.compare, job.columns, dialect=session.dialect)
    found = {check.metric: _measured(session, job, check.metric, stage, production) for check in checks}
    compared, state = [], False
    for name in job.names:
        staged, held = counts.get(name, (0, 0))
        measured = {metric: values.get(name, _nothing()) for metric, values in found.items()}
        state = changed is not None and (name in changed or name in spec.always or (spec.linked and state))
        results = (*_judged(session, ledger, job, name), *judge(checks, measured).results)
        compared.append(
            Compared(job.partition(name), int(staged), int(held), None if changed is None else state, Summary(results))
        )
    ledger.record_all_results(job.run, {c.partition: c.summary for c in compared})
    return compared


def _judged(session: ExchangeSession, ledger: Ledger, job: Job, name: str) -> tuple[Result, ...]:
    """What the checks find of a partition alone."""
    if not job.spec.judged:
        return ()
    checks = resolve(job.spec.judged, job.columns, dialect=session.dialect)
    partition = job.partition(name)
    checking = Checking(
        session, ledger, job.run, partition, checks, job.columns,
        production=partition if job.target.oid is not None else None, outcome=lambda summary: summary.as_dict(),
    )  # fmt: skip
    return checking.examine(Partition(job.stage.table, partition.key)).results


def _nothing() -> Measurement:
    return Measurement(absent="production holds no rows to compare with")


def _measured(
    session: ExchangeSession, job: Job, metric: Metric, stage: Partition, production: Partition | None
) -> dict[str, Measurement]:
    if production is None:
        return {}
    try:
        rows = read(session, session.dialect.compared(metric, stage, production, job.spec.column))
    except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
        confirm_alive(session, error)
        return dict.fromkeys(job.names, Measurement(error=said(error).message))
    named = _by_name(job, rows)
    return {name: Measurement(_plain(value)) if held else _nothing() for name, (value, held) in named.items()}


def _plain(value: Any) -> Any:
    """Sums of counts arrive as exact decimals."""
    return int(value) if isinstance(value, Decimal) and value == value.to_integral_value() else value


def has_changed(session: ExchangeSession, job: Job, name: str) -> bool:
    """Whether a partition's rows are not the same on both sides."""
    key = job.partition(name).key
    return bool(_changed(session, job, Partition(job.stage.table, key), Partition(job.target.table, key)))


def _changed(session: ExchangeSession, job: Job, stage: Partition, production: Partition | None) -> set[str]:
    if production is None:
        return set(job.names)
    columns = [column for column in job.columns if column.name in job.shape.supplied]  # others the database numbers
    asked = session.dialect.changed_partitions(stage, production, job.spec.column, columns)
    return set(_by_name(job, [(*row, None) for row in read(session, asked)]))


def _by_name(job: Job, rows: Iterable[Sequence[Any]]) -> dict[str, tuple[Any, ...]]:
    """Rows by their partition, as the database prints it.

    :raises PartitionError: if one is none of the job's
    """
    found = {name_of(row[0]): tuple(row[1:]) for row in rows}
    if strange := sorted(found.keys() - job.names.keys()):
        first, *_, last = (*job.names, *job.names)
        raise PartitionError(
            f"rows of {job.spec.column}={', '.join(strange[:3])} are of none of the partitions {first} to {last}",
            hint="truncate the partition column to its grain, or name another grain=",
        )
    return found


def name_of(value: Any) -> str:
    """A partition's value as the ledger writes it: as the dialects' ``canonical`` has the database print it.

    >>> name_of(date(2013, 2, 1)), name_of(20130201)
    ('2013-02-01', '20130201')
    """
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value.isoformat() if isinstance(value, date) else str(value)


def blocked(job: Job, compared: Sequence[Compared]) -> ChecksFailed | None:
    """What to raise if a partition may not be published; None if all may."""
    blocking = {c.partition: found for c in compared if (found := c.summary.blocking(job.spec.fail_on))}
    if not blocking:
        return None
    named = [(_name(partition), result) for partition, results in blocking.items() for result in results]
    lines = "".join(f"\n  - {name}: {r.check.name}: {r.reason}" for name, r in named[:10])
    more = f"\n  … and {len(named) - 10} more" if len(named) > 10 else ""  # noqa: PLR2004 - as above
    whole = Summary(tuple(result for c in compared for result in c.summary.results))
    return ChecksFailed(
        f"{job.whole} was not published: checks block {len(blocking)} of {len(compared)} partitions; production is "
        f"unchanged{lines}{more}",
        outcome={"table": str(job.target.table), "partition": {column: str(value) for column, value in job.whole.key},
                 "rows": job.stage.rows, "staging_table": str(job.stage.table), **whole.as_dict()},
        summary=whole,
        hint=f"look at the staged rows in {job.stage.table}, and at check_result in the ledger",
    )  # fmt: skip


def _name(partition: Partition) -> str:
    return ", ".join(str(value) for _, value in partition.key)


def as_text(compared: Sequence[Compared], most: int = 40) -> str:
    """The partitions that differ as a table for people: a line each, columns aligned."""
    if not any(c.held for c in compared):
        return f"{len(compared)} partitions, of which production holds nothing yet"
    shown = [c for c in compared if c.differs]
    if not shown:
        return f"{len(compared)} partitions, none of which differs in what was compared"
    header = ["partition", "production", "staged", *dict.fromkeys(r.check.name for r in shown[0].summary.results)]
    lines = [header, *(_line(c) for c in shown[:most])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    text = "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    more = f"\n… and {len(shown) - most} more" if len(shown) > most else ""
    return f"{len(shown)} of {len(compared)} partitions differ:\n{text}{more}"


def _line(compared: Compared) -> list[str]:
    cells = [_name(compared.partition), f"{compared.held:,}", f"{compared.staged:,}"]
    return cells + [_cell(result) for result in compared.summary.results]


def _cell(result: Result) -> str:
    value = result.value
    said_value = "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return said_value + (f" {result.status.upper()}" if _bad(result) else "")


def rows_measured(compared: Iterable[Compared]) -> Mapping[Partition, Mapping[Metric, Measurement]]:
    """The number of rows of each partition, as baselines read it."""
    return {c.partition: {ROWS: Measurement(c.staged)} for c in compared}
