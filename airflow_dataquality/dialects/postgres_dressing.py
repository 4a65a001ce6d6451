"""SQL of dressing a stage on Postgres: give it what hangs on a table, and the table's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.postgres_staging import StagingSql
from airflow_dataquality.model import Table

Detail = Mapping[str, Any]

_REPLICA_IDENTITY = {"f": "FULL", "n": "NOTHING"}


class DressingSql(StagingSql):
    """Statements that rename, and that copy what the catalog says of a table. Details are those of features."""

    # -- renaming

    def rename_table(self, table: Table, name: str) -> str:
        return f"ALTER TABLE {self.table(table)} RENAME TO {self.identifier(name)}"

    def rename_index(self, index: Table, name: str) -> str:
        """Also renames the constraint that the index belongs to."""
        return f"ALTER INDEX {self.table(index)} RENAME TO {self.identifier(name)}"

    def rename_sequence(self, sequence: str, name: str) -> str:
        return f"ALTER SEQUENCE {sequence} RENAME TO {self.identifier(name)}"

    def adopt_sequence(self, sequence: str, table: Table, column: str) -> str:
        return f"ALTER SEQUENCE {sequence} OWNED BY {self.table(table)}.{self.identifier(column)}"

    def continue_sequence(self, sequence: str, from_sequence: str) -> str:
        """Set a sequence to where another stands, unless it is further already."""
        return (
            f"SELECT setval({self.text(sequence)}, o.last_value, o.is_called) FROM {from_sequence} o, {sequence} s "
            "WHERE (o.last_value, o.is_called) > (s.last_value, s.is_called)"
        )

    # -- dressing a stage

    def alter_column(self, table: Table, column: str, action: str) -> str:
        return f"ALTER TABLE {self.table(table)} ALTER COLUMN {self.identifier(column)} {action}"

    def column_settings(self, table: Table, name: str, column: Detail) -> list[str]:
        """Default, statistics target and options of a column, but no NOT NULL."""
        actions = []
        if column["default"] is not None and not column["generated"]:
            actions.append(f"SET DEFAULT {column['default']}")
        if column["statistics"] is not None:
            actions.append(f"SET STATISTICS {int(column['statistics'])}")
        if column["options"]:
            actions.append(f"SET ({self.options(column['options'])})")
        return [self.alter_column(table, name, action) for action in actions]

    def options(self, options: Sequence[str], prefix: str = "") -> str:
        """Storage parameters: ``fillfactor = '70'``."""
        pairs = (option.split("=", 1) for option in options)
        return ", ".join(f"{prefix}{self.identifier(key)} = {self.literal(value)}" for key, value in pairs)

    def add_constraint(self, table: Table, name: str, definition: str) -> str:
        return f"ALTER TABLE {self.table(table)} ADD CONSTRAINT {self.identifier(name)} {definition}"

    def drop_constraint(self, table: Table, name: str) -> str:
        return f"ALTER TABLE {self.table(table)} DROP CONSTRAINT {self.identifier(name)}"

    def create_index(self, table: Table, name: str, index: Detail) -> str:
        unique = "UNIQUE " if index["prefix"] == "unique" else ""
        return f"CREATE {unique}INDEX {self.identifier(name)} ON {self.table(table)} {index['definition']}"

    def index_settings(self, table: Table, name: str, index: Detail) -> list[str]:
        """Comment, statistics, clustering and replica identity of an index."""
        schema = Table(name, table.schema)
        statements = []
        if index["statistics"]:
            statements += [
                f"ALTER INDEX {self.table(schema)} ALTER COLUMN {int(number)} SET STATISTICS {int(target)}"
                for number, target in index["statistics"].items()
            ]
        if index["constraint"] and index["options"]:
            statements.append(f"ALTER INDEX {self.table(schema)} SET ({self.options(index['options'])})")
        if index["comment"] is not None:
            statements.append(f"COMMENT ON INDEX {self.table(schema)} IS {self.literal(index['comment'])}")
        if index["clustered"]:
            statements.append(f"ALTER TABLE {self.table(table)} CLUSTER ON {self.identifier(name)}")
        if index["replica_identity"]:
            statements.append(f"ALTER TABLE {self.table(table)} REPLICA IDENTITY USING INDEX {self.identifier(name)}")
        return statements

    def add_identity(self, table: Table, sequence: str, name: Table, detail: Detail, always: bool) -> str:
        """Make a column an identity, its sequence under a name of our own."""
        cycle = "CYCLE" if detail["cycle"] else "NO CYCLE"
        return self.alter_column(
            table,
            sequence,
            f"ADD GENERATED {'ALWAYS' if always else 'BY DEFAULT'} AS IDENTITY (SEQUENCE NAME {self.table(name)} "
            f"START WITH {int(detail['start'])} INCREMENT BY {int(detail['increment'])} MINVALUE {int(detail['min'])} "
            f"MAXVALUE {int(detail['max'])} CACHE {int(detail['cache'])} {cycle})",
        )

    def comment_column(self, table: Table, column: str, comment: str) -> str:
        return f"COMMENT ON COLUMN {self.table(table)}.{self.identifier(column)} IS {self.literal(comment)}"

    def comment_constraint(self, table: Table, name: str, comment: str) -> str:
        target = f"{self.identifier(name)} ON {self.table(table)}"
        return f"COMMENT ON CONSTRAINT {target} IS {self.literal(comment)}"

    def table_settings(self, table: Table, relation: Detail) -> list[str]:
        """Storage parameters, replica identity and owner of a table."""
        head = f"ALTER TABLE {self.table(table)}"
        statements = []
        if relation["options"]:
            statements.append(f"{head} SET ({self.options(relation['options'])})")
        if relation["toast_options"]:
            statements.append(f"{head} SET ({self.options(relation['toast_options'], 'toast.')})")
        if relation["replica_identity"] in _REPLICA_IDENTITY:
            statements.append(f"{head} REPLICA IDENTITY {_REPLICA_IDENTITY[relation['replica_identity']]}")
        return statements

    def set_owner(self, table: Table, owner: str) -> str:
        return f"ALTER TABLE {self.table(table)} OWNER TO {self.identifier(owner)}"

    def revoke(self, table: Table, grant: Detail) -> str:
        """Undo all privileges of one grantee on the table, or on one of its columns."""
        return f"REVOKE {self._on(grant, 'ALL')} ON {self.table(table)} FROM {self._grantee(grant)}"

    def grant(self, table: Table, grant: Detail) -> list[str]:
        """Grant again, as the role that granted it."""
        statements = []
        for option in (False, True):
            words = [word for word, grantable in grant["privileges"] if grantable is option]
            if words:
                listed = ", ".join(self._on(grant, word) for word in words)
                tail = " WITH GRANT OPTION" if option else ""
                statements.append(f"GRANT {listed} ON {self.table(table)} TO {self._grantee(grant)}{tail}")
        return [f"SET LOCAL ROLE {self.identifier(grant['grantor'])}", *statements, "RESET ROLE"]

    def _on(self, grant: Detail, word: str) -> str:
        return f"{word} ({self.identifier(grant['column'])})" if grant["column"] else word

    def _grantee(self, grant: Detail) -> str:
        return "PUBLIC" if grant["grantee"] is None else self.identifier(grant["grantee"])
