"""``ParallelBackfillOperator.of`` a summary: many partitions at once, the same as one by one."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from summary.lab import DAYS, MEASURES, Lab

from airflow_dataquality.checks import check
from airflow_dataquality.engine import work
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.measures import Sum
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from support import on

pytestmark = on("postgres", "redshift")

BOTH = (
    "SELECT * FROM facts WHERE "
    "{% if backfill %} ds BETWEEN '{{ start_date }}' AND '{{ end_date }}' {% else %} ds = '{{ ds }}' {% endif %}"
)
DAILY = "SELECT * FROM facts WHERE ds = '{{ ds }}'"


@pytest.mark.parametrize("arguments", [{}, {"max_parallel": 1}, {"max_parallel": 5}, {"sql": DAILY}], ids=str)
def test_at_once(lab: Lab, arguments: dict[str, Any]) -> None:
    outcome = lab.backfill(DAYS[0], DAYS[6], of=lab.operator(DAYS[0], **arguments))
    assert lab.right(*DAYS)
    assert (outcome["partitions"], outcome["exchange"], outcome["table"]) == (7, "create", "public.s")
    assert outcome["partition"] == {"ds": "2013-01-01/2013-01-07"}
    lanes = 1 if lab.database.kind == "redshift" else arguments.get("max_parallel", 2)
    assert outcome["chunks"] == 7 * lanes
    assert lab.beside() == []
    lab.run("INSERT INTO facts SELECT CAST('2013-01-08' AS DATE), k, miles, at, spot FROM facts")
    lab.publish("2013-01-08", **arguments)
    assert lab.right(*DAYS, "2013-01-08")


@pytest.mark.parametrize("arguments", [{}, {"sql": BOTH, "since": "2012-12-31"}], ids=str)
def test_from_the_middle_of_history(lab: Lab, arguments: dict[str, Any]) -> None:
    """Its first partition reads all facts; later ones continue it."""
    operator = lab.operator(DAYS[6], **arguments)
    lab.backfill(DAYS[2], DAYS[4], of=operator)
    assert lab.right(*DAYS[2:5])
    lab.backfill(DAYS[5], DAYS[6], of=operator)
    assert lab.right(*DAYS[2:])
    assert lab.chain().links[DAYS[2]].built_on is None
    assert lab.chain().links[DAYS[5]].built_on == lab.chain().links[DAYS[4]].run_uid


def test_later_partitions_are_built_again_too(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.publish(*DAYS)
    lab.fill([(DAYS[2], "late", 1, 1, "JFK")])
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        assert lab.backfill(DAYS[2], DAYS[3])["partitions"] == 5
    assert "2013-01-05, 2013-01-06, 2013-01-07 continue 2013-01-04, and are built again, too" in caplog.text
    assert lab.right(*DAYS)


def test_before_what_is_published_and_over_a_gap(lab: Lab) -> None:
    lab.publish(DAYS[4])
    lab.backfill(DAYS[0], DAYS[2])
    assert lab.right(*DAYS[:5])


@pytest.mark.parametrize("skip", [False, True])
def test_skip_unchanged(lab: Lab, skip: bool) -> None:
    lab.publish(*DAYS)
    lab.fill([(DAYS[4], "late", 1, 1, "JFK")])
    outcome = lab.backfill(DAYS[0], DAYS[6], skip_unchanged=skip)
    assert outcome["unchanged"] == (4 if skip else 0)
    assert lab.right(*DAYS)
    outcome = lab.backfill(DAYS[0], DAYS[6], skip_unchanged=skip)
    assert (outcome["published"], outcome["unchanged"]) == (not skip, 7 * skip)
    assert lab.right(*DAYS)


def test_compare_with_production(lab: Lab) -> None:
    lab.publish(*DAYS)
    before = lab.rows()
    lab.run("DELETE FROM facts WHERE k = 'b'")
    lost: list[Any] = [check("lost_keys", columns=["k"], equal_to=0)]
    with pytest.raises(AirflowException, match="checks block 7 of 7 partitions; production is unchanged\n"):
        lab.backfill(DAYS[0], DAYS[6], compare_with_production=lost)
    assert lab.rows() == before
    lab.backfill(DAYS[0], DAYS[6], compare_with_production=lost, fail_on="never")
    assert lab.right(*DAYS)


def test_resume(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk that was staged is not computed again, and none is doubled."""
    lab.publish(DAYS[0])
    stage_chunk = work.stage_chunk
    failing = True
    staged: list[str] = []

    def sometimes(at: Any, job: Any, chunk: Any) -> int:
        if failing and chunk.first >= DAYS[3]:
            raise ConnectionError("gone")
        staged.append(f"{chunk.number}")
        return stage_chunk(at, job, chunk)

    monkeypatch.setattr(work, "stage_chunk", sometimes)
    with pytest.raises(AirflowException, match="gone"):
        lab.backfill(DAYS[1], DAYS[6])
    assert lab.right(DAYS[0])
    assert lab.beside() == ["backfill"]
    before = list(staged)
    assert before
    failing = False
    lab.backfill(DAYS[1], DAYS[6])
    assert lab.right(*DAYS)
    assert sorted(staged) == sorted(set(staged))
    assert lab.beside() == []


