"""What can never work is refused when the DAG is parsed, with what to write instead."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.measures import Count, Rolling, Sum
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator

GOOD: dict[str, Any] = {
    "task_id": "t", "conn_id": "warehouse", "summary": "w.s", "source": "w.facts", "keys": ["k"],
    "partition_column": "ds", "partition": "{{ ds }}", "measures": {"n": Count()},
}  # fmt: skip
TIME = 'and no time\nHint: write "{{ ds }}", "2013-02-08", "2013-02", …'

GOLDEN = [
    ({"conn_id": None}, "IncrementalSummaryOperator 't' has no conn_id\nHint: write conn_id=\"warehouse\""),
    ({"source": None}, "no source is given\nHint: give exactly one of source= (a table) and sql= (a SELECT)"),
    ({"sql": "SELECT 1"}, "both source and sql\nHint: give exactly one of source= (a table) and sql= (a SELECT)"),
    ({"summary": 7}, 'summary is 7, not a text\nHint: write summary="schema.table"'),
    ({"summary": "a.b.c"}, "table 'a.b.c' names a database as well as a schema\nHint: the connection chooses the "),
    ({"source": "my facts"}, "'my facts' is not a table name\nHint: write schema.table, and quote what is not a plain"),
    ({"keys": "k"}, "keys is 'k', not a list\nHint: write a list of columns: keys=[…]"),
    ({"keys": []}, "keys is empty\nHint: name at least one column: keys=[…]"),
    ({"keys": [1]}, "keys holds 1, which is not a name\nHint: write the columns' exact names"),
    ({"keys": ["k", "k"]}, "a key and a key are both called 'k'\nHint: "),
    ({"keys": ["ds"]}, "the partition column and a key are both called 'ds'"),
    ({"partition_column": ""}, "'' cannot be a name\nHint: names are text, with at least one character, and no NUL"),
    ({"partition_column": None}, "None cannot be a name\nHint: names are text, "),
    ({"measures": {}}, "the summary has no measures\nHint: say what is measured: measures={'flights': Count()}"),
    ({"measures": [Count()]}, 'measures is [Count()]\nHint: write {"flights": Count(), "miles": Sum("distance")}'),
    ({"measures": {"n": "count"}}, "n: 'count' is no measure\nHint: did you mean 'Count'? Measures: ActiveDays, Count"),
    ({"measures": {"n": Count}}, "is no measure\nHint: did you mean 'Count'?"),
    ({"measures": {"k": Count()}}, "the measure k and a key are both called 'k'\nHint: give the measure another name"),
    (
        {"measures": {f"n{n}": Rolling(Sum("m"), days=400) for n in range(5)}},
        "the summary would have 2,007 columns\nHint: 1,600 are possible: fewer days",
    ),
    ({"partition": "yesterday"}, f"partition is 'yesterday', {TIME}"),
    ({"partition": None}, f"partition is None, {TIME}"),
    ({"partition": 20130101}, f"partition is 20130101, {TIME}"),
    ({"since": "the beginning"}, f"since is 'the beginning', {TIME}"),
    ({"grain": "dya"}, "grain is 'dya'\nHint: did you mean 'day'? Known: auto, day, hour, month, week"),
    ({"on_gap": "catchup"}, "on_gap is 'catchup'\nHint: did you mean 'catch_up'? Known: catch_up, fail, rebuild"),
    ({"on_definition_change": "x"}, "on_definition_change is 'x'\nHint: Known: fail, rebuild"),
    ({"lookback_days": -1}, "lookback_days is -1\nHint: write a whole number, from 0 on"),
    ({"lookback_days": "3"}, "lookback_days is '3'\nHint: write a whole number, from 0 on"),
    ({"max_parallel": 0}, "max_parallel is 0\nHint: write a whole number, from 1 on"),
    ({"exchange": "swap"}, "exchange is 'swap'\nHint: Known: attach, auto, create, overwrite"),
    ({"exchange": "overwrit"}, "exchange is 'overwrit'\nHint: did you mean 'overwrite'?"),
    ({"fail_on": "errors"}, "fail_on is 'errors'\nHint: did you mean 'error'?"),
    ({"lock_timeout": "soon"}, "lock_timeout"),
    ({"staging_ttl": "soon"}, "staging_ttl"),
    ({"allow_side_effects": "x"}, "allow_side_effects is the text 'x'\nHint: write a list: ['x']"),
    ({"checks": [{"check": "row_cont"}]}, "did you mean 'row_count'?"),
    ({"checks": [{"check": "stats_off", "condition": {"less_than": 10}}]}, "stats_off is of a stored table"),
    ({"checks": "rules.yaml"}, "rule set 'rules.yaml' does not exist; looked at: "),
]


@pytest.mark.parametrize(("arguments", "message"), GOLDEN, ids=lambda value: str(value)[:40])
def test_refused_when_it_is_made(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(DataQualityError) as failure:
        IncrementalSummaryOperator(**{**GOOD, **arguments})
    assert message in str(failure.value)
    assert "\nHint: " in str(failure.value)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [({}, "partition"), ({"partition": "2013-01-01", "summary": "w.{{ x }}"}, "summary"),
     ({"partition": "2013-01-01", "source": "{{ x }}.facts"}, "source"),
     ({"partition": "2013-01-01", "since": "{{ x }}"}, "since")],
)  # fmt: skip
def test_templates_that_nobody_rendered(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(AirflowException, match=f"{name} was not rendered: .*\nHint: Airflow renders templates when"):
        IncrementalSummaryOperator(**{**GOOD, **arguments}).execute({})


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 {% if %}", "sql is no template: "),
        ("facts.sql", "SQL file 'facts.sql' does not exist"),
        ("DELETE FROM t", "not a SELECT: it begins with 'delete'"),
    ],
)
def test_sql_that_cannot_be(sql: str, message: str, warehouse: Any) -> None:
    operator = IncrementalSummaryOperator(**{**GOOD, "source": None, "sql": sql, "partition": "2013-01-01"})
    with pytest.raises(AirflowException, match=message):
        operator.execute({})


def test_dry_run_connects_to_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    operator = IncrementalSummaryOperator(**GOOD, checks=[{"check": "row_count", "condition": {"geq_to": 1}}])
    operator.dry_run()


def test_what_is_templated() -> None:
    operator = IncrementalSummaryOperator(**{**GOOD, "summary": "{{ params.x }}.s", "since": "{{ ds }}"})
    operator.render_template_fields({"ds": "2013-01-02", "params": {"x": "w"}})  # type: ignore[arg-type]
    assert (operator.summary, operator.partition, operator.since) == ("w.s", "2013-01-02", "2013-01-02")
