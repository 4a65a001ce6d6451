"""Transforms: a folder of SELECTs with a header of YAML each, as tables, DAGs, checks and documentation.

In a DAG file::

    from airflow_dataquality.transforms import dags_from

    dags_from("transforms", conn_id="warehouse")

Everywhere else ``load("transforms")``: neither Airflow nor a database is needed to read them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.lineage import Facts, reads
from airflow_dataquality.transforms.loading import load
from airflow_dataquality.transforms.model import Output, Pipeline, Transform
from airflow_dataquality.transforms.rendering import rendered_sql

if TYPE_CHECKING:
    from airflow_dataquality.transforms.dags import dags_from as dags_from
    from airflow_dataquality.transforms.operators import operator_of as operator_of
    from airflow_dataquality.transforms.running import run as run

__all__ = ["Facts", "Output", "Pipeline", "Project", "Transform", "dags_from", "load", "operator_of", "reads",
           "rendered_sql", "run"]  # fmt: skip

_OF_AIRFLOW = {"dags_from": "dags", "operator_of": "operators", "run": "running"}


def __getattr__(name: str) -> Any:
    if name in _OF_AIRFLOW:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_OF_AIRFLOW[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
