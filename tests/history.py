"""A table with a past, for the tests of what looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, timedelta

from airflow_dataquality.hooks.session import DbApiSession

FIRST = date(2024, 1, 1)
DAYS = 120


def day(number: int) -> str:
    """The date of a day, counted from 0; -1 is the last."""
    return (FIRST + timedelta(days=number % DAYS)).isoformat()


def usual(number: int) -> int:
    """Rows of a usual day: about 40, with nothing that repeats."""
    return 36 + number * number * 7 % 11


def fill(
    session: DbApiSession,
    *,
    rows: Callable[[int], int] = usual,
    days: Iterable[int] = range(DAYS),
    table: str = "orders",
) -> None:
    """Create ``orders`` with a row count for each day; of two shops, the second has every fourth row.

    :param rows: of a day, by its number
    """
    session.execute(f"CREATE TABLE {table} (ds DATE, shop VARCHAR(9), amount INTEGER)")
    with session.transaction():
        for number in days:
            values = ", ".join(
                f"('{day(number)}', '{'south' if row % 4 == 0 else 'north'}', {'NULL' if row % 10 == 0 else row})"
                for row in range(rows(number))
            )
            session.execute(f"INSERT INTO {table} VALUES {values}")
