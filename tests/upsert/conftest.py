"""A table to upsert into, on each database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_dataquality.operators.upsert import UpsertOperator
from support import Database


@pytest.fixture
def upsert(database: Database) -> Callable[..., dict[str, Any]]:
    """Run the operator as a unit test or a notebook does: with an empty context."""

    def run(table: str = "t", keys: Any = ("id",), **arguments: Any) -> dict[str, Any]:
        operator = UpsertOperator(task_id="upsert", conn_id=database.conn_id, table=table, keys=keys, **arguments)
        return operator.execute({})

    return run


@pytest.fixture
def run_sql(database: Database) -> Callable[..., list[Any]]:
    """Run statements; the rows of the last, sorted as text."""

    def run(*statements: str) -> list[Any]:
        rows: list[Any] = []
        for statement in statements:
            rows = [tuple(row) for row in database.session.query(statement)]
        return sorted(rows, key=str)

    return run
