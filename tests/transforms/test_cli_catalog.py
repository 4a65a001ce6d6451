"""``docs``: a catalog as a folder of HTML."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

from airflow_dataquality.transforms import load
from airflow_dataquality.transforms.entries import entries_of
from airflow_dataquality.transforms.origins import Origin, origins_of
from commands import done
from support import Warehouse
from transforms.cli_project import written

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value and not value.startswith(("data:", "#")):
                self.found.append(value)
            if name == "id" and value:
                self.ids.add(value)


def links(page: Path) -> _Links:
    parser = _Links()
    parser.feed(page.read_text())
    return parser


def test_every_link_leads_somewhere_in_the_folder(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    found = done(capsys, "docs", "--json").json
    assert found == {"index": "catalog/index.html", "tables": 4, "pages": 7, "notes": []}
    for page in Path("catalog").rglob("*.html"):
        for link in links(page).found:
            assert "://" not in link
            address, anchor = urldefrag(link)
            place = page.parent / unquote(address)
            assert place.is_file(), (page, link)
            assert not anchor or anchor in links(place).ids, (page, link)


def test_texts_are_escaped(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    assert done(capsys, "docs").code == 0
    page = Path("catalog/tables/analytics.daily.html").read_text()
    assert "flights without a &lt;b&gt;delay&lt;/b&gt;" in page
    assert "Flights &amp; &lt;carriers&gt;." in Path("catalog/pipelines/flights.html").read_text()
    assert "<svg" in page


def test_lineage_leads_to_columns(tmp_path: Path) -> None:
    project = load(written(tmp_path), cache=False)
    assert origins_of(project, project.transform("daily")) == {
        "ds": (Origin("raw.flights", "ds"),),
        "carrier": (Origin("raw.flights", "carrier"),),
        "flights": (),
        "cancelled": (Origin("raw.flights", "delay"),),
    }
    delay = entries_of(project)["raw.flights"].column("delay")
    assert delay is not None
    assert [(reader.table, reader.column) for reader in delay.readers] == [("analytics.daily", "cancelled")]
    carrier = entries_of(project)["analytics.daily"].column("carrier")
    assert carrier is not None
    assert [(reader.transform, reader.column) for reader in carrier.readers] == [("flights.report", None)]


def test_what_a_warehouse_knows(tmp_path: Path, warehouse: Warehouse, capsys: Capture) -> None:
    written(tmp_path)
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA analytics")
    first = done(capsys, "docs", "--conn-id", "warehouse")
    assert "Note: there is no ledger" in first.out
    assert done(capsys, "run", "--date", "2013-01-01").code == 0
    found = done(capsys, "docs", "--conn-id", "warehouse", "--json")
    assert found.json["notes"] == []
    page = re.sub(r"<[^>]+>|\s+", " ", Path("catalog/tables/analytics.daily.html").read_text())
    assert "ds=2013-01-01, 2 rows" in re.sub(" +", " ", page)
    assert re.search(r"carrier_known +(?:= )?0? *.*error +pass", re.sub(" +", " ", page))
    assert "bigint" in page
    assert "published" in page


def test_pages_of_tables_that_are_gone_are_removed(tmp_path: Path, capsys: Capture) -> None:
    root = written(tmp_path)
    assert done(capsys, "docs").code == 0
    (root / "flights/report.yaml").unlink()
    (root / "flights/report.sql").unlink()
    listing = json.loads(Path("catalog/catalog.json").read_text())
    listing["pages"] += ["../keep.html", "index.html"]
    Path("catalog/catalog.json").write_text(json.dumps(listing))
    Path("keep.html").write_text("mine")
    assert done(capsys, "docs").code == 0
    assert not Path("catalog/tables/analytics.report.html").exists()
    assert Path("keep.html").exists()


def test_another_folder_is_not_written_into(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    Path("mine").mkdir()
    Path("mine/index.html").write_text("mine")
    found = done(capsys, "docs", "--output", "mine")
    assert found.code == 2
    assert "holds something else than a catalog" in found.err
    assert Path("mine/index.html").read_text() == "mine"
    assert done(capsys, "docs", "--output", "mine", "--force").code == 0


def test_strange_names_are_files_and_text(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path, {
        "flights/odd.yaml": "kind: create_table_as\noutput: {table: 'analytics.\"../<X> é\"'}\n",
        "flights/odd.sql": 'SELECT 1 AS "<script>"\n',
    })  # fmt: skip
    assert done(capsys, "docs").code == 0
    page = next(Path("catalog/tables").glob("analytics.*~3c*"))
    assert page.parent == Path("catalog/tables")
    assert "<script>alert" not in page.read_text()
    assert "&lt;script&gt;" in page.read_text()
    assert not re.search(r"<th scope=\"row\"><script>", page.read_text())
