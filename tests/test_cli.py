"""``airflow dq``: its arguments, what it prints, and how it fails."""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import airflow_dataquality
from airflow_dataquality import cli, examples
from airflow_dataquality.errors import DataQualityError


def parse(*arguments: str) -> argparse.Namespace:
    """Parse a command line of the group, with the arguments as Airflow would add them."""
    parser = argparse.ArgumentParser(prog="airflow dq")
    commands = parser.add_subparsers(required=True)
    (group,) = cli.get_dq_commands()
    for command in group.subcommands:
        subparser = commands.add_parser(command.name)
        subparser.set_defaults(func=command.func)
        for argument in command.args:
            argument.add_to_parser(subparser)
    return parser.parse_args(arguments)


def run(*arguments: str) -> None:
    namespace = parse(*arguments)
    namespace.func(namespace)


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
    assert exit_.value.code == 1
    assert capsys.readouterr().err == ("Error: nowhere has no previous version\nHint: publish with keep_previous=1\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("sweep", "--ttl", "7 fortnights"), "write 90s, 15m, 26h, 7d or 2w"),
        (("rollback", "t", "--partition", "2013-02-01"), "is not COLUMN=VALUE"),
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
