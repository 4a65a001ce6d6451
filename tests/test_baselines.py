"""Baselines: what a series is expected to be next, and what is too far from it."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from airflow_dataquality.baseline import THRESHOLD
from airflow_dataquality.stats.baselines import BASELINES
from airflow_dataquality.stats.forecast import Forecast, Judgement, infer_kind
from airflow_dataquality.stats.robust import cycle_effects

MONDAY = np.datetime64("2024-01-01")
AUTO = BASELINES["auto"]
NAN = float("nan")
INF = float("inf")
every_baseline = pytest.mark.parametrize("name", BASELINES)

NOISE = np.random.default_rng(7)
BASE = NOISE.normal(1000, 20, 60).round()
WEEKS = np.tile([900.0, 910, 905, 895, 920, 0, 0], 12)
LOW = NOISE.poisson(1.5, 60).astype(float)
TREND = 1e6 + 1000 * np.arange(60.0)


def days(past: Any, start: np.datetime64 = MONDAY) -> Any:
    return start + np.arange(np.shape(past)[-1] + 1)


def forecast(past: Any, kind: str = "value", name: str = "auto", dates: Any = None) -> Forecast:
    past = np.atleast_2d(np.asarray(past, float))
    return BASELINES[name](past, days(past) if dates is None else dates, np.full(len(past), kind))


def judged(past: Any, value: float, kind: str = "count", name: str = "auto", **options: Any) -> Judgement:
    options.setdefault("threshold", THRESHOLD)
    return forecast(past, kind, name).judge(np.array([value]), **options)


def outage(at: int) -> Any:
    past = BASE.copy()
    past[at : at + 3] = 0
    return past


@pytest.mark.parametrize(
    ("past", "value", "kind"),
    [
        pytest.param([52] * 40, 0, "count", id="constant to zero"),
        pytest.param([52] * 40, 104, "count", id="constant doubled"),
        pytest.param([0] * 40, 0.3, "rate", id="nulls where there were none"),
        pytest.param([1] * 40, 0.5, "rate", id="a column always null is half filled"),
        pytest.param(BASE, INF, "count", id="infinite"),
        pytest.param(BASE, -INF, "count", id="minus infinite"),
        pytest.param(BASE, -1, "count", id="a count below zero"),
        pytest.param([0.9, 0.95] * 20, 1.1, "rate", id="a rate above one"),
        pytest.param(np.where(np.arange(60) % 2, BASE, NAN), 0, "count", id="half is missing"),
        pytest.param(WEEKS[:77], 0, "count", id="zero on a Monday"),
        pytest.param(WEEKS[:83], 900, "count", id="a full load on a Sunday"),
        pytest.param(BASE[:14], 0, "count", id="zero after fourteen values"),
        pytest.param(BASE * 1e15, 0, "count", id="huge"),
        pytest.param(BASE * 1e-15, 5e-12, "value", id="tiny"),
        pytest.param(-BASE, 1000, "value", id="a change of sign"),
        pytest.param(outage(45), 0, "count", id="an outage after an outage"),
        pytest.param(TREND, 5e5, "count", id="half of a running total"),
        pytest.param(TREND, 5e5, "cumulative", id="half of a running total, declared"),
    ],
)
def test_an_incident_is_outside(past: Any, value: float, kind: str) -> None:
    assert judged(past, value, kind).outside.tolist() == [True]


@pytest.mark.parametrize(
    ("past", "value", "kind"),
    [
        pytest.param([52] * 40, 52, "count", id="constant"),
        pytest.param([520] * 40, 521, "count", id="constant plus one"),
        pytest.param([0] * 40, 0, "rate", id="never null"),
        pytest.param([*BASE[:30], INF, *BASE[30:]], 1000, "count", id="infinite in the past"),
        pytest.param(WEEKS[:82], 0, "count", id="zero on a Saturday"),
        pytest.param(WEEKS[:83], 0, "count", id="zero on a Sunday"),
        pytest.param(BASE * 1e15, 1e18, "count", id="huge"),
        pytest.param(BASE * 1e-15, 1e-12, "value", id="tiny"),
        pytest.param(-BASE, -1000, "value", id="negative"),
        pytest.param(outage(57), 1003, "count", id="the day after an outage"),
        pytest.param(TREND, 1e6 + 60_000, "count", id="a running total"),
        pytest.param(TREND, 1e6 + 60_000, "cumulative", id="a running total, declared"),
        pytest.param(LOW, 0, "count", id="no rows where there are few"),
        pytest.param([0, 0, 0, 0, 0, 0, 0.002] * 8, 0.003, "rate", id="hardly ever null"),
    ],
)
def test_a_healthy_day_is_not_outside(past: Any, value: float, kind: str) -> None:
    verdict = judged(past, value, kind)
    assert verdict.outside.tolist() == [False]
    assert np.isfinite(verdict.score).all()


@every_baseline
@pytest.mark.parametrize("past", [[], [5], [5, 6], [NAN] * 30, [INF, -INF, NAN] * 10])
def test_too_short_a_past_tells_nothing(name: str, past: Any) -> None:
    past = np.array(past, float).reshape(1, -1)
    verdict = judged(past, 5.0, name=name)
    numbers = [verdict.expected, verdict.low, verdict.high, verdict.score, verdict.p_value]
    assert np.isnan(numbers).all()
    assert not verdict.outside.any()


@every_baseline
def test_a_missing_value_is_no_alarm_and_has_an_interval(name: str) -> None:
    verdict = judged(BASE, NAN, name=name)
    assert np.isnan([verdict.score, verdict.p_value]).all()
    assert not verdict.outside.any()
    assert verdict.low < verdict.expected < verdict.high
    assert verdict.level.tolist() == [0]


@every_baseline
@pytest.mark.parametrize("shape", [(0, 30), (0, 0), (3, 0)])
def test_no_series_and_no_days(name: str, shape: tuple[int, int]) -> None:
    verdict = forecast(np.empty(shape), name=name).judge(np.zeros(shape[0]), threshold=3.0)
    assert verdict.outside.tolist() == [False] * shape[0]


@every_baseline
@pytest.mark.parametrize("value", [5.0, 0.0, -3e-200, 1e18])
def test_a_constant_series_expects_its_value(name: str, value: float) -> None:
    verdict = judged([value] * 30, value, "value", name)
    assert verdict.expected == pytest.approx([value], rel=1e-9)
    assert not verdict.outside.any()
    assert judged([value] * 30, 2 * value + 1e-100, "value", name).outside.all()


@every_baseline
@pytest.mark.parametrize("unit", ["h", "D", "W", "M"])
def test_any_unit_of_dates(name: str, unit: str) -> None:
    dates = np.datetime64("2024-01", unit) + np.arange(61)
    verdict = forecast(BASE, "count", name, dates).judge([0.0])
    assert verdict.outside.all()


@every_baseline
def test_days_left_out_are_as_days_without_a_value(name: str) -> None:
    kept = np.delete(np.arange(61), [3, 4, 20, 33])
    gaps = BASE.copy()
    gaps[[3, 4, 20, 33]] = NAN
    dates = days(BASE)
    short = forecast(BASE[kept[:-1]], "count", name, dates[kept]).judge([900.0])
    full = forecast(gaps, "count", name, dates).judge([900.0])
    assert short.score == pytest.approx(full.score)


@every_baseline
@pytest.mark.parametrize("kind", ["count", "rate", "value", "cumulative"])
def test_leading_gaps_change_nothing(name: str, kind: str) -> None:
    past = BASE / 2000 if kind == "rate" else BASE
    padded = np.concatenate([np.full(40, NAN), past])
    plain = forecast(past, kind, name, MONDAY + 40 + np.arange(61)).judge([0.3])
    assert forecast(padded, kind, name).judge([0.3]).score == pytest.approx(plain.score, rel=1e-9)


def mixture(series: int = 40, n: int = 60) -> tuple[Any, Any]:
    draw = np.random.default_rng(3)
    kind = np.resize(["count", "rate", "value", "cumulative"], series)
    past = draw.poisson(20, (series, n)).astype(float)
    past[kind == "rate"] /= 100
    past[kind == "cumulative"] = np.cumsum(past[kind == "cumulative"], axis=1)
    past[draw.random(past.shape) < 0.1] = NAN
    past[::7, 20:30] *= 3
    return past, kind


@every_baseline
def test_a_series_is_forecast_from_its_own_past_alone(name: str) -> None:
    past, kind = mixture()
    before = past.copy()
    together = BASELINES[name](past, days(past), kind).judge(past[:, 5])
    again = BASELINES[name](past, days(past), kind).judge(past[:, 5])
    alone = [BASELINES[name](past[[i]], days(past), kind[[i]]).judge(past[[i], 5]).score[0] for i in range(len(past))]
    np.testing.assert_array_equal(together.score, again.score)
    np.testing.assert_allclose(together.score, alone, rtol=1e-9)
    np.testing.assert_array_equal(past, before)


@every_baseline
def test_the_value_judged_is_not_in_its_own_baseline(name: str) -> None:
    """With the value inside, no score of ten values can pass (n - 1) / √n = 2.8."""
    expected = forecast(BASE[:10], "count", name)
    one, other = expected.judge([0.0]), expected.judge([1e9])
    assert one.low == pytest.approx(other.low)
    assert one.outside.all()
    assert other.outside.all()


@every_baseline
@pytest.mark.parametrize(("factor", "shift"), [(1e-12, 0), (1e12, 0), (-3, 0)])
def test_the_unit_of_a_value_does_not_matter(name: str, factor: float, shift: float) -> None:
    past, _ = mixture()
    plain, scaled = forecast(past, "value", name), forecast(past * factor, "value", name)
    value = np.full(len(past), 31.0)
    expected = plain.judge(value).score * np.sign(factor)
    np.testing.assert_allclose(scaled.judge(value * factor).score, expected, rtol=1e-6)


def test_zscore_is_a_student_t_prediction() -> None:
    verdict = judged([1, 2, 3], 5, "value", "zscore", threshold=2.0)
    assert verdict.expected.tolist() == [2]
    # t = (5 - 2) / (1 · √(4/3)) = 2.598, two degrees of freedom: p = 1 - t / √(2 + t²)
    assert verdict.p_value == pytest.approx([1 - 2.598076 / np.sqrt(2 + 2.598076**2)], rel=1e-6)


@pytest.mark.parametrize(("name", "least", "most"), [("zscore", 0.94, 1.06), ("robust", 0.3, 1), ("auto", 0, 1.1)])
@pytest.mark.parametrize("n", [10, 30])
def test_p_values_of_healthy_series(name: str, least: float, most: float, n: int) -> None:
    past = np.random.default_rng(5).standard_normal((50_000, n + 1))
    p_value = forecast(past[:, :-1], name=name).judge(past[:, -1]).p_value
    for share in (0.1, 0.02):
        assert share * least <= (p_value <= share).mean() <= share * most


@pytest.mark.parametrize("name", ["robust", "auto"])
def test_a_past_incident_does_not_hide_the_next(name: str) -> None:
    past = BASE.copy()
    past[[40, 41, 50]] = 50_000
    assert judged(past, 2000, name=name).outside.all()
    assert not judged(past, 2000, name="zscore").outside.any()


@pytest.mark.parametrize("name", ["seasonal", "auto"])
def test_weekdays_are_learned(name: str) -> None:
    monday, saturday = judged(WEEKS[:77], NAN, name=name), judged(WEEKS[:82], NAN, name=name)
    assert monday.expected == pytest.approx([900], rel=0.05)
    assert saturday.expected == pytest.approx([0], abs=1)


def test_effects_are_shrunken_to_none_without_a_pattern() -> None:
    past = np.random.default_rng(11).standard_normal((500, 84))
    effects, spread, slope = cycle_effects(past, days(past))
    assert np.sqrt((effects**2).mean()) < 0.15
    assert np.median(spread) == pytest.approx(0.75, abs=0.05)
    assert np.median(slope) == pytest.approx(0, abs=0.01)
    pattern = past * 0.1 + np.tile(np.arange(7.0), 12)
    assert np.ptp(cycle_effects(pattern, days(pattern))[0], axis=1) == pytest.approx(np.full(500, 6), abs=0.4)


def test_a_shift_is_the_new_level_after_three_days_and_the_old_is_remembered() -> None:
    shifted = np.concatenate([BASE, BASE[:3] * 2])
    assert judged(shifted[:62], 2000).outside.all()
    new, old = judged(shifted, 2000), judged(shifted, 1000)
    assert not new.outside.any()
    assert not old.outside.any()
    reasons = forecast(shifted, "count").reasons
    assert [reasons[new.level[0]], reasons[old.level[0]]] == ["the recent level", "the level before the last shift"]
    assert judged(np.concatenate([shifted, np.resize(BASE * 2, 40)]), 1000).outside.all()


def test_a_day_of_the_month_that_was_unusual_is_expected_again() -> None:
    dates = np.datetime64("2024-01-15") + np.arange(78)  # ends on 1 April
    past = np.resize(BASE, 77)
    past[[17, 46]] *= 3  # 1 February, 1 March
    verdict = forecast(past, "count", dates=dates).judge([3000.0])
    assert not verdict.outside.any()
    assert verdict.level.tolist() == [2]
    past = np.resize(BASE, 77)
    past[[18, 47]] *= 3  # the day after: it says nothing of the first
    assert forecast(past, "count", dates=dates).judge([3000.0]).outside.all()


def test_a_running_total_is_expected_to_go_on() -> None:
    verdict = judged(TREND, TREND[-1] + 1000, "cumulative")
    assert verdict.expected == pytest.approx([TREND[-1] + 1000], abs=50)


def test_bounds_are_what_is_possible() -> None:
    count, rate = judged(LOW, 1, "count"), judged(np.resize([0.98, 1, 0.99], 50), 1, "rate")
    assert count.low.tolist() == [0]
    assert rate.high == pytest.approx([1])
    assert rate.low > 0


def test_a_direction_leaves_the_other_open() -> None:
    drop = {value: judged(BASE, value, direction="drop") for value in (500.0, 2000.0)}
    spike = {value: judged(BASE, value, direction="spike") for value in (500.0, 2000.0)}
    assert [verdict.outside[0] for verdict in itertools.chain(drop.values(), spike.values())] == [
        True,
        False,
        False,
        True,
    ]
    assert (drop[500.0].high[0], spike[500.0].low[0]) == (INF, -INF)
    assert drop[500.0].p_value[0] < 1e-6
    assert drop[2000.0].p_value[0] > 0.99
    assert drop[500.0].score[0] < 0 < drop[2000.0].score[0]


@pytest.mark.parametrize(
    ("past", "kind"),
    [([3, 0, 7], "count"), ([0, 1, 1], "count"), ([0.2, NAN, 1], "rate"), ([0.2, 3], "value"), ([-1, 2], "value")],
)
def test_a_kind_is_inferred(past: list[float], kind: str) -> None:
    assert infer_kind(np.array([past])).tolist() == [kind]


anything = st.floats(allow_nan=True, allow_infinity=True, width=64)
moderate = st.sampled_from([NAN, INF, 0.0, 1.0, 1e-15, 1e18, -2.0, 0.5]) | st.floats(-1e6, 1e6)
pasts = st.integers(0, 40).flatmap(lambda n: arrays(float, (2, n), elements=anything | moderate))
kinds = st.sampled_from(["count", "rate", "value", "cumulative"])
directions = st.sampled_from(["both", "drop", "spike"])


@every_baseline
@settings(max_examples=150, deadline=None)
@given(past=pasts, value=anything | moderate, kind=kinds, threshold=st.floats(1, 8), direction=directions)
@example(past=np.array([[0.0] + [1.25838519e308] * 10] * 2), value=0.0, kind="count", threshold=1.0, direction="both")
def test_whatever_the_past_a_judgement_is_consistent(
    name: str, past: Any, value: float, kind: str, threshold: float, direction: Any
) -> None:
    verdict = forecast(past, kind, name).judge([value, value], threshold=threshold, direction=direction)
    known = ~np.isnan(verdict.score)
    assert not verdict.outside[~known].any()
    shown = ~np.isnan(verdict.low) & ~np.isnan(verdict.expected)
    assert (verdict.low <= verdict.expected)[shown].all()
    assert (verdict.expected <= verdict.high)[shown].all()
    np.testing.assert_array_equal(verdict.outside, known & ((value < verdict.low) | (value > verdict.high)))
    far = np.abs(verdict.score) > threshold * (1 + 1e-6)
    if direction == "both":
        assert (far | ~verdict.outside | (np.abs(verdict.score) > threshold * (1 - 1e-6)))[known].all()
    assert ((verdict.p_value >= 0) & (verdict.p_value <= 1))[known].all()
