"""``parallel_backfill``: the same work, as a group of tasks in a DAG run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from backfill.lab import Lab

from support import on, synced

pytestmark = [on("postgres", "redshift"), pytest.mark.usefixtures("airflow_db")]

DAG_FILE = """
from datetime import datetime, timedelta
from airflow.sdk import DAG, Asset, task
from airflow_dataquality.checks import check
from airflow_dataquality.operators.parallel_backfill import parallel_backfill

with DAG("NAME", schedule=None, start_date=datetime(2013, 1, 1), params={"start": "2013-01-01"}):
    parallel_backfill(
        "again", conn_id="CONN_ID", table="daily", sql="sql/daily.sql", partition_column="ds",
        start="{{ params.start }}", end="2013-01-10", days_per_chunk=3, outlets=[Asset("daily")],
        checks=[check("max", "amount", leq_to=100)],
        compare_with_production=[check("row_count_ratio", geq_to=1)],
        chunk_arguments={"retries": 0}, ARGUMENTS
    )
"""
SQL = "SELECT ds, id, amount FROM src WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'"
RunGroup = Callable[..., Any]


@pytest.fixture
def run_group(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> RunGroup:
    """Run the DAG, or run it on after something was cleared; its DagRun."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "daily.sql").write_text(SQL)
    name = f"group_{abs(hash(request.node.name))}"

    def run(day: int = 1, arguments: str = "") -> Any:
        text = DAG_FILE.replace("CONN_ID", lab.database.conn_id).replace("NAME", name).replace("ARGUMENTS", arguments)
        (tmp_path / "dag.py").write_text(text)
        return synced(tmp_path, name).test(logical_date=datetime(2013, 3, day, tzinfo=UTC))

    return run


def states(run: Any) -> dict[tuple[str, int], str]:
    return {(ti.task_id.removeprefix("again."), ti.map_index): str(ti.state) for ti in run.get_task_instances()}


ALL = {("plan", -1): "success", ("compare", -1): "success", ("exchange", -1): "success"}
CHUNKS = {("chunk", number): "success" for number in range(4)}


def test_plan_chunks_compare_exchange(lab: Lab, run_group: RunGroup) -> None:
    lab.fill("daily", [("2013-01-02", 1, 1)])
    run = run_group()
    assert states(run) == ALL | CHUNKS
    assert lab.rows() == lab.rows("src")
    assert lab.beside() == {}
    assert [number for number, *_ in lab.chunks()] == [1, 2, 3, 4]
    assert lab.published() == dict.fromkeys(lab.days, 1)
    tasks = lab.run("SELECT DISTINCT task_id, map_index FROM dataquality.chunk")
    assert tasks == [("again.chunk", number) for number in range(4)]
    assert lab.run("SELECT DISTINCT task_id, run_id FROM dataquality.publication") == [("again.exchange", run.run_id)]
    labels = {ti.map_index: ti.rendered_map_index for ti in run.get_task_instances() if ti.map_index >= 0}
    assert labels == {
        0: "2013-01-10 to 2013-01-10", 1: "2013-01-07 to 2013-01-09", 2: "2013-01-04 to 2013-01-06",
        3: "2013-01-01 to 2013-01-03",
    }  # fmt: skip
    extra = asset_event(run)["airflow.dataquality.result"]
    (published,) = lab.run("SELECT DISTINCT run_uid FROM dataquality.publication")
    assert (extra["table"], extra["run_uid"], extra["failed"], extra["passed"]) == ("public.daily", *published, 0, 1)


def asset_event(run: Any) -> dict[str, Any]:
    """What came with the asset's event of the run."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session

    with create_session() as session:
        events = session.query(AssetEvent).filter_by(source_run_id=run.run_id, source_dag_id=run.dag_id).all()
        # There is one for each partition, too.
        (event,) = [each for each in events if getattr(each, "partition_key", None) is None]
        assert event.source_task_id == "again.exchange"
        return dict(event.extra)


def test_a_finished_one_begins_anew(lab: Lab, run_group: RunGroup) -> None:
    run_group()
    lab.run("UPDATE src SET amount = 11 WHERE id = 1")
    run = run_group(2)
    assert states(run) == ALL | CHUNKS
    assert lab.rows() == lab.rows("src")
    assert lab.published() == dict.fromkeys(lab.days, 2)


def test_a_chunk_that_fails_is_done_again_alone(lab: Lab, run_group: RunGroup) -> None:
    lab.run("UPDATE src SET amount = 1000 WHERE ds = '2013-01-05' AND id = 2")
    before = lab.rows()
    run = run_group()
    failed = {("chunk", 2): "failed", ("compare", -1): "upstream_failed", ("exchange", -1): "upstream_failed"}
    assert states(run) == ALL | CHUNKS | failed
    assert lab.rows() == before
    assert [number for number, *_ in lab.chunks()] == [1, 3, 4]
    lab.run("UPDATE src SET amount = 20 WHERE id = 2")
    run = clear_failed(run, run_group)
    assert states(run) == ALL | CHUNKS
    assert lab.rows() == lab.rows("src")
    assert sorted(number for number, *_ in lab.chunks()) == [1, 2, 3, 4]
    tries = lab.run("SELECT number, try_number FROM dataquality.chunk WHERE number = 2")
    assert [number for number, _ in tries] == [2]


def clear_failed(run: Any, run_group: RunGroup) -> Any:
    """What the button in the UI does, and then the scheduler."""
    from airflow.models.taskinstance import clear_task_instances
    from airflow.sdk import DAG
    from airflow.utils.session import create_session

    with create_session() as session:
        done = [ti for ti in run.get_task_instances(session=session) if str(ti.state) != "success"]
        clear_task_instances(done, session)
    # dag.test() makes its runs itself: one of the same date is taken up as it is.
    assert hasattr(DAG, "test")
    return run_group()


def test_rows_that_differ_too_much_are_not_exchanged(lab: Lab, run_group: RunGroup) -> None:
    lab.fill("daily", [("2013-01-04", number, number) for number in range(9)])
    before = lab.rows()
    run = run_group()
    assert states(run) == ALL | CHUNKS | {("compare", -1): "failed", ("exchange", -1): "upstream_failed"}
    assert lab.rows() == before
    assert list(lab.beside().values()) == ["rejected"]
    results = lab.ledger("check_result", "partition", "WHERE check_name = 'row_count_ratio' AND status = 'fail'")
    assert results == [('{"ds": "2013-01-04"}',)]
    lab.run("DELETE FROM daily")
    run = run_group(2)
    assert states(run) == ALL | CHUNKS
    assert lab.rows() == lab.rows("src")


def test_as_many_at_once_as_wanted(lab: Lab, run_group: RunGroup) -> None:
    run = run_group(arguments="max_parallel=1, order='oldest_first', skip_unchanged=True")
    assert states(run) == ALL | CHUNKS
    assert run.dag.get_task("again.chunk").max_active_tis_per_dagrun == 1
    labels = [ti.rendered_map_index for ti in sorted(run.get_task_instances(), key=lambda ti: ti.map_index)][-4:]
    assert labels[0] == "2013-01-01 to 2013-01-03"
    assert lab.rows() == lab.rows("src")
