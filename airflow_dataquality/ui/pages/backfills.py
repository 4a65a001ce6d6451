"""Backfills: the jobs, a form for each, and how far its runs are.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from airflow_dataquality.engine import backfill_progress as progress
from airflow_dataquality.engine.job import MOST_PARALLEL, SPELLED, Order
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.ui import jobs
from airflow_dataquality.ui.access import Editor, Visitor, Who, forbidden_unless
from airflow_dataquality.ui.backfill_view import production, statuses, view_of
from airflow_dataquality.ui.jobs import Known, Run
from airflow_dataquality.ui.render import link, page
from airflow_dataquality.ui.template_preview import sql_of
from airflow_dataquality.ui.warehouses import NoLedger, reading, warehouses

router = APIRouter()

A_PAGE = 25
SHOWN = 12
"""Chunks that a plan lists."""
_KINDS = {"day": "date", "week": "date", "month": "month", "hour": "text"}
_FIELDS = ("start", "end", "max_parallel", "days_per_chunk", "partitions_per_chunk", "finish", "backfill")


@router.get("/backfills")
def backfills(request: Request, who: Visitor, number: Annotated[int, Query(alias="page", ge=1)] = 1) -> HTMLResponse:
    """The jobs, and what was backfilled."""
    known = jobs.jobs(who)
    named = {each.dag_id: each for each in known}
    found, total = jobs.runs(named, most=A_PAGE, skip=(number - 1) * A_PAGE)
    staged, published = _sums(named, found, "chunk"), _sums(named, found, "publication")
    past = [
        {"run": run, "status": status, "staged": staged.get(place := (run.dag_id, run.run_id)),
         "published": published.get(place)}
        for run, status in zip(found, statuses(named, found), strict=True)
    ]  # fmt: skip
    return page(request, who, "backfills_list.html", jobs=known, past=past, total=total, number=number,
                pages=max(1, -(-total // A_PAGE)))  # fmt: skip


def _sums(named: Mapping[str, Known], found: list[Run], kind: str) -> dict[tuple[str, str], tuple[int, int]]:
    """How many rows runs have staged, or published, of the warehouses that can be asked."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for conn_id in {warehouse.conn_id for warehouse in warehouses()}:
        mine = [(run.dag_id, run.run_id) for run in found if named[run.dag_id].job.conn_id == conn_id]
        try:
            if mine:
                with reading(conn_id) as ledger:
                    sums |= progress.sums(ledger, kind, mine)
        except DataQualityError:  # the page of the run says what is wrong
            continue
    return sums


@router.get("/backfills/{dag_id}")
def backfill(request: Request, who: Visitor, dag_id: str) -> HTMLResponse:
    """The form of a job, and the plan of what is filled in."""
    return _form(request, who, jobs.job_of(who, dag_id), dict(request.query_params))


def _form(
    request: Request, who: Who, known: Known, given: Mapping[str, Any], *, refusal: DataQualityError | None = None
) -> HTMLResponse:
    job = known.job
    values = {"max_parallel": job.max_parallel, job.per: job.per_chunk, **given}
    values.setdefault("finish", job.finish)
    order, wrong, about = None, refusal, None
    if refusal is None and (given.get("start") or given.get("end")):
        try:
            order = job.ordered(_filled(values))
        except DataQualityError as error:
            wrong = error
    if order is not None:
        about = _plan(who, known, order)
    pattern, example = SPELLED[job.grain]
    return page(
        request, who, "backfills_form.html", status_code=400 if refusal else 200, known=known, job=job, values=values,
        wrong=wrong, order=order, plan=about, kind=_KINDS[job.grain], pattern=pattern, example=example,
        most_parallel=MOST_PARALLEL,
    )  # fmt: skip


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name in _FIELDS if (value := values.get(name)) not in (None, "")}


def _plan(who: Who, known: Known, order: Order) -> dict[str, Any]:
    """What a run would do, as far as that is known without running the DAG's file."""
    job = known.job
    chunks = job.chunks(order)
    sql, rendered = sql_of(job.sql, chunks[0], job.grain) if chunks and job.sql else (job.sql, False)
    held: dict[str, Any] | None = None
    notice = ""
    try:
        held = production(who, known, order)
    except NoLedger:
        held = {"partitions": 0, "rows": 0, "published_at": None}
    except DataQualityError as error:
        notice = error.message
    return {
        "partitions": len(job.partitions(order)), "chunks": chunks[:SHOWN], "count": len(chunks), "sql": sql,
        "rendered": rendered, "processes": min(order.max_parallel, len(chunks) or order.max_parallel), "held": held,
        "notice": notice, "overlap": jobs.refuse_overlap(known, order),
    }  # fmt: skip


