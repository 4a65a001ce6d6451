"""SQL that compares staged rows with production, row by row: by a key, or as a whole.

Keys are compared with EXCEPT, for which NULL equals NULL. Values are compared in rows that a join pairs, in which a row
with NULL in its key has no partner: the statements count what they paired, so that the others are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_dataquality.dialects.comparison import NOT_COMPARABLE
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.model import Column, Partition


@dataclass(frozen=True)
class Difference:
    """Two sets of rows, ``s`` (staged) and ``p`` (production).

    :param columns: that both have
    :param keys: of these columns those by which a row is known
    """

    sql: Postgres
    stage: Partition
    production: Partition
    columns: Sequence[Column]
    keys: Sequence[Column] = ()

    @property
    def values(self) -> list[Column]:
        """The columns that are not the key."""
        names = {column.name for column in self.keys}
        return [column for column in self.columns if column.name not in names]

    def counted(self) -> str:
        """How many rows there are, staged and in production."""
        rows = (f"(SELECT COUNT(*) FROM {self.sql.rows(side)} AS r)" for side in (self.stage, self.production))
        return f"SELECT {', '.join(rows)}"

    def repeated(self, side: Partition) -> str:
        """How many keys several rows have."""
        names = self._names(self.keys)
        return (
            f"SELECT COUNT(*) FROM (SELECT {names} FROM {self.sql.rows(side)} AS r GROUP BY {names} "
            "HAVING COUNT(*) > 1) AS d"
        )

    def keys_of_one(self, one: Partition, other: Partition) -> str:
        """How many keys one side has and the other has not."""
        return f"SELECT COUNT(*) FROM ({self._only(one, other)}) AS d"

    def some_keys_of_one(self, one: Partition, other: Partition, most: int) -> str:
        """Some of them, the lowest first."""
        order = ", ".join(str(number) for number, _ in enumerate(self.keys, 1))
        return f"{self._listed(self.keys, 'd')} FROM ({self._only(one, other)}) AS d ORDER BY {order} LIMIT {most:d}"

    def _only(self, one: Partition, other: Partition) -> str:
        names = self._names(self.keys)
        return f"SELECT {names} FROM {self.sql.rows(one)} AS a EXCEPT SELECT {names} FROM {self.sql.rows(other)} AS b"

    def changed(self, columns: Sequence[Column]) -> str:
        """How many rows were paired, in how many of them any of the columns differs, and in how many each does."""
        tests = [self._differs(column) for column in columns]
        either = " OR ".join(tests) or "1 = 0"
        counts = ", ".join(f"COUNT(CASE WHEN {test} THEN 1 END)" for test in (f"({either})", *tests))
        return f"SELECT COUNT(*), {counts} FROM {self._paired()}"

    def some_changed(self, column: Column, most: int) -> str:
        """Some rows in which a column differs: key, staged value, value in production."""
        name = self.sql.identifier(column.name)
        order = ", ".join(str(number) for number, _ in enumerate(self.keys, 1))
        return (
            f"{self._listed(self.keys, 's')}, s.{name}, p.{name} FROM {self._paired()} WHERE {self._differs(column)} "
            f"ORDER BY {order} LIMIT {most:d}"
        )

    def rows_of_one(self, one: Partition, other: Partition) -> str:
        """How many different rows are more often on one side than on the other, or there alone."""
        listed = ", ".join(self._comparable(column) for column in self.columns)
        names = self._names(self.columns)
        a, b = (
            f"SELECT {names}, COUNT(*) AS dq_times FROM (SELECT {listed} FROM {self.sql.rows(side)} AS r) AS c "
            f"GROUP BY {names}"
            for side in (one, other)
        )
        return f"SELECT COUNT(*) FROM (({a})\nEXCEPT ({b})) AS d"

    def _paired(self) -> str:
        pairs = [self.sql.identifier(column.name) for column in self.keys]
        on = " AND ".join(f"s.{name} = p.{name}" for name in pairs)
        return f"{self.sql.rows(self.stage)} AS s JOIN {self.sql.rows(self.production)} AS p ON {on}"

    def _differs(self, column: Column) -> str:
        name = self.sql.identifier(column.name)
        s, p = (f"CAST({side}.{name} AS TEXT)" if column.type in NOT_COMPARABLE else f"{side}.{name}" for side in "sp")
        return f"({s} <> {p} OR ({s} IS NULL AND {p} IS NOT NULL) OR ({s} IS NOT NULL AND {p} IS NULL))"

    def _comparable(self, column: Column) -> str:
        name = self.sql.identifier(column.name)
        return f"CAST({name} AS TEXT) AS {name}" if column.type in NOT_COMPARABLE else name

    def _names(self, columns: Sequence[Column]) -> str:
        return self.sql.identifiers(column.name for column in columns)

    def _listed(self, columns: Sequence[Column], of: str) -> str:
        return f"SELECT {self.sql.identifiers((column.name for column in columns), of=of)}"
