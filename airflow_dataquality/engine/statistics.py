"""Which metrics describe a table, by the types of its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import build, kind_of, params_of
from airflow_dataquality.model import Check, Column
from airflow_dataquality.vocabulary import KINDS, Kind, Takes

CATEGORIES = ("table", "any", "number", "text", "boolean", "time", "key")

STATISTICS: Mapping[str, Sequence[str]] = {
    "table": ("row_count", "column_count"),
    "any": ("null_ratio",),
    "number": ("mean", "stddev", "min", "max"),
    "text": ("min_length", "max_length", "empty_count"),
    "boolean": ("true_ratio",),
    "time": ("freshness",),
    "key": ("unique_violations",),
}
"""What the statistics of a table are, unless ``rules`` say otherwise. All but a key's take one scan."""

TELLING: Mapping[str, Sequence[str]] = {
    "table": ("row_count",),
    "any": ("null_ratio",),
    "number": ("mean",),
    "boolean": ("true_ratio",),
}
"""What anomalies are looked for in by default: numbers that change when something is wrong, and seldom else."""


@dataclass(frozen=True)
class Wanted:
    """A metric to be measured.

    :param columns: on which; None on each column that it is defined on
    :param category: only on columns of this category; ``any`` on all
    """

    word: str
    columns: tuple[str, ...] | None = None
    params: tuple[tuple[str, Any], ...] = ()
    category: str = "any"


def by_rules(rules: Any, defaults: Mapping[str, Sequence[str]] = STATISTICS) -> tuple[Wanted, ...]:
    """What rules ask for: for each category of column, words of the vocabulary, or dicts with their parameters.

    :param rules: replaces what ``defaults`` say of the categories that it names; None leaves all as they are
    :raises SpecError: naming the rule and the candidates
    """
    if rules is not None and not isinstance(rules, Mapping):
        raise SpecError(f"rules is {rules!r}, not a mapping", hint='write {"text": ["null_ratio", "distinct_count"]}')
    for category in rules or ():
        if category not in CATEGORIES:
            raise SpecError(f"rules: unknown category {category!r}", hint=did_you_mean(str(category), CATEGORIES))
    merged = {**defaults, **(rules or {})}
    return tuple(
        _wanted(item, f"rules[{category!r}][{index}]", category=category)
        for category in CATEGORIES
        for index, item in enumerate(_list(merged.get(category, ()), f"rules[{category!r}]"))
    )


def by_list(metrics: Any) -> tuple[Wanted, ...]:
    """What a list of metrics asks for: ``auto``, ``"mean"``, ``"mean:dep_delay"``, or dicts.

    :raises SpecError: naming the metric and the candidates
    """
    if metrics == "auto":
        return by_rules(None, TELLING)
    listed = _list(metrics, "metrics")
    if not listed:
        raise SpecError(f"metrics is {metrics!r}, which names none", hint='write "auto", or ["row_count"]')
    return tuple(_wanted(item, f"metrics[{i}]", category="any") for i, item in enumerate(listed))


def _list(given: Any, where: str) -> Sequence[Any]:
    if isinstance(given, str | Mapping):
        return [given]
    if not isinstance(given, Sequence):
        raise SpecError(f"{where} is {given!r}, not a list", hint='write ["row_count", "null_ratio:tailnum"]')
    return given


def _wanted(item: Any, where: str, *, category: str) -> Wanted:
    if isinstance(item, str):
        word, _, column = item.partition(":")
        item = {"metric": word.strip()} | ({"column": column.strip()} if column else {})
    if not isinstance(item, Mapping) or "metric" not in item:
        raise SpecError(f"{where}: {item!r} is no metric", hint='write "mean:dep_delay", or {"metric": "mean", …}')
    kind = kind_of(item["metric"], where)
    known = ("metric", "column", "columns", *params_of(kind))
    if unknown := [key for key in item if key not in known]:
        raise SpecError(f"{where}: unknown key {unknown[0]!r}", hint=did_you_mean(str(unknown[0]), known))
    if kind.compares or item["metric"] == "check_statement":
        raise SpecError(f"{where}: {item['metric']} is no number of a table alone", hint="use it as a check of a load")
    columns = item.get("column", item.get("columns"))
    columns = (columns,) if isinstance(columns, str) else tuple(columns) if columns is not None else None
    params = tuple(sorted((name, item[name]) for name in params_of(kind) if name in item))
    wanted = Wanted(item["metric"], columns, params, category)
    if columns is None and (on := _elsewhere(kind, category)):
        raise SpecError(f"{where}: {item['metric']} is measured on {on}", hint="name its column, or another category")
    # Parameters and, if they are named, columns are refused when the DAG is parsed.
    if columns is not None or kind.takes is Takes.NONE or params or kind.params:
        _check(wanted, columns or (() if kind.takes is Takes.NONE else ("x",)), Baseline(), "warn", where)
    return wanted


def _elsewhere(kind: Kind, category: str) -> str | None:
    """On what the kind is measured, if it never is on the columns of the category."""
    only = kind.category or ("number" if kind.value == "scalar" else None)
    if kind.takes is Takes.NONE or category == "any":
        return None
    if category == "key":
        return None if kind.takes is Takes.SOME else kind.takes.value
    fits = category == only or (only is None and category != "table")
    return None if fits else f"columns of category {only or 'any'}"


def checks_of(
    wanted: Iterable[Wanted], columns: Sequence[Column], *,
    baseline: Baseline, severity: str, chosen: Sequence[str] | None = None, keys: Sequence[str] = (),
    skip: Sequence[str] = (), clause: str | None = None,
) -> list[Check]:  # fmt: skip
    """A check for each metric on each column that it is defined on.

    :param chosen: names of the columns to describe; None for all
    :param keys: columns whose combination is unique
    :param skip: columns that are the same in every row, as those of the partition
    :param clause: a predicate that narrows the rows
    :raises SpecError: if a column that is named does not exist
    """
    known = {column.name: column for column in columns}
    for name in [*(chosen or ()), *keys]:
        if name not in known:
            raise SpecError(f"there is no column {name!r}", hint=did_you_mean(name, known, label="Columns"))
    described = [
        column for column in columns if (chosen is None and column.name not in skip) or column.name in (chosen or ())
    ]
    found: dict[Any, Check] = {}
    for item in wanted:
        for on in _places(item, described, tuple(keys)):
            check = _check(item, on, baseline, severity, f"{item.word}({', '.join(on)})", clause)
            found.setdefault(check.metric, check)
    return list(found.values())


def _places(item: Wanted, described: Sequence[Column], keys: tuple[str, ...]) -> Iterable[tuple[str, ...]]:
    """The columns of each measurement that is wanted."""
    kind = KINDS[item.word]
    if item.columns is not None:
        return [item.columns]
    if kind.takes is Takes.NONE:
        return [()]
    if item.category == "key":
        return [keys] if keys else []
    fits = [c for c in described if item.category in ("any", c.category) and kind.category in (None, c.category)]
    if kind.value == "scalar":
        fits = [column for column in fits if column.category == "number"]
    return [(column.name,) for column in fits]


def _check(
    item: Wanted, on: tuple[str, ...], baseline: Baseline, severity: str, where: str, clause: str | None = None
) -> Check:
    return build(
        item.word, on or None, condition={}, params=dict(item.params), where=where, baseline=baseline,
        severity=severity, partition_clause=clause,
    )  # fmt: skip
