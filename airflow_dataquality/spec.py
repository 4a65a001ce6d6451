"""Checks from dicts and YAML. Every error names the file, the rule, and the nearest valid spelling.

Three grammars lead to the same :class:`~airflow_dataquality.model.Check`:

* rules, as in the rule sets of Airflow's ``common.dataquality``: ``{"name": …, "check": …, "condition": …}``;
* the ``column_mapping`` of ``SQLColumnCheckOperator``: ``{"carrier": {"null_check": {"equal_to": 0}}}``;
* the ``checks`` of ``SQLTableCheckOperator``: ``{"volume": {"check_statement": "COUNT(*) > 0"}}``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import FRACTION, build, kind_of, only, params_of
from airflow_dataquality.model import Check

# `id` and `previous_name` exist in Airflow's grammar to follow a renamed rule. History here belongs to
# (table, check name), so they are read and have no effect.
RULE = ("name", "check", "column", "condition", "baseline", "severity", "partition_clause", "description",
        "dimension", "monitor", "id", "previous_name")  # fmt: skip
COLUMN_CHECKS = {
    "null_check": "null_count",
    "distinct_check": "distinct_count",
    "unique_check": "unique_violations",
    "min": "min",
    "max": "max",
}
SUFFIXES = (".yaml", ".yml", ".json")


def checks_from(source: Any, *, folders: Sequence[str] = ()) -> tuple[Check, ...]:
    """Read checks in any of the accepted forms.

    :param source: a path, a rule set, one of the operators' dicts, or a list of checks, rules and these
    :param folders: where a relative path is looked for, in order
    :raises SpecError: naming where and what
    """
    return _named(_read(source, where="checks", folders=folders))


def _read(source: Any, *, where: str, folders: Sequence[str]) -> list[Check]:
    if isinstance(source, Check):
        return [source]
    if isinstance(source, str | os.PathLike):
        return _read_file(os.fspath(source), folders)
    if isinstance(source, Mapping):
        return _read_mapping(source, where)
    if isinstance(source, Iterable):
        return [
            check
            for index, item in enumerate(source)
            for check in _read(item, where=f"{where}[{index}]", folders=folders)
        ]
    raise SpecError(
        f"{where}: {source!r} is not a check",
        hint='write check("row_count", greater_than=0), a rule dict, or the path of a YAML rule set',
    )


def _read_file(path: str, folders: Sequence[str]) -> list[Check]:
    if not path.endswith(SUFFIXES):
        raise SpecError(
            f"checks: {path!r} is not a rule set file", hint=f"its name should end in {', '.join(SUFFIXES)}"
        )
    found = find_file(path, folders, what="rule set")
    data = load_yaml(found)
    if not isinstance(data, Mapping) or "rules" not in data:
        raise SpecError(f"{path}: no `rules` at the top", hint="a rule set is {name: …, rules: [{check: …}, …]}")
    return _read_mapping(data, path)


def find_file(path: str, folders: Sequence[str], *, what: str) -> Path:
    """The first existing file of that relative path in the folders, or the path itself if absolute.

    :raises SpecError: naming every place that was looked at
    """
    places = [Path(path)] if Path(path).is_absolute() else [Path(folder, path) for folder in dict.fromkeys(folders)]
    for place in places:
        if place.is_file():
            return place
    raise SpecError(
        f"{what} {path!r} does not exist; looked at: {', '.join(map(str, places)) or 'nowhere'}",
        hint="paths are relative to the DAG file's folder and the DAG's template_searchpath",
    )


def load_yaml(path: Path) -> Any:
    """The content of a YAML or JSON file.

    :raises SpecError: naming file, line and column; also for a key that is given twice
    """
    import yaml

    from airflow_dataquality._yaml import UniqueKeyLoader

    try:
        with path.open(encoding="utf-8") as file:
            return yaml.load(file, Loader=UniqueKeyLoader)  # noqa: S506 - a subclass of the safe loader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{path} is not valid YAML: {error}", hint="mend the file at that line") from error


def _read_mapping(data: Mapping[str, Any], where: str) -> list[Check]:
    if "rules" in data:
        return _read_rules(data, where)
    if "check" in data:
        return [_check_from_rule(data, where)]
    shapes = [isinstance(value, Mapping) for value in data.values()]
    if data and all(shapes):
        if all("check_statement" in value for value in data.values()):
            return [_check_from_statement(name, value, f"{where}[{name!r}]") for name, value in data.items()]
        return [
            _check_from_column_check(column, word, values, f"{where}[{column!r}][{word!r}]")
            for column, words in data.items()
            for word, values in words.items()
        ]
    raise SpecError(
        f"{where}: a dict with {', '.join(map(repr, data)) or 'nothing'} in it is neither a rule, nor a rule set, "
        "nor the dict of an Airflow check operator",
        hint='a rule has at least {"check": …}, a rule set {"rules": […]}',
    )


def _read_rules(data: Mapping[str, Any], where: str) -> list[Check]:
    only(data, ("name", "rules", "description"), where, "rule set key")
    rules = data["rules"]
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        raise SpecError(f"{where}: `rules` is not a list", hint="write one `- check: …` for each rule")
    return [rule_of(rule, f"{where}: rules[{index}]") for index, rule in enumerate(rules)]


def rule_of(rule: Any, where: str) -> Check:
    """The check of one rule.

    :param where: what to call the place in an error, which begins with it
    :raises SpecError: naming the place, the mistake and the candidates
    """
    if not isinstance(rule, Mapping):
        raise SpecError(f"{where}: {rule!r} is not a rule", hint='a rule is {"check": …, "condition": …}')
    name = rule.get("name")
    return _check_from_rule(rule, f"{where} ({name})" if name else where)


def _check_from_rule(rule: Mapping[str, Any], where: str) -> Check:
    word = rule.get("check")
    kind = kind_of(word, where)
    columns = rule.get("column")
    fields = {k: v for k, v in rule.items() if k != "column"}
    if "columns" in rule and "columns" not in params_of(kind):
        if columns is not None:
            raise SpecError(f"{where}: both `column` and `columns`", hint="give one of them")
        columns = fields.pop("columns")
    params = {name: fields.pop(name) for name in params_of(kind) if name in fields}
    only(fields, (*RULE, *params_of(kind)), where, f"key of a {word} rule")
    condition = fields.get("condition")
    if condition is not None and not isinstance(condition, Mapping):
        raise SpecError(f"{where}: condition {condition!r} is not a mapping", hint="write {equal_to: 0}")
    return build(
        str(word),
        columns,
        condition=condition or {},
        params=params,
        where=where,
        baseline=fields.get("baseline"),
        name=fields.get("name"),
        severity=fields.get("severity"),
        partition_clause=fields.get("partition_clause"),
        description=fields.get("description"),
        dimension=fields.get("dimension"),
        monitor=fields.get("monitor"),
    )


def _check_from_column_check(column: str, word: str, values: Any, where: str) -> Check:
    if word not in COLUMN_CHECKS:
        raise SpecError(f"{where}: unknown column check", hint=did_you_mean(word, COLUMN_CHECKS, label="Column checks"))
    if not isinstance(values, Mapping):
        raise SpecError(f"{where}: {values!r} is not a condition", hint="write {'equal_to': 0}")
    made = build(
        COLUMN_CHECKS[word],
        column,
        condition={k: v for k, v in values.items() if k != "partition_clause"},
        params={},
        where=where,
        tolerance_unit=FRACTION,
        name=f"{column}.{word}",
        partition_clause=values.get("partition_clause"),
    )
    # The operator pastes the column into its SQL, where the database folds it, and has accept_none=True.
    return replace(made, folds=True, null_is_zero=True)


def _check_from_statement(name: str, values: Mapping[str, Any], where: str) -> Check:
    only(values, ("check_statement", "partition_clause"), where, "key of a table check")
    return build(
        "check_statement",
        None,
        condition={},
        params={"statement": values["check_statement"]},
        where=where,
        name=name,
        partition_clause=values.get("partition_clause"),
    )


def _named(checks: list[Check]) -> tuple[Check, ...]:
    """Tell checks apart that were not named by hand; refuse two that were given the same name."""
    taken: dict[str, Check] = {}
    for check in checks:
        if check.named and check.name in taken:
            raise SpecError(
                f"two checks are named {check.name!r} ({taken[check.name].source}; {check.source})",
                hint="a check's history belongs to its name: give each its own",
            )
        if check.named:
            taken[check.name] = check
    result = []
    for check in checks:
        name, count = check.name, 1
        while not check.named and name in taken:
            count += 1
            name = f"{check.name} #{count}"
        taken[name] = check
        result.append(replace(check, name=name))
    return tuple(result)
