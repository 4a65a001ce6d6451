"""SQL of those who wait: one statement for all that they wait for, in every dialect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Partition, Table

PUBLISHED = (
    "table_schema", "table_name", "partition", "run_uid", "mode", "rows", "score", "dag_id", "task_id", "run_id",
    "published_at",
)  # fmt: skip
"""The columns of :meth:`WaitingSql.newest_publications`; after them comes the age in seconds."""


class WaitingSql(Names):
    """How a dialect looks for partitions."""

    age = "EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) - EXTRACT(EPOCH FROM {moment})"
    """Seconds since a moment, by the database's clock."""

    def newest_publications(self, ledger: Table, known: Iterable[Partition], tables: Iterable[Table]) -> str:
        """The newest publication of each of these partitions, and of all partitions of these tables.

        :param known: partitions, spelled as the ledger spells them
        :param tables: tables of which no more is known; without a schema, those of any
        """
        by_table: dict[Table, list[str]] = {}
        for partition in known:
            by_table.setdefault(partition.table, []).append(self.literal(partition.json))
        one, names = self.identifier("partition"), self.identifiers(PUBLISHED)
        wanted = [f"{self._of(table)} AND {one} IN ({', '.join(keys)})" for table, keys in by_table.items()]
        wanted += [self._of(table, any_schema=table.schema is None) for table in tables]
        newest = f"ROW_NUMBER() OVER (PARTITION BY table_schema, table_name, {one} ORDER BY published_at DESC)"
        return (
            f"SELECT {names}, {self.age.format(moment='published_at')} AS age FROM (\n"
            f"SELECT {names}, {newest} AS place FROM {self.table(ledger)}\n"
            f"WHERE {' OR '.join(f'({term})' for term in wanted)}\n) AS p WHERE place = 1"
        )

    def _of(self, table: Table, *, any_schema: bool = False) -> str:
        key = (
            [("table_name", table.name)] if any_schema else [("table_schema", table.schema), ("table_name", table.name)]
        )
        return self.rows_of(Partition(table, tuple(key))) or ""

    def count_partitions(self, partitions: Sequence[Partition]) -> str:
        """How many rows each partition has, as rows of its number and the count; none for one without rows.

        A table is read once for all of its partitions.
        """

        def columns(number: int) -> tuple[str, ...]:
            partition = partitions[number]
            return (str(partition.table), *sorted(column for column, _ in partition.key))

        numbers = sorted(range(len(partitions)), key=columns)
        return "\nUNION ALL\n".join(
            self._count({number: partitions[number] for number in group}) for _, group in groupby(numbers, key=columns)
        )

    def _count(self, partitions: Mapping[int, Partition]) -> str:
        table = self.table(next(iter(partitions.values())).table)
        terms = {number: self.rows_of(partition) for number, partition in partitions.items()}
        if len(terms) == 1:
            ((number, where),) = terms.items()
            return f"SELECT {number:d} AS wanted, COUNT(*) AS found FROM {table}" + (f" WHERE {where}" if where else "")
        which = " ".join(f"WHEN {where} THEN {number:d}" for number, where in terms.items())
        either = " OR ".join(f"({where})" for where in terms.values())
        return f"SELECT CASE {which} END AS wanted, COUNT(*) AS found FROM {table} WHERE {either} GROUP BY 1"
