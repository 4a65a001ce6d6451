"""Compute a range of partitions anew, in parallel, and make it visible at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import TaskGroup

from airflow_dataquality.engine.backfill import Connected
from airflow_dataquality.engine.forecast import Plan, plan_of
from airflow_dataquality.engine.parallel import Pool
from airflow_dataquality.engine.reveal import Outcome
from airflow_dataquality.engine.work import Workforce, backfill
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.hooks.session import DbApiSession, open_exchange
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._backfill import BackfillTask
from airflow_dataquality.operators._backfill_tasks import CompareBackfill, ExchangeBackfill, PlanBackfill, StageChunk
from airflow_dataquality.operators._metrics import emits
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class ParallelBackfillOperator(BackfillTask):
    """Compute the partitions of a range in chunks, several at a time, and make all of them visible at once.

    The chunks' rows gather in one staging table; each chunk is checked before its rows count as staged. Then every
    partition is compared with production's, and the whole range is exchanged in one transaction: readers see all of
    the old rows or all of the new ones. A retry, or a run after a crash, goes on with the chunks that are missing. A
    backfill that was finished, or whose rows were rejected, begins anew.

    :param conn_id: connection to the warehouse (Postgres or Redshift)
    :param table: the table to publish, with SQL-quoted identifiers (templated). It is created if it does not exist
    :param sql: one SELECT, or the path of a ``.sql`` file with it, which serves the daily run, too. It is rendered for
        each chunk, with the task's context and ``backfill`` (true), ``start_date`` and ``end_date`` (the chunk's first
        and last partition, as ``start`` is written), and what a run of its first partition would have: ``ds``,
        ``ts``, ``logical_date``, ``data_interval_start``; ``data_interval_end`` is the end of its last
    :param partition_column: the column that tells the partition, an exact name
    :param start: the first partition, ``2013-01-01``, ``2013-01`` or ``2013-01-01T00:00Z`` (templated)
    :param end: the last partition, included (templated)
    :param grain: ``hour``, ``day``, ``week`` or ``month`` from one partition to the next; ``auto`` tells by ``start``
    :param days_per_chunk: days that are computed by one statement; by default 7, or 1 if the SQL reads only its ``ds``
    :param partitions_per_chunk: the same in partitions, for weeks and months
    :param max_parallel: chunks that are computed at the same time, over a connection each
    :param order: ``newest_first`` or ``oldest_first``
    :param checks: of each chunk's rows: checks, rule dicts, or the path of a YAML rule set
    :param compare_with_production: of each partition, staged beside production's: ``row_count_ratio``, ``lost_keys``,
        ``churn_ratio``, ``unseen_values``, ``mean_shift``. The results are in the ledger, partition by partition
    :param exchange: ``auto`` creates the table, or overwrites the range; ``create`` and ``overwrite`` insist on one
    :param fail_on: from which severity on a check outside its interval blocks: ``error``, ``warn`` or ``never``
    :param skip_unchanged: leave partitions alone whose rows are the same as production's
    :param resume: False computes all chunks, even if some are staged
    :param chunk_retries: how often a chunk that failed is tried again, alone
    :param max_failures: after more chunks than that failed, no other is begun; None begins all of them
    :param keep_staging: keep rows that were rejected, to be looked at
    :param staging_ttl: how long an unfinished backfill may be gone on with, and rejected rows are kept: seconds,
        timedelta or "7d"
    :param lock_timeout: how long readers may queue behind one lock request: seconds, timedelta or "100ms"
    :param exchange_timeout: how long to keep asking: seconds, timedelta or "5m"
    :param allow_side_effects: names of triggers, rules, foreign keys … that an overwrite may set off
    :param dry_run: log the chunks, their SQL, the rows that the planner expects, and what would be exchanged; change
        nothing
    :param ledger_schema: schema of the ledger's tables
    :param database: database to use instead of the connection's
    :param retry_on_failure: False fails the task at once, in spite of ``retries``
    :returns: ``table``, ``partition`` (the range), ``partitions``, ``unchanged``, ``chunks``, ``rows``, ``exchange``,
        ``published``, ``run_uid``, and the counts of the comparison's results: ``score``, ``passed``, ``failed`` …
    :raises SpecError: when the DAG is parsed, for an argument that can never work
    :raises AirflowException: when chunks fail, or the range may or can not be published; production is unchanged
    """

    template_fields_renderers: ClassVar[dict[str, str]] = {"table": "py"}
    ui_color = "#d5e3f0"

    def __init__(
        self,
        *,
        table: str,
        sql: str,
        partition_column: str,
        start: str,
        end: str,
        grain: str = "auto",
        days_per_chunk: int | None = None,
        partitions_per_chunk: int | None = None,
        max_parallel: int = 4,
        order: str = "newest_first",
        checks: Any = (),
        compare_with_production: Any = (),
        exchange: str = "auto",
        fail_on: str = "error",
        skip_unchanged: bool = False,
        resume: bool = True,
        chunk_retries: int = 1,
        max_failures: int | None = 3,
        keep_staging: bool = True,
        staging_ttl: float | str | timedelta = "7d",
        lock_timeout: float | str | timedelta = 0.1,
        exchange_timeout: float | str | timedelta = 60,
        allow_side_effects: Sequence[str] = (),
        dry_run: bool = False,
        ledger_schema: str = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        self.max_parallel = max_parallel
        self.chunk_retries = chunk_retries
        self.max_failures = max_failures
        self.plans_only = dry_run
        super().__init__(
            table=table, sql=sql, partition_column=partition_column, start=start, end=end, grain=grain,
            days_per_chunk=days_per_chunk, partitions_per_chunk=partitions_per_chunk, order=order, checks=checks,
            compare_with_production=compare_with_production, exchange=exchange, fail_on=fail_on,
            skip_unchanged=skip_unchanged, resume=resume, keep_staging=keep_staging, staging_ttl=staging_ttl,
            lock_timeout=lock_timeout, exchange_timeout=exchange_timeout, allow_side_effects=allow_side_effects,
            ledger_schema=ledger_schema, conn_id=conn_id, database=database, retry_on_failure=retry_on_failure,
            **kwargs,
        )  # fmt: skip
        for name, least in (("max_parallel", 1), ("chunk_retries", 0)):
            common.check_number(name, getattr(self, name), least)
        if max_failures is not None:
            common.check_number("max_failures", max_failures, 0)

    @classmethod
    def of(cls, operator: Any, start: str, end: str, **arguments: Any) -> ParallelBackfillOperator:
        """A backfill of what another operator publishes day by day.

        :param operator: a ``StageCheckExchangeOperator`` with ``sql`` and one partition column, or an
            ``IncrementalSummaryOperator``
        :param arguments: of this operator; they take the place of the other one's
        :raises SpecError: if the operator loads something else
        """
        from airflow_dataquality.operators._summary_backfill import SummaryBackfill
        from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator

        ends = {"start": start, "end": end}
        if isinstance(operator, IncrementalSummaryOperator):
            return SummaryBackfill(operator=operator, **ends, **arguments)
        return cls(**{**arguments_of(operator), **ends, **arguments})

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Stage, check, compare, and make the range visible."""
        try:
            outcome = self._run(context)
        except DataQualityError as error:
            self._fail(error, self.table)
        if isinstance(outcome, Plan):
            return outcome.as_dict()
        return self._tell(context, outcome)

    def _run(self, context: Context) -> Plan | Outcome:
        hook = self.get_db_hook()

        def connect() -> AbstractContextManager[DbApiSession]:
            return open_exchange(hook)

        def hired(pool: Pool) -> None:
            self._pool = pool

        with connect() as session:
            self._session = session
            at = Connected.over(session, self.ledger_schema)
            spec = self.spec(at, context)
            if self.plans_only:
                plan = plan_of(at, spec, self.max_parallel)
                self.log.info("%s", plan)
                return plan
            workforce = Workforce(
                connect, self.max_parallel, self.chunk_retries, self.max_failures, self._report.progress, hired
            )
            return backfill(at, spec, common.run_identity(context), workforce)

    def dry_run(self) -> None:
        """Log the chunks and their SQL. Connects to nothing."""
        self.log.info("%s", Plan.of(self.spec(None, {}), self.max_parallel))


