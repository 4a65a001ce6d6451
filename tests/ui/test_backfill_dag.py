"""``backfill_dag``: what its runs compute, hold, publish and discard."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSkipException
from reliability.killing import counts_statements, die
from reliability.lab import Process, await_alone

from airflow_dataquality.backfill_dag import TAG, backfill_dag
from airflow_dataquality.checks import check
from airflow_dataquality.engine.job import Job
from airflow_dataquality.errors import SpecError
from airflow_dataquality.measures import Sum
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from support import Warehouse, synced

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG, Asset
from airflow_dataquality.backfill_dag import backfill_dag
from airflow_dataquality.checks import check
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

with DAG("NAME_daily", schedule=None, params={"least": 0}, user_defined_macros={"source": "src"}):
    publish = StageCheckExchangeOperator(
        task_id="publish", conn_id="warehouse", table="daily", sql="sql/daily.sql", partition={"ds": "{{ ds }}"},
        checks=[check("max", "amount", leq_to=100)],
    )
backfill_dag("NAME", of=publish, days_per_chunk=2, outlets=[Asset("NAME")], chunk_arguments={"retries": 0},
             chunk_retries=0, compare_with_production=[check("row_count_ratio", geq_to=1)], ARGUMENTS)
"""
SQL = (
    "SELECT ds, id, amount FROM {{ source }} WHERE id >= {{ params.least }} "
    "AND ds BETWEEN '{{ start_date }}' AND '{{ end_date }}' /* the chunk */"
)
DAYS = [f"2013-01-{day:02}" for day in range(1, 11)]
RANGE = {"start": DAYS[0], "end": DAYS[-1]}
Run = Callable[..., Any]
_names = (f"again_{number}" for number in itertools.count(1))


