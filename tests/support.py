"""What several test modules share and pytest's fixtures cannot hold."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_dataquality.hooks.session import DbApiSession

told_to_listeners = pytest.mark.skipif(
    version("apache-airflow-providers-common-sql").startswith("1."), reason="common.sql has SQLCheckResult since 2.0"
)


@dataclass(frozen=True)
class Warehouse:
    """An empty database, and the Airflow connection that leads to it."""

    uri: str
    conn_id: str

    def connect(self, autocommit: bool = True) -> psycopg.Connection[Any]:
        return psycopg.connect(self.uri, autocommit=autocommit)


@dataclass(frozen=True)
class Database:
    """An empty database of some kind: a session, and the Airflow connection that leads to it."""

    session: DbApiSession
    conn_id: str

    @property
    def kind(self) -> str:
        return self.session.dialect.name


def on(*kinds: str) -> pytest.MarkDecorator:
    """Run the test on these databases alone: the others have nothing of the sort."""
    return pytest.mark.parametrize("database", kinds, indirect=True)


def synced(folder: Path, dag_id: str) -> Any:
    """The DAG of a file, as Airflow has it after it processed a bundle."""
    from airflow.api.common.delete_dag import delete_dag
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    try:
        from airflow.dag_processing import dagbag
    except ImportError:  # before Airflow 3.2
        from airflow.models import dagbag

        named = {}
    else:
        named = {"bundle_name": "testing"}
    bag = dagbag.DagBag(dag_folder=str(folder), bundle_path=folder, **named)
    assert not bag.import_errors
    with create_session() as session:
        session.merge(DagBundleModel(name="testing"))
        # Another test's DAG of the same name would be another version of this one, if it is half a minute old.
        for known in session.scalars(select(DagModel.dag_id).where(DagModel.dag_id.in_(bag.dags))).all():
            delete_dag(known, session=session)
    if hasattr(dagbag, "sync_bag_to_db"):
        dagbag.sync_bag_to_db(bag, "testing", None)
    else:  # Airflow 3.0
        bag.sync_to_db("testing", None)
    return bag.dags[dag_id]
