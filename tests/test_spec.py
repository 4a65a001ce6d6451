"""Checks from dicts and YAML: one meaning, and errors that say where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.dialects import dialect_for
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Column
from airflow_dataquality.spec import checks_from

RULES = """
name: orders
description: what an order is
rules:
  - name: order_id_not_null
    check: null_count
    column: order_id
    condition: {equal_to: 0}
    severity: error
    partition_clause: "region = 'EU'"
    dimension: completeness
    id: 17
    previous_name: old
  - check: unique_violations
    columns: [order_id, line]
  - check: row_count
    condition: {equal_to: 100, tolerance: 10}
    severity: warn
  - check: custom_sql
    sql: SELECT COUNT(*) FROM {table}
    condition: {geq_to: 1}
"""


BASELINES = """
rules:
  - {check: row_count, baseline: auto}
  - name: fares
    check: mean
    column: fare
    severity: warn
    baseline:
      zscore:
        threshold: 3
        window: 28
        direction: drop
        exclude: [2013-12-24, [2013-12-26, 2014-01-01]]
        holidays: US-NY
  - {check: quantile, column: fare, q: 0.9, baseline: {seasonal: }, partition_clause: "region = 'EU'"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.yaml").write_text(RULES)
    return tmp_path


def test_a_rule_set_is_the_checks_written_in_python(folder: Path) -> None:
    found = checks_from("orders.yaml", folders=[str(folder)])
    assert found[0].source == "orders.yaml: rules[0] (order_id_not_null)"
    written = (
        check("null_count", "order_id", equal_to=0, name="order_id_not_null", partition_clause="region = 'EU'"),
        check("unique_violations", ["order_id", "line"]),
        check("row_count", equal_to=100, tolerance=10, severity="warn"),
        check("custom_sql", sql="SELECT COUNT(*) FROM {table}", geq_to=1),
    )
    assert found == written


def test_a_rule_may_have_a_baseline_instead(tmp_path: Path) -> None:
    (tmp_path / "volume.yaml").write_text(BASELINES)
    assert checks_from("volume.yaml", folders=[str(tmp_path)]) == (
        anomaly("row_count"),
        anomaly("mean", "fare", name="fares", baseline="zscore", threshold=3, window=28, direction="drop",
                exclude=["2013-12-24", ("2013-12-26", "2014-01-01")], holidays="US-NY", severity="warn"),
        anomaly("quantile", "fare", q=0.9, baseline="seasonal", partition_clause="region = 'EU'"),
    )  # fmt: skip


def test_forms_can_be_mixed(folder: Path) -> None:
    found = checks_from(
        [
            check("row_count", geq_to=1),
            {"check": "row_count", "condition": {"geq_to": 2}},
            "orders.yaml",
            {"carrier": {"null_check": {"equal_to": 0}, "max": {"leq_to": 9}}},
            {"volume": {"check_statement": "COUNT(*) > 0", "partition_clause": "a = 1"}},
        ],
        folders=[str(folder)],
    )
    names = [made.name for made in found]
    assert names == [
        "row_count",
        "row_count #2",
        "order_id_not_null",
        "unique_violations(order_id, line)",
        "row_count #3",
        "custom_sql",
        "carrier.null_check",
        "carrier.max",
        "volume",
    ]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (
            [{"check": "nul_count", "column": "a"}],
            "checks[0]: unknown check 'nul_count'\nHint: did you mean 'null_count'?",
        ),
        ([{"chek": "row_count"}], "neither a rule, nor a rule set"),
        ([{"check": "row_count", "conditon": {}}], "did you mean 'condition'?"),
        ([{"check": "row_count", "condition": 5}], "condition 5 is not a mapping"),
        ([{"check": "null_count", "column": "a", "values": [1]}], "unknown key of a null_count rule 'values'"),
        ([{"check": "null_count", "column": "a", "columns": ["a"]}], "both `column` and `columns`"),
        ([17], "17 is not a check"),
        ("checks.txt", "is not a rule set file"),
        ("nowhere.yaml", "does not exist; looked at:"),
        ({"rules": [5]}, "checks: rules[0]: 5 is not a rule"),
        ({"rules": {"check": "row_count"}}, "`rules` is not a list"),
        ({"rules": [], "nam": "x"}, "did you mean 'name'?"),
        ({"a": {"nul_check": {"equal_to": 0}}}, "did you mean 'null_check'?"),
        ([{"check": "row_count", "baselin": "auto"}], "did you mean 'baseline'?"),
        ([{"check": "row_count", "baseline": "zcore"}], "checks[0]: baseline is 'zcore'\nHint: did you mean 'zscore'?"),
        ([{"check": "row_count", "baseline": {"auto": {"windw": 3}}}], "did you mean 'window'?"),
        ([{"check": "row_count", "baseline": "auto", "condition": {"geq_to": 1}}], "both a baseline and geq_to"),
        ({"v": {"check_statement": "a > 1", "baseline": "auto"}}, "unknown key of a table check 'baseline'"),
        ({"a": {"min": {"baseline": "auto"}}}, "unknown condition 'baseline'"),
        ({"a": {"min": {}}}, "no condition for min"),
        ({"a": {"min": {"geq_to": 5, "leq_to": 1}}}, "checks['a']['min']: the condition contradicts itself"),
        ({"v": {"check_statement": "a", "partition": "b"}}, "did you mean 'partition_clause'?"),
        ([check("row_count", geq_to=1, name="x"), check("row_count", geq_to=2, name="x")], "two checks are named 'x'"),
    ],
)
def test_errors_say_where_and_what(rules: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        checks_from(rules, folders=[str(tmp_path)])
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: [", "bad.yaml is not valid YAML"),
        ("rules: []\nrules: []", "found the key 'rules' twice"),
        ("- check: row_count", "no `rules` at the top"),
        (
            "rules:\n  - check: mean\n    column: a\n    condition: {geq_to: 10, leq_to: 5}",
            "bad.yaml: rules[0]: the cond",
        ),
        (
            "rules:\n  - name: n\n    check: mena",
            "bad.yaml: rules[0] (n): unknown check 'mena'\nHint: did you mean 'mean'?",
        ),
        ("rules: !!python/object/apply:os.system [true]", "not valid YAML"),
        ("rules:\n  - {check: row_count, baseline: {auto: {window: 1}}}", "bad.yaml: rules[0]: window is 1"),
    ],
)
def test_errors_name_the_file(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(SpecError) as raised:
        checks_from("bad.yaml", folders=[str(tmp_path)])
    assert says in str(raised.value)


def test_the_first_folder_wins(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "orders.yaml").write_text("rules: []")
    assert checks_from("orders.yaml", folders=[str(other), str(folder)]) == ()
    assert len(checks_from(str(folder / "orders.yaml"))) == 4


COLUMNS = (
    Column("carrier", "text", "text"),
    Column("Mixed", "integer", "number"),
    Column("flag", "boolean", "boolean"),
    Column("ts", "timestamp without time zone", "time"),
    Column("anything", "thing", None),
)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (check("null_count", "carier"), "no column 'carier'\nHint: did you mean 'carrier'?"),
        (check("null_count", "mixed"), "did you mean 'Mixed'?"),
        (check("mean", "carrier", geq_to=0), "mean needs a column of category number; carrier is text"),
        (check("max_length", "Mixed", geq_to=0), "needs a column of category text"),
        (check("freshness", "carrier", leq_to=1), "needs a column of category time"),
        (check("max", "flag", equal_to=1), "max has no meaning on flag"),
        (check("max", "carrier", leq_to=5), "the condition holds 5, but carrier is text"),
        (check("min", "Mixed", geq_to="a"), "the condition holds 'a', but Mixed is integer"),
        (check("values_outside", "carrier", values=["AA", 1]), "values holds 1, but carrier is text"),
        (check("values_outside", "Mixed", values=["1"]), "values holds '1', but Mixed is integer"),
        (check("orphan_count", "carrier", references="a b"), "is not a table name"),
        (check("orphan_count", "carrier", references="a", referenced_columns=["x", "y"]), "1 columns refer to 2"),
        (check("custom_sql", sql="SELECT 1; DROP TABLE x", equal_to=1), "more than one statement"),
        (check("custom_sql", sql="DELETE FROM {table}", equal_to=1), "not a SELECT"),
        (check("true_ratio", "Mixed", geq_to=0), "true_ratio needs a column of category boolean; Mixed is integer"),
        (
            check("max", "ts", baseline="auto"),
            "max of ts is timestamp without time zone, of which a baseline knows nothing",
        ),
        (check("min", "carrier", baseline="auto"), "of which a baseline knows nothing"),
    ],
)
def test_what_the_columns_cannot_answer_is_refused(wrong: Check, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        resolve([wrong], COLUMNS, dialect=dialect_for("postgres"))
    assert says in str(raised.value)
    assert str(raised.value).startswith("check(")


def test_every_problem_is_told_at_once() -> None:
    wrong = [check("null_count", "carier"), check("mean", "carrier", geq_to=0), check("row_count", geq_to=1)]
    with pytest.raises(SpecError) as raised:
        resolve(wrong, COLUMNS, dialect=dialect_for("postgres"))
    assert "2 checks do not fit" in str(raised.value)
    assert "carier" in str(raised.value)
    assert "mean needs" in str(raised.value)


def test_columns_whose_category_is_not_known_are_accepted() -> None:
    checks = [check("mean", "anything", geq_to=0), check("max", "anything", leq_to="x")]
    assert resolve(checks, COLUMNS, dialect=dialect_for("trino")) == tuple(checks)


@pytest.mark.parametrize(("bare", "found"), [("CARRIER", "carrier"), ("Carrier", "carrier"), ("Mixed", "Mixed")])
def test_the_operators_columns_are_folded(bare: str, found: str) -> None:
    (made,) = resolve(checks_from({bare: {"null_check": {"equal_to": 0}}}), COLUMNS, dialect=dialect_for("postgres"))
    assert made.metric.columns == (found,)
    assert made.name == f"{bare}.null_check"


def test_a_pattern_is_compiled_where_python_matches_it() -> None:
    with pytest.raises(SpecError, match=r"pattern '\(' is no regular expression"):
        resolve([check("pattern_violations", "carrier", pattern="(")], COLUMNS, dialect=dialect_for("sqlite"))
