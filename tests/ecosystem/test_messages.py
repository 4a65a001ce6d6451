"""What is said of a task that failed: in a real run, and of whatever Airflow hands over."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import BaseNotifier

from airflow_dataquality.errors import ChecksFailed, SchemaDrift
from airflow_dataquality.interval import Interval
from airflow_dataquality.messages import LONGEST, dq_failure_message
from airflow_dataquality.model import Check, Metric
from airflow_dataquality.results import Result, Status, Summary
from support import Warehouse, synced

DAGS = """
import os
from datetime import datetime, timezone
from pathlib import Path
from airflow.sdk import DAG, BaseHook, task
from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.messages import dq_failure_message
from airflow_dataquality.operators.anomaly_test import AnomalyTestOperator
from airflow_dataquality.operators.check import DataQualityCheckOperator
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator, parallel_backfill
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from airflow_dataquality.operators.table_statistics import TableStatisticsOperator
from airflow_dataquality.operators.upsert import UpsertOperator
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator
from airflow_dataquality.measures import Count

def tell(context):
    file = Path(os.environ["TOLD"]) / context["ti"].task_id
    file.write_text(dq_failure_message(context), encoding="utf-8")

BAD = [check("max", "amount", leq_to=5), check("null_count", "amount", equal_to=0)]
PART = {"ds": "{{ ds }}"}
SQL = "SELECT ds, id, amount FROM orders WHERE ds = '{{ ds }}'"
DATES = {"start": "2013-02-08", "end": "2013-02-09", "partition_column": "ds", "conn_id": "warehouse"}
with DAG("fails", schedule=None, start_date=datetime(2013, 1, 1, tzinfo=timezone.utc),
         default_args={"conn_id": "warehouse", "on_failure_callback": tell}):
    StageCheckExchangeOperator(task_id="publish", table="sold", sql=SQL, partition=PART, checks=BAD)
    UpsertOperator(task_id="upsert", table="target", keys=["id"], sql="SELECT id, amount FROM orders", checks=BAD)
    DataQualityCheckOperator(task_id="check", table="orders", checks=BAD, partition=PART)
    ParallelBackfillOperator(task_id="backfill", table="past", sql=SQL, checks=BAD, **DATES)
    parallel_backfill("group", table="past2", sql=SQL, checks=BAD, **DATES)
    IncrementalSummaryOperator(task_id="summary", summary="totals", source="orders", keys=["id"],
        partition_column="ds", partition="{{ ds }}", measures={"n": Count()}, checks=[check("max", "n", leq_to=0)])
    AnomalyTestOperator(task_id="compare", control_sql="SELECT 1 AS n", experiment_sql="SELECT 5 AS n",
        formula="experiment.n <= control.n")
    ZScoreAnomalyOperator(task_id="zscore", table="missing")
    TableStatisticsOperator(task_id="statistics", table="missing")
    StageCheckExchangeOperator(task_id="drift", table="orders", sql="SELECT 1 AS strange")

    @task
    def foreign():
        password = BaseHook.get_connection("vault").password
        raise ValueError(f"cannot log in with {password}, nor at https://ann:hunter2@example.com/ {{{{ ds }}}}")

    foreign()
