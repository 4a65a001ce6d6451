"""Pipelines as DAGs: three lines of a DAG file for all of them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_dataquality.errors import SpecError
from airflow_dataquality.transforms.building import Build, Callbacks
from airflow_dataquality.transforms.enforcing import Patience
from airflow_dataquality.transforms.loading import load

if TYPE_CHECKING:
    from airflow.sdk import DAG

_PATIENCE = 0.25
"""Seconds of one parse in which SQL that is new is read: a parse of 800 transforms is to take one."""
START = datetime(2013, 1, 1, tzinfo=UTC)


def dags_from(
    folder: str | os.PathLike[str],
    *,
    conn_id: str,
    dialect: str = "postgres",
    prefix: str = "",
    schedule: Any = "@daily",
    start_date: datetime = START,
    catchup: bool = False,
    retries: int = 2,
    retry_delay: timedelta = timedelta(minutes=5),
    on_failure_callback: Callbacks | Mapping[str, Callbacks] | None = None,
    wait_timeout: timedelta = timedelta(hours=24),
    poke_interval: timedelta | float = 60,
    tags: Sequence[str] = ("transforms",),
    default_args: Mapping[str, Any] | None = None,
    strict: bool = False,
    **dag_arguments: Any,
) -> list[DAG]:
    """Make a DAG of each pipeline in a folder. No database is asked.

    Each transform is a task group with the task that runs it, and the one that looks for anomalies if its header asks
    for it. A transform runs after those whose tables it reads; tables that another pipeline makes are waited for, one
    sensor each. Each task group reads and writes the assets of its tables.

    A pipeline with a mistake becomes a DAG of one task, which fails and says what to mend, so that its schedule alerts
    its owner; the others are as they were. Airflow reports an error that is raised here for the whole DAG file, and
    then runs none of its DAGs.

    SQL is held against the headers once for each text, and the outcome is kept in Airflow's home. Of many new texts, a
    parse of the file reads as many as fit into a quarter of a second, and the next parses the others; a task does not
    run before its own pipeline's are read.

    In a task, where Airflow parses the file again to find one DAG, that one alone is made.

    :param folder: absolute, or relative to the DAG file, to Airflow's DAG folder or to the working folder: the first
        of them that has it
    :param conn_id: connection to the warehouse
    :param dialect: of the SQL: ``postgres`` or ``redshift``
    :param prefix: before the name of each pipeline, as the name of its DAG
    :param schedule: of pipelines that have none, neither in ``pipeline.yaml`` nor in a header
    :param start_date: of pipelines that have none; 2013-01-01 by default
    :param catchup: of pipelines that do not say
    :param retries: of transforms that do not say
    :param on_failure_callback: what to call when a task fails; or owner → what to call when a task of theirs does, with
        ``*`` for the others
    :param wait_timeout: how long what other pipelines make is waited for
    :param poke_interval: seconds, or a timedelta, from one look to the next
    :param tags: of each DAG, beside those of the pipeline
    :param default_args: of each DAG's tasks
    :param strict: raise mistakes, so that Airflow shows them as an import error, of the whole file
    :param retry_delay: of all transforms
    :param dag_arguments: of :class:`airflow.sdk.DAG`, for each of them: ``user_defined_macros``, ``max_active_runs`` …
    :returns: the DAGs. Airflow finds them by itself; they need no names in the file
    :raises SpecError: if there is no such folder, or no transform in it; with ``strict``, for every mistake
    """
    names = tuple(dag_arguments.get("user_defined_macros") or ())
    root, wanted = _found(folder), _wanted()
    with _uncollected():
        patience = Patience(_PATIENCE, None if wanted is None else wanted.removeprefix(prefix))
        project = load(root, dialect=dialect, names=names, patience=patience)
        build = Build(
            project, conn_id, prefix, schedule, start_date, catchup, retries, on_failure_callback,
            {"timeout": wait_timeout.total_seconds(), "poke_interval": poke_interval}, tuple(tags),
            {"retry_delay": retry_delay, **(default_args or {})}, strict, dag_arguments,
        )  # fmt: skip
        return [
            build.dag(pipeline)
            for name, pipeline in project.pipelines.items()
            if wanted is None or wanted == f"{prefix}{name}"
        ]


@contextmanager
def _uncollected() -> Iterator[None]:
    """No search for garbage: thousands of objects are made here that all stay, and would be looked through often."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _wanted() -> str | None:
    """The DAG that a task is parsing the file for.

    https://airflow.apache.org/docs/apache-airflow/stable/howto/dynamic-dag-generation.html
    """
    from airflow.sdk import get_parsing_context

    return get_parsing_context().dag_id


def _found(folder: str | os.PathLike[str]) -> Path:
    """The folder: absolute, or beside the DAG file, or in Airflow's DAG folder, or in the working folder.

    :raises SpecError: naming every place that was looked at
    """
    from airflow.providers.common.compat.sdk import conf

    caller = sys._getframe(2).f_globals.get("__file__")  # noqa: SLF001 - as Airflow finds the file of a DAG
    places = [Path(caller).parent] if caller else []
    places += [Path(conf.get("core", "dags_folder")), Path.cwd()]
    looked = [Path(folder)] if Path(folder).is_absolute() else [place / folder for place in dict.fromkeys(places)]
    for place in looked:
        if place.is_dir():
            return place
    raise SpecError(f"there is no folder {os.fspath(folder)!r}; looked at: {', '.join(map(str, looked))}",
                    hint="write it relative to the DAG file, or absolute")  # fmt: skip
