"""The verdicts of Airflow's own check operators, side by side with ours on the same tables."""

from __future__ import annotations

import copy
from datetime import date
from importlib.metadata import version
from itertools import product
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator, SQLTableCheckOperator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.version import Version

from airflow_dataquality.operators.check import DataQualityCheckOperator
from support import Database

REFUSED, PASSED, FAILED = "refused", "passed", "failed"

ROWS = [
    (1, 0.5, "AA", "2013-02-01", None),
    (2, -7.25, "AA", "2013-02-02", None),
    (2, None, None, "2013-02-02", None),
    (None, 100.0, "UA", None, None),
    (-10, 3.0, "zz", "2013-02-09", None),
]


@pytest.fixture
def table(database: Database) -> Database:
    session = database.session
    session.execute("CREATE TABLE flights (n integer, x double precision, s varchar(10), d date, void integer)")
    values = ", ".join(f"({', '.join(map(session.dialect.literal, row))})" for row in ROWS)
    session.execute(f"INSERT INTO flights VALUES {values}")
    return database


def verdict(operator: type, database: Database, **arguments: Any) -> str:
    """What becomes of the task: refused when the DAG is parsed, passed, or failed."""
    try:
        task = operator(task_id="t", conn_id=database.conn_id, table="flights", **copy.deepcopy(arguments))
    except (ValueError, AirflowException):
        return REFUSED
    try:
        task.execute({})
    except Exception:  # noqa: BLE001 - a TypeError in theirs fails the task as well
        return FAILED
    return PASSED


def both(database: Database, **arguments: Any) -> tuple[str, str]:
    theirs = SQLColumnCheckOperator if "column_mapping" in arguments else SQLTableCheckOperator
    ours = verdict(DataQualityCheckOperator, database, ledger_schema=None, **arguments)
    return verdict(theirs, database, **arguments), ours


COMPARISONS = st.sampled_from(["equal_to", "greater_than", "geq_to", "less_than", "leq_to"])
NUMBERS = st.sampled_from([-11, -10, -7.25, -1, 0, 1, 2, 3, 4, 5, 90, 99.5, 100, 110])
CONDITIONS = st.fixed_dictionaries({}, optional={"tolerance": st.sampled_from([0, 0.1, 0.25, 1])}).flatmap(
    lambda fixed: st.dictionaries(COMPARISONS, NUMBERS, min_size=1, max_size=2).map(lambda given: {**given, **fixed})
)
CLAUSES = st.sampled_from([None, "n > 0", "x IS NOT NULL", "s = 'AA'", "d >= '2013-02-02'"])


@pytest.mark.skipif(
    Version(version("apache-airflow-providers-common-sql")) < Version("2.1"),
    reason="common.sql applies a tolerance to negative bounds the right way round since 2.1",
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    column=st.sampled_from(["n", "x", "N", "void"]),
    word=st.sampled_from(["null_check", "distinct_check", "unique_check", "min", "max"]),
    condition=CONDITIONS,
    clause=CLAUSES,
    clause_of_all=CLAUSES,
)
def test_column_checks_on_numbers(
    table: Database, column: str, word: str, condition: dict[str, Any], clause: str | None, clause_of_all: str | None
) -> None:
    if clause:
        condition = {**condition, "partition_clause": clause}
    theirs, ours = both(table, column_mapping={column: {word: condition}}, partition_clause=clause_of_all)
    assert ours == theirs, (column, word, condition, clause_of_all)


def test_column_checks_on_text_and_dates(table: Database) -> None:
    for column, word, expected in product(("s", "d"), ("null_check", "distinct_check", "unique_check"), range(4)):
        theirs, ours = both(table, column_mapping={column: {word: {"equal_to": expected}}})
        assert ours == theirs, (column, word, expected)


def test_extremes_of_text_and_dates(table: Database) -> None:
    days: list[Any] = [date(2013, 2, 1), date(2013, 2, 5), date(2013, 2, 9)]
    if table.kind == "sqlite":
        days = [day.isoformat() for day in days]
    bounds = [*(("s", text) for text in ("AA", "UA", "zz")), *(("d", day) for day in days)]
    comparisons = ("equal_to", "greater_than", "geq_to", "less_than", "leq_to")
    for (column, bound), word, comparison in product(bounds, ("min", "max"), comparisons):
        theirs, ours = both(table, column_mapping={column: {word: {comparison: bound}}})
        assert ours == theirs, (column, bound, word, comparison)


