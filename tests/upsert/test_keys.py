"""What is wrong with keys is said before anything is written; what is to happen with them, happens."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from support import Database, on

Run = Callable[..., Any]

TABLE = "CREATE TABLE t (id int, day varchar(10), a int, b varchar(20))"
BEFORE = [(1, "mon", 1, "old")]
COLUMNS = ("id", "day", "a", "b")


@pytest.fixture(autouse=True)
def table(database: Database, run_sql: Run) -> None:
    run_sql(TABLE, "INSERT INTO t VALUES (1, 'mon', 1, 'old')")


def staged(*rows: tuple[Any, ...], **arguments: Any) -> dict[str, Any]:
    return {"keys": ["id", "day"], "rows": list(rows), "columns": COLUMNS, **arguments}


def test_everything_that_is_wrong_is_said_at_once(upsert: Run, run_sql: Run) -> None:
    rows = [(1, "mon", 2, "x")] * 3 + [(2, "tue", 1, "y")] * 2
    rows += [(None, "mon", 1, "z"), (None, None, 1, "z"), (7, None, 1, "z"), (8, None, 1, "z"), (9, "wed", 1, "z")]
    with pytest.raises(AirflowException) as error:
        upsert(**staged(*rows))
    message = str(error.value)
    assert "the keys of 10 rows staged for" in message
    assert "rows with NULL in a key: 4 (day: 2; day and id: 1; id: 1)" in message
    assert "surplus rows: 3, keys shared: 2: id=1, day='mon' (3 rows); id=2, day='tue' (2 rows)" in message
    assert 'on_null_keys="drop"' in message
    assert 'on_duplicate_keys="keep_last"' in message
    assert run_sql("SELECT * FROM t") == BEFORE


def test_at_most_three_keys_are_shown(upsert: Run) -> None:
    rows = [(i, "mon", 1, "x") for i in range(5) for _ in range(2)]
    with pytest.raises(AirflowException, match="surplus rows: 5, keys shared: 5: ") as error:
        upsert(**staged(*rows))
    assert str(error.value).count("(2 rows)") == 3
    assert "; …" in str(error.value)


def test_null_equals_null_where_that_is_wanted(upsert: Run, run_sql: Run) -> None:
    rows = [(None, "mon", 1, "a"), (1, None, 1, "b"), (None, None, 1, "c"), (1, "mon", 1, "d")]
    for _ in range(2):
        outcome = upsert(**staged(*rows, on_null_keys="match"))
    assert (outcome["inserted"], outcome["updated"]) == (0, 4)
    assert run_sql("SELECT * FROM t") == sorted(rows, key=str)


def test_with_match_nulls_are_duplicates_of_each_other(upsert: Run) -> None:
    with pytest.raises(AirflowException, match="surplus rows: 1, keys shared: 1: id=None, day='mon'"):
        upsert(**staged((None, "mon", 1, "a"), (None, "mon", 2, "b"), on_null_keys="match"))


def test_rows_without_a_key_are_dropped_and_counted(upsert: Run, run_sql: Run) -> None:
    rows = [(None, "mon", 1, "a"), (1, None, 1, "b"), (None, None, 1, "c"), (1, "mon", 1, "d")]
    outcome = upsert(**staged(*rows, on_null_keys="drop"))
    counted = {word: outcome[word] for word in ("rows_staged", "null_keys_dropped", "inserted", "updated")}
    assert counted == {"rows_staged": 4, "null_keys_dropped": 3, "inserted": 0, "updated": 1}
    assert run_sql("SELECT * FROM t") == [(1, "mon", 1, "d")]


def test_all_rows_may_be_dropped(upsert: Run, run_sql: Run) -> None:
    outcome = upsert(**staged((None, "mon", 1, "a"), on_null_keys="drop"))
    assert (outcome["null_keys_dropped"], outcome["inserted"], outcome["updated"]) == (1, 0, 0)
    assert run_sql("SELECT * FROM t") == BEFORE


def test_the_last_row_is_kept_and_null_is_the_oldest(upsert: Run, run_sql: Run) -> None:
    rows = [(1, "mon", 5, "last"), (1, "mon", None, "unknown"), (1, "mon", 3, "first"), (2, "tue", None, "alone")]
    outcome = upsert(**staged(*rows, on_duplicate_keys="keep_last", order_by="a"))
    assert (outcome["duplicates"], outcome["inserted"], outcome["updated"]) == (2, 1, 1)
    assert run_sql("SELECT * FROM t") == [(1, "mon", 5, "last"), (2, "tue", None, "alone")]


def test_of_rows_that_came_at_once_the_same_one_is_always_kept(upsert: Run, run_sql: Run) -> None:
    rows = [(1, "mon", 5, "x"), (1, "mon", 5, "y"), (1, "mon", 5, None)]
    kept = []
    for order in itertools.permutations(rows):
        upsert(**staged(*order, on_duplicate_keys="keep_last", order_by=["a"]))
        kept.append(run_sql("SELECT * FROM t"))
    assert all(rows == kept[0] for rows in kept)


@on("postgres")
def test_ties_are_decided_for_types_that_cannot_be_sorted(upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE j (id int PRIMARY KEY, a int, doc json, place point)")
    rows = [{"id": 1, "a": 1, "doc": {"v": number}, "place": "(1,2)"} for number in range(3)]
    kept = []
    for order in itertools.permutations(rows):
        upsert("j", rows=order, on_duplicate_keys="keep_last", order_by="a", skip_unchanged=True)
        kept.append(run_sql("SELECT doc ->> 'v' FROM j"))
    assert all(rows == kept[0] for rows in kept)


@on("postgres")
def test_keys_that_cannot_be_compared_are_said(upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE j (id json, a int)")
    with pytest.raises(AirflowException, match="id cannot be compared: could not identify an equality operator"):
        upsert("j", sql="SELECT '{}'::json AS id, 1 AS a")


def test_an_empty_source_is_fine(upsert: Run, run_sql: Run) -> None:
    for source in ({"rows": []}, {"sql": "SELECT id, day, a, b FROM t WHERE 1 = 0"}, {"rows": lambda: iter([])}):
        outcome = upsert(keys=["id", "day"], **source)
        assert (outcome["rows_staged"], outcome["inserted"], outcome["updated"]) == (0, 0, 0)
    assert run_sql("SELECT * FROM t") == BEFORE


@on("sqlite")  # elsewhere a stage has the collations of the table
def test_keys_are_equal_where_the_tables_collation_says_so(upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE n (k varchar(9) COLLATE NOCASE, a int)", "INSERT INTO n VALUES ('a', 1)")
    rows = [{"k": "A", "a": 2}, {"k": "a", "a": 3}]
    with pytest.raises(AirflowException, match="surplus rows: 1, keys shared: 1"):
        upsert("n", ["k"], rows=rows)
    outcome = upsert("n", ["k"], rows=rows, on_duplicate_keys="keep_last", order_by="a")
    assert (outcome["inserted"], outcome["updated"], outcome["duplicates"]) == (0, 1, 1)
    assert run_sql("SELECT * FROM n") == [("a", 3)]


def test_ties_do_not_depend_on_the_order_of_the_columns(upsert: Run, run_sql: Run) -> None:
    older, newer = {"id": 7, "day": "mon", "a": None, "b": "x"}, {"id": 7, "day": "mon", "a": 5, "b": None}
    kept = []
    for names in itertools.permutations(older):
        rows = [{name: row[name] for name in names} for row in (older, newer)]
        upsert(keys=["id", "day"], rows=rows, on_duplicate_keys="keep_last", order_by="day")
        kept.append(run_sql("SELECT a, b FROM t WHERE id = 7"))
    assert all(found == kept[0] for found in kept)
