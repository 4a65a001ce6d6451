"""Check staged rows: ask the database before a row is computed, then measure, judge and record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_dataquality.engine.anomaly import expectations
from airflow_dataquality.engine.judge import judge
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.measure import measure, preflight
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.errors import ChecksFailed
from airflow_dataquality.model import Check, Column, FailOn, Metric, Partition, Table
from airflow_dataquality.results import Measurement, Result, Status, Summary

log = logging.getLogger(__name__)

ROWS = Metric("row_count")


@dataclass
class Checking:
    """The checks of one load.

    :param partition: what the results are recorded for
    :param columns: of the stage
    :param production: what comparing checks compare with; None if there is nothing yet
    :param outcome: what the operator would return with these results
    """

    session: ExchangeSession
    ledger: Ledger
    run: Run
    partition: Partition
    checks: Sequence[Check]
    columns: Sequence[Column]
    production: Partition | None
    outcome: Callable[[Summary], Mapping[str, Any]]
    measurements: dict[Metric, Measurement] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows in the stage, once it was measured."""
        return int(self.measurements[ROWS].value or 0)

    def preflight(self, staged: Partition) -> None:
        """Have the database read every check before it computes a row.

        :raises ChecksFailed: if it cannot
        """
        metrics = dict.fromkeys(check.metric for check in self.checks)
        problems = preflight(self.session, metrics, staged, columns=self.columns, production=self.production)
        if not problems:
            return
        broken = tuple(
            Result(check, None, Status.ERROR, problems[check.metric])
            for check in self.checks
            if check.metric in problems
        )
        summary = Summary(broken)
        self.ledger.record_results(self.run, self.partition, summary)
        self.ledger.record_check_run(self.run, self.partition, summary, state="rejected")
        places = "\n".join(f"  - {r.check.source}: {r.check.name}: {r.reason}" for r in broken)
        raise ChecksFailed(
            f"the database cannot run these checks; nothing was loaded:\n{places}",
            outcome=self.outcome(summary),
            summary=summary,
            hint="mend the checks' SQL, patterns or values",
        )

    def judge(self, staged: Partition, explained: Callable[[Result], Result] = lambda result: result) -> Summary:
        """Measure, judge and record everything; what is implied counts only when it fails.

        :param explained: says more of a result, before it is recorded
        """
        summary = self.examine(staged, explained)
        self.ledger.record_results(self.run, self.partition, summary)
        return summary

    def examine(self, staged: Partition, explained: Callable[[Result], Result] = lambda result: result) -> Summary:
        """The same, without recording it."""
        metrics = dict.fromkeys([ROWS, *(check.metric for check in self.checks)])
        self.measurements = measure(self.session, metrics, staged, columns=self.columns, production=self.production)
        expected = expectations(
            self.session, self.ledger, self.run, self.checks, self.measurements, self.partition,
            columns=self.columns if self.production else (),
        )  # fmt: skip
        judged = judge(self.checks, self.measurements, expected)
        counted = [r for r in judged.results if not r.check.implied or r.status is not Status.PASS]
        return Summary(tuple(explained(result) for result in counted))

    def blocking(self, summary: Summary, fail_on: FailOn) -> list[Result]:
        """The results for which the rows may not be shown. What is implied blocks whatever ``fail_on`` says."""
        by_user = summary.blocking(fail_on)
        implied = [r for r in summary.results if r.check.implied and r not in by_user]
        for result in summary.results:
            if result.status in (Status.WARN, Status.FAIL) and result not in by_user:
                log.warning("%s: %s", result.check.name, result.reason)
        return [*by_user, *implied]

    def failure(self, what: str, summary: Summary, blocking: Sequence[Result], **arguments: Any) -> ChecksFailed:
        """What to raise.

        :param what: what did not happen
        :param arguments: of :class:`ChecksFailed`
        """
        lines = "\n".join(f"  - {r.check.name} [{r.check.severity}]: {r.reason}" for r in blocking)
        several = f"{len(blocking)} of {len(summary.results)}"
        return ChecksFailed(
            f"{what}: {several} checks block it, production is unchanged\n{lines}", summary=summary, **arguments
        )

    def record_rejection(self, summary: Summary, kept: Table | None = None) -> None:
        """Append what was measured, and that nothing was published.

        :param kept: the table that keeps the rejected rows
        """
        self.record_metrics("rejected")
        self.ledger.record_check_run(
            self.run, self.partition, summary, state="rejected", rows=self.rows, staging_table=kept
        )

    def record_metrics(self, state: str) -> None:
        """Append what was measured, without what is implied.

        :param state: ``published`` or ``rejected``
        """
        implied = {check.metric for check in self.checks if check.implied} - {ROWS}
        known = {metric: m for metric, m in self.measurements.items() if metric not in implied}
        self.ledger.record_metrics(self.run, self.partition, known, state=state)


def explained(session: ExchangeSession, stage: Table, partition: Partition, result: Result) -> Result:
    """Say of rows in the wrong partition which one they name."""
    if result.check.metric.kind != "outside_partition" or not result.value:
        return result
    columns = [column for column, _ in partition.key]
    named = "; ".join(
        ", ".join(f"{c}={value}" for c, value in zip(columns, row, strict=False)) + f" ({row[-1]:,} rows)"
        for row in session.query(session.dialect.strays(stage, partition))
    )
    wanted = ", ".join(f"{column}={value}" for column, value in partition.key)
    return replace(result, reason=f"{result.value:,} rows are not of {wanted}, but of {named}")
