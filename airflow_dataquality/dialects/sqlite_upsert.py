"""SQL of an upsert on SQLite, 3.33 or later."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_dataquality.dialects.pairing import Pairing
from airflow_dataquality.dialects.upsert import UpsertSql
from airflow_dataquality.model import Table

# INTEGER PRIMARY KEY is the rowid, which the database knows a value of: https://www.sqlite.org/lang_createtable.html
_INSERTABLE = """
SELECT name, "notnull" AND dflt_value IS NULL AND hidden = 0 AND NOT (pk = 1 AND upper(type) = 'INTEGER'
         AND (SELECT max(pk) FROM pragma_table_xinfo({arguments})) = 1), 0
FROM pragma_table_xinfo({arguments}) WHERE hidden <> 1
"""

# The rowid has no index. https://www.sqlite.org/pragma.html#pragma_index_list
_UNIQUE_KEYS = """
SELECT l.name, c.name, 1 FROM pragma_index_list({arguments}) AS l JOIN pragma_index_info(l.name{place}) AS c
WHERE l."unique" AND NOT l.partial
UNION ALL SELECT '', name, 1 FROM pragma_table_xinfo({arguments}) WHERE pk > 0
"""


class SqliteUpsertSql(UpsertSql):
    """SQLite has ON CONFLICT; its DELETE cannot name a second table."""

    strategies: Sequence[str] = ("on_conflict", "update_insert", "delete_insert")

    def kind_of(self, table: Table) -> str | None:
        catalog = self.table(Table("sqlite_master", table.schema))
        return f"SELECT type FROM {catalog} WHERE lower(name) = lower({self.text(table.name)}) AND type <> 'index'"

    def ready(self, stage: Table, keys: Sequence[str]) -> Sequence[str]:
        """An index, as there is no other way to join than to look each row up."""
        name = self.identifier(f"{stage.name}_key")
        return (f"CREATE INDEX temp.{name} ON {self.table(stage)} ({self.identifiers(keys)})",)

    def insertable(self, table: Table) -> str:
        return _INSERTABLE.format(arguments=self._arguments(table))

    def unique_keys(self, table: Table) -> str | None:
        return _UNIQUE_KEYS.format(arguments=self._arguments(table), place=self._schema(table))

    def _staged(self, stage: Table, columns: Sequence[str], table: Table) -> str:
        """With the table's collations, which CREATE TABLE AS does not copy: those of the first SELECT hold."""
        names = self.identifiers(columns)
        like = f"SELECT {names} FROM {self.table(table)} WHERE 0"
        return f"({like} UNION ALL SELECT {names} FROM {self.table(stage)}) AS s"

    def _arguments(self, table: Table) -> str:
        return self.text(table.name) + self._schema(table)

    def _schema(self, table: Table) -> str:
        return f", {self.text(table.schema)}" if table.schema else ""

    def _delete(self, p: Pairing, table: Table, alias: str, using: Table, other: str, where: str = "") -> str:
        return (
            f"DELETE FROM {self.table(table)} AS {alias} WHERE EXISTS (SELECT 1 FROM {self.table(using)} AS {other} "
            f"WHERE {self._same_key(p, 't', 's')}{self._of_pattern(p, 's', ' AND ')}{where})"
        )

    def same(self, columns: Sequence[str], one: str, other: str) -> str:
        """By bytes, whatever the column's collation."""
        names = map(self.identifier, columns)
        return " AND ".join(f"{one}.{name} IS {other}.{name} COLLATE BINARY" for name in names)

    def differ(self, columns: Sequence[str], one: str, other: str) -> str:
        names = map(self.identifier, columns)
        return "(" + " OR ".join(f"{one}.{name} IS NOT {other}.{name} COLLATE BINARY" for name in names) + ")"
