"""Where a partition stands in time: what its past is, and how long ago."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.timeline import Timeline, left_out, moment
from airflow_dataquality.errors import DataQualityError, PartitionError
from airflow_dataquality.model import Partition, Table

T = Table("flights")


def timeline(key: dict[str, Any], period: str = "auto", **arguments: Any) -> Timeline:
    return Timeline.of(Partition.of(T, key), period, **arguments)


def naive(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - as the timeline counts


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (date(2013, 2, 8), naive(2013, 2, 8)),
        (naive(2013, 2, 8, 5), naive(2013, 2, 8, 5)),
        (datetime(2013, 2, 8, 5, tzinfo=UTC), naive(2013, 2, 8, 5)),
        ("2013-02-08", naive(2013, 2, 8)),
        ("20130208", naive(2013, 2, 8)),
        (20130208, naive(2013, 2, 8)),
        ("2013-02", naive(2013, 2, 1)),
        (201302, naive(2013, 2, 1)),
        ("2013-02-08 05:30:00", naive(2013, 2, 8, 5, 30)),
        ("2013-02-08T05", naive(2013, 2, 8, 5)),
        ("2013-02-08 01:00:00+01:00", naive(2013, 2, 8)),
        ("2013-02-08 01:00:00+01", naive(2013, 2, 8)),
        ("2013-02-08T00:00:00Z", naive(2013, 2, 8)),
        ("2016-02-29", naive(2016, 2, 29)),
    ],
)
def test_what_is_a_moment(value: Any, when: datetime) -> None:
    assert moment(value) == when


@pytest.mark.parametrize(
    "value",
    ["EU", "", "2013", 2013, 7, True, None, 1.5, "201313", 20131301, "2013-13", "2013-02-30", "2013-W05", "x" * 99],
)
def test_what_is_none(value: Any) -> None:
    assert moment(value) is None


@pytest.mark.parametrize(
    ("key", "column", "period"),
    [
        ({"ds": "2013-02-08"}, "ds", "day"),
        ({"ds": date(2013, 2, 8), "region": "EU"}, "ds", "day"),
        ({"region": 7, "ds": 20130208}, "ds", "day"),
        ({"hour": "2013-02-08T05:00:00"}, "hour", "hour"),
        ({"ds": "2013-02-08", "customer": 20130201}, "ds", "day"),
        ({"month": "2013-02"}, "month", "month"),
        ({"month": 201302}, "month", "month"),
        ({"region": "EU"}, None, "day"),
        ({}, None, "day"),
    ],
)
def test_the_column_that_tells_the_time(key: dict[str, Any], column: str | None, period: str) -> None:
    found = timeline(key)
    assert (found.column, found.period) == (column, period)
    assert timeline(key, "week").period == "week"


def test_two_dates_in_a_key_are_refused() -> None:
    with pytest.raises(PartitionError, match=r"ds and loaded are dates[\s\S]*Hint: have one date"):
        timeline({"ds": "2013-02-08", "loaded": "2013-02-09"})


@pytest.mark.parametrize(
    ("key", "period", "other", "periods"),
    [
        ({"ds": "2013-02-08"}, "auto", {"ds": "2013-02-08"}, 0),
        ({"ds": "2013-02-08"}, "auto", {"ds": "2013-02-09"}, -1),
        ({"ds": "2013-03-01"}, "auto", {"ds": "2012-03-01"}, 365),
        ({"ds": "2013-02-08"}, "auto", {"ds": "2013-02-07 12:00:00"}, None),
        ({"ds": "2013-02-08"}, "week", {"ds": "2013-01-25"}, 2),
        ({"ds": "2013-02-08"}, "week", {"ds": "2013-01-26"}, None),
        ({"ds": "2013-02-08 05:00:00"}, "auto", {"ds": "2013-02-07 23:00:00"}, 6),
        ({"ds": "2013-02-08 05:00:00"}, "auto", {"ds": "2013-02-07 23:30:00"}, None),
        ({"ds": "2013-02-08 05:00:00"}, "day", {"ds": "2013-02-06 05:00:00"}, 2),
        ({"ds": "2013-02-08T00:00:00"}, "hour", {"ds": "2013-02-07 23:00:00"}, 1),
        ({"month": "2013-02"}, "auto", {"month": "2012-11"}, 3),
        ({"month": 201302}, "auto", {"month": "201211"}, 3),
        ({"ds": "2013-02-01"}, "month", {"ds": "2012-11-01"}, 3),
        ({"ds": "2013-02-28"}, "month", {"ds": "2012-11-30"}, 3),  # months end on other days
        ({"ds": "2013-02-08", "region": "EU"}, "auto", {"region": "EU", "ds": "2013-02-07"}, 1),
        ({"ds": "2013-02-08", "region": "EU"}, "auto", {"region": "US", "ds": "2013-02-07"}, None),
        ({"ds": "2013-02-08", "region": None}, "auto", {"region": None, "ds": "2013-02-07"}, 1),
        ({"ds": "2013-02-08", "region": "EU"}, "auto", {"ds": "2013-02-07"}, None),
        ({"ds": "2013-02-08"}, "auto", {"ds": "yesterday"}, None),
        ({"ds": "2013-02-08"}, "auto", {"ds": None}, None),
        ({}, "auto", {}, None),
    ],
)
def test_how_long_ago_another_partition_was(
    key: dict[str, Any], period: str, other: dict[str, Any], periods: int | None
) -> None:
    assert timeline(key, period).ago_of(other) == periods


@pytest.mark.parametrize(
    ("period", "when", "periods"),
    [
        ("day", naive(2013, 2, 7, 1), 1),
        ("day", naive(2013, 2, 8, 1), 0),
        ("hour", naive(2013, 2, 7, 23, 40), 24),
        ("week", naive(2013, 2, 1, 22), 1),
        ("month", naive(2012, 12, 31), 2),
    ],
)
def test_without_a_date_the_past_is_when_it_was_measured(period: str, when: datetime, periods: int) -> None:
    found = timeline({}, period, now=naive(2013, 2, 8, 23, 30))
    assert found.ago(when) == periods
    assert found.since(10) == found.start(11)
    assert found.bounds(10) == ("{}", "{}")


@pytest.mark.parametrize(
    ("value", "period", "past", "low"),
    [
        ("2013-03-01", "auto", ["2013-02-27", "2013-02-28"], "2013-02-26"),
        (date(2013, 3, 1), "auto", ["2013-02-27", date(2013, 2, 28)], date(2013, 2, 26)),
        (20130301, "auto", [20130227, 20130228], 20130226),
        ("20130301", "auto", ["20130227", "20130228"], "20130226"),
        ("2013-03", "auto", ["2013-01", "2013-02"], "2012-12"),
        (201303, "auto", [201301, 201302], 201212),
        ("2013-03-01", "week", ["2013-02-15", "2013-02-22"], "2013-02-14"),
        ("2013-03-01", "month", ["2013-01-01", "2013-02-01"], "2012-12-31"),
        ("2013-03-01 01:00:00", "auto", ["2013-02-28 23:00:00", "2013-03-01 00:00:00"], "2013-02-27"),
        ("2013-03-01T02:00:00+00:00", "auto", ["2013-03-01T00:00:00+00:00"], "2013-02-28"),
        (naive(2013, 3, 1, 1), "auto", [naive(2013, 2, 28, 23), naive(2013, 3, 1)], date(2013, 2, 27)),
    ],
)
def test_the_range_of_the_past_is_one_of_texts(value: Any, period: str, past: list[Any], low: Any) -> None:
    """As a database compares them byte by byte."""
    first, last = timeline({"ds": value}, period).bounds(2)
    assert first == Partition.of(T, {"ds": low}).json
    assert all(first <= Partition.of(T, {"ds": each}).json < last for each in past)
    assert last == Partition.of(T, {"ds": value}).json
    assert timeline({"ds": value}, period).since(2) is None


@pytest.mark.parametrize(
    ("value", "read", "spelled"),
    [
        ("2013-02-08", date(2013, 2, 7), "2013-02-07"),
        ("20130208", 20130207, "20130207"),
        (20130208, 20130207, 20130207),
        (20130208, "20130207", 20130207),
        ("2013-02-08T05:00:00", naive(2013, 2, 8, 4), "2013-02-08T04:00:00"),
        ("2013-02-08 05:00:00", naive(2013, 2, 8, 4), "2013-02-08 04:00:00"),
        ("2013-02-08T05:00:00+00:00", datetime(2013, 2, 8, 4, tzinfo=UTC), "2013-02-08T04:00:00+00:00"),
        (date(2013, 2, 8), date(2013, 2, 7), date(2013, 2, 7)),
        ("2013-02-08", None, None),
    ],
)
def test_what_the_database_returns_is_spelled_as_the_partition(value: Any, read: Any, spelled: Any) -> None:
    assert timeline({"ds": value}).spelled(read) == spelled


def test_the_days_of_each_period() -> None:
    assert timeline({"ds": "2013-03-01"}).days(2) == [date(2013, 2, 27), date(2013, 2, 28), date(2013, 3, 1)]
    assert timeline({"m": "2013-01"}).days(2) == [date(2012, 11, 1), date(2012, 12, 1), date(2013, 1, 1)]
    assert timeline({"h": "2013-03-01 01:00:00"}).days(2) == [date(2013, 2, 28), date(2013, 3, 1), date(2013, 3, 1)]


def test_what_is_left_out_says_why() -> None:
    days = [date(2013, 12, 20) + timedelta(days=n) for n in range(14)]
    baseline = Baseline(exclude=("2013-12-21", ["2013-12-30", date(2013, 12, 31)]), holidays="US")  # type: ignore[arg-type]
    assert left_out(baseline, days) == {
        date(2013, 12, 21): "2013-12-21 is left out by `exclude`",
        date(2013, 12, 25): "2013-12-25 is a holiday (Christmas Day)",
        date(2013, 12, 30): "2013-12-30 is left out by `exclude`",
        date(2013, 12, 31): "2013-12-31 is left out by `exclude`",
        date(2014, 1, 1): "2014-01-01 is a holiday (New Year's Day)",
    }
    assert left_out(Baseline(), days) == {}
    assert date(2013, 2, 12) in left_out(Baseline(holidays="US-NY"), [date(2013, 2, 12)])
    assert date(2013, 2, 12) not in left_out(Baseline(holidays="US"), [date(2013, 2, 12)])


@pytest.mark.parametrize("country", ["XX", "US-XX", "Germany of old"])
def test_an_unknown_country_is_an_error(country: str) -> None:
    with pytest.raises(DataQualityError, match=rf"holidays='{country}'[\s\S]*Hint: "):
        left_out(Baseline(holidays=country), [date(2013, 12, 25)])


def test_days_are_days_where_clocks_change() -> None:
    here = timeline({"at": "2013-04-05T00:00:00-04:00"}, "day")  # summer time began on 10 March
    assert here.ago_of({"at": "2013-03-05T00:00:00-05:00"}) == 31
    assert here.ago_of({"at": "2013-03-05T03:00:00-05:00"}) is None


def test_the_first_days_of_time_have_a_past_too() -> None:
    assert timeline({"ds": "0001-01-05"}).start(90) == naive(1, 1, 1)


def test_a_datetime_excludes_its_day() -> None:
    given = Baseline(exclude=(naive(2013, 12, 25, 5),))  # type: ignore[arg-type]
    assert given.exclude == ((date(2013, 12, 25), date(2013, 12, 25)),)
