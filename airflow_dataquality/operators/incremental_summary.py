"""Keep numbers over all of history up to date, at the cost of a day."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_dataquality.engine.backfill import Connected
from airflow_dataquality.engine.parallel import Pool
from airflow_dataquality.engine.settings import MODES, Settings
from airflow_dataquality.engine.summarize import summarize
from airflow_dataquality.engine.summary import ON_DEFINITION_CHANGE, ON_GAP, SummaryLoad
from airflow_dataquality.engine.timeline import UNITS, grain_of, moment
from airflow_dataquality.engine.work import Workforce
from airflow_dataquality.errors import DataQualityError, SpecError, did_you_mean
from airflow_dataquality.grammar import one_of, seconds
from airflow_dataquality.hooks.session import DbApiSession, open_exchange
from airflow_dataquality.measures import Measure
from airflow_dataquality.model import FailOn, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._facts import SqlFacts, TableFacts
from airflow_dataquality.operators._lineage import Reads
from airflow_dataquality.operators._metrics import emits
from airflow_dataquality.operators._publishing import Publishing
from airflow_dataquality.operators._source import names
from airflow_dataquality.operators._template import SqlTemplate
from airflow_dataquality.plans.summary import Definition
from airflow_dataquality.spec import checks_from

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class IncrementalSummaryOperator(Publishing):
    """Publish a partition of a summary: yesterday's summary, merged with today's facts.

    A summary has a row for each subject, in each partition: all that is known of it up to then. So one partition
    answers questions about all of history, and a day costs what the day and the summary cost, however long history is.
    Each partition goes through stage, check and exchange. Running it again for the same partition ends in the same
    rows; if facts have changed meanwhile, the partitions after it are built again, too, and become visible with it.

    :param conn_id: connection to the warehouse (Postgres or Redshift)
    :param summary: the table to publish, with SQL-quoted identifiers (templated). It is created if it does not exist
    :param source: the table with the facts, which has the partition column (templated)
    :param sql: instead of ``source``: one SELECT, or the path of a ``.sql`` file with it, that yields the facts of one
        partition by ``{{ ds }}``; or, from ``{{ start_date }}`` to ``{{ end_date }}`` if ``backfill`` is true, of many
    :param keys: the columns that are the subject, by their exact names. NULL is one subject
    :param partition_column: the column that tells the partition, in the facts and in the summary
    :param partition: the partition to publish (templated)
    :param measures: name → measure of :mod:`airflow_dataquality.measures`
    :param grain: ``hour``, ``day``, ``week`` or ``month`` from one partition to the next; ``auto`` tells by its value
    :param since: the first partition whose facts count (templated); None counts all that there are
    :param lookback_days: how many partitions before are built again, as their facts may have come late
    :param on_gap: what to do if the partition before is not published: ``fail``, ``catch_up`` (build what is missing,
        in order), or ``rebuild`` (read all facts up to this partition)
    :param on_definition_change: what to do with published partitions that are made of other measures, keys or facts:
        ``fail``, or ``rebuild`` (build all of them again)
    :param checks: of the summary's rows: checks, rule dicts, or the path of a YAML rule set
    :param exchange: how a partition takes its place: ``auto``, ``create``, ``overwrite`` or ``attach``
    :param fail_on: from which severity on a check outside its interval blocks: ``error``, ``warn`` or ``never``
    :param allow_empty: publish a partition without any subject, too
    :param max_parallel: connections over which several partitions are built, each for a share of the subjects
    :param keep_staging: keep rows that were rejected, to be looked at
    :param staging_ttl: how long they are kept at most: seconds, timedelta or "7d"
    :param lock_timeout: how long readers may queue behind one lock request: seconds, timedelta or "100ms"
    :param exchange_timeout: how long to keep asking: seconds, timedelta or "5m"
    :param allow_side_effects: names of triggers, rules, foreign keys … that an overwrite may set off
    :param ledger_schema: schema of the ledger's tables
    :param database: database to use instead of the connection's
    :param retry_on_failure: False fails the task at once, in spite of ``retries``
    :returns: as :class:`StageCheckExchangeOperator`, or as :class:`ParallelBackfillOperator` if several partitions were
        built
    :raises SpecError: when the DAG is parsed, for an argument that can never work
    :raises AirflowException: when a partition is missing, the definition has changed, or a check blocks; production is
        unchanged
    """

    template_fields: Sequence[str] = ("conn_id", "summary", "source", "partition", "since", "database", "hook_params")
    template_fields_renderers: ClassVar[dict[str, str]] = {"measures": "py"}
    ui_color = "#f0ead5"

    def __init__(
        self,
        *,
        summary: str,
        keys: Sequence[str],
        partition_column: str,
        partition: str,
        measures: Mapping[str, Measure],
        source: str | None = None,
        sql: str | None = None,
        grain: str = "auto",
        since: str | None = None,
        lookback_days: int = 0,
        on_gap: str = "fail",
        on_definition_change: str = "fail",
        checks: Any = (),
        exchange: str = "auto",
        fail_on: str = "error",
        allow_empty: bool = False,
        max_parallel: int = 2,
        keep_staging: bool = True,
        staging_ttl: float | str | timedelta = "7d",
        lock_timeout: float | str | timedelta = 0.1,
        exchange_timeout: float | str | timedelta = 60,
        allow_side_effects: Sequence[str] = (),
        ledger_schema: str = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, database=database, retry_on_failure=retry_on_failure, **kwargs)
        self.summary = summary
        self.keys = keys
        self.partition_column = partition_column
        self.partition = partition
        self.measures = measures
        self.source = source
        self.sql = sql
        self.grain = grain
        self.since = since
        self.lookback_days = lookback_days
        self.on_gap = on_gap
        self.on_definition_change = on_definition_change
        self.checks = checks
        self.exchange = exchange
        self.fail_on = fail_on
        self.allow_empty = allow_empty
        self.max_parallel = max_parallel
        self.keep_staging = keep_staging
        self.staging_ttl = staging_ttl
        self.lock_timeout = lock_timeout
        self.exchange_timeout = exchange_timeout
        self.allow_side_effects = allow_side_effects
        self.ledger_schema = ledger_schema
        self._session: DbApiSession | None = None
        self._pool: Pool | None = None
        self._facts: TableFacts | SqlFacts | None = None
        self._definition = self._validated()
        self._checks = checks_from(() if checks is None else checks, folders=common.search_folders(self))
        common.refuse_health(self._checks)

    def _validated(self) -> Definition:
        """Refuse now what can never work; what the summary is made of.

        :raises SpecError: naming the argument
        """
        common.require_connection(self)
        for name in ("summary", "source"):
            if name == "summary" or self.source is not None:
                common.checked_table(getattr(self, name), name)
        if (self.source is None) == (self.sql is None):
            raise SpecError("both source and sql" if self.sql is not None else "no source is given",
                            hint="give exactly one of source= (a table) and sql= (a SELECT)")  # fmt: skip
        names(self.keys, "keys", empty=False)
        if not isinstance(self.measures, Mapping):
            raise SpecError(
                f"measures is {self.measures!r}", hint='write {"flights": Count(), "miles": Sum("distance")}'
            )
        definition = Definition(tuple(self.keys), self.partition_column, tuple(self.measures.items()))
        definition.check()
        for name, value, known in (
            ("grain", self.grain, ("auto", *UNITS)),
            ("on_gap", self.on_gap, ON_GAP),
            ("on_definition_change", self.on_definition_change, ON_DEFINITION_CHANGE),
        ):
            if value not in known:
                raise SpecError(f"{name} is {value!r}", hint=did_you_mean(str(value), known))
        for name, least in (("lookback_days", 0), ("max_parallel", 1)):
            common.check_number(name, getattr(self, name), least)
        one_of(FailOn, self.fail_on, "fail_on")
        self._settings()
        seconds(self.staging_ttl, "staging_ttl")
        for name, given in (("partition", self.partition), ("since", self.since)):
            if not common.is_template(given) and (given is not None or name == "partition"):
                _check_time(name, given)
        return definition

    def _settings(self) -> Settings:
        if self.exchange not in MODES or self.exchange == "swap":
            known = [mode for mode in MODES if mode != "swap"]
            raise SpecError(f"exchange is {self.exchange!r}", hint=did_you_mean(str(self.exchange), known))
        return Settings(
            mode=self.exchange,
            lock_timeout=seconds(self.lock_timeout, "lock_timeout"),
            exchange_timeout=seconds(self.exchange_timeout, "exchange_timeout"),
            allow_side_effects=common.listed("allow_side_effects", self.allow_side_effects),
            clock=self._clock,
        )

    def _grain(self, partition: str) -> str:
        return grain_of(partition) if self.grain == "auto" else self.grain

    def load(self, context: Context, partition: str | None = None) -> SummaryLoad:
        """The summary, and how it is built, of rendered arguments.

        :param partition: another one than the operator's own
        :raises SpecError: if Airflow did not render them, or they cannot work
        """
        templated = ("summary", "source", "since") if partition else ("summary", "source", "since", "partition")
        if partition or not context:
            common.refuse_templates({name: getattr(self, name) for name in templated})
        grain = self._grain(partition or str(self.partition))
        self._facts = facts = (
            TableFacts(Table.parse(self.source), self.partition_column)
            if self.source is not None
            else SqlFacts(SqlTemplate.of(self, str(self.sql)), context, grain)
        )
        return SummaryLoad(
            table=Table.parse(self.summary),
            definition=self._definition,
            facts=facts,
            grain=grain,
            since=self.since,
            lookback=self.lookback_days,
            on_gap=self.on_gap,
            on_definition_change=self.on_definition_change,
            checks=common.render_checks(self, self._checks, context),
            fail_on=FailOn(self.fail_on),
            settings=self._settings(),
            keep_staging=self.keep_staging,
            staging_ttl=timedelta(seconds=seconds(self.staging_ttl, "staging_ttl")),
            allow_empty=self.allow_empty,
        )

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Build, check, and publish the partition, and those that have to be built with it."""
        try:
            outcome = self._run(context)
        except DataQualityError as error:
            self._fail(error, self.summary)
        return self._tell(context, outcome)

    def _run(self, context: Context) -> Any:
        load, connect = self.load(context), partial(open_exchange, self.get_db_hook())

        def hired(pool: Pool) -> None:
            self._pool = pool

        with connect() as session:
            self._session = session
            workforce = Workforce(connect, self.max_parallel, gauge=self._report.progress, hired=hired)
            at = Connected.over(session, self.ledger_schema)
            outcome = summarize(at, load, str(self.partition), common.run_identity(context), workforce)
            self._record_reads(session, outcome.table, context)
            return outcome

    def dry_run(self) -> None:
        """Log what the summary is made of. Connects to nothing."""
        self.log.info("Would publish %s of %s, with a row for each %s, of the facts in\n%s", self.partition,
                      self.summary, ", ".join(self.keys), self.source or self.sql)  # fmt: skip
        for name, measure in self._definition.measures:
            self.log.info("%s: %r", name, measure)
        for check in self._checks:
            self.log.info("Would check %s: %s [%s]", check.name, check.expect, check.severity)

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return [] if self._facts is None else [self._facts.reads(str(self.partition))]

    def _table_named(self) -> str | None:
        return self.summary

    def on_kill(self) -> None:
        """Cancel the statements that run, so that the task ends now and leaves nothing behind."""
        if self._pool is not None:
            self._pool.stop()
        if self._session is not None:
            self._session.cancel()


def _check_time(name: str, value: Any) -> None:
    if common.is_template(value):
        return
    if not isinstance(value, str) or moment(value) is None:
        raise SpecError(f"{name} is {value!r}, and no time", hint='write "{{ ds }}", "2013-02-08", "2013-02", …')


def summary_from_config(
    path: str | os.PathLike[str], *, task_id: str | None = None, **arguments: Any
) -> IncrementalSummaryOperator:
    """An operator whose arguments are in a file: YAML, or HOCON (``.conf``, ``.hocon``; needs the extra ``hocon``).

    ``measures`` are words there: ``count``, ``{sum: distance}``, ``{latest: origin, order_by: dep_time}``,
    ``{rolling: {sum: distance}, days: 28}``. Keys that begin with ``_`` are the file's own.

    :param path: the file; a relative path is looked for beside the DAG's file
    :param task_id: by default the file's name
    :param arguments: of :class:`IncrementalSummaryOperator`; they take the place of those in the file
    :raises SpecError: naming the file, and the path inside it
    """
    from airflow_dataquality.operators import _config

    named = {"task_id": task_id} if task_id else {}
    return _config.made(IncrementalSummaryOperator, path, {**named, **arguments})
