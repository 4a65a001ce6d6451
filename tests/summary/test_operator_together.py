"""Runs at the same time, on each database; on Postgres tests/reliability does worse to them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from summary.lab import DAYS, Lab

from support import on

pytestmark = on("postgres", "redshift")


def at_once(lab: Lab, *days: str) -> None:
    with ThreadPoolExecutor(len(days)) as threads:
        for run in [threads.submit(lab.publish, day) for day in days]:
            run.result()


@pytest.mark.parametrize("published", [0, 2])
def test_the_same_partition_twice(lab: Lab, published: int) -> None:
    lab.publish(*DAYS[:published])
    at_once(lab, DAYS[published], DAYS[published])
    assert lab.right(*DAYS[: published + 1])
    assert lab.beside() == []


def test_a_day_and_the_one_before(lab: Lab) -> None:
    lab.publish(*DAYS[:3])
    for _ in range(3):
        lab.fill([(DAYS[2], "late", 1, 1, "JFK")])
        at_once(lab, DAYS[2], DAYS[3])
        assert lab.right(*DAYS[:4])
    assert lab.beside() == []


def test_the_first_days(lab: Lab) -> None:
    """None is the first: each is made of all facts, or continues what is published by then."""
    at_once(lab, *DAYS[2:5])
    assert lab.right(*DAYS[2:5])
