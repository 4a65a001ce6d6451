"""How many statements measuring takes, and what happens when one of them fails."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import psycopg
import pytest

from airflow_dataquality.checks import check
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.judge import judge
from airflow_dataquality.engine.measure import Scan, measure, preflight
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Check, Column, Metric, Partition, Table
from airflow_dataquality.results import Measurement, Status
from support import Database, Warehouse

T = Table("wide")
SETTING = ("BEGIN", "COMMIT", "ROLLBACK", "SET ")


@pytest.fixture
def sent(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that read, as they are sent."""
    statements: list[str] = []
    send = DbApiSession._send

    def recording(session: DbApiSession, sql: str) -> object:
        if not sql.startswith(SETTING):
            statements.append(sql)
        return send(session, sql)

    monkeypatch.setattr(DbApiSession, "_send", recording)
    return statements


def wide(database: Database, count: int = 100) -> tuple[Column, ...]:
    names = ", ".join(f"c{number} {'text' if number % 4 == 0 else 'integer'}" for number in range(count))
    database.session.execute(f"CREATE TABLE wide ({names})")
    for row in range(3):
        values = ", ".join(f"'{row}'" for _ in range(count))
        database.session.execute(f"INSERT INTO wide VALUES ({values})")
    return database.session.columns(T)


def five_each(columns: Iterable[Column]) -> list[Metric]:
    words = ("null_count", "null_ratio", "min", "distinct_count", "unique_violations")
    return [Metric(word, (column.name,)) for column in columns for word in words]


def measured(database: Database, metrics: Iterable[Metric], table: Table = T) -> dict[Metric, Measurement]:
    columns = database.session.columns(table)
    return measure(database.session, metrics, Partition(table), columns=columns)


def test_500_checks_are_two_statements(database: Database, sent: list[str]) -> None:
    metrics = five_each(wide(database))
    sent.clear()
    columns = database.session.columns(T)
    sent.clear()
    found = measure(database.session, metrics, Partition(T), columns=columns)
    assert (len(metrics), len(sent)) == (500, 2)
    assert {measurement.rows for measurement in found.values()} == {3}
    assert found[Metric("distinct_count", ("c7",))].value == 3


def test_a_thousand_columns_are_a_few_statements(database: Database, sent: list[str]) -> None:
    columns = wide(database, 1000)
    metrics = [Metric(word, (column.name,)) for column in columns for word in ("null_count", "min", "distinct_count")]
    sent.clear()
    found = measure(database.session, metrics, Partition(T), columns=columns)
    assert len(sent) == 3
    assert not [measurement for measurement in found.values() if measurement.error]


