"""Tests that people define without Python: the list, the form with its preview, and each test's page.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

# ruff: noqa: PT028 - none of it is a test of pytest's

import re
from typing import Annotated, Any

from airflow.providers.common.compat.sdk import conf
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from airflow_dataquality.engine.saved_tests import SavedTests, TestChanged, Version
from airflow_dataquality.errors import SpecError
from airflow_dataquality.saved import KINDS, Mistake
from airflow_dataquality.ui import saved_preview as preview
from airflow_dataquality.ui.access import Editor, Visitor, Who, forbidden_unless
from airflow_dataquality.ui.render import link, page
from airflow_dataquality.ui.saved_form import WORDS, Form, in_words, is_sealed
from airflow_dataquality.ui.saved_list import PAGE, Asked, Found, Listed, listed, with_results
from airflow_dataquality.ui.warehouses import HOW, reading, warehouse_of, warehouses, writing

router = APIRouter()

DAG_ID = "data_quality_tests"
SORTS = ("name", "table", "owner", "kind", "state")
WHAT = "define, change or preview tests"
ACTIONS = {"pause": "paused", "resume": "active", "delete": "deleted"}


def tests_dag_id() -> str:
    """The DAG that runs saved tests: who may read it may see them, and who may edit it may write them."""
    return conf.get("airflow_dataquality", "tests_dag_id", fallback="") or DAG_ID


async def _fields(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Fields = Annotated[dict[str, str], Depends(_fields)]


def _require_reader(who: Who) -> None:
    if not who.may_read(tests_dag_id()):
        raise HTTPException(404, "There is no such test.")


@router.get("/tests")
def tests(
    request: Request, who: Visitor, q: str = "", state: str = "", kind: str = "", owner: str = "", tag: str = "",
    sort: str = "name",
) -> HTMLResponse:  # fmt: skip
    """The list."""
    asked = Asked(q[:200], state, kind, owner, tag)
    raw = request.query_params.get("page", "1")
    number = max(1, min(int(raw), 10_000)) if raw.isdecimal() and len(raw) < 6 else 1  # noqa: PLR2004 - no such page
    sort = sort if sort.removeprefix("-") in SORTS else "name"
    may_read = who.may_read(tests_dag_id())
    places = warehouses() if may_read else []
    found = listed(places, asked, sort, number, who) if may_read else Found()
    return page(
        request, who, "tests_list.html", found=found, asked=asked, sort=sort, number=number,
        pages=max(1, -(-found.total // PAGE)), query={**vars(asked), "sort": sort}, may_read=may_read,
        may_edit=may_read and who.may_edit(tests_dag_id()), dag_id=tests_dag_id(), configured=bool(places), how=HOW,
    )  # fmt: skip


@router.get("/tests/new")
def new_test(
    request: Request, who: Visitor, kind: str = "formula", warehouse: str = "", table: str = ""
) -> HTMLResponse:
    """The empty form."""
    forbidden_unless(who.may_edit(tests_dag_id()), WHAT)
    known = [each.conn_id for each in warehouses()]
    if not known:
        raise SpecError("no warehouse is configured for these pages", hint=HOW)
    form = Form()
    chosen = warehouse_of(warehouse).conn_id if warehouse else known[0]
    form.values |= {"kind": kind if kind in KINDS else "formula", "warehouse": chosen, "conn_id": chosen}
    form.values |= {"table": table[:400], "owner": who.name}
    return _shown(request, who, form, None)


@router.post("/tests/new")
def save_new_test(request: Request, who: Editor, fields: Fields) -> Response:
    """The next step of the form, its preview, or the saved test."""
    return _answer(request, who, Form.of(fields), fields.get("action", ""), None)


@router.get("/tests/{conn_id}/{test_id}")
def test(request: Request, who: Visitor, conn_id: str, test_id: str) -> HTMLResponse:
    """A test: what it asks, what it said, and who changed it."""
    _require_reader(who)
    with reading(conn_id) as ledger:
        history = SavedTests(ledger).history(test_id)
        if not history:
            raise HTTPException(404, "There is no such test.")
        (shown,) = with_results(ledger, [Listed(conn_id, history[0])], who, 90)
    broken = None
    try:
        history[0].read()
    except SpecError as error:
        broken = error
    return page(
        request, who, "tests_one.html", test=shown, history=history, broken=broken, series=preview.series_of(shown),
        may_edit=who.may_edit(tests_dag_id()) and history[0].state != "deleted", dag_id=tests_dag_id(),
        rule=in_words(history[0].definition), words=_WORDS,
    )  # fmt: skip


_WORDS = {"active": "pass", "paused": "skip", "deleted": "missing"}


@router.get("/tests/{conn_id}/{test_id}/edit")
def edit_test(request: Request, who: Visitor, conn_id: str, test_id: str) -> HTMLResponse:
    """The form of a test that is there."""
    _require_reader(who)
    forbidden_unless(who.may_edit(tests_dag_id()), WHAT)
    version = _version(conn_id, test_id)
    return _shown(request, who, Form.about(version, conn_id), version)


@router.post("/tests/{conn_id}/{test_id}/edit")
def save_test(request: Request, who: Editor, fields: Fields, conn_id: str, test_id: str) -> Response:
    """The preview of a change, or the new version."""
    forbidden_unless(who.may_edit(tests_dag_id()), WHAT)
    form = Form.of({**fields, "warehouse": conn_id})
    return _answer(request, who, form, fields.get("action", ""), _version(conn_id, test_id))


@router.post("/tests/{conn_id}/{test_id}/state")
def change_test(request: Request, who: Editor, fields: Fields, conn_id: str, test_id: str) -> Response:
    """Pause, resume or delete a test."""
    forbidden_unless(who.may_edit(tests_dag_id()), WHAT)
    state = ACTIONS.get(fields.get("action", ""))
    after = fields.get("version", "")
    if state is None or not after.isdecimal():
        raise SpecError("nothing to do", hint=f"one of {', '.join(ACTIONS)}")
    with writing(conn_id) as ledger:
        note = fields.get("note", "").strip()[:2000] or None
        SavedTests(ledger).change(test_id, state, author=who.name, note=note, after=int(after))
    if state == "deleted":
        return RedirectResponse(link(request, "tests"), 303)
    return RedirectResponse(link(request, "test", conn_id=conn_id, test_id=test_id), 303)


def _version(conn_id: str, test_id: str) -> Version:
    with reading(conn_id) as ledger:
        version = SavedTests(ledger).get(test_id)
    if version is None:
        raise HTTPException(404, "There is no such test.")
    return version


def _answer(request: Request, who: Who, form: Form, action: str, version: Version | None) -> Response:
    """Do what a button of the form says."""
    forbidden_unless(who.may_edit(tests_dag_id()), WHAT)
    warehouse = warehouse_of(form["warehouse"])
    shown = preview.Shown()
    try:
        if form.kind == "formula":
            warehouse_of(form["conn_id"])
        if action == "save":
            return _saved(request, who, form, version)
        preview.act(form, action, warehouse, shown, who)
    except Mistake as error:
        form.mistake(Mistake(error.field, _in_words(error.message), hint=error.hint))
    return _shown(request, who, form, version, shown, 400 if form.wrong else 200)


def _in_words(message: str) -> str:
    """A message as the form speaks, which has labels where a definition has names."""
    said = re.sub(r"^test \(.*?\): ", "", message)
    name = re.match(r"\w+", said)
    label = _LABELS.get(name[0]) if name else None
    return label + said[len(name[0]) :] if name and label else said


_LABELS = {"control_sql": "control query", "experiment_sql": "experiment query"} | {
    name: f'"{word}"' for name, word in WORDS.items()
}


def _saved(request: Request, who: Who, form: Form, version: Version | None) -> Response:
    test = form.test()
    if not form["name"].strip():
        raise Mistake("name", "name is missing", hint="results are recorded under it")
    if not is_sealed(who, form["warehouse"], test, form["seal"]):
        raise Mistake("seal", "this test was not previewed, or was changed since", hint="preview it, then save it")
    after = int(form["version"]) if form["version"].isdecimal() else None
    note = form["note"].strip()[:2000] or None
    with writing(form["warehouse"]) as ledger:
        try:
            saved = SavedTests(ledger).save(
                test, author=who.name, note=note, test_id=version.test_id if version else None, after=after,
                state="paused" if version and version.state == "paused" else "active",
            )  # fmt: skip
        except TestChanged as error:
            raise Mistake("seal", error.message, hint=error.hint) from None
    return RedirectResponse(link(request, "test", conn_id=form["warehouse"], test_id=saved.test_id), 303)


def _shown(
    request: Request, who: Who, form: Form, version: Version | None, shown: Any = None, status: int = 200
) -> HTMLResponse:
    """The form."""
    known = warehouses()
    address = (
        link(request, "edit_test", conn_id=form["warehouse"], test_id=version.test_id)
        if version
        else link(request, "new_test")
    )
    return page(
        request, who, "tests_form.html", status_code=status, form=form, version=version, address=address,
        conn_ids=[each.conn_id for each in known], shown=shown or preview.Shown(),
        **preview.choices(form, warehouse_of(form["warehouse"])),
    )  # fmt: skip
