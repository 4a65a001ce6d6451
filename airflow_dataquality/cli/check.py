"""``check``: run rule sets on a table that exists."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import (
    CONN_ID,
    FAIL_ON,
    LEDGER_CONN_ID,
    LEDGER_SCHEMA,
    PARAM,
    PARTITION,
    RULES,
    TABLE,
    arg,
)
from airflow_dataquality.cli.running import DONE, FAILED, JSON, command, counted, print_json, show, shown

STATUSES = {"passed": "passed", "warned": "warned", "failed": "failed", "errored": "could not be run",
            "skipped": "skipped"}  # fmt: skip


@command
def check(args: argparse.Namespace) -> int:
    """Run rule sets on a table, or one partition of it."""
    from airflow_dataquality import manual

    found, failed = manual.check(
        args.conn_id, args.table, args.rules, partition=dict(args.partition or ()), where=args.where,
        params=dict(args.param or ()), fail_on=args.fail_on, record=args.record, ledger_conn_id=args.ledger_conn_id,
        ledger_schema=args.ledger_schema,
    )  # fmt: skip
    if args.json:
        print_json(found)
    else:
        show_results(found["results"])
        print(f"{place_of(found)}: {counts_of(found)}" + ("" if args.record else ". Not recorded: --record does"))
    return FAILED if failed else DONE


def show_results(results: Sequence[Mapping[str, Any]]) -> None:
    """Print results as a table, and why those that did not pass did not."""
    from airflow_dataquality.cli.running import plain

    show(
        [
            {
                "status": result["status"],
                "check": result["check"],
                "value": plain(result["value"]),
                "expected": result["expected"],
                "severity": result["severity"],
            }
            for result in results
        ]
    )
    told = [result for result in results if result["status"] != "pass"]
    print()
    for result in told:
        print(f"{result['status'].upper()} {result['check']}: {shown(result['reason'])}")


def place_of(found: Mapping[str, Any]) -> str:
    """Which table or partition, and how many rows were looked at."""
    key = shown(found["partition"])
    rows = "" if found["rows"] is None else f", {counted(found['rows'], 'row')}"
    return f"{found['table']}{f'/{key}' if key else ''}{rows}"


def counts_of(found: Mapping[str, Any]) -> str:
    """How the checks ended, in words."""
    total = sum(found[name] for name in STATUSES)
    ends = ", ".join(f"{found[name]:,} {word}" for name, word in STATUSES.items() if found[name])
    return f"{counted(total, 'check')}" + (f": {ends}" if ends else "")


COMMANDS = (
    ActionCommand(
        name="check",
        help="Check a table that exists against rule sets",
        func=check,
        args=(
            TABLE,
            CONN_ID,
            RULES,
            PARTITION,
            arg("--where", metavar="PREDICATE", help="narrows the rows of every check, in the database's SQL"),
            PARAM,
            FAIL_ON,
            arg("--record", action="store_true", help="write the results into the ledger, as a task would"),
            LEDGER_SCHEMA,
            LEDGER_CONN_ID,
            JSON,
        ),
    ),
)
