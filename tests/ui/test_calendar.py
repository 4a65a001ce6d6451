"""Partitions on a calendar: which are missing, by how the others are written."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_dataquality.engine import board
from airflow_dataquality.engine.calendar import calendar
from airflow_dataquality.model import Partition, Table
from ui.filled import NOW

T = Table("flights", "analytics")


def entries(column: str, values: list[str], **others: str) -> list[board.Entry]:
    counts = dict.fromkeys(("passed", "warned", "failed", "errored", "skipped"), 0)
    return [
        board.Entry({"partition": Partition.of(T, {column: value, **others}).json, "state": "published", **counts,
                     "at": NOW + timedelta(seconds=number)})
        for number, value in enumerate(values)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "grain", "missing", "label"),
    [
        (["2013-01-30", "2013-01-31", "2013-02-02"], "day", ["2013-02-01"], "January 2013"),
        (["2013-02-01T22", "2013-02-02T00"], "hour", ["2013-02-01T23"], "2013-02-01"),
        (["2013-01-07", "2013-01-14", "2013-01-28"], "week", ["2013-01-21"], "2013"),
        (["2012-11", "2013-01"], "month", ["2012-12"], "2012"),
        (["2013-01-01", "2013-04-01"], "month", ["2013-02-01", "2013-03-01"], "2013"),
        (["20130130", "20130201"], "day", ["20130131"], "January 2013"),
        (["2013-02-01"], "day", [], "February 2013"),
    ],
)
def test_by_grain(values: list[str], grain: str, missing: list[str], label: str) -> None:
    found = calendar(entries("ds", values, region="EU"))
    assert (found.column, found.grain, found.blocks[0].label) == ("ds", grain, label)
    cells = [cell for block in found.blocks for cell in block.cells if cell]
    assert [cell.value for cell in cells if cell.status == "missing"] == missing
    assert found.counts == {"published": len(values), **({"missing": len(missing)} if missing else {})}
    assert all(len(block.cells) <= 7 * 6 for block in found.blocks)


def test_a_day_is_as_bad_as_its_worst_partition() -> None:
    eu, us = entries("ds", ["2013-02-01"], region="EU"), entries("ds", ["2013-02-01"], region="US")
    blocked = board.Entry({**us[0].row, "state": "rejected", "visible": 1})
    (cell,) = (cell for cell in calendar([*eu, blocked]).blocks[0].cells if cell)
    assert (cell.status, cell.words) == ("blocked", "2 partitions: 1 blocked, 1 published")
    (alone,) = (cell for cell in calendar([blocked]).blocks[0].cells if cell)
    assert alone.words == "blocked, without checks; an earlier version is visible"


def test_what_is_at_no_time_is_listed() -> None:
    assert calendar([]).blocks == ()
    assert len(calendar(entries("region", ["EU", "US"])).others) == 2
    whole = board.Entry({**entries("ds", ["2013-02-01"])[0].row, "partition": "{}"})
    assert calendar([whole, *entries("ds", ["2013-02-01"])]).others == [whole]
    ages = entries("ds", ["0001-01-01T00", "9999-12-31T00"])
    assert (calendar(ages).blocks, len(calendar(ages).others)) == ((), 2)


def test_views_are_of_the_newest_first() -> None:
    found = calendar(entries("month", [f"{year}-01" for year in range(1990, 2014)]))
    assert (found.pages(), found.view(1)[-1].label, found.view(3)[0].label, found.view(99)) == (
        3, "2013", "1990", found.view(3),
    )  # fmt: skip
