"""SQL of exchanging a table's rows on Postgres: lock, overwrite, attach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.postgres_dressing import DressingSql
from airflow_dataquality.model import Partition, Table

_SIDE_EFFECTS = """
WITH tree AS (
  SELECT {oid}::oid AS relid UNION SELECT relid::oid FROM pg_partition_tree({oid}::regclass)
)
SELECT g.tgname, format('trigger %I of %s fires', g.tgname, g.tgrelid::regclass)
FROM tree JOIN pg_trigger g ON g.tgrelid = tree.relid
WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgparentid = 0
UNION ALL
SELECT r.rulename, format('rule %I of %s rewrites the statement', r.rulename, r.ev_class::regclass)
FROM tree JOIN pg_rewrite r ON r.ev_class = tree.relid WHERE r.ev_type IN ('2', '3', '4') AND r.ev_enabled <> 'D'
UNION ALL
SELECT k.conname, format('foreign key %I of %s changes its rows (ON DELETE %s)', k.conname, k.conrelid::regclass,
       CASE k.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' ELSE 'SET DEFAULT' END)
FROM tree JOIN pg_constraint k ON k.confrelid = tree.relid
WHERE k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd') AND k.conparentid = 0
UNION ALL
SELECT 'row_security', format('row security of %s hides rows from this role', c.oid::regclass)
FROM tree JOIN pg_class c ON c.oid = tree.relid WHERE row_security_active(c.oid)
UNION ALL
SELECT p.pubname, format('publication %I sends deletes, and %s has no replica identity', p.pubname, c.oid::regclass)
FROM tree JOIN pg_class c ON c.oid = tree.relid AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname
JOIN pg_publication p ON p.pubname = t.pubname AND (p.pubdelete OR p.pubupdate)
WHERE c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS (
  SELECT 1 FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND x.indisvalid))
