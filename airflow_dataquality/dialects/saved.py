"""SQL of saved tests: their rows in the ledger, and what bounds the queries that people wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Partition, Table


class SavedSql(Names):
    """How a dialect reads saved tests."""

    def at_most(self, sql: str, most: int) -> str:
        """The first rows of a query that somebody wrote, so that no more of them leave the database."""
        return f"SELECT * FROM (\n{sql}\n) AS {self.identifier('q')} LIMIT {most:d}"

    def newest_tests(
        self, ledger: Table, columns: Sequence[str], states: Iterable[str], ids: Iterable[str] | None = None,
        name: str | None = None,
    ) -> str:  # fmt: skip
        """A query for the last version of each test, by name.

        :param columns: ``state`` is one of them
        :param states: of the last version
        :param ids: of these tests alone
        :param name: of the last version
        """
        test, version, rank = (self.identifier(word) for word in ("test_id", "version", "dq_rank"))
        within = f" WHERE {test} IN ({', '.join(map(self.literal, ids)) or 'NULL'})" if ids is not None else ""
        order = f"{version} DESC, {self.identifier('saved_at')} DESC"
        ranked = (
            f"SELECT {self.identifiers(columns)}, "
            f"ROW_NUMBER() OVER (PARTITION BY {test} ORDER BY {order}) AS {rank} FROM {self.table(ledger)}{within}"
        )
        named = f" AND {self.identifier('name')} = {self.literal(name)}" if name is not None else ""
        listed = ", ".join(map(self.literal, states))
        return (
            f"SELECT {self.identifiers(columns)} FROM ({ranked}) AS t WHERE {rank} = 1 "
            f"AND {self.identifier('state')} IN ({listed}){named} ORDER BY {self.identifier('name')}, {test}"
        )

    def test_versions(self, ledger: Table, columns: Sequence[str], test_id: str) -> str:
        """A query for all versions of a test, the newest first."""
        where = self.rows_of(Partition(ledger, (("test_id", test_id),)))
        order = f"{self.identifier('version')} DESC, {self.identifier('saved_at')} DESC"
        return f"SELECT {self.identifiers(columns)} FROM {self.table(ledger)} WHERE {where} ORDER BY {order}"

    def results_of_tests(
        self, ledger: Table, columns: Sequence[str], keys: Iterable[Mapping[str, Any]], most: int
    ) -> str:  # fmt: skip
        """A query for the newest results of each of some checks, each looked up by itself.

        :param keys: column and value of each check
        """
        order = f"ORDER BY {self.identifier('checked_at')} DESC LIMIT {most:d}"
        parts = [
            f"SELECT * FROM (SELECT {self.identifiers(columns)} FROM {self.table(ledger)} "
            f"WHERE {self.rows_of(Partition(ledger, tuple(key.items())))} {order}) AS t{number}"
            for number, key in enumerate(keys)
        ]
        return "\nUNION ALL ".join(parts)

    def readable_tables(self, most: int, *, but: str) -> str:
        """A query for schema and name of the tables and views that the connection may read.

        :param but: a schema without what is asked for
        """
        others = ", ".join(map(self.literal, ("information_schema", "pg_catalog", but)))
        return (
            f"SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema NOT IN ({others}) "
            f"ORDER BY table_schema, table_name LIMIT {most:d}"
        )
