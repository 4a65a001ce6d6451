"""A summary that is made of something else now, or that something else wrote."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from summary.lab import DAYS, FACTS, MEASURES, Lab

from airflow_dataquality.measures import Count, Latest, Max, Sum
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from support import on

pytestmark = on("postgres", "redshift")

OTHER = {**MEASURES, "total": Sum("miles + 1")}
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "measure": ({"measures": OTHER}, "total: was Sum('miles'), is Sum('miles + 1')"),
    "order": ({"measures": {**MEASURES, "spot": Latest("spot", order_by="miles")}},
              "spot: was Latest('spot', order_by='at'), is Latest('spot', order_by='miles')"),
    "since": ({"since": "2013-01-01"}, "since: was None, is 2013-01-01"),
    "source": ({"source": "others"}, "source: was facts, is others"),
    "grain": ({"grain": "week"}, "grain: was day, is week"),
}  # fmt: skip


@pytest.fixture
def published(lab: Lab) -> Lab:
    """Five days, and another table with the same facts and one more."""
    lab.publish(*DAYS[:5])
    lab.run("CREATE TABLE others AS SELECT * FROM facts")
    lab.fill([(DAYS[0], "other", 1, 1, "JFK")], "others")
    return lab


@pytest.mark.parametrize("change", CHANGES)
def test_another_definition_is_refused(published: Lab, change: str) -> None:
    arguments, words = CHANGES[change]
    with pytest.raises(AirflowException) as failure:
        published.publish(DAYS[5], **arguments)
    assert str(failure.value) == (
        "s: 5 published partitions (2013-01-01 to 2013-01-05) are made of something else, and nothing was mixed with "
        f'them:\n  - {words}\nHint: on_definition_change="rebuild" builds all of them again; so does '
        'ParallelBackfillOperator.of(…, start="2013-01-01", end="2013-01-05")'
    )
    assert published.right(*DAYS[:5])


def test_measures_that_are_new_and_gone(published: Lab) -> None:
    with pytest.raises(AirflowException, match=r"\n  - more: is new\n  - n: is gone\n"):
        published.publish(DAYS[5], measures={"more": Count()} | {k: v for k, v in MEASURES.items() if k != "n"})


def test_another_definition_rebuilds_all(published: Lab) -> None:
    outcome = published.publish(DAYS[5], on_definition_change="rebuild", measures=OTHER)
    assert (outcome["partitions"], outcome["unchanged"]) == (6, 0)
    totals = [(row[3], row[2]) for row in published.rows() if row[3] is not None]
    known = {(day, key): 0 for day in DAYS for key in "abc"}
    for day, key, miles, *_ in FACTS:
        for later in DAYS:
            if later >= day and key and miles is not None:
                known[later, key] += miles + 1
    seen = published.rows(columns="CAST(ds AS VARCHAR), k, total")
    assert {(day, key): total for day, key, total in seen if key} == {
        at: total for at, total in known.items() if total and at[0] <= DAYS[5]
    }
    assert len(totals) > len(known) / 2
    # The old one is the other one now.
    with pytest.raises(AirflowException, match=r"total: was Sum\('miles \+ 1'\), is Sum\('miles'\)"):
        published.publish(DAYS[6])
    published.publish(DAYS[2], on_definition_change="rebuild")
    assert published.right(*DAYS[:6])


def test_a_rebuild_with_a_measure_that_the_table_lacks(published: Lab) -> None:
    """The table is the user's: what it lacks is said, with the column to add."""
    more = {**MEASURES, "shortest": Max("-miles")}
    with pytest.raises(AirflowException, match="shortest"):
        published.publish(DAYS[5], on_definition_change="rebuild", measures=more)
    published.run("ALTER TABLE s ADD COLUMN shortest INTEGER")
    published.publish(DAYS[5], on_definition_change="rebuild", measures=more)
    assert published.right(*DAYS[:6])


