"""What the package says of its work in numbers: the catalogue of its metrics, and the rules of names and tags.

The names are an interface: dashboards and monitors are built on them. The reference in the docs is generated from
:data:`CATALOGUE`. Nothing here knows how the numbers travel; :mod:`airflow_dataquality.hooks.datadog` does.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

LONGEST = 200
"""Characters of a metric's name, and of a tag. https://docs.datadoghq.com/getting_started/tagging/"""
OTHER = "other"
"""What stands for the values of a tag beyond the most that are wanted."""
MAX_TAG_VALUES = 100
PREFIX = "dataquality."
SERVICE_CHECK = "dataquality.table"
"""The service check that every table has which is published or checked."""
COMMON = ("dag", "task", "table", "grain", "env")
"""The tags of every metric, where they are known."""


class Kind(enum.StrEnum):
    """What becomes of several values: the last counts, their sum does, or all of them do."""

    GAUGE = "gauge"
    COUNT = "count"
    DISTRIBUTION = "distribution"


class Fold(enum.StrEnum):
    """What becomes of a gauge's values whose tags are ``other``."""

    DROP = "drop"
    SUM = "sum"
    MAX = "max"


@dataclass(frozen=True)
class Described:
    """A metric of the catalogue.

    :param unit: as Datadog names it; empty for a number without one
    :param tags: its tags beside :data:`COMMON`
    :param fold: what ``other`` values of a gauge become
    """

    kind: Kind
    unit: str
    meaning: str
    tags: tuple[str, ...] = ()
    fold: Fold = Fold.DROP


def _gauge(unit: str, meaning: str, *tags: str, fold: Fold = Fold.DROP) -> Described:
    return Described(Kind.GAUGE, unit, meaning, tags, fold)


def _rows(meaning: str) -> Described:
    return _gauge("row", meaning, fold=Fold.SUM)


def _count(unit: str, meaning: str, *tags: str) -> Described:
    return Described(Kind.COUNT, unit, meaning, tags)


def _seconds(meaning: str) -> Described:
    return Described(Kind.DISTRIBUTION, "second", meaning)


_OF_CHECK = ("check", "severity")

CATALOGUE: Mapping[str, Described] = {
    "dataquality.task.finished": _count(
        "task", "One for each task that ended: `succeeded`, `blocked` (checks did not pass) or `failed`", "outcome"
    ),
    "dataquality.rows.staged": _rows("Rows in the staging table"),
    "dataquality.rows.published": _rows("Rows that became visible; of an upsert, those inserted and updated"),
    "dataquality.rows.rejected": _rows("Rows that were staged, and that checks did not let through"),
    "dataquality.rows.checked": _rows("Rows that were looked at in a table that exists"),
    "dataquality.rows.inserted": _rows("Rows with new keys, of an upsert"),
    "dataquality.rows.updated": _rows("Rows with known keys that were written, of an upsert"),
    "dataquality.rows.unchanged": _rows("Rows with known keys that were not written, as nothing differed"),
    "dataquality.duration.task": _seconds("The whole task, without what Airflow does before and after"),
    "dataquality.duration.staging": _seconds("Filling the staging table; of parallel chunks, their sum"),
    "dataquality.duration.checks": _seconds("Measuring and judging"),
    "dataquality.duration.exchange": _seconds("From the last check until the rows are visible, with waiting for locks"),
    "dataquality.duration.lock_wait": _seconds("Waiting for locks, and for transactions that are older than the rows"),
    "dataquality.checks.passed": _count("check", "Checks whose value lies in its interval"),
    "dataquality.checks.warned": _count("check", "Checks of severity `warn` whose value lies outside"),
    "dataquality.checks.failed": _count("check", "Checks of severity `error` whose value lies outside"),
    "dataquality.checks.skipped": _count("check", "Checks for which there were no data, or too short a past"),
    "dataquality.checks.errored": _count("check", "Checks whose query failed"),
    "dataquality.checks.score": _gauge("fraction", "1 − failures / checks, a warning counting a quarter"),
    "dataquality.check.status": _gauge(
        "", "0 if the check passed, 1 if it warned, 2 if it failed; none if it was skipped", *_OF_CHECK, fold=Fold.MAX
    ),
    "dataquality.check.value": _gauge("", "What was measured; a duration in seconds", *_OF_CHECK),
    "dataquality.check.low": _gauge("", "The lower end of the interval, if it has one", *_OF_CHECK),
    "dataquality.check.high": _gauge("", "The upper end of the interval, if it has one", *_OF_CHECK),
    "dataquality.anomalies": _count("", "Values that do not look like their own past"),
    "dataquality.anomaly.score": _gauge(
        "", "How far the value is from what was expected, in standard deviations; negative below", *_OF_CHECK
    ),
    "dataquality.anomaly.expected": _gauge("", "What the past leads to expect", *_OF_CHECK),
    "dataquality.freshness": _gauge("second", "Age of the newest value, where it is measured", "column"),
    "dataquality.statistics.metrics": _count("", "Numbers that were recorded"),
    "dataquality.statistics.partitions": _count("", "Partitions that were measured"),
    "dataquality.backfill.chunks_done": _gauge("", "Chunks that are staged; while it runs, every ten seconds"),
    "dataquality.backfill.chunks_total": _gauge("", "All chunks"),
    "dataquality.backfill.rows": _gauge("row", "Rows staged in this run"),
    "dataquality.backfill.rows_per_second": _gauge("row", "Rows staged per second, over all connections"),
    "dataquality.backfill.seconds_left": _gauge("second", "About how long the chunks will take that are left"),
    "dataquality.backfill.partitions": _gauge("", "Partitions of the range"),
    "dataquality.backfill.unchanged": _gauge("", "Partitions that were left alone, as their rows are the same"),
    "dataquality.backfill.differing": _gauge("", "Partitions whose rows are others than production's"),
}
"""Every metric: its name → what it is."""


