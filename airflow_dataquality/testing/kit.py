"""What the tests of one session share: the project, the database, and what is known of the tables."""

from __future__ import annotations

import itertools
import os
import secrets
from functools import cached_property
from pathlib import Path

from airflow_dataquality.dialects import sandbox as sql_of
from airflow_dataquality.errors import SpecError
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.testing.database import Database, reflecting
from airflow_dataquality.testing.sandbox import Sandbox, Session
from airflow_dataquality.testing.shapes import Shapes
from airflow_dataquality.transforms.graph import Project

DAY = "2013-01-01"


class Kit:
    """Tests of a folder of transforms.

    :param folder: the project's
    :param connection: ``postgresql://…`` or the id of an Airflow connection; None starts a Postgres when one is needed
    :param reflect: the same for the database whose tables are looked at where no header declares their types;
        None looks at ``connection``
    :param dialect: of the transforms' SQL
    :param day: of runs that name none
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, connection: str | None = None, reflect: str | None = None,
        dialect: str = "postgres", day: str = DAY,
    ) -> None:  # fmt: skip
        self.folder, self.dialect, self.day = Path(folder), dialect, day
        self.database = Database(connection)
        self.shapes = Shapes(self)
        self._reflect = reflect or connection
        self._numbers = itertools.count(1)
        self._mark = f"dq_test_{secrets.token_hex(3)}"
        self._sessions: dict[str, Session] = {}
        self._recorded = False

    @cached_property
    def project(self) -> Project:
        """The transforms.

        :raises SpecError: if there are none
        """
        from airflow_dataquality.transforms.loading import load

        return load(self.folder, dialect=self.dialect, cache=False)

    @cached_property
    def reflected(self) -> DbApiSession | None:
        """The database whose tables are looked at; None for none."""
        return None if self._reflect is None else reflecting(self._reflect)

    def sandbox(self) -> Sandbox:
        """A place for one test."""
        return self._box("tests")

    def scratch(self) -> Sandbox:
        """A place to find something out while a test is under way."""
        return self._box("scratch")

    def _box(self, use: str) -> Sandbox:
        session = self._sessions.get(use)
        if session is None:
            session = self._sessions[use] = self.database.open()
        if session.open:
            raise SpecError("there is a sandbox already", hint="leave its with block before the next begins")
        return Sandbox(session, f"{self._mark}_{next(self._numbers)}", self.dialect)

    @property
    def ledger(self) -> str:
        """The schema in which summaries remember what was published; all tests share it, as it takes long to make."""
        self._recorded = True
        return f"{self._mark}_ledger"

    @property
    def sent(self) -> int:
        """How many statements were sent so far."""
        return sum(session.sent for session in self._sessions.values())

    def close(self) -> None:
        """Close the connections, and stop what was started."""
        if self._recorded:
            with self.scratch() as box:
                box.session.execute(sql_of.drop_schemas(box.sql, [self.ledger]))
                box.keep()
            self._recorded = False
        for session in self._sessions.values():
            session.connection.close()
        reflected = self.__dict__.pop("reflected", None)
        if reflected is not None:
            reflected.connection.close()
        self._sessions.clear()
        self.database.close()
