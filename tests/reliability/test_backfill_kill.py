"""Backfills that are killed, that meet, and that are read meanwhile.

Readers see the old range or the new one; no chunk is lost or there twice; the next run ends in the rows of one that
nobody disturbed.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException
from reliability import lab
from reliability.killing import Death, counts_statements, die, points, shape
from reliability.lab import KEY, PLAIN, Process

from airflow_dataquality.checks import check
from airflow_dataquality.demo.postgres import EmbeddedPostgres
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
from support import Warehouse

WORKERS = 2
DAYS = [f"2024-01-0{day}" for day in range(1, 7)]
OLD = [(10 * number + day, date(2024, 1, day), 1) for day in range(1, 8) for number in range(1, 4)]
SOURCE_ROWS = (
    "SELECT 10 * n + d AS id, make_date(2024, 1, d) AS day, CASE WHEN d = 2 THEN 1 ELSE 2 END AS amount "
    "FROM generate_series(1, 6) AS d, generate_series(1, 3) AS n WHERE d <> 4"
)
SOURCE = ("CREATE TABLE lab.source (id bigint, day date, amount int)", f"INSERT INTO lab.source {SOURCE_ROWS}")
FILL = "INSERT INTO lab.orders (id, day, amount) VALUES " + ", ".join(f"({i}, '{d}', {a})" for i, d, a in OLD)
CHILDREN = tuple(
    f"CREATE TABLE lab.day_{day} PARTITION OF lab.orders FOR VALUES IN ('2024-01-0{day}')" for day in range(1, 8)
)
LISTED = f"CREATE TABLE lab.orders (id bigint NOT NULL, day date NOT NULL, amount int, {KEY} (id, day))"
BY_LIST = (f"{LISTED} PARTITION BY LIST (day)", *CHILDREN)
WITHIN = "WHERE day BETWEEN '{{ start_date }}' AND '{{ end_date }}'"


def backfill(
    sql: str = f"SELECT id, day, amount FROM lab.source {WITHIN}", **arguments: Any
) -> ParallelBackfillOperator:
    defaults = {"start": DAYS[0], "end": DAYS[-1], "days_per_chunk": 2, "max_parallel": 1, "task_id": "backfill"}
    return ParallelBackfillOperator(
        conn_id="warehouse", table="lab.orders", partition_column="day", sql=sql, **{**defaults, **arguments}
    )


@dataclass(frozen=True)
class Work:
    """A backfill to be killed.

    :param given: what makes the table and its old rows; nothing if it is to be created
    :param published: partitions that one run publishes
    """

    given: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    published: int = 6

    def operator(self) -> ParallelBackfillOperator:
        return backfill(**self.arguments)

    def reset(self, connection: psycopg.Connection[Any]) -> None:
        lab.reset(connection, (*self.given, *SOURCE))
        if lab.value(connection, "SELECT to_regclass('dataquality.chunk')"):
            connection.execute("TRUNCATE dataquality.chunk")


COMPARED = {"compare_with_production": [check("churn_ratio", ["id"], leq_to=1)]}
WORKS = {
    "three chunks, one at a time": Work((*PLAIN, FILL)),
    "three chunks, two at a time": Work((*PLAIN, FILL), {"max_parallel": 2, **COMPARED}),
    "one chunk, a table that is not there": Work((), {"days_per_chunk": 9}),
    "six chunks of a partitioned table, the same days left alone": Work(
        (*BY_LIST, FILL), {"max_parallel": 2, "days_per_chunk": 1, "skip_unchanged": True}, published=5
    ),
}


@counts_statements
@pytest.mark.parametrize("work", WORKS.values(), ids=WORKS)
def test_killed_at_any_statement(work: Work, postgres: EmbeddedPostgres, tmp_path: Path, record_property: Any) -> None:
    uris = [postgres.create_database(f"backfill_{worker}") for worker in range(WORKERS)]
    workers = [Process(partial(_worker, work, uri, worker, tmp_path)) for worker, uri in enumerate(uris)]
    try:
        done = [worker.join() for worker in workers]
    finally:
        for worker in range(WORKERS):
            postgres.drop_database(f"backfill_{worker}")
    deaths = [death for answer in done for death in answer["deaths"]]
    assert len({shape(death["last"]) for death in deaths}) >= 25
    assert any(death["published"] for death in deaths), "a process that is killed after COMMIT has published"
    resumed = {death["resumed"] for death in deaths}
    assert len(resumed) > 1, "chunks that were staged before the kill are not computed again"
    record_property("killed", {"points": len(deaths), "statements": [shape(death["last"]) for death in deaths]})


def _worker(work: Work, uri: str, worker: int, scratch: Path) -> dict[str, Any]:
    """Kill a process at every point that is this worker's, in a database of its own."""
    os.environ["AIRFLOW_CONN_WAREHOUSE"] = uri
    diary = scratch / f"sent_{worker}"
    deaths = []
    with psycopg.connect(uri, autocommit=True) as connection:
        work.reset(connection)
        old, definitions = lab.orders(connection), lab.definitions(connection)
        assert work.operator().execute({})["published"]
        new, after = lab.orders(connection), lab.definitions(connection)
        assert new != old
        assert {row for row in new or () if str(row[1]) in DAYS} == set(
            connection.execute("SELECT id, day, amount FROM lab.source")
        )
        if work.given:
            assert definitions == after
        work.reset(connection)
        statements = die(work.operator(), 0, "never", diary).sent
        for number, moment in _sample(work, statements)[worker::WORKERS]:
            lab.await_alone(connection)
            work.reset(connection)
            death = die(work.operator(), number, moment, diary)
            lab.await_alone(connection)
            if death.survived:  # two threads do not always send as many statements
                assert work.operator().max_parallel > 1
                continue
            deaths.append(_after(connection, work, death, old, new))
            assert lab.definitions(connection) == after
    return {"deaths": deaths}


