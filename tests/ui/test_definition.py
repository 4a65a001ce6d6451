"""What the ledger keeps of a check, read again; and predicates that are written anew, instead of run."""

from __future__ import annotations

import pytest

from airflow_dataquality.dialects.names import Names
from airflow_dataquality.dialects.predicate import rewritten
from airflow_dataquality.engine.definition import definition_of, measured_of
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Interval, Metric

DEFINITIONS = [
    Check("c", Metric("null_count", ("a, b",)), Interval(0, 0)),
    Check("c", Metric("unique_violations", ("a", "b, c")), Interval(0, 0)),
    Check("c", Metric("values_outside", ("a",), (("values", ("x", 1, None)),), where="b > '0'"), Interval(0, 0)),
    Check("c", Metric("min", ("a",), group=(("region", "EU"),)), Interval(low=0, low_open=True)),
    Check("c", Metric("orphan_count", ("a",), (("referenced_columns", ("b",)), ("references", "s.t"))), Interval(0, 0)),
]


@pytest.mark.parametrize("given", DEFINITIONS, ids=lambda given: str(given.metric))
def test_what_is_recorded_is_read_again(given: Check) -> None:
    found = measured_of(given.metric.kind, ", ".join(given.metric.columns) or None, definition_of(given))
    assert found is not None
    assert found.metric == given.metric
    assert found.bounds == (given.expect if given.metric.kind == "min" else None)


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"columns": 3}', '{"params": {"values": {}}}', '{"low": 9, "high": 1}', "3"]
)
def test_a_definition_that_is_none_is_no_error(text: str) -> None:
    assert measured_of("values_outside", "a", text) is None


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("a = 1", '("a" = 1)'),
        ("not A in ('x', 'it''s') or b is not null", """((NOT ("a" IN ('x', 'it''s'))) OR ("b" IS NOT NULL))"""),
        ("a BETWEEN 1 AND 2 AND b", '(("a" BETWEEN 1 AND 2) AND "b")'),
        ("a - - 1 > - b", '(("a" - (-1)) > (-"b"))'),
        ("a::date >= DATE '2013-01-01'", """(CAST("a" AS DATE) >= DATE '2013-01-01')"""),
        ("CAST(a AS text) ~ '^x'", """(CAST("a" AS TEXT) ~ '^x')"""),
        ("Coalesce(a, b * 2) <> 0.5", '(COALESCE("a", ("b" * 2)) <> 0.5)'),
        ("a IS NOT DISTINCT FROM b", '("a" IS NOT DISTINCT FROM "b")'),
        ("a NOT LIKE 'x%' || b", """("a" NOT LIKE ('x%' || "b"))"""),
        ('"Strange ""name""" > current_date', '("Strange ""name""" > CURRENT_DATE)'),
    ],
)
def test_predicates_are_written_anew(given: str, written: str) -> None:
    assert rewritten(given, Names(), ["a", "b", 'Strange "name"']) == written


@pytest.mark.parametrize(
    "given",
    [
        *("", "a =", "a = 1 b", "(a = 1", "a = 1)", "a; b", "a /* x */", "a -- b", "c = 1", "a = $1", "$$x$$ = a"),
        *("sum(a) > 1", "a > (SELECT 1)", "EXISTS (SELECT 1)", "pg_read_file('x') = a", "s.f(a)", "x'41' = a"),
        *("E'\\'' = a", "U&'x' = a", "a::regclass = 1", "a = ANY (b)", "a COLLATE x = 1", "a = 1 = 1", "'x", '"a'),
        *("CASE WHEN a THEN b END", "a IN (SELECT 1)", "a NOT b", "(" * 50 + "a" + ")" * 50, "a > 1 OR " * 900 + "a"),
        *("-" * 60 + "1 > a", "1e5x = a", "a IS DISTINCT b", "interval = 1", "count(*) > 1"),
    ],
)
def test_what_is_no_predicate_of_a_row_is_refused(given: str) -> None:
    with pytest.raises(SpecError):
        rewritten(given, Names(), ["a", "b"])


def test_a_backslash_is_refused_where_it_escapes() -> None:
    assert rewritten("a = 'x\\'", Names(), ["a"]) == "(\"a\" = 'x\\')"
    with pytest.raises(SpecError, match="backslash"):
        rewritten("a = 'x\\' OR b = ' OR TRUE'", Names(), ["a", "b"], escapes=True)
