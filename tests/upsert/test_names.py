"""Names that need quotes, in every place where a name can be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_dataquality.checks import check
from support import Database, on

Run = Callable[..., Any]

NAMES = [
    "select",
    "two words",
    'say ""hi""',
    "größe",
    "x" * 63,
    "dq_rows",
    "dq_rank",
    "dq_here",
    "inserted",
    "t",
    "s",
    "%s",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[:9])
def test_any_name_will_do(name: str, database: Database, upsert: Run, run_sql: Run) -> None:
    table, key, value = f'"{name}"', f'"{name}"', f'"{name[:60]}_2"'
    plain = name.replace('""', '"')
    column = f"{plain[:60]}_2"
    if '"' in name:
        value, column = '"it""s"', 'it"s'
    row_count = check("row_count", equal_to=1)
    for strategy in ("auto", *database.session.dialect.strategies):
        run_sql(f"CREATE TABLE {table} ({key} int, {value} int, UNIQUE ({key}))", f"INSERT INTO {table} VALUES (1, 1)")
        rows = [{column: 5, plain: 1}, {column: 6, plain: 1}]
        arguments: dict[str, Any] = {"on_duplicate_keys": "keep_last", "order_by": column, "skip_unchanged": True}
        outcome = upsert(table, [plain], rows=rows, strategy=strategy, checks=[row_count], **arguments)
        assert (outcome["updated"], outcome["duplicates"], outcome["passed"]) == (1, 1, 1)
        assert run_sql(f"SELECT * FROM {table}") == [(1, 6)]
        outcome = upsert(table, [plain], sql=f"SELECT 7 AS {value}, 2 AS {key}", strategy=strategy)
        assert outcome["inserted"] == 1
        run_sql(f"DROP TABLE {table}")


@on("postgres", "redshift")  # SQLite's attached databases are not there in another connection
def test_other_schemas_are_reached(upsert: Run, run_sql: Run) -> None:
    run_sql('CREATE SCHEMA "my data"', 'CREATE TABLE "my data"."t" (id int, a int)')
    assert upsert('"my data".t', rows=[{"id": 1, "a": 1}])["table"] == '"my data".t'
    assert run_sql('SELECT * FROM "my data".t') == [(1, 1)]
