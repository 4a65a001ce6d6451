"""Partitions of every grain and type, one after the other and at once, over leap days and where clocks change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from summary.lab import Lab

from airflow_dataquality.measures import ActiveDays, Count, DaysSinceLast, FirstSeen, LastSeen, Rolling
from support import on

pytestmark = on("postgres", "redshift")

MEASURES = {
    "n": Count(),
    "first_seen": FirstSeen(),
    "last_seen": LastSeen(),
    "ago": DaysSinceLast(),
    "recent": Rolling(Count(), days=2),
    "active": ActiveDays(3),
}


@dataclass(frozen=True)
class Grain:
    """Five partitions, and how they are called.

    :param kind: of the partition column
    :param written: as a DAG writes them
    :param ago: days from the first to the last
    """

    kind: str
    written: tuple[Any, ...]
    ago: int
    grain: str = "auto"
    names: tuple[str, ...] = ()

    @property
    def printed(self) -> list[str]:
        return list(self.names or self.written)


GRAINS = {
    "days over a leap day": Grain("DATE", ("2012-02-27", "2012-02-28", "2012-02-29", "2012-03-01", "2012-03-02"), 4),
    "days as text": Grain("VARCHAR(10)", ("2012-02-27", "2012-02-28", "2012-02-29", "2012-03-01", "2012-03-02"), 4),
    "days as numbers": Grain("INTEGER", ("20120227", "20120228", "20120229", "20120301", "20120302"), 4),
    "weeks": Grain("DATE", ("2012-12-17", "2012-12-24", "2012-12-31", "2013-01-07", "2013-01-14"), 28, "week"),
    "months": Grain("DATE", ("2012-11-01", "2012-12-01", "2013-01-01", "2013-02-01", "2013-03-01"), 120, "month"),
    "months as text": Grain("VARCHAR(7)", ("2012-11", "2012-12", "2013-01", "2013-02", "2013-03"), 120),
    "months as numbers": Grain("INTEGER", ("201211", "201212", "201301", "201302", "201303"), 120),
    "hours": Grain(
        "TIMESTAMP", tuple(f"2012-02-{day}:00" for day in ("28T22", "28T23", "29T00", "29T01", "29T02")), 1,
        names=tuple(f"2012-02-{day}:00:00" for day in ("28T22", "28T23", "29T00", "29T01", "29T02")),
    ),
    "hours as text": Grain(
        "VARCHAR(13)", tuple(f"2012-02-{hour}" for hour in ("28T22", "28T23", "29T00", "29T01", "29T02")), 1
    ),
    "hours where clocks change": Grain(
        "TIMESTAMPTZ", tuple(f"2013-03-10T0{hour}:00+00:00" for hour in range(5, 10)), 0, "hour",
        names=tuple(f"2013-03-10T0{hour}:00:00+00:00" for hour in range(5, 10)),
    ),
    "hours where clocks change back": Grain(
        "TIMESTAMPTZ", ("2013-11-03T00:00-04:00", "2013-11-03T01:00-04:00", "2013-11-03T01:00-05:00",
                        "2013-11-03T02:00-05:00", "2013-11-03T03:00-05:00"), 0, "hour",
        names=tuple(f"2013-11-03T0{hour}:00:00+00:00" for hour in range(4, 9)),
    ),
}  # fmt: skip
ACTIVE = [1, 2, 3, 3, 3]


@pytest.fixture(params=GRAINS)
def grain(request: pytest.FixtureRequest, lab: Lab) -> Grain:
    """Its facts: ``x`` in every partition, ``y`` in the first."""
    grain = GRAINS[request.param]
    lab.run("DROP TABLE facts", f"CREATE TABLE facts (ds {grain.kind}, k VARCHAR(5))")
    lab.fill([(name, "x") for name in grain.written] + [(grain.written[0], "y")])
    return grain


def rows(lab: Lab) -> list[Any]:
    return lab.run("SELECT * FROM s")


def test_one_by_one_and_at_once(lab: Lab, grain: Grain) -> None:
    arguments: dict[str, Any] = {"measures": MEASURES, "grain": grain.grain}
    for name in grain.written:
        lab.publish(name, **arguments)
    assert list(lab.chain(grain=grain.grain).links) == grain.printed
    seen = lab.run("SELECT n, recent, active, ago FROM s WHERE k = 'x'")
    assert seen == [(n, min(n, 2), ACTIVE[n - 1], 0) for n in range(1, 6)]
    (last,) = lab.run(f"SELECT n, recent, active, ago FROM s WHERE k = 'y' AND ds = '{grain.written[-1]}'")
    assert last == (1, 0, 0, grain.ago)
    one_by_one = rows(lab)
    lab.run("DROP TABLE s")
    operator = lab.operator(grain.written[0], **arguments)
    outcome = lab.backfill(grain.written[0], grain.written[-1], of=operator)
    assert outcome["partitions"] == 5
    assert rows(lab) == one_by_one
    assert list(lab.chain(grain=grain.grain).links) == grain.printed
    # And from the middle on: after another fact, and over a gap.
    lab.fill([(grain.written[1], "z")])
    assert lab.publish(grain.written[1], **arguments)["partitions"] == 4
    rebuilt = rows(lab)
    lab.run("DROP TABLE s", "DELETE FROM dataquality.publication")
    lab.publish(grain.written[0], **arguments)
    with pytest.raises(AirflowException, match=f"missing: {grain.printed[1][:7]}"):
        lab.publish(grain.written[4], **arguments)
    assert lab.publish(grain.written[4], on_gap="catch_up", **arguments)["partitions"] == 4
    assert rows(lab) == rebuilt


@pytest.mark.parametrize(
    ("kind", "grain", "days", "message"),
    [
        ("DATE", "month", ["2013-01-15"], "ds=2013-01-15 is no month\nHint: write its beginning: "),
        ("DATE", "week", ["2013-01-07", "2013-01-16"], "2013-01-16 does not lie whole weeks after 2013-01-07\nHint: "),
        ("VARCHAR(9)", "day", ["{{ x }}"], "partition was not rendered"),
        ("TIMESTAMPTZ", "day", ["2013-03-10T00:00-05:00"], "ds has a time zone, in which a day is not always as long"),
    ],
)
def test_what_is_no_partition_of_that_grain(lab: Lab, kind: str, grain: str, days: list[str], message: str) -> None:
    lab.run("DROP TABLE facts", f"CREATE TABLE facts (ds {kind}, k VARCHAR(5))")
    if "{" not in days[0]:
        lab.fill([(day, "x") for day in days])
    *before, last = days
    lab.publish(*before, grain=grain, measures=MEASURES)
    with pytest.raises(AirflowException, match=message):
        lab.publish(last, grain=grain, measures=MEASURES)


def test_a_select_gets_the_dates_of_its_partition(lab: Lab) -> None:
    sql = (
        "SELECT CAST('{{ ds_nodash }}' AS INTEGER) AS day, k FROM facts "
        "WHERE ds >= '{{ data_interval_start }}' AND ds < '{{ data_interval_end }}'"
    )
    operator = {"sql": sql, "partition_column": "day", "measures": {"n": Count()}}
    lab.publish("20130101", "20130102", **operator)
    assert lab.run("SELECT day, k, n FROM s") == [
        (20130101, "a", 2), (20130101, "b", 1), (20130102, "a", 3), (20130102, "b", 1), (20130102, None, 1)
    ]  # fmt: skip
