"""Runs at the same time, on each database; on Postgres tests/reliability does worse to them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from summary.lab import DAYS, Lab

from support import on

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

everywhere = on("postgres", "redshift")


def at_once(lab: Lab, *days: str) -> None:
    with ThreadPoolExecutor(len(days)) as threads:
        for run in [threads.submit(lab.publish, day) for day in days]:
            run.result()


@everywhere
@pytest.mark.parametrize("published", [0, 2])
def test_the_same_partition_twice(lab: Lab, published: int) -> None:
    lab.publish(*DAYS[:published])
    at_once(lab, DAYS[published], DAYS[published])
    assert lab.right(*DAYS[: published + 1])
    assert lab.beside() == []


@everywhere
def test_a_day_and_the_one_before(lab: Lab) -> None:
    lab.publish(*DAYS[:3])
    for _ in range(3):
        lab.fill([(DAYS[2], "late", 1, 1, "JFK")])
        at_once(lab, DAYS[2], DAYS[3])
        assert lab.right(*DAYS[:4])
    assert lab.beside() == []


@everywhere
def test_the_first_days(lab: Lab) -> None:
    """None is the first: each is made of all facts, or continues what is published by then."""
    at_once(lab, *DAYS[2:5])
    assert lab.right(*DAYS[2:5])


@on("redshift")  # the double holds a statement back
def test_the_day_before_is_replaced_between_two_looks_at_it(lab: Lab, redshift: RedshiftWarehouse) -> None:
    """Its rows are counted after the ledger was read."""
    lab.publish(*DAYS[:2])
    lab.fill([(DAYS[1], "late", 1, 1, "JFK")])
    redshift.double.clear()
    redshift.double.inject("slow", when="^SELECT COUNT", seconds=1.5)
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(lab.publish, DAYS[2])
        while not any(sql.startswith("SELECT COUNT") for sql in redshift.double.statements):
            time.sleep(0.005)
        lab.operator(DAYS[1]).execute({})
        run.result()
    assert lab.right(*DAYS[:3])
