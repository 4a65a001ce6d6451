"""SQL of every metric that is measured, as templates; a dialect is the templates in which it differs.

A template is filled with:

====================  ==================================================================================
``{x}``               the column; NULL outside the metric's scope
``{n}``               the number of rows in scope
``{and}``             the scope as a condition before another one, or nothing
``{byte}``            what makes a text compare by its bytes, if that tells the same values apart
``{rows}``            the rows in scope, as a table expression
``{all}``             the columns in a list; ``{s_all}``, ``{r_all}`` those of two aliases
``{known}``           all columns are not NULL
``{production}``      the rows in scope that production holds of the partition, as a table expression
``{every}``           the rows in scope that production holds of all partitions
``{schema}``          the table's schema as text; ``{name}`` its name; ``{quoted}`` both, with quotes, as text
====================  ==================================================================================

and with the metric's own parameters. A template that starts with ``(SELECT`` is a scan of its own, as a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Column, Metric, Partition, Table

SEVERAL = "+"
"""Marks the template of a kind that is measured otherwise on several columns."""

TEMPLATES: Mapping[str, str] = {
    "row_count": "{n}",
    "null_count": "{n} - COUNT({x})",
    "null_ratio": "CAST({n} - COUNT({x}) AS DOUBLE PRECISION) / NULLIF({n}, 0)",
    "true_ratio": "CAST(COUNT(CASE WHEN {and}{column} THEN 1 END) AS DOUBLE PRECISION) / NULLIF(COUNT({x}), 0)",
    "min": "MIN({x})",
    "max": "MAX({x})",
    # Where an average of integers is an integer (Redshift), the argument has to be cast, not the result.
    "mean": "AVG(CAST({x} AS DOUBLE PRECISION))",
    "stddev": "STDDEV_SAMP(CAST({x} AS DOUBLE PRECISION))",
    "sum": "SUM({x})",
    "min_length": "MIN(CHAR_LENGTH({x}))",
    "max_length": "MAX(CHAR_LENGTH({x}))",
    "empty_count": "COUNT(CASE WHEN {and}{column} = '' THEN 1 END)",
    "pattern_violations": "COUNT(CASE WHEN {and}NOT REGEXP_LIKE({column}, {pattern}) THEN 1 END)",
    "values_outside": "COUNT(CASE WHEN {and}{column} NOT IN ({values}) THEN 1 END)",
    "freshness": "CAST(EXTRACT(EPOCH FROM (CURRENT_TIMESTAMP - MAX({x}))) AS DOUBLE PRECISION)",
    "outside_partition": "{n} - COUNT(CASE WHEN {and}{key} THEN 1 END)",
    "distinct_count": "COUNT(DISTINCT {x}{byte})",
    "unique_violations": "COUNT({x}) - COUNT(DISTINCT {x}{byte})",
    "unique_violations+": (
        "(SELECT CAST(COALESCE(SUM(n - 1), 0) AS BIGINT) FROM (SELECT COUNT(*) AS n FROM {rows} AS s "
        "WHERE {known} GROUP BY {all} HAVING COUNT(*) > 1) AS d)"
    ),
    "quantile": "PERCENTILE_CONT({q}) WITHIN GROUP (ORDER BY {x})",
    "orphan_count": (
        "SELECT COUNT(*) FROM {rows} AS s WHERE {known} AND NOT EXISTS (SELECT 1 FROM {references} AS r WHERE {match})"
    ),
    "check_statement": "SELECT MIN(dq_value) FROM (SELECT CASE WHEN {statement} THEN 1 ELSE 0 END AS dq_value "
    "FROM {source}) AS q",
    "row_count_ratio": (
        "SELECT CAST((SELECT COUNT(*) FROM {rows} AS s) AS DOUBLE PRECISION) "
        "/ NULLIF((SELECT COUNT(*) FROM {production} AS p), 0), {held}"
    ),
    "lost_keys": (
        "SELECT (SELECT COUNT(*) FROM (SELECT {all} FROM {production} AS p EXCEPT SELECT {all} FROM {rows} AS s) "
        "AS d), {held}"
    ),
    "unseen_values": (
        "SELECT (SELECT COUNT(*) FROM (SELECT {all} FROM {rows} AS s WHERE {known} "
        "EXCEPT SELECT {all} FROM {every} AS p) AS d), {held_ever}"
    ),
    "churn_ratio": (
        "SELECT CAST((SELECT COUNT(*) FROM (SELECT {all} FROM {production} AS p EXCEPT SELECT {all} FROM {rows} AS s) "
        "AS lost) + (SELECT COUNT(*) FROM (SELECT {all} FROM {rows} AS s EXCEPT SELECT {all} FROM {production} AS p) "
        "AS gained) AS DOUBLE PRECISION) "
        "/ NULLIF((SELECT COUNT(*) FROM (SELECT DISTINCT {all} FROM {production} AS p) AS held), 0), {held}"
    ),
    "mean_shift": (
        "SELECT CASE WHEN s.mean = p.mean THEN 0 WHEN p.spread = 0 THEN CAST('Infinity' AS DOUBLE PRECISION) "
        "ELSE ABS(s.mean - p.mean) / p.spread END, CASE WHEN p.mean IS NULL THEN 0 ELSE 1 END FROM "
        "(SELECT AVG(CAST({column} AS DOUBLE PRECISION)) AS mean FROM {rows} AS r) AS s CROSS JOIN "
        "(SELECT AVG(CAST({column} AS DOUBLE PRECISION)) AS mean, "
        "COALESCE(STDDEV_SAMP(CAST({column} AS DOUBLE PRECISION)), 0) AS spread FROM {production} AS r) AS p"
    ),
}
HELD = "CASE WHEN EXISTS (SELECT 1 FROM {} AS p) THEN 1 ELSE 0 END"


class MetricSql(Names):
    """How a dialect measures."""

    templates: Mapping[str, str] = TEMPLATES
    max_select_items = 1000
    begin_read: str | None = None
    """Begins a transaction that only reads; None where a single statement needs none."""
    read_setup: Sequence[str] = ()
    """Statements before a measurement, in its transaction."""
    explain: str | None = None
    """Precedes a statement to have it analysed and not run."""
    explain_plan = "EXPLAIN "
    """Precedes a statement to have its plan shown, in the last column of each row."""
    slow_steps: Mapping[str, str] = {}
    """Words of a plan that mark a slow step, and what to do about it."""
    unordered: frozenset[str] = frozenset()
    """Categories of columns that have no smallest value."""
    type_names: Mapping[str, str] = {}
    """Other spellings of a type's name, and how the catalog spells it."""

    def prepare(self, connection: Any) -> None:
        """Give the connection what its SQL lacks."""

    def pattern_problem(self, pattern: str) -> str | None:
        """Why the pattern is no regular expression, where that is known without the database."""
        return None

    def pattern_probe(self, pattern: str) -> str | None:
        """A statement that fails if the pattern is no regular expression."""
        return None

    def is_static(self, sqlstate: str | None) -> bool:
        """Whether an error of ``explain`` lies in the statement, whatever the rows."""
        return False

    def query(self, sql: str) -> str:
        """A user's query, without a semicolon at its end.

        :raises SpecError: if it is none, where the dialect can tell
        """
        return sql.strip().rstrip(";")

    def byte(self, column: Column) -> str:
        """What makes a text compare by its bytes."""
        return ""

    def clause(self, predicate: str) -> str:
        """A predicate that a user wrote, closed in itself."""
        return f"({predicate}\n)" if "--" in predicate else f"({predicate})"

    def both(self, *predicates: str | None) -> str | None:
        """The predicate that all of these hold; None if there are none."""
        given = [predicate for predicate in predicates if predicate]
        return " AND ".join(map(self.clause, given)) if len(given) > 1 else "".join(given) or None

    def scan(self, items: Iterable[str], what: Partition, where: str | None = None) -> str:
        """One scan of the partition for all items; without one, if each is a scan of its own."""
        items = list(items)
        listed = ",\n  ".join(items)
        if all(item.startswith("(SELECT") for item in items):
            return f"SELECT\n  {listed}"
        return f"SELECT\n  {listed}\nFROM {self.source(what, where)}"

    def groupable(self, metric: Metric) -> bool:
        """Whether the metric is measured beside others, once for each group of rows."""
        several = metric.kind + SEVERAL if len(metric.columns) > 1 else metric.kind
        return (
            not self.templates.get(several, self.templates.get(metric.kind, "SELECT")).lstrip("(").startswith("SELECT")
        )

    def groups(self, items: Iterable[str], what: Partition, by: Sequence[str], where: str | None = None) -> str:
        """One scan for all items, once for each combination of values of the columns."""
        keys = self.identifiers(by)
        listed = ",\n  ".join([keys, *items])
        return f"SELECT\n  {listed}\nFROM {self.source(what, where)}\nGROUP BY {keys}"

    def largest(self, what: Partition, column: str, most: int, where: str | None = None) -> str:
        """The predicate of the rows with one of the ``most`` values that most rows have, or with none."""
        name = self.identifier(column)
        ranked = f"SELECT {name} FROM {self.source(what, where)} GROUP BY {name} ORDER BY COUNT(*) DESC, {name}"
        return f"({name} IS NULL OR {name} IN ({ranked} LIMIT {most:d}))"

    def source(self, what: Partition, where: str | None = None) -> str:
        """What follows FROM: the table, and which of its rows."""
        terms = [self.rows_of(what), self.clause(where) if where else None]
        condition = " AND ".join(term for term in terms if term)
        return self.table(what.table) + (f" WHERE {condition}" if condition else "")

    def rows(self, what: Partition, where: str | None = None) -> str:
        """The rows of a partition, as a table expression."""
        source = self.source(what, where)
        return f"(SELECT * FROM {source})" if what.key or where else source

    def measure(
        self,
        metric: Metric,
        what: Partition,
        columns: Mapping[str, Column],
        *,
        production: Partition | None = None,
        narrowed: bool = False,
    ) -> str:
        """The metric's template, filled: a select item, or the whole statement of a metric that stands alone.

        :param narrowed: the statement's WHERE has the metric's own predicate already
        """
        if metric.kind == "custom_sql":
            return self._custom(metric, what)
        several = metric.kind + SEVERAL if len(metric.columns) > 1 else metric.kind
        parts = self._scope(metric, None if narrowed else metric.where)
        parts |= self._keys(metric, what)
        parts |= {
            "schema": self.text(what.table.schema or ""),
            "name": self.text(what.table.name),
            "quoted": self.text(self.table(what.table)),
        }
        parts |= {name: self._param(name, value) for name, value in metric.params}
        if len(metric.columns) == 1 and (column := columns.get(metric.columns[0])):
            parts["byte"] = self.byte(column)
        if production is not None:
            every = Partition(production.table)
            parts |= {"production": self.rows(production, metric.where), "every": self.rows(every, metric.where)}
            parts |= {"held": HELD.format(parts["production"]), "held_ever": HELD.format(parts["every"])}
        return self.templates.get(several, self.templates[metric.kind]).format_map(parts)

    def _scope(self, metric: Metric, where: str | None) -> dict[str, str]:
        column = self.identifier(metric.columns[0]) if metric.columns else ""
        if where is None:
            return {"column": column, "x": column, "n": "COUNT(*)", "and": "", "byte": ""}
        scope = self.clause(where)
        return {
            "column": column,
            "x": f"CASE WHEN {scope} THEN {column} END",
            "n": f"COUNT(CASE WHEN {scope} THEN 1 END)",
            "and": f"{scope} AND ",
            "byte": "",
        }

    def _keys(self, metric: Metric, what: Partition) -> dict[str, str]:
        quoted = [self.identifier(column) for column in metric.columns]
        theirs = dict(metric.params).get("referenced_columns") or metric.columns
        pairs = zip(quoted, map(self.identifier, theirs), strict=False)
        return {
            "all": ", ".join(quoted),
            "known": " AND ".join(f"{column} IS NOT NULL" for column in quoted),
            "match": " AND ".join(f"r.{their} = s.{our}" for our, their in pairs),
            "rows": self.rows(what, metric.where),
            "source": self.source(what, metric.where),
        }

    def _param(self, name: str, value: Any) -> str:
        if name == "key":
            return self.clause(self.rows_of(Partition(Table("-"), value)) or "1 = 1")
        if name == "values":
            return ", ".join(map(self.literal, value))
        if name == "references":
            return self.table(Table.parse(value, self.fold))
        if name == "statement":
            return f"{value}\n" if "--" in value else str(value)
        return "" if isinstance(value, tuple) else self.literal(value)

    def _custom(self, metric: Metric, what: Partition) -> str:
        sql = self.query(metric.param("sql"))
        if (not what.key and metric.where is None) or "{table}" not in sql:
            return sql.replace("{table}", self.table(what.table))
        checked = self.identifier("dq_checked")
        return (
            f"WITH {checked} AS (SELECT * FROM {self.source(what, metric.where)})\n"
            f"SELECT * FROM (\n{sql.replace('{table}', checked)}\n) AS q"
        )
