"""What people say of results: acknowledged, expected, an incident, muted; and what of that still stands.

Rows are only appended: what is taken back is a row as well.

- ``acknowledged``: somebody knows that a check failed in one run, and looks after it
- ``expected``, ``incident``: what was measured on a partition is right, though not usual, or is wrong. Either way it
  leaves the baseline: nothing is compared with it
- ``muted``: until a time, a check (or each of a table) is told of to nobody, and is below the open failures. It judges
  as before: what it blocks stays blocked
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.timeline import moment
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.model import Partition, Table

UNDONE_BY = {
    "acknowledged": "reopened",
    "expected": "withdrawn",
    "incident": "withdrawn",
    "muted": "unmuted",
}
"""What takes a verdict back."""
_COLUMNS = ("table_schema", "table_name", "partition", "metric", "check_name", "run_uid", "verdict", "until", "author",
            "note", "given_at")  # fmt: skip
_Scope = tuple[str, Any, Any, Any, Any]


@dataclass(frozen=True)
class Verdict:
    """What somebody said.

    :param partition: as JSON; ``{}`` if it is about the table
    :param metric: the metric that it is about; None for all
    :param check_name: the check that it is about; None for all
    :param until: when a mute ends; None if never
    """

    table: Table
    partition: str
    metric: str | None
    check_name: str | None
    run_uid: str | None
    verdict: str
    until: datetime | None
    author: str | None
    note: str | None
    given_at: Any

    @classmethod
    def of(cls, row: Iterable[Any]) -> Verdict:
        """One of a row of the ledger."""
        schema, name, partition, metric, check, run_uid, verdict, until, *rest = row
        return cls(Table(name, schema), partition or "{}", metric, check, run_uid, verdict, _time(until), *rest)

    @property
    def scope(self) -> _Scope:
        """What it is about, by which it is replaced and taken back."""
        if self.verdict in ("muted", "unmuted"):
            return ("muted", self.table, self.check_name, None, None)
        if self.verdict in ("acknowledged", "reopened"):
            return ("acknowledged", self.table, self.check_name, self.run_uid, None)
        if self.verdict in ("expected", "incident", "withdrawn"):
            return ("marked", self.table, self.partition, self.metric, None)
        return (self.verdict, self.table, self.partition, self.check_name, self.run_uid)

    def holds(self, now: datetime) -> bool:
        """Whether it has not run out."""
        return self.until is None or self.until > now


def _time(value: Any) -> datetime | None:
    """In UTC; databases without such a type have it as text."""
    if value is None:
        return None
    found = moment(value if isinstance(value, datetime) else str(value))
    return found.replace(tzinfo=UTC) if found else None


def said(ledger: Ledger, table: Table | None = None, *, named: Iterable[str] = ()) -> list[Verdict]:
    """What was said, oldest first, also what was taken back since.

    :param table: of this one alone
    :param named: these verdicts alone
    """
    asked = ledger.dialect.verdicts({"verdict": ledger.table("verdict")}, _COLUMNS, table, tuple(named))
    return [Verdict.of(row) for row in ledger.session.query(asked)]


def standing(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """What still stands of it, oldest first: the last of each scope, and none that was taken back."""
    last: dict[_Scope, Verdict] = {}
    for each in verdicts:
        last.pop(each.scope, None)
        if each.verdict not in UNDONE_BY.values():
            last[each.scope] = each
    return list(last.values())


@dataclass(frozen=True)
class Settled:
    """Which failures somebody looks after: they are no news.

    :param mutes: table and check (None for each of the table) → the mute
    :param known: table, check (None for each of the run) and run that were acknowledged
    """

    mutes: Mapping[tuple[Table, str | None], Verdict]
    known: frozenset[tuple[Table, str | None, str | None]]

    @classmethod
    def of(cls, verdicts: Iterable[Verdict], now: datetime) -> Settled:
        """What stands now."""
        stands = standing(verdicts)
        muted = {(each.table, each.check_name): each for each in stands if each.verdict == "muted" and each.holds(now)}
        words = ("acknowledged", "discarded")
        known = frozenset((each.table, each.check_name, each.run_uid) for each in stands if each.verdict in words)
        return cls(muted, known)

    @classmethod
    def read(cls, ledger: Ledger, table: Table | None, now: datetime) -> Settled:
        """Ask the ledger, of one table or of all."""
        return cls.of(said(ledger, table, named=NAMED), now)

    @property
    def tables(self) -> frozenset[Table]:
        """Those of which anything is settled."""
        return frozenset({table for table, _ in self.mutes} | {table for table, _, _ in self.known})

    def mute(self, table: Table, check: str) -> Verdict | None:
        """The mute of a check."""
        return self.mutes.get((table, check)) or self.mutes.get((table, None))

    def covers(self, table: Table, run_uid: str, checks: Iterable[str]) -> bool:
        """Whether somebody looks after each of these checks of a run."""
        if (table, None, run_uid) in self.known or (table, None) in self.mutes:
            return True
        named = list(checks)
        return bool(named) and all((table, c, run_uid) in self.known or (table, c) in self.mutes for c in named)


NAMED = ("acknowledged", "reopened", "muted", "unmuted", "discarded")
"""The verdicts that settle a failure, and those that take them back."""


def muted_now(ledger: Ledger, table: Table, now: datetime | None = None) -> dict[str | None, datetime | None]:
    """The checks of a table of which nobody is to be told now: name (None for each of them) → until when.

    What a muted check blocks stays blocked.
    """
    found = Settled.of(said(ledger, table, named=("muted", "unmuted")), now or datetime.now(UTC))
    return {check: each.until for (_, check), each in found.mutes.items()}


def give(
    ledger: Ledger, table: Table, verdict: str, *, author: str | None, note: str | None, partition: str = "{}",
    metric: str | None = None, check_name: str | None = None, run_uid: str | None = None,
    until: datetime | None = None,
) -> None:  # fmt: skip
    """Append a verdict, or what takes one back.

    :param partition: as the ledger spells it
    :raises SpecError: if there is no such verdict, or a mute ends in the past
    """
    words = (*UNDONE_BY, *UNDONE_BY.values())
    if verdict not in words:
        raise SpecError(f"there is no verdict {verdict!r}", hint=did_you_mean(verdict, words))
    if until is not None and until <= datetime.now(UTC):
        raise SpecError(f"the mute would have ended already, at {until:%Y-%m-%d}", hint="name a day to come")
    about = Partition.of(table, json.loads(partition))
    ledger.record_verdict(
        about, verdict, metric=metric, check_name=check_name, run_uid=run_uid, until=until, author=author, note=note
    )
