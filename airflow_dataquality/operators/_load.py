"""What the operators share that load rows: where the rows come from, what checks them, and how the task ends."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from airflow.providers.common.compat.sdk import XComArg

from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import Source
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.grammar import one_of, seconds
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Check, FailOn, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators import _source as sources
from airflow_dataquality.operators._lineage import Reads
from airflow_dataquality.operators._metrics import Outcome as Measured
from airflow_dataquality.operators._metrics import emits
from airflow_dataquality.operators._publishing import Publishing
from airflow_dataquality.spec import checks_from

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class Outcome(Measured, Protocol):
    """What became of a load."""

    @property
    def table(self) -> Table:
        """Where the rows went."""

    def as_dict(self) -> dict[str, Any]:
        """The outcome as JSON."""


class LoadOperator(Publishing):
    """An operator that stages rows, checks them, and brings them into a table."""

    template_ext: Sequence[str] = (".sql",)
    shallow_copy_attrs: Sequence[str] = ("rows",)
    templated: Sequence[str] = ("table", *sources.TEMPLATED)
    """The arguments that Airflow must have rendered before they are used."""

    def __init__(
        self,
        *,
        table: str,
        sql: Any,
        rows: Any,
        s3_uri: str | None,
        columns: Sequence[str] | None,
        copy_options: Sequence[str],
        iam_role: str | None,
        aws_conn_id: str | None,
        checks: Any,
        fail_on: str,
        explain: bool,
        ledger_schema: str,
        lock_timeout: float | str | timedelta,
        exchange_timeout: float | str | timedelta,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.table = table
        self.sql = sql
        self.rows = rows
        self.s3_uri = s3_uri
        self.columns = columns
        self.copy_options = copy_options
        self.iam_role = iam_role
        self.aws_conn_id = aws_conn_id
        self.checks = checks
        self.fail_on = fail_on
        self.explain = explain
        self.ledger_schema = ledger_schema
        self.lock_timeout = lock_timeout
        self.exchange_timeout = exchange_timeout
        self._checks: tuple[Check, ...] = ()
        self._session: DbApiSession | None = None
        if isinstance(rows, XComArg):
            self.template_fields = (*self.template_fields, "rows")

    def _validate(self) -> None:
        """Refuse now what can never work.

        :raises SpecError: naming the argument
        """
        common.require_connection(self)
        common.checked_table(self.table)
        sources.SourceArguments.of(self).check()
        one_of(FailOn, self.fail_on, "fail_on")
        self._settings()
        self._checks = checks_from(() if self.checks is None else self.checks, folders=common.search_folders(self))
        common.refuse_health(self._checks)

    def _settings(self) -> Settings:
        return Settings(
            lock_timeout=seconds(self.lock_timeout, "lock_timeout"),
            exchange_timeout=seconds(self.exchange_timeout, "exchange_timeout"),
            clock=self._clock,
        )

    def _source(self, context: Mapping[str, Any]) -> Source:
        """Where the rows come from, of rendered arguments.

        :raises SpecError: if Airflow did not render them, or they cannot work
        """
        if not context:  # else what looks like a template is text that Airflow left
            common.refuse_templates({name: getattr(self, name) for name in self.templated})
        return sources.SourceArguments.of(self).source(common.search_folders(self))

    @abc.abstractmethod
    def _load(self, context: Context) -> Outcome:
        """Stage, check, and bring the rows into the table; the session is to be kept in ``_session``."""

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Stage, check, and bring the rows into the table."""
        try:
            outcome = self._load(context)
        except DataQualityError as error:
            self._fail(error, self.table)
        return self._tell(context, outcome)

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return [Reads(sql=[self.sql] if isinstance(self.sql, str) else (), files=[self.s3_uri] if self.s3_uri else ())]

    def on_kill(self) -> None:
        """Cancel the statement that runs, so that the task ends now and leaves nothing behind."""
        if self._session is not None:
            self._session.cancel()

    def _dry_run(self, what: str, *arguments: Any) -> None:
        """Log what would be done, with which rows, and which checks they would have to pass."""
        rows = self.sql or self.s3_uri or type(self.rows).__name__
        self.log.info(f"{what}, of\n%s", *arguments, rows)  # noqa: G004 - a constant of the subclass
        for check in self._checks:
            self.log.info("Would check %s: %s [%s]", check.name, check.expect, check.severity)
