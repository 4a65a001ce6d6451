"""What the pages about tables share: which table an address means, what of it may be seen, and where there is more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException, Request

from airflow_dataquality.engine import detail
from airflow_dataquality.engine.board import Entry
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.model import Table
from airflow_dataquality.ui.access import Who
from airflow_dataquality.ui.render import link, moment
from airflow_dataquality.ui.render import partition as partition_in_words
from airflow_dataquality.ui.warehouses import reading


@dataclass(frozen=True)
class About:
    """A table, of which the reader may see something.

    :param hidden: the DAGs whose runs of it they may not see
    """

    ledger: Ledger
    table: Table
    hidden: frozenset[str | None]
    who: Who


@contextmanager
def about(conn_id: str, table: str, who: Who) -> Iterator[About]:
    """Open the ledger of an address, to read of one table.

    :raises HTTPException: 404 if nothing is known of it, or nothing that they may see
    """
    named = table_named(table)
    with reading(conn_id) as ledger:
        hidden = detail.hidden_of(ledger, named, who.may_read)
        if hidden is None:
            raise HTTPException(404, f"Nothing is recorded of {named}, or nothing that you may see.")
        yield About(ledger, named, frozenset(hidden), who)


def sees(who: Who) -> Callable[[str | None], bool]:
    """Whether they may see what a DAG recorded: with one question for all DAGs, as there may be thousands."""
    readable = who.readable

    def asked(dag_id: str | None) -> bool:
        return who.may_read(None) if dag_id is None else readable is None or dag_id in readable

    return asked


def cells(request: Request, conn_id: str, entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """Runs of a table as cells of a strip: what became of each, when, and where there is more."""
    found, base = [], ""
    for entry in entries:
        when, status = moment(entry.at), entry.status
        title = f"{when:%Y-%m-%d %H:%M} UTC, {partition_in_words(entry.partition)}: {entry.words}"
        if status == "blocked":
            href = address(request, conn_id, entry)
        else:
            base = base or link(request, "table", conn_id=conn_id, table=str(entry.table))  # there may be thousands
            href = f"{base}?{urlencode({'partition': entry.partition})}"
        found.append({"status": status, "title": title, "href": href})
    return found


def address(request: Request, conn_id: str, entry: Entry) -> str:
    """Where there is more of a run: the page of the blocked publication, or that of the partition."""
    if entry.status == "blocked":
        return link(request, "blocked", {"table": str(entry.table)}, conn_id=conn_id, run_uid=entry.run_uid)
    return link(request, "table", {"partition": entry.partition}, conn_id=conn_id, table=str(entry.table))


def table_named(name: str) -> Table:
    """The table of an address, whose names are exact: nothing is folded.

    :raises SpecError: if it is no name
    """
    return Table.parse(name, str)
