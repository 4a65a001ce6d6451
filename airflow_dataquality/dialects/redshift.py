"""Amazon Redshift: what it has not of Postgres, and what it has instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.board import WindowedBoardSql
from airflow_dataquality.dialects.metrics import TEMPLATES
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.dialects.redshift_staging import StagingSql
from airflow_dataquality.dialects.redshift_summary import RedshiftSummarySql
from airflow_dataquality.dialects.redshift_upsert import RedshiftUpsertSql
from airflow_dataquality.dialects.redshift_waiting import RedshiftWaitingSql
from airflow_dataquality.model import Column

# https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_TABLE_INFO.html: tables without rows are not in it.
_HEALTH = 'SELECT {column} FROM svv_table_info WHERE "schema" = {schema} AND "table" = {name}'

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"


class Redshift(WindowedBoardSql, RedshiftSummarySql, RedshiftUpsertSql, RedshiftWaitingSql, StagingSql, Postgres):
    """Redshift is Postgres 8.0 at its head, and a column store below."""

    name = "redshift"
    max_name_bytes = 127  # https://docs.aws.amazon.com/redshift/latest/dg/r_names.html
    savepoints = False  # https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html
    table_indexes = False  # as above
    max_select_items = 1600  # https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_TABLE_usage.html
    templates: Mapping[str, str] = {
        **Postgres.templates,
        # An average of integers is an integer: https://docs.aws.amazon.com/redshift/latest/dg/r_AVG.html
        "mean": TEMPLATES["mean"],
        "stddev": TEMPLATES["stddev"],
        # CURRENT_TIMESTAMP is the leader's alone: https://docs.aws.amazon.com/redshift/latest/dg/r_GETDATE.html
        "freshness": (
            "CAST(EXTRACT(EPOCH FROM CAST(GETDATE() AS TIMESTAMPTZ)) "
            "- EXTRACT(EPOCH FROM CAST(MAX({x}) AS TIMESTAMPTZ)) AS DOUBLE PRECISION)"
        ),
        # In one SELECT all of them would have to sort alike:
        # https://docs.aws.amazon.com/redshift/latest/dg/r_PERCENTILE_CONT.html
        "quantile": "(SELECT PERCENTILE_CONT({q}) WITHIN GROUP (ORDER BY {all}) FROM {rows} AS s)",
        "table_size_mb": _HEALTH.replace("{column}", "size"),
        "unsorted_ratio": _HEALTH.replace("{column}", "unsorted / 100.0"),
        "stats_off": _HEALTH.replace("{column}", "stats_off"),
        "skew_rows": _HEALTH.replace("{column}", "skew_rows"),
    }
    types: Mapping[str, str] = {
        **Postgres.types,
        "text": "VARCHAR(65535)",
        "long": "VARCHAR(65535)",
        "time": "TIMESTAMPTZ",
    }
    # https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html
    type_names: Mapping[str, str] = {
        **Postgres.type_names,
        **dict.fromkeys(("text", "varchar", "nvarchar", "character varying"), "character varying(256)"),
        **dict.fromkeys(("char", "bpchar", "character"), "character(1)"),
    }
    folds_quoted = True
    backslash_escapes = True
    # GETDATE is the second of the statement, SYSDATE the microsecond in which its transaction began: so what follows
    # within a second stays in order. https://docs.aws.amazon.com/redshift/latest/dg/r_SYSDATE.html
    now = "GREATEST(GETDATE(), SYSDATE)"
    # That of the statement, to the microsecond: https://docs.aws.amazon.com/redshift/latest/dg/r_TIMEOFDAY_function.html
    ask_moment = "SELECT TIMEOFDAY()"
    ledger_indexes = False
    # LISTAGG ends at 65,535 bytes: https://docs.aws.amazon.com/redshift/latest/dg/r_LISTAGG.html
    measured_together = Dialect.measured_together
    read_setup: Sequence[str] = ()
    session_wishes: Sequence[str] = ()
    slow_steps: Mapping[str, str] = {
        # https://docs.aws.amazon.com/redshift/latest/dg/query-performance-improvement-opportunities.html#nested-loop
        "Nested Loop": "every row of one table meets every row of the other; join on an equality of columns",
        # https://docs.aws.amazon.com/redshift/latest/dg/c_data_redistribution.html
        "DS_BCAST_INNER": "the inner table is copied to every node; give both tables the join column as DISTKEY, or "
        "the small one DISTSTYLE ALL",
        "DS_DIST_ALL_INNER": "the inner table is sent to one slice; do not join a DISTSTYLE ALL table as the outer one",
        "DS_DIST_BOTH": "both tables are sent around; give both the join column as DISTKEY",
    }

    backend = "SELECT pg_backend_pid()"

    def cancel_backend(self, backend: Any) -> str:
        """https://docs.aws.amazon.com/redshift/latest/dg/PG_CANCEL_BACKEND.html."""
        return f"SELECT pg_cancel_backend({int(backend)})"

    @property
    def session_setup(self) -> Sequence[str]:
        return ()

    def reading(self, seconds: float) -> Sequence[str]:
        """Without ``default_transaction_read_only``, which is no parameter there.

        https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_ConfigurationRef.html
        """
        return self.patience(seconds)

    def moment(self, text: str) -> datetime:
        """Of ``Thu Sep 19 22:53:50.333525 2013 UTC``, in the session's time zone, as GETDATE and what is stored."""
        _, month, day, time, year, *_ = text.split()
        return datetime.fromisoformat(f"{year}-{_MONTHS.index(month) // 3 + 1:02d}-{int(day):02d} {time}")

    def lock_ledger(self, schema: str) -> Sequence[str]:
        """Nothing: whoever creates a table second waits, and is told that it exists."""
        return ()

    def text(self, value: str) -> str:
        r"""Text, quoted. A backslash escapes in every literal, so that it is doubled: ``'\\d'``.

        https://docs.aws.amazon.com/redshift/latest/dg/pattern-matching-conditions-posix.html
        """
        return Dialect.text(self, value.replace("\\", "\\\\"))

    def tables(self, schema: str | None) -> str:
        """As the standard has it: Redshift's tables have no partitions.

        https://docs.aws.amazon.com/redshift/latest/dg/r_CURRENT_SCHEMA.html
        """
        return Dialect.tables(self, schema)

    def byte(self, column: Column) -> str:
        """Text compares by its bytes, unless a column is CASE_INSENSITIVE."""
        return ""
