"""Compare an experiment with its control, one test or thousands, on any database that has a ``DbApiHook``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.sql.operators.sql import BaseSQLOperator

from airflow_dataquality.engine.experiment import compare, document
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.experiments import Experiment, experiment, experiments_from
from airflow_dataquality.formula import SCOPES
from airflow_dataquality.grammar import one_of
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.model import FailOn, Partition, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators import _results as results
from airflow_dataquality.operators._dates import with_date
from airflow_dataquality.operators._lineage import Reads, TellsLineage
from airflow_dataquality.operators._metrics import Emitting, emits
from airflow_dataquality.operators._table import record, report
from airflow_dataquality.results import Summary
from airflow_dataquality.spec import find_file

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import ObjectStoragePath

    from airflow_dataquality.engine.session import Session

SINGLE = ("control_sql", "experiment_sql", "formula", "formula_params", "description")
"""The arguments of one test, which stand in ``tests`` where there are several."""


class AnomalyTestOperator(TellsLineage, Emitting):
    """Compare the row of an experiment query with the row of a control query, and fail if a formula does not hold.

    The control says what is normal, such as the mean and the standard deviation of the last 28 days; the experiment
    says what is now. The formula says when all is well. Where the numbers do not answer it (no row, NULL, a division
    by zero), the test is skipped, which is not to pass.

    :param control_sql: a SELECT that returns one row, or the path of a .sql file (templated)
    :param experiment_sql: as ``control_sql`` (templated)
    :param formula: when all is well: ``abs(experiment.avg - control.avg) / control.stddev <= z_score``
    :param formula_params: numbers that the formula names: ``{"z_score": 3}`` (templated)
    :param severity: ``error`` or ``warn``
    :param description: for people
    :param tests: several tests, instead of these: a list of ``name``, ``control_sql``, ``experiment_sql``,
        ``formula``, ``formula_params``, ``severity``, ``description`` and ``dimension``; or the path of a YAML file of
        ``defaults`` and ``tests``. SQL and parameters in them are templates
    :param conn_id: the connection to the database
    :param control_conn_id: where the control queries run, if not on ``conn_id`` (templated)
    :param experiment_conn_id: where the experiment queries run, if not on ``conn_id`` (templated)
    :param table: what the tests are about, and under which results are recorded; by default the task's name (templated)
    :param partition: the rows that they are about, as column and value: ``{"ds": "{{ ds }}"}`` (templated)
    :param results_path: a folder that gets a JSON file of the results of each run, also when the task fails:
        ``s3://bucket/prefix/{{ ds }}``, ``s3://conn_id@bucket/prefix``, or the absolute path of a folder (templated)
    :param fail_on: ``error`` (fail if an error-severity formula does not hold), ``warn`` (any formula), or ``never``;
        a test whose query failed always fails the task
    :param ledger_conn_id: where results are recorded, if not on ``conn_id``
    :param ledger_schema: the schema they are recorded in; None switches recording off
    :param database: overrides the database of ``conn_id``
    :param retry_on_failure: let Airflow retry a task whose tests did not pass
    :returns: ``table``, ``partition``, ``run_uid``, ``score``, ``passed``, ``warned``, ``failed``, ``errored``,
        ``skipped``, ``failed_rules``, ``warned_rules``, ``results_file``; of a single test also its ``reason``, which
        is the formula with its values
    """

    template_fields: Sequence[str] = (
        "control_sql",
        "experiment_sql",
        "formula_params",
        "control_conn_id",
        "experiment_conn_id",
        "table",
        "partition",
        "results_path",
        *BaseSQLOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "control_sql": "sql",
        "experiment_sql": "sql",
        "formula_params": "json",
        "partition": "json",
    }
    template_ext: Sequence[str] = (".sql",)
    ui_color = "#e6f2e6"
    _writes = False

    def __init__(
        self,
        *,
        control_sql: str | None = None,
        experiment_sql: str | None = None,
        formula: str | None = None,
        formula_params: Mapping[str, Any] | None = None,
        severity: str = "error",
        description: str | None = None,
        tests: Any = None,
        control_conn_id: str | None = None,
        experiment_conn_id: str | None = None,
        table: str | None = None,
        partition: Mapping[str, Any] | None = None,
        results_path: str | None = None,
        fail_on: str = "error",
        ledger_conn_id: str | None = None,
        ledger_schema: str | None = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, database=database, retry_on_failure=retry_on_failure, **kwargs)
        self.control_sql = control_sql
        self.experiment_sql = experiment_sql
        self.formula = formula
        self.formula_params = formula_params
        self.severity = severity
        self.description = description
        self.tests = tests
        self.control_conn_id = control_conn_id
        self.experiment_conn_id = experiment_conn_id
        self.table = table
        self.partition = partition
        self.results_path = results_path
        self.fail_on = fail_on
        self.ledger_conn_id = ledger_conn_id
        self.ledger_schema = ledger_schema
        self._asked: Sequence[Experiment] = ()
        self._validate()

    def _validate(self) -> None:
        """Refuse now what can never work.

        :raises SpecError: naming the argument
        """
        if not (self.control_conn_id and self.experiment_conn_id):
            common.require_connection(self)
        if self.table is not None:
            common.checked_table(self.table)
        common.checked_partition(self.partition)
        one_of(FailOn, self.fail_on, "fail_on")
        if self.results_path is not None and not common.is_template(self.results_path):
            results.check_path(self.results_path)
        self._experiments = self._given()

    def _given(self) -> tuple[Experiment, ...]:
        if self.tests is None:
            given = {name: getattr(self, name) for name in (*SINGLE, "severity")} | {"name": self.task_id}
            return (experiment(given, f"{type(self).__name__} {self.task_id!r}: ", is_template=common.is_template),)
        if doubled := [name for name in SINGLE if getattr(self, name) is not None]:
            raise SpecError(f"tests= beside {', '.join(doubled)}", hint="write them in tests, or as its defaults")
        folders = common.search_folders(self)
        return experiments_from(self.tests, folders=folders, is_template=common.is_template)

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, judge, record, write the results, and only then fail."""
        try:
            what, summary, outcome, unwritten = self._tested(context)
            self._keep(summary, what.table, outcome)
            self._report.judged(summary, what)
            report(self, summary, what)
            common.attach_to_outlets(context, outcome, ruleset=common.ruleset_name(self.tests))
            if error := common.failure(summary, what, FailOn(self.fail_on), outcome) or unwritten:
                raise error
        except DataQualityError as error:
            common.fail(self, error)
        return outcome

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        names = {scope: getattr(self, f"{scope}_conn_id") or self.conn_id for scope in reversed(SCOPES)}
        return [Reads(sql=list({each.sql(scope): None for each in self._asked}), conn_id=conn_id)
                for scope, conn_id in names.items()]  # fmt: skip

    def _tested(self, context: Context) -> tuple[Partition, Summary, dict[str, Any], DataQualityError | None]:
        fields = (*self.template_fields, "ledger_conn_id")
        common.refuse_templates({name: getattr(self, name) for name in fields if name != "hook_params"})
        context = with_date(self, context)
        self._asked = experiments = self._rendered(context)
        folder = results.open_folder(self.results_path) if self.results_path is not None else None
        run, what = common.run_identity(context), self._what()
        summary = self._compared(experiments, run, what)
        outcome = {"table": str(what.table), "partition": json.loads(what.json), "run_uid": run.run_uid}
        outcome |= summary.as_dict()
        if self.tests is None:
            outcome["reason"] = summary.results[0].reason
        outcome["results_file"], unwritten = None, None
        if folder is not None:
            outcome["results_file"], unwritten = self._written(folder, summary, run, what, context)
        return what, summary, outcome, unwritten

    def _what(self) -> Partition:
        table = Table(self.task_id) if self.table is None else Table.parse(self.table)
        return Partition.of(table, common.checked_partition(self.partition))

    def _rendered(self, context: Context) -> list[Experiment]:
        """The tests without templates; a query that many share is rendered once."""
        experiments = self._given() if self.tests is None else self._experiments
        environment = self.get_template_env() if context else None
        folders = common.search_folders(self)
        known: dict[str, Any] = {}

        def render(value: Any, place: str) -> Any:
            if not isinstance(value, str) or not (value.endswith(".sql") or common.is_template(value)):
                return value
            if value not in known:
                text = value
                if value.endswith(".sql"):
                    text = find_file(value, folders, what="SQL file").read_text(encoding="utf-8")
                known[value] = self.render_template(text, context, environment) if environment else text
                common.refuse_templates({place: known[value]})
            return known[value]

        return [experiment.rendered(render) for experiment in experiments]

    def _compared(self, experiments: Sequence[Experiment], run: Run, what: Partition) -> Summary:
        with contextlib.ExitStack() as stack:
            sessions: dict[str, Session] = {}

            def session(conn_id: str) -> Session:
                if conn_id not in sessions:
                    hook: Any = self.get_db_hook() if conn_id == self.conn_id else self.get_hook(conn_id)
                    sessions[conn_id] = stack.enter_context(open_session(hook))
                return sessions[conn_id]

            names = {scope: str(getattr(self, f"{scope}_conn_id") or self.conn_id) for scope in SCOPES}
            ledger = None
            if self.ledger_schema is not None:
                # First: better to learn before the queries that the ledger cannot be written.
                ledger = Ledger(session(self.ledger_conn_id or self.conn_id or names["experiment"]), self.ledger_schema)
                ledger.ensure()
            summary = compare(experiments, {scope: session(conn_id) for scope, conn_id in names.items()})
            if ledger is not None:
                record(ledger, run, what, summary)
        return summary

    def _written(
        self, folder: ObjectStoragePath, summary: Summary, run: Run, what: Partition, context: Any
    ) -> tuple[str | None, DataQualityError | None]:
        """The file of the results; or why there is none, which must not hide what the tests found."""
        day = what.as_dict.get("ds") or context.get("ds")
        try:
            file = results.write(folder, run, document(summary, run, what, str(day) if day else None))
        except DataQualityError as error:
            self.log.error("%s", error)  # noqa: TRY400 - what the store said is in it
            return None, error
        self.log.info("The results are in %s", file)
        return file, None
