"""Where Redshift tells of the partitions of external tables."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_dataquality.dialects.waiting import WaitingSql
from airflow_dataquality.model import Partition, Table


class RedshiftWaitingSql(WaitingSql):
    """Spectrum's catalog, and Redshift's clock."""

    # CURRENT_TIMESTAMP is the leader's alone: https://docs.aws.amazon.com/redshift/latest/dg/r_GETDATE.html
    age = "EXTRACT(EPOCH FROM CAST(GETDATE() AS TIMESTAMPTZ)) - EXTRACT(EPOCH FROM {moment})"

    def external_columns(self, table: Table) -> str:
        """Name and place in the partition's key of an external table's columns; 0 for those that are not in it.

        https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_EXTERNAL_COLUMNS.html
        """
        return (
            f"SELECT columnname, part_key FROM svv_external_columns "
            f"WHERE schemaname = {self.literal(table.schema)} AND tablename = {self.literal(table.name)} "
            "ORDER BY part_key, columnnum"
        )

    def external_partitions(self, partitions: Iterable[Partition]) -> str:
        """Schema, table, values and location of the partitions that may be these: the caller compares the values.

        https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_EXTERNAL_PARTITIONS.html says "values for the partition",
        and not how they are written.
        """
        by_table: dict[Table, list[str]] = {}
        for partition in partitions:
            terms = [f'STRPOS("values", {self.literal(str(value))}) > 0' for _, value in partition.key]
            by_table.setdefault(partition.table, []).append(" AND ".join(terms))
        wanted = (
            f"schemaname = {self.literal(table.schema)} AND tablename = {self.literal(table.name)} "
            f"AND ({' OR '.join(f'({term})' for term in terms)})"
            for table, terms in by_table.items()
        )
        either = " OR ".join(f"({term})" for term in wanted)
        return f'SELECT schemaname, tablename, "values", location FROM svv_external_partitions WHERE {either}'
