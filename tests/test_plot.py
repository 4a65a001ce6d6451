"""Plots of a metric's past, on real databases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.anomalies import Place, mark
from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Metric, Partition, Table
from airflow_dataquality.plot import draw, plot
from airflow_dataquality.results import Measurement
from history import DAYS, day, fill, usual
from support import Database, on

INCIDENT = 100


def with_incident(number: int) -> int:
    return 4 if number == INCIDENT else usual(number)


def at(database: Database, **arguments: Any) -> Place:
    return Place(database.conn_id, "orders", **{"partition": {"ds": None}, "last": 60, **arguments})


@pytest.fixture
def orders(database: Database) -> Database:
    fill(database.session, rows=with_incident)
    return database


@on("postgres", "sqlite")
def test_a_picture(orders: Database, tmp_path: Path) -> None:
    drawn = plot(at(orders), "row_count", tmp_path / "rows.png")
    assert (tmp_path / "rows.png").read_bytes().startswith(b"\x89PNG")
    assert len(drawn.days) == 60
    assert drawn.days[-1] == day(-1)
    found = [when for when, outside in zip(drawn.days, drawn.outside, strict=True) if outside]
    assert day(INCIDENT) in found
    assert (drawn.low <= drawn.expected).all()
    assert (drawn.expected <= drawn.high).all()
    assert not drawn.left_out.any()
    assert "matplotlib.pyplot" not in sys.modules


@on("sqlite")
def test_a_picture_of_lines(orders: Database, tmp_path: Path) -> None:
    plot(at(orders), "mean:amount", tmp_path / "mean.svg", baseline=Baseline(direction="drop"))
    assert "<svg" in (tmp_path / "mean.svg").read_text()


@on("postgres", "sqlite")
@pytest.mark.parametrize("history", ["auto", "table"])
def test_one_value_of_a_dimension(database: Database, tmp_path: Path, history: str) -> None:
    fill(database.session, rows=lambda number: 1 if number == INCIDENT else usual(number))
    drawn = plot(at(database, history=history), 'row_count {"shop":"north"}', tmp_path / "north.png")
    assert str(drawn.check.metric) == 'row_count {"shop": "north"}'
    assert drawn.values[drawn.days.index(day(INCIDENT))] == 0  # which has no row to tell it
    assert drawn.outside[drawn.days.index(day(INCIDENT))]


@on("sqlite")
def test_one_value_of_a_dimension_that_the_ledger_knows(orders: Database, tmp_path: Path) -> None:
    north = Metric("row_count", group=(("shop", "north"),))
    ledger = Ledger(orders.session)
    ledger.ensure()
    days = [Partition.of(Table("orders"), {"ds": day(number)}) for number in range(40, DAYS)]
    ledger.record_past(Run(), {each: {north: Measurement(77)} for each in days})
    drawn = plot(at(orders), str(north), tmp_path / "north.png")
    assert set(drawn.values) == {77}
    drawn = plot(at(orders, history="ledger"), str(north), tmp_path / "north.png")
    assert set(drawn.values) == {77}


@on("sqlite")
def test_more_names(orders: Database, tmp_path: Path) -> None:
    file = tmp_path / "plot.png"
    for name in ("null_count(amount)", "null_count(amount) where shop = 'south'", "unique_violations(ds, shop)"):
        assert str(plot(at(orders), name, file).check.metric) == name


@on("postgres")
def test_a_quantile(orders: Database, tmp_path: Path) -> None:
    name = "quantile(amount, q=0.5)"
    assert str(plot(at(orders), name, tmp_path / "plot.png").check.metric) == name


@on("postgres", "sqlite")
def test_what_is_left_out_is_grey(orders: Database, tmp_path: Path) -> None:
    mark(at(orders, partition={"ds": day(INCIDENT)}))
    baseline = Baseline(exclude=((day(110), day(111)),))  # type: ignore[arg-type]
    drawn = plot(at(orders), "row_count", tmp_path / "rows.png", baseline=baseline)
    left_out = [when for when, out in zip(drawn.days, drawn.left_out, strict=True) if out]
    assert left_out == [day(INCIDENT), day(110), day(111)]
    assert drawn.values[drawn.left_out].tolist() == [4, usual(110), usual(111)]
    assert not drawn.outside[drawn.left_out].any()


@on("sqlite")
def test_what_is_on_it(orders: Database, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    drawn = plot(at(orders, last=90), "null_ratio(amount)", tmp_path / "ratio.png")
    figure = Figure()
    draw(figure, drawn, "a title")
    (axes,) = figure.axes
    assert axes.get_title(loc="left") == "a title"
    assert axes.get_ylabel() == "null_ratio(amount)"
    assert axes.yaxis.get_major_formatter()(0.5, 0) == "50.0%"
    legend = axes.get_legend()
    assert legend is not None
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown[:3] == ["expected range", "expected value", "measured"]
    low, high = axes.get_ylim()
    assert low <= min(drawn.values) <= max(drawn.values) <= high


@on("sqlite")
@pytest.mark.parametrize("days", [1, 2, 20])
def test_a_short_past(database: Database, tmp_path: Path, days: int) -> None:
    fill(database.session, days=range(DAYS - days, DAYS))
    drawn = plot(at(database, last=days), "row_count", tmp_path / "rows.png")
    assert len(drawn.days) == days


@on("sqlite")
@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("rowcount", "did you mean 'row_count'"),
        ("mean:amuont", "did you mean 'amount'"),
        ("mean(amuont)", "did you mean 'amount'"),
        ("null_ratio", r"measured on each column apart\nHint: .*null_ratio\(amount\), null_ratio\(shop\)"),
        ("row_count {shop}", "is no JSON"),
        ("row_count [1]", "is no metric"),
        ("quantile(amount, q=half)", "is no quantile"),
        ('row_count {"shap": "north"}', "did you mean 'shop'"),
        ('row_count {"shop": "nort"}', """did you mean 'row_count {"shop": "north"}'"""),
        ('null_ratio(shop) {"shop": "north"}', "is the same in all of its rows"),
    ],
)
def test_metrics_that_there_are_not(orders: Database, tmp_path: Path, metric: str, message: str) -> None:
    with pytest.raises(DataQualityError, match=message):
        plot(at(orders), metric, tmp_path / "plot.png")
    assert not list(tmp_path.glob("*.png"))


@on("sqlite")
def test_files_that_cannot_be_written(orders: Database, tmp_path: Path) -> None:
    with pytest.raises(DataQualityError, match=r"ends in none of .png, .svg, .pdf\nHint: write plot.png"):
        plot(at(orders), "row_count", tmp_path / "plot.jpg")
    with pytest.raises(DataQualityError, match="cannot be written: No such file or directory"):
        plot(at(orders), "row_count", tmp_path / "nowhere" / "plot.png")


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DataQualityError, match=r"pip install 'airflow-provider-dataquality\[plot\]'"):
        plot(Place("nowhere", "orders"), "row_count", tmp_path / "plot.png")