"""
SECRET = "correct-horse-battery"  # noqa: S105 - to look for


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("told")


@pytest.fixture
def messages(
    warehouse: Warehouse, airflow_db: None, told: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """What the callback of each task of a run said."""
    monkeypatch.setenv("TOLD", str(told))
    monkeypatch.setenv("AIRFLOW_CONN_VAULT", f"http://ann:{SECRET}@localhost")
    (tmp_path / "dags.py").write_text(DAGS)
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE orders (ds text, id int, amount int)")
        connection.execute("INSERT INTO orders VALUES ('2013-02-08', 1, 7), ('2013-02-09', 2, NULL)")
        connection.execute("CREATE TABLE target (id int PRIMARY KEY, amount int)")
    dag = synced(tmp_path, "fails")
    run = dag.test(logical_date=datetime(2013, 2, 8, tzinfo=UTC))
    assert run.state == "failed"
    return lambda task: (told / task).read_text(encoding="utf-8")


EXPECTED = {
    "publish": [
        "public.sold/ds=2013-02-08 was not published: 1 of 2 checks block it, production is unchanged",
        "Table: public.sold, partition ds=2013-02-08",
        "• max(amount) is 7, expected <= 5 [fail]",
        "Rejected rows: public.sold__dq_stage_",
    ],
    "upsert": ["Table: public.target", "• null_count(amount) is 1, expected = 0 [fail]", "Hint: look at what"],
    "check": ["1 of 2 checks on public.orders/ds=2013-02-08 did not pass", "• max(amount) is 7, expected <= 5 [fail]"],
    "backfill": ["public.past/ds=2013-02-08/2013-02-09: 2 of 2 chunks failed", "max(amount) is 7, expected <= 5"],
    "group.chunk": ["Table: public.past2, partition ds=2013-02-0", "map index "],
    "summary": ["Table: public.totals, partition ds=2013-02-08", "• max(n) is 1, expected <= 0 [fail]"],
    "compare": ["• compare: 5.0 <= 1.0 is false, expected experiment.n <= control.n [fail]"],
    "zscore": ["there is no table missing", "Hint: check the schema"],
    "statistics": ["there is no table missing", "Table: missing"],
    "drift": ["the SELECT does not fit public.orders", "Table: orders", "Hint: missing: amount, ds, id"],
    "foreign": ["ValueError: cannot log in with ***, nor at https://ann:***@example.com/ { { ds }}"],
}


def test_every_task_says_what_failed_and_nothing_secret(messages: Callable[[str], str], told: Path) -> None:
    assert {file.name for file in told.iterdir()} == set(EXPECTED)
    for task, parts in EXPECTED.items():
        said = messages(task)
        assert [part for part in parts if part not in said] == [], said
        title, *_, link = said.splitlines()
        assert title.startswith(parts[0][:10]) or task in ("upsert", "group.chunk", "summary", "compare")
        assert f"DAG fails, task {task}, run manual__" in said
        assert link.startswith("Log: http://localhost:8080/dags/fails/runs/manual__")
        assert not [secret for secret in (SECRET, "hunter2", os.environ["AIRFLOW_CONN_WAREHOUSE"]) if secret in said]


def blocked(reasons: int = 1, reason: str = "row_count is 0, expected > 0") -> dict[str, Any]:
    """What a callback is given after checks blocked a load."""
    check = Check("row_count", Metric("row_count"), Interval(low=0, low_open=True))
    summary = Summary(tuple(Result(check, 0, Status.FAIL, reason) for _ in range(reasons)))
    error = ChecksFailed("t was not published", outcome={"table": "t"}, summary=summary, hint="look at it")
    raised = AirflowException(str(error))
    raised.__cause__ = error
    ids = {"dag_id": "d", "task_id": "a", "run_id": "r", "map_index": -1, "try_number": 2}
    return {"exception": raised, "ti": SimpleNamespace(**ids, log_url="http://x/?a&b")}


def test_a_message_is_as_short_as_senders_need_it() -> None:
    said = dq_failure_message(blocked(40))
    assert said.count("row_count is 0") == 10
    assert "• … and 30 more" in said
    said = dq_failure_message(blocked(40, "x" * 5000), most=40)
    assert len(said) < LONGEST + 100
    assert said.endswith("\nLog: http://x/?a&b")


def test_markup_of_slack_and_of_mail() -> None:
    context = blocked(reason="<!channel> & co")
    assert "• row_count: &lt;!channel&gt; &amp; co; the value is 0, expected &gt; 0 [fail]\n" in dq_failure_message(
        context, markup="slack"
    )
    assert "&lt;!channel&gt; &amp; co; the value is 0, expected &gt; 0 [fail]<br>\n" in dq_failure_message(
        context, markup="html"
    )


def test_a_notifier_does_not_take_it_for_a_template() -> None:
    said = dq_failure_message(blocked(reason="{{ var.value.secret }} {% raw %} {# {{{ #}"))
    assert not [sign for sign in ("{{", "{%", "{#") if sign in said]

    class Notifier(BaseNotifier):
        """Sends nothing."""

        template_fields = ("text",)
        text = ""

        def notify(self, context: Any) -> None:
            """Send nothing."""

    notifier = Notifier()
    notifier.text = said
    notifier(blocked())
    assert notifier.text == said


class Broken:
    """Cannot even be looked at."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("context", "says"),
    [
        ({}, "A task failed"),
        ({"reason": "task_failure", "dag": SimpleNamespace(dag_id="d"), "run_id": "r"}, "task_failure\nDAG d, run r"),
        ({"exception": "it was killed"}, "it was killed"),
        ({"exception": KeyError("x")}, "KeyError: 'x'"),
        ({"exception": SchemaDrift("a\nb", hint="c"), "task": SimpleNamespace(table="t")}, "a\nTable: t\nb\nHint: c"),
    ],
)
def test_what_airflow_gives_in_other_callbacks(context: dict[str, Any], says: str) -> None:
    assert dq_failure_message(context) == says


@pytest.mark.parametrize(
    "context", [{"ti": Broken()}, {"exception": Broken()}, {"exception": SchemaDrift(""), "task": Broken()}]
)
def test_it_never_raises(context: dict[str, Any]) -> None:
    assert dq_failure_message(context).startswith("A task failed")


def test_the_callbacks_of_the_guide_run() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pages" / "guides" / "alerts.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def slack" in block)
    sent: list[dict[str, Any]] = []

    def notifier(**arguments: Any) -> Callable[[Any], None]:
        return lambda _: sent.append(arguments)

    known: dict[str, Any] = dict.fromkeys(("SlackNotifier", "SmtpNotifier", "PagerdutyNotifier"), notifier)
    exec(code.partition("with DAG")[0], known)  # noqa: S102 - our own page
    for name in ("slack", "mail", "page"):
        known[name](blocked())
    assert [each.get("text", each.get("subject", each.get("summary"))).splitlines()[0] for each in sent] == [
        "t was not published"
    ] * 3