def arguments_of(operator: Any) -> dict[str, Any]:
    """The arguments by which a backfill does what the operator does day by day.

    :raises SpecError: if there are none
    """
    if not isinstance(operator, StageCheckExchangeOperator):
        raise SpecError(f"{type(operator).__name__} is no daily load of a partition",
                        hint="give a StageCheckExchangeOperator or an IncrementalSummaryOperator")  # fmt: skip
    if not isinstance(operator.sql, str):
        raise SpecError(f"{operator.task_id!r} does not load from sql=", hint="only a SELECT can tell other days")
    templated = [column for column, value in (operator.partition or {}).items() if common.is_template(value)]
    if len(operator.partition or {}) != 1 or not templated:
        raise SpecError(f"{operator.task_id!r} does not publish one partition a day: partition={operator.partition!r}",
                        hint='a range needs one column of time: partition={"ds": "{{ ds }}"}')  # fmt: skip
    names = ("table", "sql", "checks", "fail_on", "conn_id", "database", "ledger_schema", "lock_timeout",
             "exchange_timeout", "allow_side_effects", "keep_staging", "staging_ttl", "hook_params",
             "retry_on_failure")  # fmt: skip
    arguments = {name: getattr(operator, name) for name in names}
    stem = re.sub(r"\W", "_", operator.task_id)
    return {**arguments, "task_id": f"backfill_{stem}", "partition_column": templated[0]}


