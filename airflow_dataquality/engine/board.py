"""What happened to tables, as the ledger has it: of all of them at a glance, and of one table in detail.

A *run* is a publication, or a run of checks that published nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_dataquality.dialects.board import BRIEF, RUN
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.session import Row
from airflow_dataquality.engine.verdicts import Settled
from airflow_dataquality.model import Table

Sees = Callable[[str | None], bool]
"""Whether the reader may see what a DAG recorded; None is what no DAG did."""
DAYS = 90
"""A failure before that is forgotten, unless nothing happened to its table since."""
OPEN = 2000
"""Open failures that are looked at, the newest."""
STRIP = 30
_BAD = frozenset({"blocked", "fail", "error"})
_FAILED = ("fail", "error")
_WORDS = {
    "published": "published",
    "blocked": "blocked",
    "fail": "checks failed",
    "error": "checks could not run",
    "warn": "warned",
    "skip": "nothing to judge",
    "pass": "checked in place",
}
_NAMES = ("publication", "check_run", "check_result", "metric", "verdict")


def tables_of(ledger: Ledger) -> dict[str, Table]:
    """Where the ledger's tables are."""
    return {name: ledger.table(name) for name in _NAMES}


@dataclass(frozen=True)
class Entry:
    """One run, as the ledger has it.

    :param row: of :data:`~airflow_dataquality.dialects.board.RUN`, or of less
    """

    row: Mapping[str, Any]

    def __getattr__(self, name: str) -> Any:
        try:
            return self.row[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def table(self) -> Table:
        return Table(self.row["table_name"], self.row["table_schema"])

    @property
    def status(self) -> str:
        """What became of it: published, blocked, or what its checks found. Of a publication ``warn`` if any failed."""
        row, failed = self.row, self.row["failed"] or 0
        if row["state"] == "rejected":
            return "blocked"
        if row["state"] == "published":
            return "warn" if failed or row["warned"] or row["errored"] else "published"
        if row["errored"] or failed:
            return "error" if row["errored"] and not failed else "fail"
        if row["warned"]:
            return "warn"
        return "skip" if row["skipped"] and not row["passed"] else "pass"

    @property
    def bad(self) -> bool:
        """Whether somebody has to look after it."""
        return self.status in _BAD

    @property
    def words(self) -> str:
        """What became of it, in words: ``published with warnings, 7 of 8 checks passed``."""
        row = self.row
        what = _WORDS[self.status]
        if self.status == "warn" and row["state"] == "published":
            what = "published with warnings"
        return f"{what}, {self.counted}"

    @property
    def counted(self) -> str:
        """How many checks passed, in words."""
        counts = [int(self.row[name] or 0) for name in ("passed", "warned", "failed", "errored", "skipped")]
        if not any(counts):
            return "without checks"
        return f"{counts[0]} of {sum(counts)} check{'s' if sum(counts) > 1 else ''} passed"


@dataclass
class TableState:
    """A table at a glance.

    :param newest: its last run
    :param published: its last publication; None if it never was
    :param open: its failures that nothing followed, the newest first
    :param settled: somebody looks after all of them
    :param hidden: DAGs whose runs of it the reader may not see
    """

    table: Table
    newest: Entry
    published: Entry | None = None
    open: list[Entry] = field(default_factory=list)
    settled: bool = False
    hidden: set[str | None] = field(default_factory=set)

    @property
    def name(self) -> str:
        return str(self.table)

    @property
    def status(self) -> str:
        """That of its newest open failure, or of its last run."""
        return self.open[0].status if self.open else self.newest.status

    @property
    def group(self) -> str:
        """``open``, ``settled``, ``warn`` or ``ok``."""
        if self.open:
            return "settled" if self.settled else "open"
        return "warn" if self.status == "warn" else "ok"


def overview(ledger: Ledger, sees: Sees, now: datetime, newest: Iterable[Row] | None = None) -> list[TableState]:
    """Each table of which the reader may see something.

    :param newest: the newest runs, if they are known
    """
    session, at = ledger.session, tables_of(ledger)
    states = _states(session.query(ledger.dialect.newest_runs(at)) if newest is None else newest, sees)
    for row in session.query(ledger.dialect.open_runs(at, now - timedelta(days=DAYS), OPEN)):
        entry = Entry(dict(zip(RUN, row, strict=True)))
        if entry.table in states and sees(entry.dag_id):
            states[entry.table].open.append(entry)
    for state in states.values():
        if state.newest.bad and not any(entry.at >= state.newest.at for entry in state.open):
            state.open.insert(0, state.newest)
    _settle(ledger, at, [state for state in states.values() if state.open], now)
    return list(states.values())


def _states(rows: Iterable[Sequence[Any]], sees: Sees) -> dict[Table, TableState]:
    """The tables of the newest runs by DAG. There are thousands, so each is looked at once."""
    schema, name, dag, state, at = map(BRIEF.index, ("table_schema", "table_name", "dag_id", "state", "at"))
    newest: dict[tuple[Any, Any], Sequence[Any]] = {}
    published: dict[tuple[Any, Any], Sequence[Any]] = {}
    hidden: dict[tuple[Any, Any], set[str | None]] = {}
    visible: dict[str | None, bool] = {}
    for row in rows:
        table, dag_id = (row[name], row[schema]), row[dag]
        if dag_id not in visible:
            visible[dag_id] = sees(dag_id)
        if not visible[dag_id]:
            hidden.setdefault(table, set()).add(dag_id)
            continue
        if table not in newest or row[at] > newest[table][at]:
            newest[table] = row
        if row[state] == "published" and (table not in published or row[at] > published[table][at]):
            published[table] = row
    entries = {table: Entry(dict(zip(BRIEF, row, strict=True))) for table, row in newest.items()}
    found = (TableState(Table(*table), entry, hidden=hidden.get(table, set())) for table, entry in entries.items())
    states = {state.table: state for state in found}
    for table, row in published.items():
        same = entries[table] if row is newest[table] else Entry(dict(zip(BRIEF, row, strict=True)))
        states[Table(*table)].published = same
    return states


def _settle(ledger: Ledger, at: Mapping[str, Table], states: Sequence[TableState], now: datetime) -> None:
    """Find which failures somebody looks after."""
    settled = Settled.read(ledger, None, now) if states else None
    if settled is None or not settled.tables:
        return
    known = [state for state in states if state.table in settled.tables]
    failing = failing_checks(ledger, at, [entry for state in known for entry in state.open])
    for state in known:
        state.settled = all(
            settled.covers(state.table, e.run_uid, failing.get((e.run_uid, e.table, e.partition), ()))
            for e in state.open
        )


def failing_checks(
    ledger: Ledger, at: Mapping[str, Table], entries: Iterable[Entry]
) -> dict[tuple[str, Table, str], list[str]]:
    """The checks that failed in some runs, or that warned, where none failed: of run, table and partition."""
    run_uids = {entry.run_uid for entry in entries}
    if not run_uids:
        return {}
    columns = ("run_uid", "table_schema", "table_name", "partition", "check_name", "status")
    failed: dict[tuple[str, Table, str], list[str]] = {}
    warned: dict[tuple[str, Table, str], list[str]] = {}
    for run_uid, schema, name, partition, check, status in ledger.session.query(
        ledger.dialect.rows_of_runs(at, "check_result", columns, run_uids)
    ):
        if status in (*_FAILED, "warn"):
            found = failed if status in _FAILED else warned
            found.setdefault((run_uid, Table(name, schema), partition), []).append(check)
    return {**warned, **failed}


def last_runs(
    ledger: Ledger, tables: Sequence[Table], hidden: Collection[str | None], most: int = STRIP
) -> dict[Table, list[Entry]]:
    """The last publications and runs of checks of some tables, the oldest first."""
    if not tables:
        return {}
    found: dict[Table, list[Entry]] = {table: [] for table in tables}
    for row in ledger.session.query(ledger.dialect.last_runs(tables_of(ledger), tables, most, hidden)):
        entry = Entry(dict(zip(RUN, row, strict=True)))
        found[entry.table].append(entry)
    return {table: sorted(entries, key=lambda e: e.row["at"])[-most:] for table, entries in found.items()}


def key_of(partition: str) -> dict[str, Any]:
    """A partition of the ledger, as column → value; empty if it is no JSON."""
    try:
        found = json.loads(partition)
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def table_state(ledger: Ledger, table: Table, sees: Sees, partitions: Iterable[Entry], now: datetime) -> TableState:
    """One table at a glance, of which the reader may see something.

    :param partitions: the newest run of each of its partitions
    """
    at = tables_of(ledger)
    state = _states(ledger.session.query(ledger.dialect.newest_runs(at, table)), sees)[table]
    state.open = sorted((entry for entry in partitions if entry.bad), key=lambda entry: entry.row["at"], reverse=True)
    if state.open:
        _settle(ledger, at, [state], now)
    return state
