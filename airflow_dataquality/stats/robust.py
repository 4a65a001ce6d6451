"""Order statistics of series with missing values, and the effect of the weekday."""

from __future__ import annotations

import numpy as np

from airflow_dataquality.stats.forecast import Dates, Floats

MAD = 1.4826
"""1 / Φ⁻¹(3/4): the median absolute deviation of a normal distribution, times this, is its standard deviation."""

MEDIAN_VARIANCE = np.pi / 2
"""Of the median of n normal values: π/2 σ²/n."""

CYCLES = {"h": 24, "D": 7}
"""Steps after which a pattern repeats, by the unit of the dates; none for weeks and months."""


def quantile(values: Floats, *shares: float) -> Floats:
    """The quantiles along the last axis, one row for each share; NaN are left out, and NaN if nothing is left.

    >>> quantile(np.array([[1, np.nan, 2, 9], [np.nan] * 4]), 0.5, 1).tolist()
    [[2.0, nan], [9.0, nan]]
    """
    if not values.shape[-1]:
        return np.full((len(shares), *values.shape[:-1]), np.nan)
    ordered = np.sort(values, axis=-1)
    last = np.maximum((~np.isnan(values)).sum(axis=-1) - 1, 0)
    found = []
    for share in shares:
        place = last * share
        below = place.astype(int)
        pair = np.take_along_axis(ordered, np.stack([below, np.minimum(below + 1, last)], axis=-1), axis=-1)
        found.append(pair[..., 0] + (pair[..., 1] - pair[..., 0]) * (place - below))
    return np.stack(found)


def median(values: Floats) -> Floats:
    """The median along the last axis; NaN are left out."""
    middle: Floats = quantile(values, 0.5)[0]
    return middle


def cycle_effects(past: Floats, dates: Dates) -> tuple[Floats, Floats, Floats]:
    """How the days of the week (hours of the day) differ: for (S, n) values, their effects (S, n + 1) at `dates`.

    Also the MAD that is left, as a standard deviation, and the trend per step: (S,) each. As medians of the same days
    were taken out, what is left is about three quarters of that of new days.

    A day's effect is the median, over the weeks, of its difference from the median of its week, after removing the
    trend within weeks. All effects are shrunken by (1 - noise / signal)₊, the variance that medians have by chance
    against the variance they show (positive-part James-Stein), so series without a pattern get none. Below a cycle and
    a half of values, or with two days never seen, there are none.
    """
    steps = dates.astype(np.int64)
    length = CYCLES.get(np.datetime_data(dates.dtype)[0], 1)
    week, day = np.divmod(steps - steps[-1], length)  # weeks that end on the day before the newest
    weeks, row = np.unique(week[:-1], return_inverse=True)
    table = np.full((len(past), length, len(weeks)), np.nan)
    table[:, day[:-1], row] = past
    with np.errstate(all="ignore"):  # what overflows tells nothing
        slope = median(_flat(np.diff(table))) / length
        table -= np.nan_to_num(slope)[:, None, None] * np.arange(length)[:, None]
        table -= median(table.swapaxes(1, 2))[:, None]
        effects = np.nan_to_num(median(table))
        spread = MAD * median(_flat(np.abs(table - effects[:, :, None])))
        effects = (effects - effects.mean(axis=1, keepdims=True)) * _kept(effects, spread, table)[:, None]
    return np.nan_to_num(effects)[:, day], np.nan_to_num(spread), np.nan_to_num(slope)


def _kept(effects: Floats, spread: Floats, table: Floats) -> Floats:
    """The share of the (S, days) effects that is not noise: of medians of (S, days, weeks) values."""
    length = effects.shape[1]
    seen = (~np.isnan(table)).sum(axis=2)
    count = seen.sum(axis=1)
    freedom = np.maximum(count / np.maximum(count - length, 1), 1)
    noise = MEDIAN_VARIANCE * spread**2 * freedom * (1 / np.maximum(seen, 1)).mean(axis=1)
    share = np.maximum(1 - noise / np.maximum(effects.var(axis=1), np.finfo(float).tiny), 0)
    usable = (length > 1) & (count >= 1.5 * length) & ((seen > 0).sum(axis=1) >= length - 1)
    kept: Floats = np.where(usable, share, 0)
    return kept


def _flat(table: Floats) -> Floats:
    """(S, days, weeks) as (S, days · weeks)."""
    return table.reshape(len(table), table.shape[1] * table.shape[2])
