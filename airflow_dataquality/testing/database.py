"""The Postgres that tests run on: the embedded one, which is started when it is needed, or one that is named."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.testing.sandbox import Session

if TYPE_CHECKING:
    from airflow_dataquality.demo.postgres import EmbeddedPostgres

_SCHEMES = ("postgres://", "postgresql://", "postgresql+psycopg2://", "postgresql+psycopg://")
_CONN_ID = "dq_transforms_testing"


class Database:
    """Where sandboxes are made.

    :param connection: an address, ``postgresql://…``, or the id of an Airflow connection; None for the embedded one
    """

    def __init__(self, connection: str | None = None) -> None:
        self._connection = connection
        self._embedded: EmbeddedPostgres | None = None

    def __str__(self) -> str:
        return "the embedded Postgres" if self._connection is None else f"the connection {_hidden(self._connection)!r}"

    def open(self) -> Session:
        """A connection of its own.

        :raises DataQualityError: if there is none to be had, or it leads to no Postgres
        """
        address = self._address()
        if address is None:
            hook, connection = _hooked(str(self._connection))
            if hook.conn_type != "postgres":
                raise SpecError(f"{self} is of type {hook.conn_type!r}", hint="transforms are tested on Postgres")
            return Session(connection)
        return Session(self._dialled(address))

    def _address(self) -> str | None:
        """What a driver dials; None for an Airflow connection."""
        if self._connection is not None:
            return _plain(self._connection) if "://" in self._connection else None
        if self._embedded is None:
            from airflow_dataquality.demo.postgres import EmbeddedPostgres, PostgresError

            server = EmbeddedPostgres()
            try:
                server.start()
            except PostgresError as error:
                hint = "or name another Postgres: pytest --dq-connection=postgresql://…"
                raise DataQualityError(str(error), hint=hint) from error
            self._embedded = server
        return self._embedded.uri()

    def _dialled(self, address: str) -> Any:
        try:
            return _driver().connect(address)
        except DataQualityError:
            raise
        except Exception as error:
            hint = "look at --dq-connection, or leave it out: then a Postgres of its own is started"
            raise DataQualityError(f"{self} is not to be had: {said(error)}", hint=hint) from error

    @contextlib.contextmanager
    def for_airflow(self) -> Iterator[str]:
        """The id of an Airflow connection to it, for as long as the block runs."""
        address = self._address()
        if address is None:
            yield str(self._connection)
            return
        variable = f"AIRFLOW_CONN_{_CONN_ID.upper()}"
        os.environ[variable] = address.replace("postgresql://", "postgres://", 1)
        try:
            yield _CONN_ID
        finally:
            del os.environ[variable]

    def close(self) -> None:
        """Stop what was started."""
        if self._embedded is not None:
            self._embedded.stop()
            self._embedded = None


def reflecting(connection: str) -> DbApiSession:
    """A connection to a database whose tables are looked at, and nothing else.

    :raises DataQualityError: if there is none to be had
    """
    if "://" in connection:
        return Database(connection).open()
    from airflow_dataquality.dialects import dialect_for

    hook, opened = _hooked(connection)
    return DbApiSession(opened, dialect_for(hook.conn_type), hook)


def _hooked(conn_id: str) -> tuple[Any, Any]:
    try:
        from airflow.providers.common.compat.sdk import BaseHook

        hook: Any = BaseHook.get_connection(conn_id).get_hook()  # type: ignore[no-untyped-call]
        return hook, hook.get_conn()
    except Exception as error:
        hint = "set AIRFLOW_CONN_… in the environment, or give an address: postgresql://…"
        raise DataQualityError(f"the connection {conn_id!r} is not to be had: {said(error)}", hint=hint) from error


def _driver() -> Any:
    try:
        import psycopg
    except ImportError:
        pass
    else:
        return psycopg
    try:
        import psycopg2  # type: ignore[import-untyped]
    except ImportError:
        raise DataQualityError(
            "transforms are tested on Postgres, and there is no driver for it",
            hint="pip install 'airflow-provider-dataquality[testing]'",
        ) from None
    return psycopg2


def _plain(address: str) -> str:
    """An address as drivers know it, and not SQLAlchemy."""
    scheme, _, rest = address.partition("://")
    if f"{scheme}://" not in _SCHEMES:
        raise SpecError(
            f"the connection is of type {scheme!r}", hint="transforms are tested on Postgres: postgresql://…"
        )
    return f"postgresql://{rest}"


def _hidden(address: str) -> str:
    """An address without its password."""
    scheme, separator, rest = address.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}{at}{place}"
