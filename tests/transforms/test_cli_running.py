"""``run`` and ``diff`` on a real Postgres."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_dataquality.cli.progress import Lines, Live, progress, told
from airflow_dataquality.transforms import load
from airflow_dataquality.transforms.runner import go, steps_of
from commands import Done, done
from support import Warehouse
from transforms.cli_project import FILES, written

Capture = pytest.CaptureFixture[str]
DAY = ("--date", "2013-01-01")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def furnished(warehouse: Warehouse) -> Warehouse:
    with warehouse.connect() as connection:
        connection.execute("CREATE SCHEMA raw; CREATE SCHEMA analytics")
    return warehouse


def rows(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.connect() as connection:
        return connection.execute(sql).fetchall()  # type: ignore[call-overload,no-any-return]


def tables(warehouse: Warehouse) -> set[str]:
    sql = "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('raw', 'analytics')"
    return {row[0] for row in rows(warehouse, sql)}


def test_everything_runs_in_order(tmp_path: Path, furnished: Warehouse, capsys: Capture) -> None:
    written(tmp_path)
    found = done(capsys, "run", *DAY)
    assert found.code == 0, found.err
    lines = [line.split() for line in found.out.splitlines() if "done" in line]
    assert [line[2] for line in lines[:4]] == ["raw.flights", "flights.carriers", "flights.daily", "flights.report"]
    assert "4 transforms: 4 done" in found.out
    assert rows(furnished, "SELECT ds::text, flights, carriers FROM analytics.report") == [("2013-01-01", 3, 2)]
    again = done(capsys, "run", "flights", *DAY, "--json").json
    assert [step["rows"] for step in again["steps"]] == [2, 2, 1]
    assert (again["done"], again["failed"], again["skipped"], again["date"]) == (3, 0, 0, "2013-01-01")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["flights", "-s", "daily.sql", "-e", "report.sql"], ["flights.daily", "flights.report"]),
        (["+flights.daily"], ["raw.flights", "flights.daily"]),
        (["daily+"], ["flights.daily", "flights.report"]),
        (["tag:small"], ["flights.carriers"]),
        (["flights", "--tag", "small"], ["flights.carriers"]),
        (["-e", "daily"], ["raw.flights", "flights.daily"]),
    ],
)
def test_selections(arguments: list[str], expected: list[str], tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    found = done(capsys, "run", *arguments, *DAY, "--dry-run", "--json").json
    assert [step["transform"] for step in found["steps"]] == expected


def test_a_dry_run_prints_the_sql_and_connects_to_nothing(tmp_path: Path, capsys: Capture) -> None:
    written(tmp_path)
    out = done(capsys, "run", "flights", *DAY, "--dry-run").out
    assert "-- 2. flights.daily (create_table_as) -> analytics.daily/ds=2013-01-01\n" in out
    assert "WHERE ds = '2013-01-01')" in out
    assert "{{" not in out


BLOCKED = FILES["flights/daily.yaml"].replace("equal_to: 0", "equal_to: 5")


def test_the_first_failure_stops_it(tmp_path: Path, furnished: Warehouse, capsys: Capture) -> None:
    written(tmp_path, {"flights/daily.yaml": BLOCKED})
    found = done(capsys, "run", *DAY)
    assert found.code == 1
    assert "it reads what flights.daily makes, which failed" in found.out
    assert "4 transforms: 2 done, 1 failed, 1 skipped" in found.out
    assert "Error: flights.daily: " in found.err
    assert "carrier_known" in found.err
    assert "Hint: look at the rejected rows" in found.err
    assert "Traceback" not in found.err
    steps = {step["transform"]: step for step in done(capsys, "run", *DAY, "--json").json["steps"]}
    assert steps["flights.daily"]["outcome"]["failed_rules"] == ["carrier_known"]
    assert steps["flights.report"]["status"] == "skipped"


def test_keep_going_runs_what_does_not_depend_on_it(tmp_path: Path) -> None:
    project = load(written(tmp_path, {
        "flights/zebra.yaml": "kind: create_table_as\noutput: analytics.zebra\n",
        "flights/zebra.sql": "SELECT 1 AS id\n",
        "flights/last.yaml": "kind: create_table_as\ninputs: [analytics.report]\noutput: analytics.last\n",
        "flights/last.sql": "SELECT flights FROM analytics.report\n",
    }), cache=False)  # fmt: skip

    def execute(transform: Any) -> Mapping[str, Any]:
        if transform.short_name == "daily":
            raise RuntimeError("boom\nand more")
        return {"rows": 1}

    def ends(*, keep_going: bool) -> dict[str, tuple[str, str]]:
        steps = steps_of(project.order())
        go(project, steps, execute, lambda _: None, keep_going=keep_going)
        return {step.transform.short_name: (step.status, step.brief) for step in steps}

    kept = ends(keep_going=True)
    assert kept["daily"] == ("failed", "RuntimeError: boom")
    assert kept["zebra"][0] == "done"
    assert kept["report"] == ("skipped", "it reads what flights.daily makes, which failed")
    assert kept["last"] == ("skipped", "it reads what flights.report makes, which was skipped")
    assert ends(keep_going=False)["zebra"] == ("skipped", "the run stopped when flights.daily failed")


def test_a_terminal_has_a_live_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    project = load(written(tmp_path), cache=False)
    steps = steps_of(project.order())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with progress(steps, "2013-01-01", verbose=False) as teller:
        assert isinstance(teller, Live)
        go(project, steps, lambda _: {"rows": 3, "warned": 1}, teller.tell)
    assert "4 transforms for 2013-01-01" in capsys.readouterr().out
    assert told(steps[0]).startswith("3 rows, 0.00 s, 1 warning")
    monkeypatch.setitem(sys.modules, "rich.live", None)
    assert isinstance(progress(steps, "2013-01-01", verbose=False), Lines)


@pytest.mark.parametrize(
    ("arguments", "changes", "error"),
    [
        (["--date", "soon"], {}, "'soon' is no day"),
        (["--conn-id", "nowhere"], {}, "connection 'nowhere' cannot be used"),
        ([], {"flights/daily.sql": "SELECT FROM ("}, "there are mistakes in what is to run"),
        (["flights", "-s", "report", "-e", "daily"], {}, "no way leads from flights.report to flights.daily"),
    ],
)
def test_what_cannot_run(
    arguments: list[str], changes: dict[str, str | None], error: str, tmp_path: Path, warehouse: Warehouse,
    capsys: Capture,
) -> None:  # fmt: skip
    written(tmp_path, changes)
    found = done(capsys, "run", *arguments)
    assert found.code == 2
    assert error in found.err
    assert "Hint:" in found.err


def test_the_embedded_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE", raising=False)
    written(tmp_path)
    seed = tmp_path / "seed.sql"
    seed.write_text("CREATE TABLE raw.flights (ds date, carrier text, origin text, delay int);\n"
                    "INSERT INTO raw.flights VALUES ('2013-01-01', 'UA', 'EWR', NULL);")  # fmt: skip
    found = done(capsys, "run", "flights", *DAY, "--embedded", "--seed", str(seed), "--json")
    assert found.code == 0, found.err
    assert [step["rows"] for step in found.json["steps"]] == [1, 1, 1]
    assert "AIRFLOW_CONN_WAREHOUSE" not in os.environ


def difference(capsys: Capture, *arguments: str) -> Done:
    found = done(capsys, "diff", *arguments, *DAY)
    assert found.code in (0, 1), found.err
    return found


def test_diff(tmp_path: Path, furnished: Warehouse, capsys: Capture) -> None:
    root = written(tmp_path)
    assert "there is no analytics.daily" in _after_raw(capsys)
    assert done(capsys, "run", *DAY).code == 0
    before = tables(furnished)
    recorded = rows(furnished, "SELECT count(*) FROM dataquality.publication")
    same = difference(capsys, "flights", "--exit-code")
    assert same.code == 0
    assert "3 tables compared: 3 the same, 0 different" in same.out
    (root / "flights/daily.sql").write_text(
        "SELECT ds, CASE carrier WHEN 'AA' THEN 'ZZ' ELSE carrier END AS carrier, COUNT(*) AS flights,\n"
        "0 AS cancelled, MAX(delay) AS worst FROM raw.flights WHERE ds = '{{ ds }}' GROUP BY 1, 2\n"
    )
    changed = difference(capsys, "daily", "--exit-code")
    assert changed.code == 1
    assert "Rows, compared by ds, carrier: 1 added, 1 removed, 1 changed" in changed.out
    assert "added: ds=2013-01-01, carrier=ZZ" in changed.out
    assert "removed: ds=2013-01-01, carrier=AA" in changed.out
    assert "cancelled, ds=2013-01-01, carrier=UA: 1 -> 0" in changed.out
    assert "analytics.daily/ds=2013-01-01 would change: 2 -> 2 rows\n" in changed.out
    without = difference(capsys, "daily", "--samples", "0").out
    assert "carrier=UA: 1 -> 0" not in without
    (told,) = difference(capsys, "daily", "--json").json["transforms"]
    columns = {column["name"]: column for column in told["columns"]}
    assert {name: column["state"] for name, column in columns.items()} == {
        "ds": "same", "carrier": "same", "flights": "same", "cancelled": "changed", "worst": "added",
    }  # fmt: skip
    assert told["rows"] == {"production": 2, "changed": 2}
    assert tables(furnished) == before
    assert rows(furnished, "SELECT count(*) FROM dataquality.publication") == recorded
    assert rows(furnished, "SELECT carrier, cancelled FROM analytics.daily ORDER BY 1") == [("AA", 0), ("UA", 1)]


def _after_raw(capsys: Capture) -> str:
    assert done(capsys, "run", "raw", *DAY).code == 0
    return difference(capsys, "daily").out


def test_diff_of_an_upsert_leaves_other_rows_alone(tmp_path: Path, furnished: Warehouse, capsys: Capture) -> None:
    root = written(tmp_path)
    assert done(capsys, "run", "+carriers", *DAY).code == 0
    (root / "flights/carriers.sql").write_text(
        "SELECT carrier, MAX(ds) AS first_seen FROM raw.flights WHERE carrier = 'AA' GROUP BY carrier\n"
    )
    (told,) = difference(capsys, "carriers", "--json").json["transforms"]
    assert told["keys"]["removed"] is None
    assert "would change: 1 row upserted into 2\n" in difference(capsys, "carriers").out
    assert (told["keys"]["added"], told["keys"]["changed"]) == (0, 1)


def test_diff_without_a_key_and_with_repeated_ones(tmp_path: Path, furnished: Warehouse, capsys: Capture) -> None:
    root = written(tmp_path)
    assert done(capsys, "run", *DAY).code == 0
    (root / "flights/report.sql").write_text(
        FILES["flights/report.sql"].replace("SUM(d.flights)", "SUM(d.flights) + 1")
    )
    found = difference(capsys, "report")
    assert "Rows, compared as a whole, as the header names no key: 1 added, 1 removed" in found.out
    (root / "flights/daily.sql").write_text(
        "SELECT ds, carrier, 1 AS flights, 0 AS cancelled FROM raw.flights WHERE ds = '{{ ds }}'\n"
    )
    found = difference(capsys, "daily")
    assert "Note: rows are not compared by ds, carrier: 1 of its values are in several rows" in found.out


def test_diff_of_json_and_of_keys_with_null(tmp_path: Path, furnished: Warehouse, capsys: Capture) -> None:
    select = 'SELECT v.id, v.doc, v.n, v."Odd ""name""" FROM (VALUES {}) AS v(id, doc, n, "Odd ""name""")\n'
    before = "(1, CAST('{\"a\": 1}' AS json), 1.5, 'x'), (2, '[]', NULL, 'y'), (NULL, '1', 1, 'z')"
    root = written(tmp_path, {
        "flights/odd.yaml": "kind: create_table_as\noutput: {table: analytics.odd}\n",
        "flights/odd.sql": select.format(before),
    })  # fmt: skip
    assert done(capsys, "run", "odd", *DAY).code == 0
    assert difference(capsys, "odd", "--json").json["transforms"][0]["same"] is True
    keyed = "kind: create_table_as\noutput: {table: analytics.odd, primary_key: [id]}\n"
    (root / "flights/odd.yaml").write_text(keyed)
    assert difference(capsys, "odd", "--json").json["transforms"][0]["keys"]["unpaired"] == 1
    (root / "flights/odd.sql").write_text(
        select.format(before.replace("'[]', NULL", "'[1]', 0").replace("1.5", "1.50"))
    )
    (told,) = difference(capsys, "odd", "--json").json["transforms"]
    assert {column["name"]: column["rows"] for column in told["columns"]} == {
        "id": None,
        "doc": 1,
        "n": 1,
        'Odd "name"': 0,
    }
    assert (told["keys"]["changed"], told["keys"]["added"], told["keys"]["removed"]) == (1, 0, 0)


def test_what_cannot_be_compared(tmp_path: Path, furnished: Warehouse, capsys: Capture) -> None:
    root = written(tmp_path)
    found = done(capsys, "diff", "raw.flights", *DAY)
    assert found.code == 2
    assert found.err.startswith("Error: raw.flights is of kind load: it has no SQL\nHint: ")
    assert done(capsys, "run", *DAY).code == 0
    (root / "flights/daily.sql").write_text(FILES["flights/daily.sql"].replace("f.carrier,", "f.carrier || 1/0,", 1))
    before = tables(furnished)
    found = done(capsys, "diff", "flights", *DAY)
    assert found.code == 2
    assert "Error: flights.daily:" in found.err or "mistakes" in found.err
    assert tables(furnished) == before