def _sample(work: Work, statements: list[str]) -> list[tuple[int, str]]:
    """Every point of the first work; of the others, where a statement of a kind is sent first, and the last commit."""
    every = points(statements)
    if work.arguments == {}:
        return every
    first = {(shape(statements[number - 1]), moment): (number, moment) for number, moment in reversed(every)}
    last = max(number for number, sql in enumerate(statements, 1) if sql == "COMMIT")
    return sorted({*first.values(), (last, "before"), (last, "sent")})


def _after(
    connection: psycopg.Connection[Any], work: Work, death: Death, old: lab.Rows | None, new: lab.Rows | None
) -> dict[str, Any]:
    """Look around after the kill, and have it done again."""
    where = f"killed {death.moment} {death.last!r}"
    seen, published = lab.orders(connection), lab.publications(connection)
    assert seen in (old, new), where
    assert lab.advisory_locks(connection) == 0, where
    assert published == (work.published if seen == new else 0), where
    if work.operator().max_parallel == 1 and death.committed is not None:
        assert bool(published) == death.committed, where
    staged = _staged(connection, where)
    outcome = work.operator().execute({})
    lab.await_alone(connection)
    assert lab.orders(connection) == new, where
    assert lab.beside(connection) == {}, where
    assert lab.advisory_locks(connection) == 0, where
    if published and "skip_unchanged" in work.arguments:
        assert outcome["unchanged"] == 6, where
    else:
        assert lab.publications(connection) == published + work.published, where
    recorded = connection.execute("SELECT backfill, number, run_uid FROM dataquality.chunk").fetchall()
    assert len({(each, number) for each, number, _ in recorded}) == len(recorded), f"{where}: a chunk is there twice"
    again = {number for _, number, run in recorded if run == outcome["run_uid"]}
    assert len(again) == outcome["chunks"] - (0 if published else len(staged)), where
    assert published or not again & staged, where
    return {"last": death.last, "published": bool(published), "resumed": len(staged)}


