"""The same pages on Postgres: what is newest of each is found by jumping through an index, and not by sorting it all.

A loose index scan, which Postgres does not do by itself: https://wiki.postgresql.org/wiki/Loose_indexscan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from airflow_dataquality.dialects.board import BRIEF, CLOCKS, RUN, BoardSql, Ledgers
from airflow_dataquality.model import Table

_LEDGERS = ("publication", "check_run")


class PostgresBoardSql(BoardSql):
    """One jump for each table, DAG, check or metric, however many rows there are of it."""

    def newest_runs(self, ledgers: Ledgers, table: Table | None = None) -> str:
        if table:
            return super().newest_runs(ledgers, table)
        parts, rows = [], []
        for kind, jumps in (("", self._jumps), ("_bare", self._bare_jumps)):
            named = {name: f"newest_{name}{kind}" for name in _LEDGERS}
            parts += [f"{at} AS (\n{jumps(ledgers[name], name, at)}\n)" for name, at in named.items()]
            rows.append(self._undated(named["publication"], named["check_run"], bare=bool(kind)))
        return "WITH RECURSIVE " + ",\n".join(parts) + "\n" + "\nUNION ALL ".join(rows)

    def _undated(self, published: str, checked: str, *, bare: bool) -> str:
        """The publications, and those runs of checks that no publication of the same table and DAG followed."""
        named = self.identifiers(BRIEF)
        schema = "" if bare else "p.table_schema = c.table_schema AND "
        same = f"{schema}p.table_name = c.table_name AND p.dag_id IS NOT DISTINCT FROM c.dag_id"
        return (
            f"SELECT {named} FROM {published}\nUNION ALL SELECT {named} FROM {checked} AS c\n"
            f'WHERE NOT EXISTS (SELECT 1 FROM {published} AS p WHERE {same} AND p."at" > c."at")'
        )

    def _jumps(self, ledger: Table, name: str, at: str) -> str:
        """From a table and DAG to the one before, and so on. NULLs sort last: rows that no DAG wrote come first."""
        same = f"table_schema = {at}.table_schema AND table_name = {at}.table_name"
        before = f"(table_schema, table_name, dag_id) < ({at}.table_schema, {at}.table_name, {at}.dag_id)"
        order = "table_schema DESC, table_name DESC, dag_id DESC"
        return self._recursion(ledger, name, at, "table_schema IS NOT NULL", same, before, order)

    def _bare_jumps(self, ledger: Table, name: str, at: str) -> str:
        """The same of tables of databases without schemas."""
        same = f"table_schema IS NULL AND table_name = {at}.table_name"
        before = f"table_schema IS NULL AND (table_name, dag_id) < ({at}.table_name, {at}.dag_id)"
        return self._recursion(ledger, name, at, "table_schema IS NULL", same, before, "table_name DESC, dag_id DESC")

    def _recursion(self, ledger: Table, name: str, at: str, start: str, same: str, before: str, order: str) -> str:
        clock, row = CLOCKS[name], f"SELECT {self._run(name, BRIEF)} FROM {self.table(ledger)}"
        # What is before NULL is unknown within the table, so a DAG after none is asked for by name.
        named = f"{at}.dag_id IS NULL AND {same} AND dag_id IS NOT NULL"
        steps = ((named, "dag_id DESC"), (before, order))
        jumps = "\nUNION ALL ".join(f"({row} WHERE {where} ORDER BY {by}, {clock} DESC LIMIT 1)" for where, by in steps)
        return (
            f"({row} WHERE {start} ORDER BY {order}, {clock} DESC LIMIT 1)\nUNION ALL\n"
            f"SELECT {self.identifiers(BRIEF, of='n')} FROM {at} CROSS JOIN LATERAL (\n{jumps}\nLIMIT 1\n) AS n"
        )

    def open_runs(self, ledgers: Ledgers, since: datetime, most: int) -> str:
        # Not NOT EXISTS, of which the planner would make a join that reads all of a ledger.
        later = "".join(f"\nAND ({term} LIMIT 1) IS NULL" for name in _LEDGERS for term in self._later(ledgers, name))
        return (
            f"SELECT {self._run('check_run')} FROM {self.table(ledgers['check_run'])} AS r "
            f"WHERE {self._bad} AND checked_at >= {self.literal(since)}{later}\n"
            f"ORDER BY checked_at DESC LIMIT {most:d}"
        )

    def _later(self, ledgers: Ledgers, name: str) -> Iterator[str]:
        """Queries for a later run of the same partition: of a table with a schema, and of one without."""
        for schema in ("n.table_schema = r.table_schema", "n.table_schema IS NULL AND r.table_schema IS NULL"):
            yield (
                f"SELECT 1 FROM {self.table(ledgers[name])} AS n WHERE {schema} AND n.table_name = r.table_name "
                f"AND n.partition = r.partition AND n.{CLOCKS[name]} > r.checked_at"
            )

    def last_runs(self, ledgers: Ledgers, tables: Sequence[Table], most: int, hidden: Collection[str | None]) -> str:
        with_schema = [table for table in tables if table.schema is not None]
        bare = [table for table in tables if table.schema is None]
        parts = [self._last(ledgers, name, of, most, hidden) for of in (with_schema, bare) if of for name in _LEDGERS]
        return "\nUNION ALL\n".join(parts)

    def _last(
        self, ledgers: Ledgers, name: str, tables: Sequence[Table], most: int, hidden: Collection[str | None]
    ) -> str:
        listed = ", ".join(f"({self.literal(table.schema)}, {self.literal(table.name)})" for table in tables)
        schema = "table_schema = t.s" if tables[0].schema is not None else "table_schema IS NULL"
        return (
            f"SELECT {self.identifiers(RUN, of='n')} FROM (VALUES {listed}) AS t (s, n) CROSS JOIN LATERAL (\n"
            f"SELECT {self._run(name)} FROM {self.table(ledgers[name])} "
            f"WHERE {self._shown(f'{schema} AND table_name = t.n', hidden)} "
            f"ORDER BY {CLOCKS[name]} DESC LIMIT {most:d}\n) AS n"
        )

    def newest_of_each(
        self, ledgers: Ledgers, name: str, table: Table, key: str, columns: Sequence[str], where: str
    ) -> str:
        one, of, clock = self.identifier(key), self._of_table(table), CLOCKS[name]
        source = f"FROM {self.table(ledgers[name])} WHERE {of}"
        return (
            f"WITH RECURSIVE names AS (\n(SELECT {one} {source} ORDER BY {one} LIMIT 1)\nUNION ALL\n"
            f"SELECT (SELECT {one} {source} AND {one} > names.{one} ORDER BY {one} LIMIT 1) FROM names "
            f"WHERE names.{one} IS NOT NULL\n)\n"
            f"SELECT {self.identifiers(columns, of='n')} FROM names CROSS JOIN LATERAL (\n"
            f"SELECT {self.identifiers(columns)} {source} AND {one} = names.{one} AND {where} "
            f"ORDER BY {clock} DESC LIMIT 1\n) AS n"
        )

    def last_results(
        self, ledgers: Ledgers, table: Table, checks: Sequence[str], columns: Sequence[str], most: int, where: str
    ) -> str:
        listed = ", ".join(f"({self.literal(check)})" for check in checks)
        return (
            f"SELECT {self.identifiers(columns, of='n')} FROM (VALUES {listed}) AS t (n) CROSS JOIN LATERAL (\n"
            f"SELECT {self.identifiers(columns)} FROM {self.table(ledgers['check_result'])} "
            f"WHERE {self._of_table(table)} AND check_name = t.n AND {where} "
            f"ORDER BY checked_at DESC LIMIT {most:d}\n) AS n"
        )
