"""Rows as tests write them: what is a value, what is NULL, and what is said of mistakes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dataquality.errors import SpecError
from airflow_dataquality.testing.names import moved
from airflow_dataquality.testing.parts import Parts
from airflow_dataquality.testing.rows import Rows, as_text, cells_of, rows, shown


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("2013-01-01, UA, 517", ["2013-01-01", "UA", "517"]),
        ("  a  ,b ,  c d", ["a", "b", "c d"]),
        ("NULL, 'NULL', \"NULL\", null", [None, "NULL", "NULL", "null"]),
        ("'O''Hare, IL', O'Hare", ["O'Hare, IL", "O'Hare"]),
        ('"say ""hi"", please", \'\'', ['say "hi", please', ""]),
        ("a,,b", ["a", "", "b"]),
        ("a,", ["a", ""]),
        ('{"a": [1, 2], "b": "x}, y"}, 1', ['{"a": [1, 2], "b": "x}, y"}', "1"]),
        ('{a,b,"c, d"}, [1,5), (2,3]', ['{a,b,"c, d"}', "[1,5)", "(2,3]"]),
        ("Zürich, 東京, 🛫", ["Zürich", "東京", "🛫"]),
        ("' blank ', \\N", [" blank ", "\\N"]),
    ],
)
def test_a_line_has_these_values(line: str, cells: list[str | None]) -> None:
    assert list(cells_of(line)) == cells


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(st.none(), st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))), min_size=1
    )
)
def test_what_is_shown_reads_back(cells: list[str | None]) -> None:
    assert list(cells_of(", ".join(map(shown, cells)))) == cells


def test_names_are_folded_unless_quoted() -> None:
    assert rows('Ds, "Flight No", "a ""b"", c"').columns == ("ds", "Flight No", 'a "b", c')


def test_python_values_and_mappings_are_rows_too() -> None:
    assert rows("a, b", (1, None), {"b": "NULL", "a": [1]}).cells == ((1, None), ([1], "NULL"))
    assert Rows.of([{"a": 1, "b": None}]) == rows("a, b", (1, None))
    assert as_text([["a", None], ["b,", 'c"']], array=True) == '{{a,NULL},{"b,","c\\""}}'
    assert as_text({"a": [1, None]}) == '{"a": [1, null]}'
    assert as_text(b"\x01\xff") == "\\x01ff"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a, b, c", "1, 2"], ["row 1 has 2 values for 3 columns", "c is missing", "write NULL", "a, b, c"]),
        (["a, b, c", "1, 2, 3", "1"], ["row 2 has 1 value for 3 columns", "b, c are missing"]),
        (["a", "1, 2"], ["row 1 has 2 values for 1 column", "2 is too much", "quote a value that holds a comma"]),
        (["a", "'x"], ["row 1: a quote opens and does not close", "close it with '"]),
        (["a, b", "'x' y, 2"], ["'y' follows a closing quote", "double a quote inside quotes: ''"]),
        (["a", '{"a": 1'], ["a bracket opens and does not close", "quote it"]),
        (["a, a"], ["name a twice"]),
        (["a, b c"], ["'b c' is no name of a column", "quote what is no plain word"]),
        ([("a", "b"), {"a": 1}], ["row 1: b is not in both"]),
    ],
)
def test_mistakes_in_rows_are_named(lines: list[Any], words: list[str]) -> None:
    with pytest.raises(SpecError) as told:
        rows(*lines)
    assert [word for word in words if word not in str(told.value)] == []


@pytest.mark.parametrize("given_", ["1, 2", 7, [1], [{"a": 1}, {"b": 2}]])
def test_what_holds_no_rows_is_refused(given_: Any) -> None:
    with pytest.raises(SpecError, match="Hint"):
        Rows.of(given_)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT * FROM raw.flights", 'SELECT * FROM "x_raw".flights'),
        ('SELECT raw.flights.a FROM RAW . flights, "Raw".f',
         'SELECT "x_raw".flights.a FROM "x_raw" . flights, "x_Raw".f'),
        ("WITH raw AS (SELECT 1 AS a) SELECT raw.a, 'raw.flights' FROM raw -- raw.flights",
         "WITH raw AS (SELECT 1 AS a) SELECT raw.a, 'raw.flights' FROM raw -- raw.flights"),
        ("SELECT * FROM pg_catalog.pg_class", "SELECT * FROM pg_catalog.pg_class"),
        ("DELETE FROM a.b USING raw.flights; INSERT INTO a.b SELECT 1 FROM raw.flights f",
         'DELETE FROM "x_a".b USING "x_raw".flights; INSERT INTO "x_a".b SELECT 1 FROM "x_raw".flights f'),
        ("SELECT '{{ ds }}' FROM raw.flights /* raw.flights */ -- raw.flights", None),
    ],
)  # fmt: skip
def test_tables_move_and_all_else_stays(sql: str, expected: str | None) -> None:
    from airflow_dataquality.model import Table

    expected = expected or "SELECT '{{ ds }}' FROM \"x_raw\".flights /* raw.flights */ -- raw.flights"
    assert moved(sql, [Table("flights", "raw")], lambda name: f'"x_{name}"') == expected


SQL = """
WITH RECURSIVE a AS (SELECT ')' AS x), "B c" (y) AS MATERIALIZED (SELECT x FROM a WHERE x IN (SELECT x FROM a))
SELECT * FROM (SELECT y FROM "B c") AS inner_one, LATERAL (VALUES (1)) two (z) WHERE EXISTS (SELECT 1)
"""


def test_parts_keep_their_text() -> None:
    parts = Parts(SQL)
    assert [each.name for each in parts.ctes] == ["a", "B c"]
    assert parts.cte("A") == "\nWITH RECURSIVE a AS (SELECT ')' AS x)\nSELECT * FROM a"
    assert parts.cte('"B c"').endswith('(SELECT x FROM a))\nSELECT * FROM "B c"')
    assert [each.name for each in parts.subqueries] == [None, "inner_one", "two", None]
    assert parts.subquery("inner_one").endswith('SELECT * FROM (SELECT y FROM "B c") AS subquery')
    assert parts.subquery(0) == parts.subquery(-4)
    with pytest.raises(
        SpecError, match=r"no CTE 'b'[\s\S]*CTEs: B c, a; subqueries, with .subquery\(\): inner_one, two"
    ):
        parts.cte("b")
    with pytest.raises(SpecError, match="it has 4, and the first is 0"):
        parts.subquery(4)
    with pytest.raises(SpecError, match="did you mean 'inner_one'"):
        parts.subquery("inner_on")
