"""A blocked publication: why, which rows, and what to do about it.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

import threading
from collections.abc import Callable
from typing import Annotated, Any, cast

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from airflow_dataquality.engine import decide
from airflow_dataquality.engine.decide import TIMEOUT, Decision
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.errors import DataQualityError, DecisionRefused, SpecError
from airflow_dataquality.ui.access import Editor, Visitor, Who, forbidden_unless
from airflow_dataquality.ui.blocking import FEW, MANY, Case
from airflow_dataquality.ui.clearing import audit, clear
from airflow_dataquality.ui.render import link, page
from airflow_dataquality.ui.warehouses import reading, writing

router = APIRouter()

LONGEST = 2000
"""Characters of a reason."""
SLOTS = threading.BoundedSemaphore(2)
"""Publications by hand that one process of the API server does at the same time: each takes one of its threads."""
_Text = Annotated[str, Form()]


@router.get("/b/{conn_id}/{run_uid:name}")
def blocked(
    request: Request,
    who: Visitor,
    conn_id: str,
    run_uid: str,
    table: str | None = None,
    partition: str | None = None,
    show: str | None = None,
) -> HTMLResponse:
    """A blocked publication.

    :param table: where a run has rejected several
    :param show: ``samples`` or ``production``: to be in the page at once, and not on request
    """
    with reading(conn_id) as ledger:
        case = Case.find(ledger, who, run_uid, table, partition)
        return _page(request, case, conn_id, show=show)


@router.get("/b/{conn_id}/{run_uid:name}/part/{show}")
def blocked_part(
    request: Request, who: Visitor, conn_id: str, run_uid: str, show: str, table: str = "", partition: str = ""
) -> HTMLResponse:
    """What takes longer, for the page to ask for once it is there."""
    with reading(conn_id) as ledger:
        case = Case.find(ledger, who, run_uid, table, partition)
        parts = _parts(case, show, FEW)
        if not parts:
            raise HTTPException(404, "There is no such part of the page, or the rows are not kept any more.")
        return page(request, who, f"_blocked_{show}.html", case=case, conn_id=conn_id, row=case.rejection.row, **parts)


@router.post("/b/{conn_id}/{run_uid:name}/retry")
def retry_blocked(
    request: Request, who: Editor, conn_id: str, run_uid: str, table: _Text = "", partition: _Text = ""
) -> Response:
    """Clear the task, so that it runs again."""
    with writing(conn_id) as ledger:
        case = Case.find(ledger, who, run_uid, table, partition)
        forbidden_unless(bool(case.dag_id) and who.may_clear(str(case.dag_id)), "clear tasks of this DAG")

        def act() -> None:
            clear(who, case.rejection.run)
            decide.record(ledger, case.rejection, "retried", Decision(who.name, ""))

        return _decided(request, case, conn_id, "retried", act)


@router.post("/b/{conn_id}/{run_uid:name}/publish")
def publish_blocked(
    request: Request,
    who: Editor,
    conn_id: str,
    run_uid: str,
    table: _Text = "",
    partition: _Text = "",
    reason: _Text = "",
    over: _Text = "",
    replace: _Text = "",
) -> Response:
    """Publish the rejected rows as they are.

    :param over: the newest publication that the page has shown
    :param replace: whether it may be replaced
    """
    with writing(conn_id) as ledger:
        case = Case.find(ledger, who, run_uid, table, partition)
        _authorize(who, case, "publish this by hand")
        decision = Decision(who.name, _reason(reason), over if replace else None)

        def act() -> None:
            if not SLOTS.acquire(blocking=False):
                raise DecisionRefused("other rows are being published by hand right now", hint="try again in a minute")
            try:
                for statement in ledger.dialect.patience(TIMEOUT):
                    ledger.session.execute(statement)
                decide.publish_anyway(_session(ledger), ledger, case.rejection, decision)
            finally:
                SLOTS.release()

        return _decided(request, case, conn_id, "published", act, reason=reason)


@router.post("/b/{conn_id}/{run_uid:name}/discard")
def discard_blocked(
    request: Request,
    who: Editor,
    conn_id: str,
    run_uid: str,
    table: _Text = "",
    partition: _Text = "",
    reason: _Text = "",
) -> Response:
    """Drop the rejected rows."""
    with writing(conn_id) as ledger:
        case = Case.find(ledger, who, run_uid, table, partition)
        _authorize(who, case, "discard this")
        decision = Decision(who.name, _reason(reason))
        return _decided(
            request, case, conn_id, "discarded",
            lambda: decide.discard(_session(ledger), ledger, case.rejection, decision), reason=reason,
        )  # fmt: skip


def _session(ledger: Ledger) -> ExchangeSession:
    """The ledger lives where tables are published; elsewhere no rows are kept, which is said of them."""
    return cast("ExchangeSession", ledger.session)


def _authorize(who: Who, case: Case, what: str) -> None:
    forbidden_unless(who.may_edit(case.dag_id), what)


def _reason(text: str) -> str:
    if len(text) > LONGEST:
        raise SpecError(f"the reason has {len(text):,} characters, at most {LONGEST:,} are kept", hint="shorten it")
    return text


def _decided(
    request: Request, case: Case, conn_id: str, verdict: str, act: Callable[[], None], *, reason: str = ""
) -> Response:
    """Do it, and go to the page; if it cannot be done, the page says why."""
    try:
        act()
    except DataQualityError as error:
        fresh = Case(case.ledger, case.who, case.rejection, case.others)
        return _page(request, fresh, conn_id, problem=error, reason=reason, status_code=409)
    where = f"{case.rejection.partition}"
    audit(case.who, f"data_quality.{verdict}", case.rejection.run, what=where, reason=reason.strip() or None)
    return RedirectResponse(
        link(request, "blocked", case.address, conn_id=conn_id, run_uid=case.rejection.row["run_uid"]), 303
    )


def _page(
    request: Request, case: Case, conn_id: str, *, show: str | None = None, status_code: int = 200, **more: Any
) -> HTMLResponse:
    who, dag_id = case.who, case.dag_id
    given = {"problem": None, "reason": "", **more}
    return page(
        request, who, "blocked.html", status_code=status_code, case=case, conn_id=conn_id, row=case.rejection.row,
        show=show, may_clear=bool(dag_id) and who.may_clear(str(dag_id)),
        may_edit=who.may_edit(dag_id), timeout=TIMEOUT, longest=LONGEST, **given, **_parts(case, show, MANY),
    )  # fmt: skip


def _parts(case: Case, show: str | None, most: int) -> dict[str, Any]:
    if case.kept is None:
        return {}
    if show == "samples":
        return {"samples": case.samples(most)}
    return {"sides": case.sides()} if show == "production" else {}
