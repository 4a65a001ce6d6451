"""The tables that a SELECT reads, and how they are written."""

from __future__ import annotations

import re
from typing import Any

from airflow_dataquality.engine.wanted import without_templates
from airflow_dataquality.errors import DataQualityError, SpecError

_QUERY = re.compile(r"\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:SELECT|WITH|\()\b", re.IGNORECASE | re.DOTALL)


def is_query(text: str) -> bool:
    """Whether a text is a SELECT, and no table.

    >>> is_query("SELECT * FROM analytics.daily_flights"), is_query("analytics.selected")
    (True, False)
    """
    return isinstance(text, str) and _QUERY.match(text) is not None


def tables_in(sql: str) -> list[str]:
    r"""The tables that a SELECT reads, in its order.

    :raises SpecError: if it cannot be read
    :raises DataQualityError: if what reads it is not installed

    >>> tables_in("WITH d AS (SELECT * FROM raw.a) SELECT * FROM d JOIN raw.\"B\" USING (x)")
    ['raw.a', 'raw."B"']
    """
    try:
        import sqlglot
        from sqlglot import expressions, optimizer
        from sqlglot.errors import SqlglotError
    except ImportError:
        hint = "pip install 'airflow-provider-dataquality[sqlglot]', or name the tables"
        raise DataQualityError(
            "the tables of a SELECT are found by sqlglot, which is not installed", hint=hint
        ) from None
    try:
        tree = sqlglot.parse_one(without_templates(sql), read="postgres")
    except SqlglotError as error:
        hint = 'name the tables instead: wait_for(["raw.flights/ds={{ ds }}"], …)'
        raise SpecError(f"the tables of the SELECT cannot be found: {error}", hint=hint) from error
    found: dict[str, None] = {}
    for scope in optimizer.scope.traverse_scope(tree):
        for source in scope.sources.values():
            if isinstance(source, expressions.Table):
                parts = (source.args.get("db"), source.this)
                found[".".join(part.sql(dialect="postgres") for part in parts if part)] = None
    return list(found)


def written(column: str, value: Any) -> str:
    """One column of a partition, as text that is read again.

    >>> print(written("ds", "{{ ds }}"), written("Who", "O'Neil"))
    /"ds"='{{ ds }}' /"Who"='O''Neil'
    """
    text = str(value)
    if without_templates(text) == text:
        text = text.replace("'", "''")
    return f"""/"{column.replace('"', '""')}"='{text}'"""
