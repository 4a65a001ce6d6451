"""The default baseline as the anomaly benchmark's detector: ``detect(history, dates)``, the newest point last.

It is judged one step ahead: false alarms a series-year, and incidents found on their first day.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from airflow_dataquality.baseline import THRESHOLD
from airflow_dataquality.stats.auto import auto
from airflow_dataquality.stats.forecast import infer_kind


def matrix(histories: Any, dates: Any, kind: Any = None) -> tuple[Any, Any]:
    """Flags and scores (larger is more anomalous, NaN abstains) of the last column of (S, n) histories."""
    histories = np.asarray(histories, float)
    past = histories[:, :-1]
    kind = infer_kind(past) if kind is None else np.asarray(kind)
    judged = auto(past, np.asarray(dates), kind).judge(histories[:, -1], threshold=THRESHOLD)
    return judged.outside, np.abs(judged.score)


def detect(history: Any, dates: Any, kind: str | None = None) -> tuple[bool, float]:
    """One series: whether its newest value is an anomaly, and its score."""
    flags, scores = matrix(np.asarray(history, float)[None], dates, None if kind is None else np.array([kind]))
    return bool(flags[0]), float(scores[0])


detect.matrix = matrix  # type: ignore[attr-defined]
