"""One SQL file for the daily run and the backfill: what it is rendered with, and what it may read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from backfill.lab import Lab

from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from support import on, synced

pytestmark = on("postgres", "redshift")

FILE = """
-- Both ways: of a day, and of the days from start_date to end_date.
SELECT ds, id, 2 * amount AS amount FROM src
WHERE {% if backfill %}ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'{% else %}ds = '{{ ds }}'{% endif %}
"""
OF_DS = "SELECT ds, id, amount FROM src WHERE ds = '{{ ds }}'"


def run_of(day: str) -> Any:
    return {"ds": day, "ds_nodash": day.replace("-", "")}


def daily(lab: Lab, sql: str) -> StageCheckExchangeOperator:
    return StageCheckExchangeOperator(
        task_id="daily", conn_id=lab.database.conn_id, table="daily", sql=sql, partition={"ds": "{{ ds }}"}
    )


def test_one_file_serves_both(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "daily.sql").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    for day in lab.days:
        operator = daily(lab, FILE)
        operator.render_template_fields(run_of(day))
        operator.execute(run_of(day))
    by_day = lab.rows()
    assert by_day == lab.rows("src", "ds, id, 2 * amount")
    assert lab.backfill("sql/daily.sql", skip_unchanged=True)["unchanged"] == 10
    lab.run("DELETE FROM daily")
    assert lab.backfill("sql/daily.sql")["chunks"] == 4
    assert lab.rows() == by_day


@pytest.mark.parametrize("sql", [FILE, OF_DS], ids=["a range", "a day"])
def test_a_backfill_of_a_daily_task(lab: Lab, sql: str) -> None:
    """The task is as the DAG file has it, or as Airflow rendered another one's fields."""
    backfill = ParallelBackfillOperator.of(daily(lab, sql), "2013-01-02", "2013-01-09")
    assert backfill.task_id == "backfill_daily"
    outcome = backfill.execute({})
    assert (outcome["partitions"], outcome["chunks"], outcome["rows"]) == (8, 2 if sql is FILE else 8, 24)
    assert [row[:2] for row in lab.rows()] == lab.rows("src WHERE ds BETWEEN '2013-01-02' AND '2013-01-09'", "ds, id")


def test_sql_that_reads_only_ds_is_a_partition_a_chunk(lab: Lab) -> None:
    assert lab.backfill(OF_DS, days_per_chunk=None)["chunks"] == 10
    assert lab.rows() == lab.rows("src")
    with pytest.raises(AirflowException, match="the SQL reads one partition, by its ds, and a chunk would be 3: the"):
        lab.backfill(OF_DS, days_per_chunk=3)
    assert lab.backfill(OF_DS, days_per_chunk=1)["chunks"] == 10


@pytest.mark.parametrize(
    ("sql", "chunks"),
    [
        (FILE, 2),
        ("SELECT * FROM src WHERE ds >= '{{ data_interval_start | ds }}' AND ds < '{{ data_interval_end | ds }}'", 2),
        ("{% set until = end_date %}SELECT * FROM src WHERE ds BETWEEN '{{ start_date }}' AND '{{ until }}'", 2),
        ("SELECT * FROM src WHERE ds = '{{ logical_date | ds }}'", 10),
        ("SELECT * FROM src WHERE ds = '{{ ts[:10] }}'", 10),
        ("SELECT * FROM src WHERE '{{ ds_nodash }}' = REPLACE(CAST(ds AS VARCHAR(10)), '-', '')", 10),
        ("SELECT * FROM src WHERE ds = '{{ ts_nodash[:8] }}' -- {{ start_date }}", 10),
    ],
    ids=str,
)
def test_what_a_text_may_read(lab: Lab, sql: str, chunks: int) -> None:
    """By default seven days are a chunk, where the text reads both of its ends."""
    outcome = lab.backfill(sql, days_per_chunk=None)
    assert (outcome["chunks"], outcome["rows"]) == (chunks, 30)
    assert lab.rows("daily", "ds, id") == lab.rows("src", "ds, id")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT '{{ start_date } AS x", "sql is no template: .*\nHint: look at its"),
        ("SELECT 1 {% if %}", "sql is no template: "),
        ("SELECT {{ start_date | nonsense }} {{ end_date }}", "nonsense"),
        (
            "SELECT {{ start_date.a.b.c }} {{ end_date }}",
            "sql cannot be rendered for 2013-01-1?.*\nHint: mend the template",
        ),
        ("SELECT 1; SELECT '{{ start_date }}{{ end_date }}'", "more than one statement"),
        ("{% if not backfill %}SELECT 1{% endif %} -- {{ start_date }}{{ end_date }}", "SELECT"),
        ("DELETE FROM daily WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'", "not a SELECT"),
        ("nowhere.sql", "SQL file 'nowhere.sql' does not exist; looked at: "),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_text_that_cannot_be_rendered(lab: Lab, sql: str, message: str) -> None:
    before = lab.fingerprint()
    with pytest.raises(AirflowException, match=message):
        lab.backfill(sql)
    assert lab.fingerprint() == before


