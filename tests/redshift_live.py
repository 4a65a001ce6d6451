"""The tests marked ``live`` on a real cluster: ``make test-redshift``.

They run in a database that is made for each of them and dropped after it, so that the user of the connection in
AIRFLOW_CONN_REDSHIFT_LIVE (an Airflow connection, as URI or JSON) needs the right to create databases.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

CONNECTION = "AIRFLOW_CONN_REDSHIFT_LIVE"


@dataclass(frozen=True)
class LiveWarehouse:
    """An empty database of a cluster. It has one user, whatever name a test asks for."""

    conn_id: str = "redshift"

    def connect(self, user: str | None = None) -> Any:
        from airflow.providers.amazon.aws.hooks.redshift_sql import RedshiftSQLHook

        connection = RedshiftSQLHook(redshift_conn_id=self.conn_id).get_conn()
        connection.autocommit = True
        return connection

    @property
    def double(self) -> Any:
        pytest.fail("this test looks into the double: it is not to be marked live")


@contextlib.contextmanager
def empty_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make a database, have Airflow know it as ``redshift``, and drop it."""
    from airflow.providers.common.compat.sdk import Connection

    text = os.environ[CONNECTION]
    given: Any = Connection.from_json(text) if text.startswith("{") else Connection(uri=text)
    name = f"dq_test_{secrets.token_hex(6)}"
    monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT", text)
    with contextlib.closing(LiveWarehouse().connect()) as admin:
        admin.cursor().execute(f"CREATE DATABASE {name}")
        known = {key: getattr(given, key) for key in ("conn_type", "host", "port", "login", "password")}
        address = known | {"schema": name, "extra": given.extra_dejson}
        monkeypatch.setenv("AIRFLOW_CONN_REDSHIFT", json.dumps(address))
        try:
            yield LiveWarehouse()
        finally:
            admin.cursor().execute(f"DROP DATABASE {name}")
