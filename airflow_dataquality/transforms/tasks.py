"""The operators of transforms that are no SELECT: statements in a transaction, a function, files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_dataquality.dialects.scripts import refuse_script
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import S3, Source
from airflow_dataquality.engine.transaction import Outcome, Script, run_script
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.grammar import one_of, seconds
from airflow_dataquality.hooks.session import DbApiSession, open_exchange, open_session
from airflow_dataquality.model import FailOn, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators import _source as sources
from airflow_dataquality.operators._dates import with_date
from airflow_dataquality.operators._lineage import Reads
from airflow_dataquality.operators._metrics import emits
from airflow_dataquality.operators._publishing import Publishing
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.spec import checks_from
from airflow_dataquality.transforms import files as reading
from airflow_dataquality.transforms.functions import Input, Target, called, found

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_dataquality.engine.publish import Outcome as Published


class SqlScriptOperator(Publishing):
    """Run statements in one transaction, check the table that they write, and record how many rows each touched.

    The checks run before COMMIT: if one blocks, nothing has happened. Readers see the rows before or after. Runs that
    write the same rows wait for each other; on Redshift by a lock on the table, for which readers wait, too.

    :param sql: statements, with semicolons between (templated)
    :param conn_id: connection to the warehouse (Postgres or Redshift)
    :param table: the table that they write, which is checked and whose publication is recorded (templated); None if
        they write none
    :param partition: the part of it that they write, as column and value (templated)
    :param inputs: the tables that they read, for lineage
    :param checks: checks, rule dicts, or the path of a YAML rule set
    :param fail_on: from which severity on a check outside its interval blocks: ``error``, ``warn`` or ``never``
    :param allow_empty: the table, or the partition, may be empty then
    :param exchange_timeout: how long to wait for others that write the same rows: seconds, timedelta or "5m"
    :param ledger_schema: schema of the ledger's tables
    :param database: database to use instead of the connection's
    :param retry_on_failure: False fails the task at once, in spite of ``retries``
    :returns: ``statements``: the rows that each touched, None where that says nothing; ``table``, ``partition``,
        ``rows`` in it, ``run_uid``, ``score``, ``passed``, ``warned``, ``failed``, ``errored``, ``skipped``,
        ``failed_rules``, ``warned_rules``
    :raises SpecError: when the DAG is parsed, for an argument that can never work
    :raises AirflowException: if a statement fails or a check blocks; nothing has changed then
    """

    template_fields: Sequence[str] = ("conn_id", "table", "sql", "partition", "database", "hook_params")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "partition": "json"}
    ui_color = "#e0e0f0"

    def __init__(
        self,
        *,
        sql: str,
        table: str | None = None,
        partition: Mapping[str, Any] | None = None,
        inputs: Sequence[str] = (),
        checks: Any = (),
        fail_on: str = "error",
        allow_empty: bool = False,
        exchange_timeout: float | str | timedelta = 60,
        ledger_schema: str = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, database=database, retry_on_failure=retry_on_failure, **kwargs)
        self.sql, self.table, self.partition, self.inputs, self.checks = sql, table, partition, inputs, checks
        self.fail_on, self.allow_empty, self.ledger_schema = fail_on, allow_empty, ledger_schema
        self.exchange_timeout = exchange_timeout
        self._session: DbApiSession | None = None
        common.require_connection(self)
        common.checked_partition(partition)
        one_of(FailOn, fail_on, "fail_on")
        self._settings()
        if not common.is_template(sql):
            refuse_script(sql, "postgres")  # what no database runs in a transaction; what this one does not, later
        if table is not None:
            common.checked_table(table)
        self._checks = checks_from(() if checks is None else checks, folders=common.search_folders(self))
        common.refuse_health(self._checks)
        if self._checks and table is None:
            raise SpecError("checks without a table", hint="say which table the statements write: table=")

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Run the statements, check, and commit."""
        try:
            outcome = self._run(context)
        except DataQualityError as error:
            self._fail(error, str(self.table))
        return outcome.as_dict() if outcome.partition is None else self._tell(context, outcome)

    def _run(self, context: Context) -> Outcome:
        if not context:
            common.refuse_templates({name: getattr(self, name) for name in ("sql", "table", "partition")})
        script = Script(
            sql=self.sql,
            table=None if self.table is None else Table.parse(self.table),
            key=common.checked_partition(self.partition),
            checks=common.render_checks(self, self._checks, context),
            fail_on=FailOn(self.fail_on),
            allow_empty=self.allow_empty,
            settings=self._settings(),
        )
        with open_exchange(self.get_db_hook()) as session:
            self._session = session
            ledger = Ledger(session, self.ledger_schema)
            outcome = run_script(session, ledger, script, common.run_identity(context))
            if outcome.partition is not None:
                self._record_reads(session, outcome.partition.table, context)
            return outcome

    def _settings(self) -> Settings:
        return Settings(exchange_timeout=seconds(self.exchange_timeout, "exchange_timeout"), clock=self._clock)

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return [Reads(tables=[Table.parse(each) for each in self.inputs])]

    def on_kill(self) -> None:
        """Cancel the statement that runs, so that all is rolled back now."""
        if self._session is not None:
            self._session.cancel()


