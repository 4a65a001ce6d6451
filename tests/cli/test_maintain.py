"""``sweep``, ``rollback``, ``examples``, ``backtest``, ``mark`` and ``plot``: arguments, output, and how they fail."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import airflow_dataquality
from airflow_dataquality import cli, examples
from airflow_dataquality.cli import arguments as read
from airflow_dataquality.errors import DataQualityError
from commands import parse, run
from history import day, fill, usual
from support import Database, Warehouse, on


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the commands ask of the maintenance module, which answers as a warehouse would."""
    asked: list[tuple[Any, ...]] = []

    def sweep(conn_id: str, **kwargs: object) -> list[str]:
        asked.append((conn_id, kwargs))
        return ["analytics.daily_flights__dq_stage_1"]

    def rollback(conn_id: str, table: str, **kwargs: object) -> dict[str, object]:
        asked.append((conn_id, table, kwargs))
        if table == "nowhere":
            raise DataQualityError("nowhere has no previous version", hint="publish with keep_previous=1")
        return {"table": table, "rows": 16, "exchange": "swap"}

    maintenance = SimpleNamespace(sweep=sweep, rollback=rollback)
    monkeypatch.setitem(sys.modules, "airflow_dataquality.maintenance", maintenance)
    monkeypatch.setattr(airflow_dataquality, "maintenance", maintenance, raising=False)
    return asked


