"""A summary in a table that Postgres partitions."""

from __future__ import annotations

import pytest
from summary.lab import DAYS, Lab

from support import on

pytestmark = on("postgres")


@pytest.fixture
def partitioned(lab: Lab) -> Lab:
    """A summary with a child for each day but the last, made by the user."""
    lab.publish(DAYS[0])
    lab.run("ALTER TABLE s RENAME TO old", "DELETE FROM dataquality.publication")
    lab.run("CREATE TABLE s (LIKE old) PARTITION BY RANGE (ds)", "DROP TABLE old")
    for number, day in enumerate(DAYS[:-1], 2):
        lab.run(f"CREATE TABLE s_{number} PARTITION OF s FOR VALUES FROM ('{day}') TO ('2013-01-0{number}')")
    return lab


def test_a_partitioned_table(partitioned: Lab) -> None:
    for day in DAYS[:3]:
        assert partitioned.publish(day)["exchange"] == "attach"
    assert partitioned.publish(DAYS[5], on_gap="catch_up")["exchange"] == "overwrite"
    assert partitioned.publish(DAYS[6])["exchange"] == "attach"
    assert partitioned.right(*DAYS)
    partitioned.fill([(DAYS[2], "late", 1, 1, "JFK")])
    assert partitioned.publish(DAYS[2])["exchange"] == "overwrite"
    assert partitioned.right(*DAYS)
    assert partitioned.beside() == []


@pytest.mark.parametrize("exchange", ["attach", "overwrite"])
def test_how_it_is_exchanged(partitioned: Lab, exchange: str) -> None:
    for day in DAYS[:2]:
        assert partitioned.publish(day, exchange=exchange)["exchange"] == exchange
    assert partitioned.publish(DAYS[4], on_gap="catch_up", exchange=exchange)["exchange"] == "overwrite"
    assert partitioned.right(*DAYS[:5])
