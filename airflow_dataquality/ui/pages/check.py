"""One check over time, or one metric: its values, what was expected of them, and what people said.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_dataquality.engine import detail, trend, verdicts
from airflow_dataquality.engine.board import key_of
from airflow_dataquality.engine.detail import Row
from airflow_dataquality.engine.verdicts import Settled, Verdict
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.ui.about import About, about
from airflow_dataquality.ui.access import Editor, Visitor, forbidden_unless
from airflow_dataquality.ui.render import link, moment, page
from airflow_dataquality.ui.warehouses import writing

router = APIRouter()

LAST = 90
MOST = 1000
CHOICES = (30, 90, 365)
MUTES = {"1": "a day", "7": "a week", "30": "a month"}
_OF_RESULT = frozenset({"acknowledged", "expected", "incident"})
_Last = Annotated[int, Query(ge=2, le=MOST)]
_Text = Annotated[str, Form(max_length=4000)]


@router.get("/t/{conn_id}/{table:name}/checks/{check:name}")
def check(
    request: Request,
    who: Visitor,
    conn_id: str,
    table: str,
    check: str,
    partition: str | None = None,
    last: _Last = LAST,
) -> HTMLResponse:
    """The last results of a check.

    :param partition: whose result is shown in words; else the newest
    :param last: how many results
    """
    with about(conn_id, table, who) as at:
        rows = _results(at, check, last)
        chosen = _chosen(at, rows, check, partition)
        said = [each for each in verdicts.said(at.ledger, at.table) if _concerns(each, check, rows)]
        names = detail.recorded_metrics(at.ledger, at.table, chosen)
        columns = at.ledger.session.columns(at.table)
        sql = detail.sql_of(at.ledger, at.table, chosen, columns, key_of(chosen["partition"]))
    stands = verdicts.standing(said)
    marks = {(each.partition, each.metric): each for each in stands if each.verdict in ("expected", "incident")}
    series = trend.of_results(rows, {of for of, _ in marks})
    return page(
        request, who, "check.html", conn_id=conn_id, table=str(at.table), check=check, rows=rows, chosen=chosen,
        series=_with_links(request, series, conn_id, str(at.table), check, last), said=said[::-1], sql=sql,
        marked=next((each for of, each in marks.items() if of[0] == chosen["partition"]), None),
        acknowledged=next((each for each in stands if each.verdict == "acknowledged" and each.run_uid
                           == chosen["run_uid"]), None),
        mute=Settled.of(said, datetime.now(UTC)).mute(at.table, check), last=last, choices=CHOICES, mutes=MUTES,
        may_edit=who.may_edit(rows[0]["dag_id"]) and who.may_edit(chosen["dag_id"]), metric=names[0] if names else None,
        weekday=_weekday(chosen["partition"]), tomorrow=datetime.now(UTC).date() + timedelta(days=1),
        unlikely=_unlikely(chosen),
    )  # fmt: skip


def _results(at: About, check: str, last: int) -> list[Row]:
    """The newest results, which they may see.

    :raises HTTPException: 404 if there are none
    """
    found = detail.results(at.ledger, at.table, at.hidden, last, check=check)
    rows = at.who.visible(found, lambda row: row["dag_id"])
    if not rows:
        raise HTTPException(404, f"No result of a check {check!r} of {at.table} is recorded, or none that you may see.")
    return rows


def _chosen(at: About, rows: Sequence[Row], check: str, partition: str | None) -> Row:
    """The result that is shown in words."""
    if partition is None:
        return rows[0]
    near = next((row for row in rows if row["partition"] == partition), None)
    if near is not None:
        return near
    found = detail.results(at.ledger, at.table, at.hidden, 1, check=check, partition=partition)
    return next(iter(at.who.visible(found, lambda row: row["dag_id"])), rows[0])


def _concerns(each: Verdict, check: str, rows: Sequence[Row]) -> bool:
    """Whether a verdict is about the check, or about all of a partition, a run or the table."""
    if each.check_name is not None:
        return each.check_name == check
    if each.verdict in ("muted", "unmuted"):
        return True
    if each.metric is not None:
        return False
    return each.partition in {row["partition"] for row in rows}


def _with_links(
    request: Request, series: dict[str, Any], conn_id: str, table: str, check: str, last: int
) -> dict[str, Any]:
    asked = None if last == LAST else last
    return {
        **{name: value for name, value in series.items() if name != "partition"},
        "href": [
            link(request, "check", {"partition": of, "last": asked}, conn_id=conn_id, table=table, check=check)
            for of in series["partition"]
        ],
    }


def _weekday(partition: str) -> str | None:
    when = trend.time_of(partition)
    return f"{when:%A}" if when else None


def _unlikely(row: Row) -> str | None:
    """How unlikely the value is, in words; of one that passed nobody asks."""
    p_value = row["p_value"]
    if row["status"] == "pass" or p_value is None or not 0 < p_value < 1:
        return None
    return f"A healthy value is as far away once in {1 / p_value:,.0f} times."


@router.post("/t/{conn_id}/{table:name}/checks/{check:name}/verdict")
def verdict(
    request: Request,
    who: Editor,
    conn_id: str,
    table: str,
    check: str,
    verdict: _Text,
    partition: _Text = "{}",
    run_uid: _Text = "",
    note: _Text = "",
    until: _Text = "",
) -> RedirectResponse:
    """Say something of a result or of the check, or take that back.

    :param verdict: see :mod:`airflow_dataquality.engine.verdicts`
    :param until: of a mute: a day, or how many days
    """
    with about(conn_id, table, who) as at:
        rows = _results(at, check, 1)
        given = _given(at, rows[0], check, verdict, partition, run_uid)
        dag_ids = {row["dag_id"] for row in detail.results(at.ledger, at.table, (), 1, check=check)}
    for dag_id in {*dag_ids, rows[0]["dag_id"], given.pop("dag_id")}:
        forbidden_unless(who.may_edit(dag_id), "say what is to become of this check's results")
    ends = _ends(until) if verdict == "muted" else None
    with writing(conn_id) as ledger:
        verdicts.give(ledger, at.table, verdict, author=who.name, note=note.strip() or None, until=ends, **given)
    kept = {"partition": partition if partition != "{}" else None}
    return RedirectResponse(link(request, "check", kept, conn_id=conn_id, table=table, check=check), 303)


def _given(at: About, newest: Row, check: str, verdict: str, partition: str, run_uid: str) -> dict[str, Any]:
    """What the verdict is about, and the DAG whose result that is."""
    if verdict in ("muted", "unmuted"):
        return {"check_name": check, "dag_id": newest["dag_id"]}
    found = detail.results(at.ledger, at.table, at.hidden, MOST, check=check, partition=partition)
    row = next((row for row in at.who.visible(found, lambda row: row["dag_id"]) if row["run_uid"] == run_uid), None)
    if row is None:
        raise HTTPException(404, "That result is not recorded, or you may not see it.")
    if verdict in ("acknowledged", "reopened"):
        return {"check_name": check, "partition": partition, "run_uid": run_uid, "dag_id": row["dag_id"]}
    names = detail.recorded_metrics(at.ledger, at.table, row)
    if not names and verdict in _OF_RESULT:
        raise DataQualityError(
            f"no number that {check!r} judged is recorded of this run, so there is nothing to leave out of a baseline",
            hint="acknowledge the result instead",
        )
    return {"check_name": check, "partition": partition, "run_uid": run_uid, "metric": names[0] if names else None,
            "dag_id": row["dag_id"]}  # fmt: skip


def _ends(until: str) -> datetime:
    """When a mute ends: at the end of a day, or after so many days.

    :raises SpecError: if it is no day
    """
    text = until.strip()
    try:
        if text.isdecimal():
            return datetime.now(UTC) + timedelta(days=int(text))
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):
        raise SpecError(f"{until!r} is no day", hint="write 2013-02-08") from None


@router.get("/t/{conn_id}/{table:name}/metrics")
def metrics(request: Request, who: Visitor, conn_id: str, table: str, metric: str, last: _Last = LAST) -> HTMLResponse:
    """The last numbers of a metric, and what a baseline would have expected of them."""
    with about(conn_id, table, who) as at:
        rows = detail.measured(at.ledger, at.table, metric, at.hidden, who.may_read, last)
        if not rows:
            raise HTTPException(404, f"No number {metric!r} of {at.table} is recorded, or none that you may see.")
        said = verdicts.standing(verdicts.said(at.ledger, at.table, named=("expected", "incident", "withdrawn")))
        marked = {each.partition for each in said if each.metric in (None, metric)}
        judged, why = trend.judged(at.ledger, at.table, metric, rows, last)
    series = trend.of_numbers(rows, marked, judged)
    return page(
        request, who, "metric.html", conn_id=conn_id, table=str(at.table), metric=metric, rows=rows, why=why,
        series={name: value for name, value in series.items() if name != "partition"}, last=last, choices=CHOICES,
        marked=marked, newest=rows[0], when=moment(rows[0]["measured_at"]), judged=judged,
    )  # fmt: skip