def test_sweep(calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    run("sweep")
    run("sweep", "--conn-id", "other", "--schema", "analytics", "--ttl", "36h", "--dry-run")
    defaults = {"schema": None, "ttl": timedelta(days=7), "dry_run": False}
    given = {**defaults, "schema": "analytics", "ttl": timedelta(hours=36), "dry_run": True}
    assert calls == [("warehouse", defaults), ("other", given)]
    out = capsys.readouterr().out
    assert "1 table removed" in out
    assert "1 table would be removed" in out


def test_rollback(calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    run("rollback", "analytics.daily_flights", "--partition", "ds=2013-02-01", "region=a=b")
    run("rollback", "analytics.daily_flights", "--ledger-schema", "ledger", "--dry-run")
    defaults = {"partition": None, "ledger_schema": "dataquality", "dry_run": False}
    assert calls == [
        ("warehouse", "analytics.daily_flights", {**defaults, "partition": {"ds": "2013-02-01", "region": "a=b"}}),
        ("warehouse", "analytics.daily_flights", {**defaults, "ledger_schema": "ledger", "dry_run": True}),
    ]
    assert "exchange: swap" in capsys.readouterr().out


def test_an_error_is_a_sentence(calls: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        run("rollback", "nowhere")
    assert exit_.value.code == 2
    assert capsys.readouterr().err == ("Error: nowhere has no previous version\nHint: publish with keep_previous=1\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("sweep", "--ttl", "7 fortnights"), "write 90s, 15m, 26h, 7d or 2w"),
        (("rollback", "t", "--partition", "2013-02-01"), "is not COLUMN=VALUE"),
        (("mark", "t", "--partition", "ds"), "is not COLUMN=VALUE"),
        (("backtest", "t", "--partition", "=1"), "is not COLUMN=VALUE"),
        (("plot", "t", "row_count"), "required: -o/--output"),
        (("backtest", "t", "--output", "csv"), "invalid choice: 'csv'"),
    ],
)
def test_arguments_that_make_no_sense(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse(*arguments)
    assert complaint in capsys.readouterr().err


def test_examples_are_copied(tmp_path: Path) -> None:
    run("examples", str(tmp_path / "dags"))
    copied = {path.relative_to(tmp_path / "dags") for path in (tmp_path / "dags").rglob("*") if path.is_file()}
    assert copied == set(examples.files())


def test_examples_do_not_overwrite_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "dq_publish_daily_flights.py"
    mine.write_text("mine")
    with pytest.raises(SystemExit):
        run("examples", str(tmp_path))
    assert "--force" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [mine]
    run("examples", str(tmp_path), "--force")
    assert mine.read_text() != "mine"


INCIDENT = 100
RAISES = ("backtest", "orders", "--conn-id", "lite", "--partition")


@pytest.fixture
def orders(database: Database) -> Database:
    fill(database.session, rows=lambda number: 4 if number == INCIDENT else usual(number))
    return database


@on("sqlite")
def test_backtest(orders: Database, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("backtest", "orders", "--conn-id", "lite", "--partition", "ds", "--metrics", "row_count", "mean:amount")
    run(*given, "--days", "60", "--output", "json")
    out, err = capsys.readouterr()
    assert err == "Note: there is no ledger in schema 'dataquality': the past is what the table holds now\n"
    found = json.loads(out)
    assert found["partition"] == {"ds": day(-1)}
    assert day(INCIDENT) in [alarm["date"] for alarm in found["alarms"] if alarm["test"] == "row_count"]
    run(*given, "--days", "60", "--baseline", "zscore", "--threshold", "2.5")
    out = capsys.readouterr().out
    assert f"orders, the last 60 partitions up to ds={day(-1)}; zscore baseline, 2.5 sigma of 90 values" in out
    assert re.search(r"test +judged +alarms +a year +at 2.5 +at 3 +at 3.5 +at 4", out)
    assert re.search(rf"{day(INCIDENT)} +row_count +4 +", out)
    run(*given, "--exclude", day(INCIDENT), "--threshold", "9", "--direction", "drop", "-o", "plain")
    assert "Nothing would have fired." in capsys.readouterr().out


@on("sqlite")
def test_mark(orders: Database, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("mark", "orders", "--conn-id", "lite", "--partition", f"ds={day(INCIDENT)}")
    run(*given, "--note", "the shop burned down")
    run(*given, "--remove")
    assert capsys.readouterr().out == (
        f"everything of orders, ds={day(INCIDENT)}, is marked as an incident, and no history from now on\n"
        f"everything of orders, ds={day(INCIDENT)}, is history again (1 mark removed)\n"
    )


@on("sqlite")
def test_plot(orders: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.png"
    run("plot", "orders", "row_count", "--conn-id", "lite", "--partition", "ds", "--last", "30", "-o", str(file))
    assert file.exists()
    out = capsys.readouterr().out
    assert out.startswith(f"{file}: 30 partitions, ")
    assert day(INCIDENT) in out


@on("sqlite")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((*RAISES, "dss"), "Error: partition column 'dss' is not in orders\nHint: did you mean 'ds'?"),
        ((*RAISES, "ds", "--threshold", "-1"), "Error: threshold is -1.0"),
        ((*RAISES, "ds", "--baseline", "autos"), "Hint: did you mean 'auto'?"),
        ((*RAISES, "ds", "--direction", "up"), "Error: direction is 'up'"),
        ((*RAISES, "ds", "--exclude", "25.12.2013"), "Error: exclude holds"),
        (("plot", "orders", "rows", "--conn-id", "lite", "--partition", "ds", "-o", "x.png"), "unknown check 'rows'"),
        (("mark", "orders", "--conn-id", "lite", "--metric", "rows"), "Error: no metric 'rows' is recorded for orders"),
    ],
)
def test_what_is_wrong_is_said(
    orders: Database, arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        run(*arguments)
    assert exit_.value.code == 2
    assert complaint in capsys.readouterr().err


def test_what_the_database_refuses(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE orders (ds date); CREATE ROLE reader LOGIN PASSWORD 'reader'")
        try:
            monkeypatch.setenv("AIRFLOW_CONN_READER", re.sub(r"//[^@]*@", "//reader:reader@", warehouse.uri))
            with pytest.raises(SystemExit):
                run("mark", "orders", "--conn-id", "reader", "--partition", "ds=2013-02-08")
            run("mark", "orders", "--partition", "ds=2013-02-08")
            with pytest.raises(SystemExit):
                run("backtest", "orders", "--conn-id", "reader", "--partition", "ds")
        finally:
            connection.execute("DROP OWNED BY reader; DROP ROLE reader")
    err = capsys.readouterr().err
    assert "the ledger (schema 'dataquality') cannot be created" in err
    assert err.count("Hint:") == 2


@pytest.mark.parametrize("command", [command.name for group in cli.get_dq_commands() for command in group.subcommands])
def test_every_command_helps(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse(command, "--help")
    assert exit_.value.code == 0
    assert f"usage: airflow dq {command}" in capsys.readouterr().out


def test_days_of_the_calendar() -> None:
    assert read.days("2013-12-24..2013-12-26") == ("2013-12-24", "2013-12-26")
    assert read.key_or_newest("ds") == ("ds", None)
