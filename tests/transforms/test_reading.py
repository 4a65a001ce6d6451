"""Folders of headers and SQL into transforms."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Table
from airflow_dataquality.transforms import load, rendered_sql
from airflow_dataquality.transforms.cache import Cache
from airflow_dataquality.transforms.files import Files
from airflow_dataquality.transforms.functions import Target, called, found
from airflow_dataquality.transforms.model import KINDS
from transforms.flights_project import FILES, written


def test_a_project_over_all_kinds(tmp_path: Path) -> None:
    project = load(written(tmp_path), cache=False)
    assert project.mistakes == ()
    assert {each.kind for each in project.transforms.values()} == set(KINDS)
    daily = project.transform("daily_flights")
    assert (daily.name, daily.pipeline, daily.owner) == ("flights.daily_flights", "flights", "network-planning")
    assert daily.tags == ("flights", "core")
    assert daily.writes == Table("daily_flights", "analytics")
    assert daily.reads == (Table("flights", "raw"), Table("carriers", "reference"))
    assert daily.output is not None
    assert dict(daily.output.partition) == {"ds": "{{ ds }}"}
    assert daily.output.indexes == (("carrier",),)
    assert daily.output.columns["cancelled"].description == "flights without a departure time"
    assert project.pipelines["flights"].schedule == "@daily"
    assert "ds = '2013-01-01'" in rendered_sql(daily, "2013-01-01")


def test_names_of_pipelines_and_files_that_are_none(tmp_path: Path) -> None:
    header = FILES["reference/carriers.yaml"]
    names = ("marts/finance/a.yaml", "marts/finance/tests/b.yaml", "marts/_old/c.yaml", "marts/.git/d.yaml")
    project = load(written(tmp_path, dict.fromkeys(names, header)), cache=False)
    assert list(project.transforms) == ["marts.finance.a"]


def test_a_folder_without_transforms(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"(?s)no folder.*Hint"):
        load(tmp_path / "nowhere")
    with pytest.raises(SpecError, match=r"(?s)no transforms.*Hint: a pipeline is a folder"):
        load(tmp_path)


def test_who_reads_a_broken_transform_is_not_to_blame(tmp_path: Path) -> None:
    daily = FILES["flights/daily_flights.yaml"].replace("kind:", "kin:")
    reader = "kind: create_table_as\ninputs: [analytics.daily_flights]\noutput: {table: marts.x}"
    files = {"flights/daily_flights.yaml": daily, "marts/x.yaml": reader,
             "marts/x.sql": "SELECT * FROM analytics.daily_flights"}  # fmt: skip
    project = load(written(written(tmp_path), files), cache=False)
    assert {name for name, each in project.pipelines.items() if each.mistakes} == {"flights"}


def test_what_was_found_out_of_sql_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    root = written(tmp_path / "transforms")
    first = load(root)
    monkeypatch.setattr("airflow_dataquality.transforms.lineage._parsed", lambda *_: pytest.fail("parsed again"))
    again = load(root)
    assert again.facts == first.facts
    kept = Cache.of(root).file
    assert kept is not None
    kept.write_text("{")  # as if the machine had stopped
    monkeypatch.undo()
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    assert load(root).facts == first.facts


def test_sqlglot_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sqlglot", None)
    with pytest.raises(Exception, match=r"pip install 'airflow-provider-dataquality\[transforms\]'"):
        load(written(tmp_path), cache=False)


def test_functions_are_given_what_they_ask_for(tmp_path: Path) -> None:
    file = tmp_path / "f.py"
    file.write_text("def run(output, ds, more=3):\n    return [{'n': more, 'day': ds, 'of': str(output)}]\n"
                    "def none(inputs): pass\ndef odd(nothing): pass\n")  # fmt: skip
    output = Target("w.t", {"ds": "2013-01-01"})
    rows = called(found(f"{file}:run"), {}, output, {"ds": "2013-01-02"})
    assert list(rows) == [{"ds": "2013-01-01", "n": 3, "day": "2013-01-02", "of": "w.t"}]
    with pytest.raises(Exception, match=r"(?s)returned NoneType, no rows.*Hint: return, or yield"):
        called(found(f"{file}:none"), {}, output, {})
    with pytest.raises(SpecError, match="asks for 'nothing'"):
        called(found(f"{file}:odd"), {}, output, {})
    with pytest.raises(SpecError, match=r"(?s)no function 'rum'.*did you mean 'run'"):
        found(f"{file}:rum")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"(?s)there is no file .*Hint"):
        list(Files("x/*.csv", "csv", folder=str(tmp_path)).batches({}))
