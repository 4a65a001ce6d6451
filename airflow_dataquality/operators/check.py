"""Check a table that exists, on any database that Airflow has a ``DbApiHook`` for."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.sql.operators.sql import BaseSQLOperator

from airflow_dataquality.engine.columns import canonical_key
from airflow_dataquality.engine.explain import explain
from airflow_dataquality.engine.judge import judge, resolve
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.measure import Scan, measure, preflight
from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, PartitionError, SpecError, TableError, did_you_mean
from airflow_dataquality.grammar import one_of
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import Check, Column, FailOn, Measurement, Metric, Partition, Status, Summary, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._dates import RendersDate
from airflow_dataquality.spec import checks_from
from airflow_dataquality.vocabulary import KINDS, Family

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_dataquality.engine.session import Session


class DataQualityCheckOperator(RendersDate, BaseSQLOperator):
    """Check a table, or one partition of it, and fail if a check does not pass.

    The ``column_mapping`` of ``SQLColumnCheckOperator`` and the ``checks`` of ``SQLTableCheckOperator`` are accepted
    as they are. On an empty table, a check of what its rows hold is skipped, which is not to pass.

    :param conn_id: the connection to the database
    :param table: what to check: ``schema.table``, with SQL quotes where the name needs them (templated)
    :param checks: checks, rules, a rule set, the path of a YAML rule set, or the ``checks`` dict of
        ``SQLTableCheckOperator``
    :param column_mapping: the dict of ``SQLColumnCheckOperator``
    :param partition: the rows to check, as column and value: ``{"ds": "{{ ds }}"}`` (templated)
    :param partition_clause: a predicate in the database's SQL that narrows the rows of every check (templated)
    :param fail_on: ``error`` (fail if an error-severity check is outside its interval), ``warn`` (any check), or
        ``never``; a check whose query failed always fails the task
    :param ledger_conn_id: where results are recorded, if not on ``conn_id``
    :param ledger_schema: the schema they are recorded in; None switches recording off
    :param explain: log the plan of each measurement before it runs, and warn of slow steps
    :param database: overrides the connection's database
    :param retry_on_failure: let Airflow retry a task whose checks did not pass
    :returns: ``table``, ``partition``, ``rows``, ``run_uid``, ``score``, ``passed``, ``warned``, ``failed``,
        ``errored``, ``skipped``, ``failed_rules``, ``warned_rules``
    """

    template_fields: Sequence[str] = ("table", "partition", "partition_clause", *BaseSQLOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {"partition": "json", "partition_clause": "sql"}
    ui_color = "#e6f2e6"

    def __init__(
        self,
        *,
        table: str,
        checks: Any = None,
        column_mapping: Mapping[str, Mapping[str, Any]] | None = None,
        partition: Mapping[str, Any] | None = None,
        partition_clause: str | None = None,
        fail_on: str = "error",
        ledger_conn_id: str | None = None,
        ledger_schema: str | None = "dataquality",
        explain: bool = False,
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, database=database, retry_on_failure=retry_on_failure, **kwargs)
        self.table = table
        self.checks = checks
        self.column_mapping = column_mapping
        self.partition = partition
        self.partition_clause = partition_clause
        self.fail_on = fail_on
        self.ledger_conn_id = ledger_conn_id
        self.ledger_schema = ledger_schema
        self.explain = explain
        self.sql: list[str] = []
        self._validate()

    def _validate(self) -> None:
        """Refuse now what can never work.

        :raises SpecError: naming the argument
        """
        common.require_connection(self)
        common.checked_table(self.table)
        common.checked_partition(self.partition)
        one_of(FailOn, self.fail_on, "fail_on")
        if self.partition_clause is not None and ";" in str(self.partition_clause):
            raise SpecError(f"a semicolon in partition_clause {self.partition_clause!r}", hint="write one predicate")
        self._checks = _parsed(self.checks, self.column_mapping, common.search_folders(self))

    def execute(self, context: Context) -> dict[str, Any]:
        """Measure, judge, record, and only then fail."""
        try:
            what, summary, outcome = self._checked(context)
            self.check_results = common.check_results(summary, what.table)
            self._report(summary, what)
            common.attach_to_outlets(context, outcome, ruleset=common.ruleset_name(self.checks))
            if error := common.failure(summary, what, FailOn(self.fail_on), outcome):
                raise error
        except DataQualityError as error:
            common.fail(self, error)
        return outcome

    def _checked(self, context: Context) -> tuple[Partition, Summary, dict[str, Any]]:
        fields = ("conn_id", "table", "partition", "partition_clause", "database")
        common.refuse_templates({name: getattr(self, name) for name in fields})
        checks = common.render_checks(self, self._checks, context)
        run = common.run_identity(context)
        with open_session(self.get_db_hook()) as session:
            what, columns = self._what(session)
            summary, rows = self._check(session, checks, what, columns, run)
        partition = json.loads(what.json)
        outcome = {"table": str(what.table), "partition": partition, "rows": rows, "run_uid": run.run_uid}
        return what, summary, outcome | summary.as_dict()

    def _what(self, session: Session) -> tuple[Partition, tuple[Column, ...]]:
        """The partition, spelled as the ledger spells it, and its columns."""
        table = Table.parse(self.table, session.dialect.fold)
        question = session.dialect.schema_of(table)
        if table.schema is None and question and (found := session.query(question)):
            table = Table(table.name, found[0][0])
        key = common.checked_partition(self.partition)
        columns = _columns(session, Partition.of(table, key))
        return Partition.of(table, canonical_key(session, key, columns)), columns

    def _check(
        self, session: Session, checks: Sequence[Check], what: Partition, columns: tuple[Column, ...], run: Run
    ) -> tuple[Summary, int | None]:
        clause = self.partition_clause or None
        checks = [_within(check, clause, session) for check in resolve(checks, columns, dialect=session.dialect)]
        metrics = [common.row_count(clause), *(check.metric for check in checks)]
        _confirm_rows(session, metrics[0], what, columns)
        with self._ledger(session) as ledger:
            self.sql = Scan.of(session.dialect, metrics, what, columns=columns).statements()
            if self.explain:
                explain(session, self.sql)
            measured = measure(session, metrics, what, columns=columns)
            summary = judge(checks, measured)
            if ledger is not None:
                _record(ledger, run, what, summary, measured)
        return summary, measured[metrics[0]].value

    @contextlib.contextmanager
    def _ledger(self, session: Session) -> Iterator[Ledger | None]:
        """The ledger, ready to be written: better to learn before the checks that it is not."""
        if self.ledger_schema is None:
            yield None
            return
        with contextlib.ExitStack() as stack:
            if self.ledger_conn_id is not None:
                hook: Any = self.get_hook(self.ledger_conn_id)
                session = stack.enter_context(open_session(hook))
            ledger = Ledger(session, self.ledger_schema)
            ledger.ensure()
            yield ledger

    def _report(self, summary: Summary, what: Partition) -> None:
        for result in summary.results:
            write = self.log.info if result.status is Status.PASS else self.log.warning
            write("%s %s: %s", result.status.upper(), result.check.name, result.reason)
        counts = {status.value: summary.count(status) for status in Status if summary.count(status)}
        self.log.info("Checked %s: %s", what, ", ".join(f"{count} {status}" for status, count in counts.items()))


def _parsed(checks: Any, column_mapping: Any, folders: Sequence[str]) -> tuple[Check, ...]:
    given = [source for source in (checks, column_mapping) if source is not None]
    if not given:
        raise SpecError("no checks", hint="give checks=, or the column_mapping= of SQLColumnCheckOperator")
    parsed = checks_from(given[0] if len(given) == 1 else given, folders=folders)
    for check in parsed:
        if KINDS[check.metric.kind].compares:
            raise SpecError(
                f"{check.source or check.name}: {check.metric.kind} compares a load with production",
                hint="use it in StageCheckExchangeOperator, which has both",
            )
    return parsed


def _columns(session: Session, what: Partition) -> tuple[Column, ...]:
    columns = session.columns(what.table)
    if not columns:
        raise TableError(f"there is no table {what.table}", hint="check the schema, the spelling and the grants")
    names = [column.name for column in columns]
    for name, _ in what.key:
        if name not in names:
            hint = did_you_mean(name, names, label="Columns")
            raise PartitionError(f"partition column {name!r} is not in {what.table}", hint=hint)
    return columns


def _confirm_rows(session: Session, metric: Metric, what: Partition, columns: Sequence[Column]) -> None:
    """Refuse a key or clause that the database cannot read, once instead of in every check."""
    for problem in preflight(session, [metric], what, columns=columns).values():
        raise PartitionError(
            f"the rows of {what}" + (f" where {metric.where}" if metric.where else "") + f" cannot be read: {problem}",
            hint="mend partition= or partition_clause=",
        )


def _within(check: Check, clause: str | None, session: Session) -> Check:
    kind = KINDS[check.metric.kind]
    if clause is None or kind.family is Family.CATALOG or kind.health:
        return check
    return common.narrowed(check, session.dialect.both(clause, check.metric.where))


def _record(
    ledger: Ledger, run: Run, what: Partition, summary: Summary, measured: Mapping[Metric, Measurement]
) -> None:
    try:
        with ledger.session.transaction():
            ledger.record_results(run, what, summary)
            ledger.record_metrics(run, what, measured, state="observed")
    except DataQualityError:
        raise
    except Exception as error:
        raise DataQualityError(
            f"the results cannot be recorded: {said(error)}",
            hint="grant INSERT on the ledger, or record elsewhere with ledger_conn_id=, or not: ledger_schema=None",
        ) from error
