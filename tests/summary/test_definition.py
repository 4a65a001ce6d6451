"""What a definition refuses, how it is recorded, and how it differs from one that was."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.errors import SpecError
from airflow_dataquality.measures import (
    ActiveDays,
    Count,
    DaysSinceLast,
    FirstSeen,
    Latest,
    Max,
    Mean,
    Measure,
    Rolling,
    State,
    Sum,
)
from airflow_dataquality.plans.summary import Definition


def definition(measures: dict[str, Any] | None = None, *, keys: Any = ("k",), ds: Any = "ds") -> Definition:
    return Definition(keys, ds, tuple(({"n": Count()} if measures is None else measures).items()))


def test_columns_are_keys_partition_what_is_seen_and_states() -> None:
    d = definition(
        {"n": Count(), "mean": Mean("x"), "two": Rolling(Mean("x"), days=2), "sums": Rolling(Sum("x"), days=2)}
    )
    assert d.columns == [
        "k", "ds", "n", "mean", "two", "sums", "mean__sum", "mean__count",
        "two__sum_0", "two__count_0", "two__sum_1", "two__count_1", "sums__0", "sums__1",
    ]  # fmt: skip
    assert d.window == 2


@pytest.mark.parametrize(
    "measure",
    [
        Sum("COALESCE(a, ')')"),
        Count(),
        Count("x"),
        Latest("origin", order_by="dep_time"),
        Rolling(Count(), days=28),
        ActiveDays(28),
        FirstSeen(),
    ],
    ids=repr,
)
def test_a_measure_reads_as_it_is_written(measure: Measure) -> None:
    import airflow_dataquality.measures as words

    assert eval(repr(measure), vars(words)) == measure  # noqa: S307 - our own text
    assert hash(measure) == hash(eval(repr(measure), vars(words)))  # noqa: S307 - as above


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda: Sum(""), "'' is no expression"),
        (lambda: Sum(" \n"), "is no expression"),
        (lambda: Sum(7), "7 is no expression"),  # type: ignore[arg-type]
        (lambda: Max("(a"), "opens a ( that does not close"),
        (lambda: Max("a)"), "closes a ) that does not open"),
        (lambda: Max("(a]"), "closes a ] that does not open"),
        (lambda: Max("'a"), "a quote opens and does not close"),
        (lambda: Max("a /* b"), "a comment opens and does not close"),
        (lambda: Max("a /* b */"), "holds a comment"),
        (lambda: Max("1--1"), "holds a comment"),
        (lambda: Max("a; DROP TABLE t"), "more than one statement"),
        (lambda: Max("a;"), "is more than one expression"),
        (lambda: Max("a, b"), "is more than one expression"),
        (lambda: Latest("a", order_by="b, c"), "is more than one expression"),
        (lambda: Latest("a,", order_by="b"), "is more than one expression"),
        (lambda: ActiveDays(0), "0 is no number of days"),
        (lambda: ActiveDays(63), "63 is no number of days"),
        (lambda: ActiveDays(True), "True is no number of days"),
        (lambda: ActiveDays(2.0), "2.0 is no number of days"),  # type: ignore[arg-type]
        (lambda: Rolling(Sum("a"), days=0), "0 is no number of days"),
        (lambda: Rolling(Sum("a"), days=401), "401 is no number of days"),
        (lambda: Rolling("a", days=2), "'a' is no measure"),  # type: ignore[arg-type]
        (lambda: Rolling(FirstSeen(), days=2), "FirstSeen() cannot be taken over a window"),
        (lambda: Rolling(DaysSinceLast(), days=2), "DaysSinceLast() cannot be taken over a window"),
        (lambda: Rolling(Latest("a", order_by="b"), days=2), "cannot be taken over a window"),
        (lambda: Rolling(ActiveDays(2), days=2), "ActiveDays(2) cannot be taken over a window"),
        (lambda: Rolling(Rolling(Sum("a"), days=2), days=2), "cannot be taken over a window"),
        (lambda: State("avg", "a"), "no state is merged by 'avg'"),
        (lambda: definition(keys=()).check(), "has no keys"),
        (lambda: definition(keys="tailnum").check(), "'tailnum' is no list of keys"),
        (lambda: definition({}).check(), "has no measures"),
        (lambda: definition(keys=("k", "")).check(), "'' cannot be a name"),
        (lambda: definition(ds=None).check(), "None cannot be a name"),
        (lambda: definition(keys=("k", "k")).check(), "a key and a key are both called 'k'"),
        (lambda: definition(ds="k").check(), "the partition column and a key are both called 'k'"),
        (lambda: definition({"ds": Count()}).check(), "the measure ds and the partition column are both called 'ds'"),
        (lambda: definition({"K": Count()}).check(fold=str.lower), "the measure K and a key are both called 'K'"),
        (
            lambda: definition({"m": Mean("x"), "m__sum": Count()}).check(),
            "the measure m__sum and a state of the measure m are both called 'm__sum'",
        ),
        (lambda: definition({"ü" * 32: Count()}).check(), "in 64 bytes"),
        (lambda: definition({"m" * 57: Mean("x")}).check(), "a state of the measure"),
        (lambda: definition({"r": Rolling(Mean("x"), days=400), "s": Rolling(Mean("x"), days=400)}).check(), "1,604"),
        (lambda: definition({"n": "Sum"}).check(), "n: 'Sum' is no measure"),
        (lambda: definition({"n": Count}).check(), "is no measure"),
    ],
)
def test_what_can_never_work_is_refused(write: Any, said: str) -> None:
    with pytest.raises(SpecError) as refused:
        write()
    assert said in refused.value.message
    assert refused.value.hint


def test_a_wrong_word_is_answered_with_the_right_one() -> None:
    with pytest.raises(SpecError, match="did you mean 'Sum'"):
        definition({"n": "Summ('x')"}).check()
    with pytest.raises(SpecError, match="did you mean 'min'"):
        State("minn", "x")


def test_a_definition_says_how_it_differs_from_what_was_recorded() -> None:
    before = definition({"n": Count(), "miles": Sum("distance"), "old": Max("x")}).as_dict()
    after = definition({"n": Count(), "miles": Sum("miles"), "new": Max("x")}, keys=("k", "l"), ds="day")
    assert after.differences(before) == [
        "keys: was ['k'], is ['k', 'l']",
        "partition_column: was 'ds', is 'day'",
        "new: is new",
        "old: is gone",
        "miles: was Sum('distance'), is Sum('miles')",
    ]
    assert after.differences(after.as_dict()) == []
    turned = definition({"b": Count(), "a": Count()})
    assert turned.differences(definition({"a": Count(), "b": Count()}).as_dict()) == []


def test_two_periods_at_once_are_one_after_the_other() -> None:
    sql, rolling = Postgres(), Rolling(Mean("x"), days=4)
    states = {name: f"s.{name}" for name in rolling.states()}
    once = rolling.aged(sql, states, 1)
    assert rolling.aged(sql, once, 1) == rolling.aged(sql, states, 2)
    assert rolling.aged(sql, once, 3) == rolling.aged(sql, states, 4) == {}
