"""One table: its partitions, its publications, its checks, its columns, and what it is made of.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from airflow_dataquality.engine import board, detail, lineage
from airflow_dataquality.engine.calendar import calendar
from airflow_dataquality.engine.detail import Row
from airflow_dataquality.engine.verdicts import Settled
from airflow_dataquality.ui.about import About, about, address, cells
from airflow_dataquality.ui.access import Visitor
from airflow_dataquality.ui.render import link, moment, page
from airflow_dataquality.ui.render import partition as partition_in_words
from airflow_dataquality.ui.warehouses import row_limit

router = APIRouter()

A_PAGE = 25
PUBLICATIONS = 10
STATISTICS = {
    "null_ratio": "NULL",
    "distinct_count": "Distinct",
    "min": "Min",
    "mean": "Mean",
    "max": "Max",
}
"""The metrics of a column that have a place in its row."""
_WORST = {status: place for place, status in enumerate(("error", "fail", "warn", "skip", "pass"))}
_Number = Annotated[int, Query(ge=1)]


@router.get("/t/{conn_id}/{table:name}")
def table(
    request: Request,
    who: Visitor,
    conn_id: str,
    table: str,
    partition: str | None = None,
    checks: _Number = 1,
    columns: _Number = 1,
    view: _Number = 1,
) -> HTMLResponse:
    """A table, or one of its partitions.

    :param partition: as the ledger spells it
    :param checks: page of the checks
    :param columns: page of the columns
    :param view: page of the calendar
    """
    with about(conn_id, table, who) as at:
        if partition is not None:
            return _partition(request, at, conn_id, partition)
        return _table(request, at, conn_id, {"checks": checks, "columns": columns, "view": view})


def _table(request: Request, at: About, conn_id: str, asked: Mapping[str, int]) -> HTMLResponse:
    now, who = datetime.now(UTC), at.who
    entries = who.visible(detail.partitions(at.ledger, at.table, at.hidden), lambda entry: entry.dag_id)
    state = board.table_state(at.ledger, at.table, who.may_read, entries, now)
    runs = who.visible(board.last_runs(at.ledger, [at.table], at.hidden)[at.table], lambda entry: entry.dag_id)
    placed = calendar(entries)
    results = who.visible(detail.newest_results(at.ledger, at.table, at.hidden), lambda row: row["dag_id"])
    listed, check_pages = _part(sorted(results, key=_by_urgency), asked["checks"])
    statistics, facts = _columns(detail.newest_metrics(at.ledger, at.table, at.hidden, who.may_read))
    columns, column_pages = _part(statistics, asked["columns"])
    return page(
        request, who, "table.html", conn_id=conn_id, table=str(at.table), state=state, strip=cells(
            request, conn_id, runs), publications=_publications(runs), address=address, calendar=placed,
        blocks=placed.view(asked["view"]), checks=_checks(request, at, conn_id, listed), check_count=len(results),
        check_pages=check_pages, columns=columns, column_count=len(statistics), column_pages=column_pages,
        statistics=STATISTICS, facts=facts, asked=asked, settled=Settled.read(at.ledger, at.table, now),
        lineage=lineage.of_table(at.ledger, at.table, who.may_read),
    )  # fmt: skip


def _part(rows: Sequence[Any], number: int) -> tuple[Sequence[Any], tuple[int, int]]:
    """The rows of one page, and which of how many pages that is."""
    pages = max(1, -(-len(rows) // A_PAGE))
    number = min(number, pages)
    return rows[(number - 1) * A_PAGE : number * A_PAGE], (number, pages)


def _by_urgency(row: Row) -> tuple[int, str]:
    return _WORST.get(row["status"], len(_WORST)), row["check_name"]


def _publications(runs: Iterable[board.Entry]) -> list[board.Entry]:
    """The last runs, the newest first."""
    return list(runs)[::-1][:PUBLICATIONS]


def _checks(request: Request, at: About, conn_id: str, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Checks with their last results as strips."""
    rows = list(rows)
    last = detail.last_results(at.ledger, at.table, [row["check_name"] for row in rows], at.hidden, board.STRIP)
    found = []
    for row in rows:
        base = link(request, "check", conn_id=conn_id, table=str(at.table), check=row["check_name"])
        strip = [_cell(base, each) for each in at.who.visible(last[row["check_name"]], lambda each: each["dag_id"])]
        found.append({"row": row, "href": base, "strip": strip})
    return found


def _cell(base: str, row: Row) -> dict[str, Any]:
    value = "" if row["value_text"] is None else f": {row['value_text'][:40]}"
    title = f"{moment(row['checked_at']):%Y-%m-%d %H:%M} UTC, {partition_in_words(row['partition'])}{value}"
    return {"status": row["status"], "title": f"{title} ({row['status']})", "href": base}


def _columns(rows: Iterable[Row]) -> tuple[list[dict[str, Any]], dict[str, Row]]:
    """The numbers of each column, by kind; and those of the table."""
    columns: dict[str, dict[str, Any]] = {}
    facts: dict[str, Row] = {}
    for row in rows:
        name, column = row["metric"], row["column_name"]
        kind = name.partition("(")[0]
        if column is None:
            facts[name] = row
            continue
        known = columns.setdefault(column, {"name": column, "known": {}, "more": []})
        if kind in STATISTICS and name == f"{kind}({column})":
            known["known"][kind] = row
        else:
            known["more"].append(row)
    for column, known in columns.items():
        _share_of_nulls(column, known, facts)
    return [columns[name] for name in sorted(columns)], facts


def _share_of_nulls(column: str, known: dict[str, Any], facts: Mapping[str, Row]) -> None:
    """Of how many values are NULL, the share, if the rows of the same run were counted."""
    nulls = next((row for row in known["more"] if row["metric"] == f"null_count({column})"), None)
    rows = facts.get("row_count")
    if "null_ratio" in known["known"] or nulls is None or rows is None or nulls["value"] is None:
        return
    if rows["run_uid"] == nulls["run_uid"] and rows["partition"] == nulls["partition"] and rows["value"]:
        known["known"]["null_ratio"] = {**nulls, "value": nulls["value"] / rows["value"]}
        known["more"].remove(nulls)


def _partition(request: Request, at: About, conn_id: str, partition: str) -> HTMLResponse:
    """What became of one partition."""
    runs = detail.runs_of_partition(at.ledger, at.table, partition, at.hidden, PUBLICATIONS)
    results = detail.results(at.ledger, at.table, at.hidden, row_limit(), partition=partition)
    newest: dict[str, Row] = {}
    for row in at.who.visible(results, lambda row: row["dag_id"]):
        newest.setdefault(row["check_name"], row)
    return page(
        request, at.who, "partition.html", conn_id=conn_id, table=str(at.table), of=partition,
        runs=at.who.visible(runs, lambda entry: entry.dag_id), results=sorted(newest.values(), key=_by_urgency),
        address=address,
    )  # fmt: skip
