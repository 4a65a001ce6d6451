"""What the operators share that look at a table which exists: where they look, and where they record what they saw."""

from __future__ import annotations

import abc
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.sql.operators.sql import BaseSQLOperator

from airflow_dataquality.engine.columns import canonical_key
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.measure import preflight
from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, PartitionError, SpecError, TableError, did_you_mean
from airflow_dataquality.grammar import one_of
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import Column, FailOn, Metric, Partition, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._lineage import Reads, TellsLineage
from airflow_dataquality.operators._metrics import Emitting, emits
from airflow_dataquality.results import Measurement, Status, Summary

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_dataquality.engine.session import Session

MANY = 100
"""Of more results, only those that are to be looked at are logged one by one."""


@dataclass(frozen=True)
class Seen:
    """What was found in a table.

    :param rows: rows that were looked at
    :param outcome: what the operator returns beside the counts
    """

    summary: Summary
    measured: Mapping[Metric, Measurement]
    rows: int | None
    outcome: Mapping[str, Any] = field(default_factory=dict)


class TableOperator(TellsLineage, Emitting):
    """An operator that measures a table, or one partition of it."""

    template_fields: Sequence[str] = ("table", "partition", "partition_clause", *BaseSQLOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {"partition": "json", "partition_clause": "sql"}
    ui_color = "#e6f2e6"
    _writes = False

    def __init__(
        self,
        *,
        table: str | None,
        partition: Mapping[str, Any] | None,
        partition_clause: str | None,
        fail_on: str,
        ledger_conn_id: str | None,
        ledger_schema: str | None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table or ""
        self.partition = partition
        self.partition_clause = partition_clause
        self.fail_on = fail_on
        self.ledger_conn_id = ledger_conn_id
        self.ledger_schema = ledger_schema
        self.sql: list[str] = []

    def _validate(self) -> None:
        """Refuse now what can never work.

        :raises SpecError: naming the argument
        """
        common.checked_table(self.table)
        self._validate_rows()

    def _validate_rows(self) -> None:
        """Refuse what can never work, whichever table it is.

        :raises SpecError: naming the argument
        """
        common.require_connection(self)
        common.checked_partition(self.partition)
        one_of(FailOn, self.fail_on, "fail_on")
        if self.partition_clause is not None and ";" in str(self.partition_clause):
            raise SpecError(f"a semicolon in partition_clause {self.partition_clause!r}", hint="write one predicate")

    def _confirm_rows(self, session: Session, what: Partition, columns: Sequence[Column]) -> None:
        """Refuse a key or clause that the database cannot read, once instead of in every check."""
        metric = common.row_count(self.partition_clause or None)
        for problem in preflight(session, [metric], what, columns=columns).values():
            raise PartitionError(
                f"the rows of {what}"
                + (f" where {metric.where}" if metric.where else "")
                + f" cannot be read: {problem}",
                hint="mend partition= or partition_clause=",
            )

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return [Reads(sql=self.sql)]

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


class JudgingOperator(TableOperator):
    """An operator that measures a table, or one partition of it, and judges what it measured."""

    @abc.abstractmethod
    def _look(
        self, session: Session, ledger: Ledger | None, what: Partition, columns: tuple[Column, ...], run: Run
    ) -> Seen:
        """Measure and judge."""

    def _prepare(self, context: Context) -> None:
        """Render what Airflow does not."""

    @property
    def _ruleset(self) -> str | None:
        """What to call the checks."""
        return None

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Measure, judge, record, and only then fail."""
        try:
            what, summary, outcome = self._seen(context)
            self._keep(summary, what.table, outcome)
            self._report.judged(summary, what, outcome["rows"])
            report(self, summary, what)
            common.attach_to_outlets(context, outcome, ruleset=self._ruleset)
            if error := common.failure(summary, what, FailOn(self.fail_on), outcome):
                raise error
        except DataQualityError as error:
            common.fail(self, error)
        return outcome

    def _seen(self, context: Context) -> tuple[Partition, Summary, dict[str, Any]]:
        fields = ("conn_id", "table", "partition", "partition_clause", "database")
        common.refuse_templates({name: getattr(self, name) for name in fields})
        self._prepare(context)
        run = common.run_identity(context)
        with open_session(self.get_db_hook()) as session:
            what, columns = place(session, self.table, common.checked_partition(self.partition))
            self._confirm_rows(session, what, columns)
            with self._ledger(session) as ledger:
                seen = self._look(session, ledger, what, columns, run)
                if ledger is not None:
                    record(ledger, run, what, seen.summary, seen.measured, rows=seen.rows)
        outcome = {"table": str(what.table), "partition": json.loads(what.json), "rows": seen.rows}
        return what, seen.summary, {**outcome, "run_uid": run.run_uid, **seen.summary.as_dict(), **seen.outcome}


def report(operator: BaseSQLOperator, summary: Summary, what: Partition) -> None:
    """Log every result; of very many, those that somebody has to look at."""
    few = len(summary.results) <= MANY
    for result in summary.results:
        # Of a past that is too short, nobody need hear every day.
        quiet = result.status is Status.PASS or (result.status is Status.SKIP and result.expectation is not None)
        write = operator.log.info if quiet else operator.log.warning
        if result.status in (Status.PASS, Status.SKIP) and not few:
            write = operator.log.debug
        write("%s %s: %s", result.status.upper(), result.check.name, result.reason)
    counts = {status.value: summary.count(status) for status in Status if summary.count(status)}
    operator.log.info("Checked %s: %s", what, ", ".join(f"{count} {status}" for status, count in counts.items()))


def place(session: Session, name: str, key: Mapping[str, Any]) -> tuple[Partition, tuple[Column, ...]]:
    """The partition, spelled as the ledger spells it, and its columns.

    :raises TableError: if there is no such table
    :raises PartitionError: if it has no such column, or a value is not of its column's type
    """
    table = Table.parse(name, session.dialect.fold)
    question = session.dialect.schema_of(table)
    if table.schema is None and question and (found := session.query(question)):
        table = Table(table.name, found[0][0])
    columns = session.columns(table)
    if not columns:
        raise TableError(f"there is no table {table}", hint="check the schema, the spelling and the grants")
    names = [column.name for column in columns]
    for column in key:
        if column not in names:
            hint = did_you_mean(column, names, label="Columns")
            raise PartitionError(f"partition column {column!r} is not in {table}", hint=hint)
    return Partition.of(table, canonical_key(session, key, columns)), columns


def record(
    ledger: Ledger, run: Run, what: Partition, summary: Summary, measured: Mapping[Metric, Measurement] | None = None,
    *, rows: int | None = None,
) -> None:  # fmt: skip
    """Write results, and what was measured, into the ledger.

    :raises DataQualityError: if they cannot be written
    """
    try:
        with ledger.session.transaction():
            ledger.record_results(run, what, summary)
            ledger.record_metrics(run, what, measured or {}, state="observed")
            ledger.record_check_run(run, what, summary, state="observed", rows=rows)
    except DataQualityError:
        raise
    except Exception as error:
        raise DataQualityError(
            f"the results cannot be recorded: {said(error)}",
            hint="grant INSERT on the ledger, or record elsewhere with ledger_conn_id=, or not: ledger_schema=None",
        ) from error
