"""SQL of an upsert on Postgres."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_dataquality.dialects.postgres_exchange import ExchangeSql
from airflow_dataquality.dialects.upsert import UpsertSql
from airflow_dataquality.model import Column, Table

# Of an identity or a serial, and of a domain with a default, the database knows a value.
_INSERTABLE = """
SELECT a.attname, a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
         AND t.typdefault IS NULL, a.attidentity = 'a'
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = pg_catalog.to_regclass({table}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

# https://www.postgresql.org/docs/current/sql-insert.html#SQL-ON-CONFLICT: deferrable ones are no arbiters.
_UNIQUE_KEYS = """
SELECT i.relname, a.attname, x.indcollation[p.n] = a.attcollation AND o.opcdefault
FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
CROSS JOIN LATERAL generate_series(0, x.indnkeyatts - 1) AS p (n)
JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[p.n]
JOIN pg_catalog.pg_opclass o ON o.oid = x.indclass[p.n]
WHERE x.indrelid = pg_catalog.to_regclass({table}) AND x.indisunique AND NOT x.indisexclusion AND x.indisvalid
  AND x.indisready AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL
ORDER BY i.relname, p.n
"""


class PostgresUpsertSql(ExchangeSql, UpsertSql):
    """Postgres has ON CONFLICT and MERGE, and compares whole rows by what is stored."""

    strategies: Sequence[str] = ("on_conflict", "merge", "update_insert", "delete_insert")

    def insertable(self, table: Table) -> str:
        return _INSERTABLE.format(table=self.text(self.table(table)))

    def unique_keys(self, table: Table) -> str | None:
        return _UNIQUE_KEYS.format(table=self.text(self.table(table)))

    def merges(self) -> str | None:
        return "SELECT current_setting('server_version_num')::int >= 150000"

    def write_locks(self, table: Table, wait: float, patience: float) -> Sequence[str]:
        """Readers pass; partitions are locked, too."""
        lock = f"LOCK TABLE {self.table(table)} IN SHARE ROW EXCLUSIVE MODE"
        return self.lock_timeout(wait), lock, self.lock_timeout(patience)

    def reported(self, statement: str) -> str | None:
        """ON CONFLICT, and what it did: a version of a row that replaces another was locked before, so its xmax is set.

        Not for partitioned tables, of which older servers cannot return system columns.
        """
        return (
            f"WITH applied AS ({statement} RETURNING t.xmax = 0 AS inserted) SELECT "
            "COUNT(CASE WHEN inserted THEN 1 END), COUNT(CASE WHEN NOT inserted THEN 1 END) FROM applied"
        )

    def same(self, columns: Sequence[str], one: str, other: str) -> str:
        """By the bytes that are stored, for every type: 1.0 and 1.00 are not the same, NaN and NaN are."""
        return self._images(columns, one, other, "*=")

    def differ(self, columns: Sequence[str], one: str, other: str) -> str:
        return self._images(columns, one, other, "*<>")

    def _images(self, columns: Sequence[str], one: str, other: str, operator: str) -> str:
        # Two bare rows would be compared column by column, for which there is no such operator.
        rows = (f"CAST(ROW({self.identifiers(columns, of=alias)}) AS record)" for alias in (one, other))
        return f" {operator} ".join(rows)

    def _tie_break(self, columns: Sequence[Column], order_by: Sequence[str]) -> list[str]:
        """The whole row as text: not every type can be sorted, and values that are equal may look different."""
        return [f'CAST(ROW({self.identifiers(column.name for column in columns)}) AS text) COLLATE "C" DESC']
