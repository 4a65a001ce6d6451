"""The plan, without doing it."""

from __future__ import annotations

import json
import logging
import re

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from backfill.lab import RANGE, Lab

from airflow_dataquality.checks import check
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from support import on

pytestmark = on("postgres", "redshift")


@pytest.fixture(autouse=True)
def _heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what the operator logs where the test listens: Airflow's own loggers tell nobody."""
    monkeypatch.setattr(ParallelBackfillOperator, "log", logging.getLogger("dry_run"))


def test_the_plan_is_told_and_nothing_is_changed(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.fill("daily", [("2013-01-02", 1, 1), ("2013-01-03", 1, 1), ("2012-01-01", 1, 1)])
    before = lab.fingerprint()
    operator = lab.operator(
        dry_run=True,
        checks=[check("null_count", "id", equal_to=0)],
        compare_with_production=[check("row_count_ratio", geq_to=0.9, severity="warn")],
    )
    with caplog.at_level(logging.INFO):
        outcome = operator.execute({})
    assert lab.fingerprint() == before
    assert json.loads(json.dumps(outcome)) == outcome
    estimated = outcome.pop("estimated_rows")
    assert outcome == {
        "table": "daily",
        "partition": {"ds": "2013-01-01/2013-01-10"},
        "partitions": 10,
        "chunks": 4,
        "exchange": "overwrite",
        "published": False,
    }
    (plan,) = [text for text in caplog.messages if text.startswith("Would compute")]
    lines = plan.splitlines()
    assert lines[0] == (
        "Would compute 10 partitions of daily in 4 chunks, 2 at a time, and exchange ds 2013-01-01/2013-01-10 at once, "
        "by overwrite; production holds 2 rows of it"
    )
    chunks = [re.fullmatch(r"chunk (.*): about ([\d,]+) rows", line) for line in lines[1:5]]
    assert [match and match[1] for match in chunks] == [
        "2013-01-10", "2013-01-07 to 2013-01-09", "2013-01-04 to 2013-01-06", "2013-01-01 to 2013-01-03",
    ]  # fmt: skip
    assert sum(int(match[2].replace(",", "")) for match in chunks if match) == estimated > 0
    assert "CAST('2013-01-07' AS DATE) AND CAST('2013-01-09' AS DATE)" in plan
    assert "check null_count(id): = 0 [error]" in lines
    assert "compare row_count_ratio: >= 0.9 [warn]" in lines


def test_estimates_follow_what_the_database_knows(lab: Lab) -> None:
    lab.fill("src", [("2013-01-05", number, 0) for number in range(500)])
    lab.run("ANALYZE src")
    estimated = lab.backfill(dry_run=True)["estimated_rows"]
    assert 250 <= estimated <= 1000


@pytest.mark.parametrize("table", ["fresh", "daily"])
def test_how_it_would_become_visible(lab: Lab, table: str) -> None:
    expected = "create" if table == "fresh" else "overwrite"
    assert lab.backfill(dry_run=True, table=table)["exchange"] == expected
    assert lab.backfill(table=table)["exchange"] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sql": f"{RANGE} AND nothing = 1"}, r"the SELECT of 2013-01-10 is not valid: .*nothing"),
        ({"exchange": "create"}, "exchange='create' does not fit"),
    ],
    ids=str,
)
def test_what_could_not_be_done_is_told(lab: Lab, arguments: dict[str, str], message: str) -> None:
    before = lab.fingerprint()
    with pytest.raises(AirflowException, match=message):
        lab.backfill(dry_run=True, **arguments)
    assert lab.fingerprint() == before


def test_airflows_own_dry_run_connects_to_nothing(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    operator = lab.operator(conn_id="nowhere")
    with caplog.at_level(logging.INFO):
        operator.dry_run()
    assert "Would compute 10 partitions of daily in 4 chunks, 2 at a time" in caplog.text
    assert "chunk 2013-01-10\n" in caplog.text
