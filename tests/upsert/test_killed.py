"""Wherever the connection breaks: the table is as before or as after, and the ledger agrees."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from upsert import direct

from support import Database

Run = Callable[..., Any]

NEW = "SELECT 2 AS id, 20 AS a UNION ALL SELECT 3, 30"
BEFORE = [(1, 1), (2, 2)]
AFTER = [(1, 1), (2, 20), (3, 30)]
STRATEGIES = {
    "postgres": ("on_conflict", "merge", "update_insert", "delete_insert"),
    "redshift": ("delete_insert", "update_insert", "merge"),
    "sqlite": ("on_conflict", "update_insert", "delete_insert"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before the statement", "before its reply"])
def test_never_between(after: bool, database: Database, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int PRIMARY KEY, a int)")
    direct.run(database.session, "SELECT id, a FROM t")  # which makes the ledger
    ledger = "dataquality_publication" if database.kind == "sqlite" else "dataquality.publication"
    for strategy in STRATEGIES[database.kind]:
        number, alive = 0, False
        while not alive:
            number += 1
            run_sql("DELETE FROM t", "INSERT INTO t VALUES (1, 1), (2, 2)", f"DELETE FROM {ledger}")
            dying = direct.session(database.conn_id, direct.Dying)
            dying.at, dying.after = dying.sent + number, after
            with contextlib.suppress(Exception):
                direct.run(dying, NEW, strategy=strategy, skip_unchanged=True)
            alive = dying.sent < dying.at
            with contextlib.suppress(Exception):
                dying.connection.close()
            rows, published = run_sql("SELECT * FROM t"), run_sql(f"SELECT COUNT(*) FROM {ledger}")[0][0]
            assert (rows, published) in ((BEFORE, 0), (AFTER, 1)), f"statement {number} of {strategy}"
        assert rows == AFTER
        assert number > 15


def test_running_it_again_converges(database: Database, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    direct.run(database.session, "SELECT id, a FROM t WHERE 1 = 0")
    for number in range(1, 200, 7):
        dying = direct.session(database.conn_id, direct.Dying)
        dying.at, dying.after = dying.sent + number, True
        with contextlib.suppress(Exception):
            direct.run(dying, NEW)
        with contextlib.suppress(Exception):
            dying.connection.close()
    assert direct.run(database.session, NEW).counts.inserted == 0
    assert run_sql("SELECT * FROM t") == AFTER
