"""Which rows of a stage belong to which rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow_dataquality.model import Table


@dataclass(frozen=True)
class Pairing:
    """Which rows of the stage belong to which rows of the table.

    NULL equals NULL in a pairing, without ``IS NOT DISTINCT FROM`` or ``OR``, by which no database can join fast: rows
    whose NULLs are in the same keys are paired by a statement of their own.

    :param nulls: the keys that are NULL in the rows meant; the other keys are not
    :param alone: the stage has no rows with NULLs in other keys
    """

    table: Table
    stage: Table
    keys: Sequence[str]
    nulls: frozenset[str] = frozenset()
    alone: bool = True
