"""The facts of a summary: a table's, or those that a SELECT yields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Partition, Range, Table
from airflow_dataquality.operators._lineage import Reads

if TYPE_CHECKING:
    from airflow_dataquality.operators._template import SqlTemplate


@dataclass(frozen=True)
class TableFacts:
    """Facts in a table that has the partition column."""

    table: Table
    column: str

    @property
    def described(self) -> str:
        return str(self.table)

    @property
    def without_end(self) -> bool:
        return True

    def reads(self, partition: str) -> Reads:
        """What lineage is to tell of."""
        return Reads(tables=[self.table])

    def sample(self, sql: Any, partition: str) -> str:
        return str(sql.table(self.table))

    def between(self, sql: Any, first: str | None, last: str) -> str:
        if first is not None:
            return str(sql.rows(Partition(self.table, ((self.column, Range(first, last)),))))
        return str(sql.rows(Partition(self.table), sql.up_to(self.column, last)))


@dataclass(frozen=True)
class SqlFacts:
    """Facts that a SELECT yields."""

    template: SqlTemplate
    context: Mapping[str, Any]
    grain: str

    @property
    def described(self) -> str:
        return " ".join(self.template.text.split())

    @property
    def without_end(self) -> bool:
        return False

    def reads(self, partition: str) -> Reads:
        """What lineage is to tell of."""
        return Reads(sql=[self.template.render(self.context, partition, partition, self.grain, backfill=False)])

    def sample(self, sql: Any, partition: str) -> str:
        return self.between(sql, partition, partition)

    def between(self, sql: Any, first: str | None, last: str) -> str:
        if first == last:
            text = self.template.render(self.context, last, last, self.grain, backfill=False)
        elif self.template.reads_ranges:
            text = self.template.render(self.context, str(first), last, self.grain)
        else:
            raise SpecError(
                f"the SQL reads one partition, by its ds, and {first} to {last} are wanted",
                hint="read from start_date to end_date, {% if backfill %} … BETWEEN '{{ start_date }}' AND "
                "'{{ end_date }}' {% endif %}; or build one partition after the other",
            )
        return str(sql.nested(text))
