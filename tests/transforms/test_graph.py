"""What transforms read of each other, and which are selected."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dataquality.errors import SpecError
from airflow_dataquality.transforms import Project, load
from transforms.flights_project import written


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load(written(tmp_path), cache=False)


def names(found: list[object]) -> list[str]:
    return [str(each).rpartition(".")[2] for each in found]


def test_order_and_neighbours(project: Project) -> None:
    order = names([*project.order()])
    for before, after in (
        ("raw_flights", "daily_flights"),
        ("carriers", "daily_flights"),
        ("daily_flights", "busiest"),
    ):
        assert order.index(before) < order.index(after)
    daily = project.transform("daily_flights.sql")
    assert names([*project.upstream(daily)]) == ["raw_flights", "carriers"]
    assert sorted(names([*project.downstream(daily)])) == ["busiest", "ratings"]
    assert project.producer("analytics.daily_flights") is daily


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["busiest"], {"busiest"}),
        (["+busiest"], {"busiest", "daily_flights", "raw_flights", "carriers"}),
        (["1+busiest"], {"busiest", "daily_flights"}),
        (["daily_flights+"], {"daily_flights", "busiest", "ratings"}),
        (["+daily_flights+"], {"daily_flights", "busiest", "ratings", "raw_flights", "carriers"}),
        (["tag:core"], {"daily_flights"}),
        (["reference", "aircraft"], {"carriers", "aircraft"}),
        (["flights.*,kind:sql"], {"busiest"}),
        (["owner:network-planning,+ratings"], {"ratings", "daily_flights", "raw_flights"}),
    ],
)
def test_selectors(project: Project, selectors: list[str], expected: set[str]) -> None:
    assert set(names([*project.select(*selectors)])) == expected


def test_from_and_to(project: Project) -> None:
    assert names([*project.select(start="raw_flights", end="busiest")]) == ["raw_flights", "daily_flights", "busiest"]
    assert set(names([*project.select(start="daily_flights.sql")])) == {"daily_flights", "busiest", "ratings"}
    assert set(names([*project.select(end="daily_flights", pipeline="flights")])) == {"raw_flights", "daily_flights"}
    with pytest.raises(SpecError, match=r"(?s)no way leads.*exchange them"):
        project.select(start="busiest", end="raw_flights")


@pytest.mark.parametrize(
    ("selector", "hint"),
    [("busyest", "did you mean 'busiest'"), ("tag:cor", "did you mean 'core'"), ("tga:x", "did you mean 'tag'"),
     ("fligths.*", "did you mean 'flights'"), ("++x", "write name")],
)  # fmt: skip
def test_what_selects_nothing(project: Project, selector: str, hint: str) -> None:
    with pytest.raises(SpecError, match=hint):
        project.select(selector)


def test_columns_through_stars_and_headers(tmp_path: Path) -> None:
    files = {
        "x/a.yaml": "kind: create_table_as\ninputs: [raw.flights]\noutput: {table: x.a}",
        "x/a.sql": "SELECT f.*, 1 AS one FROM raw.flights f",
        "x/b.yaml": "kind: create_table_as\ninputs: [x.a]\noutput: {table: x.b}",
        "x/b.sql": "WITH c AS (SELECT * FROM x.a) SELECT * FROM c",
    }
    project = load(written(written(tmp_path), files), cache=False)
    assert project.mistakes == ()
    assert project.columns("x.b") == ("ds", "carrier", "tailnum", "origin", "dep_time", "distance", "one")
    assert project.columns("analytics.busiest") is None


def test_eight_hundred_in_a_row_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    files = {"x/t0.yaml": "kind: no_op\noutput: {table: x.t0}"}
    for n in range(1, 800):
        files[f"x/t{n}.yaml"] = f"kind: python\nfunction: a.b\ninputs: [x.t{n - 1}]\noutput: {{table: x.t{n}}}"
    project = load(written(tmp_path, files), cache=False)
    assert names([*project.order()]) == [f"t{n}" for n in range(800)]
    assert len(project.select("+t799")) == 800
