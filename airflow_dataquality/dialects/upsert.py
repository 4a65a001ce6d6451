"""SQL of an upsert: a stage, what is wrong with its keys, and the statements that bring its rows into the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.dialects.pairing import Pairing
from airflow_dataquality.model import Column, Table


class UpsertSql(Names):
    """How a dialect upserts. The target is ``t`` and the stage ``s``, where the dialect has aliases."""

    strategies: Sequence[str] = ()
    """The strategies that the dialect has, in the order in which they are preferred; none if it cannot upsert."""
    aliases_target = True
    """Whether the target of UPDATE and DELETE can have an alias."""
    skips_in_stage = False
    """Whether rows that are in the table already have to leave the stage to be skipped."""
    merge_reports_rows = True
    """Whether the driver knows how many rows a MERGE wrote."""
    merge_must_update = False
    """Whether a MERGE needs a column to update."""

    # -- the stage

    def distribution(self, table: Table) -> str | None:
        """A query for the column by which the table's rows are distributed, where they are."""
        return None

    def create_temp(self, stage: Table, table: Table, columns: Sequence[str], distribution: str | None = None) -> str:
        """An empty table that ends with the session, its columns typed as the table's, without their constraints."""
        distributed = f" DISTKEY ({self.identifier(distribution)})" if distribution else ""
        return (
            f"CREATE TEMP TABLE {self.table(stage)}{distributed} AS "
            f"SELECT {self.identifiers(columns)} FROM {self.table(table)} WHERE 1 = 0"
        )

    def drop_temp(self, stage: Table) -> str:
        return f"DROP TABLE IF EXISTS {self.table(stage)}"

    def ready(self, stage: Table, keys: Sequence[str]) -> Sequence[str]:
        """What makes joins with the filled stage fast."""
        return (f"ANALYZE {self.table(stage)}",)

    # -- its keys

    def null_patterns(self, stage: Table, keys: Sequence[str]) -> str:
        """For each set of keys that are NULL together: 1 or 0 for each key, and the number of rows."""
        flags = ", ".join(f"CASE WHEN {self.identifier(key)} IS NULL THEN 1 ELSE 0 END" for key in keys)
        groups = ", ".join(str(number) for number in range(1, len(keys) + 1))
        return f"SELECT {flags}, COUNT(*) FROM {self.table(stage)} GROUP BY {groups}"

    def duplicates(self, stage: Table, keys: Sequence[str], table: Table, *, known: bool) -> str:
        """Up to three keys that several rows share, and how many; then the surplus rows, and the keys, of all such.

        :param table: what tells which keys are equal
        :param known: pass over rows with a NULL in a key
        """
        listed, count = self.identifiers(keys), self.identifier(unused("dq_rows", keys))
        where = f" WHERE {self._all_known(keys)}" if known else ""
        return (
            f"SELECT {listed}, {count}, SUM({count} - 1) OVER (), COUNT(*) OVER () FROM ("
            f"SELECT {listed}, COUNT(*) AS {count} FROM {self._staged(stage, keys, table)}{where} "
            f"GROUP BY {listed} HAVING COUNT(*) > 1) AS d ORDER BY {count} DESC, {listed} LIMIT 3"
        )

    def keep_last(
        self, kept: Table, stage: Table, columns: Sequence[Column], keys: Sequence[str], order_by: Sequence[str],
        table: Table, *, known: bool,
    ) -> str:  # fmt: skip
        """A table of the last row of each key. NULL comes first; of rows that came at once, the other columns decide.

        :param table: what tells which keys are equal
        :param known: leave out rows with a NULL in a key
        """
        supplied = [column.name for column in columns]
        names, rank = self.identifiers(supplied), self.identifier(unused("dq_rank", supplied))
        # By name, as the next run's source may have its columns in another order.
        by_name = sorted(columns, key=lambda column: column.name)
        order = ", ".join([*self._newest(order_by), *self._tie_break(by_name, order_by)])
        where = f" WHERE {self._all_known(keys)}" if known else ""
        return (
            f"CREATE TEMP TABLE {self.table(kept)} AS SELECT {names} FROM (SELECT {names}, ROW_NUMBER() OVER ("
            f"PARTITION BY {self.identifiers(keys)} ORDER BY {order}) AS {rank} "
            f"FROM {self._staged(stage, supplied, table)}{where}) AS r WHERE {rank} = 1"
        )

    def keep_known(self, kept: Table, stage: Table, columns: Sequence[Column], keys: Sequence[str]) -> str:
        """A table of the rows without a NULL in a key."""
        names = self.identifiers(column.name for column in columns)
        return (
            f"CREATE TEMP TABLE {self.table(kept)} AS SELECT {names} FROM {self.table(stage)} "
            f"WHERE {self._all_known(keys)}"
        )

    def _staged(self, stage: Table, columns: Sequence[str], table: Table) -> str:
        """The stage's rows, where they are compared with each other."""
        return self.table(stage)

    def _newest(self, names: Iterable[str]) -> list[str]:
        return [f"{self.identifier(name)} DESC NULLS LAST" for name in names]

    def _tie_break(self, columns: Sequence[Column], order_by: Sequence[str]) -> list[str]:
        rest = [column.name for column in columns if column.name not in order_by]
        return self._newest(rest)

    def _all_known(self, keys: Sequence[str]) -> str:
        return " AND ".join(f"{self.identifier(key)} IS NOT NULL" for key in keys)

    # -- the table

    def insertable(self, table: Table) -> str:
        """Of each column: its name, whether every INSERT must supply it, and whether none may."""
        raise AssertionError(f"{type(self).__name__} has no such statement")

    def unique_keys(self, table: Table) -> str | None:
        """Rows of (index, column, whether it is compared as the column is): the indexes that allow ON CONFLICT."""
        return None

    def merges(self) -> str | None:
        """Whether this server has MERGE; None if the dialect says all."""
        return None

    def side_effects(self, oid: int) -> str | None:
        """What writing sets off beside changing rows: name, and what it does. None where nothing can."""
        return None

    def kind_of(self, table: Table) -> str | None:
        """Whether it is a ``table`` or something else; None where that is known otherwise."""
        return None

    def write_locks(self, table: Table, wait: float, patience: float) -> Sequence[str]:
        """What keeps other writers out until the transaction ends, if the transaction alone does not.

        :param wait: seconds to wait for the table
        :param patience: seconds that later statements may wait for rows
        """
        return ()

    # -- from the stage into the table

    def matches(self, p: Pairing) -> str:
        """How many pairs there are, and how many rows of the stage have none."""
        here = self.identifier(unused("dq_here", p.keys))
        return (
            f"SELECT COUNT(t.{here}), COUNT(*) - COUNT(t.{here}) FROM {self.table(p.stage)} AS s LEFT JOIN "
            f"(SELECT {self.identifiers(p.keys)}, 1 AS {here} FROM {self.table(p.table)}) AS t "
            f"ON {self._same_key(p, 't', 's')}{self._of_pattern(p, 's', ' WHERE ')}"
        )

    def delete_same(self, p: Pairing, columns: Sequence[str]) -> str:
        """Take rows out of the stage that are in the table as they are."""
        target, source = self._place(p.stage, "s"), self._place(p.table, "t")
        return self._delete(p, p.stage, "s", p.table, "t", f" AND {self.same(columns, source, target)}")

    def delete_matching(self, p: Pairing) -> str:
        """Take rows out of the table that the stage replaces."""
        return self._delete(p, p.table, "t", p.stage, "s")

    def _delete(self, p: Pairing, table: Table, alias: str, using: Table, other: str, where: str = "") -> str:
        name = self._place(table, alias)
        refs = {alias: name, other: self._place(using, other)}
        return (
            f"DELETE FROM {self._aliased(table, alias)} USING {self._aliased(using, other)} "
            f"WHERE {self._same_key(p, refs['t'], refs['s'])}{self._of_pattern(p, refs['s'], ' AND ')}{where}"
        )

    def update_matching(self, p: Pairing, columns: Sequence[str], *, changed: bool) -> str:
        """Give rows of the table the stage's values.

        :param changed: only where they differ
        """
        t, s = self._place(p.table, "t"), self._place(p.stage, "s")
        where = f" AND {self.differ(columns, t, s)}" if changed else ""
        return (
            f"UPDATE {self._aliased(p.table, 't')} SET {self._values(columns, s)} FROM {self._aliased(p.stage, 's')} "
            f"WHERE {self._same_key(p, t, s)}{self._of_pattern(p, s, ' AND ')}{where}"
        )

    def insert_missing(self, p: Pairing, columns: Sequence[str]) -> str:
        """Insert rows that the table does not have."""
        return (
            f"INSERT INTO {self.table(p.table)} ({self.identifiers(columns)}) "
            f"SELECT {self.identifiers(columns, of='s')} "
            f"FROM {self.table(p.stage)} AS s WHERE NOT EXISTS (SELECT 1 FROM {self.table(p.table)} AS t "
            f"WHERE {self._same_key(p, 't', 's')}){self._of_pattern(p, 's', ' AND ')}"
        )

    def insert_all(self, table: Table, stage: Table, columns: Sequence[str]) -> str:
        """Insert the stage's rows, columns by name."""
        names = self.identifiers(columns)
        return f"INSERT INTO {self.table(table)} ({names}) SELECT {names} FROM {self.table(stage)}"

    def insert_or_update(self, p: Pairing, insert: Sequence[str], update: Sequence[str], *, changed: bool) -> str:
        """INSERT … ON CONFLICT: as one statement by a unique index on the keys."""
        action = "NOTHING"
        if update:
            where = f" WHERE {self.differ(update, 't', 'excluded')}" if changed else ""
            action = f"UPDATE SET {self._values(update, 'excluded')}{where}"
        names = self.identifiers(insert)
        # Without WHERE, SQLite would read ON as part of a join: https://www.sqlite.org/lang_upsert.html
        return (
            f"INSERT INTO {self.table(p.table)} AS t ({names}) SELECT {names} FROM {self.table(p.stage)} WHERE TRUE "
            f"ON CONFLICT ({self.identifiers(p.keys)}) DO {action}"
        )

    def reported(self, statement: str) -> str | None:
        """ON CONFLICT, and the numbers of rows inserted and updated; None if it cannot tell."""
        return None

    def merge(self, p: Pairing, insert: Sequence[str], update: Sequence[str], *, changed: bool) -> str:
        """MERGE, as the standard has it."""
        t, s = self._place(p.table, "t"), self._place(p.stage, "s")
        when = f" AND {self.differ(update, t, s)}" if changed else ""
        matched = f" WHEN MATCHED{when} THEN UPDATE SET {self._values(update, s)}" if update else ""
        return (
            f"MERGE INTO {self._aliased(p.table, 't')} USING {self._aliased(p.stage, 's')} "
            f"ON {self._same_key(p, t, s)}{matched} WHEN NOT MATCHED THEN "
            f"INSERT ({self.identifiers(insert)}) VALUES ({self.identifiers(insert, of=s)})"
        )

    def same(self, columns: Sequence[str], one: str, other: str) -> str:
        """That all columns of two rows are equal, NULL being equal to NULL."""
        pairs = ((f"{one}.{name}", f"{other}.{name}") for name in map(self.identifier, columns))
        return " AND ".join(f"({a} = {b} OR ({a} IS NULL AND {b} IS NULL))" for a, b in pairs)

    def differ(self, columns: Sequence[str], one: str, other: str) -> str:
        """That some columns of two rows are not equal, NULL being equal to NULL."""
        pairs = ((f"{one}.{name}", f"{other}.{name}") for name in map(self.identifier, columns))
        return "(" + " OR ".join(f"{a} IS DISTINCT FROM {b}" for a, b in pairs) + ")"

    def _same_key(self, p: Pairing, t: str, s: str) -> str:
        names = ((key in p.nulls, self.identifier(key)) for key in p.keys)
        return " AND ".join(f"{t}.{key} IS NULL" if null else f"{t}.{key} = {s}.{key}" for null, key in names)

    def _of_pattern(self, p: Pairing, s: str, lead: str) -> str:
        """Which rows of the stage are meant, where not all are."""
        if p.alone and not p.nulls:
            return ""
        words = (f"{s}.{self.identifier(key)} IS {'' if key in p.nulls else 'NOT '}NULL" for key in p.keys)
        return lead + " AND ".join(words)

    def _values(self, columns: Sequence[str], source: str) -> str:
        return ", ".join(f"{name} = {source}.{name}" for name in map(self.identifier, columns))

    def _aliased(self, table: Table, alias: str) -> str:
        return f"{self.table(table)} AS {alias}" if self.aliases_target else self.table(table)

    def _place(self, table: Table, alias: str) -> str:
        return alias if self.aliases_target else self.table(table)


def unused(word: str, names: Iterable[str]) -> str:
    """The word, made longer until no column has it as its name.

    >>> unused("n", ["id", "N"])
    'n_'
    """
    taken = {name.lower() for name in names}
    while word in taken:
        word += "_"
    return word
