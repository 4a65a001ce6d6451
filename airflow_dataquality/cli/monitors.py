"""``monitors``: who is told when a check fails, as Datadog's JSON."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import arg
from airflow_dataquality.cli.running import command, counted, print_json


@command
def monitors(args: argparse.Namespace) -> None:
    """Export the monitors that are written next to checks, or a dashboard, as JSON for Datadog."""
    from airflow_dataquality.errors import SpecError
    from airflow_dataquality.monitors import dashboard

    if args.dashboard == bool(args.files):
        raise SpecError("give files with checks, or --dashboard, and not both", hint="airflow dq monitors rules.yaml")
    found: Any = dashboard() if args.dashboard else _monitors(args)
    if args.output is None:
        print_json(found)
        return
    Path(args.output).write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{args.output}: {'a dashboard' if args.dashboard else counted(len(found), 'monitor')}")


def _monitors(args: argparse.Namespace) -> list[dict[str, Any]]:
    from airflow_dataquality.monitors import in_dags, monitors_of
    from airflow_dataquality.spec import checks_from

    found: list[dict[str, Any]] = []
    for file in args.files:
        if file.endswith(".py"):
            written = in_dags(file)
        else:
            written = [(args.table, checks_from(file, folders=[str(Path.cwd())]))]
        of_file = [one for table, checks in written for one in monitors_of(checks, table=table, tags=args.tag)]
        if not of_file:
            print(f"Note: no check in {file} has a monitor", file=sys.stderr)
        found += of_file
    return found


COMMANDS = (
    ActionCommand(
        name="monitors",
        help="Export the monitors that are written next to checks as JSON for Datadog",
        func=monitors,
        args=(
            arg("files", nargs="*", metavar="FILE", help="rule sets (YAML or JSON), or DAG files (.py)"),
            arg("--table", help="the table that the rule sets are for (default: every table with the check)"),
            arg("--tag", nargs="+", default=(), metavar="TAG", help="watch only what carries these tags: env:prod"),
            arg("--dashboard", action="store_true", help="export a dashboard of every metric instead"),
            arg("-o", "--output", metavar="FILE", help="write a file instead of printing"),
        ),
    ),
)
