"""From which columns each column of an output comes, as far as the SQL tells."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Table
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.lineage import sqlglot
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.rendering import stand_in

TOLD = ("create_table_as", "upsert")
"""The kinds whose SELECT yields the columns of their table."""


@dataclass(frozen=True, order=True)
class Origin:
    """A column of a table that is read."""

    table: str
    column: str


Origins = Mapping[str, tuple[Origin, ...]]
"""Of each column where its values come from; of a constant, nowhere."""


def origins_of(project: Project, transform: Transform) -> Origins:
    """The columns that each column is made of; empty if it cannot be told.

    :raises DataQualityError: if what reads SQL is not installed
    """
    if transform.kind not in TOLD or transform.sql is None or transform.name not in project.facts:
        return {}
    library = sqlglot()
    # A parser that is given whatever people write can fail in more ways than it says.
    with contextlib.suppress(library.errors.SqlglotError, DataQualityError, KeyError, ValueError, RecursionError):
        return _read(project, transform, library)
    return {}


def _read(project: Project, transform: Transform, library: Any) -> Origins:
    from sqlglot import lineage
    from sqlglot.optimizer import qualify, scope

    assert transform.sql is not None
    dialect, schema = project.dialect, _schema(project, transform)
    tree = library.parse_one(stand_in(transform.sql).sql, read=dialect)
    whole = qualify.qualify(tree, dialect=dialect, schema=schema, validate_qualify_columns=False, identify=False)
    root = scope.build_scope(whole)
    found: dict[str, tuple[Origin, ...]] = {}
    for name in whole.named_selects:
        if root is None or name == "*":
            continue
        node = lineage.lineage(name, whole, schema=schema, dialect=dialect, scope=root, trim_selects=False, copy=False)
        leaves = {origin for each in node.walk() if (origin := _leaf(each, library)) is not None}
        found[name] = tuple(sorted(leaves))
    return found


def _leaf(node: Any, library: Any) -> Origin | None:
    if node.downstream or not isinstance(node.expression, library.exp.Table):
        return None
    table = node.expression
    column = library.exp.to_column(node.name).name
    return Origin(str(Table(table.name, table.db or None)), column) if column and column != "*" else None


def _schema(project: Project, transform: Transform) -> dict[str, Any]:
    """The columns of what is read, as far as they are known."""
    found: dict[str, Any] = {}
    for table in transform.reads:
        columns = project.columns(table)
        if columns and table.schema:
            found.setdefault(table.schema, {})[table.name] = dict.fromkeys(columns, "text")
    return found
