"""The blizzard of February 2013 in the flights that left New York City: found, with few other alarms in the year."""

from __future__ import annotations

import pytest

from airflow_dataquality.anomalies import Place, backtest
from airflow_dataquality.demo import flights
from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator
from support import Warehouse

BLIZZARD = {"2013-02-08", "2013-02-09"}
CANCELLED = "null_ratio:dep_time"


@pytest.fixture
def year(warehouse: Warehouse) -> Place:
    with warehouse.connect() as connection:
        flights.load(connection)
    return Place("warehouse", "raw.flights", {"ds": None}, last=365)


def test_the_blizzard_is_found_with_at_most_five_other_alarms(year: Place) -> None:
    found = backtest(year, metrics=[CANCELLED])
    alarms = {alarm["date"] for alarm in found["alarms"]}
    assert found["partition"] == {"ds": "2013-12-31"}
    assert found["tests"][0]["judged"] >= 351
    assert alarms >= BLIZZARD
    assert len(alarms - BLIZZARD) <= 5, sorted(alarms - BLIZZARD)
    for day in BLIZZARD:
        operator = ZScoreAnomalyOperator(
            task_id="t", conn_id="warehouse", table="raw.flights", partition={"ds": day}, metrics=[CANCELLED]
        )
        assert operator.execute({})["anomalies"] == ["null_ratio(dep_time)"]
