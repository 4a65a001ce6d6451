"""Monitors are written next to checks, and exported for Datadog; the dashboard shows every metric."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.cli.monitors import COMMANDS
from airflow_dataquality.errors import SpecError
from airflow_dataquality.monitor import Monitor
from airflow_dataquality.monitors import STATUS, dashboard, monitors_of
from airflow_dataquality.spec import checks_from
from airflow_dataquality.telemetry import CATALOGUE, COMMON

ROOT = Path(__file__).parent.parent.parent
PAGED = {"notify": "@pagerduty-data", "renotify": 60}
RULES = """
rules:
  - name: id_is_known
    check: null_count
    column: id
    monitor: {notify: "@pagerduty-data", renotify: 60, priority: 1, tags: ["team:data"], message: "See {{runbook}}"}
  - {check: row_count, condition: {greater_than: 0}, severity: warn, monitor: {notify: ["@slack-data", "@a@b.com"]}}
  - {check: null_count, column: name}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


def test_a_monitor_is_kept_on_its_check_and_is_no_part_of_it() -> None:
    plain, watched = check("row_count", geq_to=1), check("row_count", geq_to=1, monitor=PAGED)
    assert watched.monitor == Monitor(("@pagerduty-data",), 60)
    assert plain == watched
    assert hash(plain) == hash(watched)
    assert anomaly("row_count", monitor=PAGED).monitor == watched.monitor


def test_monitors_of_a_rule_set(rules: Path) -> None:
    paged, told = monitors_of(checks_from(rules), table='mart."Daily Orders"', tags=["env:prod"])
    assert paged == {
        "name": 'mart."Daily Orders": id_is_known did not pass',
        "type": "query alert",
        "query": f"max(last_15m):max:{STATUS}{{check:id_is_known,table:mart._daily_orders,env:prod}} by {{table}} >= 2",
        "message": "The check `id_is_known` of {{table.name}} did not pass: expected = 0.\nSee { {runbook}}\n"
        "@pagerduty-data",
        "tags": ["source:airflow_dataquality", "check:id_is_known", "table:mart._daily_orders", "team:data"],
        "priority": 1,
        "options": {
            "thresholds": {"critical": 2},
            "include_tags": True,
            "notify_no_data": False,
            "require_full_window": False,
            "renotify_interval": 60,
            "renotify_statuses": ["alert"],
        },
    }
    assert told["query"].endswith(">= 1"), "a warning is status 1"
    assert told["message"].endswith("\n@slack-data @a@b.com")
    assert "renotify_interval" not in told["options"]


def test_a_monitor_of_every_table_that_has_the_check(rules: Path) -> None:
    monitor = monitors_of(checks_from(rules))[0]
    assert monitor["name"] == "{{table.name}}: id_is_known did not pass"
    assert "{check:id_is_known} by {table}" in monitor["query"]


@pytest.mark.parametrize(
    ("monitor", "says"),
    [
        ("@pagerduty-data", "is not a mapping"),
        ({"notfy": "@x"}, "unknown key of a monitor 'notfy'\nHint: did you mean 'notify'"),
        ({"notify": "pagerduty"}, "'pagerduty' is no handle of Datadog"),
        ({"notify": "@a @b"}, "no handle"),
        ({"notify": 5}, "neither a text nor a list"),
        ({"renotify": "1h"}, "monitor.renotify is '1h', not a whole number"),
        ({"renotify": True}, "not a whole number"),
        ({"priority": 6}, r"write 1 \(critical\) to 5"),
        ({"message": " "}, "is not a text"),
        ({"tags": [1]}, "monitor.tags"),
    ],
)
def test_what_is_no_monitor_is_refused_where_it_is_written(monitor: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=says):
        check("row_count", geq_to=1, monitor=monitor)
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"rules": [{"check": "null_count", "column": "a", "monitor": monitor}]}))
    with pytest.raises(SpecError, match=r"rules\.yaml: rules\[0\]"):
        checks_from(path)


def test_queries_name_what_is_sent() -> None:
    metric = CATALOGUE[STATUS]
    assert {"check", "table"} <= {*metric.tags, *COMMON}
    shown = json.dumps(dashboard())
    assert [name for name in CATALOGUE if f":{name}{{" not in shown] == []


def test_the_dashboard_of_the_documentation_is_up_to_date() -> None:
    file = ROOT / "docs" / "pages" / "guides" / "dashboard.json"
    hint = f"run: airflow dq monitors --dashboard --output {file.relative_to(ROOT)}"
    assert json.loads(file.read_text(encoding="utf-8")) == dashboard(), hint


def test_a_dashboard_has_what_datadog_requires() -> None:
    board = dashboard()
    assert {"title", "layout_type", "widgets"} <= board.keys()
    assert board["layout_type"] == "ordered"
    groups = [widget["definition"] for widget in board["widgets"] if widget["definition"]["type"] == "group"]
    for widget in (widget["definition"] for group in groups for widget in group["widgets"]):
        assert (widget["type"], len(widget["requests"])) == ("timeseries", 1)
        for name in (each["name"] for each in board["template_variables"]):
            assert f"${name}" in widget["requests"][0]["q"] or name == "check"


@pytest.fixture
def command() -> Callable[..., None]:
    """``airflow dq monitors``, as the shell calls it."""

    def run(*words: str) -> None:
        parser = argparse.ArgumentParser()
        for argument in COMMANDS[0].args:
            argument.add_to_parser(parser)
        COMMANDS[0].func(parser.parse_args(words))

    return run


def test_the_command_prints_or_writes(
    command: Callable[..., None], rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command(str(rules), "--table", "mart.orders", "--tag", "env:prod")
    printed = json.loads(capsys.readouterr().out)
    assert printed == monitors_of(checks_from(rules), table="mart.orders", tags=["env:prod"])
    command(str(rules), "--output", str(tmp_path / "monitors.json"))
    assert "2 monitors" in capsys.readouterr().out
    assert json.loads((tmp_path / "monitors.json").read_text()) == monitors_of(checks_from(rules))
    command("--dashboard")
    assert json.loads(capsys.readouterr().out) == dashboard()


def test_the_command_reads_dag_files(command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    command(str(ROOT / "example_dags" / "dq_everything_together.py"))
    names = [monitor["name"] for monitor in json.loads(capsys.readouterr().out)]
    assert names == [f"analytics.carrier_days: {each} did not pass" for each in ("null_count(carrier)", "row_count")]


@pytest.mark.parametrize("words", [[], ["rules.yaml", "--dashboard"], ["missing.yaml"], ["missing.py"]])
def test_what_the_command_cannot_do(
    words: list[str], command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(*words)
    assert "Hint:" in capsys.readouterr().err


def test_the_monitors_of_the_guide_are_monitors() -> None:
    page = (ROOT / "docs" / "pages" / "guides" / "alerts.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (rule,) = checks_from(yaml.safe_load(text))
    (code,) = re.findall(r"^check\(.*\)$", page, re.MULTILINE)
    made = eval(code, {"check": check})  # noqa: S307 - our own page
    assert made.monitor == replace(rule.monitor, priority=None)
    for field in fields(Monitor):
        assert f"| `{field.name}` |" in page
