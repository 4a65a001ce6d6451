"""Where those who wait look: connections of Airflow, looked up where that may be done and opened where it may block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from airflow_dataquality.engine.waiting import Existing, External, Published, Sight, Watch
from airflow_dataquality.engine.wanted import Wanted, find
from airflow_dataquality.errors import SpecError, TableError
from airflow_dataquality.hooks.session import DbApiSession, open_session

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook

WATCHES: Mapping[str, Callable[[str], Watch]] = {
    "published": Published,
    "exists": lambda _: Existing(),
    "external": lambda _: External(),
}
"""State → what looks for it."""
Look = Callable[[Iterable[Any]], Mapping[Any, Sight]]
_AT_ONCE = 8


class Source(Protocol):
    """Something that can be asked for many partitions at once."""

    @property
    def key(self) -> tuple[str | None, ...]:
        """Sources with the same key are one."""

    @property
    def conn_id(self) -> str | None:
        """The connection that it needs; None if it needs none."""

    async def connection(self) -> Any:
        """Look it up, in a triggerer."""

    def opened(self, connection: Any) -> contextlib.AbstractContextManager[Look]:
        """What looks, for as long as the block runs."""


@dataclass(frozen=True)
class Warehouse:
    """A database with tables, and perhaps a ledger.

    :param state: a word of :data:`WATCHES`
    """

    conn_id: str
    state: str = "published"
    ledger_schema: str = "dataquality"
    database: str | None = None

    @property
    def key(self) -> tuple[str | None, ...]:
        return ("warehouse", self.conn_id, self.state, self.ledger_schema, self.database)

    async def connection(self) -> Any:
        """Look it up, in a triggerer."""
        return await _connection_in_loop(self.conn_id)

    @contextlib.contextmanager
    def session(self, connection: Any) -> Iterator[DbApiSession]:
        """A session with it."""
        with open_session(hook_of(connection, self.database)) as session:
            yield session

    @contextlib.contextmanager
    def opened(self, connection: Any) -> Iterator[Look]:
        """What looks, with one session and one memory."""
        watch = WATCHES[self.state](self.ledger_schema)
        with self.session(connection) as session:
            yield lambda wanted: watch.look(session, wanted)

    def find(self, session: DbApiSession, wanted: Iterable[Wanted]) -> list[Wanted]:
        """Spell partitions as the ledger does, as far as their tables exist."""
        return list(wanted) if self.state == "external" else [find(session, each) for each in wanted]


def hook_of(connection: Any, database: str | None = None) -> DbApiHook:
    """The hook of a connection, which does not look it up again: in a triggerer that may be done in its loop alone.

    :param database: instead of the connection's
    :raises SpecError: if it is no database's
    """
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    hook = connection.get_hook(hook_params=dict(connection.extra_dejson))
    if not isinstance(hook, DbApiHook):
        raise SpecError(f"connection {connection.conn_id!r} is of type {connection.conn_type!r}, and no database",
                        hint="name the connection of the warehouse")  # fmt: skip
    if database:
        setattr(hook, "database" if hook.conn_type == "postgres" else "schema", database)
    known: DbApiHook = _knowing(hook, connection)
    return known


def _knowing(hook: Any, connection: Any) -> Any:
    look_up = hook.get_connection

    def get_connection(conn_id: str) -> Any:
        return connection if conn_id == connection.conn_id else look_up(conn_id)

    hook.get_connection = get_connection
    return hook


def connection_of(conn_id: str) -> Any:
    """A connection, in a task."""
    return BaseHook.get_connection(conn_id)


async def _connection_in_loop(conn_id: str) -> Any:
    from airflow.providers.common.compat.connection import get_async_connection

    return await get_async_connection(conn_id)


@dataclass(frozen=True)
class Prefix:
    """Files in S3 that somebody waits for.

    :param uri: ``s3://bucket/prefix/``
    :param marker: the name of the file that says that all others are there
    """

    uri: str
    marker: str | None = None
    bucket: str = field(init=False, compare=False)
    path: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.uri)
        if parts.scheme not in ("s3", "s3a", "s3n") or not parts.netloc or not parts.path.strip("/"):
            raise SpecError(f"{self.uri!r} is no folder in S3", hint="write s3://bucket/table/ds={{ ds }}/")
        object.__setattr__(self, "bucket", parts.netloc)
        # What follows a ? or # is part of the name in S3.
        path = self.uri.split(parts.netloc, 1)[1].lstrip("/")
        object.__setattr__(self, "path", path if path.endswith("/") else f"{path}/")

    def __str__(self) -> str:
        return self.uri


@dataclass(frozen=True)
class Lake:
    """S3."""

    conn_id: str | None = "aws_default"

    @property
    def key(self) -> tuple[str | None, ...]:
        return ("lake", self.conn_id)

    async def connection(self) -> Any:
        """Look it up, in a triggerer; None if there is none, and boto3 has to find its way."""
        try:
            return None if self.conn_id is None else await _connection_in_loop(self.conn_id)
        except AirflowNotFoundException:
            return None

    @contextlib.contextmanager
    def opened(self, connection: Any) -> Iterator[Look]:
        """What looks, with one client."""
        try:
            from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        except ImportError:
            hint = "pip install 'airflow-provider-dataquality[redshift]'"
            raise TableError("S3 needs the amazon provider, which is not installed", hint=hint) from None
        hook = S3Hook(aws_conn_id=self.conn_id)
        client = (_knowing(hook, connection) if connection is not None else hook).get_conn()

        def look(prefixes: Iterable[Prefix]) -> dict[Prefix, Sight]:
            prefixes = list(prefixes)
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                return dict(zip(prefixes, pool.map(lambda each: _listed(client, each), prefixes), strict=True))

        try:
            yield look
        finally:
            client.close()


def _listed(client: Any, prefix: Prefix) -> Sight:
    """The files below a prefix: with a marker none but that. Names that begin with _ or . are no data."""
    where = prefix.path + (prefix.marker or "")
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=where)
        found = {each["Key"]: int(each["Size"]) for page in pages for each in page.get("Contents", ())}
    except client.exceptions.NoSuchBucket:
        return Sight(reason=f"the bucket {prefix.bucket!r} does not exist", missing=True)
    if prefix.marker is not None:
        facts = {"uri": prefix.uri, "marker": prefix.marker} if where in found else None
        return Sight(facts, f"{prefix.marker} is not there yet")
    data = [size for key, size in found.items() if not key.rsplit("/", 1)[1].startswith(("_", ".")) and key[-1] != "/"]
    return Sight({"uri": prefix.uri, "files": len(data), "bytes": sum(data)})
