"""The laws of measures: merged parts are the whole, in any order; a day after the other is all days at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_dataquality.dialects.base import Dialect
from airflow_dataquality.dialects.summary import Typed
from airflow_dataquality.measures import (
    ActiveDays,
    Count,
    DaysSinceLast,
    FirstSeen,
    LastSeen,
    Latest,
    Max,
    Mean,
    Measure,
    Min,
    Rolling,
    State,
    Sum,
)
from airflow_dataquality.plans.summary import Definition, compute, merge, step
from support import Database, on

Rows = list[tuple[Any, ...]]
Run = Callable[..., Rows]


@dataclass(frozen=True)
class Spread(Measure):
    """A measure that a user wrote."""

    of: str

    def states(self) -> Mapping[str, State]:
        return {"low": State("min", self.of), "high": State("max", self.of)}

    def finish(self, sql: Dialect, states: Mapping[str, str], partition: Typed) -> str:
        return f"{states['high']} - {states['low']}"


@dataclass(frozen=True)
class Fact:
    """A row of ``facts``, and the part of them to which it belongs."""

    part: int
    day: int
    city: str | None
    ship: int | None
    miles: int | None
    moment: int | None
    origin: str | None

    @property
    def subject(self) -> tuple[str | None, int | None]:
        return self.city, self.ship

    @property
    def rank(self) -> tuple[Any, ...]:
        return self.day, *_null_first(self.moment), *_null_first(self.origin)


Seen = Callable[[list[Fact], int], Any]


def _null_first(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def _known(facts: list[Fact], today: int = 0, window: int | None = None) -> list[int]:
    return [f.miles for f in facts if f.miles is not None and (window is None or f.day > today - window)]


def _sum(values: list[int]) -> int | None:
    return sum(values) if values else None


def _mean(values: list[int]) -> float | None:
    return sum(values) / len(values) if values else None


def _day(number: int) -> date:
    return date(2012, 2, 27) + timedelta(number)  # over a leap day


# What the measure is, and what it is by hand of all facts of a subject, as of a day.
MEASURES: dict[str, tuple[Measure, Seen]] = {
    "sum": (Sum("miles"), lambda facts, _: _sum(_known(facts))),
    "ones": (Sum("1"), lambda facts, _: len(facts)),
    "rows": (Count(), lambda facts, _: len(facts)),
    "known": (Count("miles"), lambda facts, _: len(_known(facts))),
    "shortest": (Min("miles"), lambda facts, _: min(_known(facts), default=None)),
    "longest": (Max("miles"), lambda facts, _: max(_known(facts), default=None)),
    "mean": (Mean("miles"), lambda facts, _: _mean(_known(facts))),
    "first_seen": (FirstSeen(), lambda facts, _: _day(min(f.day for f in facts))),
    "last_seen": (LastSeen(), lambda facts, _: _day(max(f.day for f in facts))),
    "days_since": (DaysSinceLast(), lambda facts, today: today - max(f.day for f in facts)),
    "latest": (Latest("origin", order_by="moment"), lambda facts, _: max(facts, key=lambda f: f.rank).origin),
    "by_text": (
        Latest("COALESCE(miles, 0) + 1", order_by="origin"),
        lambda facts, _: max((f.day, *_null_first(f.origin), (f.miles or 0) + 1) for f in facts)[-1],
    ),
    "sum_2d": (Rolling(Sum("miles"), days=2), lambda f, today: _sum(_known(f, today, 2))),
    "rows_3d": (Rolling(Count(), days=3), lambda facts, today: sum(f.day > today - 3 for f in facts)),
    "known_1d": (Rolling(Count("miles"), days=1), lambda facts, today: len(_known(facts, today, 1))),
    "max_3d": (Rolling(Max("miles"), days=3), lambda facts, today: max(_known(facts, today, 3), default=None)),
    "min_2d": (Rolling(Min("miles"), days=2), lambda facts, today: min(_known(facts, today, 2), default=None)),
    "mean_3d": (Rolling(Mean("miles"), days=3), lambda facts, today: _mean(_known(facts, today, 3))),
    "active_3d": (ActiveDays(3), lambda facts, today: len({f.day for f in facts if f.day > today - 3})),
    "active_62d": (ActiveDays(62), lambda facts, _: len({f.day for f in facts})),
    "spread": (Spread("miles"), lambda facts, _: max(_known(facts)) - min(_known(facts)) if _known(facts) else None),
    "spread_2d": (
        Rolling(Spread("miles"), days=2),
        lambda f, today: max(_known(f, today, 2)) - min(_known(f, today, 2)) if _known(f, today, 2) else None,
    ),
}  # fmt: skip
DEFINITION = Definition(("city", "ship"), "ds", tuple((name, measure) for name, (measure, _) in MEASURES.items()))
TYPES = {"city": "character varying(10)", "ship": "integer", "ds": "date"}
DAYS = 5
EVERY = range(3)
TABLE = "CREATE TABLE facts (part INT, ds DATE, city VARCHAR(10), ship INT, miles INT, moment INT, origin VARCHAR(10))"

facts_of_days = st.lists(
    st.builds(
        Fact,
        part=st.sampled_from(EVERY),
        day=st.integers(0, DAYS - 1),
        city=st.sampled_from([None, "", "it's ü"]),
        ship=st.sampled_from([None, 0]),
        miles=st.none() | st.integers(-3, 3),
        moment=st.none() | st.integers(0, 2),
        origin=st.sampled_from([None, "", "JFK", "LGA"]),
    ),
    max_size=25,
)
# Facts of one moment in several parts: the value decides, and NULL before it.
TIES = [
    Fact(part, 1, None, 0, 1, moment, origin)
    for moment in (None, 2)
    for part, origin in enumerate(["JFK", "LGA", None])
]
few = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
both = on("postgres", "redshift")


class Summaries:
    """Summaries of the table ``facts``."""

    def __init__(self, database: Database, run: Run) -> None:
        self.sql = database.session.dialect
        self.run = run

    def fill(self, facts: list[Fact]) -> None:
        rows = [(f.part, _day(f.day), f.city, f.ship, f.miles, f.moment, f.origin) for f in facts]
        values = ", ".join(f"({', '.join(map(self.sql.literal, row))})" for row in rows)
        self.run("DELETE FROM facts", *([f"INSERT INTO facts VALUES {values}"] if rows else []))

    def value(self, day: int) -> str:
        return f"CAST({self.sql.literal(_day(day))} AS date)"

    def facts(self, where: str) -> str:
        return f"(SELECT ds, city, ship, miles, moment, origin FROM facts WHERE {where})"

    def compute(self, parts: Any = EVERY, until: int = DAYS - 1) -> str:
        """A summary of all days at once."""
        listed = ", ".join(map(str, parts))
        ages = {_day(day): until - day for day in range(until + 1)}
        source = self.facts(f"part IN ({listed}) AND ds <= {self.value(until)}")
        return compute(self.sql, DEFINITION, source, self.value(until), TYPES, ages=ages)

    def merge(self, one: str, other: str) -> str:
        return merge(self.sql, DEFINITION, f"({one})", f"({other})", self.value(DAYS - 1), TYPES)

    def step(self, previous: str, day: int) -> str:
        today = self.facts(f"ds = {self.value(day)}")
        return step(self.sql, DEFINITION, previous, today, self.value(day), TYPES)


@pytest.fixture
def summaries(database: Database, run: Run) -> Summaries:
    run(TABLE)
    return Summaries(database, run)


@both
@few
@example(facts=TIES)
@example(facts=TIES[:3])
@given(facts=facts_of_days)
def test_merged_parts_are_the_whole(summaries: Summaries, facts: list[Fact]) -> None:
    summaries.fill(facts)
    a, b, c = (summaries.compute([part]) for part in EVERY)
    whole = summaries.run(summaries.compute())
    assert summaries.run(summaries.merge(a, summaries.merge(b, c))) == whole
    assert summaries.run(summaries.merge(summaries.merge(c, a), b)) == whole


@both
@few
@example(facts=TIES)
@example(facts=TIES[:3])
@given(facts=facts_of_days)
def test_a_reader_sees_what_the_measure_means(summaries: Summaries, facts: list[Fact]) -> None:
    summaries.fill(facts)
    today = DAYS - 1
    subjects: dict[Any, list[Fact]] = {}
    for fact in facts:
        subjects.setdefault(fact.subject, []).append(fact)
    expected = [
        (*subject, _day(today), *(seen(theirs, today) for _, seen in MEASURES.values()))
        for subject, theirs in subjects.items()
    ]
    rows = [row[: len(MEASURES) + 3] for row in summaries.run(summaries.compute())]
    assert [dict(zip(DEFINITION.columns, row, strict=False)) for row in rows] == [
        dict(zip(DEFINITION.columns, row, strict=False)) for row in sorted(expected, key=_by_subject(rows))
    ]


def _by_subject(rows: Rows) -> Callable[[tuple[Any, ...]], int]:
    order = {row[:2]: number for number, row in enumerate(rows)}
    return lambda row: order[row[:2]]


@both
@few
@example(facts=TIES)
@example(facts=TIES[:3])
@given(facts=facts_of_days)
def test_day_after_day_is_all_days_at_once(summaries: Summaries, facts: list[Fact]) -> None:
    summaries.fill(facts)
    summaries.run("DROP TABLE IF EXISTS s", f"CREATE TABLE s AS {summaries.compute(until=0)}")
    for day in range(1, DAYS):
        summaries.run(
            "DROP TABLE IF EXISTS p",
            "ALTER TABLE s RENAME TO p",
            f"CREATE TABLE s AS {summaries.step('p', day)}",
        )
        columns = summaries.sql.identifiers(DEFINITION.columns)
        assert summaries.run(f"SELECT {columns} FROM s") == summaries.run(summaries.compute(until=day))
