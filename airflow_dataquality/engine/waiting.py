"""Looking for partitions that somebody waits for: published, in the table itself, or in an external catalog."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_dataquality.dialects.redshift import Redshift
from airflow_dataquality.dialects.waiting import PUBLISHED
from airflow_dataquality.engine.session import Row, Session
from airflow_dataquality.engine.wanted import Wanted, find, folded, folded_name
from airflow_dataquality.errors import PartitionError, SpecError, did_you_mean
from airflow_dataquality.model import Partition, Table


@dataclass(frozen=True)
class Sight:
    """What was seen of a partition.

    :param facts: what there is of it, as JSON; None if there is nothing
    :param reason: why there is nothing, or why it can never be
    :param missing: its table does not exist
    :param never: waiting will not help
    """

    facts: Mapping[str, Any] | None = None
    reason: str = ""
    missing: bool = False
    never: bool = False


@dataclass(frozen=True)
class Terms:
    """When what there is of a partition is enough.

    :param min_score: least score of its publication
    :param max_age: most seconds since its publication
    :param min_rows: fewest rows
    :param settle: seconds for which their number has to stay the same
    """

    min_score: float | None = None
    max_age: float | None = None
    min_rows: int | None = None
    settle: float = 0

    def unmet(self, sight: Sight) -> str | None:
        """Why it is not enough; None if it is."""
        facts = sight.facts
        if facts is None:
            return sight.reason
        if self.min_score is not None and (score := facts.get("score") or 0) < self.min_score:
            return f"it was published with score {score:g}, less than {self.min_score:g}"
        if self.max_age is not None and facts["age"] > self.max_age:
            return f"it was published {facts['age']:,.0f} s ago, more than {self.max_age:,.0f} s"
        if self.min_rows is not None and facts["rows"] < self.min_rows:
            return f"it has {facts['rows']:,} of {self.min_rows:,} rows"
        if self.settle and facts["unchanged"] < self.settle:
            return f"its {facts['rows']:,} rows have not changed for {facts['unchanged']:,.0f} of {self.settle:,.0f} s"
        return None


class Watch(Protocol):
    """Something that looks for partitions. It may remember what it saw last."""

    def look(self, session: Session, wanted: Iterable[Wanted]) -> dict[Wanted, Sight]:
        """What there is of each."""


@dataclass
class Published:
    """Looks into the ledger, with one statement.

    :param schema: the ledger's
    """

    schema: str = "dataquality"
    _found: dict[Wanted, Wanted] = field(default_factory=dict)
    _ledger: bool = False

    def look(self, session: Session, wanted: Iterable[Wanted]) -> dict[Wanted, Sight]:
        """What was last published of each."""
        wanted = list(wanted)
        ledger = session.dialect.ledger_table(self.schema, "publication")
        if not self._ledger and not session.columns(ledger):
            none = f"nothing has been published yet: there is no ledger in schema {self.schema!r}"
            return dict.fromkeys(wanted, Sight(reason=none, missing=True))
        self._ledger = True
        try:
            return self._look(session, ledger, wanted)
        except Exception:
            self._ledger = False  # it may have been dropped: ask for it first
            raise

    def _look(self, session: Session, ledger: Table, wanted: Sequence[Wanted]) -> dict[Wanted, Sight]:
        spelled = {each: self._found.get(each, each) for each in wanted}
        known = {each.partition for each in spelled.values() if each.known}
        tables = {folded(each.partition.table, session.dialect) for each in spelled.values() if not each.known}
        rows = session.query(session.dialect.newest_publications(ledger, known, tables))
        found = {(row[0], row[1], row[2]): row for row in rows}
        published = {(schema, name) for schema, name, _ in found} | {(None, name) for _, name, _ in found}
        seen: dict[Wanted, Sight] = {}
        for each, name in spelled.items():
            table = folded(name.partition.table, session.dialect)
            if name.known:
                seen[each] = _publication(found.get((table.schema, table.name, name.partition.json)))
            elif (table.schema, table.name) in published:
                seen[each] = self._appeared(session, each, found)
            else:
                seen[each] = Sight(reason=f"{table} does not exist yet", missing=True)
        return seen

    def _appeared(self, session: Session, each: Wanted, found: Mapping[Any, Row]) -> Sight:
        """What there is of one whose table was published since somebody began to wait for it."""
        try:
            name = find(session, each)
        except PartitionError as error:
            return Sight(reason=str(error), never=True)
        if not name.known:
            return Sight(reason=f"{name.partition.table} does not exist yet", missing=True)
        self._found[each] = name
        table = name.partition.table
        return _publication(found.get((table.schema, table.name, name.partition.json)))


def _publication(row: Row | None) -> Sight:
    if row is None:
        return Sight(reason="it is not published yet")
    *values, age = row
    facts = dict(zip(PUBLISHED, values, strict=True))
    when, score = facts["published_at"], facts["score"]
    facts["published_at"] = when if isinstance(when, str) else when.isoformat()
    facts["score"] = None if score is None else float(score)
    return Sight({**{name: facts[name] for name in PUBLISHED[3:]}, "age": max(float(age), 0.0)})


@dataclass
class Existing:
    """Looks into the tables themselves: with one statement for all that exist, and two for each that does not."""

    _found: dict[Wanted, Wanted] = field(default_factory=dict)
    _since: dict[Partition, tuple[int, float]] = field(default_factory=dict)

    def look(self, session: Session, wanted: Iterable[Wanted]) -> dict[Wanted, Sight]:
        """How many rows each has, and for how long it has had as many."""
        seen: dict[Wanted, Sight] = {}
        there: dict[Wanted, Partition] = {}
        for each in wanted:
            name = self._found.get(each, each)
            try:
                name = find(session, name)
            except PartitionError as error:
                seen[each] = Sight(reason=str(error), never=True)
                continue
            if name.known:
                self._found[each], there[each] = name, name.partition
            else:
                seen[each] = Sight(reason=f"{name.partition.table} does not exist yet", missing=True)
        counted = self._counted(session, list(dict.fromkeys(there.values())))
        return seen | {each: counted[partition] for each, partition in there.items()}

    def _counted(self, session: Session, partitions: Sequence[Partition]) -> dict[Partition, Sight]:
        if not partitions:
            return {}
        try:
            rows = session.query(session.dialect.count_partitions(partitions))
        except Exception:
            gone = {table for table in {each.table for each in partitions} if not session.columns(table)}
            if not gone:
                raise
            there = self._counted(session, [each for each in partitions if each.table not in gone])
            dropped = {each: _dropped(each) for each in partitions if each.table in gone}
            return there | dropped
        counts = {partitions[int(number)]: int(found) for number, found in rows}
        now = time.monotonic()
        self._since = {each: self._unchanged(each, counts.get(each, 0), now) for each in partitions}
        return {each: Sight({"rows": rows, "unchanged": now - since}) for each, (rows, since) in self._since.items()}

    def _unchanged(self, partition: Partition, rows: int, now: float) -> tuple[int, float]:
        before = self._since.get(partition)
        return before if before is not None and before[0] == rows else (rows, now)


def _dropped(partition: Partition) -> Sight:
    return Sight(reason=f"{partition.table} does not exist any more", missing=True)


@dataclass
class External:
    """Looks into the catalog of Redshift Spectrum: with one statement, and one for each table that is new to it."""

    _found: dict[Wanted, Partition] = field(default_factory=dict)

    def look(self, session: Session, wanted: Iterable[Wanted]) -> dict[Wanted, Sight]:
        """Where each lies."""
        dialect = session.dialect
        if not isinstance(dialect, Redshift):
            raise SpecError(f"external tables are Redshift's, and this is {dialect.name}", hint="name its connection")
        seen: dict[Wanted, Sight] = {}
        there: dict[Wanted, Partition] = {}
        for each in wanted:
            try:
                partition = self._found.get(each) or _external(session, dialect, each)
            except PartitionError as error:
                seen[each] = Sight(reason=str(error), never=True)
                continue
            if partition is None:
                seen[each] = Sight(reason=f"{each.partition.table} does not exist yet", missing=True)
            else:
                self._found[each] = there[each] = partition
        if not there:
            return seen
        rows = session.query(dialect.external_partitions(there.values()))
        located = {(schema, table, _values(values)): location for schema, table, values, location in rows}
        for each, partition in there.items():
            values = tuple(str(value) for _, value in partition.key)
            location = located.get((partition.table.schema, partition.table.name, values))
            none = Sight(reason="the external table has no such partition yet")
            seen[each] = none if location is None else Sight({"location": location})
        return seen


def _external(session: Session, dialect: Redshift, wanted: Wanted) -> Partition | None:
    """The partition with its columns in the catalog's order; None if there is no such table."""
    table = folded(wanted.partition.table, dialect)
    rows = session.query(dialect.external_columns(table))
    if not rows:
        return None
    names = [str(name) for name, place in rows if place]
    key = {folded_name(column, dialect): value for column, value in wanted.partition.key}
    if set(key) != set(names):
        wrong = next(iter([*(set(key) - set(names)), *(set(names) - set(key))]))
        raise PartitionError(
            f"{wanted}: the partitions of the external table {table} are by {', '.join(names) or '(nothing)'}",
            hint=did_you_mean(wrong, names, label="Its partition columns"),
        )
    return Partition(table, tuple((name, key[name]) for name in names))


def _values(text: str) -> tuple[str, ...]:
    """The values of a partition, as Redshift lists them.

    >>> _values('["2008-01", "EU"]'), _values("2008-01")
    (('2008-01', 'EU'), ('2008-01',))
    """
    try:
        values = json.loads(text)
    except ValueError:
        values = text.split(",")
    return tuple(str(value).strip() for value in (values if isinstance(values, list) else [text]))
