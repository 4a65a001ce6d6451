"""SQL that fills a stage: from a SELECT, from rows of the client, from files in S3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.model import Table


class SourceSql(Names):
    """How a dialect takes rows in."""

    copies_from_s3 = False

    def describe_select(self, select: str) -> str:
        """A query that yields no row and the SELECT's column names."""
        return f"SELECT * FROM (\n{select}\n) AS q LIMIT 0"

    def fill(self, stage: Table, columns: Sequence[str], select: str) -> str:
        """Store the SELECT's rows. At the top of an INSERT a quoted literal takes the column's type."""
        return f"INSERT INTO {self.table(stage)} ({self.identifiers(columns)})\n{select}"

    def copy_from_stdin(self, stage: Table, columns: Sequence[str]) -> str:
        """Store rows that the client sends, where the driver can."""
        return f"COPY {self.table(stage)} ({self.identifiers(columns)}) FROM STDIN"

    def set_all(self, stage: Table, values: Mapping[str, Any]) -> str:
        """Give every row the same values."""
        listed = ", ".join(f"{self.identifier(name)} = {self.literal(value)}" for name, value in values.items())
        return f"UPDATE {self.table(stage)} SET {listed}"

    def insert_one(self, stage: Table, columns: Sequence[str]) -> str:
        """Store a row, its values given apart from the statement."""
        marks = ", ".join("?" for _ in columns)
        return f"INSERT INTO {self.table(stage)} ({self.identifiers(columns)}) VALUES ({marks})"

    def copy_from_s3(
        self, stage: Table, columns: Sequence[str], uri: str, *, iam_role: str, region: str | None,
        options: Sequence[str],
    ) -> str:  # fmt: skip
        """Load files from S3, where ``copies_from_s3``."""
        raise AssertionError(f"{type(self).__name__} has no such statement")

    def copied(self) -> str:
        """How many rows the last COPY loaded."""
        raise AssertionError(f"{type(self).__name__} has no such statement")
