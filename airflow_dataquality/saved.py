"""Tests that people define without Python: what each asks and expects, as JSON that the grammars of checks read.

A ``formula`` test compares two queries, as :class:`~airflow_dataquality.experiments.Experiment` does; a ``metric`` test
is a rule on a table. Nothing that these grammars refuse can be saved.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.days import Day, check_template, render
from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.experiments import Experiment, experiment
from airflow_dataquality.grammar import only, params_of
from airflow_dataquality.model import Check, Table
from airflow_dataquality.spec import rule_of
from airflow_dataquality.vocabulary import KINDS as METRICS

FORMULA, METRIC = "formula", "metric"
KINDS = (FORMULA, METRIC)
STATES = ("active", "paused", "deleted")

ABOUT = ("description", "owner", "tags")
"""What is for people, and changes nothing in what a test says."""
COMMON = (*ABOUT, "table", "partition", "severity", "dimension")
OF_FORMULA = ("conn_id", "control_sql", "experiment_sql", "formula", "formula_params")
OF_METRIC = ("check", "column", "condition", "baseline", "partition_clause")
CLAUSES = ("partition_clause", "sql", "statement")
"""SQL that a metric test pastes into its query. All of it is a template."""

LONGEST_NAME = 200
LONGEST_TEXT = 2_000
LONGEST_SQL = 20_000
LONGEST = 60_000
"""Bytes of a definition: a text of the ledger holds 65,535 on Redshift."""
WIDEST = 1_000
"""Periods that a baseline may look back."""
NOWHERE = Table("saved_tests")
"""Under which results are recorded of a test that names no table."""


class Mistake(SpecError):
    """What is wrong with the definition of a test.

    :param field: in which part of it
    """

    def __init__(self, field: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.field = field


@dataclass(frozen=True)
class SavedTest:
    """A test, read.

    :param definition: what is saved, without what is empty
    :param table: what it is about
    :param partition: the rows that it is about, as column and template
    :param check: its name, metric, expectation and severity; of a metric test with templates in it
    :param experiment: the queries of a formula test, with templates in them
    """

    name: str
    kind: str
    definition: Mapping[str, Any] = field(hash=False)
    table: Table
    check: Check
    partition: tuple[tuple[str, str], ...] = ()
    experiment: Experiment | None = None

    @property
    def conn_id(self) -> str | None:
        """Where the queries of a formula test run."""
        return self.definition.get("conn_id")

    @property
    def params(self) -> Mapping[str, Any]:
        """The numbers that templates and the formula name."""
        found: Mapping[str, Any] = self.definition.get("formula_params", {})
        return found

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self.definition.get("tags", ()))

    @property
    def owner(self) -> str | None:
        return self.definition.get("owner")

    @property
    def digest(self) -> str:
        """What tells it from tests that say something else; the same for another name, owner or description."""
        told = {key: value for key, value in self.definition.items() if key not in ABOUT}
        return hashlib.sha256(json.dumps([self.kind, told], sort_keys=True).encode()).hexdigest()

    def key(self, day: Day) -> dict[str, Any]:
        """The partition of a day, as column and value."""
        return {column: render(value, day, self.params, f"partition.{column}") for column, value in self.partition}

    def experiment_on(self, day: Day) -> Experiment:
        """The queries of a day.

        :raises SpecError: if it has none
        """
        if self.experiment is None:
            raise SpecError(f"{self.name} has no queries", hint="it is a metric test")
        return self.experiment.rendered(
            lambda value, place: render(value, day, self.params, place) if isinstance(value, str) else value
        )

    def check_on(self, day: Day) -> Check:
        """The check of a day."""
        metric = self.check.metric
        where = None if metric.where is None else render(metric.where, day, self.params, "partition_clause")
        params = {n: render(v, day, self.params, n) if n in CLAUSES else v for n, v in metric.params}
        return replace(self.check, metric=replace(metric, where=where, params=tuple(sorted(params.items()))))


def read(name: Any, kind: Any, definition: Mapping[str, Any]) -> SavedTest:
    """Read a test, refusing what can never work.

    :raises Mistake: naming the field
    """
    name = _named(name)
    if kind not in KINDS:
        raise Mistake("kind", f"kind is {kind!r}", hint=did_you_mean(str(kind), KINDS))
    given = {key: value for key, value in definition.items() if value not in (None, "", [], {})}
    _about(given)
    _sized(given)
    try:
        return _formula(name, given) if kind == FORMULA else _metric(name, given)
    except (ArithmeticError, RecursionError) as error:
        raise Mistake("definition", f"it cannot be computed: {error}", hint="write smaller numbers") from None


def _named(name: Any) -> str:
    stripped = name.strip() if isinstance(name, str) else ""
    if not stripped or len(stripped) > LONGEST_NAME or not stripped.isprintable():
        raise Mistake("name", f"name is {str(name)[:80]!r}", hint=f"write one line, of up to {LONGEST_NAME} characters")
    return stripped


def _about(given: dict[str, Any]) -> None:
    for key in ("description", "owner"):
        value = given.get(key, "")
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise Mistake(key, f"{key} is no text of up to {LONGEST_TEXT} characters", hint="write less of it")
    tags = given.get("tags", [])
    if not isinstance(tags, Sequence) or isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise Mistake("tags", f"tags is {tags!r}, not a list of texts", hint='write ["finance", "daily"]')
    if tags:
        given["tags"] = sorted({tag.strip() for tag in tags if tag.strip()})


def _sized(given: Mapping[str, Any]) -> None:
    for key in ("control_sql", "experiment_sql", *CLAUSES):
        if len(str(given.get(key, ""))) > LONGEST_SQL:
            raise Mistake(key, f"{key} is longer than {LONGEST_SQL:,} characters", hint="make a view of it")
    try:
        text = json.dumps(given, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise Mistake("definition", f"the definition is no JSON: {error}", hint="write texts and numbers") from None
    if "\\u0000" in text:
        raise Mistake("definition", "a text holds a NUL character", hint="no SQL database stores it")
    if len(text.encode("utf-8", "replace")) > LONGEST:
        raise Mistake("definition", f"the definition is longer than {LONGEST:,} bytes", hint="make views of the SQL")


def _formula(name: str, given: dict[str, Any]) -> SavedTest:
    _only(given, (*COMMON, *OF_FORMULA))
    if not isinstance(given.get("conn_id"), str):
        raise Mistake("conn_id", "conn_id is missing", hint="name the connection that the queries run on")
    asked = {key: value for key, value in given.items() if key in (*OF_FORMULA, "severity", "description", "dimension")}
    asked.pop("conn_id")
    try:
        made = experiment({**asked, "name": name}, "", is_template=lambda _: False)
    except SpecError as error:
        raise _mistake(error, (*OF_FORMULA, *COMMON)) from None
    for key in ("control_sql", "experiment_sql"):
        given[key] = select_of(key, given[key], dict(made.params))
    made = replace(made, control_sql=given["control_sql"], experiment_sql=given["experiment_sql"])
    table = _table(given) if "table" in given else NOWHERE
    return SavedTest(name, FORMULA, given, table, made.check, _partition(given), made)


def _metric(name: str, given: dict[str, Any]) -> SavedTest:
    kind = METRICS.get(str(given.get("check")))
    _only(given, (*COMMON, *OF_METRIC, *(params_of(kind) if kind else ())))
    table = _table(given)
    rule = {key: value for key, value in given.items() if key not in ("owner", "tags", "table", "partition")}
    if "column" in rule and "columns" in rule and kind and "columns" not in params_of(kind):
        rule.pop("columns")
    try:
        check = rule_of({**rule, "name": name}, "test")
    except SpecError as error:
        raise _mistake(error, _fields(kind)) from None
    if kind and kind.compares:
        raise Mistake("check", f"{given['check']} compares a load with production", hint="test a number of the table")
    if isinstance(check.expect, Baseline) and check.expect.window > WIDEST:
        raise Mistake("baseline", f"window is {check.expect.window}", hint=f"up to {WIDEST} periods are looked at")
    for key in CLAUSES:
        if key in given:
            _clause(key, given[key])
    return SavedTest(name, METRIC, given, table, replace(check, source=None), _partition(given))


def _only(given: Mapping[str, Any], known: Sequence[str]) -> None:
    try:
        only(given, known, "test", "key")
    except SpecError as error:
        raise Mistake("definition", error.message, hint=error.hint) from None


def _table(given: dict[str, Any]) -> Table:
    if not isinstance(given.get("table"), str):
        raise Mistake("table", "table is missing", hint="write schema.table")
    try:
        table = Table.parse(given["table"])
    except SpecError as error:
        raise Mistake("table", error.message, hint=error.hint) from None
    given["table"] = str(table)
    return table


def _partition(given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = given.get("partition", {})
    if not isinstance(found, Mapping) or not all(
        isinstance(part, str) and part for each in found.items() for part in each
    ):
        raise Mistake("partition", f"partition is {found!r}", hint='write a column and a value: {"ds": "{{ ds }}"}')
    if found and "table" not in given:
        raise Mistake("table", "a partition, and no table that it is of", hint="name the table")
    for column, value in found.items():
        _checked("partition", f"partition.{column}", value)
    return tuple(found.items())


def select_of(key: str, sql: str, params: Mapping[str, Any]) -> str:
    """The one SELECT that somebody wrote, without a semicolon at its end.

    :param key: the field that it is from
    :raises Mistake: if it is none, or its template names more than days and numbers
    """
    sql = sql.strip().removesuffix(";").rstrip()
    _clause(key, sql, params)
    try:
        return single_select(sql)
    except SpecError as error:
        raise Mistake(key, f"{key}: {error.message}", hint="write one SELECT, which returns one row") from None


def _clause(key: str, sql: str, params: Mapping[str, Any] | None = None) -> None:
    # Also inside quotes: how a database reads a backslash before one depends on its settings, and a second statement
    # could end the transaction that only reads.
    if ";" in sql:
        raise Mistake(key, f"{key}: a semicolon", hint="write one statement; chr(59) is a semicolon in a text")
    _checked(key, key, sql, params or {})


def _checked(key: str, place: str, text: str, params: Mapping[str, Any] | None = None) -> None:
    try:
        check_template(text, place, params or {})
    except SpecError as error:
        raise Mistake(key, error.message, hint=error.hint) from None


_WORDS = re.compile(r"[a-z_]+")
_ELSEWHERE = {
    **dict.fromkeys(
        ("condition", "tolerance", "equal_to", "geq_to", "leq_to", "greater_than", "less_than"), "condition"
    ),
    **dict.fromkeys(("baseline", "threshold", "window", "min_history", "direction", "period", "scale"), "baseline"),
    **dict.fromkeys(("exclude", "holidays", "sigma"), "baseline"),
    "columns": "column",
}


def _fields(kind: Any) -> tuple[str, ...]:
    return ("severity", "dimension", "partition_clause", *(params_of(kind) if kind else ()), *_ELSEWHERE, "column",
            "check")  # fmt: skip


def _mistake(error: SpecError, fields: Sequence[str]) -> Mistake:
    """The grammar's words, and the field that they are about: the first that they name."""
    message = error.message.removeprefix("test: ").removeprefix(": ")
    words = _WORDS.findall(message.lower())
    named = next((word for word in words if word in fields), "definition")
    return Mistake(_ELSEWHERE.get(named, named), message, hint=error.hint)