@pytest.mark.parametrize("name", ["table", "start", "end"])
def test_templates_that_nobody_rendered_are_refused(lab: Lab, name: str) -> None:
    with pytest.raises(AirflowException, match=f"{name} was not rendered: "):
        lab.backfill(**{name: "{{ params.it }}"})


def test_checks_are_rendered_with_the_run(lab: Lab) -> None:
    rule = {
        "check": "custom_sql",
        "name": "of_the_run",
        "sql": "SELECT count(*) FROM {table} WHERE ds > '{{ ds }}'",
        "condition": {"equal_to": 0},
    }
    operator = lab.operator(checks=[rule])
    with pytest.raises(AirflowException, match="was not rendered"):
        operator.execute({})
    assert operator.execute(run_of("2013-01-10"))["rows"] == 30
    assert len(lab.ledger("check_result", "1", "WHERE check_name = 'of_the_run'")) == 4


# -- in a DAG

DAG_FILE = """
from datetime import datetime
from airflow.sdk import DAG, Asset
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator

with DAG("backfills", schedule=None, start_date=datetime(2013, 1, 1),
         params={"start": "2013-01-03", "factor": 2, "table": "daily"}):
    arguments = dict(conn_id="CONN_ID", table="{{ params.table }}", sql="sql/daily.sql", partition_column="ds",
                     max_parallel=2, checks="rules.yaml")
    one = ParallelBackfillOperator(
        task_id="one", start="{{ params.start }}", end="{{ macros.ds_add(params.start, 3) }}", days_per_chunk=2,
        outlets=[Asset("daily")], **arguments,
    )
    mapped = ParallelBackfillOperator.partial(task_id="mapped", days_per_chunk=1, **arguments).expand_kwargs(
        [{"start": "2013-01-01", "end": "2013-01-02"}, {"start": "2013-01-09", "end": "{{ '2013-01-10' }}"}]
    )
    one >> mapped
"""
DAG_SQL = """
SELECT ds, id, {{ params.factor }} * amount AS amount FROM src
WHERE ds BETWEEN '{{ start_date }}' AND '{{ macros.ds_add(end_date, 0) }}'
"""
RULES = """
name: rules
rules:
  - check: row_count
    condition: {geq_to: "RUN"}
"""


@pytest.mark.parametrize("day", [datetime(2013, 2, 8, tzinfo=UTC), None], ids=["scheduled", "manual, without a date"])
def test_files_templates_and_params_in_a_dag_run(
    lab: Lab, airflow_db: None, tmp_path: Path, day: datetime | None, run_uids: Callable[[Any], list[Any]]
) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "daily.sql").write_text(DAG_SQL)
    (tmp_path / "dag.py").write_text(DAG_FILE.replace("CONN_ID", lab.database.conn_id))
    (tmp_path / "rules.yaml").write_text(RULES.replace('"RUN"', "1"))
    run = synced(tmp_path, "backfills").test(logical_date=day, run_conf={"factor": 3})
    assert run.state == "success"
    of_days = "WHERE ds NOT IN ('2013-01-07', '2013-01-08')"
    assert lab.rows() == lab.rows(f"src {of_days}", "ds, id, 3 * amount")
    columns = "task_id, map_index, run_id, try_number"
    assert lab.run(f"SELECT DISTINCT {columns} FROM dataquality.publication") == [
        ("mapped", 0, run.run_id, 1), ("mapped", 1, run.run_id, 1), ("one", -1, run.run_id, 1),
    ]  # fmt: skip
    assert lab.run(f"SELECT DISTINCT {columns} FROM dataquality.chunk") == lab.run(
        f"SELECT DISTINCT {columns} FROM dataquality.publication"
    )
    one, *mapped = run_uids(run)
    published = {uid for (uid,) in lab.ledger("publication", "run_uid")}
    assert {one["run_uid"], *(outcome["run_uid"] for outcome in mapped)} == published
    assert one["partition"] == {"ds": "2013-01-03/2013-01-06"}
    assert json.loads(json.dumps(one)) == one


@pytest.fixture
def run_uids() -> Callable[[Any], list[Any]]:
    """What the tasks of a run returned: that of ``one``, and those of ``mapped``."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    def returned(run: Any) -> list[Any]:
        with create_session() as session:
            values = session.query(XComModel).filter_by(run_id=run.run_id, key="return_value").all()
            found = {(value.task_id, value.map_index): XComModel.deserialize_value(value) for value in values}
        return [found["one", -1], found["mapped", 0], found["mapped", 1]]

    return returned
