"""Where rows come from, and what is said of rows that are none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.dialects.postgres import Postgres
from airflow_dataquality.engine.source import S3, Rows, Select
from airflow_dataquality.hooks import loading
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Table
from support import Database, Warehouse, on

Run = Callable[..., Any]


@pytest.fixture
def table(database: Database, run_sql: Run) -> str:
    run_sql("CREATE TABLE t (id int, a varchar(20), b int)")
    return "t"


def batches() -> Iterator[list[dict[str, Any]]]:
    for start in range(0, 2_500, 500):
        yield [{"b": i, "id": i, "a": f"row {i}"} for i in range(start, start + 500)]


@pytest.mark.usefixtures("table")
def test_batches_of_rows_are_loaded_and_not_held(database: Database, upsert: Run, run_sql: Run) -> None:
    outcome = upsert(rows=batches)
    assert outcome["inserted"] == 2_500
    assert run_sql("SELECT COUNT(*), SUM(b) FROM t WHERE a = 'row ' || CAST(id AS varchar(9))") == [(2500, 3123750)]
    assert upsert(rows=batches)["updated"] == 2_500


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"id": 1, "a": "x"}, {"id": 2, "c": 1}], "row 2 lacks a and also has c; the columns are id, a"),
        ([{"id": 1, "a": "x"}, (2, "y", 3)], "row 2 has 3 values, not 2 (id, a)"),
        ([{"id": 1, "a": "x"}, "text"], "row 2 is a str, neither a mapping nor a sequence"),
        ([(1, "x")], "row 1 is a tuple, whose values have no names"),
        ([{1: "x"}], "row 1 has 1 as the name of a column"),
        ([{"id": 1, "c": 1, "B2": 2}], "the source has columns that"),
        ([{"a": "x"}], "the source supplies no key column id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("table")
def test_rows_that_do_not_fit_are_named(rows: list[Any], message: str, upsert: Run, run_sql: Run) -> None:
    with pytest.raises(AirflowException) as error:
        upsert(rows=rows)
    assert message in str(error.value)
    assert "Hint: " in str(error.value)
    assert run_sql("SELECT * FROM t") == []


@pytest.mark.usefixtures("table")
def test_columns_that_the_table_lacks_are_an_error_with_both_lists(upsert: Run) -> None:
    with pytest.raises(AirflowException) as error:
        upsert(sql="SELECT 1 AS id, 2 AS bb")
    assert str(error.value).endswith(
        "does not have: bb\n  the source: id, bb\n  the table: id, a, b\n"
        "Hint: did you mean 'b'? Columns: a, b, id; or add the columns to the table"
    )


@pytest.mark.usefixtures("table")
def test_what_the_users_own_code_raises_is_passed_on(upsert: Run, run_sql: Run) -> None:
    def failing() -> Iterator[list[dict[str, Any]]]:
        yield [{"id": 1, "a": "x"}]
        raise RuntimeError("the API is down")

    with pytest.raises(RuntimeError, match="the API is down"):
        upsert(rows=failing)
    assert run_sql("SELECT * FROM t") == []


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT 1 AS id, nothing FROM nowhere", "the SELECT is not valid: "),
    ],
)
def test_a_select_that_fails_says_what_the_database_said(sql: str, message: str, upsert: Run, run_sql: Run) -> None:
    run_sql("INSERT INTO t VALUES (1, 'x', 1)")
    with pytest.raises(AirflowException, match=message):
        upsert(sql=sql)


@on("postgres", "redshift")  # SQLite divides by zero, and stores what does not fit the type of a column
@pytest.mark.usefixtures("table")
def test_values_that_the_database_refuses_are_said(upsert: Run, run_sql: Run) -> None:
    run_sql("INSERT INTO t VALUES (1, 'x', 1)")
    with pytest.raises(AirflowException, match=r"the SELECT failed: division by zero\nHint: "):
        upsert(sql="SELECT 1 / (b - b) AS id FROM t")
    with pytest.raises(AirflowException, match=r"the rows cannot be stored \(near row [12]\).*\nHint: "):
        upsert(rows=[{"id": 1, "b": "no number"}])
    assert run_sql("SELECT * FROM t") == [(1, "x", 1)]


def test_python_values_arrive_as_they_are(database: Database, upsert: Run, run_sql: Run) -> None:
    run_sql(
        "CREATE TABLE v (id int, day date, at timestamp, price numeric(12,4), ok boolean, ratio double precision, "
        "words varchar(200))"
    )
    row = {
        "id": 1,
        "day": dt.date(2024, 2, 29),
        "at": dt.datetime(2024, 2, 29, 12, 30, 1, 500000),  # noqa: DTZ001 - a timestamp without time zone
        "price": Decimal("12345678.9012"),
        "ok": True,
        "ratio": 0.1,
        "words": "tab\t line\nreturn\r back\\slash 'quote' \"double\" \\N é 🚀",
    }
    upsert("v", rows=[row, dict.fromkeys(row) | {"id": 2}])
    assert run_sql("SELECT id, words FROM v") == [(1, row["words"]), (2, None)]
    stored = run_sql("SELECT CAST(day AS varchar(30)), CAST(at AS varchar(30)), price, ratio FROM v WHERE ok")[0]
    assert stored[0] == "2024-02-29"
    assert str(stored[1]).startswith("2024-02-29 12:30:01.5")
    assert Decimal(str(stored[2])) == row["price"]
    assert stored[3] == 0.1


def test_json_and_arrays_on_postgres(warehouse: Warehouse) -> None:
    from airflow_dataquality.operators.upsert import UpsertOperator

    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE j (id uuid PRIMARY KEY, doc jsonb, list jsonb, tags text[], raw bytea)")
        key = UUID(int=7)
        row = {"id": key, "doc": {"a": [1, "é"]}, "list": [1, {"b": None}], "tags": ["x", 'y"', None], "raw": b"\x00\\"}
        operator = UpsertOperator(task_id="u", conn_id="warehouse", table="j", keys=["id"], rows=[row])
        assert operator.execute({})["inserted"] == 1
        assert connection.execute("SELECT * FROM j").fetchone() == tuple(row.values())


def test_psycopg2_loads_through_copy_too(warehouse: Warehouse) -> None:
    psycopg2 = pytest.importorskip("psycopg2")
    connection = psycopg2.connect(warehouse.uri)
    try:
        session = DbApiSession(connection, Postgres())
        session.execute("CREATE TABLE p (id int, words text, tags text[], raw bytea, doc jsonb, ok boolean)")
        row = (1, "tab\t\\N\n'é'", ["a,b", 'c"', None, "\\"], b"\x00\xff\\", {"k": "v\t"}, False)
        rows = [row, (2, None, None, None, None, None)]
        with session.transaction():
            assert session.load(Table("p"), ["id", "words", "tags", "raw", "doc", "ok"], rows) == 2
        stored = session.query("SELECT * FROM p ORDER BY id")
        assert (*stored[0][:3], bytes(stored[0][3]), *stored[0][4:]) == row
        assert tuple(stored[1]) == rows[1]
        many = ((number, "x" * 50, None, None, None, True) for number in range(20_000))
        with session.transaction():
            assert session.load(Table("p"), ["id", "words", "tags", "raw", "doc", "ok"], many) == 20_000
        assert session.query("SELECT count(*), max(length(words)) FROM p WHERE ok")[0] == (20_000, 50)
    finally:
        connection.close()


def test_inserts_are_of_bounded_size() -> None:
    rows = [(number, "x" * 2_000) for number in range(3_000)]
    batches = list(loading._batches(rows))
    assert [row for batch in batches for row in batch] == [list(row) for row in rows]
    assert max(map(len, batches)) <= loading.BATCH_ROWS
    assert all(sum(len(value[1]) for value in batch) <= loading.BATCH_CHARACTERS for batch in batches)
    assert len(list(loading._batches([("x" * 3_000_000,)] * 2))) == 2


@on("postgres", "sqlite")
def test_s3_is_redshifts(database: Database) -> None:
    source = S3("s3://lake/x", iam_role="default")
    with pytest.raises(ValueError, match=r"(?s)does not load from S3.*Hint: .*rows="):
        source.names(database.session, ())


def test_sources_say_what_they_are_without_secrets() -> None:
    assert str(Select("SELECT 1")) == "SELECT 1"
    assert str(Rows([1, 2])) == "2 rows (list)"
    assert str(Rows(iter([]))) == "rows (list_iterator)"
    assert str(Rows(batches)) == "batches of rows of batches()"
    assert str(S3("s3://lake/x", iam_role="arn:…", options=["CSV"])) == "s3://lake/x CSV"


def test_what_can_be_read_again_is_known() -> None:
    assert Rows([]).repeatable
    assert Rows(batches).repeatable
    assert not Rows(row for row in ()).repeatable
    assert Select("SELECT 1").repeatable
