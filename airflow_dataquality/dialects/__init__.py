"""SQL for each database: the only place where names and values meet SQL text."""

from __future__ import annotations

from functools import cache

from airflow_dataquality.dialects.base import Dialect


@cache
def dialect_for(name: str | None) -> Dialect:
    """The dialect of a connection type; the ANSI base for one that is not known.

    >>> dialect_for("postgres").name, dialect_for("trino").name
    ('postgres', 'ansi')
    """
    if name in ("postgres", "postgresql"):
        from airflow_dataquality.dialects.postgres import Postgres

        return Postgres()
    if name == "redshift":
        from airflow_dataquality.dialects.redshift import Redshift

        return Redshift()
    if name == "sqlite":
        from airflow_dataquality.dialects.sqlite import Sqlite

        return Sqlite()
    return Dialect()
