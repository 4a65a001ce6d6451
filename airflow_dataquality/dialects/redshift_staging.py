"""SQL of staging and exchanging tables on Redshift, where it is not Postgres'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from airflow_dataquality.dialects.postgres_dressing import Detail
from airflow_dataquality.dialects.postgres_exchange import ExchangeSql
from airflow_dataquality.dialects.postgres_staging import MARK
from airflow_dataquality.model import Partition, Scalar, Table

_MARKED = """
SELECT n.nspname, c.relname, m.description
FROM pg_description AS m JOIN pg_class AS c ON c.oid = m.objoid AND m.objsubid = 0 AND c.relkind = 'r'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_user AS u ON u.usename = current_user
WHERE (c.relowner = u.usesysid OR u.usesuper) AND m.description LIKE {mark}{schema}
ORDER BY n.nspname, c.relname
"""

# The connection's process id is given to another one day, so that the start is part of the name.
_SESSION = "CAST(process AS VARCHAR) || ' ' || CAST(starttime AS VARCHAR)"


class StagingSql(ExchangeSql):
    """Redshift has no advisory locks, no row locks, no lock_timeout, and commits on TRUNCATE."""

    begin = "BEGIN"
    busy = frozenset({"57014"})  # query_canceled, by the timeout that is set for LOCK alone
    who_locks = "SVV_TRANSACTIONS"

    def own(self, table: Table) -> str:
        """The session itself, and whose it is: https://docs.aws.amazon.com/redshift/latest/dg/r_STV_SESSIONS.html."""
        return f"SELECT {_SESSION} || ' ' || current_user FROM stv_sessions WHERE process = pg_backend_pid()"

    def try_own(self, table: Table, owner: str) -> str:
        """Whether the owner's session is gone, as far as this user can know: nobody sees those of other users."""
        if not owner:  # it is kept for people to look at
            return "SELECT TRUE"
        mine = f"RIGHT({self.text(owner)}, LEN(u.usename) + 1) = ' ' || u.usename"
        alive = f"SELECT 1 FROM stv_sessions WHERE STRPOS({self.text(owner)}, {_SESSION} || ' ') = 1"
        return (
            f"SELECT (u.usesuper OR {mine}) AND NOT EXISTS ({alive}) FROM pg_user AS u WHERE u.usename = current_user"
        )

    def disown(self, table: Table) -> str | None:
        return None

    def create_stage(
        self, stage: Table, table: Table, columns: Mapping[str, Detail], *, supplied: Sequence[str],
        appended: Mapping[str, str], relation: Detail, defaults: Mapping[str, str],
    ) -> list[str]:  # fmt: skip
        """LIKE keeps distribution, sort keys and encodings, and makes of an identity a column like any other.

        https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_NEW.html#create-table-parameters-like
        """
        numbered = [name for name, column in columns.items() if column["identity"] and name not in supplied]
        name = self.table(stage)
        return [
            f"CREATE TABLE {name} (LIKE {self.table(table)} INCLUDING DEFAULTS)",
            *(f"ALTER TABLE {name} DROP COLUMN {self.identifier(column)}" for column in numbered),
            *self.add_columns(stage, appended),
        ]

    def create_stage_as(self, stage: Table, select: str) -> str:
        """CREATE TABLE AS without WITH NO DATA."""
        return f"CREATE TABLE {self.table(stage)} AS\nSELECT * FROM (\n{select}\n) AS q LIMIT 0"

    def dress_new(
        self, stage: Table, *, indexes: Iterable[tuple[str, Sequence[str], bool]], comments: Mapping[str, str]
    ) -> list[str]:
        """Comments alone: there are no indexes, and a primary key needs columns that were made NOT NULL.

        https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html
        """
        return self._comments(stage, comments)

    def create_sorted_as(self, stage: Table, select: str, column: str, index: Table) -> Sequence[str]:
        """CREATE TABLE AS with a sort key: https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_AS.html."""
        key = self.identifier(column)
        return (f"CREATE TABLE {self.table(stage)} SORTKEY ({key}) AS\nSELECT * FROM (\n{select}\n) AS q LIMIT 0",)

    def sort_by(self, stage: Table, column: str, index: Table) -> Sequence[str]:
        """Nothing: a table has the sort key that it was made with."""
        return ()

    def create_temporary_like(self, table: Table, stage: Table) -> str:
        return f"CREATE TEMPORARY TABLE {self.table(table)} (LIKE {self.table(stage)} INCLUDING DEFAULTS)"

    def lock_chunk(self, stage: Table, number: int) -> str:
        """The table's own lock, before the snapshot is taken: writers of one table wait for each other anyway.

        https://docs.aws.amazon.com/redshift/latest/dg/c_Concurrent_writes.html
        """
        return f"LOCK TABLE {self.table(stage)}"

    def moved_on(self, sqlstate: str | None, message: str) -> bool:
        return self.retry_reason(sqlstate, message) is not None or "could not open relation" in message

    def marked(self, schema: str | None) -> str:
        where = f" AND n.nspname = {self.literal(schema)}" if schema else ""
        return _MARKED.format(mark=self.text(MARK + "%"), schema=where)

    def fill_id(self) -> str | None:
        return None

    def clock(self) -> str:
        return "SELECT CAST(SYSDATE AS VARCHAR)"

    def strangers(self) -> str | None:
        return None

    def older_snapshots(self, fill_id: str, filled_at: str, strangers: Iterable[str]) -> str:
        """Transactions in which the stage is still empty, as far as they may be seen.

        https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_TRANSACTIONS.html
        """
        return (
            "SELECT DISTINCT pid FROM svv_transactions "
            f"WHERE pid <> pg_backend_pid() AND txn_start <= CAST({self.text(filled_at)} AS TIMESTAMP)"
        )

    def canonical(self, value: Scalar, type_name: str) -> str:
        literal = self.literal(value)
        if type_name.startswith("character"):
            return f"SELECT CAST({literal} AS VARCHAR)"
        if type_name == "boolean":  # has no cast to text
            return f"SELECT CASE WHEN CAST({literal} AS BOOLEAN) THEN 'true' ELSE 'false' END"
        if type_name == "date":
            return f"SELECT TO_CHAR(CAST({literal} AS DATE), 'YYYY-MM-DD')"
        if type_name == "timestamp with time zone":
            utc = f"CAST({literal} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'"
            return f"""SELECT TO_CHAR({utc}, 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00'"""
        if type_name.startswith("timestamp"):
            return f"""SELECT TO_CHAR(CAST({literal} AS TIMESTAMP), 'YYYY-MM-DD"T"HH24:MI:SS')"""
        return f"SELECT CAST(CAST({literal} AS {type_name}) AS VARCHAR)"

    def lock_timeout(self, seconds: float | None) -> str:
        """The nearest thing is https://docs.aws.amazon.com/redshift/latest/dg/r_statement_timeout.html."""
        value = "DEFAULT" if seconds is None else max(1, round(seconds * 1000))
        return f"SET LOCAL statement_timeout TO {value}"

    def publication_locks(
        self, partition: Partition, timeout: float, *, whole: bool
    ) -> Sequence[tuple[str | None, str]]:
        """The table's own lock, before the first statement that takes a snapshot. Readers wait behind it.

        https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html
        """
        patience = max(timeout, PATIENCE)
        lock = f"LOCK TABLE {self.table(partition.table)}"
        return [(None, self.lock_timeout(patience)), (None, lock), (None, self.lock_timeout(None))]

    def decision_locks(self, partition: Partition) -> Sequence[str]:
        """None: of two that read and append the same verdicts, serializable isolation ends one."""
        return ()

    def retry_reason(self, sqlstate: str | None, message: str) -> str | None:
        """https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation-serializable-isolation-troubleshooting.html."""
        if message.startswith("1023") or "Serializable isolation violation" in message:
            return "serializable isolation violation (error 1023)"
        return message if "concurrent transaction" in message else None

    def may_be(self, role: str) -> str:
        """Whether this user may give a table to the role: superusers may, else it is their own."""
        same = f"current_user = {self.text(role)} OR usesuper"
        return f"SELECT {same}, {same} FROM pg_user WHERE usename = current_user"

    def side_effects(self, oid: int) -> str | None:
        """No triggers, no rules, and foreign keys are not enforced."""
        return None

    def add_columns(self, table: Table, columns: Mapping[str, str]) -> list[str]:
        """One column a statement: https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html."""
        return [
            f"ALTER TABLE {self.table(table)} ADD COLUMN {self.identifier(name)} {kind}"
            for name, kind in columns.items()
        ]

    def revoke(self, table: Table, grant: Detail) -> str:
        return f"REVOKE {self._privilege(grant)} ON {self.table(table)} FROM {self._grantee(grant)}"

    def grant(self, table: Table, grant: Detail) -> list[str]:
        tail = " WITH GRANT OPTION" if grant["grantable"] else ""
        return [f"GRANT {self._privilege(grant)} ON {self.table(table)} TO {self._grantee(grant)}{tail}"]

    def _privilege(self, grant: Detail) -> str:
        """A word, as the catalog's view spells it."""
        column = f" ({self.identifier(grant['column'])})" if grant["column"] else ""
        return f"{grant['privilege']}{column}"

    def _grantee(self, grant: Detail) -> str:
        kind = str(grant["grantee_type"]).upper()
        if kind == "PUBLIC":
            return "PUBLIC"
        return f"{kind} {self.identifier(grant['grantee'])}" if kind in ("GROUP", "ROLE") else super()._grantee(grant)

    def delete(self, table: Table, where: str | None, *, only: bool) -> str:
        return super().delete(table, where, only=False)

    def insert_from(self, table: Table, columns: Sequence[str], stage: Table, *, overriding: bool) -> str:
        return super().insert_from(table, columns, stage, overriding=False)

    def copy_table(self, copy: Table, columns: Sequence[str], table: Table, where: str | None, *, only: bool) -> str:
        return super().copy_table(copy, columns, table, where, only=False)


PATIENCE = 2.0
"""Seconds that LOCK is given at least: planning alone may take longer than what Postgres needs for a lock."""
