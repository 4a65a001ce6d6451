"""Every statement of an upsert, strategy by strategy, where a reviewer sees it: ``tests/golden/upsert_*.sql``."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.dialects.redshift import Redshift
from airflow_dataquality.dialects.sqlite import Sqlite
from airflow_dataquality.model import Column, Table
from airflow_dataquality.plans.upsert import NO_NULLS, Change, apply

GOLDEN = Path(__file__).parent.parent / "golden"
DIALECTS: list[Dialect] = [Postgres(), Redshift(), Sqlite()]
CHANGE = Change(
    Table("daily flights", "w"), Table("stage"), ("id", "day"), ("id", "day", 'say "hi"', "fare"), ('say "hi"', "fare")
)
NULLS = (NO_NULLS, frozenset({"day"}), frozenset({"id", "day"}))
CHANGES = {
    "all": CHANGE,
    "all, unchanged rows skipped": replace(CHANGE, skip_unchanged=True),
    "new rows only": replace(CHANGE, update=()),
    "NULL in keys": replace(CHANGE, patterns=NULLS),
    "NULL in keys, unchanged rows skipped": replace(CHANGE, patterns=NULLS, skip_unchanged=True),
    "into a partitioned table": replace(CHANGE, partitioned=True),
}
CASES = [(dialect, strategy) for dialect in DIALECTS for strategy in ("staging", *dialect.strategies)]


@pytest.mark.parametrize(("dialect", "strategy"), CASES, ids=lambda v: v if isinstance(v, str) else v.name)
def test_the_statements_are_the_reviewed_ones(dialect: Dialect, strategy: str) -> None:
    text = _staging(dialect) if strategy == "staging" else _applying(dialect, strategy)
    golden = GOLDEN / f"upsert_{dialect.name}_{strategy}.sql"
    if "UPDATE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()


def _applying(sql: Dialect, strategy: str) -> str:
    """The plan of each change that the strategy can make."""
    parts = []
    for title, change in CHANGES.items():
        one_pattern = strategy in ("on_conflict", "merge")
        if (one_pattern and len(change.patterns) > 1) or (change.partitioned and strategy != "on_conflict"):
            continue
        if not change.update and strategy == "merge" and sql.merge_must_update:
            continue
        parts.append(f"-- {title}\n{apply(sql, change, strategy)}\n")
    return "\n".join(parts)


def _staging(sql: Dialect) -> str:
    stage, kept, columns = Table("stage"), Table("kept"), list(CHANGE.insert)
    types = [Column("id", "integer", "number"), Column("day", "date", "time"), Column("payload", "json", "other")]
    role = "arn:aws:iam::123456789012:role/loader"
    statements = [
        *filter(None, [sql.distribution(CHANGE.table)]),
        sql.create_temp(stage, CHANGE.table, columns, "id" if sql.distribution(CHANGE.table) else None),
        sql.fill(stage, columns, "SELECT 1"),
        sql.insert_one(stage, columns) if sql.name == "sqlite" else sql.insert(stage, ["id", "day"], [[1, "a\\b'c"]]),
        *sql.ready(stage, CHANGE.keys),
        sql.null_patterns(stage, CHANGE.keys),
        sql.duplicates(stage, CHANGE.keys, CHANGE.table, known=False),
        sql.duplicates(stage, CHANGE.keys, CHANGE.table, known=True),
        sql.keep_last(kept, stage, types, ["id"], ["day"], CHANGE.table, known=True),
        sql.keep_known(kept, stage, types, ["id"]),
        *sql.write_locks(CHANGE.table, 2.0, 60.0),
        sql.drop_temp(stage),
    ]
    if sql.name == "postgres":
        statements.append(sql.copy_from_stdin(stage, columns))
    if sql.copies_from_s3:
        for options in (["FORMAT AS PARQUET"], ["CSV", "GZIP", "STATUPDATE ON"], []):
            region, who = ("eu-west-1", role) if options else (None, "default")
            uri = "s3://lake/it's/"
            statements.append(sql.copy_from_s3(stage, ["id"], uri, iam_role=who, region=region, options=options))
        statements.append(sql.copied())
    return ";\n".join(statements) + ";\n"
