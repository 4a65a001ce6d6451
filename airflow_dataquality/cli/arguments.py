"""What the commands of ``airflow dq`` take, and how it is read."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

from airflow.cli.cli_config import Arg

from airflow_dataquality.baseline import DIRECTIONS, METHODS, THRESHOLD


def duration(text: str) -> timedelta:
    """Read ``90s``, ``15m``, ``26h``, ``7d`` or ``2w``, as the operators do.

    >>> duration("7d")
    datetime.timedelta(days=7)
    """
    return timedelta(seconds=seconds(text))


def seconds(text: str) -> float:
    """The same in seconds; a number alone is seconds.

    >>> seconds("15m"), seconds("2")
    (900.0, 2.0)
    """
    from airflow_dataquality.errors import SpecError
    from airflow_dataquality.grammar import seconds as read

    try:
        return read(float(text) if text.replace(".", "", 1).isdigit() else text, "duration")
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


def key_or_newest(text: str) -> tuple[str, str | None]:
    """Read one column of a partition's key; a column alone stands for its newest value.

    >>> key_or_newest("ds=2013-02-01"), key_or_newest("ds")
    (('ds', '2013-02-01'), ('ds', None))
    """
    return key_value(text) if "=" in text else (text, None)


def days(text: str) -> tuple[str, str]:
    """Read a date, or the first and the last of several.

    >>> days("2013-12-25"), days("2013-12-24..2013-12-26")
    (('2013-12-25', '2013-12-25'), ('2013-12-24', '2013-12-26'))
    """
    first, _, last = text.partition("..")
    return first, last or first


def arg(*flags: str, **kwargs: Any) -> Arg:
    """An argument, as argparse takes it."""
    return Arg(flags, **kwargs)  # type: ignore[no-untyped-call]


TABLE = arg("table", help="schema.table, quoted as in SQL")
CONN_ID = arg("--conn-id", default="warehouse", help="the warehouse's connection (default: warehouse)")
LEDGER_SCHEMA = arg("--ledger-schema", default="dataquality", help="the ledger's schema (default: dataquality)")

LEDGER_CONN_ID = arg("--ledger-conn-id", metavar="CONN_ID", help="the ledger's connection, if it is another")
PARTITION = arg(
    "--partition", nargs="+", type=key_value, metavar="COLUMN=VALUE", help="this partition, not the whole table"
)
RULES = arg("--rules", nargs="+", metavar="FILE", required=True, help="rule sets: YAML or JSON files")
PARAM = arg(
    "--param", nargs="+", type=key_value, metavar="NAME=VALUE",
    help="variables of templates in the files; the columns of --partition are variables, too",
)  # fmt: skip
FAIL_ON = arg(
    "--fail-on", choices=("error", "warn", "never"), default="error", metavar="SEVERITY",
    help="from which severity on a check outside its interval is a failure: error, warn or never (default: error)",
)  # fmt: skip
NEWEST = arg(
    "--partition",
    nargs="+",
    type=key_or_newest,
    metavar="COLUMN[=VALUE]",
    help="the last partition to look at; a column alone is its newest (default: the whole table, as it was measured)",
)
LAST = arg("--last", "--days", type=int, default=90, help="how many partitions up to it (default: 90)")
BASELINE = (
    arg("--baseline", default="auto", help=f"{', '.join(METHODS)} (default: auto)"),
    arg("--threshold", type=float, help=f"standard deviations (default: {THRESHOLD:g})"),
    arg("--direction", help=f"{', '.join(DIRECTIONS)} (default: both)"),
    arg("--window", type=int, help="how many periods of history each value is judged by (default: 90)"),
    arg("--min-history", type=int, help="with fewer values than that, it is not judged (default: 14)"),
    arg("--holidays", metavar="COUNTRY", help="leave out the public holidays of a country: US, US-NY"),
    arg("--exclude", nargs="+", type=days, metavar="DATE[..DATE]", help="leave out these dates"),
    arg("--history", default="auto", help="ledger, table, or auto: the table for what the ledger does not know"),
)
