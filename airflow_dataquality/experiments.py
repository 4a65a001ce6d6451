"""Tests that compare a control with an experiment, from arguments and YAML. Every error names the file and the path.

A test is a check like any other: its expectation is a :class:`~airflow_dataquality.formula.Formula`, and what it is
measured with are two queries.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.formula import SCOPES, CannotTell, Formula, check_params, finite
from airflow_dataquality.grammar import one_of, only
from airflow_dataquality.model import Check, Metric, Severity
from airflow_dataquality.spec import SUFFIXES, find_file, load_yaml
from airflow_dataquality.vocabulary import DIMENSIONS

KEYS = ("name", "control_sql", "experiment_sql", "formula", "formula_params", "severity", "description", "dimension")
DEFAULTS = tuple(key for key in KEYS if key != "name")

FORMULA = Metric("formula")
"""What a formula is measured with is the user's own."""

IsTemplate = Callable[[Any], bool]


@dataclass(frozen=True)
class Experiment:
    """A test: two queries of one row each, and the formula that says of their rows whether all is well.

    :param check: its name, severity and formula
    :param params: numbers that the formula names; templates until they are rendered
    """

    check: Check
    control_sql: str
    experiment_sql: str
    params: tuple[tuple[str, Any], ...] = ()

    @property
    def formula(self) -> Formula:
        assert isinstance(self.check.expect, Formula)
        return self.check.expect

    def sql(self, scope: str) -> str:
        """The query of ``control`` or ``experiment``."""
        return self.control_sql if scope == SCOPES[0] else self.experiment_sql

    def rendered(self, render: Callable[[Any, str], Any]) -> Experiment:
        """The test without templates.

        :param render: renders a value, given what to call its place
        :raises SpecError: if a parameter is no number then
        """
        place = self.check.source or self.check.name
        params = {name: render(value, f"{place}.formula_params.{name}") for name, value in self.params}
        return replace(
            self,
            control_sql=render(self.control_sql, f"{place}.control_sql"),
            experiment_sql=render(self.experiment_sql, f"{place}.experiment_sql"),
            params=tuple((name, _number(value, f"{place}.formula_params.{name}")) for name, value in params.items()),
        )


def experiments_from(
    source: Any, *, folders: Sequence[str] = (), is_template: IsTemplate = lambda _: False
) -> tuple[Experiment, ...]:
    """Read tests.

    :param source: the path of a YAML file, its content, or a list of tests
    :param folders: where a relative path is looked for, in order
    :param is_template: whether a value is known only when the task runs
    :raises SpecError: naming where and what
    """
    where = ""
    if isinstance(source, str | os.PathLike):
        where = f"{os.fspath(source)}: "
        source = _file(os.fspath(source), folders)
    if not isinstance(source, Mapping):
        source = {"tests": source}
    only(source, ("name", "description", "defaults", "tests"), f"{where}tests", "key")
    defaults, tests = source.get("defaults"), source.get("tests")
    if not isinstance(defaults, Mapping | None):
        raise SpecError(f"{where}defaults: {defaults!r} is not a mapping", hint="write {formula: …, severity: warn}")
    only(defaults or {}, DEFAULTS, f"{where}defaults", "key")
    if not isinstance(tests, Sequence) or isinstance(tests, str) or not tests:
        raise SpecError(f"{where}tests: {tests!r} is not a list of tests", hint="write one `- name: …` for each test")
    read = [_one(given, defaults or {}, where, f"tests[{i}]", is_template) for i, given in enumerate(tests)]
    return _distinct(read)


def experiment(given: Mapping[str, Any], where: str, *, is_template: IsTemplate) -> Experiment:
    """Read one test.

    :raises SpecError: naming the key
    """
    return _experiment(given, dict.fromkeys(KEYS, where), where.rstrip(".: "), is_template)


