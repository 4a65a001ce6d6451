"""What can never work is refused when the DAG is parsed, with what to write instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

GOOD: dict[str, Any] = {"task_id": "t", "conn_id": "warehouse", "table": "w.t", "sql": "SELECT 1 AS a"}

GOLDEN = [
    ({"conn_id": None}, "StageCheckExchangeOperator 't' has no conn_id\nHint: write conn_id=\"warehouse\""),
    (
        {"table": "a.b.c"},
        (
            "table 'a.b.c' names a database as well as a schema\n"
            "Hint: the connection chooses the database: write schema.table"
        ),
    ),
    (
        {"table": "daily flights"},
        (
            "'daily flights' is not a table name\n"
            'Hint: write schema.table, and quote what is not a plain word: analytics."Daily Flights"'
        ),
    ),
    (
        {"table": ""},
        (
            "'' is not a table name\n"
            'Hint: write schema.table, and quote what is not a plain word: analytics."Daily Flights"'
        ),
    ),
    ({"table": 7}, 'table is 7, not a text\nHint: write table="schema.table"'),
    ({"sql": None}, "no source is given\nHint: give exactly one of sql=, rows= and s3_uri="),
    ({"sql": 1}, "sql is 1, not a text\nHint: write one SELECT, or the path of a .sql file"),
    ({"rows": [{"a": 1}]}, "sql and rows are given\nHint: give exactly one of sql=, rows= and s3_uri="),
    ({"checks": [{"check": "stats_off", "condition": {"less_than": 10}}]}, "checks[0]: stats_off is of a stored table"),
    (
        {"sql": "DROP TABLE w.t"},
        (
            "not a SELECT: it begins with 'drop'\n"
            "Hint: write the SELECT alone: staging, checking and exchanging are done around it"
        ),
    ),
    (
        {"sql": "SELECT 1; SELECT 2"},
        (
            "more than one statement: 'SELECT 2' follows a semicolon\n"
            "Hint: write one SELECT; what must happen before or after it belongs into tasks of "
            "their own"
        ),
    ),
    ({"partition": "2013-02-01"}, 'partition \'2013-02-01\' is not a mapping\nHint: write {"ds": "{{ ds }}"}'),
    (
        {"partition": {"ds": ["a"]}},
        ("partition ds=['a'] is not a plain value\nHint: give text, a number, a date, a bool or None"),
    ),
    (
        {"partition": {"ds": float("nan")}},
        ("partition ds=nan is not a plain value\nHint: give text, a number, a date, a bool or None"),
    ),
    ({"partition": {"": 1}}, "partition column '' is not a name\nHint: write the column's exact name"),
    (
        {"exchange": "swop"},
        "exchange is 'swop'\nHint: did you mean 'swap'? Known: attach, auto, create, overwrite, swap",
    ),
    ({"exchange": None}, "exchange is None\nHint: Known: attach, auto, create, overwrite, swap"),
    ({"fail_on": "warning"}, "fail_on is 'warning'\nHint: did you mean 'warn'? Known: error, never, warn"),
    (
        {"on_schema_change": "append"},
        ("on_schema_change is 'append'\nHint: did you mean 'append_columns'? Known: append_columns, fail"),
    ),
    ({"keep_previous": -1}, "keep_previous is -1\nHint: write a number of versions, 0 for none"),
    ({"keep_previous": True}, "keep_previous is True\nHint: write a number of versions, 0 for none"),
    ({"allow_side_effects": "counts"}, "allow_side_effects is the text 'counts'\nHint: write a list: ['counts']"),
    (
        {"lock_timeout": "soon"},
        ('lock_timeout \'soon\' is not a duration\nHint: write seconds, a timedelta, or "200ms", "15m", "26h"'),
    ),
    (
        {"exchange_timeout": -1},
        ('exchange_timeout -1 is not a duration\nHint: write seconds, a timedelta, or "200ms", "15m", "26h"'),
    ),
    (
        {"staging_ttl": None},
        'staging_ttl None is not a duration\nHint: write seconds, a timedelta, or "200ms", "15m", "26h"',
    ),
    (
        {"checks": [{"check": "nul_count", "column": "a"}]},
        ("checks[0]: unknown check 'nul_count'\nHint: did you mean 'null_count'?"),
    ),
    ({"checks": "checks/nowhere.yaml"}, "rule set 'checks/nowhere.yaml' does not exist; looked at: "),
]


@pytest.mark.parametrize(("arguments", "message"), GOLDEN, ids=lambda value: next(iter(value), "") if value else "")
def test_errors_when_the_dag_is_parsed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataQualityError) as error:
        StageCheckExchangeOperator(**{**GOOD, **arguments})
    assert str(error.value).startswith(message)
    assert "Hint: " in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"table": "{{ params.table }}"},
        {"sql": "{% if true %}SELECT 1 AS a{% endif %}"},
        {"sql": "not/yet/there.sql"},
        {"partition": {"ds": "{{ ds }}"}},
        {"partition": None},
        {"checks": None},
        {"lock_timeout": "200ms", "exchange_timeout": 0},
    ],
    ids=str,
)
def test_what_is_known_only_later_is_let_through(arguments: dict[str, Any]) -> None:
    StageCheckExchangeOperator(**{**GOOD, **arguments})


@pytest.mark.parametrize(
    "arguments",
    [{"table": "{{ params.table }}"}, {"sql": "SELECT '{{ ds }}' AS ds"}, {"partition": {"ds": "{{ ds }}"}}],
    ids=str,
)
def test_templates_that_nobody_rendered_are_refused(arguments: dict[str, Any]) -> None:
    operator = StageCheckExchangeOperator(**{**GOOD, **arguments})
    with pytest.raises(Exception, match=f"{next(iter(arguments))} was not rendered: "):
        operator.execute({})


def test_a_file_of_sql_that_is_not_there_names_where_it_was_looked_for(tmp_path: Path) -> None:
    operator = StageCheckExchangeOperator(**{**GOOD, "sql": "sql/nowhere.sql"})
    with pytest.raises(Exception, match=f"SQL file 'sql/nowhere.sql' does not exist; looked at: {Path.cwd()}"):
        operator.execute({})
