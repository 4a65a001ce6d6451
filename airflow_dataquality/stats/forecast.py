"""What series are expected to be next, and how far from it a value lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit  # type: ignore[import-untyped]

from airflow_dataquality.baseline import THRESHOLD

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Kinds = NDArray[np.str_]
Dates = NDArray[np.datetime64]

DISPERSION = 0.01
"""Of counts: their variance is taken as mean + 0.01 mean², so that they scatter by 10 % however large they are."""

MAX_SCORE = 38.0
"""Beyond it the normal tail is smaller than the smallest float; also the score of ±inf, and of an impossible value."""


def infer_kind(past: Floats) -> Kinds:
    """The kind of (S, n) values: "count" if whole and never negative, "rate" if in [0, 1], else "value".

    A ratio that may pass 1 is better declared a "value": beyond 1, a rate is impossible.

    >>> infer_kind(np.array([[3, 0, 7], [0.1, np.nan, 0], [-1, 2, 3], [np.nan, np.nan, np.nan]])).tolist()
    ['count', 'rate', 'value', 'value']
    """
    past = np.asarray(past, float)
    known = np.isfinite(past)
    filled = np.where(known, past, 0.0)
    positive = (filled >= 0).all(axis=1) & known.any(axis=1)
    kinds = [positive & (filled == np.round(filled)).all(axis=1), positive & (filled <= 1).all(axis=1)]
    return np.select(kinds, ["count", "rate"], "value")


def to_scale(values: Floats, kind: Kinds) -> Floats:
    """Values (..., S) on the scale on which their errors are alike; ±inf where a value is impossible.

    counts: 2/√d · asinh √(d (x + 3/8)) with d the dispersion, for a negative binomial variance x + d x²: square roots
    of small counts, logarithms of large ones. rates: 2 arcsin √x. Source: Anscombe, Biometrika 35 (1948), 246-254.
    Values, and running totals ("cumulative"): as they are.
    """
    root = np.sqrt(DISPERSION)
    with np.errstate(invalid="ignore"):
        count = 2 / root * np.arcsinh(root * np.sqrt(np.maximum(values, 0) + 0.375))
        rate = 2 * np.arcsin(np.sqrt(np.clip(values, 0, 1)))
        scaled = np.where(kind == "count", count, np.where(kind == "rate", rate, values))
        below = (values < 0) & ((kind == "count") | (kind == "rate"))
        above = (values > 1) & (kind == "rate")
    return np.where(below, -np.inf, np.where(above, np.inf, scaled))


def from_scale(scaled: Floats, kind: Kinds) -> Floats:
    """The inverse of `to_scale`, held within what is possible.

    >>> from_scale(to_scale(np.array([0.0, 7, 400]), np.array(["count"])), np.array(["count"])).round(6).tolist()
    [0.0, 7.0, 400.0]
    """
    root = np.sqrt(DISPERSION)
    with np.errstate(over="ignore"):
        count = np.maximum((np.sinh(np.maximum(scaled, 0) * root / 2) / root) ** 2 - 0.375, 0)
    rate = np.sin(np.clip(scaled, 0, np.pi) / 2) ** 2
    return np.where(kind == "count", count, np.where(kind == "rate", rate, scaled))


@dataclass(frozen=True)
class Judgement:
    """How values compare with what was expected of S series: arrays of S; NaN where it cannot tell."""

    expected: Floats  # the level the value is nearest to, in the metric's own units
    low: Floats
    high: Floats
    score: Floats  # the deviation, as a number of standard deviations of a normal distribution; > 0 above
    p_value: Floats  # how often chance alone deviates as much in the direction asked
    outside: Flags
    level: Integers  # which of Forecast.reasons `expected` is


@dataclass(frozen=True)
class Forecast:
    """What S series are expected to be next: one or several possible levels, each with a Student-t error."""

    level: Floats  # (L, S) on the scale of `kind`; row 0 the first choice; NaN where a level does not apply
    scale: Floats  # (L, S) the error's scale
    dof: Floats  # (S,) the error's degrees of freedom
    kind: Kinds  # (S,) count | rate | value | cumulative
    history: Integers  # (S,) how many past values were used
    reasons: tuple[str, ...]  # (L,) what each level is, for people: "the recent level"

    def judge(self, values: Any, *, threshold: float = THRESHOLD, direction: str = "both") -> Judgement:
        """Compare (S,) values with the level each is nearest to, in units of that level's error.

        A value is outside if it is beyond [low, high], where the Student-t error has the tail of a normal deviation of
        `threshold`; with "drop" high is +inf, with "spike" low is -inf. So score and interval tell the same.
        """
        values = np.asarray(values, float)
        with np.errstate(all="ignore"):
            distance = (to_scale(values, self.kind) - self.level) / self.scale
            ranked = np.where(np.isnan(distance), np.inf, np.abs(distance))
            nearest = np.where(np.isnan(values), 0, np.argmin(ranked, axis=0))
            t = _picked(distance, nearest)
            expected = _picked(self.level, nearest)
            margin = _picked(self.scale, nearest) * -stdtrit(self.dof, ndtr(-threshold))
            low = np.full_like(t, -np.inf) if direction == "spike" else from_scale(expected - margin, self.kind)
            high = np.full_like(t, np.inf) if direction == "drop" else from_scale(expected + margin, self.kind)
            known = ~np.isnan(expected + margin)
            score = np.copysign(np.minimum(-ndtri(stdtr(self.dof, -np.abs(t))), MAX_SCORE), t)
            tails = {"both": 2 * stdtr(self.dof, -np.abs(t)), "drop": stdtr(self.dof, t), "spike": stdtr(self.dof, -t)}
            return Judgement(
                expected=from_scale(expected, self.kind),
                low=np.where(known, low, np.nan),
                high=np.where(known, high, np.nan),
                score=score,
                p_value=tails[direction],
                outside=known & ((values < low) | (values > high)),
                level=nearest,
            )


def _picked(rows: Floats, row: Integers) -> Floats:
    """Of (L, S) rows, the one chosen for each series."""
    picked: Floats = np.take_along_axis(rows, row[None], axis=0)[0]
    return picked