def _file(path: str, folders: Sequence[str]) -> Any:
    if not path.endswith(SUFFIXES):
        raise SpecError(f"tests: {path!r} is not a file of tests", hint=f"its name ends in {', '.join(SUFFIXES)}")
    data = load_yaml(find_file(path, folders, what="file of tests"))
    if not isinstance(data, Mapping | list):
        raise SpecError(f"{path}: no `tests` at the top", hint="write {defaults: {…}, tests: [{name: …}, …]}")
    return data


def _one(given: Any, defaults: Mapping[str, Any], file: str, path: str, is_template: IsTemplate) -> Experiment:
    where = f"{file}{path}"
    if not isinstance(given, Mapping):
        raise SpecError(f"{where}: {given!r} is not a test", hint="a test is {name: …, control_sql: …, formula: …}")
    only(given, KEYS, where, "key")
    if given.get("name") is None:
        raise SpecError(f"{where}: no name", hint="a test's history belongs to its name: give each its own")
    places = {key: f"{where}." if key in given or key not in defaults else f"{file}defaults." for key in KEYS}
    common, own = defaults.get("formula_params"), given.get("formula_params")
    merged = {**defaults, **given}
    if isinstance(common, Mapping) and isinstance(own, Mapping):
        merged["formula_params"] = {**common, **own}
    return _experiment(merged, places, where, is_template)


def _experiment(given: Mapping[str, Any], places: Mapping[str, str], where: str, is_template: IsTemplate) -> Experiment:
    for key in ("name", "description", *(f"{scope}_sql" for scope in SCOPES)):
        value, optional = given.get(key), key == "description"
        if not (optional and value is None) and not is_template(value) and not _is_text(value):
            hint = "write a SELECT that returns one row" if key.endswith("_sql") else "write a text"
            raise SpecError(f"{places[key]}{key} is {value!r}, not a text", hint=hint)
    params = _params(given.get("formula_params"), f"{places['formula_params']}formula_params", is_template)
    dimension = given.get("dimension") or "validity"
    if dimension not in DIMENSIONS:
        raise SpecError(
            f"{places['dimension']}dimension is {dimension!r}", hint=did_you_mean(str(dimension), DIMENSIONS)
        )
    check = Check(
        name=given["name"],
        metric=FORMULA,
        expect=_formula(given.get("formula"), params, places["formula"]),
        severity=one_of(Severity, given.get("severity") or Severity.ERROR, f"{places['severity']}severity"),
        description=given.get("description"),
        dimension=dimension,
        source=where,
        named=True,
    )
    return Experiment(check, given["control_sql"], given["experiment_sql"], tuple(params.items()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _params(given: Any, what: str, is_template: IsTemplate) -> Mapping[str, Any]:
    if not isinstance(given, Mapping | None):
        raise SpecError(f"{what} is {given!r}, not a mapping", hint="write {z_score: 3}")
    check_params(given or {}, what)
    for name, value in (given or {}).items():
        if not is_template(value):
            _number(value, f"{what}.{name}")
    return given or {}


def _number(value: Any, what: str) -> int | float:
    """A parameter as a number; a rendered template is a text."""
    try:
        return finite(float(value) if isinstance(value, str) else value)
    except (CannotTell, ValueError):
        raise SpecError(f"{what} is {value!r}, not a number", hint="write a number, or a template of one") from None


def _formula(text: Any, params: Mapping[str, Any], place: str) -> Formula:
    try:
        return Formula(text.strip() if isinstance(text, str) else text, tuple(sorted(params)))
    except SpecError as error:
        raise SpecError(f"{place}{error.message}", hint=error.hint) from None


def _distinct(experiments: list[Experiment]) -> tuple[Experiment, ...]:
    taken: dict[str, Check] = {}
    for check in (experiment.check for experiment in experiments):
        if check.name in taken:
            raise SpecError(
                f"two tests are named {check.name!r} ({taken[check.name].source}; {check.source})",
                hint="a test's history belongs to its name: give each its own",
            )
        taken[check.name] = check
    return tuple(experiments)
