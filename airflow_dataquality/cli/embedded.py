"""A Postgres of its own for transforms to run on, which is gone with the command."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_dataquality.errors import DataQualityError, SpecError

if TYPE_CHECKING:
    from airflow_dataquality.demo.postgres import EmbeddedPostgres

_DEMO = "pip install 'airflow-provider-dataquality[demo]'"


@contextlib.contextmanager
def embedded(
    conn_id: str, schemas: Iterable[str], seeds: Sequence[str] = (), *, flights: bool = False
) -> Iterator[EmbeddedPostgres]:
    """A Postgres that lasts as long as the block, known to Airflow as this connection.

    :param schemas: that it has from the beginning
    :param seeds: files with SQL that is run first
    :param flights: load those of the demo before, into its schema ``raw``
    :raises DataQualityError: if there are no binaries of Postgres, or a file cannot be run
    """
    try:
        from airflow_dataquality.demo.postgres import EmbeddedPostgres, PostgresError
    except ImportError as error:
        raise DataQualityError(f"there is no embedded Postgres: {error}", hint=_DEMO) from error
    texts = {file: _text(file) for file in seeds}
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    before = os.environ.get(variable)
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(EmbeddedPostgres())
        except PostgresError as error:
            message, _, hint = str(error).partition("\nHint: ")
            raise DataQualityError(message, hint=hint or _DEMO) from error
        os.environ[variable] = server.uri()
        try:
            if flights:
                _load_flights(server.uri())
            _furnish(conn_id, schemas, texts)
            yield server
        finally:
            os.environ.pop(variable)
            if before is not None:
                os.environ[variable] = before


def _load_flights(uri: str) -> None:
    import psycopg

    from airflow_dataquality.demo import flights

    try:
        with psycopg.connect(uri) as connection:
            flights.load(connection)
    except FileNotFoundError as error:
        message, _, hint = str(error).partition("\nHint: ")
        raise DataQualityError(message, hint=hint or _DEMO) from error


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{file} cannot be read: {error}", hint="name a file with SQL: --seed") from error


def _furnish(conn_id: str, schemas: Iterable[str], texts: Mapping[str, str]) -> None:
    from airflow_dataquality.engine.said import database_error
    from airflow_dataquality.hooks.connections import connected

    with connected(conn_id, publishing=True) as session:
        for schema in sorted({*schemas}):
            for statement in session.dialect.create_schema(schema):
                session.execute(statement)
        for file, text in texts.items():
            try:
                session.execute(text)
            except Exception as error:
                raise database_error(f"{file} cannot be run", error, hint="mend the SQL in it") from error
