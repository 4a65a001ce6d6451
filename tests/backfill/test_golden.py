"""The statements of a comparison, to be read: ``tests/golden/comparison_*.sql``. UPDATE_GOLDEN=1 writes them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.dialects.comparison import COMPARISONS
from airflow_dataquality.model import Column, Metric, Partition, Range, Table
from airflow_dataquality.vocabulary import KINDS, Takes

GOLDEN = Path(__file__).parent.parent / "golden"
STAGE = Partition(Table("daily__dq_backfill_abc", "analytics"))
HELD = Partition(Table("daily", "analytics"), (("ds", Range("2013-01-01", "2013-01-31")),))
SAME = ("2013-01-05", "2013-01-06")
SOME = Partition(HELD.table, (("ds", Range("2013-01-01", "2013-01-31", SAME)),))
COLUMNS = [
    Column("ds", "date", "time"), Column("tail num", "text", "text"), Column("doc", "json", None),
    Column("place", "point", None),
]  # fmt: skip


@pytest.mark.parametrize("name", ["postgres", "redshift"])
def test_the_statements_are_the_reviewed_ones(name: str) -> None:
    sql = dialect_for(name)
    said = {
        "rows on both sides": sql.counted_sides(STAGE, HELD, "ds"),
        "rows of a table that is to be created": sql.counted_sides(STAGE, None, "ds"),
    }
    for kind in COMPARISONS:
        columns = () if KINDS[kind].takes is Takes.NONE else ("tail num",)
        said[kind] = sql.compared(Metric(kind, columns), STAGE, HELD, "ds")
    said["lost_keys of two columns, the partition's among them, where"] = sql.compared(
        Metric("lost_keys", ("ds", "tail num"), where="carrier = 'AA' -- American"), STAGE, HELD, "ds"
    )
    said["partitions that changed"] = sql.changed_partitions(STAGE, HELD, "ds", COLUMNS)
    said["what is published, if some have not"] = sql.rows_but(
        STAGE.table, ["ds", "tail num"], "ds", SOME.key[0][1].but
    )
    said["what it takes the place of"] = sql.delete(SOME.table, sql.rows_of(SOME), only=True)
    said["a chunk's own table"] = sql.create_temporary_like(Table("dq_chunk_1"), STAGE.table)
    said["a chunk's lock"] = re.sub(r"\(-?\d+\)", "(#)", sql.lock_chunk(STAGE.table, 1))
    said["the stage of a table that is to be created"] = ";\n".join(
        sql.create_sorted_as(STAGE.table, "SELECT 1 AS ds", "ds", Table("daily_ds_idx", "analytics"))
    )
    text = "\n\n".join(f"-- {what}\n{statement};" for what, statement in said.items()) + "\n"
    golden = GOLDEN / f"comparison_{name}.sql"
    if "UPDATE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_comparing_kind_compares_partitions() -> None:
    assert set(COMPARISONS) == {name for name, kind in KINDS.items() if kind.compares}
