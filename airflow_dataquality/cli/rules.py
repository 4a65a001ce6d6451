"""``lint`` and ``suggest``: rule sets, read and proposed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.cli.cli_config import ActionCommand

from airflow_dataquality.cli.arguments import CONN_ID, LEDGER_CONN_ID, LEDGER_SCHEMA, TABLE, arg
from airflow_dataquality.cli.projects import DIALECT
from airflow_dataquality.cli.running import DONE, FAILED, JSON, command, counted, print_json

if TYPE_CHECKING:
    from airflow_dataquality.lint import Finding


@command
def lint(args: argparse.Namespace) -> int:
    """Read rule sets and folders of transforms, without a database, and say what is wrong with them."""
    from airflow_dataquality import lint as linter

    found: list[linter.Finding] = []
    read = {"file": 0, "transform": 0}
    for place in args.files:
        if Path(place).is_dir():
            of_folder, count = _folder(place, args.dialect)
            found, read["transform"] = [*found, *of_folder], read["transform"] + count
        else:
            found, read["file"] = [*found, *linter.lint(place)], read["file"] + 1
    errors = sum(finding.severity == linter.ERROR for finding in found)
    warnings = len(found) - errors
    if args.json:
        print_json(
            {
                "files": read["file"],
                **({"transforms": read["transform"]} if read["transform"] else {}),
                "errors": errors,
                "warnings": warnings,
                "findings": [finding.as_dict() for finding in found],
            }
        )
    else:
        for finding in found:
            print(finding)
        looked = ", ".join(counted(count, what) for what, count in read.items() if count)
        print(f"{looked or '0 transforms'}: {counted(errors, 'error')}, {counted(warnings, 'warning')}")
    return FAILED if errors or (args.strict and warnings) else DONE


def _folder(place: str, dialect: str) -> tuple[list[Finding], int]:
    """What is wrong with a folder of transforms, and how many there are."""
    from airflow_dataquality.errors import SpecError
    from airflow_dataquality.spec import SUFFIXES
    from airflow_dataquality.transforms import linting, load

    try:
        project = load(place, dialect=dialect)
    except SpecError as error:
        hint = f"{error.hint}; or name a rule set: its name should end in {', '.join(SUFFIXES)}"
        raise SpecError(error.message, hint=hint) from error
    return linting.lint(project), len(project.transforms)


@command
def suggest(args: argparse.Namespace) -> None:
    """Profile a table, and propose rules that its rows pass."""
    from airflow_dataquality.suggest import suggest as propose
    from airflow_dataquality.suggest import write

    found = propose(
        args.conn_id, args.table, partition_column=args.partition_column, where=args.where, last=args.last,
        ledger_schema=args.ledger_schema, ledger_conn_id=args.ledger_conn_id,
    )  # fmt: skip
    for note in found.notes:
        print(f"Note: {note}", file=sys.stderr)
    text = found.as_yaml()
    if args.output:
        write(Path(args.output), text, force=args.force)
    if args.json:
        print_json({**found.as_dict(), "output": args.output})
    elif args.output:
        print(f"{args.output}: {counted(len(found.proposals), 'rule')} of {found.described}")
    else:
        print(text, end="")


COMMANDS = (
    ActionCommand(
        name="lint",
        help="Read rule sets or transforms, without a database, and say what is wrong with them or suspicious",
        func=lint,
        args=(
            arg("files", metavar="FILE", nargs="+", help="rule sets: YAML or JSON files; folders of transforms"),
            arg("--strict", action="store_true", help="warnings are errors"),
            DIALECT,
            JSON,
        ),
    ),
    ActionCommand(
        name="suggest",
        help="Profile a table, and propose rules that its rows pass, as YAML to edit",
        func=suggest,
        args=(
            TABLE,
            CONN_ID,
            arg("--partition-column", metavar="COLUMN", help="rules for one partition, from the past of all of them"),
            arg("--where", metavar="PREDICATE", help="profile these rows alone, in the database's SQL"),
            arg("--last", type=int, default=90, help="how many partitions, the newest (default: 90)"),
            arg("--output", "-o", metavar="FILE", help="write the rules into this file, not to stdout"),
            arg("--force", action="store_true", help="overwrite the file"),
            LEDGER_SCHEMA,
            LEDGER_CONN_ID,
            JSON,
        ),
    ),
)
