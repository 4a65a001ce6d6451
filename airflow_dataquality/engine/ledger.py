"""The ledger: what was measured, judged and published, as tables in the warehouse.

The tables are part of the public interface; the reference in the docs is generated from :data:`TABLES`. Rows are
only ever appended. A ``publication`` row is written in the transaction that makes the rows visible, so that
"published" and "visible" are the same fact.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import Row, Session
from airflow_dataquality.engine.tables import TABLES
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Metric, Partition, Table
from airflow_dataquality.results import Expectation, Measurement, Result, Summary

VERSION = 2
"""Of its tables. 2 has what baselines expected, and verdicts."""
BATCH = 10_000
"""Rows of one INSERT: a statement of Redshift has at most 16 MB."""


@dataclass(frozen=True)
class Run:
    """Who measures: one attempt of one Airflow task. Outside Airflow only ``run_uid`` is known."""

    run_uid: str = field(default_factory=lambda: uuid.uuid4().hex)
    dag_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None


class Ledger:
    """Writes the ledger's tables, and creates them on first use.

    :param session: a connection to the database that holds them
    :param schema: their schema, or their names' prefix where there are no schemas
    """

    def __init__(self, session: Session, schema: str = "dataquality") -> None:
        self.session = session
        self.schema = schema
        self.dialect = session.dialect

    def table(self, name: str) -> Table:
        """Where a table of the ledger is."""
        return self.dialect.ledger_table(self.schema, name)

    def ensure(self) -> None:
        """Create the tables if they do not exist, and give older ones the columns that they lack.

        :raises DataQualityError: if a newer version of the package made them, or they cannot be made
        """
        version = self.table("ledger_version")
        if not self.session.columns(version):
            self._under_lock(
                lambda: self._create(version),
                "cannot be created",
                f"have an administrator create the schema {self.schema!r} and grant CREATE on it, or name another with "
                "ledger_schema=",
            )
        found = self._version(version)
        if found < VERSION:
            owner = "run it once as the owner of the ledger's tables, who may add columns to them"
            self._under_lock(self._upgrade, f"cannot be brought from version {found} to {VERSION}", owner)
        if found > VERSION:
            raise DataQualityError(
                f"the ledger in schema {self.schema!r} has version {found}, this package knows up to {VERSION}",
                hint="upgrade airflow-provider-dataquality",
            )

    def _version(self, version: Table) -> int:
        return int(self.session.query(self.dialect.select_max(version, "version"))[0][0] or 0)

    def _is_current(self) -> bool:
        version = self.table("ledger_version")
        return bool(self.session.columns(version)) and self._version(version) >= VERSION

    def _under_lock(self, change: Callable[[], None], what: str, hint: str) -> None:
        """Change the tables while nobody else does, unless somebody has done it since."""
        try:
            # IF NOT EXISTS races with itself in another session, hence a lock and a second look under it.
            with self.session.transaction():
                for statement in self.dialect.lock_ledger(self.schema):
                    self.session.query(statement)
                if not self._is_current():
                    change()
        except DataQualityError:
            raise
        except Exception as error:
            if self._is_current():  # another run was faster, where no lock made us wait for it
                return
            raise DataQualityError(f"the ledger (schema {self.schema!r}) {what}: {said(error)}", hint=hint) from error

    def _upgrade(self) -> None:
        for name, columns in TABLES.items():
            table = self.table(name)
            known = {column.name for column in self.session.columns(table)}
            if not known:
                self._create_table(name)
            for column, (kind, _) in columns.items():
                if known and column not in known:
                    self.session.execute(self.dialect.add_ledger_column(table, column, kind))
        self.session.execute(self.dialect.insert(self.table("ledger_version"), ["version"], [[VERSION]]))

    def _create(self, version: Table) -> None:
        # Asked first: IF NOT EXISTS wants the right to create schemas even where the schema exists.
        find = self.dialect.find_schema(self.schema)
        if find is None or not self.session.query(find):
            for statement in self.dialect.create_schema(self.schema):
                self.session.execute(statement)
        for name in TABLES:
            self._create_table(name)
        self.session.execute(self.dialect.create_ledger_table(version, {"version": "integer"})[0])
        self.session.execute(self.dialect.insert(version, ["version"], [[VERSION]]))

    def _create_table(self, name: str) -> None:
        columns = {column: kind for column, (kind, _) in TABLES[name].items()}
        for statement in self.dialect.create_ledger_table(self.table(name), columns):
            self.session.execute(statement)

    def record_results(self, run: Run, partition: Partition, summary: Summary) -> None:
        """Append what was judged."""
        task = _task(run)
        self._append("check_result", [{**_where(run, partition), **_result(r), **task} for r in summary.results])

    def record_metrics(
        self, run: Run, partition: Partition, measurements: Mapping[Metric, Measurement], *, state: str
    ) -> None:
        """Append what was measured.

        :param state: what became of the rows: ``published``, ``rejected`` or ``observed``
        """
        self._append("metric", _metrics(run, partition, measurements, state))

    def record_past(self, run: Run, measured: Mapping[Partition, Mapping[Metric, Measurement]]) -> None:
        """Append what was measured on many partitions that were there already."""
        rows = [row for partition, found in measured.items() for row in _metrics(run, partition, found, "observed")]
        self._append("metric", rows)

    def record_incident(self, partition: Partition, metric: str | None, note: str | None) -> None:
        """Append that what was measured is not history: of all metrics, or of one."""
        row = {"metric": metric, "verdict": "incident", "note": note}
        self._append("verdict", [{**_place(partition), **row}])

    def forget_incident(self, partition: Partition, metric: str | None) -> int:
        """Take that back; the number of rows."""
        return self.session.execute(self.dialect.forget_verdicts(self.table("verdict"), partition, metric))

    def partitions(self, table: Table, metrics: Iterable[Metric]) -> list[dict[str, Any]]:
        """The keys of a table's partitions on which all of these metrics were measured."""
        names = sorted({metric.series for metric in metrics})
        rows = self.session.query(self.dialect.recorded_partitions(self.table("metric"), table, names))
        return [json.loads(row[0]) for row in rows]

    def history(self, table: Table, low: str, high: str, since: datetime | None) -> list[Row]:
        """What was measured on a table's partitions from ``low`` to ``high``: rows of :meth:`LedgerSql.history`."""
        tables = {name: self.table(name) for name in ("metric", "verdict")}
        return self.session.query(self.dialect.history(tables, table, low, high, since))

    def record_publication(
        self, run: Run, partition: Partition, summary: Summary, *, mode: str, rows: int, previous: Table | None
    ) -> None:
        """Append that the rows are visible. Call it in the transaction that makes them so."""
        counts = {k: v for k, v in summary.as_dict().items() if k in TABLES["publication"]}
        row = {"mode": mode, "rows": rows, "previous_version": str(previous) if previous else None}
        self._append("publication", [{**_where(run, partition), **row, **counts, **_task(run)}])

    def _append(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        rows = list(rows)
        if not rows:
            return
        columns = list(rows[0])
        *_, clock = TABLES[name]
        for start in range(0, len(rows), BATCH):
            values = [list(row.values()) for row in rows[start : start + BATCH]]
            self.session.execute(self.dialect.insert(self.table(name), columns, values, clock=clock))


def _where(run: Run, partition: Partition) -> dict[str, Any]:
    return {"run_uid": run.run_uid, **_place(partition)}


def _place(partition: Partition) -> dict[str, Any]:
    table = partition.table
    return {"table_schema": table.schema, "table_name": table.name, "partition": partition.json}


def _metrics(
    run: Run, partition: Partition, measurements: Mapping[Metric, Measurement], state: str
) -> list[dict[str, Any]]:
    where = _where(run, partition)
    return [
        {
            **where,
            "column_name": ", ".join(metric.columns) or None,
            "metric": metric.series,
            "value": number(measured.value),
            "state": state,
        }
        for metric, measured in measurements.items()
        if measured.error is None and measured.absent is None
    ]


def _task(run: Run) -> dict[str, Any]:
    return {key: value for key, value in asdict(run).items() if key != "run_uid"}


def _result(result: Result) -> dict[str, Any]:
    check = result.check
    return {
        "check_name": check.name,
        "metric": check.metric.kind,
        "column_name": ", ".join(check.metric.columns) or None,
        "value": number(result.value),
        "value_text": None if result.value is None else str(result.value).replace("\x00", "�"),
        "interval": result.interval,
        **_expectation(result.expectation),
        "status": str(result.status),
        "severity": str(check.severity),
        "dimension": check.dimension,
        "reason": result.reason.replace("\x00", "�"),
    }


def _expectation(found: Expectation | None) -> dict[str, Any]:
    found = found or Expectation()
    ends = (found.interval.low, found.interval.high) if found.interval else (None, None)
    values = {
        "expected": found.expected,
        "low": ends[0],
        "high": ends[1],
        "score": found.score,
        "p_value": found.p_value,
    }
    return {name: number(value) for name, value in values.items()}


def number(value: Any) -> float | None:
    """A measured value as the ledger's number; None for what is no number (dates, text) or not finite."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if value is None or isinstance(value, str | date | datetime) or not isinstance(value, int | float | Decimal):
        return None
    try:
        converted = float(value)
    except OverflowError:
        return None
    return converted if math.isfinite(converted) else None
