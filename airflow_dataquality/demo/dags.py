"""Run the DAGs of Airflow's DAG folder in this process: real DAG runs, without a scheduler."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG


def configure(home: Path, metadata_uri: str, dags_folder: Path) -> None:
    """Point Airflow at a home, a metadata database and a DAG folder, and create its tables.

    :raises RuntimeError: if Airflow was imported already, and so has read another configuration
    """
    if "airflow" in sys.modules:
        raise RuntimeError("Airflow reads its configuration when it is imported\nHint: call configure() before")
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata_uri,
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags_folder),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        }
    )
    from airflow.utils.db import initdb

    initdb()


def disconnect() -> None:
    """Close Airflow's connections to its metadata database, before the database stops."""
    from airflow.settings import dispose_orm

    dispose_orm()


def load(path: str) -> dict[str, DAG]:
    """Read the DAGs of a folder or a file.

    :raises ImportError: naming each file that cannot be imported
    """
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before Airflow 3.2
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]

    bag = DagBag(dag_folder=path)
    if bag.import_errors:
        raise ImportError("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
    return bag.dags


@cache
def _dags() -> dict[str, DAG]:
    return load(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])


def run(dag_id: str, day: date) -> Any:
    """Run a DAG for a day, and return its DagRun, finished. Failed tasks do not raise: look at its ``state``."""
    return _dags()[dag_id].test(logical_date=datetime.combine(day, time(), UTC))
