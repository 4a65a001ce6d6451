"""Schedules as headers write them: presets, and cron expressions."""

from __future__ import annotations

from typing import Any

from airflow_dataquality.errors import did_you_mean
from airflow_dataquality.transforms.places import Misfit

PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")


def schedule_of(found: Any) -> str:
    """A schedule that Airflow takes.

    :raises Misfit: saying what is wrong with it
    """
    from croniter import CroniterError, croniter  # type: ignore[import-untyped]  # as Airflow does

    text = found.strip() if isinstance(found, str) else ""
    if text in PRESETS:
        return text
    if text.startswith("@"):
        near = did_you_mean(text, PRESETS, label="Presets")
        raise Misfit(f"schedule is {found!r}", hint=near, path=("schedule",))
    try:
        croniter.expand(text)
    except CroniterError as error:
        hint = f'write a cron expression, "30 5 * * *", or one of {", ".join(PRESETS)}'
        raise Misfit(f"schedule is {found!r}: {error}", hint=hint, path=("schedule",)) from None
    return text
