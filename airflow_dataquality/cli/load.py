"""``plan`` and ``publish``: a load from a SQL file, shown or done."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import (
    CONN_ID,
    FAIL_ON,
    LEDGER_SCHEMA,
    PARAM,
    PARTITION,
    TABLE,
    arg,
    seconds,
)
from airflow_dataquality.cli.check import counts_of, place_of, show_results
from airflow_dataquality.cli.running import DONE, FAILED, JSON, command, print_json


@command
def plan(args: argparse.Namespace) -> None:
    """Print the SQL of a load, or of checks, without running it."""
    from airflow_dataquality import preview
    from airflow_dataquality.errors import SpecError

    if not (args.sql or args.rules):
        raise SpecError("there is nothing to plan", hint="give --sql FILE for a load, --rules FILE for checks, or both")
    given: Any = {
        "dialect": args.dialect,
        "partition": dict(args.partition or ()),
        "params": dict(args.param or ()),
    }
    if args.sql:
        found = preview.of_load(
            args.conn_id, args.table, args.sql, args.rules or (), exchange=args.exchange,
            keep_previous=args.keep_previous, **given,
        )  # fmt: skip
    else:
        found = preview.of_checks(args.conn_id, args.table, args.rules, **given)
    if args.json:
        print_json(found.as_dict())
        return
    print(f"-- {found.partition}, on {found.dialect}")
    if found.mode:
        print(f"-- exchange: {found.mode}")
        for mode, obstacles in (found.obstacles or {}).items():
            for obstacle in obstacles:
                print(f"--   no {mode}: {obstacle}")
    for step in found.steps:
        print("\n-- " + f"{step.name}: {step.purpose}".replace("\n", "\n--   "))
        for statement in step.sql:
            print(f"{statement.rstrip().rstrip(';')};")


@command
def publish(args: argparse.Namespace) -> int:
    """Stage the rows of a SELECT, check them, and exchange them for what the table holds."""
    from airflow_dataquality import manual
    from airflow_dataquality.errors import ChecksFailed

    try:
        found = manual.publish(
            args.conn_id, args.table, args.sql, rules=args.rules or (), partition=dict(args.partition or ()),
            params=dict(args.param or ()), exchange=args.exchange, fail_on=args.fail_on,
            keep_previous=args.keep_previous, allow_empty=args.allow_empty, keep_staging=not args.drop_rejected,
            allow_side_effects=args.allow_side_effects or (), ledger_schema=args.ledger_schema,
            exchange_timeout=args.exchange_timeout,
        )  # fmt: skip
    except ChecksFailed as error:
        return _rejected(error, as_json=args.json)
    if args.json:
        print_json(found)
        return DONE
    show_results(found["results"])
    print(f"{place_of(found)} published by {found['exchange']}; {counts_of(found)}")
    return DONE


def _rejected(error: Any, *, as_json: bool) -> int:
    from airflow_dataquality import manual

    found = {**error.outcome, "results": manual.described(error.summary) if error.summary else []}
    if as_json:
        print_json(found)
    else:
        show_results(found["results"])
    print(f"Error: {error}", file=sys.stderr)
    return FAILED


_SQL = {"metavar": "FILE", "help": "a file with one SELECT; it may be a template, as in a DAG"}
_RULES = arg("--rules", nargs="+", metavar="FILE", help="rule sets that the rows have to pass: YAML or JSON files")
_EXCHANGE = arg(
    "--exchange", choices=("auto", "create", "swap", "overwrite", "attach"), default="auto", metavar="MODE",
    help="auto, create, swap, overwrite or attach (default: auto)",
)  # fmt: skip
_KEEP = arg("--keep-previous", type=int, default=0, metavar="N", help="previous versions to keep (default: 0)")

COMMANDS = (
    ActionCommand(
        name="plan",
        help="Print the SQL of a load, or of checks, without running it",
        func=plan,
        args=(
            TABLE,
            arg("--sql", **_SQL),
            _RULES,
            PARTITION,
            PARAM,
            arg("--conn-id", help="look at the table, and say how the rows would be exchanged and why"),
            arg(
                "--dialect", choices=("postgres", "redshift", "sqlite"), default="postgres", metavar="NAME",
                help="without --conn-id: postgres, redshift or sqlite (default: postgres)",
            ),
            _EXCHANGE,
            _KEEP,
            JSON,
        ),
    ),
    ActionCommand(
        name="publish",
        help="Stage the rows of a SELECT, check them, and exchange them for what the table holds",
        func=publish,
        args=(
            TABLE,
            CONN_ID,
            arg("--sql", required=True, **_SQL),
            _RULES,
            PARTITION,
            PARAM,
            _EXCHANGE,
            FAIL_ON,
            _KEEP,
            arg("--drop-rejected", action="store_true", help="do not keep rejected rows to be looked at"),
            arg("--allow-empty", action="store_true", help="publish zero rows, too"),
            arg(
                "--allow-side-effects", nargs="+", metavar="NAME",
                help="triggers, rules, foreign keys … that an overwrite may set off",
            ),
            arg("--exchange-timeout", type=seconds, default=60.0, help="how long to wait for locks (default: 60s)"),
            LEDGER_SCHEMA,
            JSON,
        ),
    ),
)  # fmt: skip
