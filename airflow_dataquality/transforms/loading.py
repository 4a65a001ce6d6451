"""Load a folder: read it, hold its parts together, and say what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.transforms.cache import Cache
from airflow_dataquality.transforms.enforcing import Patience, enforced
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.lineage import DIALECTS
from airflow_dataquality.transforms.reading import pipelines_in


def load(
    folder: str | os.PathLike[str], *, dialect: str = "postgres", names: Iterable[str] = (), cache: bool = True,
    patience: Patience | None = None,
) -> Project:  # fmt: skip
    """Read a folder of pipelines. No database is asked.

    A mistake is kept with its pipeline and stops no other: look at ``project.mistakes``.

    :param folder: relative to the working folder
    :param dialect: of the SQL: ``postgres`` or ``redshift``
    :param names: what templates may name beside what Airflow gives: a DAG's ``user_defined_macros``
    :param cache: keep what was found out about each text of SQL, in Airflow's home: the next call is faster
    :param patience: how long SQL that is new is read; None reads all of it
    :raises SpecError: if there is no such folder, or no transform in it
    :raises DataQualityError: if sqlglot is needed, and not installed
    """
    if dialect not in DIALECTS:
        raise SpecError(f"dialect is {dialect!r}", hint=did_you_mean(dialect, DIALECTS))
    root = Path(folder)
    found = {each.name: each for each in pipelines_in(root)}
    kept = Cache.of(root) if cache else Cache(None)
    project = enforced(Project(root, found, dialect=dialect), kept, tuple(names), patience)
    kept.save()
    return project
