"""SQL of an upsert on Redshift."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_dataquality.dialects.pairing import Pairing
from airflow_dataquality.dialects.redshift_catalog import COLUMNS_FROM, CatalogSql
from airflow_dataquality.dialects.source import SourceSql
from airflow_dataquality.dialects.upsert import UpsertSql
from airflow_dataquality.model import Column, Table

_COLUMNAR = ("PARQUET", "ORC")


class RedshiftUpsertSql(CatalogSql, SourceSql, UpsertSql):
    """Redshift has no ON CONFLICT, a narrow MERGE, no aliases of what is written to, and COPY from S3.

    https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html
    """

    strategies: Sequence[str] = ("delete_insert", "update_insert", "merge")
    aliases_target = False
    skips_in_stage = True
    merge_reports_rows = False
    merge_must_update = True
    copies_from_s3 = True

    def distribution(self, table: Table) -> str | None:
        """As AdminViews/v_generate_tbl_ddl.sql of https://github.com/awslabs/amazon-redshift-utils reads it."""
        return f"SELECT a.attname {COLUMNS_FROM} WHERE {self.which(table)} AND a.attisdistkey AND NOT a.attisdropped"

    def insertable(self, table: Table) -> str:
        """Identities have a default in this catalog: https://docs.aws.amazon.com/redshift/latest/dg/c_intro_catalog_views.html."""
        return (
            f"SELECT a.attname, a.attnotnull AND NOT a.atthasdef, FALSE {COLUMNS_FROM} "
            f"WHERE {self.which(table)} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
        )

    def unique_keys(self, table: Table) -> str | None:
        return None

    def merges(self) -> str | None:
        return None

    def write_locks(self, table: Table, wait: float, patience: float) -> Sequence[str]:
        """The lock of a publication is one on the table, already."""
        return ()

    def merge(self, p: Pairing, insert: Sequence[str], update: Sequence[str], *, changed: bool) -> str:
        """One clause each, without conditions: https://docs.aws.amazon.com/redshift/latest/dg/r_MERGE.html."""
        return UpsertSql.merge(self, p, insert, update, changed=False)

    def reported(self, statement: str) -> str | None:
        return None

    def insert_or_update(self, p: Pairing, insert: Sequence[str], update: Sequence[str], *, changed: bool) -> str:
        raise AssertionError(f"{type(self).__name__} has no such statement")

    def same(self, columns: Sequence[str], one: str, other: str) -> str:
        return UpsertSql.same(self, columns, one, other)

    def _tie_break(self, columns: Sequence[Column], order_by: Sequence[str]) -> list[str]:
        """By the columns whose types can be sorted: https://docs.aws.amazon.com/redshift/latest/dg/limitations-super.html."""
        sortable = (column.name for column in columns if column.category not in (None, "other"))
        return self._newest(name for name in sortable if name not in order_by)

    def copy_from_s3(
        self, stage: Table, columns: Sequence[str], uri: str, *, iam_role: str, region: str | None,
        options: Sequence[str],
    ) -> str:  # fmt: skip
        """COPY, without analysing what a stage need not know: https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html."""
        role = "DEFAULT" if iam_role.lower() == "default" else self.text(iam_role)
        words = [f"IAM_ROLE {role}", *([f"REGION {self.text(region)}"] if region else []), *options]
        given = {word for option in options for word in option.upper().replace("'", " ").split()}
        # https://docs.aws.amazon.com/redshift/latest/dg/copy-usage_notes-copy-from-columnar.html
        quiet = ("STATUPDATE",) if given & set(_COLUMNAR) else ("COMPUPDATE", "STATUPDATE")
        words += [f"{word} OFF" for word in quiet if word not in given]
        return f"COPY {self.table(stage)} ({self.identifiers(columns)}) FROM {self.text(uri)} {' '.join(words)}"

    def copied(self) -> str:
        """https://docs.aws.amazon.com/redshift/latest/dg/PG_LAST_COPY_COUNT.html."""
        return "SELECT pg_last_copy_count()"
