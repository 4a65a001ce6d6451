"""``airflow dq``: what an operator of the warehouse does without a DAG.

Airflow imports this module for every ``airflow`` command, so each command imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand


def duration(text: str) -> timedelta:
    """Read ``90s``, ``15m``, ``26h``, ``7d`` or ``2w``, as the operators do.

    >>> duration("7d")
    datetime.timedelta(days=7)
    """
    from airflow_dataquality.errors import SpecError
    from airflow_dataquality.grammar import seconds

    try:
        return timedelta(seconds=seconds(text, "ttl"))
    except SpecError as error:
        raise argparse.ArgumentTypeError(f"{error.message}: write 90s, 15m, 26h, 7d or 2w") from error


def key_value(text: str) -> tuple[str, str]:
    """Read one column of a partition's key.

    >>> key_value("ds=2013-02-01")
    ('ds', '2013-02-01')
    """
    column, equals, value = text.partition("=")
    if not (column and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not COLUMN=VALUE, such as ds=2013-02-01")
    return column, value


def _explained(command: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """Print what went wrong, which carries its hint, rather than a traceback."""

    @wraps(command)
    def explained(args: argparse.Namespace) -> None:
        from airflow_dataquality.errors import DataQualityError

        try:
            command(args)
        except DataQualityError as error:
            print(f"Error: {error}", file=sys.stderr)
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


def _arg(*flags: str, **kwargs: Any) -> Arg:
    return Arg(flags, **kwargs)  # type: ignore[no-untyped-call]


_CONN_ID = _arg("--conn-id", default="warehouse", help="the warehouse's connection (default: warehouse)")
_LEDGER_SCHEMA = _arg("--ledger-schema", default="dataquality", help="the ledger's schema (default: dataquality)")

_SWEEP = ActionCommand(
    name="sweep",
    help="Remove staging and backup tables that no live run owns",
    func=sweep,
    args=(
        _CONN_ID,
        _arg("--schema", help="look in this schema alone (default: every schema)"),
        _arg("--ttl", type=duration, default="7d", help="keep rejected rows for this long (default: 7d)"),
        _arg("--dry-run", action="store_true", help="list what would be removed, and remove nothing"),
    ),
)
_ROLLBACK = ActionCommand(
    name="rollback",
    help="Publish the previous version of a table again",
    func=rollback,
    args=(
        _arg("table", help="schema.table, quoted as in SQL"),
        _CONN_ID,
        _arg(
            "--partition", nargs="+", type=key_value, metavar="COLUMN=VALUE", help="this partition, not the whole table"
        ),
        _LEDGER_SCHEMA,
        _arg("--dry-run", action="store_true", help="say which version would be published, and publish nothing"),
    ),
)
_EXAMPLES = ActionCommand(
    name="examples",
    help="Copy the example DAGs into a DAG folder",
    func=examples,
    args=(
        _arg("directory", metavar="DIR", help="the DAG folder; created if it does not exist"),
        _arg("--force", action="store_true", help="overwrite files that are already there"),
    ),
)


def get_dq_commands() -> list[GroupCommand]:
    """The command group, for Airflow's provider manager."""
    return [
        GroupCommand(
            name="dq",
            help="Stage, check and exchange: maintain what the data quality operators publish",
            subcommands=(_SWEEP, _ROLLBACK, _EXAMPLES),
        )
    ]
