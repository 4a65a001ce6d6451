"""SQL of the pages that show what happened: of many tables at once, of one table, of one check.

A *run* is a publication or a run of checks: both of the ledger's tables are read as if they were one, see :data:`RUN`.
What a statement may have to leave out are DAGs that the reader may not see: ``hidden``, where None stands for rows that
no DAG wrote.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Partition, Table

CLOCKS = {
    "publication": "published_at",
    "check_run": "checked_at",
    "check_result": "checked_at",
    "metric": "measured_at",
    "verdict": "given_at",
}
"""The column of each of the ledger's tables that says when."""
_SAME = ("run_uid", "table_schema", "table_name", "partition", "rows", "score", "passed", "warned", "failed",
         "errored", "skipped", "dag_id", "task_id", "run_id", "map_index", "try_number")  # fmt: skip
RUN = (*_SAME, "state", "mode", "kept", "at")
"""The columns of a run: ``state`` is published, rejected or observed, ``kept`` the table that keeps what it replaced or
was rejected."""
BRIEF = ("table_schema", "table_name", "partition", "score", "passed", "warned", "failed", "errored", "skipped",
         "dag_id", "run_uid", "state", "at")  # fmt: skip
"""Those that every table of an overview needs."""
_OWN = {
    "publication": ("'published'", '"mode"', '"previous_version"'),
    "check_run": ('"state"', "CAST(NULL AS VARCHAR(10))", '"staging_table"'),
}
Ledgers = Mapping[str, Table]
"""Where the ledger's tables are, by their names."""


