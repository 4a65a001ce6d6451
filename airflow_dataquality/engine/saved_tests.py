"""Saved tests in the ledger's table ``test``: append-only, the last version of a test counts."""

from __future__ import annotations

import contextlib
import json
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.tables import TABLES
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.model import Table
from airflow_dataquality.saved import NOWHERE, STATES, Mistake, SavedTest, read

COLUMNS = tuple(TABLES["test"])
LIVING = ("active", "paused")


class TestChanged(DataQualityError):
    """Somebody saved another version meanwhile."""

    __test__ = False  # pytest takes every name that begins so for one of its own


@dataclass(frozen=True)
class Version:
    """A version of a test, as it is stored.

    :param table: what it is about; None if it names no table
    :param definition: what it asks and expects
    """

    test_id: str
    version: int
    name: str
    kind: str
    table: Table | None
    definition: Mapping[str, Any]
    state: str
    author: str | None = None
    note: str | None = None
    saved_at: datetime | None = None

    def read(self) -> SavedTest:
        """The test.

        :raises SpecError: if this version of the package cannot read it
        """
        return read(self.name, self.kind, self.definition)

    @property
    def place(self) -> Table:
        """Under which table its results are recorded."""
        return self.table or NOWHERE

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(map(str, self.definition.get("tags") or ()))

    @property
    def owner(self) -> str | None:
        return self.definition.get("owner")

    def chosen(self, tags: Sequence[str] = (), owners: Sequence[str] = (), tables: Sequence[str] = ()) -> bool:
        """Whether it has one of the tags, owners and tables; where none is named, any will do."""
        return (
            (not tags or not set(tags).isdisjoint(self.tags))
            and (not owners or self.owner in owners)
            and (not tables or str(self.table) in tables)
        )


class SavedTests:
    """Reads and writes saved tests.

    :param ledger: whose database they are in
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._table = ledger.table("test")

    def newest(
        self, states: Iterable[str] = LIVING, *, ids: Iterable[str] | None = None, name: str | None = None
    ) -> list[Version]:
        """The last version of each test, by name.

        :param states: of the last version
        """
        question = self.ledger.dialect.newest_tests(self._table, COLUMNS, states, ids, name)
        return [_version(row) for row in self.ledger.session.query(question)]

    def get(self, test_id: str) -> Version | None:
        """The last version of a test; None if there is no such test, or not any more."""
        return next(iter(self.newest(ids=[test_id])), None)

    def history(self, test_id: str) -> list[Version]:
        """All versions of a test, the newest first."""
        question = self.ledger.dialect.test_versions(self._table, COLUMNS, test_id)
        return [_version(row) for row in self.ledger.session.query(question)]

    def save(
        self, test: SavedTest, *, author: str | None = None, note: str | None = None, test_id: str | None = None,
        after: int | None = None, state: str = "active",
    ) -> Version:  # fmt: skip
        """Append a test, or a version of it.

        :param test_id: the test that it is a version of; None for a new one
        :param after: the version that its author has seen
        :raises Mistake: if another test has the name
        :raises TestChanged: if there is a newer version than ``after``, or no test any more
        """
        if state not in STATES:
            raise SpecError(f"state is {state!r}", hint=f"one of {', '.join(STATES)}")
        table = test.table if test.definition.get("table") else None
        with self._alone():
            version = 1 if test_id is None else self._following(test_id, after)
            others = [each for each in self.newest(name=test.name) if each.test_id != test_id]
            if others and state != "deleted":
                raise Mistake("name", f"another test is called {test.name!r}",
                              hint="results belong to a test's name: give each its own")  # fmt: skip
            made = Version(test_id or uuid.uuid4().hex, version, test.name, test.kind, table, test.definition, state,
                           author, note)  # fmt: skip
            self.ledger.record_test(_row(made))
        return made

    def change(
        self, test_id: str, state: str, *, author: str | None = None, note: str | None = None, after: int | None = None
    ) -> Version:
        """Pause, resume or delete a test.

        :raises TestChanged: if there is a newer version than ``after``, or no test any more
        """
        if state not in STATES:
            raise SpecError(f"state is {state!r}", hint=f"one of {', '.join(STATES)}")
        with self._alone():
            version = self._following(test_id, after)
            last = self.get(test_id)
            assert last is not None
            made = replace(last, version=version, state=state, author=author, note=note, saved_at=None)
            self.ledger.record_test(_row(made))
        return made

    def _following(self, test_id: str, after: int | None) -> int:
        last = self.get(test_id)
        if last is None:
            raise TestChanged("there is no such test any more", hint="somebody deleted it: save it as a new one")
        if after is not None and last.version != after:
            raise TestChanged(
                f"{last.author or 'somebody'} saved version {last.version} of {last.name!r} since you opened it",
                hint="open it again, and make your change to that version",
            )
        return last.version + 1

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """A transaction in which nobody else saves a test, where the database has such locks."""
        with self.ledger.session.transaction():
            for statement in self.ledger.dialect.lock_ledger(f"{self.ledger.schema} tests"):
                self.ledger.session.query(statement)
            yield


def _row(made: Version) -> dict[str, Any]:
    return {
        "test_id": made.test_id,
        "version": made.version,
        "name": made.name,
        "kind": made.kind,
        "table_schema": made.table.schema if made.table else None,
        "table_name": made.table.name if made.table else None,
        "definition": json.dumps(dict(made.definition), ensure_ascii=False, sort_keys=True),
        "state": made.state,
        "author": made.author,
        "note": made.note,
    }


def _version(row: Sequence[Any]) -> Version:
    found = dict(zip(COLUMNS, row, strict=True))
    schema, name = found.pop("table_schema"), found.pop("table_name")
    try:
        definition = json.loads(found.pop("definition"))
    except (TypeError, ValueError):
        definition = None
    return Version(
        **{**found, "version": int(found["version"])},
        table=Table(name, schema) if name else None,
        definition=definition if isinstance(definition, Mapping) else {},
    )


def batches(versions: Iterable[Version], *, size: int, most: int) -> list[dict[str, Any]]:
    """What one task each runs: the tests of a table together, as they share its scans.

    :param size: tests of one task, at most; of more, a table has several
    :param most: tasks at most: tables with few tests share one, and ``size`` grows if need be
    :returns: ``label``, for people, and ``tests``, the ids
    """
    by_table: dict[str, list[str]] = {}
    for version in versions:
        by_table.setdefault(str(version.place), []).append(version.test_id)
    size = max(size, math.ceil(sum(map(len, by_table.values())) / most))
    parts = [
        (table, ids[start : start + size])
        for table, ids in sorted(by_table.items())
        for start in range(0, len(ids), size)
    ]
    if len(parts) > most:
        parts = _together(parts, math.ceil(2 * sum(len(ids) for _, ids in parts) / max(most - 1, 1)))
    return [{"label": label, "tests": ids} for label, ids in parts]


def _together(parts: Sequence[tuple[str, list[str]]], size: int) -> list[tuple[str, list[str]]]:
    """Fewer parts, each of neighbours with up to ``size`` tests."""
    found: list[tuple[list[str], list[str]]] = []
    for table, ids in parts:
        if not found or len(found[-1][1]) + len(ids) > size:
            found.append(([], []))
        found[-1][0].append(table)
        found[-1][1].extend(ids)
    return [
        (tables[0] if len(tables) == 1 else f"{tables[0]} to {tables[-1]} ({len(tables)} tables)", ids)
        for tables, ids in found
    ]
