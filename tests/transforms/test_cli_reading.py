"""``start``, ``ls``, ``graph`` and ``lint``: transforms written and read on the command line, without a database."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from airflow_dataquality.transforms import load
from airflow_dataquality.transforms.drawing import OUTSIDE, Graph, Node, as_mermaid, as_text
from airflow_dataquality.transforms.linting import lint
from airflow_dataquality.transforms.model import KINDS
from airflow_dataquality.transforms.picture import svg
from commands import done
from transforms.cli_project import written

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_begun_has_no_mistakes(kind: str, tmp_path: Path, capsys: Capture) -> None:
    found = done(capsys, "start", kind, "shop.orders", "--owner", "Sales & Co: EU")
    assert found.code == 0
    assert "Next:" in found.out
    assert [str(each) for each in lint("transforms", cache=False)] == []
    project = load("transforms", cache=False)
    assert project.transform("shop.orders").owner == "Sales & Co: EU"
    assert (tmp_path / "transforms/shop/pipeline.yaml").exists()
    assert done(capsys, "lint", "transforms", "--strict").code == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("load", "no_op")])
def test_what_is_begun_reads_its_inputs(kind: str, tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    more = ["analytics.daily"] if kind != "incremental_summary" else []
    found = done(capsys, "start", kind, "flights.new-one", "--inputs", "raw.flights", *more, "--json")
    assert found.json["transform"] == "flights.new-one"
    assert [str(each) for each in lint("transforms", cache=False)] == []
    assert load("transforms", cache=False).transform("new-one").output.table == "analytics.new_one"  # type: ignore[union-attr]
    test = next(file for file in found.json["files"] if file.endswith("test_new_one.py"))
    compile(Path(test).read_text(), test, "exec")


def test_an_input_that_nobody_makes_is_next(capsys: Capture) -> None:
    found = done(capsys, "start", "create_table_as", "shop.orders", "--inputs", "raw.orders")
    (command,) = re.findall(r"with airflow dq (start no_op .+)", found.out)
    assert command == "start no_op shop.raw_orders --table raw.orders"
    assert done(capsys, *command.split()).code == 0
    assert [str(each) for each in lint("transforms", cache=False)] == []


def test_nothing_is_overwritten(tmp_path: Path, capsys: Capture) -> None:
    root = written(tmp_path)
    before = (root / "flights/daily.sql").read_text()
    found = done(capsys, "start", "upsert", "flights.daily", "--table", "analytics.other")
    assert found.code == 2
    assert "already there: transforms/flights/daily.yaml" in found.err
    assert "Hint: choose another name; nothing was written" in found.err
    assert (root / "flights/daily.sql").read_text() == before
    assert not (root / "flights/tests").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["create_table", "flights.x"], "unknown kind 'create_table'", "did you mean 'create_table_as'?"),
        (["upsert", "x y"], "'x y' cannot be a name", "write pipeline.name"),
        (["upsert", "x"], "there are 2 pipelines", "flights.x, raw.x"),
        (["upsert", "flights.x", "--table", "analytics.daily"], "analytics.daily is made by flights.daily", "--table"),
        (["upsert", "../../x"], "cannot be a name", "pipeline.name"),
    ],
)
def test_what_cannot_begin(arguments: list[str], error: str, hint: str, tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    found = done(capsys, "start", *arguments)
    assert found.code == 2
    assert error in found.err
    assert hint in found.err.partition("Hint:")[2]


def test_ls(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    found = done(capsys, "ls")
    assert found.code == 0
    assert re.search(
        r"^flights\.daily +create_table_as +analytics\.daily +ds +1 +planning +nightly$", found.out, re.MULTILINE
    )
    assert "4 transforms in 2 pipelines" in found.out
    names = [each["transform"] for each in done(capsys, "ls", "flights", "--json").json["transforms"]]
    assert names == ["flights.carriers", "flights.daily", "flights.report"]
    assert [each["transform"] for each in done(capsys, "ls", "tag:small+", "--json").json["transforms"]] == [
        "flights.carriers", "flights.report",
    ]  # fmt: skip
    daily = done(capsys, "ls", "flights", "--json").json["transforms"][1]
    assert daily["columns"] == ["ds", "carrier", "flights", "cancelled"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [(["flihgts"], "did you mean"), (["tag:x"], "no transform has the tag"), (["--folder", "none"], "--folder")],
)
def test_what_selects_nothing(arguments: list[str], error: str, tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    found = done(capsys, "ls", *arguments)
    assert found.code == 2
    assert error in found.err
    assert set(done(capsys, "ls", *arguments, "--json").json) == {"error", "hint"}


def test_mistakes_are_noted_and_linted(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path, {"flights/daily.sql": "SELECT ds, carrier, 1 AS flights, 0 AS cancelled FROM raw.flihgts\n"})
    assert "Note: 2 mistakes" in done(capsys, "ls").err
    found = done(capsys, "lint", "transforms")
    assert found.code == 1
    assert "transforms/flights/daily.sql:1:55: error:" in found.out
    assert "4 transforms: 2 errors, 0 warnings" in found.out
    assert done(capsys, "lint", "transforms", "--json").json["transforms"] == 4


def test_a_cycle_can_still_be_listed_and_drawn(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path, {
        "flights/daily.sql": "SELECT ds, 'x' AS carrier, 1 AS cancelled FROM analytics.report\n",
        "flights/daily.yaml": "kind: create_table_as\ninputs: [analytics.report]\noutput: analytics.daily\n",
    })  # fmt: skip
    assert done(capsys, "ls").code == 0
    for form in ("text", "mermaid", "svg"):
        found = done(capsys, "graph", "--format", form)
        assert found.code == 0
        assert "flights.report" in found.out
    assert done(capsys, "lint", "transforms").code == 1


def test_a_tree(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    assert done(capsys, "graph", "flights").out == (
        "[raw.flights]\n"
        "├── flights.carriers  (upsert)\n"
        "│   └── flights.report  (create_table_as)\n"
        "└── flights.daily  (create_table_as)\n"
        "    └── flights.report  (create_table_as)\n"
    )
    edges = done(capsys, "graph", "flights", "--json").json["edges"]
    assert ["flights.daily", "flights.report"] in edges
    assert len(edges) == 4


def test_a_flowchart_quotes_what_it_shows() -> None:
    nodes = {name: Node(name, kind) for name, kind in (("flights.daily", "upsert"), ('raw."a#<b"', OUTSIDE))}
    assert as_mermaid(Graph(nodes, (('raw."a#<b"', "flights.daily"),))) == (
        'flowchart LR\n  n1["flights.daily<br/>upsert"]\n  n2[("raw.#quot;a#35;#lt;b#quot;")]\n  n2 --> n1\n'
        "  classDef outside stroke-dasharray: 4 3\n  class n2 outside"
    )


def test_pictures_are_xml_and_escape(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    assert done(capsys, "graph", "--output", "flights.svg").code == 0
    tree = ET.parse("flights.svg")  # noqa: S314 - written by this test
    texts = [each.text for each in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert {"raw.flights", "flights.daily", "create_table_as"} <= set(texts)
    boxes = [each.attrib for each in tree.iter("{http://www.w3.org/2000/svg}rect")]
    places = {(box["x"], box["y"]) for box in boxes}
    assert len(places) == len(boxes) == 4
    again = done(capsys, "graph", "--output", "flights.svg")
    assert again.code == 2
    assert "--force overwrites it" in again.err


def test_lines_lead_to_the_right_however_large_the_graph() -> None:
    names = [f"n{number}" for number in range(300)]
    edges = (*((names[n // 3], names[n]) for n in range(1, 300)), ("n0", "n299"), ("n1", "n290"))
    graph = Graph({name: Node(name, "sql") for name in names}, edges)
    drawn = svg(graph)
    assert drawn.count("<rect") == 300
    for path in re.findall(r'<path d="(M[^"]+)" marker', drawn):
        xs = [float(point.split()[0]) for point in re.findall(r"([\d.]+ [\d.]+)(?= C|$)", path)]
        assert xs == sorted(xs)
    assert len(as_text(graph).splitlines()) >= 300
    assert svg(Graph({})).count("<rect") == 0
