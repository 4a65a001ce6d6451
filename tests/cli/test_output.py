"""What all commands of ``airflow dq`` share: how they are found, what goes where, and how they end."""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.cli import get_dq_commands, running
from airflow_dataquality.errors import SpecError
from commands import done, parse
from history import day, fill
from support import Database, on

COMMANDS = [command for group in get_dq_commands() for command in group.subcommands]
PAGES = Path(__file__).parent.parent.parent / "docs" / "pages"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_argument_has_a_help(command: Any) -> None:
    assert all(argument.kwargs.get("help") for argument in command.args)
    assert command.help
    assert not command.help.endswith(".")


def test_commands_are_named_once() -> None:
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_json(command: Any) -> None:
    flags = {flag for argument in command.args for flag in argument.flags}
    assert "--json" in flags or command.name == "monitors"  # which prints nothing else


def test_airflows_own_parser_knows_the_commands() -> None:
    from airflow.cli import cli_parser

    parser = cli_parser.get_parser()
    args = parser.parse_args(["dq", "check", "t", "--rules", "a.yaml", "b.yaml", "--partition", "ds=1", "--json"])
    assert (args.table, args.rules, args.partition, args.json) == ("t", ["a.yaml", "b.yaml"], [("ds", "1")], True)


@on("sqlite")
def test_stdout_is_for_json_and_stderr_for_logs(database: Database, tmp_path: Path) -> None:
    fill(database.session)
    rules = tmp_path / "rules.yaml"
    rules.write_text("rules: [{check: row_count, baseline: auto}, {check: row_count, condition: {equal_to: 1}}]")
    ended = subprocess.run(
        [Path(sys.executable).parent / "airflow", "dq", "check", "orders", "--conn-id", "lite", "--rules", rules,
         "--partition", f"ds={day(-1)}", "--json"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO", "PYTHONPATH": str(PAGES.parent.parent)},
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert json.loads(ended.stdout)["failed"] == 1
    assert "Measured 90 past partitions" in ended.stderr


# -- errors


def ending(capsys: pytest.CaptureFixture[str], error: Exception, **arguments: Any) -> tuple[Any, str, str]:
    @running.command
    def fails(args: argparse.Namespace) -> None:
        raise error

    with pytest.raises(SystemExit) as exit_:
        fails(argparse.Namespace(**arguments))
    return exit_.value.code, *capsys.readouterr()


def test_an_error_of_ours_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    found = ending(capsys, SpecError("no", hint="say yes"))
    assert found == (2, "", "Error: no\nHint: say yes\n")
    code, out, _ = ending(capsys, SpecError("no"), json=True)
    assert (code, json.loads(out)) == (2, {"error": "no", "hint": None})


def test_an_error_that_nobody_foresaw_is_no_failed_check(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ending(capsys, KeyError("x"))
    assert (code, out) == (2, "")
    assert err.startswith("Traceback")
    assert err.endswith(
        "Error: KeyError: 'x'\nHint: this is a mistake in the package: report it with the lines above\n"
    )


def test_logs_go_back_where_they_were() -> None:
    handler = logging.StreamHandler(sys.stdout)
    logging.getLogger().addHandler(handler)
    try:
        with running.logs_on_stderr():
            assert handler.stream is sys.stderr
        assert handler.stream is sys.stdout
    finally:
        logging.getLogger().removeHandler(handler)


# -- tables


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


ROWS = [{"status": "fail", "check": "größe", "value": 1.5}, {"status": "pass", "check": "日本", "value": None}]


def test_a_table_without_a_terminal_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    running.show([{**ROWS[0], "check": "x" * 300}])
    assert "x" * 300 in capsys.readouterr().out
    running.show(ROWS)
    assert capsys.readouterr().out == (
        "status  check  value\n------  -----  -----\nfail    größe    1.5\npass    日本\n"
    )


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_table_in_a_terminal(no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "60", "NO_COLOR": no_color}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    running.show(ROWS)
    shown = terminal.getvalue()
    assert bool(re.search(r"\x1b\[3[0-9]m", shown)) is coloured
    assert "größe" in shown
    running.show(ROWS, plainly=True)
    assert terminal.getvalue().endswith("pass    日本\n")


def test_nothing_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    running.show([])
    assert capsys.readouterr().out == ""


# -- what there was before


@on("sqlite")
def test_json_of_the_commands_about_anomalies(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database.session)
    where = ("orders", "--conn-id", "lite", "--partition", "ds", "--json")
    assert {"tests", "alarms", "notes"} <= set(done(capsys, "backtest", *where, "--days", "30").json)
    marked = done(capsys, "mark", "orders", "--conn-id", "lite", "--partition", f"ds={day(3)}", "--json").json
    assert marked == {"table": "orders", "partition": {"ds": day(3)}, "metric": None, "rows": 1, "removed": False}
    file = tmp_path / "rows.svg"
    drawn = done(
        capsys, "plot", "orders", "row_count", "--conn-id", "lite", "--partition", "ds", "--days", "30", "-o",
        str(file), "--json",
    )  # fmt: skip
    assert set(drawn.json) == {"file", "partitions", "anomalies"}


def test_json_of_the_commands_about_tables(warehouse: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from publishing import publish

    assert done(capsys, "sweep", "--json").json == {"tables": [], "removed": True}
    for number in (1, 2):
        publish("public.v", f"SELECT {number} AS n", keep_previous=1)
    found = done(capsys, "rollback", "public.v", "--json").json
    assert (found["published"], found["rows"]) == (True, 1)
    ended = done(capsys, "rollback", "public.nothing", "--json")
    assert (ended.code, set(ended.json)) == (2, {"error", "hint"})
    copied = done(capsys, "examples", str(tmp_path / "dags"), "--json").json["files"]
    assert all(Path(file).is_file() for file in copied)


# -- the guide


def test_what_the_guide_shows_can_be_parsed() -> None:
    text = (PAGES / "guides" / "command-line.md").read_text(encoding="utf-8").replace("\\\n", "")
    commands = re.findall(r"airflow dq ([^`\n]*)", text)
    lines = [line.split("#")[0].split(">")[0] for line in commands if " " in line.strip()]
    assert len(lines) >= 7
    for line in lines:
        parse(*shlex.split(line))


def test_the_rules_of_the_guide_are_clean(tmp_path: Path) -> None:
    from airflow_dataquality.lint import lint

    text = (PAGES / "guides" / "command-line.md").read_text(encoding="utf-8")
    (rules,) = re.findall(r"^```yaml\n(name: .*?)^```", text, re.DOTALL | re.MULTILINE)
    file = tmp_path / "rules.yaml"
    file.write_text(rules, encoding="utf-8")
    assert lint(str(file)) == []
