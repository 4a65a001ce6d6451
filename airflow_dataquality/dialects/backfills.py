"""SQL of backfills in the ledger: how far they are, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Partition, Table


class BackfillSql(Names):
    """How a dialect reads what backfills have done."""

    def rows_by_run(self, ledger: Table, runs: Iterable[tuple[str, str]]) -> str:
        """A query for what one of the ledger's tables has of runs of DAGs: DAG, run, entries and their rows."""
        listed = list(runs)
        terms = " OR ".join(f"({self.rows_of(Partition(ledger, (('dag_id', d), ('run_id', r))))})" for d, r in listed)
        names = self.identifiers(["dag_id", "run_id"])
        rows = self.identifier("rows")
        return f"SELECT {names}, COUNT(*), SUM({rows}) FROM {self.table(ledger)} WHERE {terms} GROUP BY {names}"

    def publications_between(self, ledger: Table, table: Table, low: str, high: str, most: int) -> str:
        """A query for the newest publication of each partition whose JSON is from ``low`` to before ``high``."""
        where = self.rows_of(Partition(table, (("table_schema", table.schema), ("table_name", table.name))))
        names = self.identifiers(["partition", "rows", "dag_id", "published_at"])
        partition, when = self.identifier("partition"), self.identifier("published_at")
        return (
            f"SELECT {names} FROM (SELECT {names}, ROW_NUMBER() OVER (PARTITION BY {partition} ORDER BY {when} DESC) "
            f"AS newest FROM {self.table(ledger)} WHERE {where} AND {self.between('partition', low, high)}) AS found "
            f"WHERE newest = 1 LIMIT {most:d}"
        )
