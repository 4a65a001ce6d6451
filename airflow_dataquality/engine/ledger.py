"""The ledger: what was measured, judged and published, as tables in the warehouse.

The tables are part of the public interface; the reference in the docs is generated from :data:`TABLES`. Rows are
only ever appended. A ``publication`` row is written in the transaction that makes the rows visible, so that
"published" and "visible" are the same fact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from airflow_dataquality.engine.rows import Run as Run  # noqa: PLC0414 - whoever has a ledger writes as a run
from airflow_dataquality.engine.rows import counts_of, metrics_of, place_of, result_of, task_of, where_of
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import Row, Session
from airflow_dataquality.engine.tables import INDEXES, TABLES
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Metric, Partition, Table
from airflow_dataquality.plans.backfill import Chunk
from airflow_dataquality.results import Measurement, Summary

VERSION = 4
"""Of its tables. 2 has what baselines expected, and verdicts; 3 has chunks, and what summaries are made of; 4 has runs
of checks, tests, and whose a verdict is."""
Lineage = Mapping[str, Any]
"""``definition`` and ``built_on`` of a publication."""
BATCH = 10_000
"""Rows of one INSERT: a statement of Redshift has at most 16 MB."""


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
            self._create_indexes(name)
        self.session.execute(self.dialect.insert(self.table("ledger_version"), ["version"], [[VERSION]]))

    def _create(self, version: Table) -> None:
        # Asked first: IF NOT EXISTS wants the right to create schemas even where the schema exists.
        find = self.dialect.find_schema(self.schema)
        if find is None or not self.session.query(find):
            for statement in self.dialect.create_schema(self.schema):
                self.session.execute(statement)
        for name in TABLES:
            self._create_table(name)
            self._create_indexes(name)
        self.session.execute(self.dialect.create_ledger_table(version, {"version": "integer"}))
        self.session.execute(self.dialect.insert(version, ["version"], [[VERSION]]))

    def _create_table(self, name: str) -> None:
        columns = {column: kind for column, (kind, _) in TABLES[name].items()}
        self.session.execute(self.dialect.create_ledger_table(self.table(name), columns))

    def _create_indexes(self, name: str) -> None:
        for statement in self.dialect.create_ledger_indexes(self.table(name), INDEXES[name]):
            self.session.execute(statement)

    def record_results(self, run: Run, partition: Partition, summary: Summary) -> None:
        """Append what was judged."""
        self.record_all_results(run, {partition: summary})

    def record_all_results(self, run: Run, judged: Mapping[Partition, Summary]) -> None:
        """Append what was judged of many partitions."""
        task = task_of(run)
        rows = [
            {**where_of(run, partition), **result_of(result), **task}
            for partition, summary in judged.items()
            for result in summary.results
        ]
        self._append("check_result", rows)

    def record_check_run(
        self, run: Run, partition: Partition, summary: Summary, *, state: str, rows: int | None = None,
        staging_table: Table | None = None,
    ) -> None:  # fmt: skip
        """Append what became of a run of checks that published nothing.

        :param state: ``rejected`` or ``observed``
        :param staging_table: what keeps the rejected rows
        """
        of = {"state": state, "rows": rows, "staging_table": str(staging_table) if staging_table else None}
        self._append("check_run", [{**where_of(run, partition), **of, **counts_of(summary), **task_of(run)}])

    def record_metrics(
        self, run: Run, partition: Partition, measurements: Mapping[Metric, Measurement], *, state: str
    ) -> None:
        """Append what was measured.

        :param state: what became of the rows: ``published``, ``rejected`` or ``observed``
        """
        self.record_past(run, {partition: measurements}, state=state)

    def record_past(
        self, run: Run, measured: Mapping[Partition, Mapping[Metric, Measurement]], *, state: str = "observed"
    ) -> None:
        """Append what was measured on many partitions: by default those that were there already."""
        rows = [row for partition, found in measured.items() for row in metrics_of(run, partition, found, state)]
        when = self._moment("measured_at") if state == "published" and rows else {}
        self._append("metric", [{**row, **when} for row in rows])

    def record_incident(self, partition: Partition, metric: str | None, note: str | None) -> None:
        """Append that what was measured is not history: of all metrics, or of one."""
        self.record_verdict(partition, "incident", metric=metric, note=note)

    def record_verdict(
        self, partition: Partition, verdict: str, *, metric: str | None = None, check_name: str | None = None,
        run_uid: str | None = None, until: datetime | None = None, author: str | None = None, note: str | None = None,
    ) -> None:  # fmt: skip
        """Append what somebody says of a partition, or of a whole table.

        :param verdict: see :mod:`airflow_dataquality.engine.verdicts`
        :param metric: of this one alone; None for all
        :param check_name: of this check alone
        :param run_uid: of what this run found
        :param until: when a mute ends
        """
        about = {"metric": metric, "check_name": check_name, "run_uid": run_uid}
        said_by = {"verdict": verdict, "until": until, "author": author, "note": note}
        self._append("verdict", [{**place_of(partition), **about, **said_by}])

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
        self, run: Run, partition: Partition, summary: Summary, *, mode: str, rows: int, previous: Table | None,
        lineage: Lineage | None = None,
    ) -> None:  # fmt: skip
        """Append that the rows are visible. Call it in the transaction that makes them so."""
        of = {"rows": rows, "previous_version": str(previous) if previous else None, **(lineage or {})}
        self.record_publications(run, {partition: (summary, of)}, mode=mode)

    def record_publications(
        self, run: Run, published: Mapping[Partition, tuple[Summary, Mapping[str, Any]]], *, mode: str
    ) -> None:
        """Append that partitions became visible together, and how many rows each has. Call it in that transaction.

        :param published: what its checks found, and ``rows``, ``definition`` and ``built_on``
        """
        task, when = task_of(run), self._moment("published_at")
        self._append(
            "publication",
            [
                {**where_of(run, partition), "mode": mode, **of, **counts_of(summary), **task, **when}
                for partition, (summary, of) in published.items()
            ],
        )

    def _moment(self, column: str) -> dict[str, datetime]:
        """This moment, where the database's clock stands still in a transaction.

        Of two publications, each under the table's lock, the one that began first may be the second.
        """
        ask = self.dialect.ask_moment
        return {} if ask is None else {column: self.dialect.moment(self.session.query(ask)[0][0])}

    def publications(self, table: Table) -> dict[str, dict[str, Any]]:
        """What was last published of each of a table's partitions, by its JSON, since the table was last created.

        What was replaced together with the whole table has no ``definition``.
        """
        columns = ["partition", "run_uid", "mode", "rows", "built_on"]
        found: dict[str, dict[str, Any]] = {}
        maker = definition = None
        asked = self.dialect.publications(self.table("publication"), table, columns)
        for partition, *values, text in self.session.query(asked):
            definition = json.loads(text) if text else definition if text == "" else None
            row = {**dict(zip(columns[1:], values, strict=True)), "definition": definition}
            if row["mode"] == "create" and row["run_uid"] != maker:
                found, maker = {}, row["run_uid"]
            if partition == "{}":
                found = {known: {**was, "definition": None} for known, was in found.items()}
            else:
                found[partition] = row
        return found

    def record_chunk(self, run: Run, table: Table, backfill: str, chunk: Chunk, *, rows: int, seconds: float) -> None:
        """Append that a chunk's rows are staged. Call it in the transaction that stages them."""
        place = {"table_schema": table.schema, "table_name": table.name, "backfill": backfill, "number": chunk.number}
        what = {"first_partition": chunk.first, "last_partition": chunk.last, "rows": rows, "seconds": seconds}
        self._append("chunk", [{**place, **what, "run_uid": run.run_uid, **task_of(run)}])

    def chunks(self, backfill: str, number: int | None = None) -> dict[int, int]:
        """The chunks of a backfill whose rows are staged: number → rows.

        :param number: of this one alone
        """
        rows = self.session.query(self.dialect.staged_chunks(self.table("chunk"), backfill, number))
        return {int(number): int(found) for number, found in rows}

    def record_lineage(self, run: Run, table: Table, digest: str, reads: Iterable[str]) -> None:
        """Append what a table is made of.

        :param digest: of the SELECT, without its values
        :param reads: names of tables, addresses of files; one empty name, if there are none
        """
        place = {"run_uid": run.run_uid, "table_schema": table.schema, "table_name": table.name, "digest": digest}
        self._append("lineage", [{**place, "reads": name, **task_of(run)} for name in reads])

    def record_test(self, version: dict[str, Any]) -> None:
        """Append a version of a saved test."""
        self._append("test", [version])

    def _append(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        rows = list(rows)
        if not rows:
            return
        columns = list(rows[0])
        *_, last = TABLES[name]
        clock = None if last in columns else last
        for start in range(0, len(rows), BATCH):
            values = [list(row.values()) for row in rows[start : start + BATCH]]
            self.session.execute(self.dialect.insert(self.table(name), columns, values, clock=clock))
