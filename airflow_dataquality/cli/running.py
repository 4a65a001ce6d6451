"""How a command ends, and what it prints: exit codes, errors, tables, JSON."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import wraps
from typing import Any

from airflow_dataquality.cli.arguments import arg

DONE, FAILED, IMPOSSIBLE = 0, 1, 2
"""Exit codes: nothing to complain of; checks failed, or errors were found; it could not be done at all."""
UNREAD = 141
"""As a shell has it of a program that SIGPIPE ended."""

JSON = arg("--json", action="store_true", help="print JSON, and nothing else, on stdout")

_COLOURS = {"pass": "green", "warn": "yellow", "fail": "red", "error": "red", "skip": "dim"}


def command(function: Callable[[argparse.Namespace], int | None]) -> Callable[[argparse.Namespace], None]:
    """Exit with the code that the function returns, or print what went wrong, with its hint, and exit with 2."""

    @wraps(function)
    def run(args: argparse.Namespace) -> None:
        try:
            with logs_on_stderr():
                code = function(args)
        except BrokenPipeError:  # whoever read the output has seen enough, as `head` has
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(UNREAD) from None
        except Exception as error:
            message, hint = _told(error)
            print(f"Error: {message}" + (f"\nHint: {hint}" if hint else ""), file=sys.stderr)
            if getattr(args, "json", False):
                print_json({"error": message, "hint": hint})
            raise SystemExit(IMPOSSIBLE) from error
        if code:
            raise SystemExit(code)

    return run


@contextlib.contextmanager
def logs_on_stderr() -> Iterator[None]:
    """Keep stdout for what a command prints: Airflow logs there, through the root logger and through structlog."""
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stdout
    ]
    factory = sys.modules["structlog"].get_config()["logger_factory"] if "structlog" in sys.modules else None
    native = getattr(factory, "io", sys.stderr) is None
    for handler in handlers:
        handler.setStream(sys.stderr)
    if native:
        vars(factory)["io"] = sys.stderr
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(sys.stdout)
        if native:
            vars(factory)["io"] = None


def _told(error: Exception) -> tuple[str, str | None]:
    """What to say of an error, and what to do about it; of one that nobody foresaw, where it happened."""
    from airflow_dataquality.engine.said import database_error, said
    from airflow_dataquality.errors import DataQualityError

    if isinstance(error, DataQualityError):
        return error.message, error.hint
    if said(error).sqlstate is not None or _of_driver(error):
        known = database_error("the database refused", error)
        return known.message, known.hint
    traceback.print_exception(error, file=sys.stderr)
    return f"{type(error).__name__}: {error}", "this is a mistake in the package: report it with the lines above"


def _of_driver(error: Exception) -> bool:
    """Whether it is an exception of a DB-API driver: https://peps.python.org/pep-0249/#exceptions."""
    return any(kind.__name__ in ("DatabaseError", "InterfaceError") for kind in type(error).__mro__)


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers and texts, and what is neither as text.

    >>> from datetime import date
    >>> plain([Decimal("1.50"), Decimal(2), date(2013, 2, 1), float("inf")])
    [1.5, 2, '2013-02-01', 'inf']
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def print_json(document: Any) -> None:
    """Print a document as strict JSON."""
    print(json.dumps(plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def show(rows: Sequence[Mapping[str, Any]], *, plainly: bool = False) -> None:
    """Print rows as a table: in a terminal fitted to it, with colours; elsewhere with nothing cut or coloured.

    :param rows: each with the same keys, which are the headings
    :param plainly: as if there were no terminal
    """
    if not rows:
        return
    texts = [[shown(value) for value in row.values()] for row in rows]
    if plainly or not sys.stdout.isatty():
        numeric = [all(isinstance(row[key], int | float | None) for row in rows) for key in rows[0]]
        print("\n".join(_aligned([list(rows[0]), *texts], numeric)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for cells in texts:
        table.add_row(*(Text(text, style=_COLOURS.get(text, "")) for text in cells))
    Console().print(table)  # NO_COLOR is rich's to respect: https://no-color.org


def _aligned(lines: Sequence[Sequence[str]], numeric: Sequence[bool]) -> Iterable[str]:
    from rich.cells import cell_len

    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for number, line in enumerate(lines):
        cells = (
            " " * (width - cell_len(text)) + text if right else text + " " * (width - cell_len(text))
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        yield "  ".join(cells).rstrip()
        if not number:
            yield "  ".join("-" * width for width in widths)


def shown(value: Any) -> str:
    """A value in a cell: on one line.

    >>> shown(None), shown(1234.5), shown("a" + chr(10) + "b"), shown({"ds": "2013-02-01"})
    ('', '1234.5', 'a b', 'ds=2013-02-01')
    """
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, float):
        return f"{value:.10g}"
    return " ".join(str(value).splitlines())


def counted(number: int, what: str) -> str:
    """A number of things.

    >>> counted(1, "table"), counted(2, "check")
    ('1 table', '2 checks')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
