"""Clear tasks as Airflow's own pages do, and write into Airflow's audit log what was decided.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

import inspect
import json
from typing import Any

from airflow.api_fastapi.common.dagbag import create_dag_bag
from airflow.api_fastapi.core_api.datamodels.task_instances import ClearTaskInstancesBody
from airflow.api_fastapi.core_api.routes.public.task_instances import post_clear_task_instances
from airflow.models.log import Log
from airflow.utils.session import create_session
from fastapi import HTTPException

from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.errors import DecisionRefused
from airflow_dataquality.ui.access import Who


def clear(who: Who, run: Run) -> None:
    """Clear a task instance and what follows it, so that they run again.

    Whether they may is for the caller to ask. This is what the endpoint does to which Airflow's own button leads.

    :raises DecisionRefused: if there is no such task instance any more, or it runs now
    """
    if not (run.dag_id and run.run_id and run.task_id):
        raise DecisionRefused("it was not a task of a DAG that loaded this", hint="run again what did")
    task = run.task_id if run.map_index is None or run.map_index < 0 else (run.task_id, run.map_index)
    wanted: dict[str, Any] = {
        "dry_run": False,
        "dag_run_id": run.run_id,
        "task_ids": [task],
        "only_failed": False,
        "include_downstream": True,
        "reset_dag_runs": True,
        "prevent_running_task": True,
    }
    known = ClearTaskInstancesBody.model_fields  # older versions lack the last one
    body = ClearTaskInstancesBody(**{name: value for name, value in wanted.items() if name in known})
    with create_session() as session:
        arguments: dict[str, Any] = {
            "dag_id": run.dag_id,
            "dag_bag": create_dag_bag(),
            "body": body,
            "session": session,
        }
        if "user" in inspect.signature(post_clear_task_instances).parameters:
            arguments["user"] = who.user
        try:
            cleared = post_clear_task_instances(**arguments)
        except HTTPException as error:
            raise DecisionRefused(_said(error), hint="look at the run in Airflow") from error
        if not cleared.total_entries:
            raise DecisionRefused("Airflow has no such task instance any more", hint="trigger the DAG again")


def _said(error: HTTPException) -> str:
    detail: Any = error.detail
    return str(detail.get("message", detail) if isinstance(detail, dict) else detail)


def audit(who: Who, event: str, run: Run, **extra: Any) -> None:
    """Append to Airflow's audit log who decided what."""
    named: dict[str, Any] = {
        "dag_id": run.dag_id,
        "task_id": run.task_id,
        "run_id": run.run_id,
        "map_index": run.map_index,
    }
    with create_session() as session:
        session.add(Log(event=event, owner=who.name, owner_display_name=who.name, extra=json.dumps(extra), **named))
