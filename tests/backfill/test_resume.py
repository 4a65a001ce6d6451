"""Chunks that fail, and what the next run makes of what is staged."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from backfill.lab import RANGE, Lab

from airflow_dataquality import maintenance
from airflow_dataquality.checks import check
from support import on

pytestmark = on("postgres", "redshift")

NO_BIG = check("max", "amount", leq_to=100)


def spoil(lab: Lab, *days: str) -> None:
    """Make the chunks of these days fail: at ``NO_BIG``."""
    for day in days:
        lab.run(f"UPDATE src SET amount = 1000 WHERE ds = '{day}' AND id = 2")


def mend(lab: Lab) -> None:
    lab.run("UPDATE src SET amount = 20 WHERE id = 2")


def runs_of_chunks(lab: Lab) -> dict[int, set[str]]:
    """Chunk → the runs that recorded it."""
    found: dict[int, set[str]] = {}
    for number, run in lab.ledger("chunk", "number, run_uid"):
        found.setdefault(number, set()).add(run)
    return found


def test_a_check_blocks_its_chunk_and_the_next_run_computes_it_alone(lab: Lab) -> None:
    lab.fill("daily", [("2013-01-01", 0, 0)])
    before = lab.rows()
    spoil(lab, "2013-01-05", "2013-01-10")
    with pytest.raises(AirflowException) as failure:
        lab.backfill(checks=[NO_BIG])
    assert str(failure.value) == (
        "public.daily/ds=2013-01-01/2013-01-10: 2 of 4 chunks failed; production is unchanged\n"
        "  - 2013-01-04 to 2013-01-06: 1 of 1 checks block it, production is unchanged\n"
        "    - max(amount) [error]: max(amount) is 1000, expected <= 100\n"
        "  - 2013-01-10: 1 of 1 checks block it, production is unchanged\n"
        "    - max(amount) [error]: max(amount) is 1000, expected <= 100\n"
        "Hint: mend what they name and run it again: what is staged stays staged"
    )
    assert lab.rows() == before
    assert [number for number, *_ in lab.chunks()] == [1, 3]
    assert list(lab.beside().values()) == ["backfill"]
    mend(lab)
    outcome = lab.backfill(checks=[NO_BIG])
    assert (outcome["rows"], outcome["chunks"]) == (30, 4)
    assert lab.rows() == lab.rows("src")
    runs = runs_of_chunks(lab)
    assert runs[2] == runs[4] == {outcome["run_uid"]}
    assert runs[1] == runs[3] != runs[2]
    assert [number for number, *_ in lab.chunks()] == [1, 2, 3, 4]
    assert lab.beside() == {}


@pytest.mark.parametrize(
    ("fail_on", "severity", "fails"),
    [("error", "error", True), ("error", "warn", False), ("warn", "warn", True), ("never", "error", False)],
)
def test_fail_on(lab: Lab, fail_on: str, severity: str, fails: bool) -> None:
    spoil(lab, "2013-01-05")
    checks = [check("max", "amount", leq_to=100, severity=severity)]
    if fails:
        with pytest.raises(AirflowException, match="1 of 4 chunks failed"):
            lab.backfill(checks=checks, fail_on=fail_on)
    else:
        assert lab.backfill(checks=checks, fail_on=fail_on)["published"]


def test_rows_of_other_partitions_are_rejected(lab: Lab) -> None:
    """Whatever ``fail_on`` says; also those that are of none."""
    more = f"{RANGE} UNION ALL SELECT CAST('2014-01-01' AS DATE), 1, 1 UNION ALL SELECT NULL, 2, 2"
    with pytest.raises(AirflowException, match="1 of 1 chunks failed") as failure:
        lab.backfill(more, days_per_chunk=10, fail_on="never")
    assert "2 rows are not of ds=2013-01-01/2013-01-10, but of" in str(failure.value)
    assert "ds=2014-01-01 (1 rows)" in str(failure.value)
    assert "ds=None (1 rows)" in str(failure.value)
    assert lab.chunks() == []
    # Of another chunk is not of this one, either.
    with pytest.raises(AirflowException, match="10 of 10 chunks failed"):
        lab.backfill("SELECT * FROM src -- {{ start_date }} {{ end_date }}", days_per_chunk=1, max_failures=None)


FAILS = "SELECT ds, id, 1 / (amount - 20) AS amount FROM src WHERE ds BETWEEN '{{ start_date }}' AND '{{ end_date }}'"


@pytest.mark.parametrize("retries", [0, 2])
def test_a_chunk_that_fails_is_tried_again_alone(lab: Lab, retries: int, caplog: pytest.LogCaptureFixture) -> None:
    lab.run("UPDATE src SET amount = 21 WHERE id = 2 AND ds <> '2013-01-05'")
    with (
        caplog.at_level(logging.WARNING, logger="airflow_dataquality"),
        pytest.raises(AirflowException, match="1 of 4 chunks failed; production is unchanged") as failure,
    ):
        lab.backfill(FAILS, chunk_retries=retries)
    again = "Chunk 2013-01-04 to 2013-01-06 failed, and is tried again: "
    assert len([text for text in caplog.messages if text.startswith(again)]) == retries
    tries = f" ({retries + 1} tries)" if retries else ""
    assert f"\n  - 2013-01-04 to 2013-01-06{tries}: the SELECT failed: " in str(failure.value)
    assert "division by zero" in str(failure.value).lower()
    assert [number for number, *_ in lab.chunks()] == [1, 3, 4]


def test_checks_that_fail_are_not_tried_again(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    spoil(lab, "2013-01-05")
    with pytest.raises(AirflowException, match="1 of 4 chunks failed"):
        lab.backfill(checks=[NO_BIG], chunk_retries=3)
    assert "tried again" not in caplog.text


@pytest.mark.parametrize(("most", "begun"), [(0, 1), (2, 3), (None, 10)])
def test_after_too_many_failures_no_other_is_begun(lab: Lab, most: int | None, begun: int) -> None:
    spoil(lab, *lab.days)
    with pytest.raises(AirflowException) as failure:
        lab.backfill(checks=[NO_BIG], days_per_chunk=1, max_parallel=1, max_failures=most, order="oldest_first")
    left = f"; {10 - begun} were not begun" if begun < 10 else ""
    first = str(failure.value).partition("\n")[0]
    assert first.endswith(f": {begun} of 10 chunks failed{left}; production is unchanged")
    assert [f"\n  - {day}: " in str(failure.value) for day in lab.days] == [n < begun for n in range(10)]


def unfinished(lab: Lab, **arguments: Any) -> None:
    spoil(lab, "2013-01-05")
    with pytest.raises(AirflowException, match="1 of 4 chunks failed"):
        lab.backfill(checks=[NO_BIG], **arguments)
    mend(lab)
    lab.run("UPDATE src SET amount = 11 WHERE id = 1")  # what was staged before has 10


@pytest.mark.parametrize(
    ("way", "arguments"),
    [
        ("goes on", {}),
        ("goes on", {"checks": [NO_BIG], "max_parallel": 1, "order": "oldest_first"}),
        ("begins anew", {"checks": [NO_BIG, check("row_count", geq_to=1)]}),
        ("begins anew", {"resume": False}),
        ("begins anew", {"staging_ttl": 0}),
        ("another", {"sql": f"{RANGE} AND id > 0"}),
        ("another", {"end": "2013-01-09"}),
        ("another", {"days_per_chunk": 5}),
    ],
    ids=str,
)
def test_who_goes_on_with_what(lab: Lab, way: str, arguments: dict[str, Any]) -> None:
    """The same SQL for the same range, in the same chunks, within its time."""
    unfinished(lab)
    (left,) = lab.beside()
    outcome = lab.backfill(**arguments)
    stale = [row for row in lab.rows() if row[2] == 10]
    assert len(stale) == (7 if way == "goes on" else 0)
    assert len(lab.rows()) == outcome["rows"] == (27 if "end" in arguments else 30)
    assert list(lab.beside()) == ([left] if way == "another" else [])


def test_what_is_unfinished_is_swept_after_its_time(lab: Lab) -> None:
    unfinished(lab)
    (left,) = lab.beside()
    conn_id = lab.database.conn_id
    assert maintenance.sweep(conn_id) == []
    lab.backfill(RANGE, table="other")
    assert list(lab.beside()) == [left]
    assert maintenance.sweep(conn_id, ttl=timedelta(0), dry_run=True) == [f"public.{left.removeprefix('public.')}"]
    assert len(maintenance.sweep(conn_id, ttl=timedelta(0))) == 1
    assert lab.beside() == {}
    assert lab.backfill(checks=[NO_BIG])["rows"] == 30


def test_what_was_finished_begins_anew(lab: Lab) -> None:
    first = lab.backfill()["run_uid"]
    lab.run("UPDATE src SET amount = 11 WHERE id = 1")
    second = lab.backfill()["run_uid"]
    assert lab.rows() == lab.rows("src")
    assert runs_of_chunks(lab) == {number: {first, second} for number in (1, 2, 3, 4)}
    assert lab.published() == dict.fromkeys(lab.days, 2)


def test_a_table_that_was_altered_since_begins_anew(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    unfinished(lab)
    lab.run("ALTER TABLE daily ADD COLUMN note VARCHAR(5)")
    with pytest.raises(AirflowException, match="missing from the SELECT: note"):
        lab.backfill()
    lab.run("DROP TABLE daily", "CREATE TABLE daily (ds DATE, id BIGINT, amount INTEGER)")
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        assert lab.backfill()["rows"] == 30
    assert "Begins anew: the table's columns have changed" in caplog.text
    assert [row for row in lab.rows() if row[2] == 10] == []


def test_a_stage_that_somebody_changed_is_refused(lab: Lab) -> None:
    unfinished(lab)
    (left,) = lab.beside()
    lab.eyes.execute(f"DELETE FROM {left} WHERE id = 3")  # type: ignore[arg-type]
    changed = r"holds 23 rows, of 30 that were staged: it was changed\nHint: DROP TABLE"
    with pytest.raises(AirflowException, match=changed):
        lab.backfill(checks=[NO_BIG])
    assert lab.rows() == []
    assert lab.backfill(resume=False)["rows"] == 30


def test_the_same_backfill_under_way_is_told(lab: Lab) -> None:
    """While it computes, from within: the first one's own chunk begins the second one."""
    operator = lab.operator(max_parallel=1)
    from airflow_dataquality.engine import work

    told: list[str] = []
    stage_chunk = work.stage_chunk

    def meanwhile(*arguments: Any) -> int:
        if not told:
            with pytest.raises(AirflowException) as failure:
                lab.backfill()
            told.append(str(failure.value))
        return stage_chunk(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(work, "stage_chunk", meanwhile)
        assert operator.execute({})["rows"] == 30
    known = "the backfill of daily/ds=2013-01-01/2013-01-10 is under way in another task"
    assert told == [f"{known}\nHint: wait for it: the same work need not be done twice"]
    assert [number for number, *_ in lab.chunks()] == [1, 2, 3, 4]


def test_fails_for_good_if_a_retry_would_be_no_use(lab: Lab) -> None:
    spoil(lab, "2013-01-05")
    with pytest.raises(AirflowFailException, match="1 of 4 chunks failed"):
        lab.backfill(checks=[NO_BIG], retry_on_failure=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"checks": [check("custom_sql", sql="SELECT nothing FROM {table}", equal_to=0)]}, "nothing"),
        ({"checks": [check("null_count", "amont", equal_to=0)]}, "did you mean 'amount'"),
        ({"sql": "SELECT ds, id FROM src -- {{ start_date }} {{ end_date }}"}, "missing from the SELECT: amount"),
        ({"partition_column": "day"}, "no partition column 'day'"),
        ({"sql": RANGE + " AND nothing"}, "nothing"),
        ({"table": "nowhere.daily"}, "nowhere"),
        ({"start": "2013-01", "end": "2013-02", "partitions_per_chunk": 1}, "the SELECT is not valid: "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_computed_is_told_before_it_is_begun(lab: Lab, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AirflowException, match=message):
        lab.backfill(**arguments)
    assert lab.ledger("chunk", "1") == []
