"""Tests that people define without Python: what may be saved, what may not, and which version counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_dataquality.days import Day, render
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.saved_tests import SavedTests, TestChanged, Version, batches
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Table
from airflow_dataquality.saved import LONGEST_NAME, Mistake, read
from support import Database

DAY = Day("2013-02-08")
METRIC: dict[str, Any] = {
    "table": "raw.flights",
    "partition": {"ds": "{{ ds }}"},
    "check": "null_ratio",
    "column": "tailnum",
    "condition": {"leq_to": 0.05},
}
FORMULA: dict[str, Any] = {
    "conn_id": "warehouse",
    "control_sql": "SELECT 10 AS n",
    "experiment_sql": "SELECT count(*) AS n FROM raw.flights WHERE ds = '{{ ds }}';",
    "formula": "experiment.n >= control.n * share",
    "formula_params": {"share": 0.5},
}


def metric(name: str = "few NULLs", **changed: Any) -> Any:
    return read(name, "metric", {**METRIC, **changed})


def formula(name: str = "enough flights", **changed: Any) -> Any:
    return read(name, "formula", {**FORMULA, **changed})


def test_a_test_is_read_by_the_grammars_of_checks() -> None:
    test = metric(severity="warn", description="of the tail", owner="ann", tags=["b", "a", "a"])
    check = test.check_on(DAY)
    assert (check.name, str(check.metric), str(check.expect), check.severity) == (
        "few NULLs", "null_ratio(tailnum)", "<= 0.05", "warn"
    )  # fmt: skip
    assert (test.key(DAY), test.tags, test.owner) == ({"ds": "2013-02-08"}, ("a", "b"), "ann")
    asked = formula().experiment_on(DAY)
    assert asked.experiment_sql == "SELECT count(*) AS n FROM raw.flights WHERE ds = '2013-02-08'"
    assert asked.params == (("share", 0.5),)
    assert str(metric(condition=None, baseline={"zscore": {"threshold": 4}}).check.expect).startswith("zscore baseline")


def test_what_is_for_people_changes_nothing_in_what_was_previewed() -> None:
    assert metric().digest == metric("other", owner="ann", description="words", tags=["a"]).digest
    changed = ({"condition": {"leq_to": 0.06}}, {"severity": "warn"}, {"partition": {"day": "{{ ds }}"}})
    assert len({metric().digest, *(metric(**each).digest for each in changed)}) == 4
    assert formula().digest != formula(formula_params={"share": 0.6}).digest


@pytest.mark.parametrize(
    ("kind", "changed", "field"),
    [
        ("metric", {"table": "a.b.c"}, "table"),
        ("metric", {"table": None}, "table"),
        ("metric", {"table": "raw.flights; DROP TABLE x"}, "table"),
        ("metric", {"check": "nul_ratio"}, "check"),
        ("metric", {"check": "row_count_ratio", "column": None}, "check"),
        ("metric", {"column": None}, "column"),
        ("metric", {"condition": {}}, "condition"),
        ("metric", {"condition": {"leq_to": "many"}}, "condition"),
        ("metric", {"condition": {"equal_to": 1, "leq_to": 2}}, "condition"),
        ("metric", {"baseline": "auto"}, "baseline"),
        ("metric", {"condition": None, "baseline": {"zscore": {"threshold": -1}}}, "baseline"),
        ("metric", {"condition": None, "baseline": {"zscore": {"window": 10**6}}}, "baseline"),
        ("metric", {"severity": "fatal"}, "severity"),
        ("metric", {"partition": {"ds": "{{ ds"}}, "partition"),
        ("metric", {"partition_clause": "1 = 1; DROP TABLE x"}, "partition_clause"),
        ("metric", {"check": "check_statement", "column": None, "condition": None,
                    "statement": "true); COMMIT; DROP TABLE x; SELECT (true"}, "statement"),
        ("metric", {"check": "custom_sql", "column": None, "sql": "SELECT 1; DELETE FROM x"}, "sql"),
        ("metric", {"control_sql": "SELECT 1"}, "definition"),
        ("formula", {"control_sql": ""}, "control_sql"),
        ("formula", {"control_sql": "DELETE FROM x RETURNING 1 AS n"}, "control_sql"),
        ("formula", {"control_sql": "DO $$ BEGIN END $$"}, "control_sql"),
        ("formula", {"control_sql": "SELECT 1 AS n; COMMIT"}, "control_sql"),
        ("formula", {"experiment_sql": r"SELECT 'a\'' ; COMMIT; SELECT '"}, "experiment_sql"),
        ("formula", {"experiment_sql": "SELECT '" + "x" * 30_000 + "' AS n"}, "experiment_sql"),
        ("formula", {"formula": "experiment.n"}, "formula"),
        ("formula", {"formula": "experiment.n > z"}, "formula"),
        ("formula", {"formula_params": {"share": "{{ var.value.x }}"}}, "formula_params"),
        ("formula", {"formula_params": {"__class__": 1}}, "formula_params"),
        ("formula", {"conn_id": None}, "conn_id"),
        ("formula", {"partition": {"ds": "{{ ds }}"}}, "table"),
        ("formula", {"tags": "a"}, "tags"),
        ("formula", {"owner": "x" * 3_000}, "owner"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_refused_naming_the_field(kind: str, changed: Mapping[str, Any], field: str) -> None:
    given = {**(METRIC if kind == "metric" else FORMULA), **changed}
    with pytest.raises(Mistake) as refused:
        read("a test", kind, given)
    assert refused.value.field == field, refused.value


@pytest.mark.parametrize("name", ["", "  ", "x" * (LONGEST_NAME + 1), "two\nlines", "nul\x00", None, 3])
def test_a_name_is_one_line(name: Any) -> None:
    with pytest.raises(Mistake) as refused:
        metric(name)
    assert refused.value.field == "name"


@pytest.mark.parametrize(
    "text",
    [
        "experiment.n.__class__ > 1",
        "experiment.__class__ > 1",
        "().__class__.__mro__[1] > experiment.n",
        "experiment['n'] > 1",
        "cycler.__init__.__globals__.os > experiment.n",
        "open(experiment.n) > 1",
        "lambda: experiment.n",
        "experiment.n > 'a'.format(1)",
        "{{ experiment.n }} > 1",
        "(" * 500 + "experiment.n" + ")" * 500 + " > 1",
        "experiment.n > " + " + ".join(["1"] * 1000),
        "not " * 300 + "experiment.n > 1",
    ],
)
def test_a_formula_is_no_program(text: str) -> None:
    with pytest.raises(Mistake) as refused:
        formula(formula=text, formula_params=None)
    assert refused.value.field == "formula"


@pytest.mark.parametrize(
    "template",
    [
        "{{ var.value.secret }}",
        "{{ conn.warehouse.password }}",
        "{{ macros.os.environ }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ ds.__class__ }}",
        "{{ ds.format(1) }}",
        "{{ params.__class__ }}",
        "{{ params['__class__'] }}",
        "{{ params.share.__class__ }}",
        "{{ params }}",
        "{{ self }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ lipsum() }}",
        "{{ 'a' * 10**9 }}",
        "{{ range(10**9) | list }}",
        "{{ ds | replace('2', '3') }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% set x = 1 %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{{ ds if 1 else 2 }}",
        "{{ [].append(1) }}",
        "{{ " + "(" * 2000 + "ds" + ")" * 2000 + " }}",
    ],
)
def test_a_template_knows_days_and_numbers_alone(template: str) -> None:
    with pytest.raises(Mistake) as refused:
        formula(control_sql=f"SELECT '{template}' AS n")
    assert refused.value.field == "control_sql"
    with pytest.raises(SpecError):
        render(template, DAY, {"share": 1}, "sql")


@pytest.mark.parametrize("ds", ["2013-02-08'; DROP TABLE x", "", "x" * 50, "a--b", "2013\n"])
def test_a_day_is_plain_text(ds: str) -> None:
    with pytest.raises(SpecError):
        Day(ds)


def test_the_last_version_counts(database: Database) -> None:
    tests = SavedTests(Ledger(database.session))
    tests.ledger.ensure()
    first = tests.save(metric(owner="ann"), author="ann", note="for 'a' \"reason\"; --")
    assert (first.version, first.state) == (1, "active")
    second = tests.save(metric("fewer NULLs", condition={"leq_to": 0.01}), author="bob", test_id=first.test_id, after=1)
    tests.change(first.test_id, "paused", author="eve", after=second.version)
    (last,) = tests.newest()
    assert (last.version, last.name, last.state, last.author) == (3, "fewer NULLs", "paused", "eve")
    assert (last.table, str(last.read().check.expect)) == (Table("flights", "raw"), "<= 0.01")
    assert tests.newest(["active"]) == []
    history = tests.history(first.test_id)
    assert [(each.version, each.author, each.note) for each in history] == [
        (3, "eve", None), (2, "bob", None), (1, "ann", "for 'a' \"reason\"; --")
    ]  # fmt: skip
    assert all(each.saved_at for each in history)
    tests.change(first.test_id, "deleted")
    assert tests.newest() == []
    assert tests.get(first.test_id) is None
    assert len(tests.history(first.test_id)) == 4


def test_two_authors_do_not_overwrite_each_other(database: Database) -> None:
    tests = SavedTests(Ledger(database.session))
    tests.ledger.ensure()
    made = tests.save(formula(), author="ann")
    tests.save(formula(severity="warn"), author="bob", test_id=made.test_id, after=1)
    with pytest.raises(TestChanged, match="bob saved version 2"):
        tests.save(formula(formula="experiment.n > share"), author="ann", test_id=made.test_id, after=1)
    with pytest.raises(TestChanged):
        tests.change(made.test_id, "deleted", after=1)
    with pytest.raises(Mistake, match="another test is called"):
        tests.save(metric("enough flights"))
    tests.change(made.test_id, "deleted")
    with pytest.raises(TestChanged):
        tests.save(formula(), test_id=made.test_id)
    assert tests.save(metric("enough flights")).version == 1


def test_texts_come_back_as_they_were_written(database: Database) -> None:
    tests = SavedTests(Ledger(database.session))
    tests.ledger.ensure()
    words = "É'\"\\ <b>{{ x }}</b> 表 %s %(a)s $1 \\n"
    made = tests.save(formula(words, control_sql="SELECT 'É\"\\ %s 表' AS t, 1 AS n", description=words), note=words)
    (found,) = tests.newest()
    assert (found.test_id, found.name, found.note) == (made.test_id, words, words)
    assert found.definition == json.loads(json.dumps(formula(
        words, control_sql="SELECT 'É\"\\ %s 表' AS t, 1 AS n", description=words).definition))  # fmt: skip


def versions(count: int, tables: int) -> list[Version]:
    return [
        Version(f"id{n}", 1, f"test {n}", "metric", Table(f"t{n % tables:04}", "raw"), {}, "active")
        for n in range(count)
    ]


@pytest.mark.parametrize(("count", "tables", "size", "most"), [(1000, 20, 500, 500), (5000, 3, 100, 500),
                                                              (5000, 5000, 500, 500), (7, 7, 1, 3)])  # fmt: skip
def test_every_test_is_in_one_batch(count: int, tables: int, size: int, most: int) -> None:
    planned = batches(versions(count, tables), size=size, most=most)
    ids = [test_id for batch in planned for test_id in batch["tests"]]
    assert sorted(ids) == sorted(f"id{n}" for n in range(count))
    assert len(planned) <= most
    if tables == 20:
        assert [(batch["label"], len(batch["tests"])) for batch in planned[:2]] == [
            ("raw.t0000", 50),
            ("raw.t0001", 50),
        ]
