"""The comparison with production: what blocks, what is told, and what is left alone."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from backfill.lab import Lab

from airflow_dataquality.checks import check
from airflow_dataquality.engine import reveal
from support import on

pytestmark = on("postgres", "redshift")

ROWS = check("row_count_ratio", geq_to=0.9, leq_to=1.1)
NO_LOSS = check("lost_keys", "id", equal_to=0)
SHIFT = check("mean_shift", "amount", leq_to=0.5)
CHURN = check("churn_ratio", ["id", "amount"], leq_to=0.5)
UNSEEN = check("unseen_values", "id", equal_to=0)


def publish_source(lab: Lab) -> None:
    """Production holds what the source held until now."""
    lab.run("INSERT INTO daily SELECT * FROM src")


def by_day(lab: Lab, name: str) -> dict[str, tuple[str, float | None]]:
    rows = lab.ledger("check_result", "partition, status, value", f"WHERE check_name = '{name}'")
    return {json.loads(partition)["ds"]: (status, value) for partition, status, value in rows}


def test_what_differs_too_much_is_not_published(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    publish_source(lab)
    lab.run("DELETE FROM src WHERE ds = '2013-01-03' AND id > 1", "DELETE FROM src WHERE ds = '2013-01-07'")
    lab.run("UPDATE src SET amount = amount + 100 WHERE ds = '2013-01-05'")
    before = lab.rows()
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"), pytest.raises(AirflowException) as failure:
        lab.backfill(compare_with_production=[ROWS, NO_LOSS, SHIFT])
    assert lab.rows() == before
    assert lab.published() == {}
    (kept,) = lab.beside()
    assert lab.beside() == {kept: "rejected"}
    message = str(failure.value)
    assert message.startswith(
        "public.daily/ds=2013-01-01/2013-01-10 was not published: checks block 3 of 10 partitions; "
        "production is unchanged\n"
        "  - 2013-01-03: row_count_ratio: row_count_ratio is 0.333"
    )
    assert "\n  - 2013-01-03: lost_keys(id): lost_keys(id) is 2, expected = 0" in message
    assert "\n  - 2013-01-03: mean_shift(amount): mean_shift(amount) is 1, expected <= 0.5" in message
    assert "\n  - 2013-01-05: mean_shift(amount): mean_shift(amount) is 10, expected <= 0.5" in message
    assert "\n  - 2013-01-07: row_count_ratio: row_count_ratio is 0, expected" in message
    assert f"Hint: look at the staged rows in public.{kept.removeprefix('public.')}" in message
    # Row by row in the ledger,
    assert by_day(lab, "lost_keys(id)") == {
        day: {"2013-01-03": ("fail", 2.0), "2013-01-07": ("fail", 3.0)}.get(day, ("pass", 0.0)) for day in lab.days
    }
    assert by_day(lab, "row_count_ratio")["2013-01-05"] == ("pass", 1.0)
    # and as a table in the log.
    (table,) = [text for text in caplog.messages if "partitions differ:" in text]
    lines = [line.split() for line in table.splitlines()[1:]]
    assert lines[0] == ["partition", "production", "staged", "row_count_ratio", "lost_keys(id)", "mean_shift(amount)"]
    assert lines[1] == ["2013-01-03", "3", "1", "0.3333", "FAIL", "2", "FAIL", "1", "FAIL"]
    assert [line[0] for line in lines[1:]] == ["2013-01-03", "2013-01-05", "2013-01-07"]


def test_after_a_rejection_the_next_run_begins_anew(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    publish_source(lab)
    lab.run("DELETE FROM src WHERE ds = '2013-01-03' AND id > 1")
    with pytest.raises(AirflowException, match="checks block 1 of 10 partitions"):
        lab.backfill(compare_with_production=[ROWS])
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        outcome = lab.backfill(compare_with_production=[NO_LOSS], fail_on="never")
    assert "Begins anew: what was staged before was rejected" in caplog.text
    assert (outcome["failed"], outcome["failed_rules"]) == (1, ["lost_keys(id)"])
    assert lab.rows() == lab.rows("src")
    assert [number for number, *_ in lab.chunks()] == [1, 1, 2, 2, 3, 3, 4, 4]
    assert lab.beside() == {}


def test_rejected_rows_are_not_kept_if_not_wanted(lab: Lab) -> None:
    publish_source(lab)
    lab.run("DELETE FROM src WHERE id > 1")
    with pytest.raises(AirflowException, match="checks block 10 of 10 partitions") as failure:
        lab.backfill(compare_with_production=[ROWS, NO_LOSS], keep_staging=False)
    assert lab.beside() == {}
    assert str(failure.value).count("\n  - 2013-01-") == 10
    assert "… and 10 more" in str(failure.value)


def test_warnings_and_what_cannot_be_compared(lab: Lab) -> None:
    """Without rows in production there is nothing to compare with; categories are looked for in all of it."""
    lab.fill("daily", [("2013-01-02", 1, 10), ("2013-01-02", 2, 20), ("2012-12-31", 3, 30)])
    lenient = [
        check("row_count_ratio", equal_to=1, severity="warn"),
        UNSEEN,
        NO_LOSS,
        CHURN,
        check("mean_shift", "amount", leq_to=1),
    ]
    outcome = lab.backfill(compare_with_production=lenient)
    assert (outcome["warned"], outcome["failed"], outcome["skipped"]) == (1, 0, 4 * 9)
    assert by_day(lab, "row_count_ratio")["2013-01-02"] == ("warn", 1.5)
    assert by_day(lab, "unseen_values(id)") == dict.fromkeys(lab.days, ("pass", 0.0))
    assert by_day(lab, "churn_ratio(id, amount)")["2013-01-02"] == ("pass", 0.5)
    assert by_day(lab, "churn_ratio(id, amount)")["2013-01-03"] == ("skip", None)


def test_every_comparison_counts_partition_by_partition(lab: Lab) -> None:
    """As the same check says of one partition alone, in StageCheckExchangeOperator."""
    publish_source(lab)
    lab.run("UPDATE src SET id = 9, amount = 90 WHERE ds = '2013-01-02' AND id = 1")
    lab.run("DELETE FROM src WHERE ds = '2013-01-04'", "DELETE FROM daily WHERE ds = '2013-01-06'")
    lab.run(
        "UPDATE src SET amount = NULL WHERE ds = '2013-01-08'", "UPDATE daily SET amount = 5 WHERE ds = '2013-01-09'"
    )
    compared = [
        check(c.metric.kind, c.metric.columns or None, leq_to=1e9) for c in (ROWS, NO_LOSS, SHIFT, CHURN, UNSEEN)
    ]
    lab.backfill(compare_with_production=compared, fail_on="never")
    seen = {name: by_day(lab, name) for name in ("row_count_ratio", "lost_keys(id)", "mean_shift(amount)",
                                                 "churn_ratio(id, amount)", "unseen_values(id)")}  # fmt: skip
    usual = {"row_count_ratio": 1.0, "lost_keys(id)": 0.0, "mean_shift(amount)": 0.0, "churn_ratio(id, amount)": 0.0,
             "unseen_values(id)": 0.0}  # fmt: skip
    different: dict[tuple[str, str], Any] = {
        ("lost_keys(id)", "2013-01-02"): ("pass", 1.0),
        ("churn_ratio(id, amount)", "2013-01-02"): ("pass", pytest.approx(2 / 3)),
        ("unseen_values(id)", "2013-01-02"): ("pass", 1.0),
        ("mean_shift(amount)", "2013-01-02"): ("pass", pytest.approx(80 / 30)),
        ("row_count_ratio", "2013-01-04"): ("pass", 0.0),
        ("lost_keys(id)", "2013-01-04"): ("pass", 3.0),
        ("churn_ratio(id, amount)", "2013-01-04"): ("pass", 1.0),
        ("mean_shift(amount)", "2013-01-04"): ("fail", None),
        ("unseen_values(id)", "2013-01-04"): ("skip", None),
        ("mean_shift(amount)", "2013-01-08"): ("fail", None),
        ("churn_ratio(id, amount)", "2013-01-08"): ("pass", 2.0),
        ("churn_ratio(id, amount)", "2013-01-09"): ("pass", 2.0),
        ("mean_shift(amount)", "2013-01-09"): ("fail", None),
    }
    for name, days in seen.items():
        for day, found in days.items():
            nothing_held = day == "2013-01-06" and name != "unseen_values(id)"
            expected = different.get((name, day), ("skip", None) if nothing_held else ("pass", usual[name]))
            assert found == expected, (name, day)


def test_a_comparison_that_fails_is_an_error_of_its_partitions(lab: Lab) -> None:
    publish_source(lab)
    broken = check("lost_keys", "id", partition_clause="1 / (id - 1) > 0", equal_to=0)
    with pytest.raises(AirflowException, match="checks block 10 of 10 partitions") as failure:
        lab.backfill(compare_with_production=[broken])
    assert "division by zero" in str(failure.value).lower()


# -- skip_unchanged


def test_unchanged_partitions_are_left_alone(lab: Lab) -> None:
    first = lab.backfill()["run_uid"]
    versions = "SELECT ds::text, min(xmin::text), max(xmin::text) FROM daily GROUP BY ds ORDER BY ds"
    before = lab.eyes.execute(versions).fetchall()
    changes = [
        "UPDATE src SET amount = 11 WHERE ds = '2013-01-02' AND id = 1",
        "INSERT INTO src SELECT * FROM src WHERE ds = '2013-01-05' AND id = 1",  # a row twice, where it was once
        "DELETE FROM src WHERE ds = '2013-01-08'",
        "UPDATE src SET amount = NULL WHERE ds = '2013-01-10' AND id = 3",
    ]
    lab.run(*changes)
    outcome = lab.backfill(skip_unchanged=True)
    changed = {"2013-01-02", "2013-01-05", "2013-01-08", "2013-01-10"}
    assert (outcome["unchanged"], outcome["rows"], outcome["partitions"]) == (6, 10, 10)
    assert lab.rows() == lab.rows("src")
    assert lab.published() == {day: 1 + (day in changed) for day in lab.days}
    runs = dict(lab.ledger("metric", "partition, value", f"WHERE run_uid <> '{first}'"))
    assert runs == {json.dumps({"ds": day}): value for day, value in zip(sorted(changed), (3, 4, 0, 3), strict=True)}
    after = lab.eyes.execute(versions).fetchall()
    assert {row for row in before if row[0] not in changed} == {row for row in after if row[0] not in changed}
    assert lab.beside() == {}


def test_nothing_changed_and_nothing_is_exchanged(lab: Lab) -> None:
    lab.backfill()
    before = lab.eyes.execute("SELECT xmin::text, ctid::text, t::text FROM daily AS t").fetchall()
    outcome = lab.backfill(skip_unchanged=True, compare_with_production=[ROWS])
    assert (outcome["exchange"], outcome["published"], outcome["rows"], outcome["unchanged"]) == (None, False, 0, 10)
    assert outcome["passed"] == 10
    assert lab.eyes.execute("SELECT xmin::text, ctid::text, t::text FROM daily AS t").fetchall() == before
    assert lab.published() == dict.fromkeys(lab.days, 1)
    assert lab.beside() == {}


def test_an_exchange_that_fails_is_gone_on_with(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also if partitions were to be left alone: what is staged is all there."""
    lab.backfill()
    lab.run("UPDATE src SET amount = 11 WHERE ds = '2013-01-02'")
    chunks = lab.chunks()
    with monkeypatch.context() as patch:
        kind = lab.database.kind
        patch.setitem(reveal.EXCHANGES, kind, _never(reveal.EXCHANGES[kind]))
        with pytest.raises(AirflowException, match="the lock was never free"):
            lab.backfill(skip_unchanged=True)
    assert len(lab.chunks()) == 2 * len(chunks)
    outcome = lab.backfill(skip_unchanged=True)
    assert (outcome["unchanged"], outcome["rows"]) == (9, 3)
    assert len(lab.chunks()) == 2 * len(chunks), "nothing is computed twice"
    assert lab.rows() == lab.rows("src")


def _never(exchange: Any) -> Any:
    from airflow_dataquality.errors import ExchangeTimeout

    class Never(exchange):  # type: ignore[misc]
        def publish(self) -> str:
            raise ExchangeTimeout("the lock was never free")

    return Never


def test_a_table_that_is_dropped_meanwhile_is_not_made_of_a_part(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.backfill()
    lab.run("UPDATE src SET amount = 11 WHERE ds = '2013-01-02'")
    rows_kept = reveal._changed_rows

    def meanwhile(*arguments: Any) -> Any:
        lab.run("DROP TABLE daily")
        return rows_kept(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(reveal, "_changed_rows", meanwhile)
        with pytest.raises(AirflowException, match="daily was dropped meanwhile"):
            lab.backfill(skip_unchanged=True)
    assert lab.eyes.execute("SELECT to_regclass('daily')").fetchone() == (None,)
    assert lab.backfill(skip_unchanged=True)["exchange"] == "create"
    assert lab.rows() == lab.rows("src")
