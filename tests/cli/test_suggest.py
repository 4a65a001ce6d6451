"""``airflow dq suggest``: what it proposes holds of the rows that it looked at, whatever they are."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_dataquality import manual, suggest
from airflow_dataquality.checks import check
from airflow_dataquality.lint import lint
from airflow_dataquality.model import Table
from airflow_dataquality.proposals import rounded
from commands import done
from history import FIRST, day, fill
from publishing import publish
from support import Database, Warehouse, on

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=10)
CODES = st.sampled_from(
    ["", "NO", "yes", "1", "null", "x{{ y }}", "größe", "a\nb", "#", " - a", "'", '"', "\u2028", "\x07"]
)
DATES = st.dates(date(1990, 1, 1), date(2040, 1, 1))
TYPES: dict[str, Any] = {
    "INTEGER": st.integers(-5, 5) | st.integers(-(2**31), 2**31 - 1),
    "BIGINT": st.integers(0, 2**62),
    "DOUBLE PRECISION": st.floats(allow_nan=False, allow_infinity=False),
    "VARCHAR(40)": TEXTS,
    "TEXT": CODES,
    "DATE": DATES,
}
POSTGRES: dict[str, Any] = {
    **TYPES,
    "DOUBLE PRECISION": st.floats(),
    "NUMERIC(38, 10)": st.decimals(-(10**9), 10**9, places=10) | st.just("NaN"),
    "BOOLEAN": st.booleans(),
    "CHAR(6)": CODES.map(lambda text: text[:6]),
    "TIMESTAMP WITH TIME ZONE": st.datetimes(),
    "JSON": st.sampled_from(['{"a": 1}', "[]", "null"]),
    "JSONB": st.sampled_from(['{"a": 1}', "[]", "null"]),
    "UUID": st.uuids().map(str),
    "TEXT[]": st.sampled_from(["{}", "{a,b}"]),
    "INTERVAL": st.sampled_from(["1 day", "-2 hours"]),
    "MONEY": st.integers(-9, 9),
    "BYTEA": st.just("abc"),
}


@st.composite
def tables(draw: st.DrawFn, types: dict[str, Any]) -> tuple[dict[str, str], list[list[Any]]]:
    """Columns with their types, and rows: few different ones, often, or all different."""
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold))
    kinds = [draw(st.sampled_from(sorted(types))) for _ in names]
    values = [
        st.none() if draw(st.integers(0, 5)) == 0 else types[kind] if draw(st.booleans()) else types[kind] | st.none()
        for kind in kinds
    ]
    rows = draw(st.lists(st.tuples(*values).map(list), max_size=12))
    return {"part": "VARCHAR(10)", **dict(zip((f"{name}_" for name in names), kinds, strict=True))}, [
        [part, *row] for row in rows * draw(st.sampled_from([1, 1, 40])) for part in draw(PARTS)
    ]


PARTS = st.sampled_from([["a"], ["a", "b"], ["2024-01-01", "2024-01-02", None], [f"p{n}" for n in range(7)]])


def passes(database: Database, folder: Path, by: str | None) -> None:
    """Suggest, and check what is suggested on what it was suggested from."""
    found = suggest.suggest(database.conn_id, "t", partition_column=by)
    file = folder / "rules.yaml"
    file.write_text(found.as_yaml(), encoding="utf-8")
    rules = yaml.safe_load(file.read_text(encoding="utf-8"))["rules"]
    assert rules == [{**proposal.rule} for proposal in found.proposals]
    assert lint(str(file)) == []
    parts = {row[0] for row in database.session.query('SELECT DISTINCT "part" FROM t')} if by else {0}
    for part in parts:
        outcome, failed = manual.check(
            database.conn_id, "t", [str(file)], partition={"part": part} if by else None, fail_on="warn"
        )
        ends = {result["reason"] for result in outcome["results"] if result["status"] not in ("pass", "skip")}
        assert (failed, ends) == (False, set())


def fill_table(database: Database, columns: dict[str, str], rows: list[list[Any]]) -> None:
    sql = database.session.dialect
    database.session.execute("DROP TABLE IF EXISTS t")
    listed = ", ".join(f"{sql.identifier(name)} {kind}" for name, kind in columns.items())
    database.session.execute(f"CREATE TABLE t ({listed})")
    with database.session.transaction():
        for start in range(0, len(rows), 500):
            database.session.execute(sql.insert(Table("t"), list(columns), rows[start : start + 500]))


@on("sqlite")
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(table=tables(TYPES), by=st.sampled_from([None, "part"]))
def test_what_is_suggested_passes(
    database: Database, tmp_path: Path, table: tuple[dict[str, str], list[list[Any]]], by: str | None
) -> None:
    fill_table(database, *table)
    passes(database, tmp_path, by)


@on("postgres")
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(table=tables(POSTGRES), by=st.sampled_from([None, "part"]))
def test_what_is_suggested_passes_on_postgres(
    database: Database, tmp_path: Path, table: tuple[dict[str, str], list[list[Any]]], by: str | None
) -> None:
    fill_table(database, *table)
    passes(database, tmp_path, by)


@on("redshift")
def test_what_is_suggested_passes_on_redshift(database: Database, tmp_path: Path) -> None:
    columns = {"part": "VARCHAR(10)", "id": "BIGINT", "code": "CHAR(2)", "fare": "DOUBLE PRECISION", "ok": "BOOLEAN",
               "day": "DATE"}  # fmt: skip
    rows = [[part, n, "ab", n / 3, n % 2 == 0, FIRST] for part in ("a", "b") for n in range(40)]
    fill_table(database, columns, rows)
    passes(database, tmp_path, None)
    passes(database, tmp_path, "part")


SHOP = {"part": "DATE", "id": "INTEGER", "sku": "VARCHAR(4)", "price": "DOUBLE PRECISION", "size": "VARCHAR(9)",
        "note": "VARCHAR(99)", "gone": "INTEGER"}  # fmt: skip


def shop(days: int = 20) -> list[list[Any]]:
    """Rows with something to find in each column."""
    return [
        [day(d), d * 100 + n, f"A{n:03}", 5.0 + n % 7, ("S", "M", "L")[n % 3], None if n % 4 else f"note {n}{d}", None]
        for d in range(days)
        for n in range(40 + d % 3)
    ]


def suggested(database: Database, **arguments: Any) -> dict[tuple[str, str | None], dict[str, Any]]:
    found = suggest.suggest(database.conn_id, "t", **arguments)
    return {
        (rule["check"], rule.get("column")): rule.get("condition", {})
        for rule in (proposal.rule for proposal in found.proposals)
    }


def test_what_is_found_in_a_table(database: Database) -> None:
    fill_table(database, SHOP, shop())
    assert suggested(database) == {
        ("schema", None): {},
        ("row_count", None): {"greater_than": 0},
        ("null_count", "part"): {"equal_to": 0},
        ("null_count", "id"): {"equal_to": 0},
        ("unique_violations", "id"): {"equal_to": 0},
        ("min", "id"): {"geq_to": 0},
        ("null_count", "sku"): {"equal_to": 0},
        ("min_length", "sku"): {"equal_to": 4},
        ("max_length", "sku"): {"equal_to": 4},
        ("null_count", "price"): {"equal_to": 0},
        ("min", "price"): {"geq_to": 0},
        ("null_count", "size"): {"equal_to": 0},
        ("min_length", "size"): {"equal_to": 1},
        ("max_length", "size"): {"equal_to": 1},
        ("values_outside", "size"): {"equal_to": 0},
        ("empty_count", "note"): {"equal_to": 0},
    }


def test_what_is_found_in_partitions(database: Database) -> None:
    fill_table(database, SHOP, shop())
    found = suggested(database, partition_column="part")
    assert found[("row_count", None)] == {"geq_to": 20, "leq_to": 84}
    assert found[("unique_violations", "sku")] == {"equal_to": 0}
    assert found[("mean", "price")]["geq_to"] < 8 < found[("mean", "price")]["leq_to"]
    assert ("null_count", "part") not in found
    assert ("mean", "id") not in found


@on("sqlite")
def test_the_newest_partitions(database: Database) -> None:
    fill_table(database, SHOP, [*shop(), *([day(30), 1, "x", 1, "s", "n", 1] for _ in range(100))])
    found = suggest.suggest("lite", "t", partition_column="part", last=3)
    assert (found.partitions, found.rows) == (3, 100 + 41 + 40)


@on("sqlite")
def test_the_ledger_widens_what_the_table_tells(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(database.session, table="t", rows=lambda number: 400 if number == 5 else 40)
    given = ("--conn-id", "lite", "--partition-column", "ds", "--last", "120", "--json")
    file = tmp_path / "r.yaml"
    file.write_text("rules: [{check: row_count, condition: {greater_than: 0}}]")
    done(capsys, "check", "t", "--conn-id", "lite", "--partition", f"ds={day(5)}", "--rules", str(file), "--record")
    database.session.execute(f"DELETE FROM t WHERE ds = '{day(5)}'")
    (rule,) = [rule for rule in done(capsys, "suggest", "t", *given).json["rules"] if rule["check"] == "row_count"]
    assert rule["condition"] == {"geq_to": 20, "leq_to": 800}
    done(capsys, "mark", "t", "--conn-id", "lite", "--partition", f"ds={day(5)}", "--note", "sale")
    (rule,) = [rule for rule in done(capsys, "suggest", "t", *given).json["rules"] if rule["check"] == "row_count"]
    assert rule["condition"] == {"geq_to": 20, "leq_to": 80}


@on("sqlite")
def test_every_rule_says_why(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    fill_table(database, SHOP, shop())
    out = done(capsys, "suggest", "t", "--conn-id", "lite", "--partition-column", "part").out
    assert out.startswith(f"# Proposed from t, {len(shop()):,} rows in 20 partitions by part. Edit it: ")
    assert "  # 40 to 42 rows in 20 partitions; half the fewest, twice the most\n  - check: row_count\n" in out
    assert "  # - check: row_count\n  #   baseline: auto\n" in out
    assert "# Nothing is proposed for:\n#   gone: every value is NULL\n" in out
    lines = out.splitlines()
    assert all("# " in lines[n - 1] for n, line in enumerate(lines) if line.startswith("  - "))


def test_an_empty_table(database: Database, tmp_path: Path) -> None:
    fill_table(database, SHOP, [])
    assert set(suggested(database)) == set(suggested(database, partition_column="part")) == {("schema", None)}
    passes(database, tmp_path, None)


@on("sqlite")
def test_few_rows_prove_nothing(database: Database) -> None:
    fill_table(database, SHOP, shop()[:5])
    found = suggest.suggest("lite", "t")
    told = {(p.rule["check"], p.rule.get("severity", "error")) for p in found.proposals}
    assert told == {("schema", "error"), ("row_count", "error"), ("null_count", "warn")}


def test_how_many_statements(warehouse: Warehouse, caplog: pytest.LogCaptureFixture) -> None:
    columns = ", ".join(f"c{n} integer, t{n} text" for n in range(30))
    with warehouse.connect() as connection:
        connection.execute(f"CREATE TABLE t ({columns})")  # type: ignore[call-overload]
        connection.execute("INSERT INTO t SELECT FROM generate_series(1, 100)")
    with caplog.at_level("DEBUG", logger="airflow_dataquality.hooks.session"):
        suggest.suggest("warehouse", "t")
    assert len([message for message in caplog.messages if 'FROM "public"."t"' in message]) == 2


def test_what_is_suggested_is_what_a_load_can_pass(warehouse: Warehouse, tmp_path: Path) -> None:
    sql = "SELECT '{0}'::date AS ds, i AS id, 'x' || i % 3 AS kind FROM generate_series(1, 50) AS i"
    for number in range(3):
        when = (FIRST + timedelta(days=number)).isoformat()
        publish("t", sql.format(when), partition={"ds": when}, checks=[check("row_count", greater_than=0)])
    file = tmp_path / "rules.yaml"
    suggest.write(file, suggest.suggest("warehouse", "t", partition_column="ds").as_yaml(), force=False)
    when = (FIRST + timedelta(days=9)).isoformat()
    assert publish("t", sql.format(when), partition={"ds": when}, checks=str(file), fail_on="warn")["published"]


@on("sqlite")
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nowhere",), "Error: there is no table nowhere"),
        (("t", "--partition-column", "prat"), "'prat' is not in t\nHint: did you mean 'part'?"),
        (("t", "--output", "/nowhere/rules.yaml"), "cannot be written: No such file or directory"),
        (("t", "--last", "0"), "last is 0"),
        (("t", "--where", "missing = 1"), "the rows of t cannot be read: no such column: missing"),
    ],
)
def test_mistakes(
    database: Database, arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_table(database, SHOP, shop(1))
    ended = done(capsys, "suggest", *arguments, "--conn-id", "lite")
    assert ended.code == 2
    assert complaint in ended.err


@on("sqlite")
def test_files_are_not_overwritten_unasked(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_table(database, SHOP, shop(1))
    file = tmp_path / "rules.yaml"
    given = ("suggest", "t", "--conn-id", "lite", "--output", str(file))
    assert done(capsys, *given).out == f"{file}: 17 rules of t, 40 rows\n"
    again = done(capsys, *given)
    assert (again.code, again.err) == (2, f"Error: already there: {file}\nHint: --force overwrites it\n")
    assert done(capsys, *given, "--force").code == 0
    assert done(capsys, "lint", str(file)).code == 0
    assert done(capsys, "check", "t", "--conn-id", "lite", "--rules", str(file), "--fail-on", "warn").code == 0


@given(st.floats(-1e300, 1e300, allow_subnormal=False))
def test_rounding_goes_outward(value: float) -> None:
    assert rounded(value, -1) <= value <= rounded(value, +1)
    assert abs(rounded(value, +1) - value) <= abs(value) / 5
