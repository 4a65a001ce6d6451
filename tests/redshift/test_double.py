"""The table of rules: refusals have their code, translations succeed, gaps say that they are gaps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redshift_connector

from redshift_double import RedshiftDouble, RedshiftWarehouse
from redshift_double.judge import HANDLERS
from redshift_double.rules import RULES, TABLE, Rule, Verdict, markdown

SETTING = (
    "CREATE TABLE t (a int, b varchar(20))",
    "CREATE TABLE s (a int, b varchar(20))",
    "CREATE TABLE w (a int)",
    "CREATE VIEW v AS SELECT a FROM w",
    "CREATE TABLE n (a varchar(3) NOT NULL)",
    "CREATE TABLE i (id bigint IDENTITY(1, 1), a int)",
    "INSERT INTO t VALUES (1, 'x'), (2, 'y')",
    "INSERT INTO s VALUES (2, 'z'), (3, 'w')",
)


@pytest.fixture(scope="module")
def _connection(_redshift_double: RedshiftDouble, _names: Iterator[str]) -> Iterator[Any]:
    database = next(_names)
    _redshift_double.create_database(database)
    with RedshiftWarehouse(_redshift_double, database).connect() as connection, connection.cursor() as cursor:
        for statement in SETTING:
            cursor.execute(statement)
        yield connection
    _redshift_double.drop_database(database)


@pytest.fixture
def cursor(_connection: Any, _redshift_double: RedshiftDouble) -> Iterator[Any]:
    """Of a database that the module's tests share, because a refused statement changes nothing."""
    _redshift_double.reset()
    with _connection.cursor() as cursor:
        yield cursor
        cursor.execute("ROLLBACK")


@pytest.fixture
def fresh(redshift: RedshiftWarehouse) -> Iterator[Any]:
    with redshift.connect() as connection, connection.cursor() as cursor:
        for statement in SETTING:
            cursor.execute(statement)
        yield cursor


def run_example(cursor: Any, rule: Rule) -> None:
    # Examples of rules about transactions begin with BEGIN; the semicolon of "several statements" stays.
    first, _, rest = rule.example.partition("; ")
    statements = (first, rest) if first == "BEGIN" else (rule.example,)
    for statement in statements:
        cursor.execute(statement)


def rules(verdict: Verdict) -> Any:
    return pytest.mark.parametrize(
        "rule", [rule for rule in TABLE if rule.verdict is verdict], ids=lambda rule: rule.name
    )


@rules(Verdict.REFUSE)
def test_what_redshift_refuses_is_refused(cursor: Any, rule: Rule) -> None:
    with pytest.raises(redshift_connector.Error) as refused:
        run_example(cursor, rule)
    error = refused.value.args[0]
    assert error["C"] == rule.code
    assert rule.message.split("{")[0] in error["M"]


@rules(Verdict.TRANSLATE)
def test_what_redshift_accepts_is_accepted(fresh: Any, rule: Rule) -> None:
    run_example(fresh, rule)


@rules(Verdict.NOT_MODELLED)
def test_what_the_double_cannot_do_it_refuses_as_a_gap(cursor: Any, rule: Rule) -> None:
    with pytest.raises(redshift_connector.Error) as refused:
        run_example(cursor, rule)
    assert "the double does not model" in refused.value.args[0]["M"]


def test_rules_have_names_of_their_own_and_print() -> None:
    assert len(RULES) == len(TABLE)
    assert markdown().count("\n") == len(TABLE) + 1


@pytest.mark.parametrize(
    "word", ["DO", "LISTEN", "NOTIFY", "REINDEX", "CLUSTER", "CHECKPOINT", "VALUES", "TABLE", "MOVE"]
)
def test_statements_are_denied_by_default(cursor: Any, word: str) -> None:
    assert word not in HANDLERS
    with pytest.raises(redshift_connector.Error) as refused:
        cursor.execute(f"{word} t")
    assert refused.value.args[0]["C"] == "42601"


FOREIGN_FUNCTIONS = [
    "to_regclass",
    "clock_timestamp",
    "statement_timestamp",
    "jsonb_build_object",
    "format",
    "string_agg",
    "array_agg",
    "pg_advisory_lock",
    "aclexplode",
    "pg_describe_object",
    "starts_with",
    "row_to_json",
    "gen_random_uuid",
    "unnest",
    "pg_current_xact_id",
    "pg_sleep",
]


@pytest.mark.parametrize("function", FOREIGN_FUNCTIONS)
def test_functions_are_denied_by_default(cursor: Any, function: str) -> None:
    for call in (f"SELECT {function}('x')", f"SELECT pg_catalog.{function}('x')"):
        with pytest.raises(redshift_connector.Error) as refused:
            cursor.execute(call)
        assert refused.value.args[0]["C"] == "42883"


@pytest.mark.parametrize("parameter", ["lock_timeout", "jit", "plan_cache_mode", "client_connection_check_interval"])
@pytest.mark.parametrize("statement", ["SET {} = 0", "SET LOCAL {} TO 0", "SHOW {}", "RESET {}"])
def test_parameters_are_denied_by_default(cursor: Any, parameter: str, statement: str) -> None:
    with pytest.raises(redshift_connector.Error) as refused:
        cursor.execute(statement.format(parameter))
    assert refused.value.args[0]["C"] == "42704"


@pytest.mark.parametrize(
    "kind",
    [
        "uuid",
        "json",
        "jsonb",
        "bytea",
        "serial",
        "bigserial",
        "int[]",
        "regclass",
        "inet",
        "xid",
        "money",
        "point",
        "hstore",
    ],
)
def test_types_are_denied_by_default(cursor: Any, kind: str) -> None:
    with pytest.raises(redshift_connector.Error) as column:
        cursor.execute(f"CREATE TABLE x (a {kind})")
    with pytest.raises(redshift_connector.Error) as cast:
        cursor.execute(f"SELECT '1'::{kind}")
    assert (column.value.args[0]["C"], cast.value.args[0]["C"]) == ("0A000", "42704")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 'RETURNING ON CONFLICT string_agg(' AS a -- FILTER (\n, 'it''s \\' ; ' AS b",
        "SELECT /* DISTINCT ON (a); */ a FROM t",
        'SELECT a AS "returning", b AS "Lateral" FROM t',
        "SELECT substring(b FROM 1 FOR 2) FROM t",
        "SELECT a::text, a::oid, b::name FROM t WHERE false",
        "WITH x (c) AS (SELECT a FROM t) SELECT c FROM x UNION ALL (SELECT a FROM s)",
        "SELECT extract(year FROM getdate()), CAST(a AS varchar(10)), a::decimal(10, 2) FROM t",
        "SELECT x.c FROM (SELECT a FROM t) AS x (c) JOIN s ON s.a = x.c WHERE (x.c, 1) IN (SELECT 1, 2)",
        "SELECT sum(a) OVER (PARTITION BY b ORDER BY a ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM t",
        "SELECT pg_class.relname FROM pg_class, pg_namespace n WHERE n.oid = pg_class.relnamespace",
        "INSERT INTO public.t (a, b) SELECT a, b FROM s",
        "UPDATE t AS x SET b = s.b FROM s WHERE s.a = x.a",
        "DELETE FROM t USING s WHERE s.a = t.a",
        "DELETE t WHERE a = 1",
    ],
)
def test_ordinary_statements_pass(cursor: Any, sql: str) -> None:
    cursor.execute("BEGIN")
    cursor.execute(sql)
