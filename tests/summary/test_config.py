"""A summary in a file: YAML and HOCON say the same as Python, and what cannot be is named with its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG
from summary.lab import DAYS, Lab

from airflow_dataquality import measures as m
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.measures.grammar import WORDS, measure_from
from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator, summary_from_config
from support import on

MEASURES: dict[str, m.Measure] = {
    "flights_total": m.Sum("1"),
    "flights": m.Count(),
    "known": m.Count("tailnum"),
    "miles_total": m.Sum("distance"),
    "longest": m.Max("distance"),
    "shortest": m.Min("distance"),
    "first_seen": m.FirstSeen(),
    "last_seen": m.LastSeen(),
    "days_since_last": m.DaysSinceLast(),
    "last_origin": m.Latest("origin", order_by="dep_time"),
    "flights_28d": m.Rolling(m.Sum("1"), days=28),
    "delay_7d": m.Rolling(m.Mean("COALESCE(dep_delay, 0)"), days=7),
    "active_28d": m.ActiveDays(28),
    "mean_delay": m.Mean("dep_delay"),
}
YAML = """
_days: &days 28
conn_id: warehouse
source: raw.flights
summary: analytics.aircraft_summary
keys: [tailnum]
partition_column: ds
partition: "{{ ds }}"
since: 2013-01-01
lookback_days: 3
staging_ttl: 2d
retries: 2
measures:
  flights_total: {sum: 1}
  flights: count
  known: {count: tailnum}
  miles_total: {sum: distance}
  longest: {max: distance}
  shortest: {min: distance}
  first_seen: first_seen
  last_seen: last_seen
  days_since_last: days_since_last
  last_origin: {latest: origin, order_by: dep_time}
  flights_28d: {rolling: {sum: "1"}, days: *days}
  delay_7d: {rolling: {mean: "COALESCE(dep_delay, 0)"}, days: 7}
  active_28d: {active_days: *days}
  mean_delay: {mean: dep_delay}
checks:
  - {check: row_count, condition: {greater_than: 0}}
