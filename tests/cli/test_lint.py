"""``airflow dq lint``: mistakes and suspicions, with their places."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_dataquality import suspicions
from airflow_dataquality.lint import Finding, lint
from commands import Done, done

ROOT = Path(__file__).parent.parent.parent


def linted(tmp_path: Path, text: str) -> list[Finding]:
    file = tmp_path / "rules.yaml"
    file.write_text(text, encoding="utf-8")
    return lint(str(file))


def of_rule(tmp_path: Path, rule: dict[str, Any]) -> list[tuple[str, str]]:
    return [(found.severity, found.code) for found in linted(tmp_path, yaml.safe_dump({"rules": [rule]}))]


@pytest.mark.parametrize("file", sorted((ROOT / "example_dags" / "checks").glob("*.yaml")), ids=lambda file: file.name)
def test_the_examples_are_clean(file: Path) -> None:
    if "rules" in yaml.safe_load(file.read_text()):
        assert lint(str(file)) == []


def test_the_examples_of_the_check_reference_are_clean(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    rules = [{"check": word, **rule} for word, rule in hooks.EXAMPLES.items()]
    assert linted(tmp_path, yaml.safe_dump({"rules": rules})) == []


MISTAKES = [
    ("rules:\n  - chekc: row_count\n", 2, 5, "rules[0]", "unknown check None"),
    ("rules:\n  - check: nul_count\n    column: a\n", 2, 5, "rules[0].check", "unknown check 'nul_count'"),
    ("rules:\n  - check: null_count\n", 2, 5, "rules[0]", "null_count takes one column, not 0"),
    ("rules:\n  - {check: null_count, column: a, condition: {les: 1}}\n", 2, 48, "rules[0].condition.les", "'les'"),
    ("rules:\n  - check: min\n    column: a\n    severty: warn\n    condition: {geq_to: 1}\n", 4, 5, "rules[0].severty",
     "unknown key of a min rule 'severty'"),
    ("rules:\n  - {check: min, column: a, severity: bad, condition: {geq_to: 1}}\n", 2, 29, "rules[0].severity",
     "severity is 'bad'"),
    ("rules:\n  - {check: min, column: a, dimension: x, condition: {geq_to: 1}}\n", 2, 29, "rules[0].dimension",
     "unknown dimension 'x'"),
    ("rules:\n  - {check: row_count, condition: {geq_to: 5, leq_to: 1}}\n", 2, 24, "rules[0].condition",
     "no value can be"),
    ("rules:\n  - {check: row_count, baseline: {zcore: {}}}\n", 2, 24, "rules[0].baseline", "baseline is 'zcore'"),
    ("rules:\n  - hello\n", 2, 5, "rules[0]", "'hello' is not a rule"),
    ("rules: 5\n", 1, 1, "rules", "`rules` is not a list"),
    ("rule: []\n", 1, 1, "", "no `rules` at the top"),
    ("", 1, 1, "", "no `rules` at the top"),
    ("- 1\n", 1, 1, "", "no `rules` at the top"),
    ("nmae: x\nrules: [{check: row_count, condition: {greater_than: 0}}]\n", 1, 1, "nmae", "unknown rule set key"),
    ("rules:\n  - {check: row_count\n", 3, 1, "", "not valid YAML"),
    ("rules:\n  - check: min\n    check: max\n", 3, 5, "", "found the key 'check' twice"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "column", "path", "message"), MISTAKES)
def test_mistakes_and_their_places(tmp_path: Path, text: str, line: int, column: int, path: str, message: str) -> None:
    found, *others = linted(tmp_path, text)
    assert not others
    assert (found.line, found.column, found.path, found.severity) == (line, column, path, "error")
    assert message in found.message
    assert found.hint


def test_two_rules_of_a_name(tmp_path: Path) -> None:
    text = "rules:\n" + 2 * "  - {name: n, check: row_count, condition: {greater_than: 0}}\n"
    mistake, suspicion = linted(tmp_path, text)
    codes = {mistake.code: mistake, suspicion.code: suspicion}
    assert set(codes) == {"duplicate-name", "duplicate-rule"}
    assert "the other is in line 2" in codes["duplicate-name"].message
    assert (codes["duplicate-name"].line, codes["duplicate-name"].column) == (3, 6)


SUSPICIOUS = [
    ("wants-violations", {"check": "null_count", "column": "a", "condition": {"greater_than": 0}}),
    ("wants-violations", {"check": "values_outside", "column": "a", "values": [1], "condition": {"equal_to": 3}}),
    ("never-fails", {"check": "null_count", "column": "a", "condition": {"geq_to": 0}}),
    ("never-fails", {"check": "row_count", "condition": {"greater_than": -1}}),
    ("never-fails", {"check": "null_ratio", "column": "a", "condition": {"geq_to": 0, "leq_to": 1}}),
    ("never-fails", {"check": "stddev", "column": "a", "condition": {"geq_to": 0}}),
    ("never-passes", {"check": "row_count", "condition": {"less_than": 0}}),
    ("never-passes", {"check": "distinct_count", "column": "a", "condition": {"greater_than": 1, "less_than": 2}}),
    ("never-passes", {"check": "null_ratio", "column": "a", "condition": {"less_than": 0}}),
    ("percent", {"check": "null_ratio", "column": "a", "condition": {"leq_to": 5}}),
    ("tolerance-of-zero", {"check": "sum", "column": "a", "condition": {"equal_to": 0, "tolerance": 5}}),
    ("exact-float", {"check": "mean", "column": "a", "condition": {"equal_to": 5}}),
    ("boolean", {"check": "values_outside", "column": "a", "values": ["SE", False]}),
    ("pattern", {"check": "pattern_violations", "column": "a", "pattern": "([a-z"}),
    ("no-table", {"check": "custom_sql", "sql": "SELECT 1", "condition": {"equal_to": 1}}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "rule"), SUSPICIOUS)
def test_suspicions(tmp_path: Path, code: str, rule: dict[str, Any]) -> None:
    assert of_rule(tmp_path, rule) == [("warning", code)]


FINE: list[dict[str, Any]] = [
    {"check": "null_count", "column": "a"},
    {"check": "null_count", "column": "a", "condition": {"less_than": 5}},
    {"check": "row_count", "condition": {"equal_to": 0}},
    {"check": "row_count", "condition": {"greater_than": 0.5}},
    {"check": "distinct_count", "column": "a", "condition": {"greater_than": 1, "less_than": 3}},
    {"check": "null_ratio", "column": "a", "condition": {"leq_to": 1, "greater_than": 0}},
    {"check": "min", "column": "a", "condition": {"geq_to": "2013-01-01"}},
    {"check": "mean", "column": "a", "condition": {"equal_to": 5, "tolerance": 1}},
    {"check": "values_outside", "column": "a", "values": [True, False]},
    {"check": "pattern_violations", "column": "a", "pattern": "^[[:alpha:]]+$"},
    {"check": "row_count", "baseline": "auto"},
    {"check": "check_statement", "statement": "a < b"},
    {"check": "freshness", "column": "a", "condition": {"leq_to": "26h"}},
]


@pytest.mark.parametrize("rule", FINE, ids=lambda rule: rule["check"])
def test_what_is_not_suspicious(tmp_path: Path, rule: dict[str, Any]) -> None:
    assert of_rule(tmp_path, rule) == []


def test_rules_beside_each_other(tmp_path: Path) -> None:
    found = linted(
        tmp_path,
        "rules:\n"
        "  - {check: row_count, condition: {leq_to: 5}}\n"
        "  - {check: row_count, condition: {leq_to: 9}, severity: warn}\n"
        "  - {name: n, check: row_count, condition: {leq_to: 5}}\n"
        "  - {check: row_count, condition: {greater_than: 5}}\n"
        "  - {check: row_count, condition: {leq_to: 5}, partition_clause: a > 1}\n",
    )
    assert [(one.line, one.code) for one in found] == [(4, "duplicate-rule"), (5, "contradiction")]
    assert "rules[0]" in found[0].message


def test_no_rules(tmp_path: Path) -> None:
    assert [found.code for found in linted(tmp_path, "rules: []")] == ["no-rules"]


def test_every_code_is_tested_and_documented() -> None:
    source = Path(suspicions.__file__).read_text() + (ROOT / "airflow_dataquality" / "lint.py").read_text()
    codes = set(re.findall(r'Suspicion\(\s*"([\w-]+)"', source)) | {
        "yaml",
        "rule",
        "rule-set",
        "no-rules",
        "duplicate-name",
    }
    tested = Path(__file__).read_text()
    page = (ROOT / "docs" / "pages" / "guides" / "command-line.md").read_text()
    assert not [code for code in codes if f'"{code}"' not in tested or f"`{code}`" not in page]


def ended(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, *arguments: str) -> Done:
    file = tmp_path / "rules.yaml"
    file.write_text(text)
    return done(capsys, "lint", str(file), *arguments)


CLEAN = "rules: [{check: row_count, condition: {greater_than: 0}}]"
WARNS = "rules: [{check: row_count, condition: {geq_to: 0}}]"
WRONG = "rules: [{check: row_cuont}]"


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [(CLEAN, [], 0), (WARNS, [], 0), (WARNS, ["--strict"], 1), (WRONG, [], 1), ("{", [], 1), (CLEAN, ["--strict"], 0)],
)
def test_exit_codes(
    tmp_path: Path, text: str, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(capsys, tmp_path, text, *arguments).code == code


def test_what_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(WARNS)
    Path("clean.yaml").write_text(CLEAN)
    assert done(capsys, "lint", "clean.yaml", "rules.yaml").out == (
        "rules.yaml:1:28: warning: rules[0].condition: row_count is always 0 or more: >= 0 never fails [never-fails]\n"
        "    Hint: tighten the condition\n"
        "2 files: 0 errors, 1 warning\n"
    )


def test_json_is_an_interface(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ended(capsys, tmp_path, WARNS, "--json").json
    assert found == {
        "files": 1,
        "errors": 0,
        "warnings": 1,
        "findings": [
            {
                "file": str(tmp_path / "rules.yaml"), "line": 1, "column": 28, "path": "rules[0].condition",
                "rule": None, "code": "never-fails", "severity": "warning",
                "message": "row_count is always 0 or more: >= 0 never fails", "hint": "tighten the condition",
            }
        ],
    }  # fmt: skip


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = done(capsys, "lint", str(tmp_path / "none.yaml"))
    other = done(capsys, "lint", str(tmp_path))
    assert (missing.code, "does not exist" in missing.err) == (2, True)
    assert (other.code, "its name should end in .yaml, .yml, .json" in other.err) == (2, True)
