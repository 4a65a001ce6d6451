"""The pages as one FastAPI application, which Airflow mounts.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

import base64
import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.staticfiles import StaticFiles

from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.ui import access, render
from airflow_dataquality.ui.access import Who
from airflow_dataquality.ui.pages import PAGES
from airflow_dataquality.ui.warehouses import NoLedger, UnknownWarehouse, WarehouseDown

log = logging.getLogger(__name__)

ALL_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
YEAR = 365 * 86400
_TITLES = {
    400: "That cannot be read",
    401: "Log in to see this",
    403: "Not allowed",
    404: "Not found",
    409: "That does not fit",
    413: "Too much",
    500: "Something went wrong",
    503: "The warehouse does not answer",
}
_STATUS = {UnknownWarehouse: 404, NoLedger: 404, WarehouseDown: 503, SpecError: 400}
_STATIC = StaticFiles(directory=render.HERE / "static")


def create_app() -> FastAPI:
    """The application. Whoever is unknown gets 401 from all of its addresses, also from those that do not exist."""
    app = FastAPI(
        title="Data quality",
        dependencies=[Depends(access.visitor)],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.middleware("http")(_secured)
    app.exception_handler(AnyHTTPException)(_refused)
    app.exception_handler(RequestValidationError)(_unreadable)
    app.exception_handler(DataQualityError)(_explained)
    app.exception_handler(Exception)(_unforeseen)
    app.add_api_route("/static/{path:path}", static, methods=["GET"], name="static")
    for module in PAGES:
        app.include_router(module.router)
    app.add_api_route("/{path:path}", _nowhere, methods=ALL_METHODS, name="nowhere")
    return app


async def static(request: Request, path: str) -> Response:
    """A style sheet, a script. They ask for authentication as all else does: so there is nothing to except."""
    response = await _STATIC.get_response(path, request.scope)
    fresh = request.query_params.get("v") == render.static_version()
    response.headers["Cache-Control"] = f"private, max-age={YEAR}, immutable" if fresh else "private, max-age=0"
    return response


def _nowhere() -> None:
    raise HTTPException(404, "There is no such page.")


async def _secured(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Say that nothing but our own files runs, and that nobody else frames us or learns our addresses."""
    response = await call_next(request)
    styles = "'self'" if response.status_code != 401 else f"'{_hash_of_plain_style()}'"  # noqa: PLR2004 - HTTP's
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'self'; style-src {styles}; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _hash_of_plain_style() -> str:
    digest = hashlib.sha256(render.plain_style().encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _who(request: Request) -> Who | None:
    found: Who | None = getattr(request.state, "dq_who", None)
    return found


def _told(
    request: Request, status: int, message: str, *, hint: str | None = None, detail: str | None = None
) -> HTMLResponse:
    """A page that says what is wrong: within the others, or alone, if nobody is logged in."""
    title = _TITLES.get(status, "That did not work")
    who = _who(request)
    if who is None:
        login = f"{render.home(request)}/auth/login"
        body = render.plain("unknown.html", title=title, message=message, login=login, style=render.plain_style())
        return HTMLResponse(body, status_code=status)
    return render.page(
        request, who, "error.html", status_code=status, title=title, message=message, hint=hint, detail=detail
    )


async def _refused(request: Request, error: Any) -> Response:
    status, message = error.status_code, str(error.detail)
    if _who(request) is None:  # who sent what is no token is as unknown as who sent none
        status, message = 401, "These pages show only what you may read, so they have to know who you are."
    response = _told(request, status, message)
    response.headers.update(error.headers or {})
    return response


async def _unreadable(request: Request, error: Any) -> Response:
    if _who(request) is None:
        return await _refused(request, HTTPException(401))
    places = {".".join(map(str, found["loc"][1:])): found["msg"] for found in error.errors()}
    message = "; ".join(f"{place}: {wrong}" for place, wrong in places.items())
    return _told(request, 400, message, hint="mend the address, or go back and fill in the form again")


async def _explained(request: Request, error: Any) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 409)
    detail = getattr(error, "detail", None)
    if detail:
        log.warning("%s: %s", error.message, detail)
    return _told(request, status, error.message, hint=error.hint, detail=_for_administrators(request, detail))


async def _unforeseen(request: Request, error: Any) -> Response:
    if any(kind.__name__ in {"DatabaseError", "InterfaceError"} for kind in type(error).__mro__):
        log.warning("a database refused what %s asks", request.url.path, exc_info=error)
        hint = "try again in a minute; if the page asks for too much, narrow it down"
        return _told(
            request, 503, "A database refused, or was too slow.", hint=hint,
            detail=_for_administrators(request, str(said(error))),
        )  # fmt: skip
    log.error("a data quality page failed", exc_info=error)
    return _told(request, 500, "This is a mistake in the package.", hint="report it, with what Airflow's log says")


def _for_administrators(request: Request, detail: str | None) -> str | None:
    """What a database said names hosts and users, which is for those who may see connections anyway."""
    who = _who(request)
    return detail if detail and who is not None and who.may_edit(None) else None
