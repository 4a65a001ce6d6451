"""What the checks of a DAG, a run or a task found: the tab on Airflow's own pages.

Without postponed annotations: see :mod:`airflow_dataquality.ui.access`.
"""

from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from airflow_dataquality.engine.recorded import Recorded, recorded
from airflow_dataquality.model import Scalar
from airflow_dataquality.ui.access import Visitor
from airflow_dataquality.ui.render import page
from airflow_dataquality.ui.warehouses import NoLedger, WarehouseDown, reading, row_limit, warehouses

router = APIRouter()

RUNS = 20
"""The last runs of a DAG that are shown together."""


@router.get("/runs")
def runs(
    request: Request, who: Visitor, dag_id: str, run_id: str = "", task_id: str = "", map_index: str = ""
) -> HTMLResponse:
    """What the checks of a DAG found in its last runs, or in one run; of all its tasks, or of one.

    :param map_index: of a mapped task; Airflow's pages say -1 of others
    """
    if not who.may_read(dag_id):
        raise HTTPException(404, "There is no such DAG.")
    wanted = [run_id] if run_id else _last_runs(dag_id)
    task: list[tuple[str, Scalar]] = [("task_id", task_id)] if task_id else []
    if run_id and task_id and map_index.isdecimal():
        task.append(("map_index", int(map_index)))
    found, unread = [], []
    for warehouse in warehouses():
        try:
            with reading(warehouse) as ledger:
                rows = recorded(ledger, dag_id, wanted, task, row_limit())
        except (NoLedger, WarehouseDown) as error:
            unread.append((warehouse.conn_id, error))
            continue
        found += [(warehouse.conn_id, row) for row in rows]
    found.sort(key=lambda pair: pair[1].at, reverse=True)
    return page(
        request, who, "runs.html", dag_id=dag_id, run_id=run_id, task_id=task_id, groups=_by_run(found), unread=unread,
        map_index=map_index if task_id and map_index.isdecimal() else "", most=RUNS, configured=bool(warehouses()),
    )  # fmt: skip


def _last_runs(dag_id: str) -> list[str]:
    newest = select(DagRun.run_id).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc()).limit(RUNS)
    with create_session() as session:
        return list(session.scalars(newest))


def _by_run(found: list[tuple[str, Recorded]]) -> dict[str, list[tuple[str, Recorded]]]:
    """In the order of what was recorded last."""
    grouped: dict[str, list[tuple[str, Recorded]]] = {}
    for conn_id, one in found:
        grouped.setdefault(one.row["run_id"], []).append((conn_id, one))
    return grouped
