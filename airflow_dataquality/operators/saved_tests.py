"""Run the tests that people saved in the ledger: one task plans, and mapped tasks run them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.common.sql.operators.sql import BaseSQLOperator

from airflow_dataquality.days import Day
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.saved_tests import SavedTests, batches
from airflow_dataquality.engine.verdicts import muted_now
from airflow_dataquality.errors import ChecksFailed, DataQualityError, SpecError
from airflow_dataquality.grammar import one_of, seconds
from airflow_dataquality.hooks.allowed import allowed_connections
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import FailOn, Partition
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._dates import with_date
from airflow_dataquality.operators._lineage import TellsLineage
from airflow_dataquality.operators._metrics import Emitting, emits
from airflow_dataquality.operators._saved import Limits, Running
from airflow_dataquality.operators._table import report
from airflow_dataquality.results import Result, Summary
from airflow_dataquality.saved import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import Context


class _OfLedger(BaseSQLOperator):
    """A task that works with the tests of a warehouse's ledger."""

    template_fields: Sequence[str] = ("conn_id", "database", "hook_params")
    ledger_schema: str

    @contextlib.contextmanager
    def _ledger(self) -> Iterator[Ledger]:
        hook: Any = self.get_db_hook()
        with open_session(hook) as session:
            ledger = Ledger(session, self.ledger_schema)
            ledger.ensure()
            yield ledger