def test_several_checks_fail_if_one_does(table: Database) -> None:
    passing = {"n": {"min": {"geq_to": -10}, "null_check": {"equal_to": 1}}, "s": {"distinct_check": {"equal_to": 3}}}
    assert both(table, column_mapping=passing) == (PASSED, PASSED)
    assert both(table, column_mapping={**passing, "x": {"max": {"less_than": 100}}}) == (FAILED, FAILED)


STATEMENTS = [
    "COUNT(*) = 5",
    "COUNT(*) > 5",
    "SUM(n) = -5",
    "MAX(x) = 100 AND MIN(n) < 0",
    "AVG(x) BETWEEN 0 AND 50",
    "n > -100",
    "n > 0",
    "n IS NULL OR n < 3",
    "x >= n",
    "s IN ('AA', 'UA', 'zz')",
    "COUNT(DISTINCT s) = 3",
    "1 = 1",
    "1 = 0",
    "no_such_column = 1",
]


def test_table_checks(table: Database) -> None:
    for statement, clause, clause_of_all in product(STATEMENTS, [None, "n > 0", "s IS NOT NULL"], [None, "x > 0"]):
        values = {"check_statement": statement} | ({"partition_clause": clause} if clause else {})
        theirs, ours = both(table, checks={"one": values}, partition_clause=clause_of_all)
        assert ours == theirs, (statement, clause, clause_of_all)


def test_volume_of_an_empty_table_fails_in_both(table: Database) -> None:
    table.session.execute("DELETE FROM flights")
    assert both(table, checks={"volume": {"check_statement": "COUNT(*) > 0"}}) == (FAILED, FAILED)
    assert both(table, checks={"volume": {"check_statement": "COUNT(*) = 0"}}) == (PASSED, PASSED)


def test_an_empty_table_is_where_the_two_differ(table: Database) -> None:
    """Theirs passes it, ours says that there was nothing to check."""
    table.session.execute("DELETE FROM flights")
    mapping = {"n": {"null_check": {"equal_to": 0}, "min": {"geq_to": 0}}}
    assert verdict(SQLColumnCheckOperator, table, column_mapping=mapping) == PASSED
    arguments: dict[str, Any] = {"task_id": "t", "conn_id": table.conn_id, "table": "flights", "ledger_schema": None}
    outcome = DataQualityCheckOperator(column_mapping=mapping, **arguments).execute({})
    assert (outcome["passed"], outcome["skipped"]) == (0, 2)


RULES: list[tuple[dict[str, Any], bool]] = [
    ({"check": "null_count", "column": "n", "condition": {"equal_to": 1}}, True),
    ({"check": "null_count", "column": "n", "condition": {"equal_to": 0}}, False),
    ({"check": "null_count", "column": "n", "condition": {"equal_to": 0}, "severity": "warn"}, True),
    ({"check": "null_ratio", "column": "n", "condition": {"leq_to": 0.2}}, True),
    ({"check": "null_ratio", "column": "n", "condition": {"less_than": 0.2}}, False),
    ({"check": "distinct_count", "column": "s", "condition": {"equal_to": 3}}, True),
    ({"check": "unique_violations", "column": "s", "condition": {"equal_to": 1}}, True),
    ({"check": "min", "column": "n", "condition": {"greater_than": -10}}, False),
    ({"check": "max", "column": "x", "condition": {"geq_to": 100, "leq_to": 100}}, True),
    ({"check": "mean", "column": "x", "condition": {"equal_to": 24, "tolerance": 1}}, True),
    ({"check": "mean", "column": "x", "condition": {"equal_to": 20, "tolerance": 1}}, False),
    ({"check": "mean", "column": "x", "condition": {"equal_to": 20, "tolerance": 25}}, True),
    ({"check": "row_count", "condition": {"equal_to": 4, "tolerance": 25}}, True),
    ({"check": "row_count", "condition": {"equal_to": 4, "tolerance": 24}}, False),
    ({"check": "row_count", "condition": {"equal_to": 2}, "partition_clause": "s = 'AA'"}, True),
    ({"check": "custom_sql", "sql": "SELECT MAX(n) FROM {table}", "condition": {"equal_to": 2}}, True),
]


def test_rules_of_common_dataquality(table: Database) -> None:
    """Their grammar; tolerance is in percent there, a fraction in the operators' dicts."""
    for rule, passes in RULES:
        rules = {"name": "flights", "rules": [{"name": "one", "dimension": "validity", **rule}]}
        found = verdict(DataQualityCheckOperator, table, checks=rules, ledger_schema=None)
        assert found == (PASSED if passes else FAILED), rule
