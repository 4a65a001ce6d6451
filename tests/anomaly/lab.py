"""What the tests of anomalies share: tables of many days, baselines without surprises, and what was sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.model import Metric, Partition, Table
from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator
from airflow_dataquality.results import Measurement
from airflow_dataquality.stats.forecast import Forecast, to_scale
from airflow_dataquality.stats.robust import median
from support import Database

TODAY = date(2013, 5, 1)
COLUMNS = "ds date, id integer, origin text, delay double precision, late boolean"


def ago(days: int) -> date:
    """The day so many days before today."""
    return TODAY - timedelta(days=days)


def steady(past: Any, dates: Any, kinds: Any) -> Forecast:
    """The median of the past, give or take: a baseline whose verdicts a reader can foresee."""
    level = to_scale(median(past), kinds)
    scale = np.where(kinds == "count", 0.2, np.where(kinds == "rate", 0.1, 0.01 + 0.05 * np.abs(level)))
    known = np.isfinite(past).sum(1)
    return Forecast(level[None], scale[None], np.full(len(past), 1e6), kinds, known, ("the usual",))


def crafted(deviations: Sequence[float]) -> Callable[..., Forecast]:
    """A baseline by which the values of the tests lie so many sigma away, whatever they are worth."""

    def made(past: Any, dates: Any, kinds: Any) -> Forecast:
        now = to_scale(past[:, -1], kinds)
        level = now - np.array(deviations)
        return Forecast(level[None], np.ones((1, len(past))), np.full(len(past), 1e9), kinds,
                        np.isfinite(past).sum(1), ("crafted",))  # fmt: skip

    return made


def make(database: Database, columns: str = COLUMNS, *, table: Table = Table("flights")) -> None:  # noqa: B008 - frozen
    database.session.execute(f"CREATE TABLE {database.session.dialect.table(table)} ({columns})")


def insert(database: Database, rows: Iterable[Sequence[Any]], *, table: Table = Table("flights")) -> None:  # noqa: B008
    sql = database.session.dialect
    values = ", ".join(f"({', '.join(map(sql.literal, row))})" for row in rows)
    database.session.execute(f"INSERT INTO {sql.table(table)} VALUES {values}")


def day(when: Any, rows: int = 10, *, delay: float | None = 5.0, origin: str | None = "EWR") -> list[tuple[Any, ...]]:
    """The rows of a day, a tenth of them without an origin, half of them late."""
    return [(when, number, None if number % 10 == 9 else origin, delay, bool(number % 2)) for number in range(rows)]


def days(database: Database, last: int, first: int = 40, **arguments: Any) -> None:
    """Insert the same rows for many days, from ``first`` to ``last`` days ago."""
    insert(database, [row for n in range(first, last - 1, -1) for row in day(ago(n), **arguments)])


def look(database: Database, **arguments: Any) -> dict[str, Any]:
    """Run the operator as a unit test or a notebook does: with an empty context."""
    defaults: dict[str, Any] = {"table": "flights", "partition": {"ds": TODAY}, "baseline": steady, "fdr": None,
                                "threshold": 3.5}  # fmt: skip
    operator = ZScoreAnomalyOperator(
        task_id="look", conn_id=arguments.pop("conn_id", database.conn_id), **{**defaults, **arguments}
    )
    return operator.execute({})


def verdicts(outcome: dict[str, Any]) -> dict[str, Any]:
    """What was said of each test, by its name."""
    return {test["name"]: test for test in outcome["tests"]}


def statuses(outcome: dict[str, Any]) -> dict[str, str]:
    return {test["name"]: test["status"] for test in outcome["tests"]}


def describe(database: Database, **arguments: Any) -> dict[str, Any]:
    """Record the statistics of a table."""
    defaults: dict[str, Any] = {"partition": {"ds": TODAY}}
    if "tables" not in arguments:
        defaults["table"] = "flights"
    operator = TableStatisticsOperator(task_id="describe", conn_id=database.conn_id, **{**defaults, **arguments})
    return operator.execute({})


def recorded(database: Database, table: str, columns: str) -> list[tuple[Any, ...]]:
    """Rows of the ledger."""
    name = database.session.dialect.table(Ledger(database.session).table(table))
    return [tuple(row) for row in database.session.query(f"SELECT {columns} FROM {name}")]


def place(database: Database, key: dict[str, Any] | None, table: str = "flights") -> Partition:
    """A partition as the ledger of the database spells it."""
    return Partition.of(Table(table, None if database.kind == "sqlite" else "public"), key)


def remember(
    database: Database, values: dict[Any, Any], metric: str = "row_count", *, key: Callable[[Any], Any] | None = None
) -> None:
    """Write a past into the ledger: values by date, or by what ``key`` makes a key of."""
    ledger = Ledger(database.session)
    ledger.ensure()
    for when, value in values.items():
        where = place(database, key(when) if key else {"ds": str(when)})
        ledger.record_metrics(Run(), where, {Metric(metric): Measurement(value)}, state="observed")


def sent(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The statements that read a table or the ledger, and those that write the ledger."""
    said = [record.getMessage() for record in caplog.records if record.name == "airflow_dataquality.hooks.session"]
    boring = ("pg_catalog", "pg_class", "information_schema", "pragma_", "ledger_version", "SVV_", "svv_")
    return [
        sql for sql in said
        if sql.startswith(("SELECT\n", 'SELECT "', "INSERT", "WITH")) and not any(word in sql for word in boring)
    ]  # fmt: skip


def listen(caplog: pytest.LogCaptureFixture) -> None:
    """Hear every statement from now on."""
    caplog.clear()
    caplog.set_level(logging.DEBUG, logger="airflow_dataquality.hooks.session")
