"""The SELECT: its forms, and how its columns must fit the table."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.errors import SpecError
from fingerprint import fingerprint
from publishing import left_beside, publish, rows

Connection = psycopg.Connection[Any]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT 1 AS id) SELECT id, 'x' AS name FROM a",
        "with recursive a as (select 1 as id union select 1 from a) select id, 'x' as name from a",
        "SELECT * FROM (VALUES (1, 'x')) AS v (id, name)",
        "SELECT column1 AS id, column2 AS name FROM (VALUES (1, 'x')) AS v",
        "TABLE w.source",
        "(SELECT 1 AS id, 'x' AS name)",
        "(SELECT 1 AS id, 'x' AS name) UNION ALL (SELECT 1, 'x' WHERE false)",
        "SELECT 1 AS id, 'x' AS name;",
        "SELECT 1 AS id, 'x' AS name ; -- done; really",
        "-- before\n/* a /* nested; */ one */ SELECT 1 AS id, 'x' AS name -- after",
        "SELECT 1 AS id, 'x' AS name\n;\n\n",
        "SELECT id, name FROM w.source WHERE name NOT LIKE '%s%' AND id % 2 = 1 AND name <> '%(id)s'",
        "SELECT id::bigint AS id, name::text FROM w.source WHERE name <> ':id' AND '{a}' <> $$;$$",
        "SELECT 1 AS id, 'x' AS name ORDER BY 1 LIMIT 1",
        "SELECT name, id FROM w.source",
        "SELECT id, name FROM w.source WHERE name <> E'it\\'s; ' AND name <> 'a\\'",
    ],
)
def test_forms_of_select(db: Connection, sql: str) -> None:
    db.execute("CREATE TABLE w.source AS SELECT 1 AS id, 'x' AS name; CREATE TABLE w.n (id int, name text)")
    for table in ("w.n", "w.fresh"):
        for _ in range(2):
            assert publish(table, sql)["rows"] == 1
            assert rows(db, table, "id, name") == [(1, "x")]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "the SELECT is empty"),
        (" ;", "the SELECT is empty|not a SELECT"),
        ("-- nothing", "the SELECT is empty"),
        ("SELECT 1 AS a; SELECT 2 AS a", "more than one statement: 'SELECT 2 AS a' follows"),
        ("SELECT 1 AS a; DROP TABLE w.t", "more than one statement"),
        ("DELETE FROM w.t RETURNING *", "not a SELECT: it begins with 'delete'"),
        ("INSERT INTO w.t VALUES (1)", "not a SELECT: it begins with 'insert'"),
        ("CREATE TABLE x (a int)", "not a SELECT: it begins with 'create'"),
        ("EXPLAIN SELECT 1", "not a SELECT: it begins with 'explain'"),
        ("SELECT 'it", "a quote opens and does not close"),
        ('SELECT "it', "a quote opens and does not close"),
        ("SELECT $a$it", "a quote opens and does not close"),
        ("SELECT 1 /* it", "a comment opens and does not close"),
    ],
)
def test_what_is_no_single_select_is_refused_when_the_dag_is_parsed(sql: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        publish("w.t", sql)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 AS a FROM nowhere", 'the SELECT is not valid: relation "nowhere" does not exist'),
        ("SELECT FROM w.t) AS q; DROP TABLE w.t; SELECT * FROM (SELECT 1", "more than one statement"),
        ("SELECT 1 AS a) AS q, (SELECT 2 AS b", "the SELECT is not valid"),
        ("WITH gone AS (DELETE FROM w.t RETURNING *) SELECT * FROM gone", "the SELECT is not valid"),
        ("SELECT ds, id, name INTO w.x FROM w.t", "the SELECT is not valid"),
        ("SELECT ds, id, name FROM w.t FOR UPDATE OF nothing", "the SELECT is not valid"),
        ("SELECT 1 AS a, 2 AS a", "names a twice"),
        ("SELECT 1 AS a, 1 + 1", "a column without a name"),
        ("SELECT ds, 1 / (id - id) AS id, name FROM w.t", "the SELECT failed: division by zero"),
    ],
)
def test_what_the_database_refuses_changes_nothing(db: Connection, sql: str, message: str) -> None:
    before, old = fingerprint(db, "w.t"), rows(db, "w.t")
    with pytest.raises((AirflowException, SpecError), match=message):
        publish("w.t", sql)
    assert (fingerprint(db, "w.t"), rows(db, "w.t")) == (before, old)
    assert left_beside(db) == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT id, name FROM w.t", "missing from the SELECT: ds"),
        ("SELECT *, 1 AS more FROM w.t", "not in the table: more"),
        (
            "SELECT ds, id, name AS nam FROM w.t",
            "missing from the SELECT: name; not in the table: nam\nHint: did you mean",
        ),
        ('SELECT ds, id, name AS "Name" FROM w.t', "did you mean 'name'"),
        ("SELECT ds, id, 'longer' AS name FROM w.t", r"value too long for type character varying\(5\)"),
        ("SELECT ds, 'one' AS id, name FROM w.t", "invalid input syntax for type integer"),
        ("SELECT ds, name AS id, name FROM w.t", 'column "id" is of type integer but expression is of type character'),
        ("SELECT id AS ds, id, name FROM w.t", 'column "ds" is of type date but expression is of type integer'),
        ("SELECT ds, 3000000000 AS id, name FROM w.t", "integer out of range"),
    ],
)
def test_drift_is_an_error(db: Connection, sql: str, message: str) -> None:
    old = rows(db, "w.t")
    for mode in ("swap", "overwrite"):
        with pytest.raises(AirflowException, match=message):
            publish("w.t", sql, exchange=mode)
    assert rows(db, "w.t") == old
    assert left_beside(db) == []


@pytest.mark.parametrize("mode", ["swap", "overwrite"])
def test_types_that_are_cast_on_assignment_are_not_drift(db: Connection, mode: str) -> None:
    publish("w.t", "SELECT '2013-02-01' AS ds, 7::bigint AS id, 'x'::text AS name", exchange=mode)
    assert rows(db, "w.t", "ds::text, id, name") == [("2013-02-01", 7, "x")]
    publish("w.t", "SELECT TIMESTAMP '2013-02-01 12:00' AS ds, 7.0 AS id, NULL AS name", exchange=mode)
    assert rows(db, "w.t", "ds::text, id, name") == [("2013-02-01", 7, None)]


@pytest.mark.parametrize("mode", ["swap", "overwrite", "attach"])
def test_new_columns_are_appended_if_wanted(db: Connection, mode: str) -> None:
    key = {"ds": "2013-02-01"} if mode == "attach" else None
    if mode == "attach":
        db.execute("DROP TABLE w.t; CREATE TABLE w.t (ds date, id int, name varchar(5)) PARTITION BY LIST (ds)")
        db.execute("CREATE TABLE w.a PARTITION OF w.t FOR VALUES IN ('2013-02-01')")
        db.execute("CREATE TABLE w.b PARTITION OF w.t FOR VALUES IN ('2013-02-02')")
        db.execute("INSERT INTO w.b VALUES ('2013-02-02', 9, 'stays')")
    db.execute("COMMENT ON COLUMN w.t.name IS 'kept'; CREATE INDEX by_id ON w.t (id)")
    before = [line for line in fingerprint(db, "w.t") if '"type"' not in line]
    sql = """SELECT '2013-02-01' AS ds, 1 AS id, 'x' AS name, 1.5::numeric(9, 2) AS "Größe", '{a}'::text[] AS tags"""
    for _ in range(2):
        outcome = publish("w.t", sql, partition=key, exchange=mode, on_schema_change="append_columns")
        assert outcome["exchange"] == mode
    types = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'w.t'::regclass AND attnum > 0"
    found = [kind for (kind,) in db.execute(f"{types} AND NOT attisdropped ORDER BY attnum")]  # type: ignore[arg-type]
    assert found == ["date", "integer", "character varying(5)", "numeric(9,2)", "text[]"]
    assert [line for line in fingerprint(db, "w.t") if '"type"' not in line] == before
    assert rows(db, "w.t WHERE id < 9", 'id, "Größe"::text, tags') == [(1, "1.50", ["a"])]
    if mode == "attach":
        assert rows(db, "w.b", 'name, "Größe"') == [("stays", None)]


def test_a_missing_column_is_drift_even_when_columns_may_be_appended(db: Connection) -> None:
    with pytest.raises(AirflowException, match="missing from the SELECT: name"):
        publish("w.t", "SELECT ds, id, 1 AS more FROM w.t", on_schema_change="append_columns")


@pytest.mark.parametrize("mode", ["swap", "overwrite"])
def test_generated_and_identity_columns_are_the_tables_to_fill(db: Connection, mode: str) -> None:
    db.execute("""CREATE TABLE w.g (id int GENERATED ALWAYS AS IDENTITY, v int,
                                    d int GENERATED ALWAYS AS (v * 2) STORED,
                                    n serial)""")
    db.execute("INSERT INTO w.g (v) VALUES (1), (2)")
    publish("w.g", "SELECT v, 7 AS n FROM (VALUES (5), (6)) AS x (v)", exchange=mode)
    assert rows(db, "w.g", "id, v, d, n") == [(3, 5, 10, 7), (4, 6, 12, 7)]
    publish("w.g", "SELECT 50 AS id, 5 AS v, 7 AS n", exchange=mode)
    assert rows(db, "w.g", "id, v, d, n") == [(50, 5, 10, 7)]
    assert db.execute("INSERT INTO w.g (v) VALUES (8) RETURNING id, d, n").fetchone() == (5, 16, 3)
    with pytest.raises(AirflowException, match="computed by the table, so not to be selected: d"):
        publish("w.g", "SELECT 1 AS v, 2 AS d, 7 AS n", exchange=mode)
    with pytest.raises(AirflowException, match="missing from the SELECT: n"):
        publish("w.g", "SELECT 1 AS v", exchange=mode)


@pytest.mark.parametrize("mode", ["swap", "overwrite"])
def test_rows_that_break_a_constraint_are_refused(db: Connection, mode: str) -> None:
    db.execute("CREATE TABLE w.c (id int PRIMARY KEY, v int NOT NULL CHECK (v > 0)); INSERT INTO w.c VALUES (1, 1)")
    before = fingerprint(db, "w.c")
    for values, message in {
        "(1, 1), (1, 2)": "could not create unique index|duplicate key",
        "(1, NULL::int)": "contains null values|violates not-null",
        "(1, -1)": "is violated by some row|violates check",
    }.items():
        with pytest.raises(AirflowException, match=message):
            publish("w.c", f"SELECT * FROM (VALUES {values}) AS v (id, v)", exchange=mode)
    assert (fingerprint(db, "w.c"), rows(db, "w.c")) == (before, [(1, 1)])
    assert left_beside(db) == []
