"""Publish a table or partition through stage, check and exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.measure import Scan
from airflow_dataquality.engine.new_table import NewTable
from airflow_dataquality.engine.publish import Load, Outcome, publish
from airflow_dataquality.engine.settings import MODES, Settings
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import seconds
from airflow_dataquality.hooks.session import open_exchange
from airflow_dataquality.model import FailOn, Partition, Scalar, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators import _source as sources
from airflow_dataquality.operators._load import LoadOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

SCHEMA_CHANGES = ("fail", "append_columns")


class StageCheckExchangeOperator(LoadOperator):
    """Make rows visible only after they were checked, all at once, and record it in the same transaction.

    The SELECT fills a staging table; the checks run on it; then the stage takes the place of the table, or of one
    of its partitions. Readers see the old rows or the new ones, never none, never a mix. If a check fails, the
    table stays as it was and the rejected rows stay in the staging table, to be looked at. Running it again for
    the same partition, at any time, ends in the same rows.

    :param table: the table to publish, with SQL-quoted identifiers: ``analytics."Daily Flights"`` (templated).
        It is created if it does not exist
    :param sql: one SELECT, or the path of a ``.sql`` file with it (templated). Columns are matched by name
    :param rows: instead of ``sql``: mappings of column to value; or sequences, with ``columns``; or a function
        without arguments that yields batches of them, which are not held in memory; or what another task returned.
        Strings in them are no templates. The table has to exist
    :param s3_uri: instead of ``sql``: ``s3://bucket/prefix``, loaded with COPY on Redshift (templated). The table has
        to exist
    :param columns: the names of what sequences in ``rows`` hold, or of what the files in S3 hold, in order (templated)
    :param copy_options: parameters of COPY: ``["FORMAT AS PARQUET"]`` (templated)
    :param iam_role: the role by which Redshift reads the files, an ARN or ``default`` (templated)
    :param aws_conn_id: instead of ``iam_role``: a connection whose extra has ``role_arn``, and perhaps ``region_name``.
        Access keys are never used: they would end up in the SQL text
    :param conn_id: connection to the warehouse (Postgres or Redshift)
    :param partition: the partition's columns and values, ``{"ds": "{{ ds }}"}`` (templated); None publishes the
        whole table. Rows of another partition are an error
    :param checks: checks, rule dicts, or the path of a YAML rule set. ``partition_clause``, ``sql``, ``statement``,
        ``pattern`` and ``values`` in them are templated. That there is at least one row is implied
    :param exchange: ``auto`` takes the first way that keeps everything on the table and says why in the log;
        ``create``, ``swap``, ``overwrite`` and ``attach`` insist on one. A table that does not exist is created
        by each
    :param fail_on: from which severity on a check outside its interval blocks: ``error``, ``warn`` or ``never``.
        A check whose query fails always blocks
    :param retry_on_failure: False fails the task at once, in spite of ``retries``
    :param keep_staging: keep the rejected rows, until the partition's next publication or for ``staging_ttl``
    :param staging_ttl: how long rejected rows are kept at most: seconds, timedelta or "7d"
    :param keep_previous: number of previous versions to keep for ``airflow dq rollback``
    :param on_schema_change: ``fail`` if the SELECT has a column that the table lacks, or ``append_columns``
    :param allow_empty: publish zero rows, too
    :param lock_timeout: how long readers may queue behind one lock request: seconds, timedelta or "100ms"; on Redshift
        less than 2 seconds count as 2. A lock that is not had by then is asked for again, after a pause
    :param exchange_timeout: how long to keep asking: seconds, timedelta or "5m". After that ``auto`` overwrites, and
        a mode that was insisted on fails
    :param allow_side_effects: names of triggers, rules, foreign keys … that an overwrite may set off
    :param new_table: what the table gets if it has to be created: primary key, indexes, comments, and types where the
        source is no SELECT, as :class:`airflow_dataquality.engine.new_table.NewTable`
    :param explain: log the plan of the SELECT before it runs, and warn of slow steps
    :param ledger_schema: schema of the ledger's tables
    :param database: database to use instead of the connection's
    :returns: ``table``, ``partition``, ``rows``, ``exchange``, ``published``, ``run_uid``, ``score``, ``passed``,
        ``warned``, ``failed``, ``errored``, ``skipped``, ``failed_rules``, ``warned_rules``, and ``staging_table``
        if one is kept
    :raises SpecError: when the DAG is parsed, for an argument that can never work
    :raises AirflowException: when a check blocks, or the rows cannot be published; production is unchanged
    """

    template_fields: Sequence[str] = ("conn_id", "table", *sources.TEMPLATED, "partition", "database", "hook_params")
    templated: Sequence[str] = (*LoadOperator.templated, "partition")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "partition": "json"}
    ui_color = "#d5f0e3"

    def __init__(
        self,
        *,
        table: str,
        sql: str | None = None,
        rows: Iterable[Any] | Callable[[], Iterable[Iterable[Any]]] | XComArg | None = None,
        s3_uri: str | None = None,
        columns: Sequence[str] | None = None,
        copy_options: Sequence[str] = (),
        iam_role: str | None = None,
        aws_conn_id: str | None = None,
        partition: Mapping[str, Scalar] | None = None,
        checks: Any = (),
        exchange: str = "auto",
        fail_on: str = "error",
        keep_staging: bool = True,
        staging_ttl: float | str | timedelta = "7d",
        keep_previous: int = 0,
        on_schema_change: str = "fail",
        allow_empty: bool = False,
        lock_timeout: float | str | timedelta = 0.1,
        exchange_timeout: float | str | timedelta = 60,
        allow_side_effects: Sequence[str] = (),
        new_table: NewTable | None = None,
        explain: bool = False,
        ledger_schema: str = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            table=table, sql=sql, rows=rows, s3_uri=s3_uri, columns=columns, copy_options=copy_options,
            iam_role=iam_role, aws_conn_id=aws_conn_id, checks=checks, fail_on=fail_on, explain=explain,
            ledger_schema=ledger_schema, lock_timeout=lock_timeout, exchange_timeout=exchange_timeout,
            conn_id=conn_id, database=database, retry_on_failure=retry_on_failure, **kwargs,
        )  # fmt: skip
        self.partition = partition
        self.exchange = exchange
        self.keep_staging = keep_staging
        self.staging_ttl = staging_ttl
        self.keep_previous = keep_previous
        self.on_schema_change = on_schema_change
        self.allow_empty = allow_empty
        self.allow_side_effects = allow_side_effects
        self.new_table = new_table
        self._validate()

    def _validate(self) -> None:
        """Refuse now what can never work.

        :raises SpecError: naming the argument
        """
        super()._validate()
        common.checked_partition(self.partition)
        if self.on_schema_change not in SCHEMA_CHANGES:
            raise SpecError(f"on_schema_change is {self.on_schema_change!r}",
                            hint=did_you_mean(str(self.on_schema_change), SCHEMA_CHANGES))  # fmt: skip
        seconds(self.staging_ttl, "staging_ttl")

    def _settings(self) -> Settings:
        if self.exchange not in MODES:
            raise SpecError(f"exchange is {self.exchange!r}", hint=did_you_mean(str(self.exchange), MODES))
        if isinstance(self.keep_previous, bool) or not isinstance(self.keep_previous, int) or self.keep_previous < 0:
            raise SpecError(f"keep_previous is {self.keep_previous!r}", hint="write a number of versions, 0 for none")
        return replace(
            super()._settings(),
            mode=self.exchange,
            keep_previous=self.keep_previous,
            allow_side_effects=common.listed("allow_side_effects", self.allow_side_effects),
        )

    def dry_run(self) -> None:
        """Log what would be done: the rows' SELECT, and what would be measured on them. Connects to nothing."""
        stage = Partition(Table("staged_rows"))
        metrics = [check.metric for check in self._checks]
        measured = Scan.of(Postgres(), metrics, stage, columns=()).statements() if metrics else []
        self._dry_run("Would publish %s %s, exchange=%s", self.table, self.partition or "(whole)", self.exchange)
        for statement in measured:
            self.log.info("Would measure with\n%s", statement)

    def _described(self, context: Context) -> Load:
        """What is to be published, and how, of rendered arguments."""
        return Load(
            source=self._source(context),  # first: it refuses what was not rendered
            table=Table.parse(self.table),
            key=common.checked_partition(self.partition),
            checks=common.render_checks(self, self._checks, context),
            fail_on=FailOn(self.fail_on),
            settings=self._settings(),
            keep_staging=self.keep_staging,
            allow_empty=self.allow_empty,
            append_columns=self.on_schema_change == "append_columns",
            staging_ttl=timedelta(seconds=seconds(self.staging_ttl, "staging_ttl")),
            explain=self.explain,
            new=self.new_table or NewTable(),
        )

    def _load(self, context: Context) -> Outcome:
        load = self._described(context)
        with open_exchange(self.get_db_hook()) as session:
            self._session = session
            outcome = publish(session, Ledger(session, self.ledger_schema), load, common.run_identity(context))
            self._record_reads(session, outcome.table, context)
            return outcome
