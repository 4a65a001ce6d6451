"""SQL of a summary on Postgres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow_dataquality.dialects.summary import SummarySql


class PostgresSummarySql(SummarySql):
    """Postgres hashes rows, and joins all rows by an expression fast if it is told to."""

    shards = True
    can_shard = "SELECT current_setting('server_version_num')::int >= 140000"
    # Of COALESCE(key, '') the planner knows nothing, and sorts: hashed, the join is as fast as one of bare keys.
    summary_setup: Sequence[str] = ("SET LOCAL jit = off", "SET LOCAL enable_mergejoin = off")

    def shard(self, keys: Sequence[str], number: int, of: int, types: Mapping[str, str] | None = None) -> str:
        """By the hash of the row, from Postgres 14 on: equal values have equal ones, and NULL has one.

        https://www.postgresql.org/docs/release/14.0/
        """
        known = types or {}
        values = ", ".join(
            self.as_type(self.identifier(key), known[key]) if key in known else self.identifier(key) for key in keys
        )
        return f"(hash_record_extended(ROW({values}), 0) % {of:d} + {of:d}) % {of:d} = {number:d}"

    def of_one(self, when: str, value: str) -> str:
        """Arrays have a maximum whatever they hold; booleans, UUIDs and JSON have none."""
        return f"(MAX(CASE WHEN {when} THEN ARRAY[{value}] END))[1]"

    def as_text(self, value: str) -> str:
        return f"CAST({value} AS TEXT)"
