"""Verdicts: what passes was measured, and lies in its interval."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dataquality.checks import check
from airflow_dataquality.engine.judge import judge
from airflow_dataquality.model import Check
from airflow_dataquality.results import Measurement, Result, Status
from airflow_dataquality.spec import checks_from
from airflow_dataquality.vocabulary import KINDS

DELAY = check("mean", "delay", geq_to=0, leq_to=10)
WARNED = check("mean", "delay", geq_to=0, leq_to=10, severity="warn")
SQL = check("custom_sql", sql="SELECT 1", equal_to=1)


def verdict(judged: Check, measured: Measurement) -> Result:
    return judge([judged], {judged.metric: measured}).results[0]


@pytest.mark.parametrize(
    ("judged", "measured", "status", "reason"),
    [
        (DELAY, Measurement(5.0, rows=3), Status.PASS, "mean(delay) is 5, expected between 0 and 10"),
        (DELAY, Measurement(10.5, rows=3), Status.FAIL, "mean(delay) is 10.5, expected between 0 and 10"),
        (WARNED, Measurement(10.5, rows=3), Status.WARN, "mean(delay) is 10.5, expected between 0 and 10"),
        (DELAY, Measurement(Decimal("0.1"), rows=3), Status.PASS, "mean(delay) is 0.1, expected between 0 and 10"),
        (DELAY, Measurement(math.nan, rows=3), Status.FAIL, "mean(delay) is nan, expected between 0 and 10"),
        (DELAY, Measurement(None, rows=0), Status.SKIP, "no rows to check"),
        (DELAY, Measurement(None, rows=3), Status.FAIL, "every delay is NULL"),
        (WARNED, Measurement(None, rows=3), Status.WARN, "every delay is NULL"),
        (DELAY, Measurement(error="division by zero"), Status.ERROR, "could not be measured: division by zero"),
        (WARNED, Measurement(error="division by zero"), Status.ERROR, "could not be measured: division by zero"),
        (DELAY, Measurement(absent="production holds no rows"), Status.SKIP, "production holds no rows"),
        (DELAY, Measurement("late", rows=3), Status.ERROR, "'late', which cannot be compared with"),
        (check("stddev", "x", leq_to=1), Measurement(None, rows=1), Status.SKIP, "fewer than two values"),
        (check("row_count", greater_than=0), Measurement(0), Status.FAIL, "row_count is 0, expected > 0"),
        (SQL, Measurement(None), Status.FAIL, "the SQL returned NULL"),
        (SQL, Measurement(1), Status.PASS, "custom_sql is 1, expected = 1"),
        (
            check("schema", columns=["a"]),
            Measurement(1, detail="missing: a"),
            Status.FAIL,
            "is 1 (missing: a), expected",
        ),
        (check("max", "d", leq_to="2013-02-01"), Measurement(date(2013, 2, 2), rows=1), Status.FAIL, "2013-02-02"),
        (check("max", "d", leq_to="soon"), Measurement(date(2013, 2, 2), rows=1), Status.ERROR, "cannot be compared"),
        (
            check("max", "d", leq_to=datetime(2013, 2, 1, tzinfo=UTC)),
            Measurement(datetime(2013, 1, 1, tzinfo=UTC), rows=1),
            Status.PASS,
            "2013-01-01",
        ),
    ],
)
def test_verdicts(judged: Check, measured: Measurement, status: Status, reason: str) -> None:
    result = verdict(judged, measured)
    assert result.status is status
    assert reason in result.reason


@given(word=st.sampled_from([word for word, kind in KINDS.items() if not kind.counts_empty and not kind.implied]))
def test_nothing_passes_without_rows(word: str) -> None:
    params: dict[str, Any] = {"q": 0.5, "values": [1], "pattern": "x", "references": "t", "statement": "1 = 1"}
    wanted = {name: params[name] for name in KINDS[word].params if name in params}
    columns = None if KINDS[word].takes.value == "no column" else "x"
    judged = check(word, columns, geq_to=0, **wanted)
    for value in (None, 0, 1):
        assert verdict(judged, Measurement(value, rows=0)).status is Status.SKIP


def test_a_null_is_zero_to_the_operators_dicts() -> None:
    (judged,) = checks_from({"x": {"min": {"geq_to": 0}}})
    result = verdict(judged, Measurement(None, rows=3))
    assert result.status is Status.PASS
    assert "NULL, which SQLColumnCheckOperator takes as 0" in result.reason
    assert verdict(judged, Measurement(None, rows=0)).status is Status.SKIP
