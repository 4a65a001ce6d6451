"""Which metrics describe a table: rules, lists, and what they do not know."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.statistics import CATEGORIES, STATISTICS, TELLING, Wanted, by_list, by_rules, checks_of
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Column
from airflow_dataquality.vocabulary import KINDS

COLUMNS = (
    Column("ds", "date", "time"),
    Column("id", "integer", "number"),
    Column("fare", "numeric", "number"),
    Column("carrier", "text", "text"),
    Column("late", "boolean", "boolean"),
    Column("seen", "timestamp", "time"),
    Column("doc", "json", "other"),
    Column("shape", "geometry", None),
)


def named(wanted: tuple[Wanted, ...], **arguments: Any) -> list[str]:
    defaults: dict[str, Any] = {"baseline": Baseline(), "severity": "warn"}
    return [check.name for check in checks_of(wanted, COLUMNS, **{**defaults, **arguments})]


def test_the_defaults_describe_each_column_by_its_type() -> None:
    described = ["id", "fare", "carrier", "late", "seen", "doc", "shape"]
    assert named(by_rules(None), skip=["ds"], keys=["id", "ds"]) == [
        "row_count",
        "column_count",
        *(f"null_ratio({name})" for name in described),
        *(f"{word}({name})" for word in ("mean", "stddev", "min", "max") for name in ("id", "fare")),
        *(f"{word}(carrier)" for word in ("min_length", "max_length", "empty_count")),
        "true_ratio(late)",
        "freshness(seen)",
        "unique_violations(id, ds)",
    ]
    assert set(STATISTICS) == set(CATEGORIES)
    assert set(TELLING) <= set(CATEGORIES)
    assert {word for words in STATISTICS.values() for word in words} <= set(KINDS)
    telling = [
        "row_count",
        *(f"null_ratio({name})" for name in described),
        "mean(id)",
        "mean(fare)",
        "true_ratio(late)",
    ]
    assert named(by_list("auto"), skip=["ds"]) == telling


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ({"text": "distinct_count"}, ["distinct_count(carrier)"]),
        ({"text": [{"metric": "pattern_violations", "pattern": "^A"}]}, ["pattern_violations(carrier)"]),
        ({"number": [{"metric": "quantile", "q": 0.5}, {"metric": "quantile", "q": 0.9, "column": "id"}]},
         ["quantile(id, q=0.5)", "quantile(fare, q=0.5)", "quantile(id, q=0.9)"]),
        ({"any": ["null_count", "null_count"]}, [f"null_count({c.name})" for c in COLUMNS]),
        ({"time": ["distinct_count:ds"]}, ["distinct_count(ds)"]),
        ({"table": [{"metric": "unique_violations", "columns": ["id", "ds"]}]}, ["unique_violations(id, ds)"]),
        ({"key": ["unique_violations"]}, []),
        ({"number": ()}, []),
    ],
)  # fmt: skip
def test_rules_replace_what_is_measured_on_a_category(rules: dict[str, Any], names: list[str]) -> None:
    nothing: dict[str, Any] = {category: [] for category in CATEGORIES}
    assert named(by_rules({**nothing, **rules})) == names
    others = [name for name in named(by_rules(rules)) if name not in names]
    kept = [
        word for category, words in STATISTICS.items() if category not in rules and category != "key" for word in words
    ]
    assert {name.partition("(")[0] for name in others} == set(kept)


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        ("row_count", ["row_count"]),
        (["mean"], ["mean(id)", "mean(fare)"]),
        (["mean:fare", "mean: fare ", "mean"], ["mean(fare)", "mean(id)"]),
        (["min"], ["min(id)", "min(fare)"]),
        ([{"metric": "quantile", "column": "id", "q": 0.9}], ["quantile(id, q=0.9)"]),
        ({"metric": "unique_violations", "columns": ["id", "ds"]}, ["unique_violations(id, ds)"]),
        ([{"metric": "custom_sql", "sql": "SELECT 1"}], ["custom_sql"]),
        (["freshness"], ["freshness(ds)", "freshness(seen)"]),
    ],
)
def test_a_list_of_metrics(metrics: Any, names: list[str]) -> None:
    assert named(by_list(metrics)) == names


def test_chosen_columns_bound_what_names_none() -> None:
    wanted = by_list(["null_ratio", "mean:fare", "row_count"])
    assert named(wanted, chosen=["id", "ds"], skip=["ds"]) == [
        "null_ratio(ds)",
        "null_ratio(id)",
        "mean(fare)",
        "row_count",
    ]
    (check,) = checks_of(by_list(["mean:id"]), COLUMNS, baseline=Baseline(), severity="error", clause="a = 1")
    assert (check.metric.where, check.severity, check.expect) == ("a = 1", "error", Baseline())


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (["row_count"], "rules is ['row_count'], not a mapping"),
        ({"numbers": ["mean"]}, "rules: unknown category 'numbers'\nHint: did you mean 'number'?"),
        ({"number": ["meen"]}, "rules['number'][0]: unknown check 'meen'\nHint: did you mean 'mean'?"),
        ({"number": [{"q": 1}]}, "rules['number'][0]: {'q': 1} is no metric"),
        ({"number": [7]}, "rules['number'][0]: 7 is no metric"),
        ({"number": 7}, "rules['number'] is 7, not a list"),
        ({"number": None}, "rules['number'] is None, not a list"),
        ({"number": [{"metric": "quantile"}]}, "quantile needs `q`"),
        ({"number": [{"metric": "quantile", "q": 0.5, "p": 1}]}, "unknown key 'p'"),
        ({"text": [{"metric": "values_outside", "values": "AA"}]}, "is not a list"),
        ({"table": ["lost_keys"]}, "lost_keys is no number of a table alone"),
        ({"text": ["mean"]}, "rules['text'][0]: mean is measured on columns of category number"),
        ({"text": ["min"]}, "rules['text'][0]: min is measured on columns of category number"),
        ({"table": ["null_ratio"]}, "rules['table'][0]: null_ratio is measured on columns of category any"),
        ({"key": ["null_count"]}, "rules['key'][0]: null_count is measured on one column"),
    ],
)
def test_what_no_rule_can_be(rules: Any, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        by_rules(rules)
    assert says in str(raised.value)
    assert "Hint: " in str(raised.value)


@pytest.mark.parametrize("arguments", [{"chosen": ["idd"]}, {"keys": ["idd"]}])
def test_columns_that_do_not_exist(arguments: Any) -> None:
    with pytest.raises(SpecError, match=r"there is no column 'idd'\nHint: did you mean 'id'?"):
        named(by_list("auto"), **arguments)