@pytest.fixture
def connection(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """Ten days of ``src``, from which ``daily`` is computed."""
    with warehouse.connect() as connection:
        connection.execute("""
            CREATE TABLE src AS SELECT d::date AS ds, n AS id, n * 10 AS amount
            FROM generate_series(date '2013-01-01', '2013-01-10', '1 day') d, generate_series(1, 3) n;
            CREATE TABLE daily (ds date, id int, amount int)""")
        yield connection


@pytest.fixture
def run(airflow_db: None, connection: Any, tmp_path: Path) -> Run:
    """Run the DAG with parameters; its DagRun."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "daily.sql").write_text(SQL)
    name = next(_names)

    def run(arguments: str = "", **conf: Any) -> Any:
        (tmp_path / "dag.py").write_text(DAG_FILE.replace("NAME", name).replace("ARGUMENTS", arguments))
        return synced(tmp_path, name).test(run_conf={**RANGE, **conf}, logical_date=None)

    return run


@pytest.fixture
def chunks_sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that compute a chunk, as they are sent."""
    sent: list[str] = []
    execute = psycopg.Cursor.execute

    def counting(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if "/* the chunk */" in str(query) and str(query).startswith("INSERT"):
            sent.append(str(query))
        return execute(cursor, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", counting)
    return sent


def states(run: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for instance in sorted(run.get_task_instances(), key=lambda ti: ti.map_index):
        name = instance.task_id + (str(instance.map_index) if instance.map_index >= 0 else "")
        found[name] = str(instance.state)
    return found


def rows(connection: Any, table: str = "daily") -> list[Any]:
    return sorted(connection.execute(f"SELECT * FROM {table}").fetchall())


def staged(connection: Any) -> list[str]:
    """The roles of the tables beside ``daily``."""
    query = "SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE relname ~ '__dq_' AND relkind = 'r'"
    found = [json.loads(comment)["airflow_dataquality"] for (comment,) in connection.execute(query)]
    return [mark["role"] for mark in found]


def left(run: Any, task_id: str, key: str) -> dict[str, Any]:
    """What a task left for the pages."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(XComModel).filter_by(run_id=run.run_id, dag_id=run.dag_id, task_id=task_id, key=key)
        value: dict[str, Any] = XComModel.deserialize_value(session.scalars(query).one())
    return value


def test_a_held_backfill_is_published_by_a_second_run(run: Run, connection: Any, chunks_sent: list[str]) -> None:
    connection.execute("INSERT INTO daily SELECT ds, id, 0 FROM src WHERE ds = '2013-01-03'")
    before = rows(connection)
    first = run(max_parallel=2)
    everything = {"plan": "success", "chunks0": "success", "chunks1": "success", "compare": "success"}
    assert first.state == "success"
    assert states(first) == {**everything, "exchange": "skipped"}
    assert rows(connection) == before
    assert staged(connection) == ["backfill"]
    assert len(chunks_sent) == 5
    begun = left(first, "plan", "begun")
    assert (begun["chunks"], begun["found"], begun["table"]) == (5, 0, "public.daily")
    compared = left(first, "compare", "compared")
    assert {key: compared[key] for key in ("partitions", "differing", "staged", "held")} == {
        "partitions": 10, "differing": 9, "staged": 30, "held": 3
    }  # fmt: skip
    assert compared["listed"][0] == {
        "partition": "2013-01-01", "staged": 3, "held": 0, "changed": None,
        "checks": {"row_count_ratio": [None, "skip"]},
    }  # fmt: skip

    second = run(max_parallel=2, finish="exchange", backfill=begun["backfill"])
    assert states(second) == {"plan": "success", "chunks": "skipped", "compare": "success", "exchange": "success"}
    assert second.state == "success"
    assert len(chunks_sent) == 5, "what is staged is not computed again"
    assert rows(connection) == rows(connection, "src")
    assert staged(connection) == []
    published = connection.execute("SELECT DISTINCT task_id, run_id FROM dataquality.publication").fetchall()
    assert published == [("exchange", second.run_id)]

    third = run(max_parallel=2, finish="exchange", backfill=begun["backfill"])
    assert states(third)["plan"] == "failed", "it is over, and what would be computed now was compared by nobody"
    assert len(chunks_sent) == 5


def test_each_process_computes_its_share(run: Run, connection: Any) -> None:
    """As many tasks as the run is given processes, each for as many chunks as the others."""
    last = run(max_parallel=3, days_per_chunk=1, finish="exchange")
    assert [name for name in states(last) if name.startswith("chunks")] == ["chunks0", "chunks1", "chunks2"]
    assert rows(connection) == rows(connection, "src")
    shares = connection.execute("SELECT map_index, count(*) FROM dataquality.chunk GROUP BY 1 ORDER BY 1").fetchall()
    assert shares == [(0, 4), (1, 3), (2, 3)]
    labels = {ti.map_index: ti.rendered_map_index for ti in last.get_task_instances() if ti.map_index >= 0}
    assert labels == {0: "process 1 of 3", 1: "process 2 of 3", 2: "process 3 of 3"}


def test_a_held_backfill_is_discarded(run: Run, connection: Any) -> None:
    first = run()
    begun = left(first, "plan", "begun")["backfill"]
    second = run(finish="discard", backfill=begun)
    assert states(second) == {"plan": "success", "chunks": "skipped", "compare": "skipped", "exchange": "skipped"}
    assert second.state == "success"
    assert staged(connection) == []
    assert rows(connection) == []


def test_what_cannot_be_discarded(connection: Any) -> None:
    with pytest.raises(AirflowException, match=r"nothing of public.daily.* is staged that could be discarded"):
        Steps(job(), finish="discard").execute()
    held = Steps(job())
    assert held.execute() == "compare"
    with pytest.raises(AirflowException, match=r"nothing of .* is staged"):
        Steps(job(), finish="discard", backfill="another").execute()
    assert staged(connection) == ["backfill"]
    assert Steps(job(), finish="discard", backfill=held.left["begun"]["backfill"]).execute() == "plan"
    assert staged(connection) == []


def test_a_dry_run_changes_nothing(run: Run, connection: Any) -> None:
    last = run(finish="plan", max_parallel=2)
    assert last.state == "success"
    planned = left(last, "plan", "planned")
    assert (planned["chunks"], planned["partitions"], planned["exchange"], planned["held"]) == (5, 10, "overwrite", 0)
    assert planned["estimated_rows"] > 0
    assert "BETWEEN '2013-01-09' AND '2013-01-10'" in planned["sql"]["2013-01-09 to 2013-01-10"]
    assert staged(connection) == []
    assert rows(connection) == []
    assert connection.execute("SELECT to_regclass('dataquality.chunk')").fetchone() == (None,)


def test_a_chunk_that_fails_leaves_the_others_staged(run: Run, connection: Any, chunks_sent: list[str]) -> None:
    connection.execute("UPDATE src SET amount = 1000 WHERE ds = '2013-01-05' AND id = 2")
    first = run(max_parallel=2)
    assert {"chunks0": "failed", "compare": "upstream_failed"}.items() <= states(first).items()
    assert states(first)["chunks1"] == "success"
    assert first.state == "failed"
    numbers = "SELECT number FROM dataquality.chunk ORDER BY number"
    assert [number for (number,) in connection.execute(numbers)] == [1, 2, 4, 5]
    connection.execute("UPDATE src SET amount = 20 WHERE id = 2")
    del chunks_sent[:]
    second = run(max_parallel=2, finish="exchange")
    assert second.state == "success"
    assert [name for name in states(second) if name.startswith("chunks")] == ["chunks0"]
    assert len(chunks_sent) == 1
    assert left(second, "plan", "begun")["found"] == 4
    assert rows(connection) == rows(connection, "src")


def test_what_the_comparison_blocks_is_not_held(run: Run, connection: Any) -> None:
    connection.execute("INSERT INTO daily SELECT '2013-01-03', n, n FROM generate_series(1, 9) n")
    last = run()
    assert (states(last)["compare"], states(last)["exchange"]) == ("failed", "upstream_failed")
    assert staged(connection) == ["rejected"]
    assert len(rows(connection)) == 9


@pytest.mark.parametrize(
    "conf",
    [
        {"start": "2013-01-10", "end": "2013-01-01"},
        {"start": "1973-01-01"},
        {"end": "9999-12-31"},
        {"days_per_chunk": 0},
        {"max_parallel": 99},
        {"finish": "anyhow"},
        {"start": "2013-01-01' OR 1 = 1 --"},
        {"start": "{{ 1 }}"},
    ],
    ids=str,
)
def test_a_run_that_cannot_work_is_refused(run: Run, connection: Any, conf: dict[str, Any]) -> None:
    from airflow.exceptions import ParamValidationError

    ran = False
    with contextlib.suppress(ParamValidationError, ValueError):  # as Airflow refuses what the parameters do not allow
        ran = run(**conf).state != "failed"
    assert not ran
    assert connection.execute("SELECT to_regclass('dataquality.chunk')").fetchone() == (None,)
    assert staged(connection) == []


# -- without Airflow's metadata: the tasks one after the other


class Steps:
    """A run of the DAG, as a process runs it: task by task, in this process."""

    def __init__(self, dag: Any, **conf: Any) -> None:
        params = {name: value for name, value in dag.params.dump().items() if value is not None}
        self.dag, self.context = dag, {"params": {**params, **RANGE, **conf}}
        self.left: dict[str, Any] = {}

    def execute(self, _context: Any = None) -> str:
        """All of it; the last task that did something."""
        shares = self._task("plan").execute(self._seen())
        done = "plan"
        for share in shares:
            self._task("chunks", share).execute(self._seen())
            done = "chunks"
        for name in ("compare", "exchange"):
            try:
                self._task(name, self.left.get("begun")).execute(self._seen())
            except AirflowSkipException:
                continue
            done = name
        return done

    def _task(self, name: str, work: Any = None) -> Any:
        task = self.dag.get_task(name)
        if name == "chunks":
            # As a worker makes one of the mapped task.
            keep = {**task.partial_kwargs, "work": work, "task_id": "one_of_them", "dag": None}
            keep.pop("map_index_template", None)
            task = task.operator_class(**{key: value for key, value in keep.items() if key not in ("params", "dag")})
            task.start, task.end = self.context["params"]["start"], self.context["params"]["end"]
            return task
        task.start, task.end, task.work = self.context["params"]["start"], self.context["params"]["end"], work
        return task

    def _seen(self) -> dict[str, Any]:
        return {**self.context, "ti": self}

    def xcom_push(self, key: str, value: Any) -> None:
        self.left[key] = value


def job(**arguments: Any) -> Any:
    sql = "SELECT ds, id, amount FROM src WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}' /* the chunk */"
    given = {"conn_id": "warehouse", "table": "public.daily", "sql": sql, "partition_column": "ds", "days_per_chunk": 5}
    return backfill_dag(next(_names), **{**given, **arguments})


@counts_statements
def test_killed_at_some_statements(connection: Any, tmp_path: Path) -> None:
    """And run again: each chunk is computed once, production is old or new, and the rows are the same."""
    old = "INSERT INTO daily SELECT ds, id, 0 FROM src"
    connection.execute(old)
    before, after = rows(connection), rows(connection, "src")
    diary = tmp_path / "sent"
    die(Steps(job(), finish="exchange", max_parallel=2), 0, "never", diary)  # which makes the ledger, too
    sent = die(Steps(job(), finish="exchange", max_parallel=2), 0, "never", diary).sent
    assert rows(connection) == after
    resumed = set()
    for number in (*range(len(sent) // 8, len(sent), 13), len(sent)):
        connection.execute(f"TRUNCATE daily, dataquality.chunk, dataquality.publication; {old}")
        assert not die(Steps(job(), finish="exchange", max_parallel=2), number, "before", diary).survived
        await_alone(connection)
        seen = rows(connection)
        assert seen in (before, after)
        kept = {number for (number,) in connection.execute("SELECT number FROM dataquality.chunk")}
        resumed.add(len(kept) if seen == before else -1)
        if seen == before:
            assert Steps(job(), finish="exchange").execute() == "exchange"
            numbers = [number for (number,) in connection.execute("SELECT number FROM dataquality.chunk")]
            assert sorted(numbers) == [1, 2], "none is computed twice"
        assert rows(connection) == after
        # What was published already is dropped by the next run, whichever that is.
        assert staged(connection) in ([], ["stage"] if seen == after else [])
    assert {0, 2, -1} <= resumed


def test_two_at_once(connection: Any) -> None:
    """They do not compute a chunk twice, and one of them publishes; the other is told, or finds it done."""

    def process(dag: Any) -> str:
        try:
            return Steps(dag, finish="exchange", max_parallel=2, days_per_chunk=1).execute()
        except AirflowException as error:
            return str(error).partition("\n")[0]

    for _ in range(3):
        connection.execute("TRUNCATE daily")
        found = [process.join() for process in [Process(partial(process, job())) for _ in range(2)]]
        assert "exchange" in found
        await_alone(connection)
        assert rows(connection) == rows(connection, "src")
        assert staged(connection) == []
        told = [answer for answer in found if answer != "exchange"]
        assert all(" is over, or was begun anew " in answer or "under way" in answer for answer in told), told
    query = "SELECT backfill, number FROM dataquality.chunk GROUP BY 1, 2 HAVING count(*) > 1"
    assert connection.execute(query).fetchall() == []


def test_a_summary(connection: Any) -> None:
    operator = IncrementalSummaryOperator(
        task_id="summarize", conn_id="warehouse", source="src", summary="sums", keys=["id"], partition_column="ds",
        partition="{{ ds }}", measures={"amount_total": Sum("amount")},
    )  # fmt: skip
    dag = backfill_dag(next(_names), of=operator)
    assert "days_per_chunk" not in dag.params
    held = Steps(dag, max_parallel=2)
    assert held.execute() == "compare"
    assert staged(connection) == ["backfill"]
    begun = held.left["begun"]["backfill"]
    assert Steps(dag, finish="exchange", max_parallel=2, backfill=begun).execute() == "exchange"
    total = "SELECT ds::text, id, amount_total FROM sums WHERE ds = '2013-01-10' ORDER BY 2"
    assert connection.execute(total).fetchall() == [("2013-01-10", n, 100 * n) for n in (1, 2, 3)]
    assert connection.execute("SELECT count(DISTINCT ds) FROM sums").fetchone() == (10,)


def test_on_redshift(redshift: RedshiftWarehouse) -> None:
    with redshift.superuser() as eyes:
        eyes.execute("""
            CREATE TABLE public.src AS SELECT d::date AS ds, n AS id, n * 10 AS amount
            FROM generate_series(date '2013-01-01', '2013-01-10', '1 day') d, generate_series(1, 3) n;
            GRANT ALL ON SCHEMA public TO PUBLIC; GRANT SELECT ON public.src TO PUBLIC""")
        held = Steps(job(conn_id="redshift"))
        assert held.execute() == "compare"
        begun = held.left["begun"]["backfill"]
        assert Steps(job(conn_id="redshift"), finish="exchange", backfill=begun).execute() == "exchange"
        assert rows(eyes, "public.daily") == rows(eyes, "public.src")
        assert Steps(job(conn_id="redshift")).execute() == "compare"
        assert Steps(job(conn_id="redshift"), finish="discard").execute() == "plan"
        left = "SELECT count(*) FROM pg_class WHERE relname ~ '__dq_backfill'"
        assert eyes.execute(left).fetchone() == (0,)


# -- what the DAG says of itself


def test_the_dag_tells_the_pages_what_it_is() -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    publish = StageCheckExchangeOperator(
        task_id="publish", conn_id="warehouse", table="daily", sql="SELECT * FROM src WHERE ds = '{{ ds }}'",
        partition={"ds": "{{ ds }}"}, checks=[check("null_count", "id", equal_to=0)],
    )  # fmt: skip
    dag = backfill_dag(of=publish, most_partitions=100)
    assert dag.dag_id == "backfill_publish"
    assert TAG in dag.tags
    assert dag.fileloc == __file__
    text = DagSerialization.to_dict(dag)
    assert DagSerialization.to_dict(backfill_dag(of=publish, most_partitions=100)) == text, "no version each time"
    plan: Any = DagSerialization.from_dict(text).get_task("plan")
    described = Job.read(plan.doc_json)
    assert described is not None
    assert (described.table, described.grain, described.per_chunk, described.most_per_chunk) == ("daily", "day", 1, 1)
    assert described.checks == ("null_count(id): = 0 [error]",)
    assert described.sql == "SELECT * FROM src WHERE ds = '{{ ds }}'"


@pytest.mark.parametrize(
    ("grain", "good", "bad"),
    [
        ("day", "2013-01-31", "2013-1-31"),
        ("week", "2013-01-28", "2013-W05"),
        ("month", "2013-01", "2013-01-31"),
        ("hour", "2013-01-31T00:00Z", "2013-01-31"),
    ],
)
def test_how_partitions_are_written(grain: str, good: str, bad: str) -> None:
    from airflow.exceptions import ParamValidationError

    dag = job(grain=grain, days_per_chunk=None)
    dag.params["start"] = good
    with pytest.raises(ParamValidationError, match="start"):
        dag.params["start"] = bad


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"start": "2013-01-01"}, "start: that is for each run to say"),
        ({"finish": "hodl"}, "did you mean 'hold'"),
        ({"most_partitions": 0}, "most_partitions is 0"),
        ({"sql": "nowhere.sql"}, "nowhere.sql"),
        ({"order": "any"}, "order is 'any'"),
    ],
)
def test_arguments_that_can_never_work(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        job(**arguments)


def test_neither_a_task_nor_sql() -> None:
    with pytest.raises(SpecError, match="neither of= nor sql="):
        backfill_dag("nothing", table="daily")
