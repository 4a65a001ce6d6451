"""What the commands about transforms take, and the project that they read."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from airflow_dataquality.cli.arguments import arg
from airflow_dataquality.cli.running import counted

if TYPE_CHECKING:
    from airflow_dataquality.transforms.graph import Project
    from airflow_dataquality.transforms.model import Transform

FOLDER = arg("--folder", default="transforms", metavar="DIR", help="the folder of pipelines (default: transforms)")
DIALECT = arg(
    "--dialect", choices=("postgres", "redshift"), default="postgres", metavar="NAME",
    help="of the SQL: postgres or redshift (default: postgres)",
)  # fmt: skip
_WORDS = "a pipeline, NAME, +NAME, NAME+, tag:WORD, owner:WORD, kind:WORD"
SELECTORS = arg("select", metavar="SELECT", nargs="*", help=f"{_WORDS} (default: all)")
SOME_SELECTORS = arg("select", metavar="SELECT", nargs="+", help=_WORDS)
TAG = arg("--tag", nargs="+", metavar="WORD", help="of these, those with one of these tags")
DATE = arg("--date", metavar="DAY", help="the day of the run (default: yesterday, in UTC)")


def loaded(args: argparse.Namespace) -> Project:
    """The project in the folder.

    :raises SpecError: if there is none
    """
    from airflow_dataquality.errors import SpecError
    from airflow_dataquality.transforms import load

    try:
        return load(args.folder, dialect=args.dialect)
    except SpecError as error:
        raise SpecError(error.message, hint=f"name the folder of pipelines with --folder; {error.hint}") from error


def selected(project: Project, args: argparse.Namespace) -> list[Transform]:
    """The transforms that the arguments select, each after those that it reads.

    :raises SpecError: with candidates, if one selects nothing
    """
    chosen = project.select(
        *args.select, start=_within(project, args.select, getattr(args, "start", None)),
        end=_within(project, args.select, getattr(args, "end", None)), tags=args.tag or (),
    )  # fmt: skip
    if not chosen:
        from airflow_dataquality.errors import SpecError

        given = [*args.select, *(f"--tag {tag}" for tag in args.tag or ())]
        raise SpecError(f"no transform is {' and '.join(given)}", hint="`airflow dq ls` lists what there is")
    return chosen


def _within(project: Project, selectors: Sequence[str], name: str | None) -> str | None:
    """A name, which means the one in the pipeline that is selected."""
    if name is None or len(selectors) != 1 or selectors[0] not in project.pipelines:
        return name
    bare = name.removesuffix(".sql").removesuffix(".yaml")
    full = f"{selectors[0]}.{bare}"
    return full if full in project.transforms else name


def note_mistakes(project: Project) -> None:
    """Say that there are mistakes, and what tells of them."""
    if project.mistakes:
        folder = project.folder
        print(f"Note: {counted(len(project.mistakes), 'mistake')}: see airflow dq lint {folder}", file=sys.stderr)


def day_of(text: str | None) -> str:
    """The day of a run.

    :raises SpecError: if the text is none

    >>> day_of("2013-02-01")
    '2013-02-01'
    """
    from datetime import UTC, date, datetime, timedelta

    from airflow_dataquality.errors import SpecError

    if text is None:
        return (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise SpecError(f"{text!r} is no day", hint="write --date 2013-02-01") from None


def named(transforms: Iterable[Transform]) -> str:
    """Names, in a line.

    >>> named([])
    'none'
    """
    return ", ".join(each.name for each in transforms) or "none"
