"""What several test modules share and pytest's fixtures cannot hold: types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from airflow_dataquality.hooks.session import DbApiSession


@dataclass(frozen=True)
class Warehouse:
    """An empty database, and the Airflow connection that leads to it."""

    uri: str
    conn_id: str

    def connect(self, autocommit: bool = True) -> psycopg.Connection[Any]:
        return psycopg.connect(self.uri, autocommit=autocommit)


@dataclass(frozen=True)
class Database:
    """An empty database of some kind: a session, and the Airflow connection that leads to it."""

    session: DbApiSession
    conn_id: str

    @property
    def kind(self) -> str:
        return self.session.dialect.name


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run the test on these databases alone: the others have nothing of the sort."""
    return pytest.mark.parametrize("database", kinds, indirect=True)
