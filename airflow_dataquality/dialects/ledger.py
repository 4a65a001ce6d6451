"""SQL of the ledger's tables, for every dialect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Partition, Table

UNIT = "\x1f"
"""Between names in one text: no name holds it."""


class LedgerSql(Names):
    """How a dialect makes and fills the ledger's tables."""

    types: Mapping[str, str] = {
        "text": "VARCHAR(4000)",
        "long": "VARCHAR(65535)",
        "integer": "INTEGER",
        "bigint": "BIGINT",
        "double": "DOUBLE PRECISION",
        "time": "TIMESTAMP",
    }
    now = "CURRENT_TIMESTAMP"
    ask_moment: str | None = None
    """A query for this moment, where ``now`` does not go on within a transaction."""

    ledger_indexes = False
    """Whether indexes help its readers; a column store has none."""

    measured_together = ("measured_at, metric, value", "")
    """Columns and tail of the query for what was measured: one row for each number, or for each run."""

    def moment(self, text: str) -> datetime:
        """What ``ask_moment`` answered."""
        return datetime.fromisoformat(text)

    def ledger_table(self, schema: str, name: str) -> Table:
        """Where a table of the ledger is."""
        return Table(name, schema)

    def create_schema(self, schema: str) -> Sequence[str]:
        """Statements that make the ledger's schema."""
        return (f"CREATE SCHEMA IF NOT EXISTS {self.identifier(schema)}",)

    def find_schema(self, schema: str) -> str | None:
        """A query that yields a row if the schema exists; None if the database has no such question."""
        return None

    def lock_ledger(self, schema: str) -> Sequence[str]:
        """Statements that keep others from making the ledger at the same time, until the transaction ends."""
        return ()

    def create_ledger_table(self, table: Table, columns: Mapping[str, str]) -> str:
        """A statement that makes a table of columns with abstract types."""
        listed = ", ".join(f"{self.identifier(name)} {self.types[kind]}" for name, kind in columns.items())
        return f"CREATE TABLE {self.table(table)} ({listed})"

    def create_ledger_indexes(self, table: Table, indexes: Iterable[Sequence[str]]) -> Sequence[str]:
        """Statements that make the indexes, each of columns, that a table of the ledger lacks."""
        if not self.ledger_indexes:
            return ()
        named = {"_".join((table.name, *columns, "idx")).replace("table_schema_table_name", "table"): columns
                 for columns in indexes}  # fmt: skip
        return [
            f"CREATE INDEX IF NOT EXISTS {self.identifier(name)} ON {self.table(table)} ({self.identifiers(columns)})"
            for name, columns in named.items()
        ]

    def add_ledger_column(self, table: Table, column: str, kind: str) -> str:
        """A statement that gives a table of an older version a column of an abstract type."""
        return f"ALTER TABLE {self.table(table)} ADD COLUMN {self.identifier(column)} {self.types[kind]}"

    def insert(
        self, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, clock: str | None = None
    ) -> str:
        """One INSERT of many rows; the column ``clock`` gets the database's time."""
        names = self.identifiers([*columns, clock] if clock else columns)
        tail = f", {self.now}" if clock else ""
        seen: dict[str, str] = {}  # most texts of thousands of rows are alike
        known = seen.get

        def literal(value: Any) -> str:
            if type(value) is not str:
                return self.literal(value)
            return known(value) or seen.setdefault(value, self.literal(value))

        values = ", ".join(f"({', '.join(map(literal, row))}{tail})" for row in rows)
        return f"INSERT INTO {self.table(table)} ({names}) VALUES {values}"

    def select_max(self, table: Table, column: str) -> str:
        """The largest value of a column."""
        return f"SELECT MAX({self.identifier(column)}) FROM {self.table(table)}"

    def history(self, ledger: Mapping[str, Table], table: Table, low: str, high: str, since: datetime | None) -> str:
        """What was measured on partitions from ``low`` to before ``high``, oldest first, and what is marked.

        Rows of: partition, when, names and values (:data:`UNIT` between names, a space between values), and 1 if they
        are marked as incidents (then without values; without names, all are), -1 if that is taken back, else 0.

        :param high: if it is ``low``, of that partition itself
        :param since: only what was measured from then on
        """
        key = [("table_schema", table.schema), ("table_name", table.name)]
        if low == high:
            where = self.rows_of(Partition(table, (*key, ("partition", low))))
        else:
            where = f"{self.rows_of(Partition(table, tuple(key)))} AND {self.between('partition', low, high)}"
        recent = f" AND measured_at >= {self.literal(since)}" if since else ""
        names = self.identifiers(["partition"])
        return (
            f"SELECT {names}, {self.measured_together[0]}, 0 AS marked FROM {self.table(ledger['metric'])} "
            f"WHERE {where} AND state <> 'rejected'{recent}{self.measured_together[1]}\n"
            f"UNION ALL SELECT {names}, given_at, metric, NULL, CASE verdict WHEN 'withdrawn' THEN -1 ELSE 1 END "
            f"FROM {self.table(ledger['verdict'])} "
            f"WHERE {where} AND verdict IN ('incident', 'expected', 'withdrawn')\nORDER BY 2"
        )

    def recorded_partitions(self, ledger: Table, table: Table, metrics: Sequence[str]) -> str:
        """A query for the partitions on which all of these metrics were measured."""
        where = self.rows_of(Partition(table, (("table_schema", table.schema), ("table_name", table.name))))
        partition, named = self.identifier("partition"), ", ".join(map(self.literal, metrics))
        return (
            f"SELECT {partition} FROM {self.table(ledger)} WHERE {where} AND state <> 'rejected' "
            f"AND metric IN ({named}) GROUP BY {partition} HAVING COUNT(DISTINCT metric) = {len(metrics):d}"
        )

    def publications(self, ledger: Table, table: Table, columns: Sequence[str]) -> str:
        """A query for what was published of a table, oldest first.

        The last column is the definition, which is long and seldom another: ``''`` is that of the row before.
        """
        where = self.rows_of(Partition(table, (("table_schema", table.schema), ("table_name", table.name))))
        order = f"ORDER BY {self.identifiers(['published_at', 'partition'])}"
        definition = self.identifier("definition")
        same = f"{definition} = LAG({definition}) OVER ({order})"
        return (
            f"SELECT {self.identifiers(columns)}, CASE WHEN {same} THEN '' ELSE {definition} END "
            f"FROM {self.table(ledger)} WHERE {where} {order}"
        )

    def newest(
        self, ledger: Table, columns: Sequence[str], clock: str, most: int, where: Mapping[str, Any],
        partition_column: str | None = None,
    ) -> str:  # fmt: skip
        """A query for the newest rows of one of the ledger's tables.

        :param clock: the column that says when
        :param where: column and value
        :param partition_column: of partitions by this column alone, the last of them first
        """
        terms = [self.rows_of(Partition(ledger, tuple(where.items()))) or "1 = 1"]
        partition, when = self.identifier("partition"), self.identifier(clock)
        order = f"{when} DESC"
        if partition_column is not None:
            start = json.dumps({partition_column: 0}, ensure_ascii=False).removesuffix("0}")
            terms.append(f"SUBSTR({partition}, 1, {len(start):d}) = {self.text(start)}")
            order = f"{partition} DESC, {order}"
        return (
            f"SELECT {self.identifiers([*columns, clock])} FROM {self.table(ledger)} "
            f"WHERE {' AND '.join(terms)} ORDER BY {order} LIMIT {most:d}"
        )

    def republish_metrics(self, ledger: Table, rejected: Mapping[str, Any], run_uid: str) -> str:
        """Append what was measured on rejected rows once more, as published; without their number, which is new.

        :param rejected: the row of the ledger that says which run, and which partition
        :param run_uid: who publishes them
        """
        place = self.identifiers(["table_schema", "table_name", "partition", "column_name", "metric", "value"])
        names = ("run_uid", "table_schema", "table_name", "partition")
        key = ((name, rejected[name]) for name in names)
        where = self.rows_of(Partition(ledger, (*key, ("state", "rejected"))))
        return (
            f"INSERT INTO {self.table(ledger)} (run_uid, {place}, state, measured_at) "
            f"SELECT {self.literal(run_uid)}, {place}, 'published', {self.now} FROM {self.table(ledger)} "
            f"WHERE {where} AND metric <> 'row_count'"
        )

    def tables_known(self, ledgers: Iterable[Table]) -> str:
        """A query for the tables of which one of the ledger's tables holds something."""
        named = self.identifiers(["table_schema", "table_name"])
        return " UNION ".join(f"SELECT DISTINCT {named} FROM {self.table(ledger)}" for ledger in ledgers)

    def checks_known(self, ledger: Table, table: Table) -> str:
        """A query for the names of the checks of which results of a table are held."""
        where = self.rows_of(Partition(table, (("table_schema", table.schema), ("table_name", table.name))))
        return f"SELECT DISTINCT {self.identifier('check_name')} FROM {self.table(ledger)} WHERE {where}"

    def staged_chunks(self, ledger: Table, backfill: str, number: int | None = None) -> str:
        """A query for the chunks of a backfill, or for one of them: number and rows."""
        key = (("backfill", backfill), *((("number", number),) if number is not None else ()))
        where = self.rows_of(Partition(ledger, key))
        return f"SELECT {self.identifiers(['number', 'rows'])} FROM {self.table(ledger)} WHERE {where}"

    def forget_verdicts(self, verdict: Table, partition: Partition, metric: str | None) -> str:
        """Delete what was marked of a partition, or of one metric on it; whatever else was said of it stays."""
        table = partition.table
        key = [("table_schema", table.schema), ("table_name", table.name), ("partition", partition.json)]
        where = self.rows_of(Partition(table, (*key, *([("metric", metric)] if metric else []))))
        return f"DELETE FROM {self.table(verdict)} WHERE {where} AND verdict IN ('incident', 'expected', 'withdrawn')"
