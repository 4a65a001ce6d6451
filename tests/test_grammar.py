"""The grammar of one check: what it means, and what it says about what can never work."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.checks import anomaly, check
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import seconds
from airflow_dataquality.model import FailOn, Interval, Severity
from airflow_dataquality.results import Status, Summary
from airflow_dataquality.vocabulary import KINDS, WRITABLE

numbers = st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9)


@given(low=numbers, high=numbers, value=numbers)
def test_a_closed_interval_holds_what_lies_between(low: float, high: float, value: float) -> None:
    assume(low <= high)
    assert (value in check("mean", "x", geq_to=low, leq_to=high).expect) is (low <= value <= high)


@given(low=numbers, high=numbers, value=numbers)
def test_an_open_interval_leaves_its_bounds_out(low: float, high: float, value: float) -> None:
    assume(low < high)
    assert (value in check("mean", "x", greater_than=low, less_than=high).expect) is (low < value < high)


@given(low=numbers, high=numbers)
def test_an_interval_that_holds_nothing_is_refused(low: float, high: float) -> None:
    assume(low > high)
    with pytest.raises(SpecError, match="contradicts itself"):
        check("mean", "x", geq_to=low, leq_to=high)


@given(bound=st.integers(-(10**6), 10**6), tolerance=st.integers(0, 100), value=st.integers(-(2 * 10**6), 2 * 10**6))
def test_tolerance_is_percent_of_the_bound(bound: int, tolerance: int, value: int) -> None:
    expect = check("mean", "x", equal_to=bound, tolerance=tolerance).expect
    assert (value in expect) is (100 * abs(value - bound) <= abs(bound) * tolerance)


@given(bound=numbers, narrow=st.floats(0, 100), wide=st.floats(0, 100))
def test_more_tolerance_admits_no_less(bound: float, narrow: float, wide: float) -> None:
    assume(narrow <= wide)
    small = check("mean", "x", equal_to=bound, tolerance=narrow).expect
    large = check("mean", "x", equal_to=bound, tolerance=wide).expect
    assert large.low <= small.low <= small.high <= large.high


@given(bound=numbers, value=numbers)
def test_types_of_number_compare_by_value(bound: float, value: float) -> None:
    expect = Interval(bound, bound)
    assert (Decimal(str(value)) in expect) is (Decimal(str(value)) == Decimal(str(bound)))


def test_nothing_holds_nan() -> None:
    not_a_number = float("nan")
    assert not_a_number not in Interval()
    assert not_a_number not in Interval(0, math.inf)
    assert math.inf in Interval(low=0)
    with pytest.raises(SpecError, match="NaN"):
        check("mean", "x", geq_to=math.nan)


@pytest.mark.parametrize(
    ("bound", "value", "inside"),
    [
        ("2013-02-01", date(2013, 2, 1), True),
        ("2013-02-01", date(2013, 1, 31), False),
        ("2013-02-01", datetime(2013, 2, 1), True),  # noqa: DTZ001
        (datetime(2013, 2, 1), datetime(2013, 2, 1, tzinfo=UTC), True),  # noqa: DTZ001
        (date(2013, 2, 1), "2013-02-01", True),
        ("b", "a", False),
        (Decimal("0.1"), 0.5, True),
        (0.1, Decimal("0.1"), True),
    ],
)
def test_bounds_take_the_values_type(bound: Any, value: Any, inside: bool) -> None:
    assert (value in check("min", "x", geq_to=bound).expect) is inside


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"geq_to": 0}, ">= 0"),
        ({"greater_than": 0, "leq_to": 1}, "> 0 and <= 1"),
        ({"geq_to": 0.1, "leq_to": 1}, "between 0.1 and 1"),
        ({"equal_to": 7}, "= 7"),
        ({"equal_to": 100, "tolerance": 10}, "between 90 and 110"),
        ({"equal_to": -100, "tolerance": 10}, "between -110 and -90"),
    ],
)
def test_intervals_are_read_by_people(arguments: dict[str, Any], words: str) -> None:
    assert str(check("mean", "x", **arguments).expect) == words


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: check("nul_count", "x"), "did you mean 'null_count'?"),
        (lambda: check("outside_partition", "x"), "unknown check"),
        (lambda: check("null_count"), "takes one column, not 0"),
        (lambda: check("null_count", ["a", "b"]), "takes one column, not 2"),
        (lambda: check("row_count", "a", geq_to=1), "takes no column, not 1"),
        (lambda: check("unique_violations", ["a", "a"]), "named twice"),
        (lambda: check("mean", ""), "is not a name"),
        (lambda: check("mean", "x"), "no condition for mean"),
        (lambda: check("mean", "x", gt=1), "unknown argument 'gt'"),
        (lambda: check("mean", "x", geq=1), "did you mean 'geq_to'?"),
        (lambda: check("mean", "x", condition={"equal": 1}), "did you mean 'equal_to'?"),
        (lambda: check("mean", "x", condition={"geq_to": 1}, leq_to=2), "both condition= and leq_to"),
        (lambda: check("mean", "x", geq_to=10, leq_to=5), "no value can be between 10 and 5"),
        (lambda: check("mean", "x", greater_than=5, less_than=5), "contradicts itself"),
        (lambda: check("mean", "x", greater_than=5, geq_to=5), "both greater_than and geq_to"),
        (lambda: check("mean", "x", equal_to=5, leq_to=5), "equal_to beside leq_to"),
        (lambda: check("mean", "x", equal_to="5"), "is '5', not a number"),
        (lambda: check("mean", "x", equal_to=True), "is True, not a number"),
        (lambda: check("mean", "x", equal_to=[5]), "is [5], not a number"),
        (lambda: check("min", "x", geq_to=1, leq_to="b"), "cannot be compared with each other"),
        (lambda: check("mean", "x", equal_to=5, tolerance=-1), "tolerance -1"),
        (lambda: check("mean", "x", equal_to=5, tolerance="10%"), "not a number"),
        (lambda: check("min", "x", equal_to="a", tolerance=1), "a tolerance does not widen it"),
        (lambda: check("quantile", "x", geq_to=1), "quantile needs `q`"),
        (lambda: check("quantile", "x", q=50, geq_to=1), "is not a number from 0 to 1"),
        (lambda: check("values_outside", "x", values="a"), "is not a list"),
        (lambda: check("values_outside", "x", values=[]), "names no value"),
        (lambda: check("values_outside", "x", values=[{}]), "not a plain value"),
        (lambda: check("pattern_violations", "x"), "needs `pattern`"),
        (lambda: check("pattern_violations", "x", pattern=7), "is not a text"),
        (lambda: check("custom_sql", sql=" ", equal_to=1), "is not a text"),
        (lambda: check("schema", columns=[]), "is not a list of column names"),
        (lambda: check("freshness", "x", leq_to="soon"), "is not a duration"),
        (lambda: check("mean", "x", geq_to=1, severity="fatal"), "severity is 'fatal'"),
        (lambda: check("mean", "x", geq_to=1, dimension="speed"), "unknown dimension 'speed'"),
        (lambda: check("mean", "x", geq_to=1, partition_clause="a = 1; DROP TABLE t"), "semicolon"),
        (lambda: check("mean", "x", geq_to=1, partition_clause=" "), "is not a text"),
        (lambda: check("mean", "x", geq_to=1, name=""), "name '' is not a text"),
        (lambda: check("mean", "x", geq_to=1, baseline="auto"), "both a baseline and geq_to"),
        (lambda: check("mean", "x", baseline="zcore"), "did you mean 'zscore'?"),
        (lambda: check("mean", "x", baseline=7), "baseline 7 is none"),
        (lambda: check("mean", "x", baseline={}), "baseline {} is none"),
        (lambda: check("mean", "x", baseline={"auto": 3}), "baseline {'auto': 3} is none"),
        (lambda: check("mean", "x", baseline={"auto": {}, "robust": {}}), "is none"),
        (lambda: check("mean", "x", baseline={"robust": {"treshold": 3}}), "did you mean 'threshold'?"),
        (lambda: check("mean", "x", baseline={"robust": {"threshold": -3}}), "threshold is -3, not a number above 0"),
        (lambda: check("mean", "x", baseline={"auto": {"threshold": 100}}), "threshold is 100, not a number above 0"),
        (lambda: check("mean", "x", baseline={"auto": {"exclude": 7}}), "exclude holds 7, neither a date nor two"),
        (lambda: check("mean", "x", baseline={"auto": {"exclude": [None]}}), "exclude holds None"),
        (lambda: check("mean", "x", baseline={"auto": {"holidays": ["US"]}}), "holidays is ['US'], not a country"),
        (lambda: check("mean", "x", baseline={"auto": {"scale": "ratio"}}), "did you mean 'rate'?"),
        (lambda: check("mean", "x", baseline={"auto": {"holidays": ""}}), "holidays is '', not a country"),
        (lambda: check("check_statement", statement="a > 1", baseline="auto"), "is true or false"),
        (lambda: check("meen", "x", baseline="auto"), "did you mean 'mean'?"),
    ],
)
def test_what_can_never_work_is_refused(make: Any, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        make()
    assert says in str(raised.value)
    assert "\nHint: " in str(raised.value)
    assert str(raised.value).startswith("check(")


@pytest.mark.parametrize("word", [word for word in WRITABLE if KINDS[word].violations])
def test_violations_are_expected_to_be_none(word: str) -> None:
    columns = None if KINDS[word].takes.value == "no column" else "x"
    params = {"values": [1], "pattern": "x", "references": "t", "columns": ["a"]}
    wanted = {name: params[name] for name in KINDS[word].params if name in params}
    assert str(check(word, columns, **wanted).expect) == "= 0"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15m", 900), ("26h", 93600), ("2d", 172800), ("200ms", 0.2), (7, 7), (timedelta(hours=1), 3600)],
)
def test_durations(text: Any, expected: float) -> None:
    assert seconds(text, "lock_timeout") == expected
    assert check("freshness", "ts", leq_to=text).expect.high == expected


@pytest.mark.parametrize("wrong", ["", "1 fortnight", -1, math.inf, True, None, [1]])
def test_what_is_no_duration(wrong: Any) -> None:
    with pytest.raises(SpecError, match="is not a duration"):
        seconds(wrong, "lock_timeout")


def test_checks_are_values() -> None:
    one, other = (check("mean", "x", geq_to=1, severity="warn") for _ in range(2))
    assert one == other
    assert len({one.metric, other.metric}) == 1
    assert (one.severity, one.dimension, one.name) == (Severity.WARN, "validity", "mean(x)")


def test_the_nearest_spelling_ignores_case() -> None:
    assert did_you_mean("CARRIER", ["carrier", "origin"]) == "did you mean 'carrier'? Known: carrier, origin"
    assert did_you_mean("zzz", []) == "Known: (none)"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("auto", Baseline()),
        ("seasonal", Baseline("seasonal")),
        ({"zscore": {"threshold": 3, "window": 28}}, Baseline("zscore", threshold=3, window=28)),
        ({"robust": None}, Baseline("robust")),
        ({"auto": {"exclude": "2013-12-24", "holidays": "US"}},
         Baseline(exclude=((date(2013, 12, 24), date(2013, 12, 24)),), holidays="US")),
        ({"auto": {"exclude": [date(2013, 12, 24), ["2013-12-26", "2013-12-31"]]}},
         Baseline(exclude=((date(2013, 12, 24),) * 2, (date(2013, 12, 26), date(2013, 12, 31))))),
        (max, Baseline(max)),
    ],
)  # fmt: skip
def test_a_baseline_stands_in_for_a_condition(given: Any, expected: Baseline) -> None:
    made = check("null_count", "x", baseline=given)
    assert made.expect == expected
    assert hash(made) == hash(check("null_count", "x", baseline=expected))
    if given is not max:
        ((method, options),) = given.items() if isinstance(given, dict) else ((given, {}),)
        assert anomaly("null_count", "x", baseline=method, **(options or {})).expect == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"baseline": "zcore"}, "anomaly('mean', 'x'): baseline is 'zcore'\nHint: did you mean 'zscore'?"),
        ({"threshold": "3"}, "threshold is '3'"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"direction": "down"}, "direction is 'down'\nHint: Known: both, drop, spike"),
        ({"window": 2}, "window is 2, not a whole number >= 3"),
        ({"window": 28.0}, "window is 28.0"),
        ({"min_history": 91}, "min_history 91 is more than window 90"),
        ({"period": "daily"}, "did you mean 'day'?"),
        ({"exclude": ["soon"]}, "exclude holds 'soon'"),
        ({"exclude": [("2013-01-02", "2013-01-01")]}, "ends before it begins: 2013-01-02 to 2013-01-01"),
        ({"exclude": [("2013-01-01", "2013-01-02", "2013-01-03")]}, "neither a date nor two"),
        ({"geq_to": 1}, "both a baseline and geq_to"),
    ],
)
def test_what_no_baseline_can_be(options: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError) as raised:
        anomaly("mean", "x", **options)
    assert says in str(raised.value)
    assert "\nHint: " in str(raised.value)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (Baseline(threshold=3), "auto baseline, 3 sigma of 90 values"),
        (
            Baseline("robust", threshold=3.5, window=28, direction="drop"),
            "robust baseline, 3.5 sigma of 28 values, drop only",
        ),
        (Baseline(max, threshold=4), "max baseline, 4 sigma of 90 values"),
    ],
)
def test_baselines_are_read_by_people(made: Baseline, words: str) -> None:
    assert str(made) == words


@given(counts=st.lists(st.sampled_from(list(Status)), max_size=8))
def test_the_score_counts_a_warning_as_a_quarter(counts: list[Status]) -> None:
    from airflow_dataquality.results import Result

    one = check("row_count", geq_to=1)
    summary = Summary(tuple(Result(one, 1, status, "") for status in counts))
    lost = sum({Status.FAIL: 1, Status.ERROR: 1, Status.WARN: 0.25}.get(status, 0) for status in counts)
    assert summary.score == pytest.approx(1 - lost / len(counts) if counts else 1, abs=1e-4)
    assert sum(summary.as_dict()[key] for key in ("passed", "warned", "failed", "errored", "skipped")) == len(counts)
    blocked = {FailOn.NEVER: 0, FailOn.ERROR: counts.count(Status.FAIL)}
    for fail_on, failed in blocked.items():
        assert len(summary.blocking(fail_on)) == failed + counts.count(Status.ERROR)
