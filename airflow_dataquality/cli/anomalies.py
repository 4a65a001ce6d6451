"""``backtest``, ``mark`` and ``plot``: what people do by hand about anomalies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import (
    BASELINE,
    CONN_ID,
    LAST,
    LEDGER_CONN_ID,
    LEDGER_SCHEMA,
    NEWEST,
    TABLE,
    arg,
    key_value,
)
from airflow_dataquality.cli.running import JSON, command, counted, print_json, show, shown


@command
def backtest(args: argparse.Namespace) -> None:
    """Replay tests on the last partitions, and say on which days they would have fired."""
    from airflow_dataquality import anomalies

    found = anomalies.backtest(
        _place(args), metrics=args.metrics or "auto", baseline=_baseline(args), columns=args.columns
    )
    for note in found["notes"]:
        print(f"Note: {note}", file=sys.stderr)
    if args.json or args.output == "json":
        print_json(found)
        return
    if args.output == "yaml":
        import yaml

        print(yaml.safe_dump(found, sort_keys=False, allow_unicode=True), end="")
        return
    key = shown(found["partition"]) or "today"
    print(f"{found['table']}, the last {found['periods']} partitions up to {key}; {found['baseline']}\n")
    _show_tests(found, plainly=args.output == "plain")


def _show_tests(found: Any, *, plainly: bool) -> None:
    tests = [
        {
            "test": test["name"],
            "judged": test["judged"],
            "alarms": test["alarms"],
            "a year": test["a_year"],
            **{f"at {level}": count for level, count in test["at"].items()},
        }
        for test in found["tests"]
    ]
    show(tests, plainly=plainly)
    if found["alarms"]:
        numbers = ("value", "expected", "score")
        print()
        show([alarm | {name: f"{alarm[name]:.4g}" for name in numbers} for alarm in found["alarms"]], plainly=plainly)
    elif any(test["judged"] for test in found["tests"]):
        print("\nNothing would have fired.")


@command
def mark(args: argparse.Namespace) -> None:
    """Say that what was measured on a partition is an incident, and no history."""
    from airflow_dataquality import anomalies

    done = anomalies.mark(_place(args), metric=args.metric, note=args.note, remove=args.remove)
    if args.json:
        print_json({**done, "removed": args.remove})
        return
    what = f"{done['metric'] or 'everything'} of {done['table']}"
    key = shown(done["partition"]) or "today"
    if args.remove:
        print(f"{what}, {key}, is history again ({counted(done['rows'], 'mark')} removed)")
    else:
        print(f"{what}, {key}, is marked as an incident, and no history from now on")


@command
def plot(args: argparse.Namespace) -> None:
    """Draw a metric: its values, what was expected, and the anomalies."""
    from airflow_dataquality import plot as drawing

    file = Path(args.output)
    drawn = drawing.plot(_place(args), args.metric, file, baseline=_baseline(args))
    dates = [str(when) for when, outside in zip(drawn.days, drawn.outside, strict=True) if outside]
    if args.json:
        print_json({"file": str(file), "partitions": len(drawn.when), "anomalies": dates})
        return
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
        JSON,
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
        JSON,
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
        JSON,
    ),
)
COMMANDS = (_BACKTEST, _MARK, _PLOT)
