"""What SQL reads, writes and yields."""

from __future__ import annotations

import pytest

from airflow_dataquality.errors import SpecError
from airflow_dataquality.transforms.lineage import facts_of, reads
from airflow_dataquality.transforms.rendering import rendered, stand_in


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT 1 AS a", ()),
        ('SELECT * FROM Raw."Flights" f, raw.FLIGHTS', ('raw."Flights"', "raw.flights")),
        ("WITH f AS (SELECT * FROM raw.f) SELECT * FROM f WHERE x IN (SELECT x FROM raw.g)", ("raw.f", "raw.g")),
        (
            "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r JOIN raw.a USING (n)) SELECT * FROM r",
            ("raw.a",),
        ),
        (
            "SELECT * FROM generate_series(1, 3) AS g (n) CROSS JOIN LATERAL (SELECT * FROM raw.a WHERE a.n = g.n) l",
            ("raw.a",),
        ),
        ("SELECT * FROM raw.a UNION ALL SELECT * FROM raw.b EXCEPT SELECT * FROM raw.c", ("raw.a", "raw.b", "raw.c")),
        ("SELECT (SELECT max(x) FROM raw.a), EXISTS (SELECT FROM raw.b) FROM raw.c", ("raw.a", "raw.b", "raw.c")),
        ("SELECT 'FROM raw.x' AS t -- FROM raw.y\nFROM raw.z", ("raw.z",)),
        ("SELECT * FROM flights", ("flights",)),
        ("SELECT * FROM {{ params.schema }}.t WHERE ds = '{{ macros.ds_add(ds, -1) }}'", ("x.t",)),
        (
            "{% for x in [1, 2] %}SELECT {{ x }} FROM raw.a{{ x }}{% if not loop.last %} UNION {% endif %}{% endfor %}",
            ("raw.a1", "raw.a2"),
        ),
    ],
)
def test_tables(sql: str, tables: tuple[str, ...]) -> None:
    assert sorted(reads(sql)) == sorted(tables)


@pytest.mark.parametrize(
    ("sql", "read", "written"),
    [
        ("INSERT INTO w.t SELECT * FROM raw.a", {"raw.a"}, {"w.t"}),
        ("INSERT INTO w.t (a) WITH q AS (SELECT a FROM raw.a) SELECT * FROM q", {"raw.a"}, {"w.t"}),
        ("UPDATE w.t SET a = s.a FROM raw.s AS s WHERE s.id = t.id", {"raw.s"}, {"w.t"}),
        ("DELETE FROM w.t USING raw.s WHERE s.id = t.id", {"raw.s"}, {"w.t"}),
        ("DELETE FROM w.t WHERE id IN (SELECT id FROM raw.s)", {"raw.s"}, {"w.t"}),
        ("MERGE INTO w.t USING raw.s AS s ON s.id = t.id WHEN MATCHED THEN UPDATE SET a = s.a", {"raw.s"}, {"w.t"}),
        ("CREATE TABLE IF NOT EXISTS w.t (a int); CREATE INDEX i ON w.t (a)", set(), {"w.t"}),
        (
            "CREATE TEMP TABLE x AS SELECT * FROM raw.a; INSERT INTO w.t SELECT * FROM x; DROP TABLE x",
            {"raw.a"},
            {"w.t"},
        ),
        ("CREATE TABLE w.t AS SELECT * FROM raw.a", {"raw.a"}, {"w.t"}),
        ("TRUNCATE w.t", set(), {"w.t"}),
    ],
)
def test_scripts(sql: str, read: set[str], written: set[str]) -> None:
    facts = facts_of(sql, script=True)
    assert (set(facts.tables), set(facts.writes)) == (read, written)


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ('SELECT a, b AS "B", max(c) AS C, d::int FROM t.t GROUP BY 1, 2, 4', ("a", "B", "c", "d")),
        ("SELECT a, max(c) FROM t.t GROUP BY 1", None),
        ("SELECT * FROM t.t", ("t.t.*",)),
        ("SELECT t.*, u.a FROM t.t JOIN t.u ON true", ("t.t.*", "a")),
        ("WITH c AS (SELECT a, b FROM t.t) SELECT c.*, 1 AS one FROM c", ("a", "b", "one")),
        ("SELECT a FROM t.t UNION SELECT b FROM t.u", ("a",)),
        ("SELECT * FROM t.t JOIN t.u USING (a)", None),
        ("VALUES (1, 2)", None),
    ],
)
def test_columns(sql: str, columns: tuple[str, ...] | None) -> None:
    assert facts_of(sql).columns == columns


@pytest.mark.parametrize(
    ("sql", "uses"),
    [
        ("SELECT f.a, b FROM t.t AS f", {"a", "b"}),
        ("SELECT a AS x FROM t.t GROUP BY x ORDER BY x", {"a"}),
        ("SELECT t.a, u.b, c FROM t.t JOIN t.u ON t.i = u.i", {"a", "b", "c", "i"}),
        ("WITH q AS (SELECT a FROM t.t) SELECT a, q.a FROM q", {"a"}),
        ("SELECT (SELECT max(z) FROM t.u WHERE u.i = b) FROM t.t", {"i"}),
        ("SELECT row_to_json(f), f.ctid FROM t.t f", set()),
        ("SELECT f FROM t.t f", set()),
    ],
)
def test_columns_that_are_read_for_sure(sql: str, uses: set[str]) -> None:
    assert {use.column for use in facts_of(sql).uses} == uses


def test_what_is_no_sql() -> None:
    with pytest.raises(SpecError, match=r"(?s)can be read.*Hint: mend"):
        facts_of("SELECT a FROM WHERE")
    with pytest.raises(SpecError, match="more than one statement"):
        reads("SELECT 1; SELECT 2")


def test_rendering() -> None:
    text = "{{ ds }} {{ ds_nodash }} {{ macros.ds_add(ds, 1) }} {{ data_interval_end | ds }} {{ logical_date.year }}"
    assert rendered(text, "2013-12-31") == "2013-12-31 20131231 2014-01-01 2014-01-01 2013"
    assert stand_in("{{ dss }} {{ ds }}").unknown == ("dss",)
    assert stand_in("{% set a = 1 %}{{ a }} {{ var.value.x }} {{ conn.w.host }}").unknown == ()
    assert stand_in("{{ mine(ds) }}", ["mine"]).unknown == ()
