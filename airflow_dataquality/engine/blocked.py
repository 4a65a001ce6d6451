"""Blocked publications as the ledger has them: what was rejected, why, what became of it since.

What the ledger says is taken as values alone. The table that keeps the rejected rows is found by its mark, which only
its owner can write, and never by the name in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine import staging
from airflow_dataquality.engine.definition import Measured, measured_of
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.session import ExchangeSession, Session
from airflow_dataquality.engine.staging import BACKFILL, REJECTED, Mark
from airflow_dataquality.model import Check, Interval, Metric, Partition, Range, Scalar, Severity, Table
from airflow_dataquality.results import Result, Status, Summary

MOST = 500
"""Rows of the ledger that one question reads at most."""
DECIDED = ("published", "discarded", "retried")
"""Verdicts after which a blocked publication is no longer open."""
FINAL = ("published", "discarded")
"""Those after which nothing is left to decide on."""
_RUN = ("run_uid", "dag_id", "task_id", "run_id", "map_index", "try_number")
_PLACE = ("table_schema", "table_name", "partition")
_REJECTED = (*_PLACE, *_RUN, "state", "rows", "staging_table", "passed", "warned", "failed", "errored", "skipped")
_FOUND = (*_PLACE, "check_name", "metric", "column_name", "definition", "value", "value_text", "interval", "expected",
          "low", "high", "score", "status", "severity", "dimension", "reason")  # fmt: skip


@dataclass(frozen=True)
class Rejection:
    """A run of checks after which nothing was published.

    :param row: of ``check_run``
    """

    row: Mapping[str, Any]

    @property
    def table(self) -> Table:
        return Table(self.row["table_name"], self.row["table_schema"])

    @property
    def partition(self) -> Partition:
        """The partition; of a range, its ends as one text."""
        return Partition.of(self.table, _key(self.row["partition"]))

    @property
    def run(self) -> Run:
        return Run(**{name: self.row[name] for name in _RUN})

    @property
    def at(self) -> Any:
        """When, as the database says it."""
        return self.row["checked_at"]

    def here(self, row: Mapping[str, Any]) -> bool:
        """Whether another row of the ledger is about the same partition."""
        return all(row[name] == self.row[name] for name in _PLACE)


@dataclass(frozen=True)
class Found:
    """What a check had found.

    :param row: of ``check_result``
    """

    row: Mapping[str, Any]

    @property
    def measured(self) -> Measured | None:
        """What it measured, with the bounds of a baseline, if it had one."""
        found = measured_of(self.row["metric"], self.row["column_name"], self.row["definition"])
        if found is None or found.bounds is not None:
            return found
        low, high = self.row["low"], self.row["high"]
        known = (low is not None or high is not None) and (low is None or high is None or low <= high)
        return Measured(found.metric, Interval(low, high)) if known else found

    @property
    def result(self) -> Result:
        """The result, as far as a summary counts it."""
        row = self.row
        severity = Severity.WARN if row["severity"] == "warn" else Severity.ERROR
        check = Check(row["check_name"], Metric(row["metric"]), Interval(), severity)
        return Result(check, row["value"], Status(row["status"]), row["reason"] or "")


@dataclass(frozen=True)
class Kept:
    """The table that keeps rejected rows.

    :param mark: what its owner wrote on it
    """

    table: Table
    mark: Mark

    @property
    def gathering(self) -> bool:
        """Whether it is a backfill's, which is gone on with, and decided on, as a whole."""
        return self.mark.role == BACKFILL


def _key(text: str) -> dict[str, Scalar]:
    found = json.loads(text)
    return found if isinstance(found, dict) else {}


def rejections(ledger: Ledger, run_uid: str) -> list[Rejection]:
    """What a run rejected, the last first: of a backfill, it may be several partitions."""
    rows = _rows(ledger, "check_run", _REJECTED, "checked_at", {"run_uid": run_uid})
    return [Rejection(row) for row in rows if row["state"] == "rejected"]


def found(ledger: Ledger, rejection: Rejection) -> list[Found]:
    """What its checks had found, what is wrong first."""
    where = {"run_uid": rejection.row["run_uid"], **{name: rejection.row[name] for name in _PLACE}}
    order = {"fail": 0, "error": 1, "warn": 2, "skip": 3, "pass": 4}
    rows = _rows(ledger, "check_result", _FOUND, "checked_at", where)
    return sorted((Found(row) for row in rows), key=lambda f: (order.get(f.row["status"], 5), f.row["check_name"]))


def summary_of(results: Sequence[Found]) -> Summary:
    """What the checks had found, to be counted."""
    return Summary(tuple(one.result for one in results))


def decisions(ledger: Ledger, rejection: Rejection) -> list[dict[str, Any]]:
    """What was decided on it, by whom, when and why, the last first."""
    place = {name: rejection.row[name] for name in _PLACE}
    columns = ("run_uid", "check_name", "verdict", "author", "note")
    rows = _rows(ledger, "verdict", columns, "given_at", place)
    return [row for row in rows if row["run_uid"] == rejection.row["run_uid"] and row["verdict"] in DECIDED]


def newer(ledger: Ledger, rejection: Rejection) -> list[dict[str, Any]]:
    """Publications since then of the same rows, or of some of them, the last first."""
    place = {name: rejection.row[name] for name in _PLACE[:2]}
    columns = ("partition", *_RUN, "mode", "rows")
    rows = _rows(ledger, "publication", columns, "published_at", place)
    own = _key(rejection.row["partition"])
    later = (row for row in rows if row["published_at"] > rejection.at)
    return [row for row in later if _overlap(own, _key(row["partition"]))]


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two partitions may have rows in common: a range is of all the partitions that it may be of."""
    return all(one[name] == other[name] or "/" in str(one[name]) for name in one.keys() & other.keys())


def kept(session: Session, rejection: Rejection) -> Kept | None:
    """The table that keeps the rejected rows; None if it is gone, or was never there."""
    if not isinstance(session.dialect, Postgres):
        return None
    uid, named = rejection.row["run_uid"], str(rejection.table)
    for table, mark in staging.marked(cast("ExchangeSession", session), rejection.table.schema):
        if mark.table != named:
            continue
        rejected = mark.role == REJECTED and (mark.run_uid, mark.partition) == (uid, rejection.row["partition"])
        # Attempts go on with what others of the backfill have gathered, so that its mark names the first of them.
        if rejected or (mark.role == BACKFILL and str(table) == rejection.row["staging_table"]):
            return Kept(table, mark)
    return None


def production(rejection: Rejection, which: Kept | None) -> Partition:
    """The partition that production holds of what was rejected."""
    key = rejection.partition.as_dict
    if which is None or not which.gathering:
        return rejection.partition
    ends = {name: str(value).partition("/") for name, value in key.items() if "/" in str(value)}
    return Partition.of(rejection.table, {**key, **{name: Range(low, high) for name, (low, _, high) in ends.items()}})


def _rows(
    ledger: Ledger, name: str, columns: Sequence[str], clock: str, where: Mapping[str, Any]
) -> list[dict[str, Any]]:
    asked = ledger.dialect.newest(ledger.table(name), columns, clock, MOST, where)
    return [dict(zip((*columns, clock), row, strict=True)) for row in ledger.session.query(asked)]