def _staged(connection: psycopg.Connection[Any], where: str) -> set[int]:
    """The chunks that the next run finds: each with its rows, or not at all."""
    tables = [name for name, role in lab.beside(connection).items() if role == "backfill"]
    if not tables:
        return set()
    (stage,) = tables
    count = lab.value(connection, f'SELECT count(*) FROM lab."{stage}"')
    mark = f"obj_description('lab.\"{stage}\"'::regclass, 'pg_class')::json #>> '{{airflow_dataquality, run_uid}}'"
    query = f"SELECT number, rows FROM dataquality.chunk WHERE backfill = {mark}"
    chunks = connection.execute(query).fetchall()  # type: ignore[arg-type]
    assert sum(rows for _, rows in chunks) == count, where
    return {number for number, _ in chunks}


# -- readers


def read(uri: str, stops: Callable[[], bool]) -> dict[str, Any]:
    """Read until told to stop: all that was seen."""
    seen, times = set(), 0
    sums = "SELECT count(*), sum(amount) FROM lab.orders"
    with psycopg.connect(uri, autocommit=True) as connection:
        while not stops():
            seen |= set(connection.execute(sums).fetchall())
            seen |= set(connection.execute(f"{sums} WHERE day > '2023-12-31'", prepare=True).fetchall())
            times += 1
    return {"seen": sorted(seen), "times": times}


def version(number: int) -> str:
    """Five rows a day, whose sum says which version they are."""
    return (
        f"SELECT 10 * n + extract(day FROM d)::int AS id, d::date AS day, {number} AS amount FROM "
        "generate_series('{{ start_date }}'::date, '{{ end_date }}', '1 day') AS d, generate_series(1, 5) AS n"
    )