class PythonTransformOperator(StageCheckExchangeOperator):
    """Call a function, and publish the rows that it returns: staged, checked, exchanged.

    :param function: ``package.module.name``, or ``path/of/a/file.py:name``. It is called with ``inputs``: name → a
        table whose rows it may read, ``output``: the table and the partition that it is to make, and, if it has
        parameters of their names, with what the task's context has. It returns, or yields, mappings of column to value
    :param inputs: table → its partition, as column and value, or None for a table that is read as a whole (templated)
    :param arguments: of :class:`StageCheckExchangeOperator`, but ``sql``, ``rows`` and ``s3_uri``
    """

    template_fields: Sequence[str] = (*StageCheckExchangeOperator.template_fields, "inputs")
    ui_color = "#f5e6d5"

    def __init__(
        self, *, function: str, inputs: Mapping[str, Mapping[str, Any] | None] | None = None, **arguments: Any
    ) -> None:
        super().__init__(rows=functools.partial(_unread, function), **arguments)
        self.function = function
        self.inputs = dict(inputs or {})

    def _load(self, context: Context) -> Published:
        with open_session(self.get_db_hook()) as session:  # of its own: what it reads is read while rows are stored
            self.rows = functools.partial(self._batches, session, context)
            return super()._load(context)

    def _batches(self, session: DbApiSession, context: Context) -> Iterator[Iterable[Any]]:
        given = {name: Input.of(session, name, key or {}) for name, key in self.inputs.items()}
        output = Target(self.table, dict(self.partition or {}))
        function: Callable[..., Any] = found(self.function)
        yield called(function, given, output, with_date(self, context))

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return [Reads(tables=[Table.parse(each) for each in self.inputs])]


def _unread(function: str) -> Iterator[Any]:
    raise SpecError(f"{function} was not called", hint="the operator calls it when it runs")
    yield ()


class LoadFilesOperator(StageCheckExchangeOperator):
    """Bring files into a table: staged, checked, exchanged. CSV, JSON and Parquet, here or in S3.

    On Redshift, files in S3 are loaded with COPY, which goes by the place of columns and not by their names. Elsewhere
    they are read in the task, row by row.

    :param files: a path, a pattern with ``*``, a folder, or ``s3://bucket/prefix`` (templated)
    :param format: ``csv`` (with names in its first line), ``json`` (objects: one a line, or a list of them) or
        ``parquet``
    :param delimiter: of CSV; by default a comma, and a tab in ``.tsv``
    :param folder: where relative paths begin
    :param root: what relative paths may not lead out of; by default ``folder``
    :param file_columns: on Redshift: what the files in S3 hold, in order; by default all columns of the table
    :param iam_role: on Redshift: the role by which it reads the files, an ARN or ``default``
    :param aws_conn_id: connection to S3; on Redshift one whose extra has ``role_arn``
    :param copy_options: on Redshift: further parameters of COPY, ``[GZIP]``; with one of a format, these alone
    :param arguments: of :class:`StageCheckExchangeOperator`, but ``sql``, ``rows`` and ``s3_uri``. Columns of the
        partition that the files do not have get its values
    """

    template_fields: Sequence[str] = (*StageCheckExchangeOperator.template_fields, "files")
    ui_color = "#d5f0e3"

    def __init__(
        self,
        *,
        files: str,
        format: str,  # noqa: A002 - the word of the header
        delimiter: str | None = None,
        folder: str | None = None,
        root: str | None = None,
        file_columns: Sequence[str] = (),
        iam_role: str | None = None,
        aws_conn_id: str | None = None,
        copy_options: Sequence[str] = (),
        **arguments: Any,
    ) -> None:
        super().__init__(rows=functools.partial(_unread, "files"), **arguments)
        self.files, self.format, self.delimiter, self.folder = files, format, delimiter, folder
        self.file_columns = common.listed("file_columns", file_columns)
        self._copied = {"iam_role": iam_role, "aws_conn_id": aws_conn_id}
        sources.check_options(copy_options)
        self._copy_options = tuple(copy_options)
        self._s3_conn_id = aws_conn_id
        # What templates fill in cannot lead out of the folder that is written before them.
        self._within = reading.folder_of(files.partition("{")[0], folder, root)

    def _load(self, context: Context) -> Published:
        common.refuse_templates({"files": self.files})
        if self.files.startswith("s3://") and self.get_db_hook().conn_type == "redshift":
            self.rows, self.s3_uri = None, self.files
            for name, value in self._copied.items():
                setattr(self, name, value)
            self.copy_options = reading.copy_options(self.format, self.delimiter, self.files, self._copy_options)
            self.columns = self.file_columns or None
            return super()._load(context)
        of = reading.Files(self.files, self.format, self.delimiter, self.folder, self._s3_conn_id, self._within)
        self.rows = functools.partial(of.batches, common.checked_partition(self.partition))
        return super()._load(context)

    def _source(self, context: Mapping[str, Any]) -> Source:
        made = super()._source(context)
        if isinstance(made, S3) and self.file_columns:
            key = common.checked_partition(self.partition)
            return S3(made.uri, iam_role=made.iam_role, region=made.region, options=made.options,
                      columns=self.file_columns, constants=key)  # fmt: skip
        return made

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return [Reads(files=[self.files if "://" in self.files else f"file://{self.files}"])]
