"""Redshift's own troubles: transactions that contradict each other, connections that break."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from backfill.lab import Lab
from redshift_connector import InterfaceError

from support import on

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

pytestmark = on("redshift")


@pytest.mark.parametrize("parallel", [1, 2])
@pytest.mark.parametrize("kind", ["1023", "disconnect"])
@pytest.mark.parametrize(
    "when",
    ['^INSERT INTO "dq_chunk_', "^LOCK TABLE .*__dq_backfill", "^INSERT INTO .*__dq_backfill", 'INSERT INTO .*"chunk"'],
)
def test_a_chunk_that_is_disturbed_is_tried_again(
    lab: Lab, redshift: RedshiftWarehouse, when: str, kind: Any, parallel: int, caplog: pytest.LogCaptureFixture
) -> None:
    lab.backfill()  # makes the ledger
    lab.run("UPDATE src SET amount = 11 WHERE id = 1")
    recorded = len(lab.chunks())
    fault = redshift.double.inject(kind, when=when, phase="after")
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        outcome = lab.backfill(max_parallel=parallel)
    assert fault.times == 0
    computed = kind == "1023" and "dq_chunk" not in when  # then only staging is tried again
    assert ("failed, and is tried again" in caplog.text) is not computed
    assert (outcome["rows"], outcome["chunks"]) == (30, 4)
    assert lab.rows() == lab.rows("src")
    assert len(lab.chunks()) == recorded + 4


@pytest.mark.parametrize("when", ['^DELETE FROM "public"."daily"', '^INSERT INTO "public"."daily"', '"publication"'])
def test_an_exchange_that_is_contradicted_is_done_again(lab: Lab, redshift: RedshiftWarehouse, when: str) -> None:
    lab.backfill()
    lab.run("UPDATE src SET amount = 11 WHERE id = 1", "DELETE FROM src WHERE ds = '2013-01-05'")
    fault = redshift.double.inject("1023", when=when, phase="after")
    outcome = lab.backfill(skip_unchanged=True)
    assert fault.times == 0
    assert outcome["rows"] == 27
    assert lab.rows() == lab.rows("src")
    assert lab.published() == dict.fromkeys(lab.days, 2)
    assert lab.beside() == {}


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
def test_backfills_of_different_tables_at_once(lab: Lab, redshift: RedshiftWarehouse, isolation: str) -> None:
    """They write to one ledger."""
    lab.backfill()
    redshift.double.isolation = isolation
    with ThreadPoolExecutor(3) as threads:
        tables = [f"made_{number}" for number in range(3)]
        outcomes = list(threads.map(lambda table: lab.backfill(table=table, days_per_chunk=1), tables))
    assert [outcome["rows"] for outcome in outcomes] == [30] * 3
    for table in tables:
        assert lab.rows(table) == lab.rows("src")
    assert len(lab.chunks()) == 4 + 3 * 10


@pytest.mark.parametrize("isolation", ["serializable", "snapshot"])
def test_overlapping_backfills_at_once(lab: Lab, redshift: RedshiftWarehouse, isolation: str) -> None:
    lab.backfill()
    redshift.double.isolation = isolation
    sql = "SELECT ds, id, {} AS amount FROM src WHERE ds BETWEEN '{{{{ start_date }}}}' AND '{{{{ end_date }}}}'"

    def run(number: int) -> dict[str, Any]:
        ends = [{"end": "2013-01-06"}, {"start": "2013-01-05"}][number]
        return lab.backfill(sql.format(number), days_per_chunk=2, **ends)

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(run, range(2)))
    by_day = lab.run("SELECT ds, COUNT(DISTINCT amount), MIN(amount), COUNT(*) FROM daily GROUP BY ds")
    assert [(each[1], each[3]) for each in by_day] == [(1, 3)] * 10
    assert {str(each[0]): each[2] for each in by_day if str(each[0]) < "2013-01-05"} == dict.fromkeys(lab.days[:4], 0)
    assert len({each[2] for each in by_day if str(each[0]) in lab.days[4:6]}) == 1
    assert {outcome["published"] for outcome in outcomes} == {True}
    assert lab.beside() == {}


def test_a_backfill_whose_session_broke_goes_on(lab: Lab, redshift: RedshiftWarehouse) -> None:
    lab.backfill()
    recorded = len(lab.chunks())
    redshift.double.inject("disconnect", when='^DELETE FROM "public"."daily"', phase="before")
    with pytest.raises(InterfaceError, match="socket closed"):
        lab.backfill()
    assert len(lab.chunks()) == recorded + 4
    assert list(lab.beside().values()) == ["backfill"]
    assert lab.backfill()["rows"] == 30
    assert len(lab.chunks()) == recorded + 4
