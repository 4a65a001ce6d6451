"""Saved tests as the pages list them: which match, and what they said last."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.rows import number
from airflow_dataquality.engine.saved_tests import SavedTests, Version
from airflow_dataquality.errors import SpecError
from airflow_dataquality.saved import FORMULA
from airflow_dataquality.ui.access import Who
from airflow_dataquality.ui.saved_form import in_words
from airflow_dataquality.ui.warehouses import NoLedger, Warehouse, WarehouseDown, reading

RESULT = ("table_schema", "table_name", "check_name", "partition", "status", "value", "value_text", "expected", "low",
          "high", "reason", "dag_id", "run_id", "task_id", "map_index", "try_number", "checked_at")  # fmt: skip
LAST = 16
"""Results of each test in the list."""
PAGE = 50


@dataclass(frozen=True)
class Listed:
    """A test in the list.

    :param results: the last ones, the newest first
    """

    conn_id: str
    version: Version
    results: Sequence[Mapping[str, Any]] = ()

    @property
    def last(self) -> Mapping[str, Any] | None:
        return self.results[0] if self.results else None

    @property
    def severity(self) -> str:
        return str(self.version.definition.get("severity") or "error")

    @property
    def says(self) -> str:
        """What it asks, in a line."""
        given = self.version.definition
        return str(given.get("formula", "")) if self.version.kind == FORMULA else in_words(given)

    @property
    def cells(self) -> list[dict[str, Any]]:
        """Its last runs, as a strip has them."""
        return [
            {"status": row["status"], "title": f"{row['checked_at']:%Y-%m-%d}: {row['status']}. {row['reason']}"[:300]
             if hasattr(row["checked_at"], "year") else str(row["status"]), "href": None}
            for row in reversed(self.results)
        ]  # fmt: skip


@dataclass
class Found:
    """The tests of all warehouses that match.

    :param notices: of warehouses that could not be asked
    """

    tests: list[Listed] = field(default_factory=list)
    owners: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    notices: list[tuple[str, str | None]] = field(default_factory=list)
    total: int = 0


@dataclass(frozen=True)
class Asked:
    """What the list is narrowed to."""

    q: str = ""
    state: str = ""
    kind: str = ""
    owner: str = ""
    tag: str = ""

    def matches(self, version: Version) -> bool:
        """Whether the test is one of those."""
        words = " ".join(map(str, (version.name, version.table or "", version.definition.get("description") or "")))
        return (
            all(word in words.lower() for word in self.q.lower().split())
            and self.state in ("", version.state)
            and self.kind in ("", version.kind)
            and self.owner in ("", version.owner)
            and (not self.tag or self.tag in version.tags)
        )


def listed(places: Iterable[Warehouse], asked: Asked, sort: str, page: int, who: Who) -> Found:
    """The tests of a page of the list, with what they said last."""
    found = Found()
    with contextlib.ExitStack() as stack:
        ledgers: dict[str, Ledger] = {}
        for place in places:
            try:
                ledger = ledgers[place.conn_id] = stack.enter_context(reading(place))
                versions = SavedTests(ledger).newest()
            except (NoLedger, WarehouseDown) as error:
                found.notices.append((f"{place.conn_id}: {error.message}", error.hint))
                continue
            found.owners.update(version.owner for version in versions if version.owner)
            found.tags.update(tag for version in versions for tag in version.tags)
            found.tests += [Listed(place.conn_id, version) for version in versions if asked.matches(version)]
        found.total = len(found.tests)
        found.tests.sort(key=lambda each: _order(each, sort.removeprefix("-")), reverse=sort.startswith("-"))
        found.tests = found.tests[(page - 1) * PAGE : page * PAGE]
        found.tests = [
            each for conn_id, ledger in ledgers.items()
            for each in with_results(ledger, [test for test in found.tests if test.conn_id == conn_id], who)
        ]  # fmt: skip
    found.tests.sort(key=lambda each: _order(each, sort.removeprefix("-")), reverse=sort.startswith("-"))
    return found


def _order(each: Listed, sort: str) -> tuple[str, str]:
    version = each.version
    by = {"table": str(version.table or ""), "owner": version.owner or "", "state": version.state, "kind": version.kind}
    return by.get(sort, ""), version.name.lower()


def with_results(ledger: Ledger, tests: Sequence[Listed], who: Who, most: int = LAST) -> Iterator[Listed]:
    """The tests, with the last results that the visitor may see."""
    if not tests:
        return
    keys = [_key(each.version) for each in tests]
    question = ledger.dialect.results_of_tests(ledger.table("check_result"), RESULT, keys, most)
    by_key: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    rows = [dict(zip(RESULT, row, strict=True)) for row in ledger.session.query(question)]
    rows.sort(key=lambda row: str(row["checked_at"]), reverse=True)
    for row in who.visible(rows, lambda row: row["dag_id"]):
        by_key.setdefault(tuple(row[name] for name in RESULT[:3]), []).append(row)
    for each, key in zip(tests, keys, strict=True):
        found = by_key.get(tuple(key.values()), [])
        yield Listed(each.conn_id, each.version, _with_values(each.version, found))


def _with_values(version: Version, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The results of a formula test with a value: the first number of its experiment that the formula names."""
    names = []
    if version.kind == FORMULA:
        with contextlib.suppress(SpecError):
            experiment = version.read().experiment
            names = experiment.formula.columns["experiment"] if experiment else []
    return [{**row, "value": _number(row["value_text"], names[0])} if names else row for row in rows]


def _number(rows: Any, name: str) -> float | None:
    """A column of the experiment's row, of rows as the ledger keeps them."""
    try:
        row = json.loads(rows)["experiment"] or {}
    except (TypeError, ValueError, KeyError):  # text that was too long to be kept whole
        return None
    return number(next((value for key, value in row.items() if key.lower() == name.lower()), None))


def _key(version: Version) -> dict[str, Any]:
    return {"table_schema": version.place.schema, "table_name": version.place.name, "check_name": version.name}
