"""What runs of a DAG recorded: publications, rejections and checks of tables in place, with what the checks found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.model import Scalar, Table

_RUN = ("run_uid", "dag_id", "task_id", "run_id", "map_index", "try_number")
_COUNTS = ("passed", "warned", "failed", "errored", "skipped")
_PLACE = ("table_schema", "table_name", "partition")
_COLUMNS = (*_PLACE, *_RUN, "rows", *_COUNTS)
_FOUND = (*_PLACE, "run_uid", "check_name", "value", "value_text", "interval", "status", "severity", "reason")


@dataclass(frozen=True)
class Recorded:
    """What became of one partition in one attempt of a task.

    :param row: of ``publication`` or ``check_run``
    :param results: what its checks found, as far as there was room
    """

    row: Mapping[str, Any]
    results: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def table(self) -> Table:
        return Table(self.row["table_name"], self.row["table_schema"])

    @property
    def at(self) -> Any:
        return self.row["at"]

    @property
    def blocked(self) -> bool:
        """Whether it was not published."""
        return self.row.get("state") == "rejected"

    @property
    def status(self) -> str:
        """In a word: of a table checked in place, what is worst."""
        if self.row.get("state") != "observed":
            return "blocked" if self.blocked else "published"
        words = {"failed": "fail", "errored": "error", "warned": "warn", "passed": "pass"}
        return next((word for name, word in words.items() if self.row[name]), "skip")


def recorded(
    ledger: Ledger, dag_id: str, run_ids: Collection[str], task: Sequence[tuple[str, Scalar]], most: int
) -> list[Recorded]:
    """What some runs of a DAG recorded, the last first.

    :param task: column and value: of this task alone
    :param most: rows of each kind
    """
    if not run_ids:
        return []
    found: list[Recorded] = []
    for name, own, clock in (("publication", "mode", "published_at"), ("check_run", "state", "checked_at")):
        columns = (*_COLUMNS, own)
        asked = ledger.dialect.recorded_by(ledger.table(name), columns, clock, most, dag_id, run_ids, task)
        rows = ledger.session.query(asked)
        found += [Recorded(dict(zip((*columns, "at"), row, strict=True))) for row in rows]
    _add_results(ledger, found, most)
    return sorted(found, key=lambda one: one.at, reverse=True)


def _add_results(ledger: Ledger, found: Sequence[Recorded], most: int) -> None:
    uids = {one.row["run_uid"] for one in found}
    if not uids:
        return
    asked = ledger.dialect.results_of(ledger.table("check_result"), _FOUND, uids, most)
    places = {tuple(one.row[name] for name in ("run_uid", *_PLACE)): one for one in found}
    for row in ledger.session.query(asked):
        result = dict(zip(_FOUND, row, strict=True))
        if one := places.get(tuple(result[name] for name in ("run_uid", *_PLACE))):
            one.results.append(result)
