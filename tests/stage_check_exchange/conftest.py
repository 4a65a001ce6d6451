"""A database with a schema ``w`` and a table of three days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support import Warehouse

Connection = psycopg.Connection[Any]


@pytest.fixture
def db(warehouse: Warehouse) -> Iterator[Connection]:
    """A connection to a database with ``w.t (ds, id, name)``."""
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA w")
        connection.execute("CREATE TABLE w.t (ds date, id int, name varchar(5))")
        connection.execute("INSERT INTO w.t SELECT '2013-02-01'::date + i, i, 'old' FROM generate_series(0, 2) AS i")
        yield connection
