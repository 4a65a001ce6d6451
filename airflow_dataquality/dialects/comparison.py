"""SQL that compares staged rows with production, partition by partition.

The templates are filled with:

====================  ==================================================================================
``{by}``              the partition column
``{rows}``            the staged rows in scope, as a table expression
``{production}``      the rows in scope that production holds of the same range of partitions
``{every}``           the rows in scope that production holds of all partitions
``{all}``             the columns in a list, with the partition column; ``{column}`` the only one
====================  ==================================================================================

Each yields for every partition: its value of the partition column, the number, and 0 if production holds nothing to
compare with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_dataquality.dialects.metrics import MetricSql
from airflow_dataquality.model import Column, Metric, Partition, Table

_LOST = "SELECT {all} FROM {production} AS p EXCEPT SELECT {all} FROM {rows} AS s"
_GAINED = "SELECT {all} FROM {rows} AS s EXCEPT SELECT {all} FROM {production} AS p"
_UNKNOWN = "CAST(NULL AS DOUBLE PRECISION)"
_MEAN = "AVG(CAST({column} AS DOUBLE PRECISION))"

COMPARISONS: Mapping[str, str] = {
    "row_count_ratio": (
        "SELECT {by}, CAST(SUM(dq_n) AS DOUBLE PRECISION) / NULLIF(SUM(dq_held), 0), SUM(dq_held) FROM ("
        "SELECT {by}, COUNT(*) AS dq_n, 0 AS dq_held FROM {rows} AS s GROUP BY {by}\n"
        "UNION ALL SELECT {by}, 0, COUNT(*) FROM {production} AS p GROUP BY {by}) AS q GROUP BY {by}"
    ),
    "lost_keys": (
        "SELECT {by}, SUM(dq_n), SUM(dq_held) FROM ("
        "SELECT {by}, 0 AS dq_n, COUNT(*) AS dq_held FROM {production} AS p GROUP BY {by}\n"
        "UNION ALL SELECT {by}, 0, 0 FROM {rows} AS s GROUP BY {by}\n"
        f"UNION ALL SELECT {{by}}, COUNT(*), 0 FROM ({_LOST}) AS lost GROUP BY {{by}}) AS q GROUP BY {{by}}"
    ),
    "churn_ratio": (
        "SELECT {by}, CAST(SUM(dq_n) AS DOUBLE PRECISION) / NULLIF(SUM(dq_held), 0), SUM(dq_held) FROM ("
        "SELECT {by}, 0 AS dq_n, COUNT(*) AS dq_held FROM (SELECT DISTINCT {all} FROM {production} AS p) AS d "
        "GROUP BY {by}\n"
        f"UNION ALL SELECT {{by}}, COUNT(*), 0 FROM ({_LOST}) AS lost GROUP BY {{by}}\n"
        f"UNION ALL SELECT {{by}}, COUNT(*), 0 FROM ({_GAINED}) AS gained GROUP BY {{by}}) AS q GROUP BY {{by}}"
    ),
    "unseen_values": (
        "SELECT s.{by}, COUNT(DISTINCT CASE WHEN p.{column} IS NULL THEN s.{column} END), "
        "(SELECT COUNT(*) FROM (SELECT 1 FROM {every} AS e LIMIT 1) AS h) FROM {rows} AS s "
        "LEFT JOIN (SELECT DISTINCT {column} FROM {every} AS e) AS p ON p.{column} = s.{column} GROUP BY s.{by}"
    ),
    "mean_shift": (
        "SELECT {by}, CASE WHEN MAX(dq_n) = MAX(dq_held) THEN 0 "
        "WHEN MAX(dq_spread) = 0 THEN CAST('Infinity' AS DOUBLE PRECISION) "
        "ELSE ABS(MAX(dq_n) - MAX(dq_held)) / MAX(dq_spread) END, COUNT(dq_held) FROM ("
        f"SELECT {{by}}, {_MEAN} AS dq_n, {_UNKNOWN} AS dq_held, {_UNKNOWN} AS dq_spread FROM {{rows}} AS s "
        "GROUP BY {by}\n"
        f"UNION ALL SELECT {{by}}, NULL, {_MEAN}, COALESCE(STDDEV_SAMP(CAST({{column}} AS DOUBLE PRECISION)), 0) "
        "FROM {production} AS p GROUP BY {by}) AS q GROUP BY {by}"
    ),
}
NOT_COMPARABLE = frozenset(["json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"])
"""Types that have no equality to group by: https://www.postgresql.org/docs/current/btree.html has the others'."""


class ComparisonSql(MetricSql):
    """How a dialect compares staged partitions with those of production."""

    def compared(self, metric: Metric, stage: Partition, production: Partition, by: str) -> str:
        """A query for a comparing metric, partition by partition."""
        columns = [self.identifier(column) for column in dict.fromkeys((by, *metric.columns))]
        own = self.identifier(metric.columns[0]) if metric.columns else ""
        return COMPARISONS[metric.kind].format(
            by=self.identifier(by),
            rows=self.rows(stage, metric.where),
            production=self.rows(production, metric.where),
            every=self.rows(Partition(production.table), metric.where),
            all=", ".join(columns),
            column=own,
        )

    def counted_sides(self, stage: Partition, production: Partition | None, by: str) -> str:
        """A query for the rows of each partition: its value, staged, and in production."""
        name = self.identifier(by)
        staged = f"SELECT {name}, COUNT(*) AS dq_n, 0 AS dq_held FROM {self.rows(stage)} AS s GROUP BY {name}"
        held = (
            f"\nUNION ALL SELECT {name}, 0, COUNT(*) FROM {self.rows(production)} AS p GROUP BY {name}"
            if production
            else ""
        )
        return f"SELECT {name}, SUM(dq_n), SUM(dq_held) FROM ({staged}{held}) AS q GROUP BY {name}"

    def changed_partitions(self, stage: Partition, production: Partition, by: str, columns: Sequence[Column]) -> str:
        """A query for the partitions whose rows, and how often each is there, are not the same on both sides."""
        listed = ", ".join(self._comparable(column) for column in columns)
        names = self.identifiers(column.name for column in columns)
        staged, held = (
            f"SELECT {names}, COUNT(*) AS dq_times FROM (SELECT {listed} FROM {self.rows(side)} AS r) AS c\n"
            f"GROUP BY {names}"
            for side in (stage, production)
        )
        key = self.identifier(by)
        return (
            f"SELECT DISTINCT {key} FROM ((\n{staged}\nEXCEPT {held})\n"
            f"UNION ALL ({held}\nEXCEPT {staged})) AS differing"
        )

    def _comparable(self, column: Column) -> str:
        name = self.identifier(column.name)
        return f"CAST({name} AS TEXT) AS {name}" if column.type in NOT_COMPARABLE else name

    def rows_but(self, stage: Table, columns: Sequence[str], by: str, values: Sequence[str]) -> str:
        """The rows of all partitions but these."""
        listed = ", ".join(map(self.literal, values))
        source = f"{self.table(stage)} WHERE {self.identifier(by)} NOT IN ({listed})"
        return f"SELECT {self.identifiers(columns)} FROM {source}"
