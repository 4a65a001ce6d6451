"""What SQL reads and writes: what is told of it, what cannot be, and how such SQL is run all the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from airflow_dataquality.errors import SpecError
from airflow_dataquality.lint import Finding
from airflow_dataquality.transforms import load, reads
from airflow_dataquality.transforms.lineage import facts_of
from airflow_dataquality.transforms.rendering import stand_in
from transforms.flights_project import written

SELECTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "a CTE of the table's name": ("WITH f AS (SELECT * FROM raw.f) SELECT * FROM f", ("raw.f",)),
    "beside the table itself": ("WITH f AS (SELECT 1 AS x) SELECT a.x FROM f a JOIN raw.f b ON true", ("raw.f",)),
    "a CTE that reads a table of its own name": ("WITH f AS (SELECT * FROM f) SELECT * FROM f", ("f",)),
    "a CTE out of sight": ("SELECT 1 FROM (WITH t AS (SELECT 1 FROM raw.a) SELECT 1 FROM t) q JOIN t ON true",
                           ("raw.a", "t")),
    "a CTE that comes later": ("WITH a AS (SELECT 1 FROM b), b AS (SELECT 1 FROM raw.b) SELECT 1 FROM a",
                               ("b", "raw.b")),
    "a recursive CTE": ("WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t", ()),
    "a CTE in a subquery": ("SELECT (WITH t AS (SELECT max(x) m FROM raw.a) SELECT m FROM t) FROM raw.b",
                            ("raw.a", "raw.b")),
    "a CTE with capitals": ("WITH Delays AS (SELECT 1 AS x) SELECT x FROM delays", ()),
    "quoted names": ('SELECT "Ünï" FROM "Raw"."Flüge 2013"', ('"Raw"."Flüge 2013"',)),
    "reserved words": ('SELECT "select" FROM "order"."table"', ("order.table",)),
    "no schema": ("SELECT x FROM flights", ("flights",)),
    "LATERAL": ("SELECT y FROM raw.a a, LATERAL (SELECT b.y FROM raw.b b WHERE b.x = a.x) l", ("raw.a", "raw.b")),
    "unnest": ("SELECT v FROM raw.a a CROSS JOIN unnest(a.list) AS u(v)", ("raw.a",)),
    "a function": ("SELECT n FROM generate_series(1, 3) AS g(n) JOIN analytics.made(1) AS f ON true", ()),
    "ROWS FROM": ("SELECT * FROM ROWS FROM (generate_series(1, 2), unnest(ARRAY[1])) AS t(a, b)", ()),
    "VALUES": ("SELECT a FROM (VALUES (1, 2)) AS v(a, b) JOIN raw.a USING (a)", ("raw.a",)),
    "records of JSON": ("SELECT j.x FROM raw.a, jsonb_to_recordset(a.doc) AS j(x int)", ("raw.a",)),
    "TABLE": ("TABLE raw.flights", ("raw.flights",)),
    "EXISTS": ("SELECT 1 FROM raw.a WHERE EXISTS (SELECT 1 FROM raw.b WHERE b.x = a.x)", ("raw.a", "raw.b")),
    "EXCEPT": ("SELECT x FROM raw.a EXCEPT (SELECT x FROM raw.b UNION SELECT x FROM raw.c)",
               ("raw.a", "raw.b", "raw.c")),
    "catalogs": ("SELECT 1 FROM information_schema.tables, pg_catalog.pg_class, pg_attribute, raw.a", ("raw.a",)),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "tables"), SELECTS.values(), ids=SELECTS)
def test_tables_that_a_select_reads(sql: str, tables: tuple[str, ...]) -> None:
    assert sorted(reads(sql)) == sorted(tables)


def test_values_within_a_row_are_no_table_on_redshift() -> None:
    assert reads("SELECT i.price FROM raw.orders AS o, o.items AS i", "redshift") == ("raw.orders",)


SCRIPTS: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "MERGE": ("MERGE INTO a.t AS t USING raw.s AS s ON t.i = s.i WHEN MATCHED THEN UPDATE SET x = s.x", ("raw.s",),
              ("a.t",)),
    "DELETE USING": ("DELETE FROM a.t AS t USING raw.a AS a WHERE t.i = a.i AND a.x IN (SELECT x FROM raw.b)",
                     ("raw.a", "raw.b"), ("a.t",)),
    "UPDATE FROM": ("UPDATE a.t SET x = s.x FROM raw.s AS s WHERE t.i = s.i", ("raw.s",), ("a.t",)),
    "INSERT SELECT": ("INSERT INTO a.t (i) SELECT i FROM raw.a ON CONFLICT (i) DO UPDATE SET x = excluded.x",
                      ("raw.a",), ("a.t",)),
    "its own past": ("INSERT INTO a.t SELECT i FROM raw.a WHERE i NOT IN (SELECT i FROM a.t)", ("raw.a", "a.t"),
                     ("a.t",)),
    "WITH before": ("WITH s AS (SELECT * FROM raw.a) INSERT INTO a.t SELECT * FROM s", ("raw.a",), ("a.t",)),
    "DELETE in WITH": ("WITH d AS (DELETE FROM a.t RETURNING *) INSERT INTO a.h SELECT * FROM d", (), ("a.h", "a.t")),
    "temporary tables": ("CREATE TEMP TABLE s AS SELECT * FROM raw.a; INSERT INTO a.t SELECT * FROM s; DROP TABLE s",
                         ("raw.a",), ("a.t",)),
    "INTO": ("SELECT * INTO TEMP s FROM raw.a; SELECT * INTO a.t FROM s", ("raw.a",), ("a.t",)),
    "COPY": ("COPY a.t FROM '/srv/x.csv'", (), ("a.t",)),
    "COPY TO": ("COPY (SELECT * FROM raw.a) TO '/srv/x.csv'; COPY raw.b TO '/srv/y.csv'", ("raw.a", "raw.b"), ()),
    "DDL": ("DROP TABLE IF EXISTS a.t; CREATE TABLE a.t (i int REFERENCES raw.k (i)); CREATE INDEX x ON a.t (i)", (),
            ("a.t",)),
    "what reads no rows": ("COMMENT ON TABLE a.t IS 'x'; GRANT SELECT ON a.u TO PUBLIC; ANALYZE a.v", (), ("a.t",)),
    "RENAME": ("CREATE TABLE a.new AS SELECT 1 AS i; ALTER TABLE a.new RENAME TO t", (), ("a.new",)),
    "LIKE": ("CREATE TABLE IF NOT EXISTS a.t (LIKE raw.a INCLUDING ALL)", ("raw.a",), ("a.t",)),
    "a part of a table": ("CREATE TABLE a.t_1 PARTITION OF a.t FOR VALUES FROM (1) TO (2)", (), ("a.t",)),
    "TRUNCATE": ("TRUNCATE a.t, a.u", (), ("a.t", "a.u")),
    "settings": ("SET LOCAL work_mem = '64MB'; LOCK TABLE a.t; DELETE FROM a.t", (), ("a.t",)),
}  # fmt: skip


@pytest.mark.parametrize(("sql", "tables", "writes"), SCRIPTS.values(), ids=SCRIPTS)
def test_tables_that_statements_read_and_write(sql: str, tables: tuple[str, ...], writes: tuple[str, ...]) -> None:
    facts = facts_of(sql, script=True)
    assert (sorted(facts.tables), sorted(facts.writes)) == (sorted(tables), sorted(writes))


def test_statements_of_redshift() -> None:
    sql = """
        CREATE TABLE #s AS SELECT * FROM raw.a;
        COPY a.t FROM 's3://lake/x/' IAM_ROLE DEFAULT FORMAT AS CSV;
        INSERT INTO a.t SELECT * FROM #s QUALIFY row_number() OVER (PARTITION BY i ORDER BY j) = 1
    """
    facts = facts_of(sql, "redshift", script=True)
    assert (facts.tables, facts.writes) == (("raw.a",), ("a.t",))
    with pytest.raises(SpecError, match=r"TRUNCATE among the statements(?s:.*)DELETE FROM"):
        facts_of("TRUNCATE a.t", "redshift", script=True)


def test_a_select_that_writes_is_none() -> None:
    for sql in ("SELECT x INTO a.t FROM raw.a", "WITH d AS (DELETE FROM a.t RETURNING x) SELECT x FROM d"):
        with pytest.raises(SpecError, match=r"the SELECT writes a\.t"):
            facts_of(sql)


def test_what_is_said_of_templates_with_loops_and_macros() -> None:
    sql = """
        {%- set carriers = ["UA", "AA"] -%}
        {% macro flag(code) %}max(CASE WHEN carrier = '{{ code }}' THEN 1 END) AS {{ code | lower }}{% endmacro %}
        SELECT ds{% for each in carriers %}, {{ flag(each) }}{% endfor %} {# FROM raw.nothing #}
        FROM raw.flights WHERE ds BETWEEN '{{ macros.ds_add(ds, -7) }}' AND '{{ ds }}'
        {% if params.only %} AND carrier = '{{ params.only }}' {% endif %}
        {% raw %} AND note <> '{{ ds }}' {% endraw %} GROUP BY ds
    """
    facts = facts_of(stand_in(sql).sql)
    assert (facts.tables, facts.columns) == (("raw.flights",), ("ds", "ua", "aa"))


HEADER = "kind: {kind}\ninputs: [raw.a]\noutput: {{table: a.t}}\n{more}"
RAW = {"p/a.yaml": "kind: no_op\noutput: {table: raw.a}\n", "q/b.yaml": "kind: no_op\noutput: {table: raw.b}\n"}


def mistakes(folder: Path, sql: str, kind: str = "create_table_as", more: str = "") -> list[Finding]:
    header = HEADER.format(kind=kind, more=more)
    written(folder, {**RAW, "p/t.yaml": header, "p/t.sql": sql})
    project = load(folder, cache=False)
    assert not project.pipelines["q"].mistakes
    return list(project.mistakes)


UNREAD = {
    "what the parser does not know": ("create_table_as", "SELECT x FROM raw.a WHERE )", "no SQL that can be read"),
    "what it cannot resolve": ("create_table_as", "SELECT 1 AS x FROM raw.a, raw.b AS a", "Alias already used"),
    "what is nested too deeply": ("create_table_as", f"SELECT {'(' * 9000}x{')' * 9000} FROM raw.a", "too deeply"),
    "a block": ("sql", "DO $$ BEGIN DELETE FROM a.t; END $$; INSERT INTO a.t TABLE raw.a", "what DO reads"),
    "a procedure": ("sql", "CALL a.fill(1); INSERT INTO a.t TABLE raw.a", "what CALL reads"),
}


@pytest.mark.parametrize(("kind", "sql", "says"), UNREAD.values(), ids=UNREAD)
def test_sql_that_cannot_be_read_breaks_its_pipeline_and_may_be_let_through(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, sql: str, says: str
) -> None:
    (mistake,) = mistakes(tmp_path, sql, kind)
    assert says in mistake.message
    assert "enforce_inputs: false" in str(mistake.hint)
    assert (Path(mistake.file).name, mistake.rule) == ("t.sql", "p.t")
    assert not [record for record in caplog.records if record.name.startswith("sqlglot")]
    assert logging.getLogger("sqlglot").isEnabledFor(logging.WARNING)
    assert mistakes(tmp_path, sql, kind, "enforce_inputs: false\n") == []


def test_what_is_let_through_is_still_held_against_what_needs_no_parser(tmp_path: Path) -> None:
    more = "enforce_inputs: false\n"
    (mistake,) = mistakes(tmp_path, "SELECT {{ dss }} FROM raw.a WHERE )", more=more)
    assert "the template names 'dss'" in mistake.message
    (mistake,) = mistakes(tmp_path, "DELETE FROM a.t; COMMIT", "sql", more)
    assert "COMMIT among the statements (statement 2 of 2)" in mistake.message
    (mistake,) = mistakes(tmp_path, "SELECT 1", more="enforce_inputs: sometimes\n")
    assert mistake.message == "enforce_inputs is 'sometimes'"
    # Reading what is not declared is the reader's own affair then.
    assert mistakes(tmp_path, "SELECT * FROM raw.b", more=more) == []


def test_a_table_that_a_template_names(tmp_path: Path) -> None:
    (undeclared, unused) = mistakes(tmp_path, "SELECT x FROM raw.flights_{{ ds_nodash }}")
    assert undeclared.message == "the SQL reads raw.flights_20130101, which is no input"
    assert "a template makes this name" in str(undeclared.hint)
    assert "enforce_inputs: false" in str(undeclared.hint)
    assert unused.message == "the input raw.a is not read by the SQL"


def test_statements_that_end_the_transaction_are_mistakes(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "INSERT INTO a.t TABLE raw.a;\n  COMMIT;\nDELETE FROM a.t", "sql")
    assert (mistake.line, mistake.column) == (2, 3)
    assert mistake.message == "COMMIT among the statements (statement 2 of 3)"


def test_files_that_templates_include_are_refused_with_what_to_do(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "{% include 'other.sql' %} SELECT 1 FROM raw.a")
    assert "include" in f"{mistake.message} {mistake.hint}"
