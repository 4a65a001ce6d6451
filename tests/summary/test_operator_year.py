"""A year of flights: day by day, in bulk, and by reading all of them for each day, row for row."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta
from typing import Any

import pytest
from summary.lab import Lab

from airflow_dataquality.demo.flights import _data_file
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

CARRIERS = ("VX", "HA")
"""Of one, all planes fly on most days, of the other, some are away for weeks; some flights have no plane."""
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
SEEN = f"ds, tailnum, {', '.join(MEASURES)}"
RESCAN = """
SELECT day, tailnum, count(*), sum(distance), max(distance), min(ds), max(ds), day - max(ds),
       max(CASE WHEN newest = 1 THEN origin END), sum(CASE WHEN ds > day - 28 THEN 1 END),
       count(DISTINCT CASE WHEN ds > day - 28 THEN ds END), CAST(sum(dep_delay) AS DOUBLE PRECISION) / count(dep_delay)
FROM (
  SELECT f.*, d.day, ROW_NUMBER() OVER (PARTITION BY d.day, f.tailnum
                                        ORDER BY f.ds DESC, f.dep_time DESC NULLS LAST, f.origin DESC) AS newest
  FROM (SELECT DISTINCT ds AS day FROM s) AS d JOIN flights AS f ON f.ds <= d.day
) AS known
GROUP BY day, tailnum
"""


def load(lab: Lab) -> None:
    lab.run(
        "CREATE TABLE flights (ds DATE, tailnum VARCHAR(10), distance INTEGER, dep_time INTEGER, dep_delay INTEGER,"
        " origin VARCHAR(3))"
    )
    with _data_file("flights") as file:
        rows = [
            (
                f"{row['year']}-{row['month']:>02}-{row['day']:>02}",
                *(None if row[c] == "NA" else row[c] for c in columns),
            )
            for row in csv.DictReader(io.TextIOWrapper(file, "utf-8"))
            if row["carrier"] in CARRIERS
        ]
    for start in range(0, len(rows), 2000):
        lab.fill(rows[start : start + 2000], "flights")


columns = ("tailnum", "distance", "dep_time", "dep_delay", "origin")


@pytest.mark.parametrize(
    ("database", "days"), [("postgres", 365), ("redshift", 45)], indirect=["database"], ids=["postgres", "redshift"]
)
def test_day_by_day_is_bulk_is_a_rescan(lab: Lab, days: int) -> None:
    load(lab)
    year = [f"{date(2013, 1, 1) + timedelta(days=number)}" for number in range(days)]
    arguments: dict[str, Any] = {
        "source": "flights", "keys": ["tailnum"], "measures": MEASURES, "partition_column": "ds",
    }  # fmt: skip
    lab.publish(*year, **arguments)
    day_by_day = lab.run("SELECT * FROM s")
    assert len(day_by_day) > 30 * days
    assert lab.rows(columns=SEEN) == lab.run(RESCAN)
    assert lab.published() == dict.fromkeys(year, 1)
    lab.run("ALTER TABLE s RENAME TO singly")
    outcome = lab.backfill(year[0], year[-1], of=lab.operator(year[0], **arguments))
    assert (outcome["partitions"], outcome["rows"]) == (days, len(day_by_day))
    assert lab.run("SELECT * FROM s") == day_by_day
    # And the last day at once, which reads all of the year.
    lab.run("DROP TABLE s", "DELETE FROM dataquality.publication")
    lab.publish(year[-1], **arguments)
    assert lab.run("SELECT * FROM s") == [row for row in day_by_day if str(row[1]) == year[-1]]
