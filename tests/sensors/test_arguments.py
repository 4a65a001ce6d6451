"""What a sensor refuses when the DAG is parsed, and how partitions are written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_dataquality.engine.wanted import partition_of
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.sensors.partition import (
    PartitionSensor,
    RedshiftExternalPartitionSensor,
    S3PartitionSensor,
    wait_for,
)
from sensors.lab import sensor


@pytest.mark.parametrize(
    ("text", "table", "key"),
    [
        ("analytics.daily/ds=2013-02-08", Table("daily", "analytics"), {"ds": "2013-02-08"}),
        ("daily", Table("daily"), {}),
        ('"Mixed"."a/b=c"/"Day of"=1/region=EU', Table("a/b=c", "Mixed"), {"Day of": "1", "region": "EU"}),
        ("w.t/path='a/b'/x='it''s'", Table("t", "w"), {"path": "a/b", "x": "it's"}),
        ("w.t/at=2013-02-08 00:00:00+00:00", Table("t", "w"), {"at": "2013-02-08 00:00:00+00:00"}),
        ("w.t/x=a=b", Table("t", "w"), {"x": "a=b"}),
        ("w.t/x=''", Table("t", "w"), {"x": ""}),
        ("w.t/ DS = 2013 ", Table("t", "w"), {"ds": "2013"}),
    ],
)
def test_how_partitions_are_written(text: str, table: Table, key: dict[str, str]) -> None:
    assert partition_of(text) == Partition.of(table, key)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no table"),
        ("/ds=1", "names no table"),
        ("w.t/2013-02-08", "'/2013-02-08' is not /column=value"),
        ("w.t/ds", "is not /column=value"),
        ("w.t/ds=1/", "'/' is not /column=value"),
        ("w.t//ds=1", "is not /column=value"),
        ("w.t/ds=", "has no value for 'ds'"),
        ("w.t/ds=1/ds=2", "names the column 'ds' twice"),
        ("w.tds=1", "there is no slash between table and column"),
        ("a.b.c/ds=1", "names a database as well as a schema"),
        ("w t/ds=1", "is not a table name"),
        ("w.t/d s=1", "is not /column=value"),
        ("w.t/ds='1'2", "is not /column=value"),
        (7, "is not a text"),
    ],
)
def test_typos_are_errors_when_the_dag_is_parsed(text: Any, says: str) -> None:
    with pytest.raises(SpecError, match=r"(?s)Hint: ") as error:
        sensor([text])
    assert says in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "analytics.daily/ds={{ ds }}",
        "{{ params.table }}/ds={{ macros.ds_add(ds, -1) }}",
        "w.t/ds={{ dag_run.conf['a/b=c'] }}/h={% if x %}1{% else %}2{% endif %}",
        "{{ var.value.partition }}",
    ],
)
def test_templates_are_let_through_and_have_to_be_rendered(text: str) -> None:
    with pytest.raises(AirflowFailException, match="partitions was not rendered"):
        sensor(text).execute({})


def test_what_is_rendered_to_nonsense() -> None:
    waiting = sensor("w.t/ds={{ params.nothing }}")
    waiting.render_template_fields({"ds": "2013-02-08", "params": {"nothing": ""}})
    with pytest.raises(AirflowFailException, match="has no value for 'ds'"):
        waiting.execute({})


def test_ds_of_a_run_without_a_date() -> None:
    waiting = sensor("w.t/ds={{ ds }}")
    waiting.render_template_fields({"partition_key": "2013-02-09"})
    assert waiting.partitions == ["w.t/ds=2013-02-09"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"partitions": []}, "waits for nothing"),
        ({"conn_id": ""}, "has no conn_id"),
        ({"state": "publishd"}, "did you mean 'published'"),
        ({"on_missing_table": "fial"}, "did you mean 'fail'"),
        ({"min_rows": 5}, "min_rows beside state='published'\nHint: it belongs to state='exists'"),
        ({"settle": "5m"}, "settle beside state='published'"),
        ({"state": "exists", "min_score": 1}, "min_score beside state='exists'"),
        ({"state": "exists", "max_age": "1h"}, "max_age beside state='exists'"),
        ({"min_score": 2}, "min_score is 2\nHint: write a number from 0 to 1"),
        ({"max_age": "soon"}, "max_age 'soon' is not a duration"),
        ({"state": "exists", "min_rows": 0.5}, "min_rows is 0.5"),
        ({"state": "exists", "settle": "1m", "deferrable": False, "mode": "reschedule"}, "settle beside mode"),
    ],
)
def test_arguments_that_can_never_work(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError) as error:
        sensor(**arguments)
    assert says in str(error.value)


def test_deferral_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sensor().deferrable
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__DEFAULT_DEFERRABLE", "False")
    assert not sensor().deferrable
    assert sensor(deferrable=True).deferrable
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert sensor().deferrable


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "a marker, or a number of files or bytes"),
        ({"marker": "_SUCCESS", "min_files": 1}, "a marker, or a number of files or bytes"),
        ({"min_bytes": 0}, "min_bytes is 0"),
        ({"partitions": "lake/day", "min_files": 1}, "is no folder in S3"),
        ({"partitions": "s3://lake", "min_files": 1}, "is no folder in S3"),
    ],
)
def test_arguments_of_files_that_can_never_work(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=r"(?s)Hint:") as error:
        S3PartitionSensor(**{"task_id": "t", "partitions": "s3://lake/ds={{ ds }}/", **arguments})
    assert says in str(error.value)


@pytest.mark.parametrize("text", ["spectrum.sales", "sales/ds=1"])
def test_an_external_partition_has_schema_and_key(text: str) -> None:
    with pytest.raises(SpecError, match="is no partition of an external table"):
        RedshiftExternalPartitionSensor(task_id="t", conn_id="r", partitions=text)


# -- wait_for


def test_wait_for_makes_a_sensor_of_each() -> None:
    made = wait_for(
        ["analytics.a", "analytics.b/ds=2013-02-08", "analytics.b/ds=2013-02-09", '"Big Table"'],
        conn_id="warehouse", partition={"ds": "{{ ds }}"}, min_score=1, poke_interval=timedelta(seconds=5),
    )  # fmt: skip
    assert {each.task_id: each.partitions for each in made} == {
        "wait_for_analytics_a": ["analytics.a/\"ds\"='{{ ds }}'"],
        "wait_for_analytics_b": ["analytics.b/ds=2013-02-08"],
        "wait_for_analytics_b__2": ["analytics.b/ds=2013-02-09"],
        "wait_for_Big_Table": ['"Big Table"/"ds"=\'{{ ds }}\''],
    }
    assert {(each.min_score, each.poke_interval) for each in made} == {(1, 5.0)}
    assert isinstance(made[0], PartitionSensor)


def test_wait_for_the_tables_of_a_select() -> None:
    sql = """
        -- {{ ds }}
        WITH recent AS (SELECT * FROM raw.flights WHERE ds = '{{ ds }}')
        SELECT * FROM recent JOIN raw."Airlines" AS a USING (carrier) WHERE id IN (SELECT id FROM other)
    """
    made = wait_for(sql, conn_id="warehouse")
    assert sorted(each.partitions[0] for each in made) == ["other", 'raw."Airlines"', "raw.flights"]
    with pytest.raises(SpecError, match="the tables of the SELECT cannot be found"):
        wait_for("SELECT FROM WHERE (", conn_id="warehouse")
