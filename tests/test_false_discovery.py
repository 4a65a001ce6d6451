"""Many tests at once: how many alarms chance alone raises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtr
from scipy.stats import binomtest

from airflow_dataquality.stats.baselines import BASELINES
from airflow_dataquality.stats.testing import adjusted, benjamini_hochberg, expected_false_alarms

# Benjamini and Hochberg (1995), section 3.3: fifteen tests of a myocardial infarction trial, of which four remain
TRIAL = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
TRIAL += [0.4262, 0.5719, 0.6528, 0.7590, 1.0]


def alarms(name: str, days: int, sick: int = 0) -> tuple[Any, Any]:
    """Alarms at q = 0.05 among 5,000 series on each of the days, and which of them were sick."""
    draw = np.random.default_rng(20)
    dates = np.datetime64("2024-01-01") + np.arange(22)
    kind = np.full(5000, "value")
    found = []
    for _ in range(days):
        values = draw.standard_normal((5000, 22))
        values[:sick, -1] += 12
        judgement = BASELINES[name](values[:, :-1], dates, kind).judge(values[:, -1])
        found.append(benjamini_hochberg(judgement.p_value, 0.05))
    return np.array(found), np.arange(5000) < sick


def test_the_example_of_the_paper() -> None:
    assert benjamini_hochberg(TRIAL, 0.05).tolist() == [True] * 4 + [False] * 11


def test_days_with_any_alarm_are_as_claimed() -> None:
    """All 5,000 series are healthy, so q is the share of days with an alarm: within its 99.9 % interval."""
    found, _ = alarms("zscore", 400)
    share = binomtest(int(found.any(axis=1).sum()), 400).proportion_ci(0.999)
    assert share.low <= 0.05 <= share.high


def test_days_with_any_alarm_are_not_more_for_the_default() -> None:
    found, _ = alarms("auto", 80)
    assert binomtest(int(found.any(axis=1).sum()), 80, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("name", ["zscore", "auto"])
def test_alarms_are_mostly_true_where_something_is_wrong(name: str) -> None:
    found, sick = alarms(name, 20, sick=100)
    false = found[:, ~sick].sum() / found.sum()
    assert false <= 0.06
    assert found[:, sick].mean() > 0.95


def test_a_test_not_made_does_not_count() -> None:
    gaps = np.array([math.nan, *TRIAL, math.nan])
    assert benjamini_hochberg(gaps, 0.05).tolist() == [False, *benjamini_hochberg(TRIAL, 0.05).tolist(), False]
    assert np.isnan(adjusted(gaps)).tolist() == np.isnan(gaps).tolist()
    assert benjamini_hochberg([math.nan] * 3, 0.05).tolist() == [False] * 3
    assert benjamini_hochberg([], 0.05).tolist() == []


@pytest.mark.parametrize("q", [0, 1, -0.1, 5, math.nan])
def test_a_share_that_is_none_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg([0.1], q)


@given(st.lists(st.floats(0, 1), max_size=30), st.randoms())
def test_adjusting_keeps_the_order_and_never_lowers(p_values: list[float], shuffled: Any) -> None:
    q_values = adjusted(p_values)
    assert (q_values >= np.array(p_values)).all()
    assert (q_values <= 1).all()
    assert (np.diff(q_values[np.argsort(p_values)]) >= 0).all()
    order = list(range(len(p_values)))
    shuffled.shuffle(order)
    np.testing.assert_array_equal(adjusted([p_values[i] for i in order]), q_values[order])


def test_expected_false_alarms_are_the_tails_of_a_normal() -> None:
    assert expected_false_alarms(10_000, 3.5) == pytest.approx(10_000 * 2 * stdtr(1e9, -3.5), rel=1e-4)
