"""Where a partition stands in time: which partitions are its past, and how long ago each of them was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.errors import DataQualityError, PartitionError
from airflow_dataquality.model import Partition, Scalar, as_json

UNITS = {"hour": "h", "day": "D", "week": "W", "month": "M"}
"""numpy's name of each period."""
_STEPS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_MONTH = re.compile(r"(\d{4})-?(\d{2})")
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}")
_ZONE = re.compile(r"(?<=\d)(?:Z|[+-]\d{2}(?::?\d{2})?)$")


@dataclass(frozen=True)
class Timeline:
    """A partition among the partitions before it.

    :param column: the column of its key that tells the time; None if none does: the time is when it was measured
    :param period: ``hour``, ``day``, ``week`` or ``month``
    :param moment: when the partition is, in UTC
    """

    partition: Partition
    column: str | None
    period: str
    moment: datetime

    @classmethod
    def of(cls, partition: Partition, period: str = "auto", *, now: datetime | None = None) -> Timeline:
        """Find the column that tells the time.

        :param period: from one partition to the next; ``auto`` tells by the value
        :raises PartitionError: if two columns of the key could be it
        """
        moments = {column: found for column, value in partition.as_dict.items() if (found := moment(value)) is not None}
        if len(moments) > 1:  # 20130201 may be a number of something else; a text with dashes is a date
            moments = {c: m for c, m in moments.items() if "-" in str(partition.as_dict[c])} or moments
        if len(moments) > 1:
            raise PartitionError(
                f"{partition}: {' and '.join(moments)} are dates, so that its past could be along either",
                hint="have one date in the partition's key",
            )
        if not moments:
            now = now or datetime.now(UTC).replace(tzinfo=None)
            return cls(partition, None, "day" if period == "auto" else period, now)
        ((column, found),) = moments.items()
        return cls(partition, column, _period(partition.as_dict[column], found) if period == "auto" else period, found)

    @property
    def others(self) -> Partition:
        """The rows like the partition's of any time."""
        key = tuple((name, value) for name, value in self.partition.key if name != self.column)
        return Partition(self.partition.table, key)

    def ago(self, when: datetime) -> int | None:
        """How many periods before the partition that is, 0 for its own; None if it lies between two."""
        if self.period == "month":
            return (self.moment.year - when.year) * 12 + self.moment.month - when.month  # months end on other days
        if self.column is None and self.period == "day":
            return (self.moment.date() - when.date()).days
        step = _STEPS[self.period]
        periods = round((self.moment - when) / step)
        off = abs(self.moment - when - periods * step)
        # Where clocks change, a day has 23 or 25 hours.
        near = off <= timedelta(hours=1) if step > timedelta(hours=1) else not off
        return periods if near or self.column is None else None

    def ago_of(self, key: Mapping[str, Any]) -> int | None:
        """The same of another partition, by its key; None if it is not one of the same kind."""
        mine = self.partition.as_dict
        if self.column is None or key.keys() != mine.keys():
            return None
        if any(str(key[column]) != str(mine[column]) for column in mine if column != self.column):
            return None
        when = moment(key[self.column])
        return None if when is None else self.ago(when)

    def start(self, periods: int) -> datetime:
        """When the partition was that many periods earlier."""
        try:
            return _moved(self.moment, self.period, -periods)
        except OverflowError:
            return datetime.min  # noqa: DTZ901 - as above

    def days(self, window: int) -> list[date]:
        """The date of each period: ``window`` of the past, and the partition's own."""
        return [self.start(periods).date() for periods in range(window, -1, -1)]

    def value(self, when: datetime) -> Scalar:
        """The time column's value of another day, written as the partition's own is."""
        assert self.column is not None
        mine = self.partition.as_dict[self.column]
        if isinstance(mine, date):
            return when.date()
        text = when.strftime("%Y-%m-%d" if "-" in str(mine) else "%Y%m%d")[: len(str(mine))]
        return int(text) if isinstance(mine, int) else text

    def spelled(self, value: Scalar) -> Scalar:
        """A value of the time column, as the database returned it, written as the partition's own is."""
        assert self.column is not None
        mine = self.partition.as_dict[self.column]
        if isinstance(mine, str) and isinstance(value, date):
            if not isinstance(value, datetime):
                return value.isoformat()
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat(sep="T" if "T" in mine else " ")
        if isinstance(mine, str) and isinstance(value, int):
            return str(value)
        return int(value) if isinstance(mine, int) and isinstance(value, str) and value.isdecimal() else value

    def bounds(self, window: int) -> tuple[str, str]:
        """JSON of the window's first partition, and of this one: between them, the order of texts is that of time."""
        if self.column is None:
            return self.partition.json, self.partition.json
        # A day more: a time of the day follows the date in the text, after a blank that sorts before a quote.
        first = self.partition.as_dict | {self.column: self.value(self.start(window) - timedelta(days=1))}
        return as_json(first.items()), self.partition.json

    def since(self, window: int) -> datetime | None:
        """From when on measurements are history, if the partitions do not tell."""
        return None if self.column else self.start(window + 1)  # the first day of the window is a whole one


