"""``airflow dq plan`` and ``publish``: what is shown is what is sent, and how a load ends."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from commands import Done, done
from publishing import left_beside, rows
from redshift_double import RedshiftWarehouse
from support import Warehouse

SELECT = "SELECT CAST('{{ ds }}' AS date) AS ds, i AS id, 'x' || i AS name FROM generate_series(1, 3) AS i"
TABLE = (
    "CREATE TABLE w.t (ds date, id bigint PRIMARY KEY, name text NOT NULL);"
    "CREATE INDEX ON w.t (name); COMMENT ON COLUMN w.t.name IS 'who'; GRANT SELECT ON w.t TO PUBLIC"
)
PARENT = "CREATE TABLE w.t (ds date, id int, name text) PARTITION BY LIST (ds); CREATE INDEX ON w.t (id)"
DAY = ("--partition", "ds=2013-02-01")
WHOLE = ("--param", "ds=2013-02-01")
MODES: dict[str, tuple[str, tuple[str, ...]]] = {
    "create": ("", WHOLE),
    "swap": (TABLE, WHOLE),
    "swap_keep_previous": (TABLE, (*WHOLE, "--keep-previous", "1")),
    "overwrite": (TABLE + "; CREATE VIEW w.v AS SELECT id FROM w.t", WHOLE),
    "overwrite_partition": (TABLE, DAY),
    "attach": (PARENT + "; CREATE TABLE w.t_old PARTITION OF w.t FOR VALUES IN ('2013-02-01')", DAY),
    "attach_new": (PARENT, DAY),
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A SQL file, and a rule set that it passes."""
    sql, rules = tmp_path / "load.sql", tmp_path / "rules.yaml"
    sql.write_text(SELECT)
    rules.write_text("rules: [{check: null_count, column: name}, {check: unique_violations, column: id}]")
    return str(sql), str(rules)


@pytest.fixture
def connection(warehouse: Warehouse) -> Any:
    with warehouse.connect() as connected:
        connected.execute("CREATE SCHEMA w")
        yield connected


def load(
    capsys: pytest.CaptureFixture[str],
    command: str,
    files: tuple[str, str],
    *arguments: str,
    conn_id: str = "warehouse",
) -> Done:
    sql, rules = files
    connect = ("--conn-id", conn_id) if conn_id else ()
    return done(capsys, command, "w.t", "--sql", sql, "--rules", rules, *connect, *arguments)


def settled(sql: str) -> str:
    """Without what is different in every run."""
    return re.sub(r"_?[0-9a-f]{12}", "#", sql)


# -- plan


