"""What changed SQL would make of a table: staged beside production, compared with it, and dropped.

Production is read, and nothing is recorded. The stage has the types that a publication would have.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_dataquality.dialects.difference import Difference
from airflow_dataquality.engine import staging
from airflow_dataquality.engine.columns import Shape, canonical_key, probe
from airflow_dataquality.engine.measure import read
from airflow_dataquality.engine.rows import Run
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.sides import NUMBERS, Sides, sides
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.staging import Mark, Stage
from airflow_dataquality.engine.target import Target, locate
from airflow_dataquality.errors import SpecError, TableError, did_you_mean
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.model import Column, Metric, Partition
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.rendering import rendered_sql
from airflow_dataquality.transforms.runner import partition_of

COMPARED = ("create_table_as", "upsert")
"""The kinds whose SELECT yields the rows of their table."""
SAMPLES = 5
_SECONDS = 60.0
_TOGETHER = 300
"""Columns that one statement compares."""


@dataclass
class ColumnChange:
    """A column, and what the changed SQL makes of it.

    :param state: same, changed, added or removed
    :param rows: in how many rows of the same key it differs; None if nobody knows
    :param numbers: of each measure what it is in production and what it would be, where they differ
    :param samples: some rows in which it differs: the key, what it is, what it would be
    """

    name: str
    state: str
    type: str = ""
    rows: int | None = None
    numbers: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Keys:
    """Rows by their keys, or, without keys, different rows as a whole.

    :param columns: the key; empty if rows are compared as a whole
    :param added: that production does not have
    :param removed: that production has alone; None for an upsert, which leaves other rows alone
    :param changed: rows of the same key that differ; None without a key
    :param unpaired: rows that have a key on both sides and were not compared, as NULL is in it
    :param repeated: keys that several rows have, staged and in production
    """

    columns: list[str]
    added: int = 0
    removed: int | None = None
    changed: int | None = None
    unpaired: int = 0
    repeated: tuple[int, int] = (0, 0)
    added_samples: list[dict[str, Any]] = field(default_factory=list)
    removed_samples: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Found:
    """What differs.

    :param exists: whether there is such a table
    :param rows: in production, and what they would be
    :param problems: what could not be compared
    """

    transform: str
    table: str
    partition: Mapping[str, Any]
    exists: bool
    rows: tuple[int, int]
    keys: Keys | None = None
    columns: list[ColumnChange] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        keys = self.keys
        moved = keys is None or bool(keys.added or keys.removed or keys.changed)
        return self.exists and not moved and all(column.state == "same" for column in self.columns)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**asdict(self), "rows": {"production": self.rows[0], "changed": self.rows[1]}, "same": self.same}


def diff(transform: Transform, *, conn_id: str, day: str, samples: int = SAMPLES) -> Found:
    """Compare what a transform's SQL yields now with what its table holds.

    :param samples: of each kind of difference, at most
    :raises SpecError: for a kind whose SQL does not yield its table's rows
    :raises DataQualityError: if the rows cannot be staged
    """
    if transform.kind not in COMPARED or transform.output is None:
        hint = f"{' and '.join(COMPARED)} can be compared; try others on a Postgres of their own: run --embedded"
        what = "its SQL does not yield the rows of its table" if transform.sql is not None else "it has no SQL"
        raise SpecError(f"{transform} is of kind {transform.kind}: {what}", hint=hint)
    sql = rendered_sql(transform, day)
    with connected(conn_id, publishing=True) as session:
        target = locate(session, transform.output.name)
        with _staged(session, target, sql) as (stage, names):
            return _Comparison(session, transform, target, stage, names, day, samples).go()


@contextlib.contextmanager
def _staged(session: ExchangeSession, target: Target, sql: str) -> Iterator[tuple[Stage, list[str]]]:
    """The rows, in a table of their own, for as long as the block runs; and the columns that they have."""
    shape = _shape(session, target, sql)
    run = Run()
    name = staging.name_beside(session, target.table, staging.STAGE, run)
    mark = Mark.of(staging.STAGE, Partition(target.table), run)
    stage = staging.create(session, name, shape.statements(session.dialect, name), mark)
    try:
        staging.fill(session, stage, shape.supplied, Select(sql))
        yield stage, list(shape.supplied)
    finally:
        staging.discard(session, stage.table)


def _shape(session: ExchangeSession, target: Target, sql: str) -> Shape:
    """The stage's columns: of production's types, and what production does not have."""
    names = Select(sql).names(session, ())
    if target.features is None:
        return Shape(target.table, names, {}, None, sql)
    known = target.features.columns
    computed = [name for name in names if name in known and known[name]["generated"]]
    if computed:
        raise TableError(f"the SELECT yields {', '.join(computed)}, which {target.table} computes itself",
                         hint="leave it out of the SELECT")  # fmt: skip
    extra = [name for name in names if name not in known]
    types = {column.name: column.type for column in probe(session, target.table, sql)} if extra else {}
    return Shape(target.table, names, {name: types[name] for name in extra}, target.features)


class _Comparison:
    """One table, staged and in production."""

    def __init__(
        self, session: ExchangeSession, transform: Transform, target: Target, stage: Stage, names: Sequence[str],
        day: str, samples: int,
    ) -> None:  # fmt: skip
        self.session, self.transform, self.stage, self.samples = session, transform, stage, samples
        self.names, self.exists = names, target.features is not None
        staged = session.columns(stage.table)
        key = {} if transform.kind == "upsert" else partition_of(transform, day)
        self._refuse_key(key)
        self.partition = Partition.of(target.table, canonical_key(session, key, staged))
        held = {column.name: column for column in session.columns(target.table)} if self.exists else {}
        self.added = [column for column in staged if column.name in names and column.name not in held]
        self.removed = [c for c in held.values() if c.name not in names and not c.generated and not c.identity]
        self.common = [column for name, column in held.items() if name in names]

    def _refuse_key(self, key: Mapping[str, Any]) -> None:
        for column in key:
            if column not in self.names:
                raise TableError(f"the SELECT of {self.transform} has no partition column {column}",
                                 hint=did_you_mean(column, self.names, label="It yields"))  # fmt: skip

    def go(self) -> Found:
        found = Found(self.transform.name, str(self.partition.table), self.partition.as_dict, self.exists,
                      (0, self.stage.rows))  # fmt: skip
        found.columns = [ColumnChange(column.name, "added", column.type) for column in self.added]
        if not self.exists:
            return found
        found.columns += [ColumnChange(column.name, "removed", column.type) for column in self.removed]
        side = Partition(self.stage.table)
        difference = Difference(self.session.dialect, side, self.partition, self.common, self._keys())
        staged, held = self._one(difference.counted())
        found.rows = (held, staged)
        changes = {column.name: ColumnChange(column.name, "same", column.type) for column in self.common}
        self._measure(changes, found)
        found.keys = self._by_key(difference, changes, found) if difference.keys else self._as_a_whole(difference)
        found.columns = [*changes.values(), *found.columns]
        return found

    def _keys(self) -> list[Column]:
        """The columns by which the header says that a row is known, if all are compared."""
        assert self.transform.output is not None
        options = self.transform.options.get("keys") or self.transform.output.primary_key
        named = [options] if isinstance(options, str) else list(options)
        by_name = {column.name: column for column in self.common}
        return [by_name[name] for name in named] if all(name in by_name for name in named) else []

    def _one(self, sql: str) -> list[int]:
        return [int(value or 0) for value in read(self.session, sql)[0]]

    def _some(self, sql: str, names: Sequence[str]) -> list[dict[str, Any]]:
        return [dict(zip(names, row, strict=True)) for row in read(self.session, sql)] if self.samples else []

    def _measure(self, changes: Mapping[str, ColumnChange], found: Found) -> None:
        """Numbers of each column, of both sides; an upsert holds no side against a whole table."""
        if self.transform.kind == "upsert":
            return
        measured = sides(self.session, self.stage.table, self.partition, self.common, lambda _: True, _SECONDS)
        found.problems += [*measured.staged.problems, *(measured.production.problems if measured.production else ())]
        if measured.left_out:
            found.problems.append(f"{measured.left_out} columns more were not measured")
        for name, change in changes.items():
            change.numbers = _differing(measured, name)
            if change.numbers:
                change.state = "changed"

    def _by_key(self, of: Difference, changes: Mapping[str, ColumnChange], found: Found) -> Keys:
        names = [column.name for column in of.keys]
        only_new, only_old = (of.stage, of.production), (of.production, of.stage)
        keys = Keys(names, added=self._one(of.keys_of_one(*only_new))[0])
        keys.added_samples = self._some(of.some_keys_of_one(*only_new, self.samples), names) if keys.added else []
        if self.transform.kind != "upsert":
            keys.removed = self._one(of.keys_of_one(*only_old))[0]
            some = of.some_keys_of_one(*only_old, self.samples)
            keys.removed_samples = self._some(some, names) if keys.removed else []
        keys.repeated = self._one(of.repeated(of.stage))[0], self._one(of.repeated(of.production))[0]
        if any(keys.repeated):
            several = f"{sum(keys.repeated):,} of its values are in several rows"
            found.problems.append(f"rows are not compared by {', '.join(names)}: {several}")
            return keys
        paired = self._changed(of, changes, keys)
        keys.unpaired = max(0, found.rows[1] - keys.added - paired)
        return keys

    def _changed(self, of: Difference, changes: Mapping[str, ColumnChange], keys: Keys) -> int:
        """Compare rows of the same key; how many there are."""
        values, paired = of.values, 0
        keys.changed = 0
        for key in of.keys:
            changes[key.name].state = "same"
        for start in range(0, max(len(values), 1), _TOGETHER):
            batch = values[start : start + _TOGETHER]
            paired, any_of_them, *each = self._one(of.changed(batch))
            keys.changed = max(keys.changed, any_of_them)
            for column, rows in zip(batch, each, strict=True):
                self._describe(of, column, rows, changes[column.name])
        return paired

    def _describe(self, of: Difference, column: Column, rows: int, change: ColumnChange) -> None:
        # Whatever numbers say, which also tell of rows that came or went.
        change.rows, change.state = rows, "changed" if rows else "same"
        if not rows:
            return
        names = [key.name for key in of.keys]
        if self.samples:
            for *key, new, old in read(self.session, of.some_changed(column, self.samples)):
                change.samples.append({"key": dict(zip(names, key, strict=True)), "production": old, "changed": new})

    def _as_a_whole(self, of: Difference) -> Keys:
        keys = Keys([], added=self._one(of.rows_of_one(of.stage, of.production))[0])
        if self.transform.kind != "upsert":
            keys.removed = self._one(of.rows_of_one(of.production, of.stage))[0]
        return keys


def _differing(measured: Sides, column: str) -> dict[str, tuple[Any, Any]]:
    """What differs of a column: production's number, and the staged one."""
    assert measured.production is not None
    found = {}
    for kind in NUMBERS:
        metric = Metric(kind, (column,))
        pair = measured.production.values.get(metric), measured.staged.values.get(metric)
        if not _alike(*pair):
            found[kind] = pair
    return found


def _alike(one: Any, other: Any) -> bool:
    """Whether two numbers are equal; sums of floating point depend on the order of the rows."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)
