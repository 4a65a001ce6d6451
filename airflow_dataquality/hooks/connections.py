"""Airflow connections, for what people run by hand: a connection that cannot be used is an error with a hint."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.hooks.session import DbApiSession, open_exchange, open_session

if TYPE_CHECKING:
    from airflow.providers.common.sql.hooks.sql import DbApiHook


def hook_of(conn_id: str) -> DbApiHook:
    """The hook of a connection to a database.

    :raises DataQualityError: if there is no such connection, or it leads to no database
    """
    from airflow.providers.common.compat.sdk import BaseHook
    from airflow.providers.common.sql.hooks.sql import DbApiHook

    try:
        connection: Any = BaseHook.get_connection(conn_id)
        hook: Any = connection.get_hook()
    except Exception as error:
        raise _unusable(conn_id, error) from error
    if not isinstance(hook, DbApiHook):
        raise DataQualityError(
            f"connection {conn_id!r} cannot be used: it is of type {connection.conn_type!r}, which is no database",
            hint="name a database's connection: --conn-id",
        )
    return hook


@contextlib.contextmanager
def connected(conn_id: str, *, publishing: bool = False) -> Iterator[DbApiSession]:
    """Open a connection, for as long as the block runs.

    :param publishing: refuse a database where tables are not published
    :raises DataQualityError: if it cannot be used
    """
    with contextlib.ExitStack() as stack:
        hook = hook_of(conn_id)
        try:
            session = stack.enter_context(open_exchange(hook) if publishing else open_session(hook))
        except DataQualityError:
            raise
        except Exception as error:
            raise _unusable(conn_id, error) from error
        yield session


def _unusable(conn_id: str, error: Exception) -> DataQualityError:
    return DataQualityError(
        f"connection {conn_id!r} cannot be used: {said(error)}", hint="name a database's connection: --conn-id"
    )