def test_every_select_item_that_is_promised_fits(database: Database, sent: list[str]) -> None:
    columns = wide(database, 1)
    session = database.session
    metrics = [
        Metric("null_ratio", ("c0",), where=f"c0 <> '{n}'") for n in range(session.dialect.max_select_items // 2)
    ]
    sent.clear()
    found = measure(session, metrics, Partition(T), columns=columns)
    assert len(sent) == 1
    assert not [measurement for measurement in found.values() if measurement.error]


def test_equal_metrics_are_measured_once(database: Database, sent: list[str]) -> None:
    wide(database, 2)
    checks = [check("null_count", "c1", equal_to=0), check("null_count", "c1", equal_to=1, name="other")]
    sent.clear()
    found = measured(database, [c.metric for c in checks])
    assert len(found) == 1
    assert sent[-1].count('COUNT("c1")') == 1


def test_distincts_alone_are_one_statement(database: Database, sent: list[str]) -> None:
    columns = wide(database, 2)
    sent.clear()
    metrics = [Metric("row_count"), Metric("distinct_count", ("c1",)), Metric("unique_violations", ("c0", "c1"))]
    found = measure(database.session, metrics, Partition(T), columns=columns)
    assert len(sent) == 1
    assert [found[metric].value for metric in metrics] == [3, 3, 0]


def test_a_composite_key_alone_reads_nothing_else(database: Database, sent: list[str]) -> None:
    columns = wide(database, 2)
    metric = Metric("unique_violations", ("c0", "c1"))
    found = measure(database.session, [metric], Partition(T), columns=columns)[metric]
    assert (found.value, found.rows) == (0, 3)


def test_a_common_scope_is_where_clause(database: Database, sent: list[str]) -> None:
    columns = wide(database, 2)
    sent.clear()
    metrics = [Metric(word, ("c1",), where="c1 > 0") for word in ("null_count", "min", "max")]
    found = measure(database.session, metrics, Partition(T), columns=columns)
    assert "CASE" not in sent[0]
    assert [found[metric].value for metric in metrics] == [0, 1, 2]


def faulty() -> list[Check]:
    return [
        check("mean", "c1", name="unknown column in clause", partition_clause="nope = 1", leq_to=1),
        check("max", "c1", name="unfinished clause", partition_clause="c1 >", leq_to=1),
        check("custom_sql", name="unknown column", sql="SELECT nope FROM {table}", equal_to=1),
        check("custom_sql", name="many rows", sql="SELECT c1 FROM {table}", equal_to=1),
        check("custom_sql", name="many columns", sql="SELECT 1, 2", equal_to=1),
        check("custom_sql", name="no row", sql="SELECT 1 WHERE 1 = 0", equal_to=1),
        check("orphan_count", "c1", name="unknown table", references="nowhere"),
        check("check_statement", name="unknown function", statement="no_such_function(c1) = 1"),
    ]


def test_only_the_faulty_checks_are_errors(database: Database) -> None:
    columns = wide(database)
    sound = [replace(check("null_count", c.name, equal_to=0), name=c.name) for c in columns]
    checks = [*sound[:50], *faulty(), *sound[50:]]
    summary = judge(checks, measured(database, [c.metric for c in checks]))
    assert set(summary.names(Status.ERROR)) == {c.name for c in faulty()}
    assert summary.count(Status.PASS) == len(sound)
    reasons = {result.check.name: result.reason for result in summary.results}
    assert reasons["many rows"].endswith("the SQL returned 3 rows of 1 columns, not one value")
    assert reasons["no row"].endswith("the SQL returned 0 rows, not one value")
    assert "nope" in reasons["unknown column in clause"]
    assert all("\n" not in reason for reason in reasons.values())


def test_finding_the_faulty_check_takes_few_statements(database: Database, sent: list[str]) -> None:
    columns = wide(database)
    metrics = [*(Metric("null_count", (column.name,)) for column in columns), faulty()[0].metric]
    sent.clear()
    measure(database.session, metrics, Partition(T), columns=columns)
    assert len([sql for sql in sent if sql != "SELECT 1"]) <= 30


def test_an_error_that_depends_on_the_rows(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE wide AS SELECT n FROM generate_series(0, 3) n")
        session = DbApiSession(connection, dialect_for("postgres"))
        metrics = [check("mean", "n", partition_clause="1 / n > 0", leq_to=9).metric, Metric("null_count", ("n",))]
        columns = session.columns(T)
        assert preflight(session, metrics, Partition(T), columns=columns) == {}
        found = measure(session, metrics, Partition(T), columns=columns)
        assert found[metrics[0]].error == "division by zero"
        assert found[metrics[1]].value == 0


def test_checks_cannot_write(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE wide AS SELECT 1 AS n")
        session = DbApiSession(connection, dialect_for("postgres"))
        sql = "WITH gone AS (DELETE FROM wide RETURNING n) SELECT count(*) FROM gone"
        metric = check("custom_sql", sql=sql, equal_to=0).metric
        assert measure(session, [metric], Partition(T), columns=session.columns(T))[metric].error
        assert session.query("SELECT count(*) FROM wide") == [(1,)]


def test_a_lost_connection_is_no_property_of_a_check(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection, warehouse.connect() as other:
        connection.execute("CREATE TABLE wide AS SELECT 1 AS n")
        session = DbApiSession(connection, dialect_for("postgres"))
        columns = session.columns(T)
        other.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            measure(session, [Metric("null_count", ("n",))], Partition(T), columns=columns)


def test_compiling_is_off_and_stays_as_it_was(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("SET jit = on")
        session = DbApiSession(connection, dialect_for("postgres"))
        connection.execute("CREATE TABLE wide AS SELECT 1 AS n")
        metric = check("custom_sql", sql="SELECT current_setting('jit')", equal_to="off").metric
        found = measure(session, [metric], Partition(T), columns=session.columns(T))
        assert found[metric].value == "off"
        assert session.query("SHOW jit") == [("on",)]


def test_preflight_finds_what_can_never_work(database: Database, sent: list[str]) -> None:
    columns = wide(database)
    session = database.session
    session.execute("DELETE FROM wide")
    checks = [check("null_count", c.name, equal_to=0) for c in columns]
    checks += [c for c in faulty() if c.name not in ("many rows", "many columns", "no row")]
    problems = preflight(session, [c.metric for c in checks], Partition(T), columns=columns)
    assert set(problems) == {c.metric for c in checks[len(columns) :]}
    assert all(problems.values())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (check("pattern_violations", "s", pattern="("), "parentheses () not balanced"),
        (check("values_outside", "n", values=["x"]), 'invalid input syntax for type integer: "x"'),
        (check("values_outside", "s", values=[1]), "operator does not exist: text <> integer"),
        (check("custom_sql", sql="SELECT 1 FROM {table} WHERE d = 'yesterdayish'", equal_to=1), "invalid input syntax"),
    ],
)
def test_preflight_on_postgres(warehouse: Warehouse, wrong: Check, says: str) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE wide (n integer, s text, d date)")
        session = DbApiSession(connection, dialect_for("postgres"))
        sound = check("null_count", "n").metric
        problems = preflight(session, [wrong.metric, sound], Partition(T), columns=session.columns(T))
    assert list(problems) == [wrong.metric]
    assert says in problems[wrong.metric]


def test_statements_need_no_connection() -> None:
    scan = Scan.of(dialect_for("postgres"), [Metric("null_count", ("a",))], Partition(T), columns=[])
    assert scan.statements() == ['SELECT\n  COUNT(*),\n  COUNT(*) - COUNT("a")\nFROM "wide"']
