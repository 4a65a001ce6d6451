"""Statements on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from summary.lab import FACTS, Lab

from airflow_dataquality.engine import parallel
from support import Database


@pytest.fixture
def run(database: Database) -> Callable[..., list[tuple[Any, ...]]]:
    """Run statements; the rows of the last, sorted as text."""

    def run(*statements: str) -> list[tuple[Any, ...]]:
        rows: list[Any] = []
        for statement in statements:
            rows = [tuple(row) for row in database.session.query(statement)]
        return sorted(rows, key=str)

    return run


@pytest.fixture
def lab(request: pytest.FixtureRequest, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The laboratory: a summary is made of ``facts``."""
    monkeypatch.setattr(parallel, "PAUSE", 0.001)
    if database.kind == "postgres":
        eyes = request.getfixturevalue("warehouse").connect()
    else:
        eyes = request.getfixturevalue("redshift").superuser()
    with eyes:
        lab = Lab(database, eyes)
        lab.run("CREATE TABLE facts (ds DATE, k VARCHAR(10), miles INTEGER, at INTEGER, spot VARCHAR(5))")
        lab.fill(FACTS)
        yield lab
