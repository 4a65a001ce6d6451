"""Partitions that are missing, and facts that come late."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from summary.lab import DAYS, Lab

from airflow_dataquality.measures import Count, Rolling
from support import on

pytestmark = on("postgres", "redshift")

BOTH = (
    "SELECT * FROM facts WHERE "
    "{% if backfill %} ds BETWEEN '{{ start_date }}' AND '{{ end_date }}' {% else %} ds = '{{ ds }}' {% endif %}"
)
LATE = [("2013-01-03", "late", 1000, 1, "JFK")]


def test_a_gap_names_the_missing_partitions(lab: Lab) -> None:
    lab.publish(DAYS[0])
    with pytest.raises(AirflowException) as failure:
        lab.publish(DAYS[3])
    assert str(failure.value) == (
        "s: 2013-01-04 continues 2013-01-03, which is not published; missing: 2013-01-02, 2013-01-03\n"
        'Hint: run them first; or write on_gap="catch_up" to have them built now, or "rebuild" to read all facts'
    )
    assert lab.right(DAYS[0])
    lab.publish(*DAYS[1:4])
    assert lab.right(*DAYS[:4])


def test_many_missing_partitions_are_not_all_named(lab: Lab) -> None:
    lab.publish(DAYS[0])
    with pytest.raises(AirflowException, match=r"missing: 2013-01-02, .*, 2013-01-11 and 48 more\n"):
        lab.publish("2013-03-01")


@pytest.mark.parametrize("arguments", [{}, {"sql": BOTH}, {"max_parallel": 1}], ids=str)
def test_catch_up(lab: Lab, arguments: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    lab.publish(DAYS[0], **arguments)
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        outcome = lab.publish(DAYS[5], on_gap="catch_up", **arguments)
    assert lab.right(*DAYS[:6])
    assert (outcome["partitions"], outcome["unchanged"]) == (5, 0)
    assert outcome["rows"] == sum(len(lab.rescan(day)) for day in DAYS[1:6])
    assert "2013-01-02, 2013-01-03, 2013-01-04, 2013-01-05 not published: built now" in caplog.text
    shards = lab.database.kind == "postgres" and "max_parallel" not in arguments
    how = "in 2 shards of the subjects over as many connections" if shards else "over one connection"
    assert f"Builds 2013-01-02 to 2013-01-06, each from the one before it, {how}" in caplog.text
    lab.publish(DAYS[6], **arguments)
    assert lab.right(*DAYS)
    assert lab.beside() == []


@pytest.mark.parametrize("arguments", [{}, {"sql": BOTH}], ids=str)
def test_rebuild(lab: Lab, arguments: dict[str, Any]) -> None:
    lab.publish(DAYS[0], **arguments)
    assert lab.publish(DAYS[4], on_gap="rebuild", **arguments)["published"]
    assert lab.right(DAYS[0], DAYS[4])
    assert lab.chain().links[DAYS[4]].built_on is None
    lab.publish(DAYS[5], **arguments)
    assert lab.right(DAYS[0], *DAYS[4:6])
    # The gap is closed: what comes after it does not continue it, and is right already.
    lab.publish(*DAYS[1:4], **arguments)
    assert lab.right(*DAYS[:6])


def test_rebuild_from_a_select_of_one_day_is_refused(lab: Lab) -> None:
    """It would forget what was before."""
    sql = "SELECT * FROM facts WHERE ds = '{{ ds }}'"
    lab.publish(DAYS[0], sql=sql)
    with pytest.raises(AirflowException, match="the SQL reads one partition, by its ds, and 2013-01-01 to 2013-01-05"):
        lab.publish(DAYS[4], on_gap="rebuild", sql=sql)
    assert lab.right(DAYS[0])
    lab.publish(DAYS[4], on_gap="catch_up", sql=sql)
    assert lab.right(*DAYS[:5])


# -- an old partition again


def test_an_old_partition_again_with_the_same_facts_is_left_alone(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.publish(*DAYS)
    before = lab.eyes.execute("SELECT xmin::text, * FROM s ORDER BY 2, 3").fetchall()
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        outcome = lab.publish(DAYS[2])
    assert (outcome["published"], outcome["partitions"], outcome["unchanged"]) == (False, 1, 1)
    assert "2013-01-03 is as it was published, and so are those that continue it" in caplog.text
    assert lab.published() == dict.fromkeys(DAYS, 1)
    assert lab.eyes.execute("SELECT xmin::text, * FROM s ORDER BY 2, 3").fetchall() == before
    assert lab.beside() == []


def test_an_old_partition_again_with_other_facts_rebuilds_what_continues_it(lab: Lab) -> None:
    lab.publish(*DAYS)
    lab.fill(LATE)
    outcome = lab.publish(DAYS[2])
    assert (outcome["partitions"], outcome["unchanged"]) == (5, 0)
    assert lab.right(*DAYS)
    assert lab.published() == {day: 1 + (day >= DAYS[2]) for day in DAYS}
    lab.run("DELETE FROM facts WHERE k = 'late'")
    lab.publish(DAYS[2])
    assert lab.right(*DAYS)


def test_the_first_partition_again(lab: Lab) -> None:
    lab.publish(*DAYS)
    lab.fill([("2012-12-31", "late", 1, 1, "JFK")])
    lab.publish(DAYS[0])
    assert lab.right(*DAYS)
    assert lab.published() == dict.fromkeys(DAYS, 2)


def test_what_did_not_change_after_it_is_not_published_again(lab: Lab) -> None:
    """A measure of one day forgets the change on the next: but that continues another publication now."""
    measures = {"n": Count(), "today": Rolling(Count(), days=1)}
    lab.publish(*DAYS, measures=measures)
    lab.run("DELETE FROM facts WHERE k = 'b'")
    lab.fill([("2013-01-01", "b", 1, 1, "JFK")] * 2)
    lab.publish(DAYS[0], measures=measures)
    assert lab.chain().stale() == []
    wanted = "SELECT 'b', CAST('{0}' AS DATE), 2, {1}"
    assert lab.rows(columns="k, ds, n, today", table="(SELECT * FROM s WHERE k = 'b') x") == lab.run(
        " UNION ALL ".join(wanted.format(day, 2 if day == DAYS[0] else 0) for day in DAYS)
    )


# -- lookback


def test_lookback(lab: Lab) -> None:
    lab.publish(*DAYS[:5])
    lab.fill(LATE)
    lab.publish(DAYS[5])
    assert lab.rows(DAYS[5]) != lab.rescan(DAYS[5])
    outcome = lab.publish(DAYS[6], lookback_days=4)
    assert lab.right(*DAYS)
    assert (outcome["partitions"], outcome["unchanged"]) == (5, 0)
    assert lab.published() == {day: 1 + (DAYS[2] <= day < DAYS[6]) for day in DAYS}


def test_lookback_leaves_alone_what_did_not_change(lab: Lab) -> None:
    lab.publish(*DAYS[:6])
    lab.fill([(DAYS[4], "late", 1, 1, "JFK")])
    outcome = lab.publish(DAYS[6], lookback_days=4)
    assert lab.right(*DAYS)
    assert (outcome["partitions"], outcome["unchanged"]) == (5, 2)
    assert lab.published() == {day: 1 + (DAYS[4] <= day < DAYS[6]) for day in DAYS}


def test_lookback_over_the_beginning_and_over_a_gap(lab: Lab) -> None:
    lab.publish(*DAYS[:2], lookback_days=30)
    lab.fill([(DAYS[0], "late", 1, 1, "JFK")])
    lab.publish(DAYS[2], lookback_days=30)
    assert lab.right(*DAYS[:3])
    lab.fill([(DAYS[1], "late", 1, 1, "JFK")])
    lab.publish(DAYS[5], lookback_days=2, on_gap="catch_up")
    assert lab.chain().missing_before(DAYS[6]) == []
    lab.publish(DAYS[6], lookback_days=6)
    assert lab.right(*DAYS)


def test_lookback_of_an_old_partition(lab: Lab) -> None:
    lab.publish(*DAYS)
    lab.fill([(DAYS[1], "late", 1, 1, "JFK")])
    lab.publish(DAYS[3], lookback_days=3)
    assert lab.right(*DAYS)


# -- what somebody else replaced


def test_what_continues_a_replaced_partition_is_built_again(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.publish(*DAYS[:5])
    lab.fill(LATE)
    # As a run that was killed between its publication and the look at what continues it.
    lab.run(f"UPDATE dataquality.publication SET run_uid = 'other' WHERE partition LIKE '%{DAYS[2]}%'")
    assert lab.chain().stale() == [DAYS[3]]
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        lab.publish(DAYS[5])
    assert "2013-01-04: what they continue was replaced: built again" in caplog.text
    assert lab.chain().stale() == []
    lab.publish(DAYS[2])
    assert lab.right(*DAYS[:6])