class PlanSavedTestsOperator(_OfLedger):
    """Read the active tests, and return what one task each is to run: batches, each of the tests of a table.

    :param conn_id: the connection to the warehouse whose ledger holds the tests
    :param ledger_schema: the ledger's schema
    :param tags: only tests with one of these tags
    :param owners: only tests of one of these owners
    :param tables: only tests about one of these tables: ``schema.table``
    :param batch_size: tests of one task, at most; it grows where there would be too many tasks
    :param max_batches: tasks at most; Airflow's ``max_map_length`` is 1,024 unless configured
    :param database: overrides the connection's database
    :param retry_on_failure: without effect, as it judges nothing
    """

    def __init__(
        self,
        *,
        ledger_schema: str = "dataquality",
        tags: Sequence[str] = (),
        owners: Sequence[str] = (),
        tables: Sequence[str] = (),
        batch_size: int = 500,
        max_batches: int = 500,
        conn_id: str | None = None,
        database: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, database=database, **kwargs)
        common.require_connection(self)
        common.check_number("batch_size", batch_size, 1)
        common.check_number("max_batches", max_batches, 1)
        self.ledger_schema = ledger_schema
        self.tags, self.owners, self.tables = (
            common.listed(name, value) for name, value in (("tags", tags), ("owners", owners), ("tables", tables))
        )
        self.batch_size, self.max_batches = batch_size, max_batches

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Read the tests, and tell which run together."""
        with self._ledger() as ledger:
            versions = SavedTests(ledger).newest(["active"])
        chosen = [each for each in versions if each.chosen(self.tags, self.owners, self.tables)]
        planned = batches(chosen, size=self.batch_size, most=self.max_batches)
        self.log.info("%d of %d active tests, in %d tasks", len(chosen), len(versions), len(planned))
        return planned


class SavedTestsOperator(TellsLineage, Emitting, _OfLedger):
    """Run saved tests, record each result under the test's name, and fail if one did not pass.

    Metric tests of a table share its scans. A test that cannot be asked (a table that was dropped, a mistake in its
    SQL) is an error of its own, and the others run. What is muted is recorded, and fails no task.

    The SQL of tests runs in transactions that only read. It is rendered with the run's day and the test's own numbers,
    and with nothing else that Airflow's templates know.

    :param batch: one of what ``PlanSavedTestsOperator`` returns
    :param conn_id: the connection to the warehouse whose ledger holds the tests, and on which metric tests measure
    :param conn_ids: connections on which formula tests may run; by default those of ``[airflow_dataquality]
        connections``, and ``conn_id``
    :param ledger_schema: the ledger's schema
    :param fail_on: ``error``, ``warn`` or ``never``: which severity fails the task; a test whose query failed always
        does
    :param statement_timeout: how long a statement may take: seconds, or ``"5m"``
    :param time_limit: after which no statement is waited for
    :param parallel: queries of formula tests that run at the same time
    :param database: overrides the connection's database
    :param retry_on_failure: let Airflow retry a task whose tests did not pass
    :returns: ``run_uid``, ``score``, ``passed``, ``warned``, ``failed``, ``errored``, ``skipped``, ``failed_rules``,
        ``warned_rules``, ``muted_rules``
    """

    ui_color = "#e6f2e6"
    _writes = False

    def __init__(
        self,
        *,
        batch: Mapping[str, Any],
        conn_ids: Sequence[str] | None = None,
        ledger_schema: str = "dataquality",
        fail_on: str = "error",
        statement_timeout: float | str = "5m",
        time_limit: float | str = "1h",
        parallel: int = 4,
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, database=database, retry_on_failure=retry_on_failure, **kwargs)
        common.require_connection(self)
        common.check_number("parallel", parallel, 1)
        one_of(FailOn, fail_on, "fail_on")
        # Not among the templates: it holds names that people chose.
        self.batch = batch
        self.conn_ids = None if conn_ids is None else common.listed("conn_ids", conn_ids)
        self.ledger_schema = ledger_schema
        self.fail_on = fail_on
        self.statement_timeout = seconds(statement_timeout, "statement_timeout")
        self.time_limit = seconds(time_limit, "time_limit")
        self.parallel = parallel

    @property
    def label(self) -> str:
        """What the tests are about, for people."""
        return str(self.batch.get("label", "")) if isinstance(self.batch, Mapping) else ""

    def _table_named(self) -> str | None:
        """Its tables are known when it has run."""
        return self.label if self._found else None

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, judge, record, and only then fail."""
        try:
            found, muted, outcome = self._tested(context)
            for what, summary in found:
                if what.table != NOWHERE:
                    self._keep(summary, what.table, {"partition": json.loads(what.json)})
                self._report.judged(summary, what)
                report(self, summary, what)
            self.check_results = [each for what, summary in found for each in common.check_results(summary, what.table)]
            for result, until in muted:
                self.log.warning("%s does not fail the task: muted %s", result.check.name, until)
            if error := self._failure(found, [result for result, _ in muted], outcome):
                raise error
        except ChecksFailed as error:
            common.fail(self, error)
        except DataQualityError as error:
            raise AirflowException(str(error)) from error
        return outcome

    def _tested(
        self, context: Context
    ) -> tuple[list[tuple[Partition, Summary]], list[tuple[Result, str]], dict[str, Any]]:
        if not isinstance(self.batch, Mapping) or not isinstance(self.batch.get("tests"), list):
            raise SpecError(f"batch is {self.batch!r}", hint="give what PlanSavedTestsOperator returns")
        day = str(with_date(self, context).get("ds") or "")
        if not day:
            raise SpecError("the run has no date", hint="give the DAG a schedule")
        with self._ledger() as ledger:
            versions = SavedTests(ledger).newest(["active"], ids=map(str, self.batch["tests"]))
            running = Running(
                str(self.conn_id), self._allowed(), ledger, common.run_identity(context), Day(day),
                Limits(self.statement_timeout, self.time_limit, self.parallel),
            )  # fmt: skip
            running.all(versions)
            muted = self._muted(ledger, running.found)
        together = Summary(tuple(result for _, summary in running.found for result in summary.results))
        named = [result.check.name for result, _ in muted]
        return running.found, muted, {"run_uid": running.run.run_uid, **together.as_dict(), "muted_rules": named}

    def _allowed(self) -> list[str]:
        configured = allowed_connections() if self.conn_ids is None else self.conn_ids
        return list(dict.fromkeys([str(self.conn_id), *configured]))

    def _muted(self, ledger: Ledger, found: Sequence[tuple[Partition, Summary]]) -> list[tuple[Result, str]]:
        """The results that fail no task, and until when."""
        quiet = {table: muted_now(ledger, table) for table in dict.fromkeys(what.table for what, _ in found)}
        return [
            (result, "for good" if until is None else f"until {until:%Y-%m-%d %H:%M} UTC")
            for what, summary in found
            for result in summary.results
            for name, until in quiet[what.table].items()
            if name in (None, result.check.name)
        ]

    def _failure(
        self, found: Sequence[tuple[Partition, Summary]], muted: Sequence[Result], outcome: Mapping[str, Any]
    ) -> ChecksFailed | None:
        """What to raise; None if nothing that is not muted fails the task."""
        blocking = [
            (what, result)
            for what, summary in found
            for result in summary.blocking(FailOn(self.fail_on))
            if not any(result is each for each in muted)
        ]
        if not blocking:
            return None
        results = tuple(result for _, summary in found for result in summary.results)
        lines = "".join(f"\n  - {r.check.name} on {what}: {r.reason} ({r.status})" for what, r in blocking)
        return ChecksFailed(
            f"{len(blocking)} of {len(results)} tests of {self.label} did not pass:{lines}",
            outcome=outcome, summary=Summary(results),
        )  # fmt: skip
