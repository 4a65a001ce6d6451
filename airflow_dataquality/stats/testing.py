"""Many tests at once: which alarms remain, if a share q of them may be false."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr  # type: ignore[import-untyped]

from airflow_dataquality.stats.forecast import Flags, Floats


def adjusted(p_values: Any) -> Floats:
    """The q-value of each p-value: the least false discovery rate at which it would be an alarm.

    min over j ≥ i of p₍ⱼ₎ m / j, for the i-th smallest of m. NaN is a test that was not made: it is not counted, and
    stays NaN. Source: Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995), 289-300.

    >>> adjusted([0.01, 0.04, float("nan"), 0.03]).round(4).tolist()
    [0.03, 0.04, nan, 0.04]
    """
    p_values = np.asarray(p_values, float)
    tested = ~np.isnan(p_values)
    order = np.argsort(p_values[tested])
    scaled = p_values[tested][order] * (len(order) / np.arange(1, len(order) + 1))
    least = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    q_values = np.full(p_values.shape, np.nan)
    q_values[np.flatnonzero(tested)[order]] = least
    return q_values


def benjamini_hochberg(p_values: Any, q: float) -> Flags:
    """Which of the (m,) tests are alarms, so that on average a share of at most q of the alarms is false.

    If all series are healthy, every alarm is false: then there is any alarm with probability q. Holds for independent
    tests, and for positively dependent ones (Benjamini and Yekutieli, Annals of Statistics 29 (2001), 1165-1188).
    NaN is a test that was not made.

    >>> benjamini_hochberg([0.01, 0.04, float("nan"), 0.9], q=0.05).tolist()
    [True, False, False, False]
    """
    if not 0 < q < 1:
        raise ValueError(f"q is the share of alarms that may be false, between 0 and 1; not {q!r}")
    return np.nan_to_num(adjusted(p_values), nan=1.0) <= q


def expected_false_alarms(tests: int, threshold: float) -> float:
    """How many of these two-sided tests chance alone puts beyond the threshold, if scores are normal.

    >>> round(expected_false_alarms(1000, 3.0), 1)
    2.7
    """
    return float(tests * 2 * ndtr(-threshold))