@counts_statements
@pytest.mark.parametrize("given", [PLAIN, BY_LIST], ids=["plain", "partitioned"])
def test_readers_in_a_loop(given: tuple[str, ...], warehouse: Warehouse, tmp_path: Path) -> None:
    """While backfills are killed and done again, with two chunks at a time."""
    chance = random.Random(7)  # noqa: S311 - moments
    diary = tmp_path / "sent"
    with warehouse.connect() as connection:
        lab.reset(connection, given)
    arguments = {"max_parallel": 2, "days_per_chunk": 1}
    backfill(version(1), **arguments).execute({})
    statements = die(backfill(version(1), **arguments), 0, "never", diary).sent
    with lab.background(*[partial(read, warehouse.uri)] * 2) as answers:
        for number in (2, 1, 2, 1, 2, 1):
            die(backfill(version(number), **arguments), chance.randint(len(statements) // 3, len(statements)), "before",
                diary)  # fmt: skip
            backfill(version(number), **arguments).execute({})
    for answer in answers:
        assert [tuple(each) for each in answer["seen"]] == [(30, 30), (30, 60)]
        assert answer["times"] > 10


# -- several at once


def publish_day(number: int) -> StageCheckExchangeOperator:
    """The daily task, for a day in the middle of the range."""
    day = DAYS[2]
    sql = version(number).replace("{{ start_date }}", day).replace("{{ end_date }}", day)
    return StageCheckExchangeOperator(
        task_id="daily", conn_id="warehouse", table="lab.orders", sql=sql, partition={"day": day}, exchange_timeout=60
    )


FIRST_DAYS = {"start": DAYS[0], "end": DAYS[3], "exchange_timeout": lab.FOREVER}
LAST_DAYS = {"start": DAYS[2], "end": DAYS[5], "exchange_timeout": lab.FOREVER}


def first_days(number: int) -> ParallelBackfillOperator:
    return backfill(version(number), max_parallel=2, **FIRST_DAYS)


def last_days(number: int) -> ParallelBackfillOperator:
    return backfill(version(number), days_per_chunk=1, **LAST_DAYS)


def last_days_that_changed(number: int) -> ParallelBackfillOperator:
    return backfill(version(number), skip_unchanged=True, **LAST_DAYS)


CROWDS = {
    "overlapping ranges": ((*PLAIN, FILL), (first_days, last_days)),
    "overlapping ranges of a table that is not there": ((), (first_days, last_days)),
    "overlapping ranges of a partitioned table": ((*BY_LIST, FILL), (first_days, last_days_that_changed)),
    "a day in the middle": ((*PLAIN, FILL), (first_days, publish_day, last_days)),
    "a day in the middle of a partitioned table": ((*BY_LIST, FILL), (last_days_that_changed, publish_day)),
}
ROUNDS = 3


@pytest.mark.parametrize(("given", "makers"), CROWDS.values(), ids=CROWDS)
def test_several_at_once(
    given: tuple[str, ...], makers: tuple[Callable[[int], Any], ...], warehouse: Warehouse
) -> None:
    """Each day is that of one of them; and of the last that published it."""
    chance = random.Random(3)  # noqa: S311 - pauses

    def run(operator: Any, pause: float) -> dict[str, Any]:
        time.sleep(pause)
        return dict(operator.execute({}))

    with warehouse.connect() as connection:
        for number in range(ROUNDS):
            lab.reset(connection, given, ledger=number > 0)
            before = lab.orders(connection) or []
            made = [(amount, maker(amount)) for amount, maker in enumerate(makers, 10)]
            processes = [Process(partial(run, operator, number and chance.random() * 0.05)) for _, operator in made]
            outcomes = [process.join() for process in processes]
            lab.await_alone(connection)
            amounts = {outcome["run_uid"]: amount for outcome, (amount, _) in zip(outcomes, made, strict=True)}
            expected = {day: {row for row in before if str(row[1]) == day} for day in {str(row[1]) for row in before}}
            query = "SELECT run_uid, partition::json ->> 'day' FROM dataquality.publication ORDER BY published_at"
            for run_uid, day in connection.execute(query).fetchall():
                at = date.fromisoformat(day)
                expected[day] = {(10 * n + at.day, at, amounts[run_uid]) for n in range(1, 6)}
            assert lab.orders(connection) == sorted(row for rows in expected.values() for row in rows)
            assert lab.beside(connection) == {}
            assert lab.advisory_locks(connection) == 0


def test_the_same_backfill_twice_at_once(warehouse: Warehouse) -> None:
    """One does the work. The other is told, or comes so late that it begins anew."""

    def run(number: int) -> str:
        time.sleep(number * 0.01)
        try:
            return str(backfill(version(2), max_parallel=2).execute({})["run_uid"])
        except AirflowException as error:
            return str(error).partition("\n")[0]

    with warehouse.connect() as connection:
        for _ in range(ROUNDS):
            lab.reset(connection, (*PLAIN, FILL))
            processes = [Process(partial(run, number)) for number in range(3)]
            answers = [process.join() for process in processes]
            told = "the backfill of lab.orders/day=2024-01-01/2024-01-06 is under way in another task"
            runs = [answer for answer in answers if answer != told]
            lab.await_alone(connection)
            assert runs
            assert lab.publications(connection) == 6 * len(runs)
            rows = [row for row in lab.orders(connection) or [] if str(row[1]) in DAYS]
            assert [row[2] for row in rows] == [2] * 30
            assert lab.beside(connection) == {}


def test_one_that_was_killed_leaves_the_other_alone(warehouse: Warehouse, tmp_path: Path) -> None:
    """Their ranges overlap. What the killed one staged is there for the next run, which the other does not sweep."""
    with warehouse.connect() as connection:
        lab.reset(connection, (*PLAIN, FILL))
        statements = die(first_days(5), 0, "never", tmp_path / "sent").sent
        for number in (len(statements) // 2, len(statements) * 2 // 3):
            lab.reset(connection, (*PLAIN, FILL))
            die(first_days(5), number, "before", tmp_path / "sent")
            lab.await_alone(connection)
            left = lab.beside(connection)
            last_days(6).execute({})
            assert lab.beside(connection) == left
            by_day = {str(row[1]): row[2] for row in lab.orders(connection) or []}
            assert [by_day[day] for day in DAYS] == [1, 1, 6, 6, 6, 6]
            first_days(5).execute({})
            by_day = {str(row[1]): row[2] for row in lab.orders(connection) or []}
            assert [by_day[day] for day in DAYS] == [5, 5, 5, 5, 6, 6]
            assert lab.beside(connection) == {}
