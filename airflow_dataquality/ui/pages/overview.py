"""The overview: every table that the reader may see, open failures first.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from airflow_dataquality.engine import board
from airflow_dataquality.engine.board import TableState
from airflow_dataquality.engine.glance import Glance
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.ui.about import address, cells, sees
from airflow_dataquality.ui.access import Visitor, Who
from airflow_dataquality.ui.render import moment, page
from airflow_dataquality.ui.warehouses import NoLedger, Warehouse, WarehouseDown, reading, warehouses

router = APIRouter()

A_PAGE = 50
GROUPS = {
    "open": "Open failures",
    "settled": "Acknowledged or muted",
    "warn": "With warnings",
    "ok": "Healthy",
}
_ORDER = {group: place for place, group in enumerate(("open", "settled", "warn", "ok"))}
_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_glances: dict[Warehouse, Glance] = {}


@dataclass
class Shown:
    """A table of the list.

    :param ledger: that of its warehouse, open
    :param cells: its last runs, for the strip
    """

    warehouse: Warehouse
    ledger: Ledger
    state: TableState
    cells: list[dict[str, Any]]

    @property
    def published_at(self) -> datetime:
        """The last publication, in UTC."""
        published = self.state.published
        return (moment(published.at) if published else None) or _NEVER


@router.get("/")
def overview(
    request: Request,
    who: Visitor,
    q: str = "",
    status: str = "",
    sort: str = "",
    warehouse: str = "",
    number: Annotated[int, Query(alias="page", ge=1)] = 1,
) -> HTMLResponse:
    """Every table at a glance.

    :param status: one of :data:`GROUPS`
    :param sort: ``name``, ``score`` or ``freshness``, with ``-`` the other way round; else what needs attention first
    """
    configured = warehouses()
    with ExitStack() as stack:
        found, unread = _read(stack, [each for each in configured if warehouse in ("", each.conn_id)], who)
        named = [shown for shown in found if q.strip().lower() in shown.state.name.lower()] if q.strip() else found
        counts = {group: sum(shown.state.group == group for shown in named) for group in GROUPS}
        rows = _sorted([shown for shown in named if not status or shown.state.group == status], sort)
        pages = max(1, -(-len(rows) // A_PAGE))
        number = min(number, pages)
        listed = rows[(number - 1) * A_PAGE : number * A_PAGE]
        _add_cells(request, listed, who)
    asked = {"q": q, "status": status, "sort": sort, "warehouse": warehouse}
    return page(
        request, who, "overview.html", rows=listed, address=address, counts=counts, groups=GROUPS, total=len(rows),
        every=len(named), number=number, pages=pages, asked=asked, configured=configured, unread=unread,
    )  # fmt: skip


def _read(
    stack: ExitStack, chosen: Iterable[Warehouse], who: Who
) -> tuple[list[Shown], list[NoLedger | WarehouseDown]]:
    """What is known of the tables of each warehouse, and which could not be asked."""
    found: list[Shown] = []
    unread: list[NoLedger | WarehouseDown] = []
    now = datetime.now(UTC)
    for warehouse in chosen:
        try:
            ledger = stack.enter_context(reading(warehouse))
        except (NoLedger, WarehouseDown) as error:
            unread.append(error)
            continue
        newest = _glances.setdefault(warehouse, Glance()).rows(ledger)
        found += [Shown(warehouse, ledger, state, []) for state in board.overview(ledger, sees(who), now, newest)]
    return found, unread


def _sorted(rows: list[Shown], sort: str) -> list[Shown]:
    rows.sort(key=lambda shown: (shown.state.table.schema or "", shown.state.table.name, shown.warehouse.conn_id))
    keys: dict[str, Callable[[Shown], Any]] = {
        "name": lambda _: 0,
        "score": lambda shown: -1.0 if shown.state.newest.score is None else shown.state.newest.score,
        "freshness": lambda shown: shown.published_at,
    }
    key = keys.get(sort.removeprefix("-"))
    if key is None:
        return sorted(rows, key=lambda shown: _ORDER[shown.state.group])
    if sort == "-name":
        return rows[::-1]
    return sorted(rows, key=key, reverse=sort.startswith("-"))


def _add_cells(request: Request, rows: Iterable[Shown], who: Who) -> None:
    """The last runs of the tables of this page."""
    by_ledger: dict[Ledger, list[Shown]] = {}
    for shown in rows:
        by_ledger.setdefault(shown.ledger, []).append(shown)
    for ledger, of in by_ledger.items():
        hidden: set[str | None] = set().union(*(shown.state.hidden for shown in of))
        runs = board.last_runs(ledger, [shown.state.table for shown in of], hidden)
        for shown in of:
            entries = who.visible(runs[shown.state.table], lambda entry: entry.dag_id)
            shown.cells = cells(request, shown.warehouse.conn_id, entries)
