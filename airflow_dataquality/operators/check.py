"""Check a table that exists, on any database that Airflow has a ``DbApiHook`` for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.anomaly import expectations
from airflow_dataquality.engine.explain import explain
from airflow_dataquality.engine.judge import judge, resolve
from airflow_dataquality.engine.measure import Scan, measure
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Column, Partition
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._table import JudgingOperator, Seen
from airflow_dataquality.spec import checks_from
from airflow_dataquality.vocabulary import KINDS, Family

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_dataquality.engine.ledger import Ledger, Run
    from airflow_dataquality.engine.session import Session


class DataQualityCheckOperator(JudgingOperator):
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
        super().__init__(
            table=table, partition=partition, partition_clause=partition_clause, fail_on=fail_on,
            ledger_conn_id=ledger_conn_id, ledger_schema=ledger_schema, conn_id=conn_id, database=database,
            retry_on_failure=retry_on_failure, **kwargs,
        )  # fmt: skip
        self.checks = checks
        self.column_mapping = column_mapping
        self.explain = explain
        self._validate()
        self._checks = _parsed(self.checks, self.column_mapping, common.search_folders(self))

    @property
    def _ruleset(self) -> str | None:
        return common.ruleset_name(self.checks)

    def _prepare(self, context: Context) -> None:
        self._rendered = common.render_checks(self, self._checks, context)

    def _look(
        self, session: Session, ledger: Ledger | None, what: Partition, columns: tuple[Column, ...], run: Run
    ) -> Seen:
        clause = self.partition_clause or None
        resolved = resolve(self._rendered, columns, dialect=session.dialect)
        checks = [_within(check, clause, session) for check in resolved]
        metrics = [common.row_count(clause), *(check.metric for check in checks)]
        self.sql = Scan.of(session.dialect, metrics, what, columns=columns).statements()
        if self.explain:
            explain(session, self.sql)
        measured = measure(session, metrics, what, columns=columns)
        expected = expectations(session, ledger, run, checks, measured, what, columns=columns)
        return Seen(judge(checks, measured, expected), measured, measured[metrics[0]].value)


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


def _within(check: Check, clause: str | None, session: Session) -> Check:
    kind = KINDS[check.metric.kind]
    if clause is None or kind.family is Family.CATALOG or kind.health:
        return check
    return common.narrowed(check, session.dialect.both(clause, check.metric.where))
