"""The plans of an upsert: the statements that bring staged rows into a table, and what their counts mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.pairing import Pairing
from airflow_dataquality.model import Plan, Statement, Table

STRATEGIES = ("auto", "on_conflict", "merge", "delete_insert", "update_insert")
NO_NULLS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step(Statement):
    """A statement whose counts are part of the outcome.

    :param counted: what its row count is; or, if there are several, what the columns of its only row are
    """

    counted: tuple[str, ...] = ()
    answers: bool = False


@dataclass(frozen=True)
class Change:
    """What is to be done to the table.

    :param stage: the rows: each key once
    :param keys: the columns by which a row is known
    :param insert: the columns that a new row gets from the stage
    :param update: the columns that an existing row gets from the stage
    :param patterns: the sets of keys that are NULL together in some row of the stage
    :param skip_unchanged: rows whose ``update`` columns are equal already stay as they are
    :param partitioned: the table is partitioned
    """

    table: Table
    stage: Table
    keys: Sequence[str]
    insert: Sequence[str]
    update: Sequence[str]
    patterns: Sequence[frozenset[str]] = (NO_NULLS,)
    skip_unchanged: bool = False
    partitioned: bool = False

    @property
    def pairings(self) -> list[Pairing]:
        alone = len(self.patterns) == 1
        return [Pairing(self.table, self.stage, self.keys, nulls, alone) for nulls in self.patterns]


@dataclass(frozen=True)
class Counts:
    """What became of the staged rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0

    def __str__(self) -> str:
        return f"{self.inserted:,} inserted, {self.updated:,} updated, {self.unchanged:,} unchanged"

    @classmethod
    def of(cls, change: Change, rows: int, tally: Mapping[str, int]) -> Counts:
        """Read the counts of the steps.

        :param rows: rows in the stage
        :param tally: what was counted → how many
        """
        inserted = tally["inserted"] if "inserted" in tally else tally.get("missing", 0)
        matched = tally.get("matched", rows - inserted)
        updated = tally.get("updated", tally["written"] - inserted if "written" in tally else matched)
        updated = updated if change.update else 0
        untouched = matched - updated if change.skip_unchanged or not change.update else 0
        return cls(inserted, updated, tally.get("skipped", untouched))


def surplus_matches(rows: int, tally: Mapping[str, int]) -> int:
    """How many more rows of the table were found than keys; 0 if the strategy does not count pairs."""
    return tally["matched"] + tally["missing"] + tally.get("skipped", 0) - rows if "matched" in tally else 0


def apply(sql: Dialect, change: Change, strategy: str) -> Plan:
    """The statements of a strategy, for one transaction."""
    ways: dict[str, Callable[[Dialect, Change], list[Step]]] = {
        "on_conflict": _on_conflict,
        "merge": _merge,
        "delete_insert": _delete_insert,
        "update_insert": _update_insert,
    }
    return Plan.of(ways[strategy](sql, change) if change.patterns else [])


def _on_conflict(sql: Dialect, change: Change) -> list[Step]:
    (pairing,) = change.pairings
    statement = sql.insert_or_update(pairing, change.insert, change.update, changed=_compares(sql, change))
    reported = None if change.partitioned else sql.reported(statement)
    if reported:
        return [Step(reported, "insert or update", counted=("inserted", "updated"), answers=True)]
    return [*_matches(sql, change), Step(statement, "insert or update", counted=("written",))]


def _merge(sql: Dialect, change: Change) -> list[Step]:
    (pairing,) = change.pairings
    statement = sql.merge(pairing, change.insert, change.update, changed=_compares(sql, change))
    counted = ("written",) if sql.merge_reports_rows else ()
    return [*_skip(sql, change), *_matches(sql, change), Step(statement, "insert or update", counted=counted)]


def _delete_insert(sql: Dialect, change: Change) -> list[Step]:
    if not change.update:
        return _update_insert(sql, change)
    return [
        *_skip(sql, change, always=True),
        *_matches(sql, change),
        *(Step(sql.delete_matching(pairing), "delete what is replaced") for pairing in change.pairings),
        Step(sql.insert_all(change.table, change.stage, change.insert), "insert", counted=("written",)),
    ]


def _update_insert(sql: Dialect, change: Change) -> list[Step]:
    counts_matches = not change.update or _compares(sql, change)
    steps = [*_skip(sql, change), *(_matches(sql, change) if counts_matches else [])]
    if change.update:
        for pairing in change.pairings:
            update = sql.update_matching(pairing, change.update, changed=_compares(sql, change))
            steps.append(Step(update, "update", counted=("updated",)))
    inserts = (sql.insert_missing(pairing, change.insert) for pairing in change.pairings)
    return steps + [Step(insert, "insert what is new", counted=("inserted",)) for insert in inserts]


def _compares(sql: Dialect, change: Change) -> bool:
    """Whether the statement that updates is the one that skips."""
    return change.skip_unchanged and bool(change.update) and not sql.skips_in_stage


def _skip(sql: Dialect, change: Change, *, always: bool = False) -> list[Step]:
    if not change.skip_unchanged or not change.update or not (always or sql.skips_in_stage):
        return []
    return [
        Step(sql.delete_same(pairing, change.update), "skip what is unchanged", counted=("skipped",))
        for pairing in change.pairings
    ]


def _matches(sql: Dialect, change: Change) -> list[Step]:
    words = ("matched", "missing")
    return [Step(sql.matches(p), "count pairs", counted=words, answers=True) for p in change.pairings]
