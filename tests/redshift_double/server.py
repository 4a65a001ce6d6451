"""The double itself: a server on 127.0.0.1 that speaks Redshift's protocol above an embedded Postgres."""

from __future__ import annotations

import asyncio
import secrets
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from airflow_dataquality.demo.postgres import EmbeddedPostgres
from redshift_double.faults import Fault, Journal, Kind, Phase
from redshift_double.session import Session
from redshift_double.statements import TEMPLATE

USER, SUPERUSER = "etl", "awsuser"
_SQL = Path(__file__).parent / "sql"
_STOP_SECONDS = 5


class RedshiftDouble:
    """A Redshift that lives as long as the ``with`` block.

    :param postgres: the running engine below
    :param s3_endpoint: address of the S3 that COPY reads, ``http://127.0.0.1:5000``
    """

    def __init__(self, postgres: EmbeddedPostgres, s3_endpoint: str | None = None) -> None:
        self.postgres = postgres
        self.s3_endpoint = s3_endpoint
        self.isolation = "serializable"
        self.time_zone = "UTC"
        self.journal = Journal()
        self.port = 0
        self.password = secrets.token_hex(8)
        self._kept_roles: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._create_template()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="redshift-double", daemon=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_SECONDS)
        self._loop.close()
        self.postgres.drop_database(TEMPLATE)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await Session(self, reader, writer).run()
        except asyncio.CancelledError:
            pass  # the double stops
        finally:
            self._tasks.discard(task)
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _close(self) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Sockets close in the loop's next turns.
        for _ in range(3):
            await asyncio.sleep(0)

    # Databases -------------------------------------------------------------------------------------------------------

    def _create_template(self) -> None:
        uri = self.postgres.create_database(TEMPLATE)
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("SET scram_iterations = 1")
            for role, attributes in ((USER, "LOGIN"), (SUPERUSER, "LOGIN SUPERUSER")):
                with suppress(psycopg.errors.DuplicateObject):
                    connection.execute(SQL("CREATE ROLE {}").format(Identifier(role)))
                change = SQL("ALTER ROLE {} {} PASSWORD {}")
                connection.execute(change.format(Identifier(role), SQL(attributes), Literal(self.password)))
            for path in sorted(_SQL.glob("*.sql")):
                connection.execute("SET check_function_bodies = off")
                connection.execute(path.read_text())
            connection.execute(SQL("ALTER SCHEMA public OWNER TO {}").format(Identifier(USER)))
            connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        self._kept_roles = self._roles()

    def _roles(self) -> set[str]:
        with psycopg.connect(self.postgres.uri(), autocommit=True) as connection:
            return {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}

    def create_database(self, name: str) -> dict[str, Any]:
        """Create an empty database, and return how its ordinary user connects."""
        with psycopg.connect(self.postgres.uri(), autocommit=True) as connection:
            # The log's copy waits for no checkpoint, which the files' copy does.
            create = SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
            connection.execute(create.format(Identifier(name), Identifier(TEMPLATE)))
            connection.execute(SQL("GRANT CREATE ON DATABASE {} TO {}").format(Identifier(name), Identifier(USER)))
        return {"host": "127.0.0.1", "port": self.port, "database": name, "user": USER, "password": self.password}

    def drop_database(self, name: str) -> None:
        """Drop a database, and the users and groups that were made in it."""
        self.postgres.drop_database(name)
        with psycopg.connect(self.postgres.uri(), autocommit=True) as connection:
            for role in self._roles() - self._kept_roles:
                connection.execute(SQL("DROP ROLE {}").format(Identifier(role)))

    def s3_client(self) -> Any:
        """A boto3 client of the S3 that COPY reads."""
        import boto3

        keys = {"aws_access_key_id": "double", "aws_secret_access_key": "double"}
        session = boto3.session.Session(region_name="us-east-1", **keys)
        return session.client("s3", endpoint_url=self.s3_endpoint)

    # What tests steer ------------------------------------------------------------------------------------------------

    @property
    def statements(self) -> list[str]:
        """Every statement received, as it came, over all connections."""
        return self.journal.statements

    def clear(self) -> None:
        """Forget the statements."""
        self.journal.statements.clear()

    def inject(
        self,
        kind: Kind,
        *,
        when: str | None = None,
        at: int | None = None,
        phase: Phase = "before",
        times: int = 1,
        seconds: float = 0.0,
    ) -> Fault:
        """Let a fault strike, see :class:`redshift_double.faults.Fault`."""
        fault = Fault(kind, when=when, at=at, phase=phase, times=times, seconds=seconds)
        self.journal.faults.append(fault)
        return fault

    def clear_faults(self) -> None:
        self.journal.faults.clear()

    def reset(self) -> None:
        """Forget statements and faults, count from one again, and isolate as serializable, in UTC."""
        self.clear()
        self.clear_faults()
        self.journal.count = 0
        self.isolation = "serializable"
        self.time_zone = "UTC"
