"""SQL of a summary on Redshift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_dataquality.dialects.summary import SummarySql, Typed


class RedshiftSummarySql(SummarySql):
    """Redshift is parallel in itself, so one connection does all."""

    shards = False
    summary_setup: Sequence[str] = ()

    def shard(self, keys: Sequence[str], number: int, of: int, types: Mapping[str, str] | None = None) -> str:
        return SummarySql.shard(self, keys, number, of, types)

    def days_between(self, later: Typed, earlier: str) -> str:
        """https://docs.aws.amazon.com/redshift/latest/dg/r_DATEDIFF_function.html."""
        return f"DATEDIFF(day, {self.day_of(Typed(earlier, later.type))}, {self.day_of(later)})"

    def of_one(self, when: str, value: str) -> str:
        """Without arrays: https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-datatypes.html."""
        return SummarySql.of_one(self, when, value)

    def as_text(self, value: str) -> str:
        return SummarySql.as_text(self, value)
