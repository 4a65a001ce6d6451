"""SQL of what runs of Airflow recorded, by their DAG."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Partition, Scalar, Table


class RunSql(Names):
    """How a dialect finds what runs recorded: by the indexes of (dag_id, run_id), and of run_uid."""

    def recorded_by(
        self, ledger: Table, columns: Sequence[str], clock: str, most: int, dag_id: str, run_ids: Collection[str],
        task: Sequence[tuple[str, Scalar]] = (),
    ) -> str:  # fmt: skip
        """A query for the newest rows that some runs of a DAG recorded.

        :param clock: the column that says when
        :param task: column and value: of this task alone
        """
        named = ", ".join(map(self.literal, sorted(run_ids)))
        where = self.rows_of(Partition(ledger, (("dag_id", dag_id), *task)))
        return (
            f"SELECT {self.identifiers([*columns, clock])} FROM {self.table(ledger)} "
            f"WHERE {where} AND run_id IN ({named}) ORDER BY {clock} DESC LIMIT {most:d}"
        )

    def results_of(self, ledger: Table, columns: Sequence[str], run_uids: Collection[str], most: int) -> str:
        """A query for what checks found in some runs, what is wrong first."""
        named = ", ".join(map(self.literal, sorted(run_uids)))
        order = "CASE status WHEN 'fail' THEN 0 WHEN 'error' THEN 1 WHEN 'warn' THEN 2 WHEN 'skip' THEN 3 ELSE 4 END"
        return (
            f"SELECT {self.identifiers(columns)} FROM {self.table(ledger)} WHERE run_uid IN ({named}) "
            f"ORDER BY {order}, check_name LIMIT {most:d}"
        )