def test_what_was_published_meanwhile_begins_anew(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unfinished backfill that continues a partition is not gone on with once that was replaced."""
    lab.publish(*DAYS[:2])
    stage_chunk = work.stage_chunk

    def never(at: Any, job: Any, chunk: Any) -> int:
        if chunk.first >= DAYS[3]:
            raise ConnectionError("gone")
        return stage_chunk(at, job, chunk)

    with monkeypatch.context() as patch:
        patch.setattr(work, "stage_chunk", never)
        with pytest.raises(AirflowException, match="gone"):
            lab.backfill(DAYS[2], DAYS[6])
    lab.fill([(DAYS[1], "late", 1, 1, "JFK")])
    lab.publish(DAYS[1])
    lab.backfill(DAYS[2], DAYS[6])
    assert lab.right(*DAYS)


def test_dry_run(lab: Lab) -> None:
    lab.publish(DAYS[0])
    before = lab.rows()
    plan = lab.backfill(DAYS[1], DAYS[3], dry_run=True)
    assert lab.rows() == before
    assert lab.beside() == []
    assert lab.published() == {DAYS[0]: 1}
    assert (plan["partitions"], plan["exchange"], plan["published"]) == (3, "overwrite", False)


def test_templates_are_the_runs(lab: Lab) -> None:
    operator = lab.operator("{{ ds }}")
    context: Any = {"ds": DAYS[2], "params": {}}
    backfill = ParallelBackfillOperator.of(operator, DAYS[0], "{{ ds }}")
    with pytest.raises(AirflowException, match="end was not rendered"):
        backfill.execute({})
    backfill.render_template_fields(context)
    assert backfill.execute(context)["partitions"] == 3
    assert lab.right(*DAYS[:3])


def test_a_definition_that_changed(lab: Lab) -> None:
    lab.publish(*DAYS[:3])
    operator = lab.operator(DAYS[0], measures={**MEASURES, "total": Sum("at")})
    with pytest.raises(AirflowException, match=r"1 published partitions \(2013-01-01 to 2013-01-01\) are made of"):
        lab.backfill(DAYS[1], DAYS[2], of=operator)
    assert lab.backfill(DAYS[0], DAYS[1], of=operator)["partitions"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"days_per_chunk": 7}, "days_per_chunk: the summary says that itself\nHint: leave it out"),
        ({"checks": [], "grain": "day"}, "grain, checks: the summary says that itself"),
        ({"order": "oldest_first"}, "order: the summary says that itself"),
        ({"max_parallel": 0}, "max_parallel is 0"),
        ({"start": "2013-02-01"}, r"the range ends \(2013-01-07\) before it starts \(2013-02-01\)"),
    ],
    ids=str,
)
def test_errors(lab: Lab, arguments: dict[str, Any], message: str) -> None:
    ends = {"start": DAYS[0], "end": DAYS[6], **arguments}
    with pytest.raises(DataQualityError, match=message):
        ParallelBackfillOperator.of(lab.operator(DAYS[0]), **ends)


def test_its_plan_needs_a_connection(lab: Lab) -> None:
    with pytest.raises(SpecError, match="a summary's plan is not known without its table\nHint: run the task with dry"):
        ParallelBackfillOperator.of(lab.operator(DAYS[0]), DAYS[0], DAYS[6]).dry_run()
