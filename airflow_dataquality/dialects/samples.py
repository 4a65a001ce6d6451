"""SQL that finds the rows by which a check is outside its interval."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.metrics import MetricSql
from airflow_dataquality.dialects.predicate import rewritten
from airflow_dataquality.model import Column, Interval, Metric, Partition, Table

LONGEST = 500
"""Characters of a text that are read."""
_COUNTS = re.compile(r"COUNT\(CASE WHEN \{and\}(.*) THEN 1 END\)")
_LENGTHS = ("min_length", "max_length")

OFFENDS: Mapping[str, str] = {
    "null_count": "{x} IS NULL",
    "null_ratio": "{x} IS NULL",
    "outside_partition": "({key}) IS NOT TRUE",
    "check_statement": "{statement} IS NOT TRUE",
    "orphan_count": "{known} AND NOT EXISTS (SELECT 1 FROM {references} AS r WHERE {match})",
    "unseen_values": "{x} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {held} AS p WHERE p.{x} = s.{x})",
}
"""The predicate of the rows that a metric counts, of those whose own template does not say it."""


class SampleSql(MetricSql):
    """How a dialect shows rows. The rows asked for are called ``s``."""

    backslash_escapes = False
    """Whether a backslash in a plain text escapes what follows."""

    def offending(
        self, metric: Metric, bounds: Interval | None, what: Partition, columns: Sequence[Column]
    ) -> str | None:
        """The predicate of the rows to blame; None if no single row is.

        :param bounds: where the metric had to lie
        :param what: the partition that the rows are for
        :raises SpecError: if the predicate that a user wrote cannot be taken apart
        """
        if metric.kind in ("min", "max", *_LENGTHS):
            blamed = self._beyond(metric, bounds)
        else:
            blamed = self._counted(metric, what, columns)
        if blamed is None:
            return None
        return " AND ".join(self.clause(term) for term in (blamed, self.scope_of(metric, columns)) if term)

    def scope_of(self, metric: Metric, columns: Sequence[Column]) -> str | None:
        """The predicate of the rows that the metric is about; None if it is about all.

        :raises SpecError: if the predicate that a user wrote cannot be taken apart
        """
        group = self.rows_of(Partition(Table("-"), metric.group))
        return self.both(group, self._predicate(metric.where, columns) if metric.where else None)

    def _predicate(self, text: str, columns: Sequence[Column]) -> str:
        return rewritten(text, self, [column.name for column in columns], escapes=self.backslash_escapes)

    def _beyond(self, metric: Metric, bounds: Interval | None) -> str | None:
        """A minimum is too low by its lowest rows; that it is too high is no row's fault."""
        least = metric.kind.startswith("min")
        bound, is_open = (
            (None, False) if bounds is None
            else (bounds.low, bounds.low_open) if least
            else (bounds.high, bounds.high_open)
        )  # fmt: skip
        if bound is None:
            return None
        value = self.measured_on(metric)
        return f"{value} {'<' if least else '>'}{'=' if is_open else ''} {self.literal(bound)}"

    def measured_on(self, metric: Metric) -> str:
        """What the metric looks at in each row."""
        column = self.identifier(metric.columns[0])
        return f"CHAR_LENGTH({column})" if metric.kind in _LENGTHS else column

    def _counted(self, metric: Metric, what: Partition, columns: Sequence[Column]) -> str | None:
        own = _COUNTS.fullmatch(self.templates.get(metric.kind, ""))
        template = OFFENDS.get(metric.kind) or (own[1] if own else None)
        if template is None:
            return None
        parts: dict[str, Any] = {
            "x": self.identifier(metric.columns[0]) if metric.columns else "",
            "key": self.rows_of(what) or "1 = 1",
            "held": self.table(what.table),
        }
        parts |= self._keys(metric, what)
        parts |= {name: self._param(name, value) for name, value in metric.params if name != "statement"}
        if metric.kind == "check_statement":
            parts["statement"] = self._predicate(metric.param("statement"), columns)
        return template.format_map({"column": parts["x"], **parts})

    def repeated(self, metric: Metric, columns: Sequence[Column]) -> str:
        """The predicate of the rows that have a key."""
        known = " AND ".join(f"{self.identifier(column)} IS NOT NULL" for column in metric.columns)
        return self.both(known, self.scope_of(metric, columns)) or known

    def sample(
        self, stage: Table, shown: Sequence[Column], where: str, most: int, *, by: str | None = None, last: bool = False
    ) -> str:
        """Some rows.

        :param by: SQL of what they are sorted by
        :param last: the greatest first
        """
        listed = ", ".join(map(self.readable, shown))
        order = f" ORDER BY {by}{' DESC' if last else ''}" if by else ""
        return f"SELECT {listed} FROM {self.table(stage)} AS s WHERE {where}{order} LIMIT {most:d}"

    def sample_keys(self, stage: Table, keys: Sequence[Column], where: str, most: int, *, repeated: bool) -> str:
        """Some combinations of values and how many rows have each, the most frequent first.

        :param repeated: of those alone that several rows have
        """
        listed, names = ", ".join(map(self.readable, keys)), self.identifiers(column.name for column in keys)
        having = " HAVING COUNT(*) > 1" if repeated else ""
        return (
            f"SELECT {listed}, COUNT(*) FROM {self.table(stage)} AS s WHERE {where} GROUP BY {names}{having} "
            f"ORDER BY COUNT(*) DESC LIMIT {most:d}"
        )

    def count_keys(self, stage: Table, keys: Sequence[str], where: str) -> str:
        """How many keys several rows have, and how many rows the most frequent has."""
        names = self.identifiers(keys)
        return (
            f"SELECT COUNT(*), MAX(n) FROM (SELECT COUNT(*) AS n FROM {self.table(stage)} AS s WHERE {where} "
            f"GROUP BY {names} HAVING COUNT(*) > 1) AS d"
        )

    def sample_lost(self, stage: Table, production: Partition, keys: Sequence[Column], most: int) -> str:
        """Some keys that production holds of the partition and the stage does not."""
        names = self.identifiers(column.name for column in keys)
        lost = f"SELECT {names} FROM {self.rows(production)} AS p EXCEPT SELECT {names} FROM {self.table(stage)} AS s"
        return f"SELECT {', '.join(map(self.readable, keys))} FROM ({lost}) AS d LIMIT {most:d}"

    def count_offending(self, stage: Table, where: str) -> str:
        """How many rows are to blame."""
        return f"SELECT COUNT(*) FROM {self.table(stage)} AS s WHERE {where}"

    def readable(self, column: Column) -> str:
        """A column's value to look at: of what is long, its beginning."""
        name = self.identifier(column.name)
        if column.category in ("number", "time", "boolean"):
            return name
        text = name if column.category == "text" else f"CAST({name} AS VARCHAR)"
        return f"LEFT({text}, {LONGEST:d})"

    def column_comments(self, table: Table) -> str | None:
        """A query for the columns that have a comment, and the comment; None if the database has none."""
        return None
