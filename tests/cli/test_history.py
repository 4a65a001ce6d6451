"""``airflow dq history``: what the ledger knows, the newest first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from commands import done
from publishing import publish
from support import Database, Warehouse, on

SELECT = "SELECT '{0}' AS ds, i AS id FROM generate_series(1, {1}) AS i"


@pytest.fixture
def published(warehouse: Warehouse) -> Warehouse:
    """Three days, of which the second was published last."""
    from airflow_dataquality.checks import check

    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA w; CREATE TABLE w.t (ds date, id int)")
    checks = [check("null_count", "id"), check("row_count", less_than=9, severity="warn", name="few")]
    for day, rows in (("2013-02-01", 1), ("2013-02-03", 30), ("2013-02-02", 2)):
        publish("w.t", SELECT.format(day, rows), partition={"ds": day}, checks=checks)
    return warehouse


def test_publications_and_results(published: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    found = done(capsys, "history", "w.t", "--json").json
    assert set(found) == {"table", "check", "publications", "results"}
    days = [row["partition"]["ds"] for row in found["publications"]]
    assert days == ["2013-02-02", "2013-02-03", "2013-02-01"]
    newest = found["publications"][0]
    assert (newest["mode"], newest["rows"], newest["passed"], newest["warned"]) == ("overwrite", 2, 2, 0)
    assert len(found["results"]) == 6
    assert {"check_name", "value", "interval", "status", "reason", "checked_at", "low", "high"} <= set(
        found["results"][0]
    )


def test_what_is_printed(published: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    lines = done(capsys, "history", "w.t", "--limit", "2").out.splitlines()
    assert lines[0] == "Published of w.t, the newest first:"
    assert lines[2].split() == ["published", "partition", "mode", "rows", "score", "passed", "warned", "failed",
                                "skipped", "by"]  # fmt: skip
    assert lines[4].split()[2:] == ["ds=2013-02-02", "overwrite", "2", "1", "2", "0", "0", "0"]
    assert len(lines) == 13


def test_one_check(published: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    found = done(capsys, "history", "w.t", "few", "--partition-column", "ds", "--json").json
    assert found["publications"] == []
    told = [(row["partition"]["ds"], row["status"], row["value"]) for row in found["results"]]
    assert told == [("2013-02-03", "warn", 30), ("2013-02-02", "pass", 2), ("2013-02-01", "pass", 1)]
    assert "< 9" in done(capsys, "history", "w.t", "few").out


def test_one_partition(published: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    found = done(capsys, "history", "w.t", "--partition", "ds=2013-02-01", "--json").json
    assert [row["rows"] for row in found["publications"]] == [1]
    assert {row["partition"]["ds"] for row in found["results"]} == {"2013-02-01"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("w.tt",), "Error: nothing is recorded of w.tt\nHint: did you mean 'w.t'?"),
        (("w.t", "fiew"), "Error: no check 'fiew' is recorded of w.t\nHint: did you mean 'few'?"),
        (("w.t", "--partition", "ds=2030-01-01"), "Error: nothing is recorded of w.t/ds=2030-01-01"),
        (("w.t", "--partition-column", "dss"), "Error: nothing is recorded of w.t"),
        (("w.t", "--ledger-schema", "other"), "Error: there is no ledger in schema 'other'"),
        (("w.t", "--limit", "0"), "Error: limit is 0"),
    ],
)
def test_mistakes(
    published: Warehouse, arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = done(capsys, "history", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err


@on("postgres", "sqlite", "redshift")
def test_every_database(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database.session.execute("CREATE TABLE orders (ds DATE, amount INTEGER)")
    database.session.execute("INSERT INTO orders VALUES ('2024-01-01', 1), ('2024-01-02', 2)")
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"rules": [{"check": "max", "column": "ds", "condition": {"leq_to": "2030-01-01"}}]}))
    for day in ("2024-01-02", "2024-01-01"):
        done(
            capsys, "check", "orders", "--conn-id", database.conn_id, "--rules", str(rules), "--record", "--partition",
            f"ds={day}",
        )  # fmt: skip
    given = ("--conn-id", database.conn_id, "--json")
    by_day = done(capsys, "history", "orders", *given, "--partition-column", "ds").json["results"]
    assert [row["partition"]["ds"] for row in by_day] == ["2024-01-02", "2024-01-01"]
    of_check = done(capsys, "history", "orders", "max(ds)", *given).json["results"]
    assert [row["value_text"] for row in of_check] == ["2024-01-01", "2024-01-02"]
