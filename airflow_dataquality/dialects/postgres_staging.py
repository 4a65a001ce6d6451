"""SQL of staging tables on Postgres: make, fill, mark, find, drop."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Partition, Scalar, Table

MARK = '{"airflow_dataquality":'
"""How the comment begins on every table that the package makes beside the user's."""

_MARKED = """
SELECT n.nspname, c.relname, d.description FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_class c ON c.oid = d.objoid AND c.relkind = 'r'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND starts_with(d.description, {mark}){schema}
ORDER BY n.nspname, c.relname
"""


class StagingSql(Names):
    """Statements about staging tables. Columns are the details of ``column`` features."""

    def lock_key(self, *words: str | None) -> int:
        """The key of an advisory lock for these words: 64 bits, signed."""
        text = "\x1f".join("" if word is None else word for word in ("airflow_dataquality", *words))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)

    def own(self, table: Table) -> str:
        """Own the table until the session ends, and say what to write into its mark of that."""
        return f"SELECT pg_advisory_lock({self.lock_key('own', table.schema, table.name)})"

    def try_own(self, table: Table, owner: str) -> str:
        """Whether nobody alive owns the table; if so, it is ours now.

        :param owner: what its mark says
        """
        return f"SELECT pg_try_advisory_lock({self.lock_key('own', table.schema, table.name)})"

    def disown(self, table: Table) -> str | None:
        """Give the ownership back, where that takes a statement."""
        return f"SELECT pg_advisory_unlock({self.lock_key('own', table.schema, table.name)})"

    def create_stage(
        self, stage: Table, table: Table, columns: Mapping[str, Mapping[str, Any]], *, supplied: Sequence[str],
        appended: Mapping[str, str], relation: Mapping[str, Any], defaults: Mapping[str, str],
    ) -> list[str]:  # fmt: skip
        """Make a table with the columns of another and nothing else: no constraint may stop a bad row unchecked.

        :param columns: the table's
        :param supplied: the columns that will be filled
        :param appended: columns that the table does not have yet → type
        :param defaults: of the stage's columns that are not filled
        """
        made = {**columns, **{name: {**_PLAIN, "type": kind} for name, kind in appended.items()}}
        listed = ", ".join(self._column(name, column, defaults) for name, column in made.items())
        using = f" USING {self.identifier(relation['method'])}" if relation["method"] else ""
        return [f"CREATE TABLE {self.table(stage)} ({listed}){using}", *self._storage(stage, made)]

    def _column(self, name: str, column: Mapping[str, Any], defaults: Mapping[str, str]) -> str:
        words = [self.identifier(name), column["type"]]
        if column["compression"]:
            words.append(f"COMPRESSION {_COMPRESSION[column['compression']]}")
        if column["collation"]:
            words.append(f"COLLATE {column['collation']}")
        if column["generated"]:
            kind = {"s": "STORED", "v": "VIRTUAL"}[column["generated"]]
            words.append(f"GENERATED ALWAYS AS ({column['default']}) {kind}")
        elif name in defaults:
            words.append(f"DEFAULT {defaults[name]}")
        return " ".join(words)

    def create_stage_as(self, stage: Table, select: str) -> str:
        """An empty table with the SELECT's columns."""
        return f"CREATE TABLE {self.table(stage)} AS\n{select}\nWITH NO DATA"

    def create_typed(self, stage: Table, types: Mapping[str, str]) -> list[str]:
        """An empty table with columns of types that were checked before."""
        listed = ", ".join(f"{self.identifier(name)} {kind}" for name, kind in types.items())
        return [f"CREATE TABLE {self.table(stage)} ({listed})"]

    def dress_new(
        self, stage: Table, *, indexes: Iterable[tuple[str, Sequence[str], bool]], comments: Mapping[str, str]
    ) -> list[str]:
        """Give a new table its indexes and comments.

        :param indexes: name, columns, and whether it is the primary key
        """
        made = [
            f"ALTER TABLE {self.table(stage)} ADD CONSTRAINT {self.identifier(name)} "
            f"PRIMARY KEY ({self.identifiers(columns)})"
            if key
            else f"CREATE INDEX {self.identifier(name)} ON {self.table(stage)} ({self.identifiers(columns)})"
            for name, columns, key in indexes
        ]
        return [*made, *self._comments(stage, comments)]

    def _comments(self, table: Table, comments: Mapping[str, str]) -> list[str]:
        return [
            f"COMMENT ON COLUMN {self.table(table)}.{self.identifier(name)} IS {self.literal(comment)}"
            for name, comment in comments.items()
        ]

    def create_sorted_as(self, stage: Table, select: str, column: str, index: Table) -> Sequence[str]:
        """An empty table with the SELECT's columns, in which rows are found by one of them."""
        return self.create_stage_as(stage, select), *self.sort_by(stage, column, index)

    def sort_by(self, stage: Table, column: str, index: Table) -> Sequence[str]:
        """Have rows found by a column."""
        return (f"CREATE INDEX {self.identifier(index.name)} ON {self.table(stage)} ({self.identifier(column)})",)

    def create_temporary_like(self, table: Table, stage: Table) -> str:
        """A table of this session alone with a stage's columns."""
        like = f"LIKE {self.table(stage)} INCLUDING DEFAULTS INCLUDING GENERATED"
        return f"CREATE TEMPORARY TABLE {self.table(table)} ({like})"

    def lock_chunk(self, stage: Table, number: int) -> str:
        """Keep others from staging the same chunk, until the transaction ends."""
        return f"SELECT pg_advisory_xact_lock({self.lock_key('chunk', stage.schema, stage.name, str(number))})"

    def moved_on(self, sqlstate: str | None, message: str) -> bool:
        """Whether a statement failed as another run exchanged what it reads, or draws numbers from."""
        return sqlstate == "XX000"  # what has the name is not what had it when it was looked up

    def select(self, columns: Sequence[str], table: Table, where: str | None = None, *, only: bool = False) -> str:
        """Rows of a table, columns by name."""
        source = ("ONLY " if only else "") + self.table(table)
        return f"SELECT {self.identifiers(columns)} FROM {source}" + (f" WHERE {where}" if where else "")

    def next_value(self, sequence: str) -> str:
        """The next number of a sequence, whose name is quoted already; looked up late, so that nothing depends on it.

        https://www.postgresql.org/docs/current/functions-sequence.html
        """
        return f"nextval({self.text(sequence)}::text::regclass)"

    def _storage(self, stage: Table, columns: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """How long values are stored, which must be said before they are."""
        return [
            f"ALTER TABLE {self.table(stage)} ALTER COLUMN {self.identifier(name)} SET STORAGE {_STORAGE[c['storage']]}"
            for name, c in columns.items()
            if c["storage"]
        ]

    def mark(self, table: Table, comment: str | None) -> str:
        """Set or remove the table's comment."""
        return f"COMMENT ON TABLE {self.table(table)} IS {self.literal(comment)}"

    def marked(self, schema: str | None) -> str:
        """The tables with a mark: schema, name, comment."""
        where = f" AND n.nspname = {self.literal(schema)}" if schema else ""
        return _MARKED.format(mark=self.literal(MARK), schema=where)

    def drop(self, table: Table) -> str:
        """Drop a table, and nothing that depends on it."""
        return f"DROP TABLE {self.table(table)}"

    def drop_if_exists(self, table: Table) -> str:
        """Drop a table that another may have dropped already."""
        return f"DROP TABLE IF EXISTS {self.table(table)}"

    def strays(self, stage: Table, partition: Partition) -> str:
        """The three most frequent keys that are not the partition's, and how many rows have them."""
        keys = self.identifiers(column for column, _ in partition.key)
        return (
            f"SELECT {keys}, count(*) FROM {self.table(stage)} WHERE ({self.rows_of(partition)}) IS NOT TRUE "
            f"GROUP BY {keys} ORDER BY count(*) DESC, {keys} LIMIT 3"
        )

    def analyze(self, table: Table) -> str:
        """Have the planner know the rows."""
        return f"ANALYZE {self.table(table)}"

    def fill_id(self) -> str | None:
        """The transaction that fills the stage."""
        return "SELECT pg_current_xact_id()::xid::text"

    def clock(self) -> str:
        """The server's time now."""
        return "SELECT clock_timestamp()::text"

    def strangers(self) -> str | None:
        """Transactions of others now whose snapshot may not be seen, as they belong to roles out of our sight."""
        return (
            "SELECT l.virtualtransaction FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
            "WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND a.pid <> pg_backend_pid() "
            "AND a.datid = (SELECT oid FROM pg_database WHERE datname = current_database()) "
            "AND a.query = '<insufficient privilege>'"
        )

    def older_snapshots(self, fill_id: str, filled_at: str, strangers: Iterable[str]) -> str:
        """Backends that hold a snapshot in which the stage is still empty.

        https://www.postgresql.org/docs/current/mvcc-caveats.html
        """
        seen = (
            "SELECT a.pid FROM pg_stat_activity a WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() "
            f"AND a.backend_type = 'client backend' AND a.xact_start <= {self.literal(filled_at)}::timestamptz "
            f"AND age(a.backend_xmin) >= age({self.literal(fill_id)}::xid)"
        )
        listed = ", ".join(map(self.literal, strangers))
        if not listed:
            return seen
        return (
            f"{seen} UNION SELECT l.pid FROM pg_locks l WHERE l.locktype = 'virtualxid' "
            f"AND l.mode = 'ExclusiveLock' AND l.virtualtransaction IN ({listed})"
        )

    def canonical(self, value: Scalar, type_name: str) -> str:
        """A value as the type prints it, whatever the session's date style and time zone."""
        if type_name.startswith("character"):  # a cast to varchar(3) would cut a longer value, silently
            return f"SELECT {self.literal(value)}::text"
        cast = f"CAST({self.literal(value)} AS {type_name})"
        if type_name.startswith("timestamp") and type_name.endswith("with time zone"):
            return f"SELECT to_jsonb({cast} AT TIME ZONE 'UTC') #>> '{{}}' || '+00:00'"
        if type_name.startswith(("date", "timestamp")):
            return f"SELECT to_jsonb({cast}) #>> '{{}}'"
        if type_name == "numeric":  # 1.5 and 1.50 are equal, and so are one partition
            return f"SELECT trim_scale({cast})::text"
        return f"SELECT {cast}::text"


_PLAIN = {"compression": "", "collation": None, "generated": "", "default": None, "storage": None}
_STORAGE = {"p": "PLAIN", "e": "EXTERNAL", "m": "MAIN", "x": "EXTENDED"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}
