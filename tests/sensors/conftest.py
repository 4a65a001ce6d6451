"""A database with a schema ``w``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sensors.lab import unheard
from support import Warehouse


@pytest.fixture
def db(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """A connection to it."""
    with unheard(warehouse.uri) as connection:
        connection.execute("CREATE SCHEMA w")
        yield connection
