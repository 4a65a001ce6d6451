"""``history``: what the ledger knows of a table."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import CONN_ID, LEDGER_CONN_ID, LEDGER_SCHEMA, PARTITION, TABLE, arg
from airflow_dataquality.cli.running import JSON, command, print_json, show


@command
def history(args: argparse.Namespace) -> None:
    """Print what was published of a table, and what its checks found."""
    from airflow_dataquality import past

    found = past.history(
        args.conn_id, args.table, args.check, partition=dict(args.partition or ()),
        partition_column=args.partition_column, limit=args.limit, ledger_schema=args.ledger_schema,
        ledger_conn_id=args.ledger_conn_id,
    )  # fmt: skip
    if args.json:
        print_json(found)
        return
    if found["publications"]:
        print(f"Published of {found['table']}, the newest first:\n")
        show([_publication(row) for row in found["publications"]])
    if found["publications"] and found["results"]:
        print()
    if found["results"]:
        print(f"Results of {found['check'] or 'the checks'} on {found['table']}, the newest first:\n")
        show([_result(row, named=found["check"] is None) for row in found["results"]])


def _publication(row: Mapping[str, Any]) -> dict[str, Any]:
    counts = ("mode", "rows", "score", "passed", "warned", "failed", "skipped")
    known = {name: row[name] for name in counts}
    return {"published": _time(row["published_at"]), "partition": row["partition"], **known, "by": _task(row)}


def _result(row: Mapping[str, Any], *, named: bool) -> dict[str, Any]:
    return {
        "checked": _time(row["checked_at"]),
        "partition": row["partition"],
        **({"check": row["check_name"]} if named else {}),
        "status": row["status"],
        "value": row["value"] if row["value"] is not None else row["value_text"],
        "expected": row["interval"],
        "by": _task(row),
    }


def _time(value: Any) -> str:
    """To the second."""
    return str(value)[: len("2013-02-01 00:00:00")]


def _task(row: Mapping[str, Any]) -> str | None:
    return f"{row['dag_id']}.{row['task_id']}" if row["dag_id"] else None


COMMANDS = (
    ActionCommand(
        name="history",
        help="Print what the ledger knows of a table: publications and results, the newest first",
        func=history,
        args=(
            TABLE,
            arg("check", metavar="CHECK", nargs="?", help="the results of this check alone"),
            CONN_ID,
            PARTITION,
            arg(
                "--partition-column", metavar="COLUMN",
                help="of partitions by this column, the last partition first, and not what was done last",
            ),
            arg("--limit", type=int, default=20, metavar="N", help="rows of each kind, at most (default: 20)"),
            LEDGER_SCHEMA,
            LEDGER_CONN_ID,
            JSON,
        ),
    ),
)  # fmt: skip
