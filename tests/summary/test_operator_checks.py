"""Checks of a summary, one partition or many, and what the ledger keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from summary.lab import DAYS, Lab

from airflow_dataquality.checks import check
from support import on, told_to_listeners

pytestmark = on("postgres", "redshift")

NO_C: list[Any] = [check("custom_sql", sql="SELECT count(*) FROM {table} WHERE k = 'c'", equal_to=0, name="no_c")]


def test_a_check_blocks_one_partition(lab: Lab) -> None:
    lab.publish(*DAYS[:5], checks=NO_C)
    with pytest.raises(AirflowException) as failure:
        lab.publish(DAYS[5], checks=NO_C)
    assert "public.s/ds=2013-01-06 was not published: 1 of 1 checks block it, production is unchanged" in str(
        failure.value
    )
    assert "no_c [error]: custom_sql is 1, expected = 0" in str(failure.value)
    assert lab.right(*DAYS[:5])
    assert lab.beside() == ["rejected"]
    lab.publish(*DAYS[5:])
    assert lab.right(*DAYS)
    assert lab.beside() == []


@pytest.mark.parametrize("keep", [True, False])
def test_a_check_blocks_many_partitions(lab: Lab, keep: bool) -> None:
    lab.publish(DAYS[0])
    with pytest.raises(AirflowException) as failure:
        lab.publish(DAYS[6], checks=NO_C, on_gap="catch_up", keep_staging=keep)
    assert "checks block 2 of 6 partitions; production is unchanged" in str(failure.value)
    assert "\n  - 2013-01-06: no_c: custom_sql is 1, expected = 0\n  - 2013-01-07: no_c: " in str(failure.value)
    assert lab.right(DAYS[0])
    assert lab.beside() == (["rejected"] if keep else [])
    with pytest.raises(AirflowException, match="checks block 2 of 7 partitions"):
        lab.backfill(DAYS[0], DAYS[6], of=lab.operator(DAYS[6], checks=NO_C))
    assert lab.right(DAYS[0])
    results = lab.ledger("check_result", "partition, status", "WHERE check_name = 'no_c'")
    assert {(json.loads(partition)["ds"], status) for partition, status in results} == {
        (day, "fail" if day >= DAYS[5] else "pass") for day in DAYS
    }


def test_an_old_partition_again_is_checked(lab: Lab) -> None:
    lab.publish(*DAYS[:5])
    lab.fill([(DAYS[1], "c", 1, 1, "JFK")])
    before = lab.rows()
    with pytest.raises(AirflowException, match="checks block 4 of 4 partitions"):
        lab.publish(DAYS[1], checks=NO_C)
    assert lab.rows() == before


@pytest.mark.parametrize(("fail_on", "severity", "fails"), [("error", "warn", False), ("warn", "warn", True),
                                                            ("never", "error", False)])  # fmt: skip
@pytest.mark.parametrize("many", [False, True])
def test_fail_on(lab: Lab, fail_on: str, severity: str, fails: bool, many: bool) -> None:
    lab.publish(*DAYS[: 3 if many else 5])
    checks = [check("row_count", equal_to=0, severity=severity)]
    arguments: dict[str, Any] = {"checks": checks, "fail_on": fail_on, "on_gap": "catch_up"}
    if fails:
        with pytest.raises(AirflowException, match="production is unchanged"):
            lab.publish(DAYS[5], **arguments)
    else:
        outcome = lab.publish(DAYS[5], **arguments)
        assert outcome["warned"] + outcome["failed"] == (3 if many else 1)
        assert lab.right(*DAYS[:6])


def test_checks_that_cannot_be(lab: Lab) -> None:
    for days in (DAYS[:1], DAYS[2:3]):
        with pytest.raises(AirflowException, match="did you mean 'total'"):
            lab.publish(*days, checks=[check("null_count", "totl", equal_to=0)], on_gap="catch_up")
        lab.publish(DAYS[0])
    assert lab.right(DAYS[0])
    with pytest.raises(AirflowFailException):
        lab.publish(DAYS[3], retry_on_failure=False)


def test_a_check_compares_with_the_partition_in_production(lab: Lab) -> None:
    ratio = [check("row_count_ratio", geq_to=1)]
    lab.publish(*DAYS[:3], checks=ratio)
    lab.run("DELETE FROM facts WHERE k = 'b'")
    with pytest.raises(AirflowException, match="row_count_ratio"):
        lab.publish(DAYS[0], checks=ratio)


def test_what_the_ledger_keeps(lab: Lab) -> None:
    rules = {"rules": [{"check": "row_count", "condition": {"geq_to": 1}}]}
    first = lab.publish(DAYS[0], checks=rules)
    many = lab.publish(DAYS[3], checks=rules, on_gap="catch_up")
    columns = "partition, run_uid, rows, mode, passed, built_on, definition"
    found = {json.loads(row[0])["ds"]: row[1:] for row in lab.ledger("publication", columns)}
    definition = lab.operator(DAYS[0]).load({}).recorded
    assert {day: row[:-1] for day, row in found.items()} == {
        DAYS[0]: (first["run_uid"], 2, "create", 1, None),
        DAYS[1]: (many["run_uid"], 3, "overwrite", 1, first["run_uid"]),
        DAYS[2]: (many["run_uid"], 3, "overwrite", 1, many["run_uid"]),
        DAYS[3]: (many["run_uid"], 3, "overwrite", 1, many["run_uid"]),
    }
    assert all(json.loads(row[-1]) == definition for row in found.values())
    assert definition["measures"]["recent"] == "Rolling(Sum('miles'), days=3)"
    counts = lab.ledger("metric", "partition, value, state", "WHERE metric = 'row_count'")
    assert {(json.loads(partition)["ds"], value, state) for partition, value, state in counts} == {
        (day, 3.0 - (day == DAYS[0]), "published") for day in DAYS[:4]
    }
    results = lab.ledger("check_result", "partition, status", "WHERE check_name = 'row_count'")
    assert sorted(json.loads(partition)["ds"] for partition, _ in results) == DAYS[:4]
    assert {status for _, status in results} == {"pass"}


@told_to_listeners
def test_results_are_there_for_listeners(lab: Lab) -> None:
    operator = lab.operator(DAYS[0], checks=NO_C)
    operator.execute({})
    assert [(found.name, found.success) for found in operator.check_results] == [("no_c", True)]
    operator = lab.operator(DAYS[5], checks=NO_C, on_gap="catch_up")
    with pytest.raises(AirflowException):
        operator.execute({})
    assert [found.success for found in operator.check_results] == [True] * 4 + [False]