@router.post("/backfills/{dag_id}")
def start_backfill(
    request: Request, who: Editor, dag_id: str, start: Annotated[str, Form()] = "", end: Annotated[str, Form()] = "",
    max_parallel: Annotated[str, Form()] = "", days_per_chunk: Annotated[str, Form()] = "",
    partitions_per_chunk: Annotated[str, Form()] = "", finish: Annotated[str, Form()] = "",
    unpause: Annotated[bool, Form()] = False,
) -> Any:  # fmt: skip
    """Start a run."""
    known = jobs.job_of(who, dag_id)
    forbidden_unless(who.may_trigger(dag_id), f"start runs of {dag_id}")
    given = {"start": start, "end": end, "max_parallel": max_parallel, "days_per_chunk": days_per_chunk,
             "partitions_per_chunk": partitions_per_chunk, "finish": finish}  # fmt: skip
    try:
        order = known.job.ordered(_filled(given))
        run_id = _started(request, who, known, order, unpause=unpause)
    except DataQualityError as error:
        return _form(request, who, known, _filled(given), refusal=error)
    return _to(request, dag_id, run_id)


def _started(request: Request, who: Who, known: Known, order: Order, *, unpause: bool) -> str:
    """Start a run, unless one that is under way is in its way.

    :raises DataQualityError: saying what is
    """
    if known.stale:
        raise DataQualityError(f"the DAG {known.dag_id} is gone from its file",
                               hint="bring back its line, or take another job")  # fmt: skip
    if known.paused and not (unpause and who.may_edit(known.dag_id)):
        mine = who.may_edit(known.dag_id)
        hint = "tick the box to unpause it" if mine else "ask somebody who may edit it to unpause it"
        raise DataQualityError(f"the DAG {known.dag_id} is paused: its runs would wait until somebody unpauses it",
                               hint=hint)  # fmt: skip
    if (other := jobs.refuse_overlap(known, order)) is not None:
        raise DataQualityError(
            f"a run is under way that has partitions in common: {other.conf.get('start')} to {other.conf.get('end')}, "
            f"{other.run_id}", hint="wait for it, or stop it",
        )  # fmt: skip
    try:
        return jobs.start(request, who, known, order, unpause=known.paused)
    except HTTPException as refused:
        raise DataQualityError(f"Airflow refuses the run: {refused.detail}") from refused


def _to(request: Request, dag_id: str, run_id: str) -> RedirectResponse:
    return RedirectResponse(link(request, "backfill_run", dag_id=dag_id, run_id=run_id), 303)


@router.get("/backfills/{dag_id}/{run_id:name}")
def backfill_run(request: Request, who: Visitor, dag_id: str, run_id: str) -> HTMLResponse:
    """How far a run is, what it found, and what may be done next."""
    known = jobs.job_of(who, dag_id)
    view = view_of(who, known, jobs.run_of(dag_id, run_id))
    return page(
        request, who, "backfills_run.html", known=known, job=known.job, run=view.run, view=view,
        cells=view.cells, compared=view.run.left.get("compared"),
        planned=view.run.left.get("planned"), may_stop=who.may_stop(dag_id),
    )  # fmt: skip


@router.post("/backfills/{dag_id}/{run_id:name}/finish")
def finish_backfill(
    request: Request, who: Editor, dag_id: str, run_id: str, finish: Annotated[str, Form()]
) -> RedirectResponse:
    """Publish or discard what a run holds: a second run of the same range."""
    known = jobs.job_of(who, dag_id)
    forbidden_unless(who.may_trigger(dag_id), f"start runs of {dag_id}")
    if finish not in ("exchange", "discard"):
        raise HTTPException(400, "A backfill that is held can be published or discarded.")
    view = view_of(who, known, jobs.run_of(dag_id, run_id))
    if not view.decidable or view.order is None:
        raise DataQualityError("there is nothing to decide on any more",
                               hint="what was staged was published, discarded or swept since")  # fmt: skip
    order = known.job.finishing(view.order, finish, view.backfill)
    return _to(request, dag_id, _started(request, who, known, order, unpause=False))


@router.post("/backfills/{dag_id}/{run_id:name}/stop")
def stop_backfill(request: Request, who: Editor, dag_id: str, run_id: str) -> RedirectResponse:
    """Stop a run. What is staged stays staged."""
    jobs.job_of(who, dag_id)
    forbidden_unless(who.may_stop(dag_id), f"stop runs of {dag_id}")
    jobs.stop(who, jobs.run_of(dag_id, run_id))
    return _to(request, dag_id, run_id)
