"""What baselines find, beside the formulas of other tools: one step ahead, on synthetic metrics of a warehouse."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from airflow_dataquality.baseline import THRESHOLD
from airflow_dataquality.stats.baselines import BASELINES
from benchmarks.reporting import Report, versions

Array = np.ndarray[Any, Any]
Detector = Callable[[Array, Array, Array, Array], Array]
"""Flags (S,) of (S, n) past values, (S,) values now, (n + 1,) dates and (S,) kinds."""

WARM_UP, WINDOW = 14, 90
INCIDENTS: Mapping[str, Mapping[str, float]] = {
    "count": {"empty": 0.0, "half": 0.5, "a fifth is missing": 0.8, "loaded twice": 2.0},
    "rate": {"two points more": 0.02, "fifteen more": 0.15, "half": 0.5},
    "value": {"other unit": 100.0, "shifted": 1.3, "zero": 0.0},
}


@dataclass(frozen=True)
class World:
    """S series of T days: what was measured, of which kind, and on which days something was wrong.

    :param onset: the first day of an incident
    :param spoilt: every day of one, and of a legitimate shift's first week: neither healthy nor an onset
    """

    values: Array
    dates: Array
    kind: Array
    onset: Array
    spoilt: Array


def world(seed: int, series: int, days: int) -> World:
    """Counts with weekdays and growth, small counts, shares of NULLs, and means; a third has correlated noise."""
    random = np.random.default_rng(seed)
    dates = np.datetime64("2023-01-01") + np.arange(days)
    weekday = (dates.astype(int) + 3) % 7
    made = [_series(random, number, days, weekday) for number in range(series)]
    values, kind = np.array([each for each, _ in made]), np.array([each for _, each in made])
    onset, spoilt = np.zeros(values.shape, bool), np.zeros(values.shape, bool)
    for row in range(series):
        if kind[row] == "count" and random.random() < 0.2:
            at = int(random.integers(days // 3, days - 20))
            values[row, at:] = np.round(values[row, at:] * random.uniform(1.3, 2))
            spoilt[row, at : at + 7] = True
        for at in random.integers(WARM_UP, days, random.poisson(2.5 * days / 365)):
            length = int(random.integers(1, 4))
            change = random.choice(list(INCIDENTS[kind[row]].values()))
            part = slice(at, at + length)
            if spoilt[row, max(at - 3, 0) : at + length].any() or not values[row, at]:
                continue
            wrong = (
                values[row, part] + change * (1 - values[row, part])
                if kind[row] == "rate"
                else values[row, part] * change
            )
            values[row, part] = np.round(wrong) if kind[row] == "count" else wrong
            onset[row, at], spoilt[row, part] = True, True
    values[random.random(values.shape) < 0.01] = np.nan
    return World(values, dates, kind, onset, spoilt)


def _series(random: np.random.Generator, number: int, days: int, weekday: Array) -> tuple[Array, str]:
    sigma = float(np.exp(random.uniform(np.log(0.01), np.log(0.25))))
    noise = (
        random.standard_t(5, days) * sigma / np.sqrt(5 / 3) if random.random() < 0.4 else random.normal(0, sigma, days)
    )
    if random.random() < 1 / 3:
        for day in range(1, days):
            noise[day] = 0.6 * noise[day - 1] + 0.8 * noise[day]
    pattern = np.where(weekday >= 5, random.choice([1.0, 1.0, 0.7, 0.2]), 1.0)
    growth = np.exp(random.choice([0, 0, 0.001, 0.003]) * np.arange(days))
    family = ("volume", "volume", "few", "rate", "mean")[number % 5]
    if family == "rate":
        usual = np.exp(random.uniform(np.log(0.001), np.log(0.3)))
        return np.clip(usual * np.exp(noise), 0, 1) if random.random() < 0.7 else np.zeros(days), "rate"
    if family == "mean":
        return np.exp(random.uniform(-2, 8)) * (1 + noise / 2), "value"
    base = np.exp(random.uniform(0, 3)) if family == "few" else np.exp(random.uniform(5, 14))
    return random.poisson(base * pattern * growth * np.exp(noise)).astype(float), "count"


def ours(method: str, threshold: float = THRESHOLD) -> Detector:
    """A baseline of the package."""

    def flags(past: Array, now: Array, dates: Array, kind: Array) -> Array:
        return np.asarray(BASELINES[method](past, dates, kind).judge(now, threshold=threshold).outside)

    return flags


def mean_and_deviation(days: int, *, inside: bool = False, same_weekday: bool = False, sigmas: float = 3) -> Detector:
    """|x - mean| / deviation of the last days.

    :param inside: the tested value is among them, as in Elementary's default (14 days, 3 sigma)
    """

    def flags(past: Array, now: Array, *_: Array) -> Array:
        known = np.concatenate([past, now[:, None]], 1) if inside else past
        if same_weekday:
            known = known[:, ::-1][:, 0 if inside else 6 :: 7][:, ::-1]
        known = known[:, -days:]
        count = (~np.isnan(known)).sum(1)
        mean = np.nansum(known, 1) / np.maximum(count, 1)
        deviation = np.sqrt(np.nansum((known - mean[:, None]) ** 2, 1) / np.maximum(count - 1, 1))
        return (deviation > 1e-12 * np.abs(mean)) & (count > 2) & (np.abs(now - mean) > sigmas * deviation)

    return flags


DETECTORS: Mapping[str, Detector] = {
    "**auto**, 3.5 sigma": ours("auto"),
    "auto, 3 sigma": ours("auto", 3.0),
    "seasonal, 3.5 sigma": ours("seasonal"),
    "robust, 3.5 sigma": ours("robust"),
    "zscore, 3.5 sigma": ours("zscore"),
    "mean and deviation of 30 days, 3 sigma": mean_and_deviation(30),
    "Elementary's formula: 14 days, the tested one among them": mean_and_deviation(14, inside=True),
    "the same by weekday: 14 weeks": mean_and_deviation(14, inside=True, same_weekday=True),
}


def run(*, quick: bool = False) -> Report:
    """Replay three worlds with every detector."""
    seeds, series, days = ((1,), 20, 60) if quick else ((1, 2, 3), 400, 365)
    worlds = [world(seed, series, days) for seed in seeds]
    lines = [{"detector": name, **_line(detector, worlds)} for name, detector in DETECTORS.items()]
    best = max(line["F1"] for line in lines if "sigma" not in line["detector"] or "mean" in line["detector"])
    bars = {"auto finds more with fewer false alarms than the others": lines[0]["F1"] > best}
    setting = {"series": series, "days": days, "worlds": len(seeds), **versions()}
    return Report("Anomalies, one step ahead", setting, lines, agree=True, bars=bars)


def _line(detector: Detector, worlds: list[World]) -> dict[str, Any]:
    started = time.perf_counter()
    healthy = alarms = hits = incidents = 0
    for each in worlds:
        for day in range(WARM_UP, each.values.shape[1]):
            first = max(0, day - WINDOW)
            now = each.values[:, day]
            flags = detector(each.values[:, first:day], now, each.dates[first : day + 1], each.kind) & ~np.isnan(now)
            normal, onset = ~each.spoilt[:, day] & ~np.isnan(now), each.onset[:, day] & ~np.isnan(now)
            healthy, alarms = healthy + normal.sum(), alarms + (flags & normal).sum()
            incidents, hits = incidents + onset.sum(), hits + (flags & onset).sum()
    precision, recall = hits / max(hits + alarms, 1), hits / max(incidents, 1)
    return {
        "false alarms / series-year": float(alarms / (healthy / 365.25)),
        "found on day one": float(recall),
        "precision": float(precision),
        "F1": float(2 * precision * recall / max(precision + recall, 1e-9)),
        "s": time.perf_counter() - started,
    }
