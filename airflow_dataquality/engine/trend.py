"""Numbers over time, as a chart takes them: values, what was expected, and what stands out."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.board import key_of
from airflow_dataquality.engine.detail import Row
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.timeline import Timeline, moment
from airflow_dataquality.model import Check, Metric, Partition, Table
from airflow_dataquality.vocabulary import KINDS

if TYPE_CHECKING:
    from airflow_dataquality.engine.backtest import Series

log = logging.getLogger(__name__)

EXACT = 2**53
"""Greater integers are no numbers to a browser, nor to a database's double."""
_NAME = re.compile(r"(?P<kind>\w+)(?:\((?P<inside>.*?)\))?")


def time_of(partition: str) -> datetime | None:
    """When a partition is, by the only time in its key; None if there is none, or more."""
    found = [when for value in key_of(partition).values() if (when := moment(value)) is not None]
    return found[0] if len(found) == 1 else None


def of_results(rows: Iterable[Row], marked: Collection[str]) -> dict[str, Any]:
    """The results of a check as a series, the oldest first.

    :param rows: the newest first
    :param marked: partitions that somebody marked as expected or as an incident
    """
    points, by_partition = _ordered(list(rows), "checked_at")
    return {
        **_places(points, by_partition, "checked_at"),
        "y": [_y(row) for row in points],
        "low": [_finite(row["low"]) for row in points],
        "high": [_finite(row["high"]) for row in points],
        "expected": [_finite(row["expected"]) for row in points],
        "status": ["skip" if row["partition"] in marked else row["status"] for row in points],
        "title": [_title(row, row["partition"] in marked) for row in points],
        "label": "value",
        "range": limits(points),
    }


def of_numbers(rows: Iterable[Row], marked: Collection[str], judged: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The numbers of a metric as a series, the oldest first.

    :param judged: by partition, what a baseline would have said: ``low``, ``high``, ``expected``, ``outside``
    """
    points, by_partition = _ordered(list(rows), "measured_at")
    told = [{**row, "low": None, "high": None, "expected": None, **judged.get(row["partition"], {})} for row in points]
    return {
        **_places(points, by_partition, "measured_at"),
        "y": [_finite(row["value"]) for row in points],
        "low": [row["low"] for row in told],
        "high": [row["high"] for row in told],
        "expected": [row["expected"] for row in told],
        "status": [_status(row, marked) for row in told],
        "label": "value",
        "range": limits(told),
    }


def _status(row: Row, marked: Collection[str]) -> str | None:
    if row["partition"] in marked:
        return "skip"
    if row["state"] == "rejected":
        return "blocked"
    return "warn" if row.get("outside") else "pass"


def _ordered(rows: Sequence[Row], clock: str) -> tuple[list[Row], bool]:
    """The rows in the order of time: of the partitions, each with its last row, if all of them are at a time."""
    newest: dict[str, Row] = {}
    for row in rows:
        newest.setdefault(row["partition"], row)
    times = {partition: time_of(partition) for partition in newest}
    distinct = set(times.values())
    if None not in distinct and len(distinct) == len(times):
        return sorted(newest.values(), key=lambda row: times[row["partition"]] or datetime.min), True  # noqa: DTZ901
    return sorted(rows, key=lambda row: row[clock]), False


def _places(points: Sequence[Row], by_partition: bool, clock: str) -> dict[str, Any]:
    def place(row: Row) -> float | str:
        when = time_of(row["partition"]) if by_partition else moment(_plain(row[clock]))
        assert when is not None
        return when.replace(tzinfo=None).isoformat() + "Z"

    return {"x": [place(row) for row in points], "partition": [row["partition"] for row in points]}


def _plain(value: Any) -> Any:
    return value if isinstance(value, datetime) else str(value)


def _y(row: Row) -> float | None:
    """The value on the chart: there is none where there was nothing to judge, so that the line has a gap."""
    return None if row["status"] in ("skip", "error") else _finite(row["value"])


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _title(row: Row, marked: bool) -> str:
    partition = ", ".join(f"{column} {value}" for column, value in key_of(row["partition"]).items())
    said = f"{partition}: {row['reason']}" if partition else str(row["reason"])
    return said + (" (left out of the baseline)" if marked else "")


def limits(rows: Iterable[Row]) -> tuple[float, float] | None:
    """The ends of the vertical axis: every value is on it, and most of the range; None if there is no value.

    >>> limits([{"value": 10.0, "low": 0.0, "high": 20.0}, {"value": 12.0, "low": None, "high": None}])
    (0.0, 21.6)
    """
    rows = list(rows)
    values = [value for row in rows if (value := _finite(row["value"])) is not None]
    if not values:
        return None
    lows = sorted(low for row in rows if (low := _finite(row["low"])) is not None)
    highs = sorted(high for row in rows if (high := _finite(row["high"])) is not None)
    bottom = min([min(values), *lows[len(lows) // 20 : len(lows) // 20 + 1]])
    top = max([max(values), *highs[::-1][len(highs) // 20 : len(highs) // 20 + 1]])
    room = (top - bottom) * 0.08 or max(abs(top), 1.0) * 0.1
    floor = 0.0 if min(values) >= 0 and bottom - room < 0 else bottom - room
    return float(floor), float(top + room)


def judged(
    ledger: Ledger, table: Table, metric: str, rows: Sequence[Row], last: int
) -> tuple[dict[str, dict[str, Any]], str]:
    """What a baseline of the usual kind would have said of each of the last numbers, by the ledger alone.

    :param rows: the newest first
    :returns: by partition; and in words what the band is, or why there is none
    """
    from airflow_dataquality.engine.backtest import remembered, series

    newest = max(rows, key=lambda row: (time_of(row["partition"]) or datetime.min, row["partition"]))  # noqa: DTZ901
    baseline, named = Baseline(), metric_named(metric)
    if named is None or time_of(newest["partition"]) is None:
        return {}, "There is no band: the partitions are at no time, or the metric has a condition."
    timeline = Timeline.of(Partition.of(table, key_of(newest["partition"])), baseline.period)
    own = newest["value"] if newest["state"] == "rejected" else None
    past = remembered(ledger, named, timeline, last + baseline.window, own)
    found = series(past, Check(metric, named, baseline), last)
    told = _by_time(found)
    partitions = {row["partition"]: time_of(row["partition"]) for row in rows}
    band = {partition: told[when] for partition, when in partitions.items() if when in told}
    return band, f"The band is what {baseline} expects of each value, from those before it."


def _by_time(found: Series) -> dict[datetime, dict[str, Any]]:
    names = ("low", "high", "expected")
    return {
        when: {name: _finite(float(getattr(found, name)[at])) for name in names} | {"outside": bool(found.outside[at])}
        for at, when in enumerate(found.when)
    }


def metric_named(name: str) -> Metric | None:
    """The metric of a recorded name; None if the name does not say all of it.

    >>> metric_named("quantile(fare, q=0.5)").params, metric_named("mean(fare) where x > 1")
    ((('q', 0.5),), None)
    """
    match = _NAME.fullmatch(name)
    if match is None or match["kind"] not in KINDS:
        return None
    inside = [part for part in (match["inside"] or "").split(", ") if part]
    try:
        params = tuple(("q", float(part[2:])) for part in inside if part.startswith("q="))
    except ValueError:
        return None
    found = Metric(match["kind"], tuple(part for part in inside if not part.startswith("q=")), params)
    return found if found.series == name else None
