"""Every statement that reads a past, where a reviewer sees it: ``tests/golden/anomaly_*.sql``."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from airflow_dataquality.checks import anomaly
from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.dialects.redshift import Redshift
from airflow_dataquality.dialects.sqlite import Sqlite
from airflow_dataquality.engine.groups import GroupScan
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.model import Column, Partition, Table
from airflow_dataquality.vocabulary import KINDS

GOLDEN = Path(__file__).parent.parent / "golden"
DIALECTS: list[Dialect] = [Dialect(), Postgres(), Redshift(), Sqlite()]
T = Table("daily flights", "w")
COLUMNS = [
    Column("dep_delay", "integer", "number"),
    Column('say "hi"', "text", "text"),
    Column("late", "boolean", "boolean"),
]
METRICS = [
    anomaly("row_count"),
    anomaly("null_ratio", 'say "hi"'),
    anomaly("mean", "dep_delay"),
    anomaly("true_ratio", "late"),
    anomaly("distinct_count", 'say "hi"'),
    anomaly("mean", "dep_delay", partition_clause="region = 'EU'"),
]


@pytest.mark.parametrize("sql", DIALECTS, ids=lambda sql: sql.name)
def test_the_statements_are_the_reviewed_ones(sql: Dialect) -> None:
    day = Timeline.of(Partition.of(T, {"ds": "2013-02-08", "carrier": "it's"}))
    whole = Timeline.of(Partition(T), now=day.moment)
    parts = {
        "the ledger, of a day": _history(sql, day),
        "the ledger, of a whole table": _history(sql, whole),
        "the table's past, in one scan": _scan(
            sql, day, ["ds"], sql.between("ds", day.value(day.start(90)), "2013-02-08")
        ),
        "a dimension": _scan(sql, day, ["origin", "dest"], sql.largest(day.partition, "origin", 51, "region = 'EU'")),
        "what was recorded of which partitions": [
            sql.recorded_partitions(sql.ledger_table("dataquality", "metric"), T, ["mean(dep_delay)", "row_count"])
        ],
        "the days since the last": [
            sql.source(Partition(T), sql.up_to("ds", date(2013, 2, 8), after=date(2013, 2, 4)))
        ],
    }
    text = "\n".join(
        f"-- {title}\n" + "".join(f"{each};\n" for each in statements) for title, statements in parts.items()
    )
    golden = GOLDEN / f"anomaly_{sql.name}.sql"
    if "UPDATE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()


def _history(sql: Dialect, timeline: Timeline) -> list[str]:
    tables = {name: sql.ledger_table("dataquality", name) for name in ("metric", "verdict")}
    return [sql.history(tables, T, *timeline.bounds(90), timeline.since(90))]


def _scan(sql: Dialect, timeline: Timeline, by: list[str], where: str) -> list[str]:
    """Of the other columns of the partition, all days; of a dimension, the partition."""
    others = Partition(T, tuple((name, value) for name, value in timeline.partition.key if name not in by))
    metrics = tuple(check.metric for check in METRICS if sql.groupable(check.metric))
    assert {KINDS[metric.kind].family.name for metric in metrics} == {"PLAIN", "SORTED"}
    scan = GroupScan(sql, metrics, others, {c.name: c for c in COLUMNS}, by=tuple(by), where=where)
    return scan.statements()
