"""``airflow dq check``: verdicts, exit codes, what is recorded, and the mistakes that people make."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.hooks.session import DbApiSession
from commands import done
from support import Database, Warehouse, on

RULES: dict[str, dict[str, Any]] = {
    "passes": {"check": "row_count", "condition": {"equal_to": 4}},
    "warns": {"check": "null_count", "column": "amount", "severity": "warn"},
    "fails": {"check": "max", "column": "amount", "condition": {"leq_to": 2}},
    "skips": {"check": "null_count", "column": "amount", "partition_clause": "ds > '2030-01-01'"},
    "errs": {"check": "custom_sql", "sql": "SELECT no_such_column FROM {table}", "condition": {"equal_to": 0}},
    "dated": {"check": "row_count", "partition_clause": "ds = '{{ ds }}'", "condition": {"equal_to": 2}},
    "misnamed": {"check": "null_count", "column": "amuont"},
}
ROWS = "('2024-01-01', 1), ('2024-01-01', NULL), ('2024-01-02', 3), ('2024-01-02', 2)"


@pytest.fixture
def orders(database: Database) -> Database:
    database.session.execute("CREATE TABLE orders (ds DATE, amount INTEGER)")
    database.session.execute(f"INSERT INTO orders VALUES {ROWS}")
    return database


@pytest.fixture
def rules(tmp_path: Path) -> Any:
    """Write a rule set of these rules, and return its path."""

    def write(*names: str) -> str:
        file = tmp_path / "rules.yaml"
        file.write_text(json.dumps({"rules": [{"name": name, **RULES[name]} for name in names]}))
        return str(file)

    return write


def recorded(session: DbApiSession) -> bool:
    dialect = session.dialect
    return bool(session.columns(dialect.ledger_table("dataquality", "check_result")))


@pytest.mark.parametrize(
    ("names", "arguments", "code"),
    [
        (["passes"], [], 0),
        (["passes", "warns"], [], 0),
        (["passes", "skips"], [], 0),
        (["passes", "warns"], ["--fail-on", "warn"], 1),
        (["passes", "fails"], [], 1),
        (["passes", "fails"], ["--fail-on", "never"], 0),
        (["passes", "errs"], ["--fail-on", "never"], 1),
    ],
)
def test_exit_codes(
    orders: Database, rules: Any, names: list[str], arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = done(capsys, "check", "orders", "--conn-id", orders.conn_id, "--rules", rules(*names), *arguments)
    assert ended.code == code
    assert not recorded(orders.session)


@on("sqlite")
def test_what_is_printed(orders: Database, rules: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = rules("passes", "warns", "fails", "skips")
    ended = done(capsys, "check", "orders", "--conn-id", "lite", "--rules", file)
    assert ended.out == (
        "status  check   value  expected  severity\n"
        "------  ------  -----  --------  --------\n"
        "pass    passes      4  = 4       error\n"
        "warn    warns       1  = 0       warn\n"
        "fail    fails       3  <= 2      error\n"
        "skip    skips          = 0       error\n"
        "\n"
        "WARN warns: null_count(amount) is 1, expected = 0\n"
        "FAIL fails: max(amount) is 3, expected <= 2\n"
        "SKIP skips: no rows to check\n"
        "orders, 4 rows: 4 checks: 1 passed, 1 warned, 1 failed, 1 skipped. Not recorded: --record does\n"
    )


def test_json_is_an_interface(orders: Database, rules: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = done(
        capsys, "check", "orders", "--conn-id", orders.conn_id, "--rules", rules("dated", "fails"), "--partition",
        "ds=2024-01-02", "--json",
    ).json  # fmt: skip
    results = found.pop("results")
    found.pop("run_uid")
    assert found.pop("table").endswith("orders")
    assert found == {
        "partition": {"ds": "2024-01-02"}, "rows": 2, "score": 0.5, "passed": 1, "warned": 0, "failed": 1, "errored": 0,
        "skipped": 0, "failed_rules": ["fails"], "warned_rules": [], "recorded": False,
    }  # fmt: skip
    assert results[1].pop("source").endswith("rules.yaml: rules[1] (fails)")
    assert results[1] == {
        "check": "fails", "metric": "max(amount)", "columns": ["amount"], "where": None, "value": 3, "expected": "<= 2",
        "status": "fail", "severity": "error", "dimension": "validity", "reason": "max(amount) is 3, expected <= 2",
    }  # fmt: skip
    assert results[0]["where"] == "ds = '2024-01-02'"


def test_recorded_on_demand(orders: Database, rules: Any, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("check", "orders", "--conn-id", orders.conn_id, "--rules", rules("passes"))
    assert done(capsys, *given, "--record", "--json").json["recorded"]
    assert done(capsys, *given).code == 0
    ledger = orders.session.dialect.ledger_table("dataquality", "check_result")
    assert orders.session.query(orders.session.dialect.count_rows(ledger))[0][0] == 1


@on("sqlite")
def test_a_baseline_reads_the_ledger_and_leaves_it_alone(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from history import day, fill

    fill(database.session)
    file = tmp_path / "usual.yaml"
    file.write_text("rules: [{check: row_count, baseline: auto}]")
    given = ("check", "orders", "--conn-id", "lite", "--rules", str(file), "--partition", f"ds={day(-1)}", "--json")
    alone = done(capsys, *given).json["results"][0]
    assert alone["status"] == "pass"
    assert not recorded(database.session)
    done(capsys, *given, "--record")
    count = database.session.dialect.count_rows(database.session.dialect.ledger_table("dataquality", "metric"))
    known = database.session.query(count)
    assert done(capsys, *given).json["results"][0]["expected"] == alone["expected"]
    assert database.session.query(count) == known


@on("sqlite")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("orderz", "passes"), "Error: there is no table orderz\nHint: check the schema"),
        (("orders", "misnamed"), "rules[0] (misnamed): no column 'amuont'\nHint: did you mean 'amount'?"),
        (("orders", "passes", "--partition", "dss=1"), "'dss' is not in orders\nHint: did you mean 'ds'?"),
        (("orders", "dated"), "a template cannot be rendered: 'ds' is undefined\nHint: give its variables: --param"),
        (("orders", "passes", "--conn-id", "nope"), "Error: connection 'nope' cannot be used"),
        (("orders;", "passes"), "Error: 'orders;' is not a table name"),
        (("orders", "passes", "--where", "ds ="), "cannot be read: "),
    ],
)
def test_mistakes(
    orders: Database, rules: Any, arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table, name, *rest = arguments
    where = [] if "--conn-id" in rest else ["--conn-id", "lite"]
    ended = done(capsys, "check", table, "--rules", rules(name), *where, *rest)
    assert ended.code == 2
    assert complaint in ended.err
    assert not ended.out
    as_json = done(capsys, "check", table, "--rules", rules(name), *where, *rest, "--json")
    assert as_json.code == 2
    assert set(as_json.json) == {"error", "hint"}


@on("sqlite")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rules:\n  - {check: row_count", "is not valid YAML"),
        ("rules:\n  - {check: row_cuont}", "rules[0]: unknown check 'row_cuont'\nHint: did you mean 'row_count'?"),
        ("checks: []", "no `rules` at the top"),
        ("rules: [{check: row_count}]", "no condition for row_count"),
        ("rules: [{check: lost_keys, column: ds}]", "lost_keys compares a load with production"),
    ],
)
def test_bad_rules(
    orders: Database, tmp_path: Path, text: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    ended = done(capsys, "check", "orders", "--conn-id", "lite", "--rules", str(file))
    assert ended.code == 2
    assert complaint in ended.err


@on("sqlite")
def test_no_file(orders: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = done(capsys, "check", "orders", "--conn-id", "lite", "--rules", str(tmp_path / "none.yaml"))
    assert (ended.code, "does not exist\nHint: looked at" in ended.err) == (2, True)


def test_a_server_that_is_not_there(
    warehouse: Warehouse, rules: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_GONE", "postgresql://nobody:nothing@127.0.0.1:1/none")
    ended = done(capsys, "check", "orders", "--conn-id", "gone", "--rules", rules("passes"))
    assert ended.code == 2
    assert "refused" in ended.err
    assert "Traceback" not in ended.err
    monkeypatch.setenv("AIRFLOW_CONN_FILES", json.dumps({"conn_type": "fs"}))
    ended = done(capsys, "check", "orders", "--conn-id", "files", "--rules", rules("passes"))
    assert ended.code == 2
    assert "connection 'files' cannot be used" in ended.err
    assert "AIRFLOW_CONN_WAREHOUSE" in os.environ
