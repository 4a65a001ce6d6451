"""Let a DAG that runs when an asset was updated go on only if the data are good enough."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.operators._common import RESULT_KEY

if TYPE_CHECKING:
    from airflow.providers.standard.operators.python import ShortCircuitOperator
    from airflow.sdk import Asset

log = logging.getLogger(__name__)

UNKNOWN = ("skip", "run")


def require_score(
    at_least: float = 0.9,
    *,
    asset: Asset | None = None,
    unknown: str = "skip",
    task_id: str = "require_score",
    **arguments: Any,
) -> ShortCircuitOperator:
    """Make a task that skips what follows it unless every event that triggered the run has a high enough score.

    It reads the summary that the operators of this package, and Airflow's ``common.dataquality``, put into the events
    of their outlets. It asks no database.

    :param at_least: the lowest score with which the run goes on; 1 lets no warning through
    :param asset: look at the events of this asset alone; None looks at all
    :param unknown: what to do if no event has a score, as in a run that was triggered by hand: ``skip`` or ``run``
    :param task_id: the task's name
    :param arguments: of ``ShortCircuitOperator``: ``ignore_downstream_trigger_rules``, ``trigger_rule`` …
    :raises SpecError: if an argument can never work
    """
    from airflow.providers.standard.operators.python import ShortCircuitOperator

    if isinstance(at_least, bool) or not isinstance(at_least, int | float) or not 0 <= at_least <= 1:
        raise SpecError(f"at_least is {at_least!r}, not a number from 0 to 1", hint="0.9 is usual")
    if unknown not in UNKNOWN:
        raise SpecError(f"unknown is {unknown!r}", hint=did_you_mean(str(unknown), UNKNOWN))

    def good_enough(triggering_asset_events: Any = None) -> bool:
        found = scores(triggering_asset_events, asset=asset)
        if not found:
            log.warning("No event that triggered this run has a score: %s", unknown)
            return unknown == "run"
        low = {name: score for name, score in found if score < at_least}
        for name, score in low.items():
            log.warning("%s has the score %s, and %s is required", name, score, at_least)
        return not low

    return ShortCircuitOperator(task_id=task_id, python_callable=good_enough, **arguments)


def scores(events: Mapping[Any, Iterable[Any]] | None, *, asset: Asset | None = None) -> list[tuple[str, float]]:
    """The asset and the score of each event that has one; of the same task in the same run, the newest.

    :param events: ``triggering_asset_events`` of the task's context
    :param asset: look at the events of this asset alone
    """
    newest: dict[Any, tuple[str, float]] = {}
    for each in sorted((event for found in (events or {}).values() for event in found), key=lambda e: e.timestamp):
        result = (each.extra or {}).get(RESULT_KEY)
        score = result.get("score") if isinstance(result, Mapping) else None
        wanted = asset is None or (each.asset.name, each.asset.uri) == (asset.name, asset.uri)
        if wanted and isinstance(score, int | float):
            origin = [getattr(each, f"source_{part}_id", None) for part in ("dag", "run", "task")]
            key = (each.asset.uri, *origin, each.source_map_index, getattr(each, "partition_key", None))
            newest[key] = (each.asset.name, float(score))
    return list(newest.values())