@pytest.mark.parametrize("whole", [True, False])
def test_a_backfill_takes_a_new_definition(published: Lab, whole: bool) -> None:
    operator = published.operator(DAYS[5], source="others")
    if not whole:
        with pytest.raises(AirflowException, match="source: was facts, is others"):
            published.backfill(DAYS[1], DAYS[4], of=operator)
        operator.on_definition_change = "rebuild"
    assert published.backfill(DAYS[0 if whole else 3], DAYS[4], of=operator)["partitions"] == 5
    published.run("DROP TABLE facts", "ALTER TABLE others RENAME TO facts")
    assert published.right(*DAYS[:5])


# -- something else


@pytest.mark.parametrize(
    ("partition", "where", "named"),
    [({"ds": DAYS[4]}, f"ds = '{DAYS[4]}'", "1 published partitions (2013-01-05 to 2013-01-05)"),
     ({}, "ds = ds", "5 published partitions (2013-01-01 to 2013-01-05)")],
)  # fmt: skip
def test_what_something_else_published_is_refused(
    published: Lab, partition: dict[str, str], where: str, named: str
) -> None:
    other = StageCheckExchangeOperator(
        task_id="t", conn_id=published.database.conn_id, table="s", partition=partition,
        sql=f"SELECT * FROM s WHERE {where}",
    )  # fmt: skip
    other.execute({})
    words = re.escape(named) + r" are made of .*:\n  - something else published them\n"
    with pytest.raises(AirflowException, match=words):
        published.publish(DAYS[5])
    published.publish(DAYS[5], on_definition_change="rebuild")
    assert published.right(*DAYS[:6])


@pytest.mark.parametrize("statement", ["DELETE FROM s WHERE ds = '{}' AND k = 'a'", "INSERT INTO s (ds) VALUES ('{}')"])
def test_a_partition_that_somebody_changed(published: Lab, statement: str) -> None:
    published.run(statement.format(DAYS[4]))
    changed = re.escape("public.s/ds=2013-01-05 has ") + r"\d rows, and 3 were published: something else changed it\n"
    with pytest.raises(AirflowException, match=changed + "Hint: run 2013-01-05 again, which builds it anew"):
        published.publish(DAYS[5])
    with pytest.raises(AirflowException, match=changed):
        published.publish(DAYS[6], on_gap="catch_up")
    with pytest.raises(AirflowException, match=changed):
        published.backfill(DAYS[5], DAYS[6])
    # Its own run mends it.
    published.publish(DAYS[4])
    published.publish(DAYS[5])
    assert published.right(*DAYS[:6])


def test_an_old_partition_that_somebody_changed_is_mended_by_its_own_run(published: Lab) -> None:
    published.run(f"UPDATE s SET total = 0 WHERE ds = '{DAYS[2]}'")
    published.publish(DAYS[2])
    assert published.right(*DAYS[:5])


def test_a_table_that_was_dropped_and_one_that_was_emptied(published: Lab) -> None:
    published.run("DELETE FROM s")
    with pytest.raises(AirflowException, match="has 0 rows, and 3 were published"):
        published.publish(DAYS[5])
    published.run("DROP TABLE s")
    published.publish(DAYS[5])
    assert published.right(DAYS[5])
    assert list(published.chain().links) == [DAYS[5]]
    published.publish(DAYS[6], lookback_days=3)
    assert published.right(*DAYS[5:])
    published.run("DROP TABLE s")
    published.backfill(DAYS[1], DAYS[3])
    assert published.right(*DAYS[1:4])
    assert list(published.chain().links) == DAYS[1:4]


def test_rows_that_nobody_published(lab: Lab) -> None:
    """What the ledger does not know is not continued: it is made anew."""
    lab.publish(DAYS[0])
    lab.run("DELETE FROM dataquality.publication")
    lab.publish(DAYS[1])
    assert lab.right(*DAYS[:2])
    backfill = ParallelBackfillOperator.of(lab.operator(DAYS[1]), DAYS[0], DAYS[2])
    assert backfill.execute({})["partitions"] == 3
    assert lab.right(*DAYS[:3])
    # Nor are rows left alone that happen to be right.
    lab.run("DELETE FROM dataquality.publication")
    assert lab.backfill(DAYS[0], DAYS[2], skip_unchanged=True)["unchanged"] == 0
    assert list(lab.chain().links) == DAYS[:3]
