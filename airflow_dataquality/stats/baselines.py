"""Plain baselines, and every baseline by its name.

Each takes (S, n) past values, NaN where there is none; (n + 1,) dates, of the past and then of the value expected; and
the (S,) kinds; and returns a `Forecast`. A series is forecast from its own past alone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from airflow_dataquality.stats.auto import auto
from airflow_dataquality.stats.forecast import Dates, Floats, Forecast, Integers, Kinds
from airflow_dataquality.stats.robust import CYCLES, MAD, MEDIAN_VARIANCE, cycle_effects, median

Baseline = Callable[[Floats, Dates, Kinds], Forecast]

FEWEST = 3
"""Past values below which the plain baselines cannot tell."""

CONSTANT = 1e-9
"""The least scale, as a share of the level: a constant series flags every change that is not rounding."""

MAD_EFFICIENCY = 0.37
"""A MAD of n normal values varies as a standard deviation of 0.37 n values (Rousseeuw and Croux, JASA 88 (1993))."""


def zscore(past: Floats, dates: Dates, kind: Kinds) -> Forecast:  # noqa: ARG001 - as every baseline is called
    """Mean and standard deviation of the past: (x - mean) / (s √(1 + 1/n)) is Student-t with n - 1 degrees of freedom.

    Exact for independent normal values, so p-values of healthy series are uniform, however short the past. In the
    metric's own units for every kind. Source: the prediction interval for one more observation, Hahn and Meeker,
    Statistical Intervals (1991). Limits: a past incident widens it, a weekday or a trend is noise to it.
    """
    y, history = _finite(past)
    with np.errstate(all="ignore"):
        known = ~np.isnan(y)
        mean = np.where(known, y, 0).sum(axis=1) / history
        deviation = np.where(known, y - mean[:, None], 0)
        variance = np.einsum("sn,sn->s", deviation, deviation) / (history - 1)
        scale = np.sqrt(variance * (1 + 1 / history))
    return _forecast(mean, scale, (history - 1).astype(float), history, "the mean of the past")


def robust(past: Floats, dates: Dates, kind: Kinds) -> Forecast:  # noqa: ARG001 - as every baseline is called
    """Median and MAD of the past, with the error of both: up to half of it may be incidents.

    scale = 1.4826 MAD · n/(n - 0.8) · √(1 + π/(2n)), Student-t with 0.37 (n - 1) degrees of freedom. n/(n - 0.8) is for
    the MAD's small-sample bias: Croux and Rousseeuw, COMPSTAT (1992), 411-428. π/(2n) is the median's variance.
    In the metric's own units for every kind. Limits: the t is an approximation, on the safe side (simulated: at a
    nominal 1 %, healthy normal series are flagged 0.4 % of the time with ten values, 0.8 % with thirty, 1 % with
    ninety); where most values are the same, every other value is flagged.
    """
    y, history = _finite(past)
    with np.errstate(all="ignore"):
        middle = median(y)
        spread = MAD * median(np.abs(y - middle[:, None])) * history / (history - 0.8)
        scale = spread * np.sqrt(1 + MEDIAN_VARIANCE / history)
    return _forecast(middle, scale, (MAD_EFFICIENCY * (history - 1)).astype(float), history, "the median of the past")


def seasonal(past: Floats, dates: Dates, kind: Kinds) -> Forecast:
    """As `robust`, after removing the weekday's effect (the hour's, for hourly series), shrunken towards none.

    The effects are `cycle_effects`: they cost up to one degree of freedom each. In the metric's own units.
    Limits: a trend or a shift within the past is noise to it; below a cycle and a half it is `robust`; with twenty
    values, two or three of a weekday, healthy normal series are flagged 1.5 % of the time at a nominal 1 %.
    """
    y, history = _finite(past)
    with np.errstate(all="ignore"):
        effects, _, _ = cycle_effects(y, dates)
        used = np.where(np.any(effects, axis=1), CYCLES.get(np.datetime_data(dates.dtype)[0], 1) - 1, 0)
        plain = robust(y - effects[:, :-1], dates, kind)
        freedom = np.maximum(history - 1 - used, 1)
        lost = np.sqrt(np.maximum(history - 1, 1) / freedom)
        level, scale = plain.level[0] + effects[:, -1], plain.scale[0] * lost
    reason = "the median of the past, with the weekday's effect"
    return _forecast(level, scale, MAD_EFFICIENCY * freedom, history, reason)


BASELINES: dict[str, Baseline] = {"zscore": zscore, "robust": robust, "seasonal": seasonal, "auto": auto}


def _finite(past: Floats) -> tuple[Floats, Integers]:
    """The past with ±inf as missing, and how many values each series has."""
    past = np.asarray(past, float)
    known = np.isfinite(past)
    return np.where(known, past, np.nan), known.sum(axis=1)


def _forecast(level: Floats, scale: Floats, dof: Floats, history: Integers, reason: str) -> Forecast:
    """One level for each series, in the metric's own units; NaN below FEWEST values."""
    known = history >= FEWEST
    least = np.maximum(CONSTANT * np.abs(level), np.finfo(float).tiny)
    return Forecast(
        level=np.where(known, level, np.nan)[None],
        scale=np.where(known, np.maximum(scale, least), np.nan)[None],
        dof=np.maximum(dof, 1.0),
        kind=np.full(len(level), "value"),
        history=history,
        reasons=(reason,),
    )
