"""Draw a metric's past: its values, what was expected of each, and the anomalies. Needs the extra ``plot``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_dataquality.anomalies import Opened, Place, opened, spelled_out
from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.anomalies import Search
from airflow_dataquality.engine.backtest import Series, known, known_of_group, series
from airflow_dataquality.engine.history import Past
from airflow_dataquality.engine.statistics import by_list
from airflow_dataquality.engine.timeline import Timeline
from airflow_dataquality.engine.trend import limits
from airflow_dataquality.errors import DataQualityError, SpecError, did_you_mean
from airflow_dataquality.model import Check
from airflow_dataquality.vocabulary import KINDS, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DATED = 10
"""Anomalies whose date is written beside them; of more, those farthest off."""
ENDINGS = (".png", ".svg", ".pdf")
_NAME = re.compile(r"(?P<word>\w+)(?:\((?P<inside>.*?)\))?(?: where (?P<where>.+?))?(?: (?P<group>\{.*\}))?")
_BLUE, _PALE, _RED, _GREY = "#1f4e79", "#c9dbea", "#c0392b", "#9a9a9a"


def plot(where: Place, metric: str, file: Path, *, baseline: Baseline | None = None) -> Series:
    """Draw the last values of a metric, as a test of it would have judged them.

    :param metric: as it is recorded, ``mean(dep_delay)``, ``row_count {"origin": "JFK"}``, or ``mean:dep_delay``
    :param file: ends in ``.png``, ``.svg`` or ``.pdf``; overwritten
    :returns: what is drawn
    :raises DataQualityError: if there is no such table, partition or metric, or matplotlib is not installed
    """
    if file.suffix.lower() not in ENDINGS:
        raise SpecError(f"{file} ends in none of {', '.join(ENDINGS)}", hint=f"write {file.stem or 'plot'}.png")
    figure = _figure()
    baseline = baseline or Baseline()
    with opened(where) as at:
        check = _check(at, metric, baseline)
        drawn = series(_past(at, where.history, check, where.last + baseline.window), check, where.last)
    draw(figure, drawn, f"{check.metric} of {at.what.table}")
    try:
        figure.savefig(file, dpi=144)
    except OSError as error:
        raise DataQualityError(
            f"{file} cannot be written: {error.strerror}", hint="name a file in a folder that exists"
        ) from error
    return drawn


def _check(at: Opened, metric: str, baseline: Baseline) -> Check:
    """The test of a metric that is named as in the ledger.

    :raises SpecError: naming the candidates
    """
    name = spelled_out(metric)
    match = _NAME.fullmatch(name)
    if match is None:
        raise SpecError(f"{metric!r} is no metric", hint='write mean:dep_delay, or as recorded: "mean(dep_delay)"')
    group = _group(match["group"]) if match["group"] else {}
    item: dict[str, Any] = {"metric": match["word"]}
    inside = [part for part in (match["inside"] or "").split(", ") if part]
    if columns := [part for part in inside if not part.startswith("q=")]:
        item["columns"] = columns
    for part in set(inside).difference(columns):
        item["q"] = _number(part)
    dimensions = [tuple(group)] if group else []
    found = Search(by_list([item]), baseline, dimensions=dimensions).checks(
        at.session, at.what, at.columns, match["where"]
    )
    if len(found) > 1:
        hint = did_you_mean(name, [str(check.metric) for check in found], label="Metrics")
        raise SpecError(f"{metric!r} is measured on each column apart", hint=hint)
    (check,) = found
    named = replace(check.metric, group=tuple(group.items()))
    return replace(check, name=str(named), metric=named)


def _number(text: str) -> float:
    try:
        return float(text.removeprefix("q="))
    except ValueError:
        raise SpecError(f"{text} is no quantile", hint='write "quantile(dep_delay, q=0.9)"') from None


def _group(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise SpecError(f"{text} is no JSON: {error}", hint='write row_count {"origin": "JFK"}') from None
    return dict(found)


def _past(at: Opened, source: str, check: Check, window: int) -> Past:
    assert isinstance(check.expect, Baseline)
    timeline = Timeline.of(at.what, check.expect.period)
    if check.metric.group:
        return known_of_group(at.session, at.ledger, check, timeline, window, columns=at.columns, source=source)
    return known(at.session, at.ledger, [check.metric], timeline, window, columns=at.columns, source=source)


def _figure() -> Figure:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise DataQualityError(
            "plots need matplotlib, which is not installed", hint="pip install 'airflow-provider-dataquality[plot]'"
        ) from None
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw(figure: Figure, drawn: Series, title: str) -> None:
    """Draw on an empty figure, which is not shared with any other part of the process."""
    import numpy as np

    axes, when = figure.subplots(), np.array(drawn.when)
    low, high = _limits(drawn)
    judged = np.isfinite(drawn.expected)
    axes.fill_between(
        when, np.clip(drawn.low, low, high), np.clip(drawn.high, low, high),
        where=judged.tolist(), step="mid", color=_PALE, linewidth=0, label="expected range",
    )  # fmt: skip
    axes.plot(
        when, drawn.expected, color=_BLUE, linewidth=0.9, drawstyle="steps-mid", alpha=0.45, label="expected value"
    )
    axes.plot(
        when, np.where(drawn.left_out, np.nan, drawn.values),
        color=_BLUE, linewidth=1.3, marker="o", markersize=2.8, label="measured",
    )  # fmt: skip
    half = (when[-1] - when[-2]) / 2 if len(when) > 1 else timedelta(hours=12)
    for day in when[drawn.left_out]:
        axes.axvspan(day - half, day + half, color=_GREY, alpha=0.25, linewidth=0)
    if drawn.left_out.any():
        axes.plot(when[drawn.left_out], drawn.values[drawn.left_out], "o", color=_GREY, markersize=4, label="left out")
    _anomalies(axes, drawn)
    axes.set_ylim(low, high)
    axes.set_title(title, loc="left", fontweight="bold")
    _describe(axes, drawn)


def _limits(drawn: Series) -> tuple[float, float]:
    """The ends of the vertical axis: every value is on it, and most of the range."""
    points = zip(drawn.values, drawn.low, drawn.high, strict=True)
    return limits({"value": value, "low": low, "high": high} for value, low, high in points) or (0.0, 1.0)


def _anomalies(axes: Axes, drawn: Series) -> None:
    """Mark them, and date those that are farthest off."""
    import numpy as np

    found = np.flatnonzero(drawn.outside)
    if not len(found):
        return
    axes.plot(
        np.array(drawn.when)[found], drawn.values[found],
        "o", color=_RED, markersize=6, label=f"anomaly ({len(found)})",
    )  # fmt: skip
    off = np.abs(drawn.values - drawn.expected)[found]
    for index in found[np.argsort(-off)][:DATED]:
        moment, value = drawn.when[index], drawn.values[index]
        axes.annotate(
            f"{moment:%b} {moment.day}", (moment, value),
            xytext=(0, 6), textcoords="offset points", ha="center", color=_RED, fontsize=8,
        )  # fmt: skip


def _describe(axes: Axes, drawn: Series) -> None:
    """Name the axes and what is on them."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    metric = drawn.check.metric
    share = scale_of(KINDS[metric.kind]) == "rate"
    axes.set_ylabel(str(replace(metric, group=(), where=None)))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0) if share else FuncFormatter(lambda value, _: f"{value:,.10g}"))
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_xlabel(f"partition ({drawn.check.expect})")
    axes.margins(x=0.01)
    axes.grid(visible=True, alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=9)
