"""What the tests of publications share: to publish, and to look at what became of it."""

from __future__ import annotations

from typing import Any

import psycopg

from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator


def publish(table: str, sql: str, *, conn_id: str = "warehouse", **arguments: Any) -> dict[str, Any]:
    """Run the operator as a unit test or a notebook does: with an empty context."""
    operator = StageCheckExchangeOperator(task_id="publish", conn_id=conn_id, table=table, sql=sql, **arguments)
    return operator.execute({})


def rows(connection: psycopg.Connection[Any], table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """The table's rows, sorted as text."""
    return sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=str)  # type: ignore[arg-type]


def left_beside(connection: psycopg.Connection[Any]) -> list[str]:
    """The tables of ours that are there: stages, rejected rows, previous versions."""
    query = "SELECT oid::regclass::text FROM pg_class WHERE relname LIKE '%\\_\\_dq\\_%' AND relkind = 'r' ORDER BY 1"
    return [name for (name,) in connection.execute(query)]
