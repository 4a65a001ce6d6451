"""Schedules as headers write them: presets, and cron expressions whose fields are in range."""

from __future__ import annotations

import re
from typing import Any

from airflow_dataquality.errors import did_you_mean
from airflow_dataquality.transforms.places import Misfit

PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")
_FIELDS = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7), "second": (0, 59)}
_WORDS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"
_NAMES = re.compile(rf"\b(?:{_WORDS})\b", re.IGNORECASE)
# A value, a range or all, every so many; l and # are of croniter, with which Airflow reads it.
_PART = re.compile(r"(?:\*|\d+(?:-\d+)?|l|l\d|\d#[1-5])(?:/\d+)?", re.IGNORECASE)
_FEWEST = 5


def schedule_of(found: Any) -> str:
    """A schedule that Airflow takes.

    :raises Misfit: naming the field that is out of range
    """
    text = found.strip() if isinstance(found, str) else ""
    if text.startswith("@"):
        if text not in PRESETS:
            near = did_you_mean(text, PRESETS, label="Presets")
            raise Misfit(f"schedule is {found!r}", hint=near, path=("schedule",))
        return text
    fields = text.split()
    hint = f'write a cron expression, "30 5 * * *", or one of {", ".join(PRESETS)}'
    if not _FEWEST <= len(fields) <= len(_FIELDS):
        raise Misfit(f"schedule is {found!r}", hint=hint, path=("schedule",))
    for (name, (low, high)), written in zip(_FIELDS.items(), fields, strict=False):
        if not all(_fits(part, low, high) for part in _NAMES.sub("1", written).split(",")):
            message = f"schedule is {found!r}, whose {name} is {written!r}"
            raise Misfit(message, hint=f"a {name} is from {low} to {high}; {hint}", path=("schedule",))
    return text


def _fits(part: str, low: int, high: int) -> bool:
    """Whether one part of a field has the form of one, and is in range."""
    if _PART.fullmatch(part) is None:
        return False
    values = [int(each) for each in re.findall(r"\d+", re.sub(r"[/#]\d+", "", part))]
    return all(low <= each <= high for each in values) and not part.endswith("/0")