def parallel_backfill(
    group_id: str = "parallel_backfill",
    *,
    max_parallel: int | None = None,
    outlets: Sequence[Any] = (),
    chunk_arguments: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> TaskGroup:
    """The work of :class:`ParallelBackfillOperator` as a group of tasks: plan → chunk (mapped) → compare → exchange.

    The chunks run wherever the deployment's executor runs tasks, on as many workers as it has. One that fails is
    retried, or cleared, alone. The plan begins anew if the backfill was finished before.

    :param group_id: name of the group
    :param max_parallel: chunks that run at the same time; None leaves it to the executor and the pool
    :param outlets: assets that the exchange updates
    :param chunk_arguments: arguments of the mapped task alone: ``retries``, ``pool``, ``queue`` …
    :param arguments: of :class:`ParallelBackfillOperator`, but for ``chunk_retries``, ``max_failures`` and ``dry_run``;
        and of all tasks: ``pool``, ``priority_weight`` …
    :raises SpecError: for an argument that can never work
    """
    alone = {"chunk_retries", "max_failures", "dry_run"} & arguments.keys()
    if alone:
        raise SpecError(f"{', '.join(sorted(alone))}: not of the task group",
                        hint="chunks are tasks here: give them chunk_arguments={'retries': 2}")  # fmt: skip
    if max_parallel is not None:
        common.check_number("max_parallel", max_parallel, 1)
    with TaskGroup(group_id, tooltip=f"Backfill of {arguments.get('table')}") as group:
        plan = PlanBackfill(task_id="plan", **arguments)
        shown = "{{ task.chunk.first }} to {{ task.chunk.last }}"
        mapped = {"map_index_template": shown, "max_active_tis_per_dagrun": max_parallel, **(chunk_arguments or {})}
        chunk = StageChunk.partial(task_id="chunk", **{**arguments, **mapped}).expand(chunk=plan.output)
        compare = CompareBackfill(task_id="compare", plan=plan.output, **arguments)
        exchange = ExchangeBackfill(task_id="exchange", plan=plan.output, outlets=list(outlets), **arguments)
        plan >> chunk >> compare >> exchange
    return group
