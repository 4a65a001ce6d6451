"""What a backfill would do, without doing it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.engine.backfill import Backfill, Connected
from airflow_dataquality.engine.choice import Choice
from airflow_dataquality.engine.said import database_error
from airflow_dataquality.engine.target import locate
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.plans.names import beside

_ROWS = re.compile(r"\brows=(\d+)")
STATEMENTS = 3
"""Chunks whose statements are shown: the others differ in their dates alone."""


@dataclass(frozen=True)
class Plan:
    """The plan of a backfill.

    :param estimates: the rows that the planner expects of each chunk; empty if it was not asked
    :param mode: how the range would become visible; None if nobody looked
    :param held: rows that production holds of the range
    """

    spec: Backfill
    max_parallel: int
    estimates: tuple[int | None, ...] = ()
    mode: str | None = None
    held: int | None = None

    @classmethod
    def of(cls, spec: Backfill, max_parallel: int) -> Plan:
        """What is known without a connection."""
        return cls(spec, max_parallel)

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON."""
        return {
            "table": str(self.spec.table),
            "partition": {self.spec.column: str(self.spec.key[self.spec.column])},
            "partitions": len(self.spec.partitions),
            "chunks": len(self.spec.chunks),
            "estimated_rows": sum(n or 0 for n in self.estimates) if self.estimates else None,
            "exchange": self.mode,
            "published": False,
        }

    def __str__(self) -> str:
        spec, lanes = self.spec, len({chunk.lane for chunk in self.spec.chunks})
        several = min(self.max_parallel, lanes)
        what = f"{len(spec.partitions)} partitions of {spec.table} in {len(spec.chunks)} chunks, {several} at a time"
        how = f", by {self.mode}; production holds {self.held or 0:,} rows of it" if self.mode else ""
        lines = [f"Would compute {what}, and exchange {spec.column} {spec.key[spec.column]} at once{how}"]
        estimates = self.estimates or (None,) * len(spec.chunks)
        for chunk, rows in zip(spec.chunks, estimates, strict=True):
            lines.append(f"chunk {chunk}" + ("" if rows is None else f": about {rows:,} rows"))
        lines += [f"-- {chunk}\n{spec.select(chunk, Table('staged_rows'))}" for chunk in spec.chunks[:STATEMENTS]]
        lines += [f"check {check.name}: {check.expect} [{check.severity}]" for check in spec.checks]
        lines += [f"compare {check.name}: {check.expect} [{check.severity}]" for check in spec.compare]
        return "\n".join(lines)


def plan_of(at: Connected, spec: Backfill, max_parallel: int) -> Plan:
    """The plan, with what the database knows of it. Nothing is changed.

    :raises TableError: if a statement is not valid
    :raises ExchangeError: if the range could not be exchanged
    """
    session = at.session
    target = locate(session, spec.table)
    partition = Partition.of(target.table, spec.key)
    mode, *_ = Choice(session, spec.settings, partition).modes(target)
    held = 0
    if target.oid is not None:
        held = int(session.query(session.dialect.count_rows(target.table, session.dialect.rows_of(partition)))[0][0])
    stage = beside(target.table, "backfill", spec.identity, session.dialect.max_name_bytes)
    if spec.direct:  # each chunk continues the one before it, which is not there yet
        return Plan(spec, max_parallel, (), mode, held)
    estimates = tuple(_estimate(at, spec.select(chunk, stage), str(chunk)) for chunk in spec.chunks)
    return Plan(spec, max_parallel, estimates, mode, held)


def _estimate(at: Connected, select: str, chunk: str) -> int | None:
    try:
        lines = at.session.query(at.session.dialect.explain_plan + select)
    except Exception as error:
        raise database_error(f"the SELECT of {chunk} is not valid", error, hint="mend the SELECT") from error
    found = next((match for row in lines if (match := _ROWS.search(str(row[-1])))), None)
    return int(found.group(1)) if found else None
