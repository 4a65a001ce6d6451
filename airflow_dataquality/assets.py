"""Tables as Airflow's assets, and partitions as their partitions."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from airflow.providers.common.compat.sdk import Asset

from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Table

log = logging.getLogger(__name__)

LONGEST_KEY = 250
"""Characters that Airflow takes in the key of an asset's partition."""


def table_asset(conn_id: str, table: str) -> Asset:
    """The asset that stands for a table. Nothing is connected to, and no connection is read.

    :param conn_id: the connection by which the table is loaded
    :param table: ``schema.table``, with SQL quotes where the name needs them
    :returns: an asset; equal arguments give equal assets, in whichever DAG

    >>> table_asset("warehouse", "Analytics.daily_flights").uri
    'x-dataquality://warehouse/analytics/daily_flights'
    """
    if not isinstance(conn_id, str) or not conn_id:
        raise SpecError(f"conn_id is {conn_id!r}", hint='write table_asset("warehouse", "analytics.daily_flights")')
    return _asset(conn_id, Table.parse(table))


def _asset(conn_id: str, table: Table) -> Asset:
    path = "/".join(quote(part, safe="") for part in (table.schema, table.name) if part is not None)
    place = f"{quote(conn_id, safe='')}/{path}"
    # A scheme with x- is nobody's, so that Airflow leaves it as it is.
    return Asset(name=f"{place.replace('/', '.')}", uri=f"x-dataquality://{place}")


def partition_key(key: Mapping[str, Any]) -> str:
    """A partition's key as the key of an asset's partition: the values, as Airflow's ``ProductMapper`` joins them.

    >>> partition_key({"ds": "2013-02-08"}), partition_key({"ds": "2013-02-08", "origin": "EWR"})
    ('2013-02-08', '2013-02-08|EWR')
    """
    return "|".join(str(value) for value in key.values())


def outlets_of(context: Mapping[str, Any]) -> list[Asset]:
    """The assets in a task's outlets."""
    return [each for each in getattr(context.get("task"), "outlets", None) or () if isinstance(each, Asset)]


class _WithoutOneLast(set[str | None]):
    """Keys of partitions, in whose order their events are made: the event without a partition comes last.

    It queues the runs of DAGs that are scheduled by the asset. To a run belong the events up to then: those that came
    later, with another day's score, would be the next run's.
    """

    def __iter__(self) -> Iterator[str | None]:
        return iter(sorted(super().__iter__(), key=lambda key: (key is None, key or "")))


def add_partitions(context: Mapping[str, Any], keys: Iterable[str], *, outlet: Asset | None = None) -> None:
    """Have the task's outlets tell of partitions, so that DAGs that are scheduled by partitions run for each.

    Airflow starts other DAGs that are scheduled by the asset for an event without a partition alone, so there is one
    such event, too.

    :param outlet: this one alone
    """
    events = context.get("outlet_events")
    keys = list(keys)
    if events is None or not keys:
        return
    fit = [key for key in keys if key.strip() and len(key) <= LONGEST_KEY]
    if len(fit) < len(keys):
        log.warning(
            "Asset events: %d of %d keys are empty, or longer than Airflow takes", len(keys) - len(fit), len(keys)
        )
    for asset in [outlet] if outlet is not None else outlets_of(context):
        accessor = events[asset]
        if not fit or not hasattr(accessor, "add_partitions"):  # before Airflow 3.2
            continue
        accessor.add_partitions(fit)
        if getattr(context.get("dag_run"), "partition_key", None) is None:
            accessor.partition_keys = _WithoutOneLast({*accessor.partition_keys, None})


def add_landed(context: Mapping[str, Any], conn_id: str, landed: Iterable[tuple[Table, Mapping[str, Any]]]) -> None:
    """Have the outlets of a task that waited tell of what landed: a table's asset of its own partitions alone."""
    landed = list(landed)
    own = {_asset(conn_id, table).uri for table, _ in landed}
    for outlet in outlets_of(context):
        told = (key for table, key in landed if outlet.uri not in own or _asset(conn_id, table).uri == outlet.uri)
        add_partitions(context, [partition_key(key) for key in told if key], outlet=outlet)
