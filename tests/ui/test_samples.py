"""Rows by which checks failed, and rejected rows beside production's: on Postgres and Redshift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.checks import check
from airflow_dataquality.dialects.names import Names
from airflow_dataquality.engine import blocked
from airflow_dataquality.engine.definition import definition_of
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.samples import MOST_CHECKS, Sample, Sampling
from airflow_dataquality.engine.sides import Sides, sides
from airflow_dataquality.errors import ChecksFailed
from airflow_dataquality.model import Check, Column, Interval, Metric, Table
from publishing import publish
from support import Database, on

EVERYWHERE, ENOUGH = on("postgres", "redshift"), on("postgres")
pytestmark = pytest.mark.live

ORDERS = "CREATE TABLE shop.orders (day DATE, id INT, email VARCHAR(100), state VARCHAR(20), amount NUMERIC(10,2))"
OLD = "('2024-01-01', 1, 'a@x.org', 'open', 5), ('2024-01-01', 2, 'b@x.org', 'done', 15)"
DAY = "CAST('2024-01-01' AS DATE) AS day"
NEW = (
    (1, "a@x.org", "open", 10),
    (1, None, "open", 20),
    (2, "not an address", "lost", -5),
    (None, "c@x.org", "", 1000),
)


def rows_of(day: str = DAY) -> str:
    """NEW as a SELECT."""
    sql = Names()
    lines = [
        f"SELECT {day}, CAST({sql.literal(number)} AS INT) AS id, CAST({sql.literal(email)} AS VARCHAR(100)) AS email, "
        f"CAST({sql.literal(state)} AS VARCHAR(20)) AS state, CAST({amount} AS NUMERIC(10,2)) AS amount"
        for number, email, state, amount in NEW
    ]
    return "\nUNION ALL ".join(lines)


@pytest.fixture
def orders(database: Database) -> Database:
    """A database with ``shop.orders``."""
    database.session.execute("CREATE SCHEMA shop")
    database.session.execute(ORDERS)
    database.session.execute(f"INSERT INTO shop.orders VALUES {OLD}")
    return database


def rejection_of(database: Database, checks: list[Check], sql: str, **arguments: Any) -> blocked.Rejection:
    """Have the rows rejected."""
    arguments.setdefault("partition", {"day": "2024-01-01"})
    with pytest.raises(AirflowException) as failed:
        publish("shop.orders", sql, conn_id=database.conn_id, checks=checks, **arguments)
    assert isinstance(failed.value.__cause__, ChecksFailed)
    (rejection,) = blocked.rejections(Ledger(database.session), failed.value.__cause__.outcome["run_uid"])
    return rejection


def samples_of(
    database: Database, *checks: Check, sql: str | None = None, shown: str = "day id email state amount",
    **options: Any,
) -> dict[str, Sample]:  # fmt: skip
    """Have the rows rejected, and look at them."""
    rejection = rejection_of(database, list(checks), sql or rows_of())
    session = database.session
    kept = blocked.kept(session, rejection)
    assert kept is not None
    sampling = Sampling(
        session, kept.table, session.columns(kept.table), blocked.production(rejection, kept),
        may_show=shown.split().__contains__, **options,
    )  # fmt: skip
    failed = [one for one in blocked.found(Ledger(session), rejection) if one.row["status"] in ("fail", "warn")]
    return {sample.found.row["check_name"]: sample for sample in sampling.of(failed)}


def ids(sample: Sample) -> list[Any]:
    """The ids of the sampled rows, sorted as text."""
    assert sample.problem is None, sample.problem
    at = list(sample.columns).index("id")
    return sorted((row[at] for row in sample.rows), key=str)


ROWS = [
    (check("null_count", "email", equal_to=0), [1]),
    (check("null_ratio", "email", leq_to=0), [1]),
    (check("empty_count", "state", equal_to=0), [None]),
    (check("pattern_violations", "email", pattern=r"^[^@\s]+@x\.org$", equal_to=0), [2]),
    (check("values_outside", "state", values=["open", "it's", ""], equal_to=0), [2]),
    (check("min", "amount", geq_to=0), [2]),
    (check("max", "amount", less_than=20), [1, None]),
    (check("min_length", "state", geq_to=4), [None]),
    (check("max_length", "email", leq_to=7), [2]),
    (check("null_count", "id", equal_to=0, partition_clause="amount > 500 AND state NOT IN ('open')"), [None]),
    (check("check_statement", statement="amount > 0 AND amount < 1000", name="sane"), [2, None]),
]


@EVERYWHERE
def test_rows_of_every_kind_that_blames_single_rows(orders: Database) -> None:
    found = samples_of(orders, *(one for one, _ in ROWS))
    expected = {one.name: wanted for one, wanted in ROWS}
    assert {name: ids(sample) for name, sample in found.items()} == expected
    assert {sample.what for sample in found.values()} == {"rows"}
    assert all(sample.count == len(sample.rows) for sample in found.values())


@EVERYWHERE
def test_the_worst_rows_come_first(orders: Database) -> None:
    (sample,) = samples_of(orders, check("max", "amount", less_than=6)).values()
    assert [float(row[4]) for row in sample.rows] == [1000, 20, 10]


@EVERYWHERE
def test_keys_with_how_often_they_are_there(orders: Database) -> None:
    repeated = check("unique_violations", "id", equal_to=0)
    unknown = check("unseen_values", "state", equal_to=0)
    found = samples_of(orders, repeated, unknown, check("lost_keys", "email", equal_to=0))
    keys, values, lost = (next(s for s in found.values() if s.what == what) for what in ("keys", "values", "lost"))
    assert (keys.columns, [tuple(row) for row in keys.rows], keys.count) == (["id", "rows"], [(1, 2)], 1)
    assert sorted(tuple(row) for row in values.rows) == [("", 1), ("lost", 1)]
    assert [tuple(row) for row in lost.rows] == [("b@x.org",)]


@EVERYWHERE
def test_orphans(orders: Database) -> None:
    orders.session.execute("CREATE TABLE shop.states (name VARCHAR(20))")
    orders.session.execute("INSERT INTO shop.states VALUES ('open'), ('')")
    orphans = check("orphan_count", "state", references="shop.states", referenced_columns=["name"], equal_to=0)
    (sample,) = samples_of(orders, orphans).values()
    assert [tuple(row) for row in sample.rows] == [("lost", 1)]


@EVERYWHERE
def test_rows_of_another_partition(orders: Database) -> None:
    strays = rows_of() + "\nUNION ALL SELECT CAST('2024-01-09' AS DATE), 9, 'z@x.org', 'open', 1"
    (sample,) = samples_of(orders, sql=strays).values()
    assert (ids(sample), sample.count) == ([9], 1)


@EVERYWHERE
def test_of_aggregates_the_extreme_rows_are_shown(orders: Database) -> None:
    low, high = check("mean", "amount", geq_to=2000, name="low"), check("sum", "amount", less_than=5, name="high")
    found = samples_of(orders, low, high, check("row_count", geq_to=9, name="rows"), most=1)
    assert {name: sample.what for name, sample in found.items()} == {
        "low": "extremes",
        "high": "extremes",
        "rows": None,
    }
    assert "no single row offends" in found["rows"].why
    assert float(found["high"].rows[0][4]) == 1000
    hidden = samples_of(orders, low, shown="id")["low"]
    assert (hidden.what, hidden.rows) == (None, ())


@ENOUGH
def test_without_a_list_of_columns_rows_are_only_counted(orders: Database) -> None:
    found = samples_of(orders, check("min", "amount", geq_to=0), check("unique_violations", "id", equal_to=0), shown="")
    assert not any(sample.rows for sample in found.values())
    assert sorted(sample.count for sample in found.values()) == [1, 1]  # type: ignore[type-var]
    assert {"id", "amount"} <= {name for sample in found.values() for name in sample.hidden}


@ENOUGH
def test_columns_that_are_not_on_the_list_are_not_read(orders: Database) -> None:
    (sample,) = samples_of(orders, check("null_count", "email", equal_to=0), shown="id amount").values()
    assert (sample.columns, len(sample.rows[0])) == (["id", "amount"], 2)
    assert list(sample.hidden) == ["day", "email", "state"]


@ENOUGH
def test_limits(orders: Database) -> None:
    every = [check("max", "amount", less_than=n, name=f"below {n:02}") for n in range(MOST_CHECKS + 1)]
    found = samples_of(orders, *every, most=2)
    assert {len(sample.rows) for name, sample in found.items() if name != f"below {MOST_CHECKS}"} == {2}
    assert "first 20 checks" in found[f"below {MOST_CHECKS}"].why
    late = samples_of(orders, every[0], seconds=-1)
    assert "no time left" in late["below 00"].why


STRANGE = "a \"b\" 'c' \\d; DROP TABLE shop.orders --"


@EVERYWHERE
def test_names_and_values_are_never_sql(orders: Database) -> None:
    name = STRANGE.lower()
    orders.session.execute(f"ALTER TABLE shop.orders ADD COLUMN {orders.session.dialect.identifier(name)} VARCHAR(200)")
    value = orders.session.dialect.literal(STRANGE)
    select = f"{DAY}, 1 AS id, 'e' AS email, 's' AS state, 1 AS amount"
    sql = f"SELECT {select}, CAST({value} AS VARCHAR(200)) AS {orders.session.dialect.identifier(name)}"
    group = check("values_outside", name, values=["'; DROP TABLE shop.orders --"], equal_to=0)
    found = samples_of(orders, group, check("max_length", name, leq_to=3), check("mean", "amount", geq_to=5),
                       sql=sql, shown=f"id {name}")  # fmt: skip
    assert all(sample.problem is None for sample in found.values())
    assert orders.session.query("SELECT COUNT(*) FROM shop.orders")[0][0] == 2


@pytest.mark.parametrize(
    "statement",
    [
        "id IN (SELECT 1)",
        "pg_sleep(10) IS NULL",
        "COUNT(*) > 9",
        "id > 9 -- AND TRUE",
        "id > 9); DROP TABLE shop.orders; SELECT (1",
    ],
)
@ENOUGH
def test_sql_of_the_ledger_is_not_run(orders: Database, statement: str) -> None:
    """Even if somebody has written it there by hand."""
    rejection = rejection_of(orders, [check("row_count", geq_to=9)], rows_of())
    kept = blocked.kept(orders.session, rejection)
    assert kept is not None
    columns = orders.session.columns(kept.table)
    sampling = Sampling(orders.session, kept.table, columns, rejection.partition, may_show=lambda _: True)
    definition = definition_of(
        Check("c", Metric("check_statement", params=(("statement", statement),)), Interval(1, 1))
    )
    row = {"metric": "check_statement", "column_name": None, "definition": definition, "status": "fail", "value": 0,
           "low": None, "high": None, "check_name": "c"}  # fmt: skip
    (sample,) = sampling.of([blocked.Found(row)])
    assert (sample.what, sample.problem) == (None, None)
    assert "cannot be shown row by row" in sample.why
    assert orders.session.query("SELECT COUNT(*) FROM shop.orders")[0][0] == 2


@ENOUGH
def test_the_ledger_does_not_say_which_table_is_read(orders: Database) -> None:
    """A name in it is compared with the tables that bear our mark, and not read."""
    rejection = rejection_of(orders, [check("row_count", geq_to=9)], rows_of())
    orders.session.execute("CREATE TABLE shop.other__dq_rejected (id INT)")
    forged = blocked.Rejection({**rejection.row, "run_uid": "x", "staging_table": "shop.other__dq_rejected"})
    assert blocked.kept(orders.session, forged) is None
    assert blocked.kept(orders.session, rejection) is not None


@EVERYWHERE
def test_columns_with_comments(orders: Database) -> None:
    orders.session.execute("COMMENT ON COLUMN shop.orders.email IS 'Address, PII'")
    asked = orders.session.dialect.column_comments(Table("orders", "shop"))
    assert asked is not None
    assert [tuple(row) for row in orders.session.query(asked)] == [("email", "Address, PII")]


def compared(database: Database, may_show: Callable[[Column], bool]) -> Sides:
    rejection = rejection_of(database, [check("row_count", geq_to=9)], rows_of())
    kept = blocked.kept(database.session, rejection)
    assert kept is not None
    columns = database.session.columns(kept.table)
    return sides(database.session, kept.table, blocked.production(rejection, kept), columns, may_show)


@EVERYWHERE
def test_rejected_rows_beside_production(orders: Database) -> None:
    found = compared(orders, lambda _: True)
    assert found.production is not None
    assert (found.staged.rows, found.production.rows) == (4, 2)
    assert found.pair("email", "null_count") == (1, 0, True)
    assert found.pair("id", "distinct_count") == (2, 2, False)
    staged, held, differ = found.pair("amount", "mean") or (0, 0, False)
    assert (float(staged), float(held), differ) == (256.25, 10, True)
    assert [str(side) for side in (found.pair("state", "max") or ())[:2]] == ["open", "open"]
    assert found.pair("state", "mean") is None
    assert not found.staged.problems
    assert not found.production.problems


@ENOUGH
def test_values_that_may_not_be_shown_are_not_measured(orders: Database) -> None:
    found = compared(orders, lambda column: column.name != "email")
    assert found.withheld == ["email"]
    assert found.pair("email", "min") is None
    assert found.pair("email", "null_count") == (1, 0, True)


@ENOUGH
def test_there_may_be_no_production(orders: Database) -> None:
    orders.session.execute("DROP TABLE shop.orders")
    rejection = rejection_of(orders, [check("row_count", geq_to=9)], rows_of())
    kept = blocked.kept(orders.session, rejection)
    assert kept is not None
    found = sides(orders.session, kept.table, None, orders.session.columns(kept.table), lambda _: True)
    assert (found.production, found.staged.rows) == (None, 4)
    orders.session.execute(ORDERS)
