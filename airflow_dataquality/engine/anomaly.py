"""Judge what was measured against what its past lets expect, all metrics of a run at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.history import Past, Recorded, finite, past_of
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.session import Session
from airflow_dataquality.engine.timeline import Timeline, left_out
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Check, Column, Interval, Metric, Partition
from airflow_dataquality.results import Expectation, Measurement
from airflow_dataquality.vocabulary import KINDS, scale_of

if TYPE_CHECKING:
    from airflow_dataquality.stats.forecast import Forecast

FDR = 0.05
"""The share of false alarms among the alarms of a run. It matters from about a hundred tests on."""


def expectations(
    session: Session, ledger: Ledger | None, run: Run, checks: Iterable[Check],
    measured: Mapping[Metric, Measurement], partition: Partition, *,
    columns: Sequence[Column], source: str = "auto", fdr: float | None = FDR,
) -> dict[Check, Expectation]:  # fmt: skip
    """What the past of each check's metric lets expect.

    :param checks: those without a baseline are passed over
    :param measured: what the metrics are now
    :param columns: of the table that holds past partitions; none if it does not exist yet
    :param source: where the past is read: ``ledger``, ``table``, or ``auto``
    :param fdr: false discovery rate over all tests; None judges each by its threshold alone
    """
    tests = [(check, check.expect) for check in checks if isinstance(check.expect, Baseline)]
    found: dict[Check, Expectation] = {}
    for period in dict.fromkeys(baseline.period for _, baseline in tests):
        asked = [(check, baseline) for check, baseline in tests if baseline.period == period]
        timeline, window = Timeline.of(partition, period), max(baseline.window for _, baseline in asked)
        past = past_of(
            session, ledger, run, list(dict.fromkeys(check.metric for check, _ in asked)), timeline,
            recorded=Recorded.read(ledger, timeline, window),
            window=window, enough=min(baseline.min_history for _, baseline in asked), columns=columns, source=source,
        )  # fmt: skip
        found |= judged_by(past, [check for check, _ in asked], measured)
    return discovered(found, fdr)


def judged_by(past: Past, checks: Sequence[Check], measured: Mapping[Metric, Measurement]) -> dict[Check, Expectation]:
    """Each value against its own past, as if it was the only one."""
    found: dict[Check, Expectation] = {}
    for baseline in dict.fromkeys(check.expect for check in checks if isinstance(check.expect, Baseline)):
        alike = [check for check in checks if check.expect == baseline]
        found |= _judged(past, baseline, alike, [_value(measured[check.metric]) for check in alike])
    return found


def _value(found: Measurement) -> float:
    """The number; unlike the ledger's, it may be infinite, and is NaN if there is none."""
    return found.value if isinstance(found.value, float) else finite(found)


def _judged(
    past: Past, baseline: Baseline, checks: Sequence[Check], values: Sequence[float]
) -> dict[Check, Expectation]:
    import numpy as np

    days = past.timeline.days(baseline.window)
    excluded = left_out(baseline, days)
    if days[-1] in excluded:
        return {check: Expectation(basis=excluded[days[-1]]) for check in checks}
    known = past.values[[past.rows[check.metric.series] for check in checks], -baseline.window :].copy()
    known[:, [day in excluded for day in days[:-1]]] = np.nan
    forecast = forecast_of(baseline, known, past.dates[-baseline.window - 1 :], kinds_of(checks))
    judgement = forecast.judge(np.array(values, float), threshold=baseline.threshold, direction=baseline.direction)
    count = np.isfinite(known).sum(1).tolist()
    # Lists, as a number taken out of an array costs more than all of the arithmetic.
    names = ("expected", "low", "high", "score", "p_value", "outside", "level")
    columns = zip(*(getattr(judgement, name).tolist() for name in names), strict=True)
    return {
        check: _expectation(check, forecast.reasons, found, values, past.timeline.period)
        for check, found, values in zip(checks, count, columns, strict=True)
    }


def kinds_of(checks: Iterable[Check]) -> Any:
    """What the past of each check is judged as, as numpy's array."""
    import numpy as np

    return np.array([_scale(check) for check in checks])


def _scale(check: Check) -> str:
    """What the user says, or else what the metric is."""
    said = check.expect.scale if isinstance(check.expect, Baseline) else "auto"
    return scale_of(KINDS[check.metric.kind]) if said == "auto" else said


def forecast_of(baseline: Baseline, past: Any, dates: Any, kinds: Any) -> Forecast:
    """What a baseline makes of the past.

    :raises DataQualityError: if the user's own function returns something else
    """
    method: Callable[..., Any]
    if callable(baseline.method):
        method = baseline.method
    else:
        from airflow_dataquality.stats.baselines import BASELINES

        method = BASELINES[baseline.method]
    try:
        forecast: Forecast = method(past, dates, kinds)
    except Exception as error:
        raise DataQualityError(f"{baseline} failed: {error!r}", hint="mend the function, or name another") from error
    if not callable(getattr(forecast, "judge", None)):
        raise DataQualityError(
            f"{baseline}: the function returned {type(forecast).__name__}, not a Forecast",
            hint="return a Forecast of airflow_dataquality.stats.forecast",
        )
    if (series := len(getattr(forecast, "history", past))) != len(past):
        raise DataQualityError(
            f"{baseline}: the function returned a Forecast of {series} series, given {len(past)}",
            hint="return one level and one scale for each row of past",
        )
    return forecast


def _expectation(check: Check, reasons: Sequence[str], count: int, judged: tuple[Any, ...], period: str) -> Expectation:
    baseline = check.expect
    assert isinstance(baseline, Baseline)
    if count < baseline.min_history:
        few = f"{count} of the last {baseline.window} {period}s are known, and {baseline.min_history} are needed"
        if period == "hour" and baseline.period == "auto":
            few += " (if a partition is a day and no hour, say period='day')"
        return Expectation(history=count, basis=few)
    expected, low, high, score, p_value, outside, level = judged
    if math.isnan(low) or math.isnan(high):
        return Expectation(history=count, basis=f"{baseline} cannot tell from {count} values")
    return Expectation(
        interval=_interval(low, high, _scale(check)),
        expected=expected,
        score=None if math.isnan(score) else score,
        p_value=None if math.isnan(p_value) else p_value,
        history=count,
        outside=outside,
        basis=reasons[level],
    )


def _interval(low: float, high: float, scale: str) -> Interval:
    """Without the bounds that no value can be beyond: there is no change that they would show."""
    least, most = {"count": (0, math.inf), "rate": (0, 1)}.get(scale, (-math.inf, math.inf))
    return Interval(low if low > least else None, high if high < most else None)


def discovered(found: Mapping[Check, Expectation], fdr: float | None) -> dict[Check, Expectation]:
    """Keep of the anomalies those that the number of tests does not explain."""
    if fdr is None or not found:
        return dict(found)
    import numpy as np

    from airflow_dataquality.stats.testing import adjusted

    p_values = np.array([np.nan if e.p_value is None else e.p_value for e in found.values()])
    return {
        check: expectation if expectation.p_value is None else _among_others(expectation, q_value, fdr)
        for (check, expectation), q_value in zip(found.items(), adjusted(p_values).tolist(), strict=True)
    }


def _among_others(found: Expectation, q_value: float, fdr: float) -> Expectation:
    real = q_value <= fdr
    return replace(found, q_value=q_value, outside=found.outside and real, by_chance=found.outside and not real)