@pytest.mark.parametrize("mode", MODES)
def test_what_is_planned_is_what_is_sent(
    mode: str,
    connection: psycopg.Connection[Any],
    files: tuple[str, str],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup, arguments = MODES[mode]
    connection.execute(setup)  # type: ignore[call-overload]
    tables = left_beside(connection)
    plan = load(capsys, "plan", files, *arguments, "--json").json
    assert plan["exchange"]["mode"] == mode.partition("_")[0]
    assert left_beside(connection) == tables
    with caplog.at_level(logging.DEBUG, logger="airflow_dataquality.hooks.session"):
        published = load(capsys, "publish", files, *arguments, "--json").json
    assert published["exchange"] == plan["exchange"]["mode"]
    sent = settled("\n".join(r.getMessage() for r in caplog.records if r.name == "airflow_dataquality.hooks.session"))
    planned = [statement for step in plan["steps"] for statement in step["sql"]]
    assert len(planned) >= 4
    assert [statement for statement in planned if settled(statement) not in sent] == []


def test_a_plan_says_why(
    connection: psycopg.Connection[Any], files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    connection.execute(TABLE + "; CREATE VIEW w.v AS SELECT id FROM w.t")  # type: ignore[call-overload]
    out = load(capsys, "plan", files, *WHOLE).out
    assert out.startswith("-- w.t, on postgres\n-- exchange: overwrite\n--   no swap: ")
    assert "\n-- stage: store the rows where nobody reads them\nCREATE TABLE " in out
    assert "\n-- exchange: replace the rows in place and record it, in one transaction\nDELETE FROM " in out
    assert rows(connection, "w.t") == []


def test_a_plan_is_sql(
    connection: psycopg.Connection[Any], files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    connection.execute(TABLE)  # type: ignore[call-overload]
    text = load(capsys, "plan", files, *DAY).out
    with connection.transaction():
        connection.execute(text)  # type: ignore[call-overload]
        assert len(rows(connection, "w.t")) == 3
        raise psycopg.Rollback


def test_a_plan_connects_to_nothing(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", "postgresql://nobody:nothing@127.0.0.1:1/none")
    ended = load(capsys, "plan", files, *DAY, conn_id="")
    assert ended.code == 0
    assert SELECT.replace("{{ ds }}", "2013-02-01") in ended.out
    assert 'COUNT("id") - COUNT(DISTINCT "id"' in ended.out
    assert "exchange=auto; which way depends on what hangs on w.t: --conn-id looks at it" in ended.out
    assert load(capsys, "plan", files, *DAY, "--json", conn_id="").json["exchange"] is None
    checks = done(capsys, "plan", "orders", "--rules", files[1], "--dialect", "sqlite", *DAY)
    assert 'FROM "orders" WHERE "ds" = \'2013-02-01\';' in checks.out


def test_a_plan_of_checks(
    connection: psycopg.Connection[Any], files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    connection.execute(TABLE)  # type: ignore[call-overload]
    ended = done(capsys, "plan", "w.t", "--rules", files[1], "--conn-id", "warehouse", *DAY, "--json")
    (step,) = ended.json["steps"]
    assert step["step"] == "check"
    assert [len(connection.execute(sql).fetchall()) for sql in step["sql"]] == [1, 1]


REFUSED = [
    ((), "Error: there is nothing to plan\nHint: give --sql FILE"),
    (("--sql", "SQL", "--dialect", "sqlite", *DAY), "tables are not published on sqlite"),
    (("--sql", "SQL"), "a template cannot be rendered: 'ds' is undefined"),
    (("--sql", "none.sql"), "SQL file 'none.sql' does not exist"),
    (("--sql", "SQL", "--conn-id", "warehouse", "--partition", "dss=1", "--param", "ds=2013-02-01"),
     "has no partition column 'dss'"),
    (("--sql", "SQL", "--conn-id", "warehouse", "--exchange", "attach", *DAY), "the table is not partitioned"),
    (("--sql", "SQL", "--conn-id", "warehouse", "--rules", "RULES", *WHOLE),
     "no column 'nmae'\nHint: did you mean 'name'"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "complaint"), REFUSED)
def test_what_cannot_be_planned(
    connection: psycopg.Connection[Any],
    tmp_path: Path,
    files: tuple[str, str],
    arguments: tuple[str, ...],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    connection.execute(TABLE)  # type: ignore[call-overload]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("rules: [{check: null_count, column: nmae}]")
    names = {"SQL": files[0], "RULES": str(wrong)}
    ended = done(capsys, "plan", "w.t", *(names.get(argument, argument) for argument in arguments))
    assert ended.code == 2
    assert complaint in ended.err


# -- publish


def test_publishing(
    connection: psycopg.Connection[Any], files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = load(capsys, "publish", files, *DAY)
    assert first.code == 0
    assert first.out.endswith("w.t/ds=2013-02-01, 3 rows published by create; 2 checks: 2 passed\n")
    found = load(capsys, "publish", files, "--partition", "ds=2013-02-02", "--json").json
    found.pop("run_uid")
    assert [result["check"] for result in found.pop("results")] == ["null_count(name)", "unique_violations(id)"]
    assert found == {
        "table": "w.t", "partition": {"ds": "2013-02-02"}, "rows": 3, "exchange": "overwrite", "published": True,
        "score": 1.0, "passed": 2, "warned": 0, "failed": 0, "errored": 0, "skipped": 0, "failed_rules": [],
        "warned_rules": [],
    }  # fmt: skip
    assert len(rows(connection, "w.t")) == 6
    assert connection.execute("SELECT count(*) FROM dataquality.publication").fetchall() == [(2,)]


def test_a_rejection(
    connection: psycopg.Connection[Any], tmp_path: Path, files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    load(capsys, "publish", files, *DAY)
    before = rows(connection, "w.t")
    rules = tmp_path / "strict.yaml"
    rules.write_text("rules: [{check: row_count, condition: {greater_than: 5}}, {check: null_count, column: id}]")
    ended = load(capsys, "publish", (files[0], str(rules)), *DAY)
    assert ended.code == 1
    assert "FAIL row_count: row_count is 3, expected > 5" in ended.out
    assert "Error: w.t/ds=2013-02-01 was not published: 1 of 2 checks block it, production is unchanged" in ended.err
    (kept,) = left_beside(connection)
    assert f"look at the rejected rows in {kept}" in ended.err
    found = load(capsys, "publish", (files[0], str(rules)), *DAY, "--drop-rejected", "--json")
    assert (found.code, found.json["published"], found.json["failed_rules"]) == (1, False, ["row_count"])
    assert load(capsys, "publish", (files[0], str(rules)), *DAY, "--fail-on", "never").code == 0
    assert rows(connection, "w.t") == before


@pytest.mark.parametrize(
    ("sql", "arguments", "complaint"),
    [
        ("SELECT 1 AS id; DROP TABLE w.t", DAY, "Error: "),
        ("SELECT 1 AS id FROM nowhere", (), 'the SELECT is not valid: relation "nowhere" does not exist'),
        ("SELECT 1 AS id", (), "the SELECT does not fit w.t: missing from the SELECT: ds, name"),
        (" ", (), "is empty\nHint: write one SELECT in it"),
        ("SELECT '{{ ds }}'", (), "'ds' is undefined"),
        ("SELECT {{ ds }", DAY, "a template cannot be rendered"),
    ],
)
def test_loads_that_cannot_be_done(
    connection: psycopg.Connection[Any],
    tmp_path: Path,
    sql: str,
    arguments: tuple[str, ...],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    connection.execute(TABLE)  # type: ignore[call-overload]
    file = tmp_path / "wrong.sql"
    file.write_text(sql)
    ended = done(capsys, "publish", "w.t", "--sql", str(file), *arguments)
    assert ended.code == 2
    assert complaint in ended.err
    assert left_beside(connection) == []


def test_tables_are_not_published_on_sqlite(
    files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LITE", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "lite.db")}))
    ended = load(capsys, "publish", files, *DAY, conn_id="lite")
    assert (ended.code, "tables are published on Postgres and Redshift" in ended.err) == (2, True)


def test_redshift(redshift: RedshiftWarehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sql, rules = tmp_path / "load.sql", tmp_path / "rules.yaml"
    sql.write_text("SELECT CAST('{{ ds }}' AS DATE) AS ds, 1 AS id")
    rules.write_text("rules: [{check: null_count, column: id}]")
    given = ("public.t", "--sql", str(sql), "--rules", str(rules), "--conn-id", "redshift", "--json")
    modes = []
    for day in ("2013-02-01", "2013-02-02"):
        plan = done(capsys, "plan", *given, "--partition", f"ds={day}").json
        published = done(capsys, "publish", *given, "--partition", f"ds={day}").json
        assert published["exchange"] == plan["exchange"]["mode"]
        modes.append(published["exchange"])
    assert modes == ["create", "overwrite"]
    whole = done(capsys, "plan", *given, "--param", "ds=2013-02-01", "--exchange", "swap").json
    assert any("RENAME TO" in statement for statement in whole["steps"][-1]["sql"])
    checked = done(capsys, "check", "public.t", "--conn-id", "redshift", "--rules", str(rules), "--json")
    assert (checked.code, checked.json["rows"]) == (0, 2)
