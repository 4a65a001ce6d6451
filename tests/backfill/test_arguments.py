"""What can never work is refused when the DAG is parsed, with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator, parallel_backfill
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.operators.upsert import UpsertOperator

RANGE = "SELECT * FROM src WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'"
GOOD: dict[str, Any] = {
    "task_id": "t", "conn_id": "warehouse", "table": "w.t", "sql": RANGE, "partition_column": "ds",
    "start": "2013-01-01", "end": "2013-12-31",
}  # fmt: skip
RANGES = "Hint: did you mean 'overwrite'? Known: auto, create, overwrite"
NUMBER = "Hint: write a whole number, from 1 on"

GOLDEN: list[tuple[dict[str, Any], str]] = [
    ({"conn_id": None}, "ParallelBackfillOperator 't' has no conn_id\nHint: write conn_id=\"warehouse\""),
    ({"table": "a.b.c"}, "table 'a.b.c' names a database as well as a schema\nHint: the connection chooses"),
    ({"table": 7}, 'table is 7, not a text\nHint: write table="schema.table"'),
    ({"sql": None}, "sql is None, not a text\nHint: write a SELECT, or the path of a .sql file: "),
    ({"sql": " "}, "sql is ' ', not a text\nHint: write a SELECT, or the path of a .sql file: "),
    ({"partition_column": ""}, "partition_column is '', not a text\nHint: write the column's exact name: \"ds\""),
    ({"partition_column": ["ds"]}, "partition_column is ['ds'], not a text\nHint: write the column's exact name"),
    ({"start": "soon"}, "'soon' is not a time\nHint: write a partition: \"2013-02-08\""),
    ({"start": "2013-1-1"}, "'2013-1-1' is not a time\nHint: write a partition: \"2013-02-08\""),
    ({"end": "soon"}, "'soon' is not a time\nHint: write \"2013-02-08\""),
    ({"end": None}, "'None' is not a time\nHint: write \"2013-02-08\""),
    ({"end": "2012-12-31"}, "the range ends (2012-12-31) before it starts (2013-01-01)\nHint: write the earlier"),
    ({"start": "2013-02-30"}, "'2013-02-30' is not a time\nHint: "),
    ({"grain": "dai"}, "grain is 'dai'\nHint: did you mean 'day'? Known: auto, day, hour, month, week"),
    ({"grain": None}, "grain is None\nHint: Known: auto, day, hour, month, week"),
    ({"days_per_chunk": 0}, f"days_per_chunk is 0\n{NUMBER}"),
    ({"days_per_chunk": True}, f"days_per_chunk is True\n{NUMBER}"),
    ({"partitions_per_chunk": 1.5}, f"partitions_per_chunk is 1.5\n{NUMBER}"),
    ({"days_per_chunk": 7, "partitions_per_chunk": 7},
     "both days_per_chunk and partitions_per_chunk\nHint: give one of them"),
    ({"days_per_chunk": 7, "partitions_per_chunk": 7, "start": "{{ ds }}"},
     "both days_per_chunk and partitions_per_chunk\nHint: give one of them"),
    ({"days_per_chunk": 7, "start": "2013-01", "end": "2013-02"},
     "days_per_chunk=7, and a partition is a month\nHint: write partitions_per_chunk="),
    ({"days_per_chunk": 7, "grain": "week"},
     "days_per_chunk=7, and a partition is a week\nHint: write partitions_per_chunk="),
    ({"order": "newest"}, "order is 'newest'\nHint: did you mean 'newest_first'? Orders: newest_first, oldest_first"),
    ({"max_parallel": 0}, f"max_parallel is 0\n{NUMBER}"),
    ({"chunk_retries": -1}, "chunk_retries is -1\nHint: write a whole number, from 0 on"),
    ({"max_failures": "3"}, "max_failures is '3'\nHint: write a whole number, from 0 on"),
    ({"exchange": "swap"}, "exchange is 'swap' does not fit a range of partitions\nHint: "),
    ({"exchange": "attach"}, "exchange is 'attach' does not fit a range of partitions\nHint: "),
    ({"exchange": "overwrit"}, f"exchange is 'overwrit'\n{RANGES}"),
    ({"fail_on": "warning"}, "fail_on is 'warning'\nHint: did you mean 'warn'? Known: error, never, warn"),
    ({"staging_ttl": "soon"}, "staging_ttl 'soon' is not a duration\nHint: write seconds, a timedelta, or"),
    ({"lock_timeout": None}, "lock_timeout None is not a duration\nHint: write seconds, a timedelta, or"),
    ({"exchange_timeout": -1}, "exchange_timeout -1 is not a duration\nHint: write seconds, a timedelta, or"),
    ({"allow_side_effects": "f"}, "allow_side_effects is the text 'f'\nHint: write a list: ['f']"),
    ({"checks": [{"check": "nul_count", "column": "a"}]}, "checks[0]: unknown check 'nul_count'\nHint: did you mean"),
    ({"checks": "checks/nowhere.yaml"}, "rule set 'checks/nowhere.yaml' does not exist; looked at: "),
    ({"checks": [check("stats_off", less_than=10)]}, "check('stats_off'): stats_off is of a stored table"),
    ({"checks": [anomaly("row_count")]}, "check('row_count'): a chunk has no past to be judged by\nHint: "),
    ({"compare_with_production": [check("null_count", "a", equal_to=0)]},
     "check('null_count', 'a'): null_count does not compare with production\nHint: put it into checks=; "),
    ({"compare_with_production": [{"check": "mean_shift", "column": "a", "baseline": "auto"}]}, "checks[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), GOLDEN, ids=lambda value: str(value)[:60])
def test_errors_when_the_dag_is_parsed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataQualityError) as error:
        ParallelBackfillOperator(**{**GOOD, **arguments})
    assert str(error.value).startswith(message)
    assert "Hint: " in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"table": "{{ params.table }}"},
        {"start": "{{ params.start }}", "end": "{{ params.end }}"},
        {"end": "{{ ds }}", "days_per_chunk": 3},
        {"sql": "not/yet/there.sql"},
        {"checks": None, "compare_with_production": None},
        {"lock_timeout": "200ms", "exchange_timeout": 0, "staging_ttl": "1h"},
        {"max_failures": None, "chunk_retries": 0, "max_parallel": 1},
        {"start": "2013-01", "end": "2013-12", "partitions_per_chunk": 12},
        {"start": "2013-01-01T00:00Z", "end": "2013-01-02T23:00Z", "days_per_chunk": 1},
        {"end": "2013-01-01"},
    ],
    ids=str,
)
def test_what_is_known_only_later_is_let_through(arguments: dict[str, Any]) -> None:
    ParallelBackfillOperator(**{**GOOD, **arguments})


# -- a backfill of another operator's work

DAILY: dict[str, Any] = {
    "task_id": "daily-flights.öäü", "conn_id": "warehouse", "table": "w.t", "sql": RANGE,
    "partition": {"ds": "{{ ds }}"},
}  # fmt: skip


def test_of_takes_what_the_daily_task_says() -> None:
    checks = [check("row_count", geq_to=1)]
    daily = StageCheckExchangeOperator(
        **DAILY, checks=checks, fail_on="warn", ledger_schema="dq", lock_timeout="50ms", exchange_timeout=7,
        allow_side_effects=["counts"], keep_staging=False, staging_ttl="1h", database="other", retry_on_failure=False,
        hook_params={"options": "-c x=y"},
    )  # fmt: skip
    backfill = ParallelBackfillOperator.of(daily, "2013-01-01", "2013-01-31", max_parallel=3, table="w.u")
    assert (backfill.task_id, backfill.partition_column) == ("backfill_daily_flights_öäü", "ds")
    assert (backfill.start, backfill.end, backfill.max_parallel, backfill.table) == (
        "2013-01-01",
        "2013-01-31",
        3,
        "w.u",
    )
    names = (
        "sql", "conn_id", "checks", "fail_on", "ledger_schema", "lock_timeout", "exchange_timeout",
        "allow_side_effects", "keep_staging", "staging_ttl", "database", "retry_on_failure", "hook_params",
    )  # fmt: skip
    for name in names:
        assert getattr(backfill, name) == getattr(daily, name), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"partition": None}, "does not publish one partition a day: partition=None\nHint: a range needs one column"),
        ({"partition": {"ds": "2013-01-01"}}, "does not publish one partition a day: partition={'ds': '2013-01-01'}"),
        ({"partition": {"ds": "{{ ds }}", "region": "EU"}}, "does not publish one partition a day"),
        ({"sql": None, "rows": [{"ds": "2013-01-01"}]}, "does not load from sql=\nHint: only a SELECT can tell"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_of_what_is_no_daily_load(arguments: dict[str, Any], message: str) -> None:
    daily = StageCheckExchangeOperator(**{**DAILY, **arguments})
    with pytest.raises(DataQualityError) as error:
        ParallelBackfillOperator.of(daily, "2013-01-01", "2013-01-31")
    assert message in str(error.value)


def test_of_another_operator() -> None:
    upsert = UpsertOperator(task_id="t", conn_id="warehouse", table="w.t", keys=["id"], sql="SELECT 1 AS id")
    with pytest.raises(DataQualityError, match="UpsertOperator is no daily load of a partition\nHint: give a Stage"):
        ParallelBackfillOperator.of(upsert, "2013-01-01", "2013-01-31")


# -- the group


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_failures": 3}, "max_failures: not of the task group\nHint: chunks are tasks here"),
        (
            {"chunk_retries": 3, "dry_run": True},
            "chunk_retries, dry_run: not of the task group\nHint: chunks",
        ),
        ({"max_parallel": 0}, f"max_parallel is 0\n{NUMBER}"),
        ({"order": "newest"}, "order is 'newest'\nHint: "),
    ],
    ids=str,
)
def test_errors_of_the_group(arguments: dict[str, Any], message: str) -> None:
    from airflow.providers.common.compat.sdk import DAG

    good = {name: value for name, value in GOOD.items() if name != "task_id"}
    with DAG("backfills", schedule=None), pytest.raises(DataQualityError) as error:
        parallel_backfill(**{**good, **arguments})
    assert str(error.value).startswith(message)
