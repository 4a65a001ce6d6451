"""The same metrics for every value of a dimension: new ones, vanished ones, many, and odd ones."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from anomaly import lab
from anomaly.lab import ago

from support import Database, on

COLUMNS = "ds date, origin varchar(100), dest varchar(100), delay double precision"
ODD = ["it's", "back\\slash", 'say "hi"', "Größe 大", "{curly} %s", "", "NULL", " blank ", "a\nb", "\x1f"]


def fill(database: Database, sizes: dict[Any, Any], columns: str = COLUMNS) -> None:
    """So many rows of a day (so many days ago) and a value, or two values."""
    lab.make(database, columns)
    rows = []
    for (n, *values), size in sizes.items():
        rows += [(ago(n), *values, *([] if len(values) > 1 else ["X"]), 5.0)] * size
    lab.insert(database, rows)


def look(database: Database, **arguments: Any) -> dict[str, Any]:
    """What was said of each value: of its number of rows."""
    outcome = lab.look(database, **{"metrics": ["row_count"], "dimensions": ["origin"], **arguments})
    return {
        name.removeprefix("row_count "): test
        for name, test in lab.verdicts(outcome).items()
        if name.startswith("row_count {")
    }


def said(found: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    return {json.loads(name).get("origin"): (test["status"], test["value"]) for name, test in found.items()}


def test_values_that_come_and_go(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    past = range(30, 0, -1)
    steady = {(n, "EWR"): 10 for n in past} | {(0, "EWR"): 10}
    shrunk = {(n, None): 8 for n in past} | {(0, None): 2}
    gone = {(n, "LGA"): 6 for n in past}
    seldom = {(n, "HPN"): 1 for n in past if n % 3 == 0}
    recent = {(n, "SWF"): 4 for n in (3, 2, 1)} | {(0, "SWF"): 40}
    fill(database, steady | shrunk | gone | seldom | recent | {(0, "NEW"): 7})
    lab.listen(caplog)
    found = look(database)
    assert said(found) == {
        "EWR": ("pass", 10),
        None: ("warn", 2),
        "LGA": ("warn", 0),
        "HPN": ("pass", 0),
        "SWF": ("skip", 40),
        "NEW": ("skip", 7),
    }
    assert found['{"origin": "LGA"}']["reason"].startswith('row_count {"origin": "LGA"} is 0, expected about 6 (')
    assert found['{"origin": "NEW"}']["reason"].endswith("0 of the last 90 days are known, and 14 are needed")
    # From the first day on that it was seen, a value without rows had none.
    assert (found['{"origin": "HPN"}']["history"], found['{"origin": "SWF"}']["history"]) == (30, 3)
    # One history, one scan and one bootstrap for the whole; and for the dimension, a scan and a bootstrap. As it warns,
    # one more: whether somebody has muted that.
    reading = [sql for sql in lab.sent(caplog) if sql.startswith("SELECT")]
    assert len(reading) == 5 + 1
    lab.listen(caplog)
    assert look(database) == found
    again = lab.sent(caplog)
    assert (len([sql for sql in again if sql.startswith("SELECT")]), len(again)) == (3 + 1, 3 + 1 + 3)
    # The next day knows the same, and one more.
    lab.insert(database, [(ago(-1), "EWR", "X", 5.0)] * 10 + [(ago(-1), "NEW", "X", 5.0)] * 7)
    following = look(database, partition={"ds": ago(-1)}, history="ledger")
    assert {name: test["history"] for name, test in following.items()} == {
        '{"origin": "EWR"}': 31,
        '{"origin": null}': 31,
        '{"origin": "LGA"}': 31,
        '{"origin": "HPN"}': 31,
        '{"origin": "SWF"}': 4,
        '{"origin": "NEW"}': 1,
    }


def test_all_metrics_of_a_value(database: Database) -> None:
    fill(database, {(n, origin): 5 for n in range(30, -1, -1) for origin in ("EWR", "JFK") if n or origin == "EWR"})
    metrics = ["row_count", "mean", "null_ratio:origin", {"metric": "quantile", "column": "delay", "q": 0.5},
               "column_count", "stddev", {"metric": "custom_sql", "sql": "SELECT COUNT(*) FROM {table}"}]  # fmt: skip
    found = lab.statuses(lab.look(database, metrics=metrics, dimensions=["origin"]))
    grouped = {name: status for name, status in found.items() if "EWR" in name or "JFK" in name}
    # Where a deviation or a quantile is a scan of its own, no value of a dimension has one.
    more = {"postgres": ["quantile(delay, q=0.5)", "stddev(delay)"], "redshift": ["stddev(delay)"]}
    names = ["row_count", "mean(delay)", *more.get(database.kind, [])]
    assert set(grouped) == {f'{name} {{"origin": "{origin}"}}' for name in names for origin in ("EWR", "JFK")}
    assert {status for name, status in grouped.items() if "EWR" in name} == {"pass"}
    gone = {name: status for name, status in grouped.items() if "JFK" in name}
    assert gone == {name: "warn" if name.startswith("row_count") else "skip" for name in gone}


def test_more_values_than_are_looked_at(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    sizes = {(n, f"v{size}"): size for n in range(20, -1, -1) for size in range(1, 8)}
    fill(database, sizes | {(0, "v1"): 30, (0, "new"): 20} | {(n, "old"): 99 for n in range(20, 0, -1)})
    with caplog.at_level("WARNING"):
        found = said(look(database, max_values=4))
    assert "origin has more than 4 values; those with most rows are looked at" in caplog.text
    assert found == {"v1": ("skip", 30), "new": ("skip", 20), "v7": ("pass", 7), "v6": ("pass", 6)}
    # What is known by now is as good as what is new.
    assert set(said(look(database, max_values=4))) == {"v1", "new", "v7", "v6"}
    assert set(said(look(database, max_values=9, history="table"))) == {"old", *found, "v2", "v3", "v4", "v5"}


def test_values_of_every_kind(database: Database) -> None:
    odd = [text for text in ODD if database.kind != "redshift" or text]
    fill(database, {(n, text): 3 for n in range(16, -1, -1) for text in odd if n or text != "it's"})
    found = look(database)
    assert said(found) == {text: ("warn", 0) if text == "it's" else ("pass", 3) for text in odd}
    assert look(database, history="ledger") == found


def test_two_columns_in_one(database: Database) -> None:
    fill(
        database,
        {(n, o, d): 4 for n in range(20, -1, -1) for o in "AB" for d in ("X", "Y", None) if n or (o, d) != ("A", "Y")},
    )
    found = look(database, dimensions=[["origin", "dest"], "dest"])
    pairs = {tuple(json.loads(name).items()): test["status"] for name, test in found.items()}
    expected = {
        (("dest", d), ("origin", o)): "warn" if (o, d) == ("A", "Y") else "pass" for o in "AB" for d in ("X", "Y", None)
    }
    assert pairs == expected | {(("dest", d),): "warn" if d == "Y" else "pass" for d in ("X", "Y", None)}
    assert look(database, dimensions=[["origin", "dest"], "dest"], history="ledger") == found


def test_values_that_are_no_texts(database: Database) -> None:
    lab.make(database, "ds date, day date, flag boolean, number integer, fare decimal(8, 2)")
    for n in range(20, -1, -1):
        lab.insert(database, [(ago(n), date(2012, 1, 1 + i), bool(i), 7 + i, 1.5 + i) for i in range(2 if n else 1)])
    dimensions = ["day", "flag", "number", "fare", ["flag", "fare"]]
    first = lab.look(database, metrics=["row_count"], dimensions=dimensions)
    statuses = lab.statuses(first)
    assert len(statuses) == 1 + 2 * 5
    assert sorted(statuses.values()).count("warn") == 1 + 5
    assert lab.look(database, metrics=["row_count"], dimensions=dimensions, history="ledger")["tests"] == first["tests"]


def test_the_clause_narrows_the_values_too(database: Database) -> None:
    fill(database, {(n, o, d): 4 for n in range(20, -1, -1) for o in "AB" for d in "XY"})
    outcome = lab.look(database, partition_clause="dest = 'X' -- only", metrics=["row_count"], dimensions=["origin"])
    values = {name.partition(" {")[2]: test["value"] for name, test in lab.verdicts(outcome).items()}
    assert values == {"": 8, '"origin": "A"}': 4, '"origin": "B"}': 4}
    assert {test["status"] for test in outcome["tests"]} == {"pass"}


def test_a_day_on_which_a_dimension_was_not_looked_at_is_none_without_rows(database: Database) -> None:
    fill(database, {(n, "EWR"): 5 for n in range(20, -1, -1)})
    look(database, partition={"ds": ago(5)})
    for n in (4, 3, 2, 1):
        lab.look(database, partition={"ds": ago(n)}, metrics=["row_count"])
    found = look(database, history="ledger")
    assert [(test["status"], test["history"]) for test in found.values()] == [("pass", 16)]


@on("postgres")
def test_a_column_that_has_no_groups(database: Database) -> None:
    lab.make(database, "ds date, doc json")
    lab.insert(database, [(ago(n), "{}") for n in range(20, -1, -1)])
    with pytest.raises(AirflowException, match=r"cannot be measured for each doc: could not identify .*\nHint: "):
        lab.look(database, dimensions=["doc"])


WRONG: list[tuple[Any, str]] = [
    ({"dimensions": ["orign"]}, "did you mean 'origin'?"),
    ({"dimensions": ["*"]}, "there is no column '*'"),
    ({"dimensions": ["ds"]}, "the dimension 'ds' is part of the partition"),
    ({"metrics": ["null_ratio:origin"]}, "no metric can be measured for each origin of"),
]


def test_what_is_no_dimension(database: Database) -> None:
    fill(database, {(0, "EWR"): 5})
    for arguments, says in WRONG:
        with pytest.raises(AirflowException) as raised:
            look(database, **arguments)
        assert says in str(raised.value)
        assert "Hint: " in str(raised.value)


def test_a_second_dimension_is_not_measured_within_the_first(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    fill(database, {(n, origin, dest): 3 for n in range(16) for origin in ("EWR", "JFK") for dest in ("ORD", "LAX")})
    lab.listen(caplog)
    names = lab.verdicts(lab.look(database, metrics=["row_count", "mean:delay"], dimensions=["origin", "dest"]))
    assert len(names) == 2 + 2 * 2 + 2 * 2
    statements = [sql for sql in lab.sent(caplog) if sql.startswith("SELECT\n") and "GROUP BY" in sql]
    assert [sql.replace("origin", "dest") for sql in statements[1:3]] == statements[3:5]


def test_values_of_another_region_take_no_place(database: Database) -> None:
    lab.make(database, "ds date, region varchar(2), origin varchar(9), delay double precision")
    sizes = {("US", "EWR"): 9, ("US", "JFK"): 8, ("EU", "BER"): 2, ("EU", "ORY"): 1}
    lab.insert(
        database, [(ago(n), *place, 5.0) for n in range(16) for place, size in sizes.items() for _ in range(size)]
    )
    found = look(database, partition={"ds": ago(0), "region": "EU"}, max_values=2)
    assert {json.loads(name)["origin"]: test["history"] for name, test in found.items()} == {"BER": 15, "ORY": 15}
