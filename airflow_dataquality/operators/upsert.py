"""Insert or update rows, after they were checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.fit import Upsert
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.new_table import NewTable, create_empty
from airflow_dataquality.engine.upsert import Outcome, upsert
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import FailOn, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators import _source as sources
from airflow_dataquality.operators._load import LoadOperator
from airflow_dataquality.plans import upsert as plans

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

WORDS = {
    "strategy": plans.STRATEGIES,
    "on_duplicate_keys": ("error", "keep_last"),
    "on_null_keys": ("error", "match", "drop"),
}


class UpsertOperator(LoadOperator):
    """Insert the rows whose keys a table does not have, and update those that it has, all at once.

    The rows fill a temporary table first. There their keys are looked at and the checks run, before the table is
    touched; then one transaction locks out other writers, writes, and records it. Readers see the rows before or
    after. Running it again with the same rows changes nothing.

    :param table: the table, with SQL-quoted identifiers: ``analytics."Daily Flights"`` (templated). It has to
        exist, unless ``new_table`` is given
    :param keys: the columns by which a row is known. An index on them makes it fast; it is not necessary
    :param sql: one SELECT, or the path of a ``.sql`` file with it (templated). Columns are matched by name
    :param rows: instead of ``sql``: mappings of column to value; or sequences, with ``columns``; or a function
        without arguments that yields batches of them, which are not held in memory; or what another task returned.
        Strings in them are no templates
    :param s3_uri: instead of ``sql``: ``s3://bucket/prefix``, loaded with COPY on Redshift (templated)
    :param columns: the names of what sequences in ``rows`` hold, or of what the files in S3 hold, in order (templated)
    :param copy_options: parameters of COPY: ``["FORMAT AS PARQUET"]`` (templated)
    :param iam_role: the role by which Redshift reads the files, an ARN or ``default`` (templated)
    :param aws_conn_id: instead of ``iam_role``: a connection whose extra has ``role_arn``, and perhaps ``region_name``.
        Access keys are never used: they would end up in the SQL text
    :param conn_id: connection to the database: Postgres, Redshift or SQLite
    :param checks: checks, rule dicts, or the path of a YAML rule set, for the rows that are to be written.
        ``partition_clause``, ``sql``, ``statement``, ``pattern`` and ``values`` in them are templated
    :param fail_on: from which severity on a check outside its interval blocks: ``error``, ``warn`` or ``never``
    :param strategy: ``auto`` takes the first that fits and says why in the log; ``on_conflict``, ``merge``,
        ``delete_insert`` and ``update_insert`` insist on one
    :param on_duplicate_keys: what to do if rows share a key: ``error``, or ``keep_last`` of them by ``order_by``
    :param order_by: the column, or columns, by which the last row of a key is known; NULL is the oldest
    :param on_null_keys: what to do with a NULL in a key: ``error``, ``match`` (NULL equals NULL) or ``drop`` the row
    :param skip_unchanged: do not write rows whose values are the same in the table already
    :param update_columns: the columns that existing rows get; default: all supplied that are not keys
    :param insert_columns: the columns that new rows get; default: all supplied. The others get their defaults
    :param new_table: create the table if it does not exist, as the source has it, and with what this says: primary
        key, indexes, comments, as :class:`airflow_dataquality.engine.new_table.NewTable`. Not on SQLite
    :param explain: log how the database will run the statements, and warn of what is slow
    :param ledger_schema: schema of the ledger's tables
    :param lock_timeout: how long others may queue behind one lock request: seconds, timedelta or "100ms"; less than 2
        seconds count as 2, as on Postgres no reader has to. A lock that is not had by then is asked for again
    :param exchange_timeout: how long to keep asking: seconds, timedelta or "5m"
    :param database: database to use instead of the connection's
    :param retry_on_failure: False fails the task at once, in spite of ``retries``
    :returns: ``table``, ``rows_staged``, ``inserted``, ``updated``, ``unchanged``, ``duplicates``,
        ``null_keys_dropped``, ``strategy``, ``run_uid``, ``score``, ``passed``, ``warned``, ``failed``, ``errored``,
        ``skipped``, ``failed_rules``, ``warned_rules``
    :raises SpecError: when the DAG is parsed, for an argument that can never work
    :raises AirflowException: when the keys are not in order, a check blocks, or the rows cannot be written; the table
        is unchanged
    """

    template_fields: Sequence[str] = ("conn_id", "table", *sources.TEMPLATED, "database", "hook_params")
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql"}
    ui_color = "#d5e8f0"

    def __init__(
        self,
        *,
        table: str,
        keys: Sequence[str],
        sql: str | None = None,
        rows: Iterable[Any] | Callable[[], Iterable[Iterable[Any]]] | XComArg | None = None,
        s3_uri: str | None = None,
        columns: Sequence[str] | None = None,
        copy_options: Sequence[str] = (),
        iam_role: str | None = None,
        aws_conn_id: str | None = None,
        checks: Any = (),
        fail_on: str = "error",
        strategy: str = "auto",
        on_duplicate_keys: str = "error",
        order_by: str | Sequence[str] | None = None,
        on_null_keys: str = "error",
        skip_unchanged: bool = False,
        update_columns: Sequence[str] | None = None,
        insert_columns: Sequence[str] | None = None,
        new_table: NewTable | None = None,
        explain: bool = False,
        ledger_schema: str = "dataquality",
        lock_timeout: float | str | timedelta = 0.1,
        exchange_timeout: float | str | timedelta = 60,
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
        self.keys = keys
        self.strategy = strategy
        self.on_duplicate_keys = on_duplicate_keys
        self.order_by = order_by
        self.on_null_keys = on_null_keys
        self.skip_unchanged = skip_unchanged
        self.update_columns = update_columns
        self.insert_columns = insert_columns
        self.new_table = new_table
        self._validate()

    def _validate(self) -> None:
        """Refuse now what can never work.

        :raises SpecError: naming the argument
        """
        super()._validate()
        for name, words in WORDS.items():
            value = getattr(self, name)
            if value not in words:
                raise SpecError(f"{name} is {value!r}", hint=did_you_mean(str(value), words))
        self._validate_columns()

    def _validate_columns(self) -> None:
        sources.names(self.keys, "keys", empty=False, twice=False)
        for name in ("update_columns", "insert_columns"):
            sources.names(getattr(self, name), name, twice=False)
        if self.update_columns and (keys := [key for key in self.keys if key in self.update_columns]):
            raise SpecError(f"update_columns holds the key {', '.join(keys)}", hint="a row keeps its key: leave it out")
        if self.insert_columns is not None and (keys := [key for key in self.keys if key not in self.insert_columns]):
            raise SpecError(f"insert_columns lacks the key {', '.join(keys)}", hint="a new row needs its key: add it")
        sources.names(self._order(), "order_by")
        if self.on_duplicate_keys == "keep_last" and not self._order():
            raise SpecError("keep_last without order_by", hint='say which row is the last: order_by="updated_at"')
        if self.on_duplicate_keys != "keep_last" and self._order():
            raise SpecError("order_by without keep_last", hint='write on_duplicate_keys="keep_last", or leave it out')

    def _order(self) -> Any:
        return [self.order_by] if isinstance(self.order_by, str) else self.order_by

    def dry_run(self) -> None:
        """Log what would be done, if each row had each key and every column were as simple. Connects to nothing."""
        self._dry_run("Would upsert into %s by %s, strategy=%s", self.table, ", ".join(self.keys), self.strategy)
        update = self.update_columns or ["…"]
        insert = self.insert_columns or [*self.keys, *update]
        table = Table("target") if common.is_template(self.table) else Table.parse(self.table)
        change = plans.Change(
            table, Table("staged_rows"), self.keys, insert, update, skip_unchanged=self.skip_unchanged
        )
        for name in ("postgres", "redshift", "sqlite"):
            sql = dialect_for(name)
            for strategy in sql.strategies if self.strategy == "auto" else {self.strategy} & {*sql.strategies}:
                self.log.info("On %s by %s it would run\n%s", name, strategy, plans.apply(sql, change, strategy))

    def _load(self, context: Context) -> Outcome:
        work = self._work(context)
        hook = self.get_db_hook()
        if not dialect_for(hook.conn_type).strategies:
            raise SpecError(
                f"the connection is of type {hook.conn_type!r}; rows are upserted on Postgres, Redshift and SQLite",
                hint="use DataQualityCheckOperator to check a table that something else loads",
            )
        with open_session(hook) as session:
            self._session = session
            ledger = Ledger(session, self.ledger_schema)
            if self.new_table is not None:
                create_empty(session, work.table, work.source, self.new_table)
            outcome = upsert(session, ledger, work, common.run_identity(context))
            self._record_reads(session, outcome.table, context)
            return outcome

    def _work(self, context: Context) -> Upsert:
        source = self._source(context)
        return Upsert(
            table=Table.parse(self.table),
            source=source,
            keys=tuple(self.keys),
            checks=common.render_checks(self, self._checks, context),
            fail_on=FailOn(self.fail_on),
            strategy=self.strategy,
            on_duplicate_keys=self.on_duplicate_keys,
            order_by=tuple(self._order() or ()),
            on_null_keys=self.on_null_keys,
            skip_unchanged=self.skip_unchanged,
            update=self.update_columns,
            insert=self.insert_columns,
            explain=self.explain,
            settings=self._settings(),
        )
