"""``airflow dq``: what an operator of the warehouse does without a DAG.

Airflow imports this module for every ``airflow`` command, so each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from airflow.cli.cli_config import ActionCommand, GroupCommand

from airflow_dataquality._arguments import (
    BASELINE,
    CONN_ID,
    LAST,
    LEDGER_CONN_ID,
    LEDGER_SCHEMA,
    NEWEST,
    TABLE,
    arg,
    duration,
    key_value,
)


def _explained(command: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """Print what went wrong, which carries its hint, rather than a traceback."""

    @wraps(command)
    def explained(args: argparse.Namespace) -> None:
        from airflow_dataquality.engine.said import database_error, said
        from airflow_dataquality.errors import DataQualityError

        try:
            command(args)
        except Exception as error:
            refused = said(error).sqlstate is not None
            if not (refused or isinstance(error, DataQualityError)):
                raise
            told = database_error("the database refused", error) if refused else error
            print(f"Error: {told}", file=sys.stderr)
            raise SystemExit(1) from error

    return explained


@_explained
def sweep(args: argparse.Namespace) -> None:
    """Remove staging and backup tables that no live run owns."""
    from airflow_dataquality import maintenance

    removed = maintenance.sweep(args.conn_id, schema=args.schema, ttl=args.ttl, dry_run=args.dry_run)
    for table in removed:
        print(table)
    count = f"{len(removed)} table{'' if len(removed) == 1 else 's'}"
    print(f"{count} would be removed" if args.dry_run else f"{count} removed")


@_explained
def rollback(args: argparse.Namespace) -> None:
    """Publish the previous version of a table again."""
    from airflow_dataquality import maintenance

    partition = dict(args.partition) if args.partition else None
    summary = maintenance.rollback(
        args.conn_id, args.table, partition=partition, ledger_schema=args.ledger_schema, dry_run=args.dry_run
    )
    for key, value in summary.items():
        print(f"{key}: {value}")


@_explained
def examples(args: argparse.Namespace) -> None:
    """Copy the example DAGs, and the SQL and rule sets they use, into a DAG folder."""
    from airflow_dataquality import examples as files

    for file in files.copy(Path(args.directory), force=args.force):
        print(file)


@_explained
def backtest(args: argparse.Namespace) -> None:
    """Replay tests on the last partitions, and say on which days they would have fired."""
    from airflow.cli.simple_table import AirflowConsole

    from airflow_dataquality import anomalies

    found = anomalies.backtest(
        _place(args), metrics=args.metrics or "auto", baseline=_baseline(args), columns=args.columns
    )
    for note in found["notes"]:
        print(f"Note: {note}", file=sys.stderr)
    console = AirflowConsole()
    if args.output in ("json", "yaml"):
        (console.print_as_json if args.output == "json" else console.print_as_yaml)(found)
        return
    key = ", ".join(f"{column}={value}" for column, value in found["partition"].items())
    print(f"{found['table']}, the last {found['periods']} partitions up to {key or 'today'}; {found['baseline']}")
    show = console.print_as_table if args.output == "table" else console.print_as_plain_table
    show(
        [
            {
                "test": test["name"],
                "judged": test["judged"],
                "alarms": test["alarms"],
                "a year": "" if test["a_year"] is None else test["a_year"],
                **{f"at {level}": count for level, count in test["at"].items()},
            }
            for test in found["tests"]
        ]
    )
    if found["alarms"]:
        numbers = ("value", "expected", "score")
        show([alarm | {name: f"{alarm[name]:.4g}" for name in numbers} for alarm in found["alarms"]])
    elif any(test["judged"] for test in found["tests"]):
        print("Nothing would have fired.")


@_explained
def mark(args: argparse.Namespace) -> None:
    """Say that what was measured on a partition is an incident, and no history."""
    from airflow_dataquality import anomalies

    done = anomalies.mark(_place(args), metric=args.metric, note=args.note, remove=args.remove)
    what = f"{done['metric'] or 'everything'} of {done['table']}"
    key = ", ".join(f"{column}={value}" for column, value in done["partition"].items()) or "today"
    if args.remove:
        print(f"{what}, {key}, is history again ({done['rows']} mark{'' if done['rows'] == 1 else 's'} removed)")
    else:
        print(f"{what}, {key}, is marked as an incident, and no history from now on")


@_explained
def plot(args: argparse.Namespace) -> None:
    """Draw a metric: its values, what was expected, and the anomalies."""
    from airflow_dataquality import plot as drawing

    file = Path(args.output)
    drawn = drawing.plot(_place(args), args.metric, file, baseline=_baseline(args))
    dates = [str(when) for when, outside in zip(drawn.days, drawn.outside, strict=True) if outside]
    found = "1 anomaly" if len(dates) == 1 else f"{len(dates)} anomalies"
    print(f"{file}: {len(drawn.when)} partitions, {found}" + (f": {', '.join(dates)}" if dates else ""))


def _place(args: argparse.Namespace) -> Any:
    from airflow_dataquality.anomalies import Place

    return Place(
        args.conn_id, args.table, dict(args.partition or ()),
        last=getattr(args, "last", 90), history=getattr(args, "history", "auto"),
        ledger_schema=args.ledger_schema, ledger_conn_id=args.ledger_conn_id,
    )  # fmt: skip


def _baseline(args: argparse.Namespace) -> Any:
    from airflow_dataquality.baseline import Baseline

    given = {name: getattr(args, name) for name in ("threshold", "direction", "window", "min_history", "holidays")}
    options = {name: value for name, value in given.items() if value is not None}
    return Baseline(args.baseline, exclude=tuple(args.exclude or ()), **options)


_SWEEP = ActionCommand(
    name="sweep",
    help="Remove staging and backup tables that no live run owns",
    func=sweep,
    args=(
        CONN_ID,
        arg("--schema", help="look in this schema alone (default: every schema)"),
        arg("--ttl", type=duration, default="7d", help="keep rejected rows for this long (default: 7d)"),
        arg("--dry-run", action="store_true", help="list what would be removed, and remove nothing"),
    ),
)
_ROLLBACK = ActionCommand(
    name="rollback",
    help="Publish the previous version of a table again",
    func=rollback,
    args=(
        TABLE,
        CONN_ID,
        arg(
            "--partition", nargs="+", type=key_value, metavar="COLUMN=VALUE", help="this partition, not the whole table"
        ),
        LEDGER_SCHEMA,
        arg("--dry-run", action="store_true", help="say which version would be published, and publish nothing"),
    ),
)
_EXAMPLES = ActionCommand(
    name="examples",
    help="Copy the example DAGs into a DAG folder",
    func=examples,
    args=(
        arg("directory", metavar="DIR", help="the DAG folder; created if it does not exist"),
        arg("--force", action="store_true", help="overwrite files that are already there"),
    ),
)
_BACKTEST = ActionCommand(
    name="backtest",
    help="Replay anomaly tests on past partitions: on which days they would have fired",
    func=backtest,
    args=(
        TABLE,
        CONN_ID,
        NEWEST,
        LAST,
        arg(
            "--metrics",
            nargs="+",
            metavar="METRIC",
            help="row_count, mean (on every column of its type), null_ratio:tailnum … (default: auto)",
        ),
        arg("--columns", nargs="+", metavar="COLUMN", help="only these, where a metric does not name one"),
        *BASELINE,
        LEDGER_SCHEMA,
        LEDGER_CONN_ID,
        arg(
            "-o",
            "--output",
            choices=("table", "json", "yaml", "plain"),
            default="table",
            metavar="FORMAT",
            help="table, json, yaml or plain (default: table)",
        ),
    ),
)
_MARK = ActionCommand(
    name="mark",
    help="Mark a partition as an incident: what was measured on it is no history",
    func=mark,
    args=(
        TABLE,
        CONN_ID,
        arg(
            "--partition",
            nargs="+",
            type=key_value,
            metavar="COLUMN=VALUE",
            help="the partition (default: the whole table, as it was measured today)",
        ),
        arg("--metric", help="only this metric, as recorded or as mean:dep_delay (default: all)"),
        arg("--note", help="why, for people to read"),
        arg("--remove", action="store_true", help="take it back"),
        LEDGER_SCHEMA,
        LEDGER_CONN_ID,
    ),
)
_PLOT = ActionCommand(
    name="plot",
    help="Draw a metric: its values, what was expected of each, and the anomalies",
    func=plot,
    args=(
        TABLE,
        arg("metric", help='as recorded, "mean(dep_delay)", \'row_count {"origin": "JFK"}\', or as mean:dep_delay'),
        CONN_ID,
        NEWEST,
        LAST,
        *BASELINE,
        LEDGER_SCHEMA,
        LEDGER_CONN_ID,
        arg("-o", "--output", metavar="FILE", required=True, help="the file to write: .png, .svg or .pdf"),
    ),
)


def get_dq_commands() -> list[GroupCommand]:
    """The command group, for Airflow's provider manager."""
    return [
        GroupCommand(
            name="dq",
            help="Maintain what the data quality operators publish, and what they know of the past",
            subcommands=(_SWEEP, _ROLLBACK, _EXAMPLES, _BACKTEST, _MARK, _PLOT),
        )
    ]
