"""Measure every column of tables, partition by partition: the history that baselines read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.profile import Profile, profile, tables_like
from airflow_dataquality.engine.statistics import by_rules, checks_of
from airflow_dataquality.engine.tables import TABLES
from airflow_dataquality.errors import DataQualityError, PartitionError, SpecError, TableError
from airflow_dataquality.hooks.session import open_session
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._metrics import emits
from airflow_dataquality.operators._table import TableOperator, place
from airflow_dataquality.results import Summary

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_dataquality.engine.ledger import Ledger, Run
    from airflow_dataquality.engine.session import Session


class TableStatisticsOperator(TableOperator):
    """Measure the columns of a table, or of many, and record the numbers in ``dataquality.metric``.

    One scan measures a partition. What is measured follows from the types of the columns, by rules; nothing is judged
    here: :class:`~airflow_dataquality.operators.zscore_anomaly.ZScoreAnomalyOperator` and ``anomaly`` checks read what
    was recorded.

    :param conn_id: the connection to the database
    :param table: what to measure: ``schema.table``, with SQL quotes where the name needs them (templated)
    :param tables: instead of ``table``, a pattern of tables, or a list of patterns, resolved when the task runs:
        ``analytics.*`` (templated)
    :param partition: the rows to measure, as column and value: ``{"ds": "{{ ds }}"}`` (templated). A table that a
        pattern names, and that has no such column, is passed over, with a warning
    :param columns: ``*``, or the names of the columns to measure
    :param keys: columns whose combination should be unique; a key costs a second scan
    :param rules: for each category of column (``table``, ``any``, ``number``, ``text``, ``boolean``, ``time``,
        ``key``) what to measure: ``{"text": ["null_ratio", "distinct_count"]}``; categories not named keep the defaults
    :param since_last: also measure the partitions between the last that the ledger knows and this one, in the same
        scan; the first run measures all that there are
    :param partition_clause: a predicate in the database's SQL that narrows the rows (templated)
    :param ledger_conn_id: where the numbers are recorded, if not on ``conn_id``
    :param ledger_schema: the schema they are recorded in
    :param database: overrides the connection's database
    :param retry_on_failure: let Airflow retry a task that failed
    :returns: ``tables``: for each of them ``table``, ``partitions``, ``rows`` and ``metrics`` (numbers recorded);
        ``metrics``: of all; ``passed_over``: tables without the partition's columns; ``run_uid``
    """

    template_fields: Sequence[str] = ("tables", *TableOperator.template_fields)

    def __init__(
        self,
        *,
        table: str | None = None,
        tables: str | Sequence[str] | None = None,
        partition: Mapping[str, Any] | None = None,
        columns: str | Sequence[str] = "*",
        keys: Sequence[str] = (),
        rules: Mapping[str, Any] | None = None,
        since_last: bool = False,
        partition_clause: str | None = None,
        ledger_conn_id: str | None = None,
        ledger_schema: str = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            table=table, partition=partition, partition_clause=partition_clause, fail_on="error",
            ledger_conn_id=ledger_conn_id, ledger_schema=ledger_schema, conn_id=conn_id, database=database,
            retry_on_failure=retry_on_failure, **kwargs,
        )  # fmt: skip
        self.tables, self.columns, self.keys, self.rules, self.since_last = tables, columns, keys, rules, since_last
        self._validate()
        self.wanted = by_rules(rules)

    def _validate(self) -> None:
        if bool(self.table) == bool(self.tables):
            raise SpecError("give table= or tables=, and not both", hint='write table="analytics.daily_flights"')
        if self.ledger_schema is None:
            raise SpecError("ledger_schema is None, so that nothing would be recorded", hint="leave it out")
        if self.since_last and not self.partition:
            raise SpecError("since_last without a partition", hint='write partition={"ds": "{{ ds }}"}')
        if not self.columns:
            raise SpecError(f"columns is {self.columns!r}, which names none", hint='write "*" for all of them')
        if isinstance(self.keys, str):
            raise SpecError(f"keys is {self.keys!r}, not a list", hint=f"write [{self.keys!r}]")
        if self.table:
            super()._validate()
        else:
            self._validate_rows()

    @emits
    def execute(self, context: Context) -> dict[str, Any]:
        """Measure and record, table by table; a table that cannot be measured fails the task after the others."""
        try:
            return self._measured(context)
        except DataQualityError as error:
            common.fail(self, error)

    def _measured(self, context: Context) -> dict[str, Any]:
        fields = ("conn_id", "table", "tables", "partition", "partition_clause", "database")
        common.refuse_templates({name: getattr(self, name) for name in fields})
        run = common.run_identity(context)
        found: list[dict[str, Any]] = []
        passed_over: list[str] = []
        failed: list[str] = []
        with open_session(self.get_db_hook()) as session, self._ledger(session) as ledger:
            assert ledger is not None
            for name in self._names(session, ledger):
                try:
                    found.append(self._one(session, ledger, run, name))
                except PartitionError as error:
                    if self.tables is None:
                        raise
                    self.log.warning("Passed over %s: %s", name, error.message)
                    passed_over.append(name)
                except DataQualityError as error:
                    if self.tables is None:
                        raise
                    failed.append(f"{name}: {error}")
        if failed:
            raise TableError(f"{len(failed)} tables were not measured:\n" + "\n".join(failed), hint="mend each of them")
        if passed_over and not found:
            listed = ", ".join(self.partition or ())
            raise PartitionError(f"no table of {self.tables!r} has the columns {listed}", hint="mend partition=")
        metrics = sum(each["metrics"] for each in found)
        return {"tables": found, "metrics": metrics, "passed_over": passed_over, "run_uid": run.run_uid}

    def _names(self, session: Session, ledger: Ledger) -> list[str]:
        """The tables to measure, without those of the ledger."""
        if self.tables is None:
            return [self.table]
        patterns = [self.tables] if isinstance(self.tables, str) else self.tables
        listed = [table for pattern in patterns for table in tables_like(session, pattern)]
        own = {ledger.table(name) for name in (*TABLES, "ledger_version")}
        return list(dict.fromkeys(str(table) for table in listed if table not in own))

    def _one(self, session: Session, ledger: Ledger, run: Run, name: str) -> dict[str, Any]:
        what, columns = place(session, name, common.checked_partition(self.partition))
        try:
            self._confirm_rows(session, what, columns)
        except PartitionError as error:  # which is no reason to pass the table over
            raise TableError(error.message, hint=error.hint) from None
        chosen = None if self.columns == "*" else [self.columns] if isinstance(self.columns, str) else self.columns
        checks = checks_of(
            self.wanted, columns, baseline=Baseline(), severity="warn", chosen=chosen, keys=self.keys,
            skip=[column for column, _ in what.key], clause=self.partition_clause or None,
        )  # fmt: skip
        metrics = [check.metric for check in checks]
        measured = profile(session, ledger, run, metrics, what, columns, since_last=self.since_last)
        self._log_profile(what, measured)
        self._report.measured(what, measured)
        self._keep_profile(measured)
        partitions = [partition.as_dict for partition in measured.measured]
        return {"table": str(what.table), "partitions": [_plain(key) for key in partitions], "rows": measured.rows,
                "metrics": measured.numbers}  # fmt: skip

    def _keep_profile(self, measured: Profile) -> None:
        """Keep the numbers of the newest partition, for listeners."""
        if measured.measured:
            newest, found = list(measured.measured.items())[-1]
            values = {metric: each.value for metric, each in found.items()}
            outcome = {"partition": _plain(newest.as_dict), "rows": values.get(common.row_count(self.partition_clause))}
            self._keep(Summary(()), newest.table, outcome, values)

    def _log_profile(self, what: Any, measured: Profile) -> None:
        if not measured.measured:
            self.log.info("%s: nothing new", what)
        for partition, found in measured.measured.items():
            self.log.info("Recorded %s numbers of %s", len(found), partition)
            for metric, each in found.items():
                if each.error is not None:
                    self.log.warning("%s of %s was not measured: %s", metric, partition, each.error)


def _plain(key: Mapping[str, Any]) -> dict[str, Any]:
    """The key as JSON has it."""
    return {name: value if isinstance(value, int | str | None) else str(value) for name, value in key.items()}