def grain_of(value: str) -> str:
    """From one partition to the next, by how one is written: ``hour``, ``day`` or ``month``.

    :raises PartitionError: if it is no time

    >>> grain_of("2013-02"), grain_of("20130208"), grain_of("2013-02-08T00")
    ('month', 'day', 'hour')
    """
    if moment(value) is None:
        raise PartitionError(f"{value!r} is not a time", hint='write a partition: "2013-02-08", "2013-02", …')
    if _MONTH.fullmatch(value):
        return "month"
    return "day" if len(value) <= len("2013-02-08") else "hour"


def partitions_between(first: str, last: str, grain: str) -> list[str]:
    """The values of all partitions from the first to the last, written as the first is.

    :param grain: ``hour``, ``day``, ``week`` or ``month``
    :raises PartitionError: if they are no times, or in the wrong order

    >>> partitions_between("2012-02-28", "2012-03-01", "day")
    ['2012-02-28', '2012-02-29', '2012-03-01']
    >>> partitions_between("2013-12", "2014-01", "month")
    ['2013-12', '2014-01']
    """
    begin, end = moment(first), moment(last)
    if begin is None or end is None:
        raise PartitionError(f"{first if begin is None else last!r} is not a time", hint='write "2013-02-08"')
    if begin > end:
        raise PartitionError(f"the range ends ({last}) before it starts ({first})", hint="write the earlier one first")
    found, at = [first], begin
    while (at := _next(at, grain)) <= end:
        found.append(spell(at, first))
    return found


def partition_after(value: str, grain: str, periods: int = 1) -> str:
    """The partition so many periods after another one; before it, if they are less than 0.

    >>> partition_after("2013-03-01", "day", -1), partition_after("2013-01", "month")
    ('2013-02-28', '2013-02')
    """
    at = moment(value)
    assert at is not None
    return spell(_moved(at, grain, periods), value)


def _moved(at: datetime, grain: str, periods: int) -> datetime:
    """A time so many periods later; of months the first day."""
    if grain != "month":
        return at + periods * _STEPS[grain]
    months = at.year * 12 + at.month - 1 + periods
    return at.replace(year=months // 12, month=months % 12 + 1, day=1)


def _next(at: datetime, grain: str) -> datetime:
    if grain != "month":
        return at + _STEPS[grain]
    return at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)


def spell(at: datetime, like: str) -> str:
    """A time in UTC, written as another one is.

    >>> spell(datetime(2013, 2, 8, 5), "2013-01-01T00:00:00+00:00"), spell(datetime(2013, 2, 8), "201301")
    ('2013-02-08T05:00:00+00:00', '201302')
    """
    if "-" not in like:
        return f"{at:%Y%m%d}"[: len(like)]
    written, mark, zone = like, "", ""
    if len(like) > len("2013-02-08"):
        mark = like[len("2013-02-08")]
        if zoned := _ZONE.search(like):
            written, zone = like[: zoned.start()], zoned.group()
    if zone and zone != "Z":  # the same moment on the clock of the zone
        at += datetime.fromisoformat(f"2000-01-01T00:00:00{zone}").utcoffset() or timedelta()
    return at.isoformat(sep=mark or "T")[: len(written)] + zone


def moment(value: Scalar) -> datetime | None:
    """When a partition is, by its value, in UTC; None if it is no time.

    >>> moment("2013-02"), moment(20130208), moment("EU")
    (datetime.datetime(2013, 2, 1, 0, 0), datetime.datetime(2013, 2, 8, 0, 0), None)
    >>> moment("2013-02-08 01:00:00+01:00")
    datetime.datetime(2013, 2, 8, 0, 0)
    """
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - as above
    elif isinstance(value, bool) or not isinstance(value, str | int) or len(str(value)) < len("201302"):
        return None
    else:
        text = str(value)
        if whole := _MONTH.fullmatch(text):
            text = f"{whole[1]}-{whole[2]}-01"
        if not _DATE.match(text):
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            return None
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


def _period(value: Scalar, found: datetime) -> str:
    if isinstance(value, str | int) and _MONTH.fullmatch(str(value)):
        return "month"
    return "day" if found == found.replace(hour=0, minute=0, second=0, microsecond=0) else "hour"


def left_out(baseline: Baseline, days: list[date]) -> dict[date, str]:
    """The days that are neither history nor judged, and why.

    :raises DataQualityError: if the calendar is not installed, or has no such country
    """
    named = {day: f"{day} is left out by `exclude`" for day in days if any(a <= day <= b for a, b in baseline.exclude)}
    if baseline.holidays is None:
        return named
    calendar = _holidays(baseline.holidays, range(days[0].year, days[-1].year + 1))
    return {day: f"{day} is a holiday ({calendar[day]})" for day in days if day in calendar} | named


def _holidays(country: str, years: range) -> Mapping[date, str]:
    try:
        import holidays
    except ImportError:
        raise DataQualityError(
            f"holidays={country!r} needs a calendar, which is not installed",
            hint="pip install 'airflow-provider-dataquality[holidays]'",
        ) from None
    name, _, subdivision = country.partition("-")
    try:
        return holidays.country_holidays(name, subdiv=subdivision or None, years=years)
    except NotImplementedError as error:
        raise DataQualityError(f"holidays={country!r}: {error}", hint="write a country's code: US, or US-NY") from None
