"""The statements of a summary where a reviewer sees them: ``tests/golden/summary_*.sql``, UPDATE_GOLDEN=1 writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.dialects.redshift import Redshift
from airflow_dataquality.measures import (
    ActiveDays,
    DaysSinceLast,
    FirstSeen,
    LastSeen,
    Latest,
    Max,
    Mean,
    Measure,
    Rolling,
    Sum,
)
from airflow_dataquality.plans.summary import Definition, compute, step

GOLDEN = Path(__file__).parent.parent / "golden"
MEASURES: dict[str, Measure] = {
    "flights_total": Sum("1"),
    "miles_total": Sum("distance"),
    "longest": Max("distance"),
    "first_seen": FirstSeen(),
    "last_seen": LastSeen(),
    "days_since_last": DaysSinceLast(),
    "last_origin": Latest("origin", order_by="dep_time"),
    "flights_28d": Rolling(Sum("1"), days=28),
    "active_28d": ActiveDays(28),
    "mean_delay": Mean("dep_delay"),
}
DEFINITION = Definition(("tailnum",), "ds", tuple(MEASURES.items()))
TYPES = {"tailnum": "text", "ds": "date"}
TODAY = "CAST('2013-02-01' AS date)"
FACTS = "(SELECT tailnum, distance, origin, dep_time, dep_delay FROM raw.flights WHERE ds = '2013-02-01')"


@pytest.mark.parametrize("dialect", [Postgres(), Redshift()], ids=lambda dialect: dialect.name)
def test_the_statements_are_the_reviewed_ones(dialect: Dialect) -> None:
    ages = {"2013-01-31": 1, "2013-02-01": 0}
    texts = [
        "-- the first run, over two days\n" + compute(dialect, DEFINITION, '"raw"."flights"', TODAY, TYPES, ages=ages),
        "-- a day\n" + step(dialect, DEFINITION, '"previous"', FACTS, TODAY, TYPES),
    ]
    if dialect.shards:
        texts.append("-- a shard\n" + dialect.shard(DEFINITION.keys, 1, 4, {"tailnum": "text"}))
    text = ";\n\n".join([*dialect.summary_setup, *texts]) + ";\n"
    golden = GOLDEN / f"summary_{dialect.name}.sql"
    if "UPDATE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()
