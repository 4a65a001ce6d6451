"""The warehouses that an administrator allowed the pages to open, and opening them."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow.providers.common.compat.sdk import conf

from airflow_dataquality.engine.ledger import VERSION, Ledger
from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, SpecError, did_you_mean
from airflow_dataquality.hooks.allowed import SECTION, allowed, listed
from airflow_dataquality.hooks.connections import hook_of
from airflow_dataquality.hooks.session import DbApiSession, open_session
from airflow_dataquality.model import Table

LEDGER_SCHEMA = "dataquality"
STATEMENT_TIMEOUT = 10.0
ROW_LIMIT = 500
HOW = "in airflow.cfg: [airflow_dataquality] connections = warehouse, or AIRFLOW__AIRFLOW_DATAQUALITY__CONNECTIONS"


class UnknownWarehouse(DataQualityError):
    """The pages may not use this connection."""


class WarehouseDown(DataQualityError):
    """The database cannot be reached, or refuses.

    :param detail: what it said, which is for those who administrate connections
    """

    def __init__(self, message: str, *, detail: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.detail = detail


class NoLedger(DataQualityError):
    """Nothing was recorded there yet, or by an older version of the package."""


@dataclass(frozen=True)
class Warehouse:
    """A connection whose ledger is shown.

    :param ledger_schema: schema of its ledger
    """

    conn_id: str
    ledger_schema: str = LEDGER_SCHEMA


def warehouses() -> list[Warehouse]:
    """Those that the configuration names; none if it names none.

    :raises SpecError: if it names a connection twice
    """
    found: dict[str, Warehouse] = {}
    for conn_id, schema in allowed():
        if conn_id in found:
            raise SpecError(f"connection {conn_id!r} is configured twice", hint=HOW)
        found[conn_id] = Warehouse(conn_id, schema or LEDGER_SCHEMA)
    return list(found.values())


def warehouse_of(conn_id: str) -> Warehouse:
    """The warehouse of an address.

    :raises UnknownWarehouse: if the pages may not use this connection
    """
    known = {warehouse.conn_id: warehouse for warehouse in warehouses()}
    if conn_id not in known:
        raise UnknownWarehouse(
            f"these pages may not use the connection {conn_id!r}",
            hint=did_you_mean(conn_id, known, label="Allowed") + f". An administrator allows more {HOW}",
        )
    return known[conn_id]


@contextlib.contextmanager
def reading(warehouse: Warehouse | str) -> Iterator[Ledger]:
    """The ledger of a warehouse, over a session that may only read, and not for long.

    :param warehouse: or the ``conn_id`` of an address
    :raises UnknownWarehouse: if the pages may not use the connection
    :raises WarehouseDown: if the database cannot be reached
    :raises NoLedger: if nothing was recorded there yet
    """
    with _opened(warehouse) as ledger:
        session = ledger.session
        for statement in session.dialect.reading(statement_timeout()):
            session.execute(statement)
        _require_current(ledger)
        yield ledger


@contextlib.contextmanager
def writing(warehouse: Warehouse | str) -> Iterator[Ledger]:
    """The ledger of a warehouse, over a session that may write. Its tables are made, if there are none yet.

    :raises UnknownWarehouse: if the pages may not use the connection
    :raises WarehouseDown: if the database cannot be reached
    """
    with _opened(warehouse) as ledger:
        for statement in ledger.session.dialect.patience(statement_timeout()):
            ledger.session.execute(statement)
        ledger.ensure()
        yield ledger


@contextlib.contextmanager
def _opened(warehouse: Warehouse | str) -> Iterator[Ledger]:
    allowed = warehouse_of(warehouse if isinstance(warehouse, str) else warehouse.conn_id)
    with contextlib.ExitStack() as stack:
        try:
            session: DbApiSession = stack.enter_context(open_session(hook_of(allowed.conn_id)))
        except Exception as error:
            raise WarehouseDown(
                f"the database of the connection {allowed.conn_id!r} does not answer",
                detail=error.message if isinstance(error, DataQualityError) else str(said(error)),
                hint="try again in a minute; if it stays so, have an administrator look at the connection in Airflow",
            ) from error
        yield Ledger(session, allowed.ledger_schema)


def _require_current(ledger: Ledger) -> None:
    place = f"the schema {ledger.schema!r}"
    try:
        asked = ledger.dialect.select_max(ledger.table("ledger_version"), "version")
        found = int(ledger.session.query(asked)[0][0] or 0)
    except Exception:
        if ledger.session.columns(ledger.table("ledger_version")):
            raise
        found = 0
    if not found:
        raise NoLedger(
            f"nothing was recorded in {place} yet",
            hint="run a DAG with one of the package's operators, or name the ledger's schema in the configuration: "
            "connections = warehouse:schema",
        )
    if found < VERSION:
        raise NoLedger(
            f"the ledger in {place} has version {found}, and these pages read version {VERSION}",
            hint="the next run of one of the package's operators brings it up to date",
        )
    if found > VERSION:
        raise NoLedger(
            f"the ledger in {place} has version {found}, and these pages know up to {VERSION}",
            hint="upgrade airflow-provider-dataquality where Airflow's API server runs",
        )


def statement_timeout() -> float:
    """Seconds that a statement of a page may take."""
    return float(conf.getfloat(SECTION, "page_statement_timeout", fallback=STATEMENT_TIMEOUT))


def row_limit() -> int:
    """Rows that a page shows at most, of whatever it lists."""
    return int(conf.getint(SECTION, "page_row_limit", fallback=ROW_LIMIT))


def may_show(table: Table, column: str) -> bool:
    """Whether values of a column may be shown: it is on the list of sample columns, and not personal.

    Both lists hold ``schema.table.column``, ``table.column`` or ``column``, with ``*`` and ``?`` for what is any.
    """
    names = [column, f"{table.name}.{column}", f"{table.schema or ''}.{table.name}.{column}"]
    return _matches(names, listed("sample_columns")) and not is_personal(table, column)


def named_exactly(table: Table, column: str) -> bool:
    """Whether the list of sample columns names this very column, and not by a pattern."""
    name = f"{table.schema or ''}.{table.name}.{column}".lower()
    return name in (entry.lower() for entry in listed("sample_columns"))


def is_personal(table: Table, column: str) -> bool:
    """Whether a column is one of those whose values are never shown."""
    names = [column, f"{table.name}.{column}", f"{table.schema or ''}.{table.name}.{column}"]
    return _matches(names, listed("pii_columns"))


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns for name in names)
