"""An honest double of Amazon Redshift for tests: it rejects what Redshift rejects. See README.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import redshift_connector

from redshift_double.server import SUPERUSER, USER, RedshiftDouble

__all__ = ["APPLICATION", "SUPERUSER", "USER", "RedshiftDouble", "RedshiftWarehouse"]

APPLICATION = "tests"
"""What connects. Unless it is told, the driver searches the sources of all its callers, for 50 ms a connection."""


@dataclass(frozen=True)
class RedshiftWarehouse:
    """An empty database of the double, and the Airflow connection that leads to it."""

    double: RedshiftDouble
    database: str
    conn_id: str = "redshift"

    def connect(self, user: str | None = None, *, password: str | None = None, autocommit: bool = True) -> Any:
        """A connection of the real driver, as ``etl`` unless another user is named."""
        connection = redshift_connector.connect(
            host="127.0.0.1",
            port=self.double.port,
            database=self.database,
            user=user or USER,
            password=self.double.password if password is None else password,
            ssl=False,
            application_name=APPLICATION,
        )
        connection.autocommit = autocommit
        return connection

    def superuser(self) -> psycopg.Connection[Any]:
        """A connection to the Postgres below, past the double, to look or to prepare."""
        return psycopg.connect(self.double.postgres.uri(self.database), autocommit=True)
