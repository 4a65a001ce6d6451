"""``sweep``, ``rollback`` and ``examples``: what is done by hand beside the DAGs."""

from __future__ import annotations

import argparse
from pathlib import Path

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import CONN_ID, LEDGER_SCHEMA, PARTITION, TABLE, arg, duration
from airflow_dataquality.cli.running import JSON, command, counted, print_json, shown


@command
def sweep(args: argparse.Namespace) -> None:
    """Remove staging and backup tables that no live run owns."""
    from airflow_dataquality import maintenance

    removed = maintenance.sweep(args.conn_id, schema=args.schema, ttl=args.ttl, dry_run=args.dry_run)
    if args.json:
        print_json({"tables": removed, "removed": not args.dry_run})
        return
    for table in removed:
        print(table)
    print(f"{counted(len(removed), 'table')} {'would be ' if args.dry_run else ''}removed")


@command
def rollback(args: argparse.Namespace) -> None:
    """Publish the previous version of a table again."""
    from airflow_dataquality import maintenance

    partition = dict(args.partition) if args.partition else None
    summary = maintenance.rollback(
        args.conn_id, args.table, partition=partition, ledger_schema=args.ledger_schema, dry_run=args.dry_run
    )
    if args.json:
        print_json(summary)
        return
    for key, value in summary.items():
        print(f"{key}: {shown(value)}")


@command
def examples(args: argparse.Namespace) -> None:
    """Copy the example DAGs, and the SQL and rule sets they use, into a DAG folder."""
    from airflow_dataquality import examples as files

    copied = files.copy(Path(args.directory), force=args.force)
    if args.json:
        print_json({"files": list(map(str, copied))})
        return
    for file in copied:
        print(file)


COMMANDS = (
    ActionCommand(
        name="rollback",
        help="Publish the previous version of a table again",
        func=rollback,
        args=(
            TABLE,
            CONN_ID,
            PARTITION,
            LEDGER_SCHEMA,
            arg("--dry-run", action="store_true", help="say which version would be published, and publish nothing"),
            JSON,
        ),
    ),
    ActionCommand(
        name="sweep",
        help="Remove staging and backup tables that no live run owns",
        func=sweep,
        args=(
            CONN_ID,
            arg("--schema", help="look in this schema alone (default: every schema)"),
            arg("--ttl", type=duration, default="7d", help="keep rejected rows for this long (default: 7d)"),
            arg("--dry-run", action="store_true", help="list what would be removed, and remove nothing"),
            JSON,
        ),
    ),
    ActionCommand(
        name="examples",
        help="Copy the example DAGs into a DAG folder",
        func=examples,
        args=(
            arg("directory", metavar="DIR", help="the DAG folder; created if it does not exist"),
            arg("--force", action="store_true", help="overwrite files that are already there"),
            JSON,
        ),
    ),
)
