"""Commands of ``airflow dq``, run in this process."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_dataquality import cli


def parse(*arguments: str) -> argparse.Namespace:
    """Parse a command line of the group, with the arguments as Airflow would add them."""
    parser = argparse.ArgumentParser(prog="airflow dq")
    commands = parser.add_subparsers(required=True)
    (group,) = cli.get_dq_commands()
    for command in group.subcommands:
        subparser = commands.add_parser(command.name)
        subparser.set_defaults(func=command.func)
        for argument in command.args:
            argument.add_to_parser(subparser)
    return parser.parse_args(arguments)


def run(*arguments: str) -> None:
    """Run a command, which raises SystemExit unless all is well."""
    namespace = parse(*arguments)
    namespace.func(namespace)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> Done:
    """Run a command, and say how it ended."""
    capsys.readouterr()
    code: Any = 0
    try:
        run(*arguments)
    except SystemExit as exit_:
        code = exit_.code or 0
    return Done(code, *capsys.readouterr())
