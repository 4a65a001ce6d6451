"""The benchmarks run, and what they compare computes the same. Nothing here is about time."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import (
    anomalies,
    backfill,
    board,
    checks,
    detectors,
    exchange,
    parse,
    publish,
    summary,
    tests_dag,
    transforms,
    upsert,
)
from benchmarks.readers import Read, longest
from benchmarks.reporting import Report
from support import Warehouse

if TYPE_CHECKING:
    from airflow_dataquality.demo.postgres import EmbeddedPostgres

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("run", "bars"),
    [
        (checks.run, ["it scans the table twice"]),
        (exchange.run, ["no read was wrong, none failed", "overwrite takes no lock that blocks readers"]),
        (anomalies.run, ["one history statement, one insert batch"]),
        (publish.run, []),
        (upsert.run, []),
        (summary.run, []),
        (board.run, []),
        (tests_dag.run, ["one scan of each table"]),
    ],
    ids=["checks", "exchange", "anomalies", "publish", "upsert", "summary", "board", "tests"],
)
def test_sides_agree_on_the_data(run: Callable[..., Report], bars: list[str], warehouse: Warehouse) -> None:
    report = run(warehouse.uri, quick=True)
    assert report.agree
    assert [bar for bar in bars if not report.bars[bar]] == []
    assert report.table().row_count == len(report.lines)
    assert json.loads(json.dumps(report.as_dict(), default=str))["title"] == report.title


def test_backfills_agree_on_the_data(postgres: EmbeddedPostgres) -> None:
    report = backfill.run(postgres, quick=True)
    assert report.agree
    assert len(report.lines) == 5


@pytest.mark.parametrize(
    "run",
    [detectors.run, parse.run, parse.imports, tests_dag.parsing, transforms.run],
    ids=["detectors", "parse", "import", "tests", "transforms"],
)
def test_sides_build_the_same(run: Callable[..., Report]) -> None:
    assert run(quick=True).agree


def test_notices_a_side_that_computes_something_else() -> None:
    expected = {("mean", "f00"): 0.1 + 0.2, ("max", "t00"): "b"}
    assert checks.same(expected, {("mean", "f00"): 0.3, ("max", "t00"): "b"})
    assert not checks.same(expected, {("mean", "f00"): 0.31})
    assert not checks.same(expected, {("max", "t00"): "a"})
    assert not checks.same(expected, {})


def test_finds_the_longest_read_that_overlaps() -> None:
    reads = [Read(0, 5, None), Read(6, 7, None), Read(9, 20, None)]
    assert longest(reads, 5.5, 8) == 1
    assert longest(reads, 7.5, 8) is None


def test_names_the_benchmarks_there_are() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks", "chekcs"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert said.returncode == 2
    names = "checks, anomalies, detectors, exchange, publish, upsert, summary, backfill, parse, import, tests"
    assert f"unknown benchmark chekcs; there are {names}" in said.stderr
