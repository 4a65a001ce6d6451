"""How far backfills are, as the ledger has it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.model import Table, as_json

MOST_CHUNKS = 10_000
"""Chunks of one backfill that are looked at."""


@dataclass(frozen=True)
class Staged:
    """A chunk that is staged.

    :param dag_id: the DAG that staged it, in the run ``run_id``
    :param process: the number of the mapped task that did, from 0
    """

    number: int
    first: str
    last: str
    rows: int
    seconds: float
    dag_id: str | None
    run_id: str | None
    process: int
    try_number: int | None
    at: Any


def staged(ledger: Ledger, backfill: str) -> dict[int, Staged]:
    """The chunks of a backfill that are staged, by their numbers."""
    columns = ["number", "first_partition", "last_partition", "rows", "seconds", "dag_id", "run_id", "map_index",
               "try_number"]  # fmt: skip
    rows = ledger.session.query(
        ledger.dialect.newest(ledger.table("chunk"), columns, "staged_at", MOST_CHUNKS, {"backfill": backfill})
    )
    found = (
        Staged(int(n), str(first), str(last), int(held), float(seconds or 0), dag_id, run_id, int(process or 0), *more)
        for n, first, last, held, seconds, dag_id, run_id, process, *more in rows
    )
    return {chunk.number: chunk for chunk in found}


def sums(ledger: Ledger, kind: str, runs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """What runs of DAGs have staged, or published: DAG and run → chunks, or partitions, and their rows.

    :param kind: ``chunk`` or ``publication``
    """
    wanted = list(runs)
    if not wanted:
        return {}
    rows = ledger.session.query(ledger.dialect.rows_by_run(ledger.table(kind), wanted))
    return {(str(dag), str(run)): (int(entries), int(found or 0)) for dag, run, entries, found in rows}


def published(ledger: Ledger, table: Table, column: str, first: str, after: str, most: int) -> list[Mapping[str, Any]]:
    """The newest publication of each partition of a range: ``partition``, ``rows``, ``dag_id``, ``published_at``.

    :param after: the partition after the last
    :param most: rows at most
    """
    # Without the end of the JSON: a database may print a time in more words than it was written in.
    low, high = (as_json([(column, value)]).removesuffix('"}') for value in (first, after))
    asked = ledger.dialect.publications_between(ledger.table("publication"), table, low, high, most)
    names = ("partition", "rows", "dag_id", "published_at")
    return [dict(zip(names, row, strict=True)) for row in ledger.session.query(asked)]


def rejected(ledger: Ledger, dag_id: str, run_id: str, task_ids: Collection[str]) -> tuple[str, str | None] | None:
    """The last attempt of these tasks whose rows were rejected, and the table that keeps them; None if none was."""
    columns, where = ["run_uid", "staging_table", "task_id"], {"dag_id": dag_id, "run_id": run_id, "state": "rejected"}
    rows = ledger.session.query(ledger.dialect.newest(ledger.table("check_run"), columns, "checked_at", 100, where))
    return next(((str(uid), table) for uid, table, task_id, _ in rows if task_id in task_ids), None)
