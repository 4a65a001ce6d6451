"""Who asks, and what they may see and do.

Without postponed annotations, here and in every module that declares endpoints: FastAPI would take a dependency that
it cannot resolve for a query parameter, which anyone can send.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    AccessView,
    ConnectionDetails,
    DagAccessEntity,
    DagDetails,
)
from airflow.api_fastapi.auth.tokens import get_signing_key
from airflow.api_fastapi.core_api.security import get_user
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, HTTPException, Request

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF"
CSRF_SECONDS = 24 * 3600
"""How long a page that is left open can still send its form."""
_NOBODY = "~ no DAG is called so ~"
_Row = TypeVar("_Row")


class Who:
    """Whoever asks. Permissions are asked of Airflow's auth manager, once per request each.

    :param user: as Airflow knows them
    """

    def __init__(self, user: Any) -> None:
        self.user = user
        self._answers: dict[Any, Any] = {}

    @property
    def name(self) -> str:
        """How they are called: the author of what they write."""
        return str(self.user.get_name())

    def may_read(self, dag_id: str | None) -> bool:
        """Whether they may see what a DAG recorded; None is what was recorded outside Airflow."""
        if dag_id is None:
            return bool(self._once("plugins", self._may_see_plugins))
        return self._may_dag("GET", dag_id)

    def may_edit(self, dag_id: str | None) -> bool:
        """Whether they may decide on what a DAG recorded: edit it, or connections where there is no DAG."""
        if dag_id is None:
            return bool(self._once("connections", self._may_edit_connections))
        return self._may_dag("PUT", dag_id)

    def may_trigger(self, dag_id: str) -> bool:
        """Whether they may start runs of a DAG."""
        return self._may_dag("POST", dag_id, DagAccessEntity.RUN)

    def may_stop(self, dag_id: str) -> bool:
        """Whether they may end runs of a DAG."""
        return self._may_dag("PUT", dag_id, DagAccessEntity.RUN)

    def may_clear(self, dag_id: str) -> bool:
        """Whether they may clear tasks of a DAG, which runs them again."""
        return self._may_dag("PUT", dag_id, DagAccessEntity.TASK_INSTANCE)

    @property
    def may_write(self) -> bool:
        """Whether there is anything at all that they may decide on."""
        return bool(self._once("write", self._may_write))

    @property
    def readable(self) -> frozenset[str] | None:
        """The DAGs that they may read; None if that is every DAG, also those that Airflow has forgotten.

        To narrow queries with. What is shown goes through :meth:`visible`, which asks DAG by DAG.
        """
        found: frozenset[str] | None = self._once("readable", self._readable)
        return found

    def visible(self, rows: Iterable[_Row], dag_id: Callable[[_Row], str | None]) -> list[_Row]:
        """The rows that they may read.

        :param dag_id: the DAG that recorded a row
        """
        return [row for row in rows if self.may_read(dag_id(row))]

    def _once(self, question: Any, ask: Callable[[], Any]) -> Any:
        if question not in self._answers:
            self._answers[question] = ask()
        return self._answers[question]

    def _may_dag(self, method: Any, dag_id: str, entity: DagAccessEntity | None = None) -> bool:
        def ask() -> bool:
            return get_auth_manager().is_authorized_dag(
                method=method, access_entity=entity, details=_details(dag_id), user=self.user
            )

        return bool(self._once((method, dag_id, entity), ask))

    def _may_see_plugins(self) -> bool:
        return get_auth_manager().is_authorized_view(access_view=AccessView.PLUGINS, user=self.user)

    def _may_edit_connections(self) -> bool:
        return get_auth_manager().is_authorized_connection(method="PUT", details=ConnectionDetails(), user=self.user)

    def _may_write(self) -> bool:
        ask = get_auth_manager().is_authorized_dag
        return (
            ask(method="PUT", user=self.user)
            or ask(method="POST", access_entity=DagAccessEntity.RUN, user=self.user)
            or self.may_edit(None)
        )

    def _readable(self) -> frozenset[str] | None:
        allowed = get_auth_manager().get_authorized_dag_ids(user=self.user, method="GET")
        # Every DAG there is, and by a permission that holds for any: then also for those of which only our rows tell.
        if self._may_dag("GET", _NOBODY) and not _others(allowed):
            return None
        return frozenset(allowed)


def _details(dag_id: str) -> DagDetails:
    from airflow.models.dag import DagModel

    if not conf.getboolean("core", "multi_team", fallback=False):
        return DagDetails(id=dag_id)
    return DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))


def _others(dag_ids: set[str]) -> bool:
    """Whether Airflow has DAGs that are none of these."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return bool(set(session.scalars(select(DagModel.dag_id))) - dag_ids)


def csrf_token(who: Who) -> str:
    """What a form of this user carries, and no other site can know. Another one each time, see BREACH."""
    issued = f"{int(time.time()):x}.{secrets.token_hex(8)}"
    return f"{issued}.{_signature(who, issued)}"


def _signature(who: Who, issued: str) -> str:
    # A purpose in the key, so that nothing else that Airflow signs with its secret is ever a token of ours.
    key = hashlib.blake2b(get_signing_key("api", "secret_key").encode(), person=b"dq-csrf").digest()
    return hmac.new(key, f"{issued}.{who.user.get_id()}".encode(), hashlib.sha256).hexdigest()


def _valid(who: Who, token: str) -> bool:
    issued, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_signature(who, issued).encode(), signature.encode()):
        return False
    return 0 <= time.time() - int(issued.partition(".")[0], 16) + 1 < CSRF_SECONDS


def _same_origin(request: Request) -> bool:
    """Whether a browser says that one of our own pages asks; whatever is no browser says nothing."""
    fetched = request.headers.get("sec-fetch-site")
    if fetched is not None:
        return fetched in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return True
    configured = urlsplit(conf.get("api", "base_url", fallback="") or "").netloc
    return urlsplit(origin).netloc in {request.headers.get("host"), configured} - {"", None}


def visitor(request: Request, user: Annotated[Any, Depends(get_user)]) -> Who:
    """Whoever asks; 401 if that is unknown."""
    who = Who(user)
    request.state.dq_who = who
    return who


Visitor = Annotated[Who, Depends(visitor)]
"""Of an endpoint that reads."""


async def _token(request: Request) -> str:
    if sent := request.headers.get(CSRF_HEADER):
        return sent
    filled = (await request.form()).get(CSRF_FIELD)
    return filled if isinstance(filled, str) else ""


def editor(request: Request, who: Visitor, token: Annotated[str, Depends(_token)]) -> Who:
    """Whoever writes; 403 if nothing is theirs to write, or if the form was not one of our pages'."""
    if not who.may_write:
        raise HTTPException(403, "You may look at data quality, but not change anything.")
    if not _same_origin(request) or not _valid(who, token):
        raise HTTPException(403, "The form is too old, or is not from this page. Reload the page, and send it again.")
    return who


Editor = Annotated[Who, Depends(editor)]
"""Of an endpoint that writes. What of it they may write is for the endpoint to ask: ``who.may_edit(dag_id)`` …"""


def forbidden_unless(allowed: bool, what: str) -> None:
    """End the request with 403.

    :param what: what they may not do: ``"publish this by hand"``
    """
    if not allowed:
        raise HTTPException(403, f"You may not {what}.")
