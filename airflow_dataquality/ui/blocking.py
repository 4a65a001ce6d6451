"""A blocked publication as its page shows it: to whom, and which values of it.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastapi import HTTPException

from airflow_dataquality.engine import blocked, decide
from airflow_dataquality.engine.blocked import Found, Kept, Rejection
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.samples import Sample, Sampling
from airflow_dataquality.engine.sides import Sides, sides
from airflow_dataquality.errors import DecisionRefused
from airflow_dataquality.model import Column, Table
from airflow_dataquality.ui.access import Who
from airflow_dataquality.ui.warehouses import is_personal, may_show, named_exactly, row_limit, statement_timeout

FEW, MANY = 8, 50
"""Rows of each sample within the page, and where somebody asks for more, if the limit of all pages is not lower."""
_PII = re.compile(r"\bpii\b", re.IGNORECASE)
_WRONG = ("fail", "error", "warn")


@dataclass(frozen=True)
class Shown:
    """Which values of a table's columns may be seen on a page.

    :param columns: the columns, as far as they are known
    :param tagged: those whose comment in the database says that they are personal
    """

    table: Table
    columns: Sequence[Column]
    tagged: frozenset[str]

    @classmethod
    def of(cls, ledger: Ledger, table: Table, columns: Sequence[Column]) -> "Shown":
        asked = ledger.dialect.column_comments(table)
        comments = ledger.session.query(asked) if asked else ()
        return cls(table, columns, frozenset(name for name, comment in comments if _PII.search(comment or "")))

    def row(self, column: str) -> bool:
        """Whether single values may be seen."""
        return may_show(self.table, column) and (column not in self.tagged or named_exactly(self.table, column))

    def personal(self, column: str) -> bool:
        """Whether nothing may be seen but how many there are."""
        if is_personal(self.table, column):
            return True
        return column in self.tagged and not named_exactly(self.table, column)

    def extremes(self, column: Column) -> bool:
        """Whether the least and the greatest value may be seen: of texts, these are values of single rows."""
        if column.category in ("number", "time", "boolean"):
            return not self.personal(column.name)
        return self.row(column.name)

    def result(self, found: Found) -> bool:
        """Whether what a check found may be seen, which of a minimum is a value."""
        if found.row["metric"] not in ("min", "max"):
            return True
        known = {column.name: column for column in self.columns}
        name = found.row["column_name"] or ""
        if name in known:
            return self.extremes(known[name])
        return self.row(name) or (found.row["value"] is not None and not self.personal(name))


@dataclass(frozen=True)
class Case:
    """A blocked publication that the visitor may see.

    :param others: partitions that the same run rejected
    """

    ledger: Ledger
    who: Who
    rejection: Rejection
    others: Sequence[Rejection]

    @classmethod
    def find(cls, ledger: Ledger, who: Who, run_uid: str, table: str | None, partition: str | None) -> "Case":
        """The blocked publication of an address.

        :raises HTTPException: 404 if there is none that they may see
        """
        run = who.visible(blocked.rejections(ledger, run_uid), lambda one: one.row["dag_id"])
        chosen = [
            one for one in run if table in (None, "", str(one.table)) and partition in (None, "", one.row["partition"])
        ]
        if not chosen:
            raise HTTPException(404, "Nothing is known of such a blocked publication.")
        return cls(ledger, who, chosen[0], [one for one in run if one is not chosen[0]])

    @property
    def dag_id(self) -> str | None:
        found: str | None = self.rejection.row["dag_id"]
        return found

    @property
    def address(self) -> dict[str, str]:
        """What tells it from what else the run rejected."""
        return {"table": str(self.rejection.table), "partition": self.rejection.row["partition"]}

    @cached_property
    def results(self) -> list[Found]:
        return blocked.found(self.ledger, self.rejection)

    @cached_property
    def wrong(self) -> list[Found]:
        """What failed, and what only warned."""
        return [one for one in self.results if one.row["status"] in _WRONG]

    @cached_property
    def decisions(self) -> list[dict[str, Any]]:
        return blocked.decisions(self.ledger, self.rejection)

    @cached_property
    def final(self) -> dict[str, Any] | None:
        """The decision after which nothing is left to decide on."""
        return next((one for one in self.decisions if one["verdict"] in blocked.FINAL), None)

    @cached_property
    def newer(self) -> list[dict[str, Any]]:
        return self.who.visible(blocked.newer(self.ledger, self.rejection), lambda row: row["dag_id"])

    @cached_property
    def kept(self) -> Kept | None:
        return blocked.kept(self.ledger.session, self.rejection)

    @cached_property
    def columns(self) -> Sequence[Column]:
        return self.ledger.session.columns(self.kept.table if self.kept else self.rejection.table)

    @cached_property
    def shown(self) -> Shown:
        return Shown.of(self.ledger, self.rejection.table, self.columns)

    @cached_property
    def unpublishable(self) -> str | None:
        """Why the rows cannot be published by hand; None if they can."""
        try:
            decide.refuse_unpublishable(self.ledger, self.rejection)
        except DecisionRefused as error:
            return error.message
        if self.kept is None:
            return "the rejected rows are not kept" + (" any more" if self.rejection.row["staging_table"] else "")
        return "they are a backfill's, which is decided on as a whole" if self.kept.gathering else None

    def samples(self, most: int = FEW) -> list[Sample]:
        """Rows by which its checks failed.

        :param most: rows of each check
        """
        assert self.kept is not None
        sampling = Sampling(
            self.ledger.session, self.kept.table, self.columns, blocked.production(self.rejection, self.kept),
            may_show=self.shown.row, exists=self._exists, most=min(most, row_limit()), seconds=statement_timeout(),
        )  # fmt: skip
        return sampling.of(self.wrong)

    def sides(self) -> Sides:
        """The rejected rows beside production's."""
        assert self.kept is not None
        held = blocked.production(self.rejection, self.kept) if self._exists else None
        failed = {name for one in self.wrong if one.measured for name in one.measured.metric.columns}
        columns = sorted(self.columns, key=lambda column: column.name not in failed)
        return sides(
            self.ledger.session, self.kept.table, held, columns, self.shown.extremes, seconds=statement_timeout()
        )

    @cached_property
    def _exists(self) -> bool:
        return bool(self.ledger.session.columns(self.rejection.table))
