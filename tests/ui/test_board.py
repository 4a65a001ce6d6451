"""What the pages ask of a ledger, on every database; nothing here is HTML."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.board import BRIEF, BoardSql
from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.dialects.redshift import Redshift
from airflow_dataquality.dialects.sqlite import Sqlite
from airflow_dataquality.engine import board, detail, lineage, trend, verdicts
from airflow_dataquality.engine.glance import KEPT, Glance
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Partition, Table
from support import Database, on
from ui.filled import NOW, Filled, ago

GOLDEN = Path(__file__).parent.parent / "golden"
DIALECTS: list[Dialect] = [Dialect(), Postgres(), Redshift(), Sqlite()]
T = Table("flights", "analytics")
ODD = [Table('Daily "Flights".v2', "Ärger.schéma"), Table("'; DROP TABLE x; --", "w%s"), Table("t" * 63, "s" * 63)]
HIDDEN = frozenset({"it's hidden", None})


def everything(dag_id: str | None) -> bool:
    return True


def day(number: int) -> dict[str, str]:
    return {"ds": ago(number).date().isoformat()}


@pytest.mark.parametrize("sql", DIALECTS, ids=lambda sql: sql.name)
def test_the_statements_are_the_reviewed_ones(sql: Dialect) -> None:
    at = {name: sql.ledger_table("dataquality", name) for name in ("publication", "check_run", "check_result",
                                                                     "metric", "verdict", "lineage")}  # fmt: skip
    since, odd = datetime(2013, 2, 1, tzinfo=UTC), ODD[0]
    shown = sql.shown(HIDDEN, check_name="it's")
    parts = {
        "whether anything happened since": sql.newest_clocks(at),
        "the overview": sql.newest_runs(at),
        "its open failures": sql.open_runs(at, since, 2000),
        "its strips": sql.last_runs(at, [T, odd, Table("bare")], 30, HIDDEN),
        "who wrote of a table": sql.newest_runs(at, T),
        "its calendar": sql.newest_by_partition(at, T, 20_000, ()),
        "one partition": sql.runs_of_partition(at, odd, '{"ds": "2013-02-01"}', 20, HIDDEN),
        "its checks": sql.newest_of_each(at, "check_result", T, "check_name", ("check_name", "value"), shown),
        "their strips": sql.last_results(at, T, ["row_count", "it's"], ("check_name", "status"), 30, sql.shown(())),
        "a check": sql.newest_where(at, "check_result", T, ("value", "reason"), 90, shown),
        "which DAG a number is of": sql.rows_of_runs(at, "publication", ("run_uid", "dag_id"), {"b", "a"}),
        "what people said": sql.verdicts(at, ("verdict", "until"), T, ("muted", "unmuted")),
        "what it reads": sql.reads(at["lineage"], T),
        "what reads it": sql.readers(at["lineage"], str(T)),
        "what a task last recorded to be read": sql.last_lineage(at["lineage"], T, "dag", None),
    }
    text = "\n".join(f"-- {title}\n{statement};\n" for title, statement in parts.items())
    golden = GOLDEN / f"board_{sql.name}.sql"
    if "UPDATE_GOLDEN" in os.environ:
        golden.write_text(text)
    assert text == golden.read_text()


def test_each_table_is_shown_with_its_last_runs(database: Database) -> None:
    filled = Filled(database.session)
    for number in (3, 2, 1):
        filled.published(T, day(number), ago(number))
    filled.observed(T, day(1), ago(0.5), warned=1, passed=7)
    for table in ODD:
        filled.observed(table, {}, ago(1), passed=0, skipped=2)
    found = {state.table: state for state in board.overview(filled.ledger, everything, NOW)}
    assert found.keys() == {T, *ODD}
    state = found[T]
    assert state.published is not None
    assert (state.published.partition, state.newest.status, state.group) == (
        f'{{"ds": "{day(1)["ds"]}"}}',
        "warn",
        "warn",
    )
    assert [found[table].status for table in ODD] == ["skip"] * 3
    assert all(found[table].published is None for table in ODD)
    strips = board.last_runs(filled.ledger, list(found), ())
    assert [entry.status for entry in strips[T]] == ["published", "published", "published", "warn"]
    assert [len(strips[table]) for table in ODD] == [1, 1, 1]
    assert len(board.last_runs(filled.ledger, [T], (), 2)[T]) == 2


def test_what_is_remembered_is_read_anew_when_something_happened(database: Database) -> None:
    filled, glance = Filled(database.session), Glance()
    filled.published(T, day(2), ago(2))
    first = glance.rows(filled.ledger)
    assert glance.rows(filled.ledger) is first
    filled.observed(T, day(1), ago(1), failed=1)
    assert len(glance.rows(filled.ledger)) == len(first) + 1
    again = glance.rows(filled.ledger)
    glance._read_at -= KEPT + 1
    assert glance.rows(filled.ledger) is not again, "for what a long transaction commits late"
    assert glance.rows(filled.ledger) == again


def test_a_failure_is_open_until_its_partition_is_published(database: Database) -> None:
    filled = Filled(database.session)
    late, never = Table("late", "w"), Table("never", "w")
    filled.rejected(T, day(3), ago(3))
    filled.published(T, day(2), ago(2))
    filled.rejected(late, day(3), ago(3))
    filled.published(late, day(3), ago(2.5))
    filled.observed(never, {}, ago(400), failed=1)
    filled.observed(Table("retried", "w"), {}, ago(2), errored=1)
    filled.observed(Table("retried", "w"), {}, ago(1))
    found = {state.name: state for state in board.overview(filled.ledger, everything, NOW)}
    assert {name: state.group for name, state in found.items()} == {
        "analytics.flights": "open", "w.late": "ok", "w.never": "open", "w.retried": "ok",
    }  # fmt: skip
    assert (found["analytics.flights"].status, found["w.never"].status) == ("blocked", "fail")
    assert [entry.partition for entry in found["analytics.flights"].open] == [f'{{"ds": "{day(3)["ds"]}"}}']


def test_what_somebody_looks_after_is_settled(database: Database) -> None:
    filled = Filled(database.session)
    run_uid = filled.rejected(T, day(1), ago(1))
    for check in ("row_count", "it's %s"):
        filled.result(T, day(1), ago(1), check, run_uid=run_uid, status="fail")
    filled.result(T, day(1), ago(1), "fine", run_uid=run_uid)

    def group(now: datetime = NOW) -> str:
        (state,) = board.overview(filled.ledger, everything, now)
        return state.group

    def say(verdict: str, check: str, **more: Any) -> None:
        verdicts.give(filled.ledger, T, verdict, author="anna", note="I <see>", check_name=check, **more)

    say("acknowledged", "row_count", run_uid=run_uid)
    assert group() == "open"
    say("muted", "it's %s", until=datetime.now(UTC) + timedelta(days=2))
    assert group() == "settled"
    assert verdicts.muted_now(filled.ledger, T).keys() == {"it's %s"}
    assert group(datetime.now(UTC) + timedelta(days=3)) == "open"
    assert verdicts.muted_now(filled.ledger, T, datetime.now(UTC) + timedelta(days=3)) == {}
    say("unmuted", "it's %s")
    assert group() == "open"
    say("acknowledged", "it's %s", run_uid=run_uid)
    assert group() == "settled"
    say("reopened", "row_count", run_uid=run_uid)
    assert group() == "open"
    assert [each.verdict for each in verdicts.said(filled.ledger, T)] == [
        "acknowledged", "muted", "unmuted", "acknowledged", "reopened",
    ]  # fmt: skip
    with pytest.raises(SpecError, match="no verdict 'mutd'"):
        say("mutd", "row_count")
    with pytest.raises(SpecError, match="ended already"):
        say("muted", "row_count", until=ago(1))


def test_what_is_marked_leaves_the_baseline_until_that_is_taken_back(database: Database) -> None:
    from airflow_dataquality.engine.history import Recorded
    from airflow_dataquality.engine.timeline import Timeline

    filled = Filled(database.session)
    for number in range(5, 0, -1):
        filled.measured(T, day(number), ago(number), "row_count")
    timeline = Timeline.of(Partition.of(T, day(0)))

    def marked() -> list[tuple[int, str | None]]:
        return Recorded.read(filled.ledger, timeline, 28).marked

    about = {"partition": Partition.of(T, day(2)).json, "metric": "row_count", "author": "anna", "note": None}
    verdicts.give(filled.ledger, T, "expected", **about)
    assert marked() == [(2, "row_count")]
    verdicts.give(filled.ledger, T, "withdrawn", **about)
    assert marked() == []
    assert verdicts.standing(verdicts.said(filled.ledger, T)) == []
    verdicts.give(filled.ledger, T, "incident", **about)
    assert marked() == [(2, "row_count")]


def test_dags_that_the_reader_may_not_see_leave_no_trace(database: Database) -> None:
    filled = Filled(database.session)
    shared, private = Table("shared", "w"), Table("private", "w")
    filled.published(shared, day(2), ago(2))
    filled.dag_id = "it's hidden"
    filled.rejected(shared, day(1), ago(1))
    filled.result(shared, day(1), ago(1), "row_count", status="fail")
    hidden_run = filled.published(private, day(1), ago(1))
    filled.measured(shared, day(1), ago(1), "row_count", run_uid=hidden_run)
    filled.dag_id = None
    filled.published(shared, day(3), ago(3))

    def sees(dag_id: str | None) -> bool:
        return dag_id == "flights"

    (state,) = board.overview(filled.ledger, sees, NOW)
    assert (state.table, state.group, state.hidden) == (shared, "ok", {"it's hidden", None})
    assert [entry.partition for entry in board.last_runs(filled.ledger, [shared], state.hidden)[shared]] == [
        state.newest.partition
    ]
    assert detail.hidden_of(filled.ledger, private, sees) is None
    assert detail.hidden_of(filled.ledger, Table("unheard", "of"), everything) is None
    hidden = detail.hidden_of(filled.ledger, shared, sees)
    assert hidden == {"it's hidden", None}
    assert len(detail.partitions(filled.ledger, shared, hidden)) == 1
    assert detail.newest_results(filled.ledger, shared, hidden) == []
    assert detail.newest_metrics(filled.ledger, shared, hidden, sees) == []
    assert len(detail.newest_metrics(filled.ledger, shared, (), everything)) == 1


def test_a_table_in_detail(database: Database) -> None:
    filled = Filled(database.session)
    odd = ODD[1]
    for number in (3, 2, 1):
        run_uid = filled.published(odd, day(number), ago(number))
        for check in ("row_count", "it's"):
            filled.result(odd, day(number), ago(number), check, run_uid=run_uid, value=float(number))
        filled.measured(odd, day(number), ago(number), "mean(it's)", column_name="it's", value=number / 2)
    filled.rejected(odd, day(2), ago(0.5))
    results = detail.newest_results(filled.ledger, odd, ())
    assert {(row["check_name"], row["value"]) for row in results} == {("row_count", 1.0), ("it's", 1.0)}
    last = detail.last_results(filled.ledger, odd, ["it's", "row_count"], (), 2)
    assert [row["partition"] for row in last["it's"]] == [Partition.of(odd, day(number)).json for number in (2, 1)]
    (row,) = detail.results(filled.ledger, odd, (), 5, check="it's", partition=Partition.of(odd, day(3)).json)
    assert row["value"] == 3.0
    assert [row["value"] for row in detail.newest_metrics(filled.ledger, odd, (), everything)] == [0.5]
    assert [row["value"] for row in detail.measured(filled.ledger, odd, "mean(it's)", (), everything, 2)] == [0.5, 1.0]
    found = {entry.partition: entry for entry in detail.partitions(filled.ledger, odd, ())}
    blocked = found[Partition.of(odd, day(2)).json]
    assert (blocked.status, blocked.row["visible"]) == ("blocked", 1)
    assert [entry.status for entry in detail.runs_of_partition(filled.ledger, odd, blocked.partition, (), 9)] == [
        "blocked", "published",
    ]  # fmt: skip
    state = board.table_state(filled.ledger, odd, everything, found.values(), NOW)
    assert (state.group, state.status, len(state.open)) == ("open", "blocked", 1)


@on("postgres")
def test_jumping_through_an_index_finds_what_sorting_finds(database: Database) -> None:
    filled, chance = Filled(database.session), random.Random(7)  # noqa: S311 - not for secrets
    tables = [Table(f"t{number}", schema) for number in range(4) for schema in ("a", "b", None)]
    for number in range(400):
        filled.dag_id = chance.choice(["x", "y", None])
        write = chance.choice([filled.published, filled.observed, filled.rejected])
        write(chance.choice(tables), {"n": chance.randrange(9)}, ago(30 - number / 20))
    sql, at, session = database.session.dialect, board.tables_of(filled.ledger), database.session

    def same(mine: str, standard: str) -> bool:
        return sorted(map(str, session.query(mine))) == sorted(map(str, session.query(standard)))

    rows, standard = session.query(sql.newest_runs(at)), session.query(BoardSql.newest_runs(sql, at))
    assert len(standard) == 3 * 12 * 2
    known, clock = {name: BRIEF.index(name) for name in BRIEF}, BRIEF.index("at")

    def newer(row: Any) -> bool:
        own = [row[known[name]] for name in ("table_schema", "table_name", "dag_id")]
        others = (r for r in standard if [r[known[name]] for name in ("table_schema", "table_name", "dag_id")] == own)
        return all(row[clock] >= other[clock] for other in others) or row[known["state"]] == "published"

    assert sorted(map(str, rows)) == sorted(str(row) for row in standard if newer(row))
    since = ago(90)
    assert same(sql.open_runs(at, since, 9999), BoardSql.open_runs(sql, at, since, 9999))
    for hidden in ((), ("x",), ("x", None)):
        mine = sql.last_runs(at, tables, 5, hidden)
        assert same(mine, BoardSql.last_runs(sql, at, tables, 5, hidden))


def test_a_ledger_in_which_nothing_happened(database: Database) -> None:
    filled = Filled(database.session)
    assert board.overview(filled.ledger, everything, NOW) == []
    assert board.last_runs(filled.ledger, [], ()) == {}
    assert detail.partitions(filled.ledger, T, ()) == []
    assert lineage.of_table(filled.ledger, T, everything) == lineage.Neighbours([], [])


def test_what_a_table_reads_is_recorded_when_it_changes(database: Database) -> None:
    filled = Filled(database.session)
    run = Run(dag_id="flights", task_id="load")
    asked: list[str] = []

    def reads(*selects: str) -> None:
        lineage.record(filled.ledger, run, T, find, selects=selects)

    def find(sql: str) -> list[str]:
        asked.append(sql)
        return ["raw.a", 'raw."B"', "raw.a"] if "JOIN" in sql else ["raw.a"]

    reads("SELECT 1 FROM raw.a JOIN raw.B WHERE ds = '2013-02-01'")
    reads("SELECT 1 FROM raw.a JOIN raw.B WHERE ds = '2013-02-02'")
    assert len(asked) == 1
    neighbours = lineage.of_table(filled.ledger, T, everything)
    assert [each.name for each in neighbours.reads] == ['raw."B"', "raw.a"]
    of_a = lineage.of_table(filled.ledger, Table("a", "raw"), everything)
    assert [each.table for each in of_a.read_by] == [T]
    if database.kind == "sqlite":
        time.sleep(1.1)  # its clock has seconds
    again = Run(dag_id="flights", task_id="load")
    lineage.record(filled.ledger, again, T, find, selects=["SELECT 1 FROM raw.a"], files=["s3://lake/a/ds=2013-02-01"])
    assert [each.name for each in lineage.of_table(filled.ledger, T, everything).reads] == ["raw.a", "s3://lake/a"]
    assert lineage.of_table(filled.ledger, Table("B", "raw"), everything).read_by == []
    assert lineage.of_table(filled.ledger, T, lambda dag_id: dag_id != "flights").reads == []

    def fails(sql: str) -> list[str]:
        raise SpecError("cannot be read")

    lineage.record(filled.ledger, run, T, fails, selects=["SELECT nothing that is known"])


def test_a_series_has_gaps_where_nothing_was_judged() -> None:
    def row(number: int, **more: Any) -> dict[str, Any]:
        return {"partition": Partition.of(T, day(number)).json, "checked_at": ago(number), "value": float(number),
                "low": None, "high": None, "expected": None, "status": "pass", "reason": "well", **more}  # fmt: skip

    rows = [row(1, status="fail", value=1e300), row(2, status="skip", value=None), row(3), row(3, value=9.0)]
    found = trend.of_results(rows, {rows[2]["partition"]})
    assert found["y"] == [3.0, None, 1e300]
    assert found["status"] == ["skip", "skip", "fail"]
    assert found["title"][0].endswith("well (left out of the baseline)")
    assert trend.limits([row(1, value=float("nan"))]) is None
    whole = [{**row(number), "partition": "{}"} for number in (1, 2)]
    assert [len(x) for x in trend.of_results(whole, ())["x"]] == [len("2013-02-01T00:00:00Z")] * 2