class BoardSql(Names):
    """As standard SQL has it: with window functions."""

    def newest_clocks(self, ledgers: Ledgers) -> str:
        """A query for when something was written last, into each of the tables that tell of runs."""
        each = (
            f"(SELECT MAX({CLOCKS[name]}) FROM {self.table(ledgers[name])})" for name in ("publication", "check_run")
        )
        return f"SELECT {', '.join(each)}"

    def newest_runs(self, ledgers: Ledgers, table: Table | None = None) -> str:
        """The newest publication and the newest run of checks of each table and DAG: rows of :data:`BRIEF`.

        :param table: of this one alone
        """
        by = self.identifiers(["table_schema", "table_name", "dag_id"])
        where = self._of_table(table) if table else None
        return "\nUNION ALL\n".join(self._newest_of(ledgers, name, by, where) for name in _OWN)

    def _newest_of(self, ledgers: Ledgers, name: str, by: str, where: str | None) -> str:
        place = f"ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY {CLOCKS[name]} DESC) AS place"
        inner = f"SELECT {self._run(name, BRIEF)}, {place} FROM {self.table(ledgers[name])}{_where(where)}"
        return f"SELECT {self.identifiers(BRIEF)} FROM (\n{inner}\n) AS r WHERE place = 1"

    def open_runs(self, ledgers: Ledgers, since: datetime, most: int) -> str:
        """The runs that were blocked or failed and have not been followed by another one of the same partition.

        :param since: runs before that are forgotten
        """
        runs = "\nUNION ALL\n".join(
            f"SELECT {self._run(name)} FROM {self.table(ledgers[name])} WHERE {CLOCKS[name]} >= {self.literal(since)}"
            for name in _OWN
        )
        by = self.identifiers(["table_schema", "table_name", "partition"])
        return (
            f'SELECT {self.identifiers(RUN)} FROM (\nSELECT r.*, ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY "at" '
            f"DESC) AS place FROM (\n{runs}\n) AS r\n) AS n WHERE place = 1 AND {self._bad}\n"
            f'ORDER BY "at" DESC LIMIT {most:d}'
        )

    @property
    def _bad(self) -> str:
        return "(state = 'rejected' OR (state = 'observed' AND (failed > 0 OR errored > 0)))"

    def last_runs(self, ledgers: Ledgers, tables: Sequence[Table], most: int, hidden: Collection[str | None]) -> str:
        """The last publications and the last runs of checks of some tables: so many of each, rows of :data:`RUN`."""
        by = self.identifiers(["table_schema", "table_name"])
        either = " OR ".join(f"({self._of_table(table)})" for table in tables)
        return "\nUNION ALL\n".join(
            self._last_of(ledgers[name], self._run(name), RUN, by, CLOCKS[name], most, self._shown(either, hidden))
            for name in _OWN
        )

    def _last_of(
        self, ledger: Table, listed: str, columns: Sequence[str], by: str, clock: str, most: int, where: str
    ) -> str:
        place = f"ROW_NUMBER() OVER (PARTITION BY {by} ORDER BY {clock} DESC) AS place"
        return (
            f"SELECT {self.identifiers(columns)} FROM (\nSELECT {listed}, {place} FROM {self.table(ledger)} "
            f"WHERE {where}\n) AS r WHERE place <= {most:d}"
        )

    def newest_of_each(
        self, ledgers: Ledgers, name: str, table: Table, key: str, columns: Sequence[str], where: str,
    ) -> str:  # fmt: skip
        """The newest row of each check, or of each metric, of a table.

        :param key: the column that tells them apart
        :param where: see :meth:`shown`
        """
        place = f"ROW_NUMBER() OVER (PARTITION BY {self.identifier(key)} ORDER BY {CLOCKS[name]} DESC) AS place"
        inner = (
            f"SELECT {self.identifiers(columns)}, {place} FROM {self.table(ledgers[name])} "
            f"WHERE {self._of_table(table)} AND {where}"
        )
        return f"SELECT {self.identifiers(columns)} FROM (\n{inner}\n) AS r WHERE place = 1"

    def last_results(
        self, ledgers: Ledgers, table: Table, checks: Sequence[str], columns: Sequence[str], most: int, where: str
    ) -> str:
        """The last results of some checks of a table: so many of each."""
        named = f"{self.identifier('check_name')} IN ({', '.join(map(self.literal, checks))})"
        return self._last_of(
            ledgers["check_result"], self.identifiers(columns), columns, self.identifier("check_name"),
            CLOCKS["check_result"], most, f"{self._of_table(table)} AND {named} AND {where}",
        )  # fmt: skip

    def newest_by_partition(self, ledgers: Ledgers, table: Table, most: int, hidden: Collection[str | None]) -> str:
        """The newest run of each partition of a table, and whether the partition was published.

        :param most: so many of the last publications and runs are looked at
        """
        runs = self._recent(ledgers, self._shown(self._of_table(table), hidden), most)
        partition = self.identifier("partition")
        return (
            f"SELECT {self.identifiers(RUN)}, visible FROM (\nSELECT r.*, ROW_NUMBER() OVER (PARTITION BY {partition} "
            f"ORDER BY \"at\" DESC) AS place, MAX(CASE WHEN state = 'published' THEN 1 ELSE 0 END) "
            f"OVER (PARTITION BY {partition}) AS visible FROM (\n{runs}\n) AS r\n) AS n WHERE place = 1"
        )

    def runs_of_partition(
        self, ledgers: Ledgers, table: Table, partition: str, most: int, hidden: Collection[str | None]
    ) -> str:
        """The newest publications and runs of checks of one partition."""
        one = f"{self.identifier('partition')} = {self.literal(partition)}"
        return self._recent(ledgers, self._shown(f"{self._of_table(table)} AND {one}", hidden), most)

    def _recent(self, ledgers: Ledgers, where: str, most: int) -> str:
        return "\nUNION ALL\n".join(
            f"SELECT {self.identifiers(RUN)} FROM (SELECT {self._run(name)} FROM {self.table(ledgers[name])} "
            f"WHERE {where} ORDER BY {CLOCKS[name]} DESC LIMIT {most:d}) AS {name}"
            for name in _OWN
        )

    def newest_where(
        self, ledgers: Ledgers, name: str, table: Table, columns: Sequence[str], most: int, where: str
    ) -> str:
        """The newest rows of a table in one of the ledger's tables.

        :param where: see :meth:`shown`
        """
        return (
            f"SELECT {self.identifiers(columns)} FROM {self.table(ledgers[name])} "
            f"WHERE {self._of_table(table)} AND {where} ORDER BY {CLOCKS[name]} DESC LIMIT {most:d}"
        )

    def rows_of_runs(self, ledgers: Ledgers, name: str, columns: Sequence[str], run_uids: Collection[str]) -> str:
        """What one of the ledger's tables holds of some runs."""
        named = ", ".join(map(self.literal, sorted(run_uids)))
        return f"SELECT {self.identifiers(columns)} FROM {self.table(ledgers[name])} WHERE run_uid IN ({named})"

    def verdicts(self, ledgers: Ledgers, columns: Sequence[str], table: Table | None, named: Collection[str]) -> str:
        """What people said, oldest first.

        :param table: of this one alone; None for all
        :param named: these verdicts alone; all if there are none
        """
        words = ", ".join(map(self.literal, sorted(named)))
        terms = [self._of_table(table)] if table else []
        terms += [f"verdict IN ({words})"] if named else []
        where = _where(" AND ".join(terms) or None)
        return f"SELECT {self.identifiers(columns)} FROM {self.table(ledgers['verdict'])}{where} ORDER BY given_at"

    def last_lineage(self, ledger: Table, table: Table, dag_id: str | None, task_id: str | None) -> str:
        """The digest of what a task last recorded to be read by a table."""
        key = (("table_schema", table.schema), ("table_name", table.name), ("dag_id", dag_id), ("task_id", task_id))
        return (
            f"SELECT digest FROM {self.table(ledger)} WHERE {self.rows_of(Partition(table, key))} "
            "ORDER BY recorded_at DESC LIMIT 1"
        )

    def reads(self, ledger: Table, table: Table) -> str:
        """What a table reads, by what each task last recorded: name, DAG and since when."""
        return self._current(ledger, self._of_table(table), ("reads", "dag_id", "recorded_at"))

    def readers(self, ledger: Table, name: str) -> str:
        """The tables that read this one, by what each task last recorded: schema, name, DAG and since when."""
        where = f"table_name IN (SELECT table_name FROM {self.table(ledger)} WHERE reads = {self.literal(name)})"
        columns = ("table_schema", "table_name", "dag_id", "recorded_at")
        return f"{self._current(ledger, where, columns)} AND reads = {self.literal(name)}"

    def _current(self, ledger: Table, where: str, columns: Sequence[str]) -> str:
        last = (
            "FIRST_VALUE(run_uid) OVER (PARTITION BY table_schema, table_name, dag_id, task_id ORDER BY recorded_at "
            "DESC ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last_run"
        )
        named = self.identifiers(dict.fromkeys((*columns, "run_uid", "reads")))
        inner = f"SELECT {named}, {last} FROM {self.table(ledger)} WHERE {where}"
        return f"SELECT {self.identifiers(columns)} FROM (\n{inner}\n) AS r WHERE run_uid = last_run"

    def shown(self, hidden: Collection[str | None], **equal: str | None) -> str:
        """The predicate of the rows of DAGs that are not hidden, with these values in their columns."""
        terms = self.rows_of(Partition(Table(""), tuple(equal.items())))
        return self._shown(terms or "1 = 1", hidden)

    def not_rejected(self) -> str:
        """The predicate of what was measured on rows that are visible."""
        return "state <> 'rejected'"

    def _shown(self, where: str, hidden: Collection[str | None]) -> str:
        named = ", ".join(self.literal(dag) for dag in sorted(dag for dag in hidden if dag is not None))
        terms = [f"({where})" if " OR " in where else where]
        if None in hidden:
            terms.append("dag_id IS NOT NULL")
        if named:
            terms.append(f"(dag_id IS NULL OR dag_id NOT IN ({named}))")
        return " AND ".join(terms)

    def _of_table(self, table: Table) -> str:
        key = (("table_schema", table.schema), ("table_name", table.name))
        return self.rows_of(Partition(table, key)) or ""

    def _run(self, name: str, columns: Sequence[str] = RUN) -> str:
        """The columns of a run, of one of the two tables that have them."""
        own = dict(zip(("state", "mode", "kept"), _OWN[name], strict=True)) | {"at": CLOCKS[name]}
        return ", ".join(
            f"{own[column]} AS {self.identifier(column)}" if column in own else self.identifier(column)
            for column in columns
        )


def _where(term: str | None) -> str:
    return f" WHERE {term}" if term else ""


class WindowedBoardSql(BoardSql):
    """For a column store below Postgres: it has no indexes to jump through, and window functions as the standard."""

    newest_runs = BoardSql.newest_runs
    open_runs = BoardSql.open_runs
    last_runs = BoardSql.last_runs
    newest_of_each = BoardSql.newest_of_each
    last_results = BoardSql.last_results
