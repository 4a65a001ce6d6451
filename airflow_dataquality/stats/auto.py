"""The default baseline: weekday effects, one robust level, and a memory of the level before the last shift.

The smoothing is that of Gelper, Fried and Croux, Robust forecasting with exponential and Holt-Winters smoothing,
Journal of Forecasting 29 (2010), 285-300, with rejection in place of Huber's clipping. The constants were measured with
``benchmarks/anomaly_detector.py``, except where another reason is given.
"""

from __future__ import annotations

import numpy as np

from airflow_dataquality.stats.forecast import Dates, Floats, Forecast, Kinds, to_scale
from airflow_dataquality.stats.robust import cycle_effects, median, quantile

REASONS = ("the recent level", "the level before the last shift", "as on the same day of earlier months")

FIRST = 7
"""Past values below which it cannot tell; the first level is their median."""

GAIN = 0.2
"""Of the exponential smoothing: it remembers about ten days. The benchmark is flat between 0.15 and 0.3."""

FAR = 4.0
"""Spreads (`cycle_effects`) beyond which a value does not move the level; flat between 3 and 5."""

RUN = 3
"""Values in a row, far on the same side, that are a new level: incidents seldom last longer."""

MEMORY = 28
"""Steps for which the level before a shift is remembered, so that an end of an incident is no incident."""

UNUSUAL = 3.0
"""Scales by which a day of the month differed before, to be expected again."""

AGAIN = 1 / 8
"""Its scale, as a share of that difference: with the default threshold, as unusual again by a half more or less."""

WIDER = 4.0
"""The scale found in n errors is widened by 1 + 4/n: the tails of healthy normal series are then not underestimated."""

DOF = 15.0
"""Degrees of freedom at most: the errors of healthy metrics have heavier tails than normal ones."""

LEAST = {"count": 0.1, "rate": 0.05}
"""The scale of a constant series: 1 % of a large count, 0.34 at ten; a rate of 0 is flagged beyond about 1.5 %."""

LEAST_SHARE = 0.01
"""The same for values, as a share of their level."""

ROUNDING = 1e-9
"""Below this share of the level, spread is an artefact of floating-point numbers."""


def auto(past: Floats, dates: Dates, kind: Kinds) -> Forecast:
    """Expect the recent level with the weekday's effect, as uncertain as its own past one-step forecasts were.

    On the scale of the kind (`to_scale`), after the weekday's effect (`cycle_effects`):

    1. the level is exponentially smoothed over values that are not far from it (`_levels`), plus the median of its own
       past errors, by which it lags behind a trend;
    2. the scale is the 95th percentile of those errors' sizes (`_scale`), Student-t distributed;
    3. a value may instead be at the level before the last shift, or, on a day of the month that was unusual before, as
       unusual again; a shift is three values far on the same side.

    :param past: (S, n) values, NaN where there is none; ±inf and impossible values are left out.
    :param dates: (n + 1,) of the past, then of the value expected; in hours, the cycle is the day.
    :param kind: (S,) count, rate, value or cumulative.

    Limits: it cannot tell below seven values, knows no holidays, and takes up to two weeks to learn the weekdays. A
    running total that stalls for a day is within its lag.
    """
    with np.errstate(all="ignore"):
        y = to_scale(np.asarray(past, float).T, kind).T
        y = np.where(np.isfinite(y), y, np.nan)
        history = (~np.isnan(y)).sum(axis=1)
        effects, spread, slope = cycle_effects(y, dates)
        least = _least(y, spread, kind)
        far = FAR * (np.maximum(spread, least) + np.abs(slope) / GAIN)  # smoothing lags behind a trend by slope / gain
        level, before, errors = _levels((y - effects[:, :-1]).T, far)
        lag = median(errors)
        errors -= lag[:, None]
        scale = np.maximum(_scale(errors), least) * (1 + WIDER / history)
        first = np.where(history >= FIRST, level + lag + effects[:, -1], np.nan)
        unusual = _same_day(errors, dates, scale)
        return Forecast(
            level=np.stack([first, first + before - level, first + unusual]),
            scale=np.stack([scale, scale, np.maximum(scale, np.abs(unusual) * AGAIN)]),
            dof=np.clip(history / 3, 2, DOF),  # the 95th percentile of n normal errors has 0.55 n: the safe side
            kind=kind,
            history=history,
            reasons=REASONS,
        )


def _levels(values: Floats, far: Floats) -> tuple[Floats, Floats, Floats]:
    """Smooth (n, S) values: the last level, the one before the last shift (S,), and the one-step errors (S, n).

    The second and later values of a run that is far on one side are one event: they leave no error.
    """
    level = np.nan_to_num(median(np.where(np.cumsum(~np.isnan(values), axis=0) <= FIRST, values, np.nan).T))
    before = np.full_like(level, np.nan)
    age, run, total = np.zeros_like(level), np.zeros_like(level), np.zeros_like(level)
    errors: Floats = np.empty_like(values)
    for value, kept in zip(values, errors, strict=True):
        age += 1
        returned = (np.abs(value - level) > far) & (np.abs(value - before) < far)
        level = np.where(returned, before, level)
        before = np.where(returned | (age > MEMORY), np.nan, before)
        missing, error = np.isnan(value), np.nan_to_num(value - level)
        side = np.sign(error) * (np.abs(error) > far)
        again = (side != 0) & (side == np.sign(run))
        kept[:] = np.where(again, np.nan, value - level)
        run = np.where(missing, run, np.where(again, run, 0) + side)
        total = np.where(missing, total, np.where(again, total, 0) + error)
        shifted = np.abs(run) >= RUN
        before, age = np.where(shifted, level, before), np.where(shifted, 0, age)
        level = level + np.where(shifted, total / RUN, np.where(side == 0, GAIN * error, 0))
        run = np.where(shifted, 0, run)
    return level, before, errors.T.copy()


def _scale(errors: Floats) -> Floats:
    """The standard deviation of normal errors with this 95th percentile, at most three times that of the 90th.

    Tails are what it must know, and up to one value in ten may be an incident: 1.96 and 1.645 are normal quantiles.
    """
    usual, most = quantile(np.abs(errors), 0.9, 0.95)
    scale: Floats = np.minimum(most / 1.96, np.where(usual > 0, 3 * usual / 1.645, np.inf))
    return scale


def _least(y: Floats, spread: Floats, kind: Kinds) -> Floats:
    """The least scale: a step that matters if most days of a series are alike, else what rounding leaves."""
    level = np.abs(median(y))
    step = np.select([kind == name for name in LEAST], list(LEAST.values()), LEAST_SHARE * level)
    return np.maximum(np.where(spread <= ROUNDING * level, step, ROUNDING * level), np.finfo(float).tiny)


def _same_day(errors: Floats, dates: Dates, scale: Floats) -> Floats:
    """The least error on the same day of earlier months, if two or more were unusual alike (once is an incident)."""
    if np.datetime_data(dates.dtype)[0] != "D":
        return np.full_like(scale, np.nan)
    day = dates - dates.astype("datetime64[M]")
    same = errors[:, day[:-1] == day[-1]]
    seen, side = (~np.isnan(same)).sum(axis=1), np.nansum(np.sign(same), axis=1)
    least = np.fmin.reduce(np.abs(same), axis=1, initial=np.inf)
    habit = (seen > 1) & (np.abs(side) == seen) & (least > UNUSUAL * scale)
    return np.where(habit, np.sign(side) * least, np.nan)