@dataclass(frozen=True)
class Observation:
    """A number, and of what it is.

    :param tags: name → value, as they are; they are cleaned when they are sent
    """

    name: str
    value: float
    kind: Kind = Kind.GAUGE
    tags: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    fold: Fold = Fold.DROP


def observe(name: str, value: Any, tags: Mapping[str, Any] | None = None) -> list[Observation]:
    """A metric of the catalogue; nothing for what is no finite number.

    :param name: without the prefix: ``rows.published``
    :raises KeyError: if it is not in the catalogue, or a tag is not one of the metric's
    """
    full = PREFIX + name
    known = CATALOGUE[full]
    given = {key: str(each) for key, each in (tags or {}).items() if each is not None and str(each)}
    if unknown := given.keys() - {*COMMON, *known.tags}:
        raise KeyError(f"{full} has no tag {', '.join(sorted(unknown))}")
    if value is None or not math.isfinite(value):
        return []
    return [Observation(full, float(value), known.kind, given, known.unit, known.fold)]


class Level(enum.IntEnum):
    """How a table is, in the numbers of Datadog's service checks."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class Event:
    """Something that happened, for people to read.

    :param alert_type: ``error``, ``warning``, ``info`` or ``success``
    :param key: events with the same key are shown as one
    """

    title: str
    text: str
    alert_type: str = "info"
    tags: Mapping[str, str] = field(default_factory=dict)
    key: str | None = None


@dataclass(frozen=True)
class ServiceCheck:
    """How something is."""

    name: str
    level: Level
    message: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Batch:
    """What a task has to say, sent at once."""

    observations: list[Observation] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    service_checks: list[ServiceCheck] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.observations or self.events or self.service_checks)


def clean_name(name: str) -> str:
    """A metric's name as Datadog stores it: ASCII letters, digits, underscores and periods, a letter first.

    https://docs.datadoghq.com/metrics/custom_metrics/#naming-custom-metrics

    >>> clean_name("2 rows-per/second")
    'rows_per_second'
    """
    return re.sub(r"^[^A-Za-z]+", "", re.sub(r"[^A-Za-z0-9_.]+", "_", name))[:LONGEST] or "unnamed"


def clean_tag(key: str, value: object) -> str:
    """A tag as Datadog stores it: lower case, what is no letter, digit or one of ``_-:./`` an underscore.

    >>> clean_tag("check", "null_count(Ort, Straße)"), clean_tag("table", 'analytics."Daily Flights"')
    ('check:null_count_ort_straße', 'table:analytics._daily_flights')
    """
    name = re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9_\-./]+", "_", key.lower())) or "tag"
    # Underscores of a column's name are kept; only what replaces other characters is one for all in a row.
    text = re.sub(r"[^\w\-:./]+", "_", str(value).lower())
    return f"{name}:{text}"[:LONGEST].rstrip("_:")


def clean_tags(tags: Mapping[str, object]) -> list[str]:
    """Tags as they are sent, in order."""
    return sorted({clean_tag(key, value) for key, value in tags.items()})


def bounded(observations: Iterable[Observation], most: int) -> tuple[list[Observation], dict[str, int]]:
    """The observations, with at most so many values of each tag; those after the first are ``other``.

    :returns: the observations, each metric and tags once but for distributions; and how many values of which tag
        were cut
    """
    seen: dict[str, dict[str, None]] = {}
    cut: dict[str, dict[str, None]] = {}
    folded = []
    for each in observations:
        tags = {}
        for key, value in each.tags.items():
            known = seen.setdefault(key, {})
            if value in known or len(known) < most:
                known[value] = None
                tags[key] = value
            else:
                cut.setdefault(key, {})[value] = None
                tags[key] = OTHER
        folded.append((replace(each, tags=tags), tags != each.tags))
    return _merged(folded), {key: len(values) for key, values in cut.items()}


def _merged(observations: Sequence[tuple[Observation, bool]]) -> list[Observation]:
    """One observation for each metric and its tags. Of gauges that are not folded the first counts: the worst."""
    found: dict[Any, Observation] = {}
    for number, (each, is_folded) in enumerate(observations):
        if is_folded and each.kind is Kind.GAUGE and each.fold is Fold.DROP:
            continue
        alone = number if each.kind is Kind.DISTRIBUTION else None
        key = (each.name, tuple(sorted(each.tags.items())), alone)
        if (before := found.get(key)) is None:
            found[key] = each
        elif each.kind is Kind.COUNT or (is_folded and each.fold is Fold.SUM):
            found[key] = replace(before, value=before.value + each.value)
        elif each.fold is Fold.MAX:
            found[key] = replace(before, value=max(before.value, each.value))
    return list(found.values())