"""

_RETRY = {"55P03": "a lock was not free", "40P01": "deadlock", "40001": "serialization failure"}


class ExchangeSql(DressingSql):
    """Statements of the exchange. Details are those of features."""

    who_locks = "pg_stat_activity"
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"  # an earlier snapshot would not see the publication waited for

    def lock_timeout(self, seconds: float | None) -> str:
        """How long the next statements of this transaction may wait for a lock; None is for ever, as 0 is there."""
        return f"SET LOCAL lock_timeout = {0 if seconds is None else max(1, round(seconds * 1000))}"

    def steady_plans(self) -> tuple[str, ...]:
        """Run prepared statements without planning them again, and without compiling them."""
        return "SET LOCAL plan_cache_mode = force_generic_plan", "SET LOCAL jit = off"

    def may_be(self, role: str) -> str:
        """Whether this connection may SET ROLE; and whether it has the role's rights without.

        They are apart since Postgres 16. https://www.postgresql.org/docs/current/role-membership.html
        """
        name = self.text(role)
        word = "CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'SET' END"
        return f"SELECT pg_has_role(current_user, {name}, {word}), pg_has_role(current_user, {name}, 'USAGE')"

    def publication_locks(
        self, partition: Partition, timeout: float, *, whole: bool
    ) -> Sequence[tuple[str | None, str]]:
        """Advisory locks, which no reader waits behind: exclusive on the rows, shared on the table they are part of."""
        table = partition.table
        pairs: list[tuple[str | None, str]] = [(None, self.lock_timeout(None))]
        pairs.append(self._advise(self.lock_key("table", table.schema, table.name), shared=not whole))
        if not whole:
            pairs.append(self._advise(self.lock_key("partition", table.schema, table.name, partition.json)))
        return pairs

    def decision_locks(self, partition: Partition) -> Sequence[str]:
        """Statements that wait for whoever publishes the same rows, and for nobody who reads them."""
        return [wait for _, wait in self.publication_locks(partition, 0, whole=not partition.key)]

    def _advise(self, key: int, *, shared: bool = False) -> tuple[str, str]:
        function = f"advisory_xact_lock{'_shared' if shared else ''}({key})"
        return f"SELECT pg_try_{function}", f"SELECT pg_{function}"

    def retry_reason(self, sqlstate: str | None, message: str) -> str | None:
        return _RETRY.get(sqlstate or "")

    def lock_table(self, table: Table, mode: str) -> str:
        """Lock a table until the transaction ends, but no partition of it."""
        return f"LOCK TABLE ONLY {self.table(table)} IN {mode} MODE"

    def side_effects(self, oid: int) -> str | None:
        """What writing sets off beside changing rows: name, and what it does. None where nothing can."""
        return _SIDE_EFFECTS.format(oid=int(oid))

    def add_columns(self, table: Table, columns: Mapping[str, str]) -> list[str]:
        actions = ", ".join(f"ADD COLUMN {self.identifier(name)} {kind}" for name, kind in columns.items())
        return [f"ALTER TABLE {self.table(table)} {actions}"]

    # -- overwriting

    def delete(self, table: Table, where: str | None, *, only: bool) -> str:
        source = ("ONLY " if only else "") + self.table(table)
        return f"DELETE FROM {source}" + (f" WHERE {where}" if where else "")

    def insert_from(self, table: Table, columns: Sequence[str], stage: Table, *, overriding: bool) -> str:
        """All rows of the stage, columns by name."""
        names = self.identifiers(columns)
        words = " OVERRIDING SYSTEM VALUE" if overriding else ""
        return f"INSERT INTO {self.table(table)} ({names}){words} SELECT {names} FROM {self.table(stage)}"

    def defer_constraints(self) -> str:
        return "SET CONSTRAINTS ALL DEFERRED"

    def delete_lost(self, table: Table, stage: Table, key: Sequence[str], where: str | None, *, only: bool) -> str:
        """Delete the rows whose key the stage does not have."""
        source = ("ONLY " if only else "") + self.table(table)
        scope = f"{where} AND " if where else ""
        return (
            f"DELETE FROM {source} AS t WHERE {scope}NOT EXISTS "
            f"(SELECT 1 FROM {self.table(stage)} AS s WHERE {self._same(key)})"
        )

    def update_changed(
        self, table: Table, stage: Table, key: Sequence[str], columns: Sequence[str], where: str | None, *, only: bool
    ) -> str:
        """Update the rows whose values differ in any byte: ``*<>`` compares what is stored, for every type."""
        rest = [column for column in columns if column not in key]
        target = ("ONLY " if only else "") + self.table(table)
        sets = ", ".join(f"{self.identifier(c)} = s.{self.identifier(c)}" for c in rest)
        scope = f" AND {where}" if where else ""
        # Two bare rows would be compared column by column, for which there is no such operator.
        rows = (f"CAST(ROW({self.identifiers(rest, of=alias)}) AS record)" for alias in "ts")
        differ = " *<> ".join(rows)
        return (
            f"UPDATE {target} AS t SET {sets} FROM {self.table(stage)} AS s WHERE {self._same(key)}{scope} AND {differ}"
        )

    def insert_new(
        self, table: Table, stage: Table, key: Sequence[str], columns: Sequence[str], where: str | None,
        *, overriding: bool,
    ) -> str:  # fmt: skip
        """Insert the rows whose key the table does not have."""
        scope = f" AND {where}" if where else ""
        words = " OVERRIDING SYSTEM VALUE" if overriding else ""
        return (
            f"INSERT INTO {self.table(table)} ({self.identifiers(columns)}){words} "
            f"SELECT {self.identifiers(columns, of='s')} FROM {self.table(stage)} AS s "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self.table(table)} AS t WHERE {self._same(key)}{scope})"
        )

    def _same(self, key: Sequence[str]) -> str:
        return " AND ".join(f"s.{self.identifier(c)} = t.{self.identifier(c)}" for c in key)

    def copy_table(self, copy: Table, columns: Sequence[str], table: Table, where: str | None, *, only: bool) -> str:
        source = ("ONLY " if only else "") + self.table(table)
        tail = f" WHERE {where}" if where else ""
        return f"CREATE TABLE {self.table(copy)} AS SELECT {self.identifiers(columns)} FROM {source} AS t{tail}"

    # -- attaching

    def detach(self, table: Table, child: Table) -> str:
        return f"ALTER TABLE {self.table(table)} DETACH PARTITION {self.table(child)}"

    def attach(self, table: Table, child: Table, bound: str) -> str:
        return f"ALTER TABLE {self.table(table)} ATTACH PARTITION {self.table(child)} {bound}"

    def create_child(self, child: Table, table: Table, bound: str) -> str:
        """An empty partition, with all that its table gives to one."""
        return f"CREATE TABLE {self.table(child)} PARTITION OF {self.table(table)} {bound}"

    def partitioning(self, oid: int) -> str:
        """Strategy, key columns (NULL for an expression), and whether there is a DEFAULT partition."""
        return (
            "SELECT p.partstrat::text, ARRAY(SELECT (SELECT a.attname FROM pg_attribute a "
            "WHERE a.attrelid = p.partrelid AND a.attnum = k.n) "
            "FROM unnest(p.partattrs::int2[]) WITH ORDINALITY AS k (n, i) ORDER BY k.i)::text[], "
            f"p.partdefid <> 0 FROM pg_partitioned_table p WHERE p.partrelid = {int(oid)}"
        )

    def partitions(self, oid: int) -> str:
        """The partitions but DEFAULT: oid, schema, name, kind, bound, and the predicate of its rows."""
        return (
            "SELECT c.oid, n.nspname, c.relname, c.relkind::text, pg_get_expr(c.relpartbound, c.oid), "
            "pg_get_partition_constraintdef(c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.inhparent = {int(oid)} "
            "AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT' ORDER BY c.oid"
        )

    def which_holds(self, value: str, column: str, predicates: Mapping[int, str]) -> str:
        """The number of the predicate that is true for the value."""
        cases = " ".join(f"WHEN {predicate} THEN {number}" for number, predicate in predicates.items())
        return f"SELECT CASE {cases} END FROM (SELECT {value} AS {self.identifier(column)}) AS r"

    def bounds(self, value: str, strategy: str, category: str) -> str:
        """The bound that admits exactly the value, in the words of the catalog; NULL if there is none.

        Days and whole numbers have a next one, so a range can hold one alone; a moment has none.
        """
        literal = _BOUND.format(v="v")
        if strategy == "l":
            return f"SELECT 'FOR VALUES IN (' || {literal} || ')' FROM (SELECT {value} AS v) AS r"
        if strategy == "r" and category == "discrete":
            bound = f"'FOR VALUES FROM (' || {literal} || ') TO (' || {_BOUND.format(v='(v + 1)')} || ')'"
            return f"SELECT {bound} FROM (SELECT {value} AS v) AS r"
        return "SELECT NULL"

    def cast(self, value: Any, type_name: str) -> str:
        """A value of a type."""
        return f"CAST({self.literal(value)} AS {type_name})"


# As the catalog prints a constant: get_const_expr() in
# https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/ruleutils.c
_BOUND = """CASE WHEN v IS NULL THEN 'NULL' WHEN CASE pg_typeof(v)
    WHEN 'integer'::regtype THEN {v}::text NOT LIKE '-%' WHEN 'numeric'::regtype THEN {v}::text ~ '^[0-9].*[.eE]'
    ELSE pg_typeof(v) = 'boolean'::regtype END
    THEN {v}::text ELSE '''' || replace({v}::text, '''', '''''') || '''' END"""
