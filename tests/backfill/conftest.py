"""Tables of ten days to backfill, on each database that tables are published on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from backfill.lab import Lab

from airflow_dataquality.engine import parallel
from support import Database


@pytest.fixture
def lab(request: pytest.FixtureRequest, database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The laboratory: ``src`` holds what ``daily`` is computed from."""
    monkeypatch.setattr(parallel, "PAUSE", 0.001)
    if database.kind == "postgres":
        eyes = request.getfixturevalue("warehouse").connect()
    else:
        eyes = request.getfixturevalue("redshift").superuser()
    with eyes:
        lab = Lab(database, eyes)
        lab.run("CREATE TABLE src (ds DATE, id INTEGER, amount INTEGER)", "CREATE TABLE daily (LIKE src)")
        lab.fill("src", [(day, number, 10 * number) for day in lab.days for number in (1, 2, 3)])
        yield lab