"""
HOCON = """
include "shared.conf"
_days = 28
conn_id = warehouse
source = raw.flights
summary = analytics.aircraft_summary
since = 2013-01-01
lookback_days = 3
staging_ttl = 2 days
retries = 2
measures {
  flights_total.sum = 1
  flights = count
  known.count = tailnum
  miles_total { sum = distance }
  longest.max = distance
  shortest.min = distance
  first_seen = first_seen
  last_seen = last_seen
  days_since_last = days_since_last
  last_origin { latest = origin, order_by = dep_time }
  flights_28d { rolling.sum = "1", days = ${_days} }
  delay_7d { rolling { mean = "COALESCE(dep_delay, 0)" }, days = 7 }
  active_28d { active_days = ${_days} }
  mean_delay.mean = dep_delay
}
checks = [{check = row_count, condition { greater_than = 0 }}]
"""
SHARED = """
keys = [tailnum]  // of all summaries
partition_column = ds
partition = "{{ ds }}"
"""
JSON = json.dumps({"summary": "s", "keys": ["k"], "partition_column": "ds", "measures": {"n": "count"}})


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Write a file into the working folder; its name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared.conf").write_text(SHARED)

    def write(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return name

    return write


def python() -> IncrementalSummaryOperator:
    return IncrementalSummaryOperator(
        task_id="aircraft", conn_id="warehouse", source="raw.flights", summary="analytics.aircraft_summary",
        keys=["tailnum"], partition_column="ds", partition="{{ ds }}", since="2013-01-01", lookback_days=3,
        staging_ttl="2d", retries=2, measures=MEASURES,
        checks=[{"check": "row_count", "condition": {"greater_than": 0}}],
    )  # fmt: skip


@pytest.mark.parametrize(("name", "text"), [("aircraft.yaml", YAML), ("aircraft.conf", HOCON)])
def test_the_same_operator(write: Any, name: str, text: str) -> None:
    found, wanted = summary_from_config(write(name, text)), python()
    assert dict(found.measures) == MEASURES
    assert list(found.measures) == list(MEASURES)
    assert found._definition == wanted._definition
    context: Any = {"ds": "2013-01-01"}
    loads = [operator.load(context, "2013-01-01") for operator in (found, wanted)]
    assert loads[0] == loads[1]
    assert loads[0].recorded == loads[1].recorded
    assert (found.task_id, found.retries, found.partition) == ("aircraft", 2, "{{ ds }}")


def test_arguments_take_the_place_of_those_in_the_file(write: Any) -> None:
    operator = summary_from_config(write("a.yaml", YAML), task_id="t", source="raw.late", retries=0)
    assert (operator.task_id, operator.source, operator.retries) == ("t", "raw.late", 0)
    operator = summary_from_config(write("a.json", JSON), partition="{{ ds }}", conn_id="w", sql="SELECT 1")
    assert (operator.task_id, operator.sql, operator.source) == ("a", "SELECT 1", None)


def test_durations_of_hocon(write: Any) -> None:
    operator = summary_from_config(write("a.conf", HOCON.replace("2 days", "90 minutes")))
    assert operator.staging_ttl == timedelta(minutes=90)


def test_beside_the_dags_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dags" / "conf").mkdir(parents=True)
    (tmp_path / "dags" / "conf" / "a.yaml").write_text(YAML)
    (tmp_path / "dags" / "dag.py").write_text(
        "from airflow.providers.common.compat.sdk import DAG\n"
        "from airflow_dataquality.operators.incremental_summary import summary_from_config\n"
        "with DAG('d', schedule=None, default_args={'partition': '2013-01-01'}) as dag:\n"
        "    task = summary_from_config('conf/a.yaml', task_id='t')\n"
    )
    monkeypatch.chdir(tmp_path)
    code = compile((tmp_path / "dags" / "dag.py").read_text(), str(tmp_path / "dags" / "dag.py"), "exec")
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102 - as Airflow does
    assert found["dag"].task_dict == {"t": found["task"]}
    with pytest.raises(SpecError, match=r"configuration 'conf/a\.yaml' does not exist; looked at: "):
        summary_from_config("conf/a.yaml")
    dag = DAG("e", schedule=None, start_date=datetime(2013, 1, 1, tzinfo=UTC))
    with pytest.raises(SpecError, match="does not exist"):
        summary_from_config("conf/a.yaml", dag=dag)
    assert summary_from_config(tmp_path / "dags" / "conf" / "a.yaml", dag=dag).dag is dag


def test_what_default_args_give_need_not_be_in_the_file(write: Any) -> None:
    text = YAML.replace('partition: "{{ ds }}"\n', "").replace("keys: [tailnum]\n", "")
    with pytest.raises(SpecError, match=r"a.yaml: no keys, partition\nHint: add what is missing"):
        summary_from_config(write("a.yaml", text))
    with DAG("d", schedule=None, default_args={"partition": "{{ ds }}", "keys": ["tailnum"]}):
        assert summary_from_config("a.yaml").keys == ["tailnum"]


@on("postgres", "redshift")
def test_it_runs(lab: Lab, write: Any) -> None:
    text = "{source: facts, summary: s, keys: [k], partition_column: ds, measures: {n: count, last: last_seen}}"
    name = write("facts.yaml", text)
    for day in DAYS[:2]:
        summary_from_config(name, conn_id=lab.database.conn_id, partition=day).execute({})
    assert lab.run("SELECT k, n FROM s WHERE ds = '2013-01-02'") == [("a", 3), ("b", 1), (None, 1)]


# -- errors

BASE = "{conn_id: w, source: f, summary: s, keys: [k], partition_column: ds, partition: '{{ ds }}', "
GOLDEN = [
    ("x.yaml", f"{BASE} sumary: s}}", "x.yaml: unknown argument 'sumary'\nHint: did you mean 'summary'? Known: "),
    ("x.yaml", f"{BASE} dag: d}}", "x.yaml: unknown argument 'dag'"),
    ("x.yaml", f"{BASE} measures: [count]}}", "measures: ['count'] is no mapping\nHint: write a name and"),
    ("x.yaml", f"{BASE} measures: {{on: count}}}}", "measures: the name True is not a text\nHint: put it into"),
    ("x.yaml", f"{BASE} measures: {{n: cuont}}}}", "measures.n: 'cuont' is no measure\nHint: did you mean 'cou"),
    ("x.yaml", f"{BASE} measures: {{n: 1}}}}", "measures.n: 1 is no measure\nHint: write a word, or {sum: "),
    ("x.yaml", f"{BASE} measures: {{n: null}}}}", "measures.n: None is no measure"),
    ("x.yaml", f"{BASE} measures: {{n: {{}}}}}}", "measures.n: no measure is named\nHint: Measures: active_day"),
    ("x.yaml", f"{BASE} measures: {{n: {{summ: m}}}}}}", "measures.n: no measure is named\nHint: did you mean "),
    ("x.yaml", f"{BASE} measures: {{n: {{sum: m, max: m}}}}}}", "measures.n: both sum and max\nHint: write one"),
    ("x.yaml", f"{BASE} measures: {{n: sum}}}}", "measures.n: sum lacks what it is of\nHint: write {sum: distance}"),
    ("x.yaml", f"{BASE} measures: {{n: {{sum: null}}}}}}", "measures.n: sum lacks what it is of"),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{latest: o}}}}}}",
        "n: latest lacks order_by\nHint: write {latest: distance, or",
    ),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{latest: o, orderby: d}}}}}}",
        "has no parameter 'orderby'\nHint: did you mean ",
    ),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{sum: m, days: 7}}}}}}",
        "n: sum has no parameter 'days'\nHint: Its parameters",
    ),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{first_seen: m}}}}}}",
        "n: first_seen is of the whole fact, and not of 'm'\nHin",
    ),
    ("x.yaml", f"{BASE} measures: {{n: {{sum: true}}}}}}", "measures.n: Sum: True is no expression\nHint: write"),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{sum: 'a, b'}}}}}}",
        "measures.n: Sum: 'a, b' is more than one expression\nHint",
    ),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{active_days: 63}}}}}}",
        "measures.n: ActiveDays: 63 is no number of days\nHint",
    ),
    ("x.yaml", f"{BASE} measures: {{n: {{active_days: '7'}}}}}}", "measures.n: ActiveDays: '7' is no number of days"),
    ("x.yaml", f"{BASE} measures: {{n: {{rolling: {{sm: m}}, days: 7}}}}}}", "measures.n.rolling: no measure is"),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{rolling: last_seen, days: 7}}}}}}",
        "measures.n: Rolling: LastSeen() cannot be",
    ),
    (
        "x.yaml",
        f"{BASE} measures: {{n: {{rolling: count}}}}}}",
        "n: rolling lacks days\nHint: write {rolling: {sum: dis",
    ),
    ("x.yaml", f"{BASE} measures: {{n: count}}, grain: dya}}", "x.yaml: grain is 'dya'\nHint: did you mean 'day'?"),
    ("x.yaml", f"{BASE} measures: {{n: count}}, checks: [{{check: row_cont}}]}}", "x.yaml: checks[0]: unknown check "),
    ("x.yaml", BASE, "x.yaml is not valid YAML: "),
    ("x.yaml", "a: 1\na: 2", "found the key 'a' twice"),
    ("x.yaml", "", "x.yaml: no arguments at the top\nHint: write one to a line"),
    ("x.conf", "[1, 2]", "x.conf: no arguments at the top"),
    (
        "x.conf",
        "summary = s\nn = {sum: a * b}",
        "x.conf is not valid HOCON, in line 2: 'n = {sum: a * b}'\nHint: put te",
    ),
    ("x.conf", "summary = ${nothing}", "x.conf is not valid HOCON: Cannot resolve variable ${nothing}"),
    ("x.conf", 'include required(file("none.conf"))', "x.conf is not valid HOCON: [Errno 2] No such file or directory"),
    ("x.conf", "summary = s\nsumary.x = s", "x.conf: unknown argument 'sumary'\nHint: did you mean 'summary'?"),
    ("x.conf", "staging_ttl = 1 month", "x.conf: staging_ttl: months and years differ in length\nHint: write days: 30"),
    (
        "x.conf",
        "measures { n { sum = 1 day } }",
        "x.conf: measures.n: Sum: datetime.timedelta(days=1) is no expression",
    ),
    ("x.toml", "", "'x.toml' is no configuration file\nHint: its name should end in .yaml, .yml, .json, .conf, .hocon"),
]


@pytest.mark.parametrize(("name", "text", "message"), GOLDEN, ids=lambda value: str(value)[-40:])
def test_what_cannot_be_is_named_with_its_place(write: Any, name: str, text: str, message: str) -> None:
    with pytest.raises(SpecError) as failure:
        summary_from_config(write(name, text))
    assert message in str(failure.value)
    assert "\nHint: " in str(failure.value)


def test_without_the_library(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyhocon", None)
    with pytest.raises(DataQualityError) as failure:
        summary_from_config(write("a.conf", HOCON))
    assert str(failure.value) == (
        "a.conf is HOCON, whose parser is not installed\nHint: pip install 'airflow-provider-dataquality[hocon]'"
    )
    assert summary_from_config(write("a.yaml", YAML)).task_id == "a"


def test_every_measure_has_a_word() -> None:
    assert {made.__name__ for made in WORDS.values()} == set(m.__all__) - {"Measure", "State"}
    assert repr(measure_from({"sum": 0.5}, "")) == "Sum('0.5')"
