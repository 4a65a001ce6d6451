"""A backfill of a summary, whose partitions continue each other: the shards of its subjects are what is parallel."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.summary_plan import plan_range
from airflow_dataquality.errors import SpecError
from airflow_dataquality.grammar import seconds
from airflow_dataquality.model import FailOn
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._lineage import Reads
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_dataquality.engine.backfill import Backfill, Connected
    from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator

_OF_THE_SUMMARY = (
    "table", "sql", "partition_column", "grain", "order", "days_per_chunk", "partitions_per_chunk", "checks",
)  # fmt: skip


class SummaryBackfill(ParallelBackfillOperator):
    """What ``ParallelBackfillOperator.of`` makes of an ``IncrementalSummaryOperator``.

    :param operator: the operator of the summary
    """

    def __init__(self, *, operator: IncrementalSummaryOperator, **kwargs: Any) -> None:
        if wrong := [name for name in _OF_THE_SUMMARY if name in kwargs]:
            raise SpecError(f"{', '.join(wrong)}: the summary says that itself", hint="leave it out")
        names = ("fail_on", "conn_id", "database", "ledger_schema", "lock_timeout", "exchange_timeout",
                 "allow_side_effects", "keep_staging", "staging_ttl", "hook_params", "retry_on_failure",
                 "max_parallel", "partition_column", "grain", "checks")  # fmt: skip
        mine = {name: getattr(operator, name) for name in names}
        stem = re.sub(r"\W", "_", operator.task_id)
        self.operator = operator
        super().__init__(
            **{
                "task_id": f"backfill_{stem}",
                "table": operator.summary,
                "sql": operator.sql or operator.source,
                **mine,
                **kwargs,
            }
        )

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return self.operator.lineage_reads()

    def spec(self, at: Connected | None, context: Context) -> Backfill:
        """What is to be done.

        :raises SpecError: without a connection, which alone knows what each partition continues
        """
        if at is None:
            raise SpecError("a summary's plan is not known without its table", hint="run the task with dry_run=True")
        if not context:
            common.refuse_templates({"start": self.start, "end": self.end})
        load = self.operator.load({**context, "ds": self.end}, partition=str(self.end))
        load = replace(
            load, fail_on=FailOn(self.fail_on), settings=self._settings(), keep_staging=self.keep_staging,
            staging_ttl=timedelta(seconds=seconds(self.staging_ttl, "staging_ttl")),
        )  # fmt: skip
        return plan_range(
            at, load, str(self.start), str(self.end), self.max_parallel,
            compare=common.render_checks(self, self._compared, context),
            skip_unchanged=self.skip_unchanged, resume=self.resume,
        )  # fmt: skip
