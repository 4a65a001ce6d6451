"""Which strategy is taken, what each leaves alone, and what is refused before anything is written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.operators.upsert import UpsertOperator
from airflow_dataquality.plans.upsert import STRATEGIES
from support import Database, Warehouse, on

Run = Callable[..., Any]

ROW = {"id": 1, "a": 9}
FALLBACK = {"postgres": "merge", "sqlite": "update_insert", "redshift": "delete_insert"}
BEST = {"postgres": "on_conflict", "sqlite": "on_conflict", "redshift": "delete_insert"}


@pytest.fixture
def pg(warehouse: Warehouse) -> Any:
    """A connection to Postgres."""
    with warehouse.connect() as connection:
        yield connection


def on_postgres(table: str = "t", keys: Any = ("id",), **arguments: Any) -> dict[str, Any]:
    return UpsertOperator(task_id="u", conn_id="warehouse", table=table, keys=keys, **arguments).execute({})


def test_auto_takes_the_best_that_fits(database: Database, upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int PRIMARY KEY, a int)", "CREATE TABLE bare (id int, a int)")
    assert upsert(rows=[ROW])["strategy"] == BEST[database.kind]
    assert upsert("bare", rows=[ROW])["strategy"] == FALLBACK[database.kind]
    nulls = {"postgres": "update_insert"}.get(database.kind, FALLBACK[database.kind])
    assert upsert("bare", rows=[{"id": None, "a": 1}], on_null_keys="match")["strategy"] == nulls


def test_the_log_says_why(database: Database, upsert: Run, run_sql: Run, caplog: pytest.LogCaptureFixture) -> None:
    run_sql("CREATE TABLE t (id int, a int, c int)")
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        upsert(rows=[ROW])
    why = "No delete_insert into" if database.kind == "redshift" else "No on_conflict into"
    assert why in caplog.text
    assert (
        "column c is not supplied" in caplog.text or "no unique index that it can use is on exactly id" in caplog.text
    )


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
@pytest.mark.parametrize("skip_unchanged", [False, True])
def test_every_strategy_counts_what_it_did(
    strategy: str, skip_unchanged: bool, database: Database, upsert: Run, run_sql: Run
) -> None:
    run_sql(
        "CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(9))", "INSERT INTO t VALUES (1, 1, 'x'), (2, NULL, 'y')"
    )
    arguments = {"rows": [(1, 1, "x"), (2, 2, "y"), (3, 3, None)], "columns": ["id", "a", "b"], "strategy": strategy}
    if strategy not in database.session.dialect.strategies:
        with pytest.raises(AirflowException, match=f"strategy '{strategy}' does not exist on {database.kind}"):
            upsert(**arguments)
        return
    outcome = upsert(**arguments, skip_unchanged=skip_unchanged)
    assert outcome["strategy"] == strategy
    counts = (outcome["inserted"], outcome["updated"], outcome["unchanged"])
    assert counts == ((1, 1, 1) if skip_unchanged else (1, 2, 0))
    assert run_sql("SELECT * FROM t") == [(1, 1, "x"), (2, 2, "y"), (3, 3, None)]


def test_rows_that_are_skipped_are_not_written(pg: Any) -> None:
    pg.execute('CREATE TABLE t (id int PRIMARY KEY, a float8, b numeric, c text COLLATE "C", d json, e point)')
    select = "SELECT 1 AS id, 'NaN'::float8 AS a, 1.0 AS b, 'x' AS c, '{\"k\": 1}'::json AS d, point '(1,2)' AS e"
    for strategy in ("on_conflict", "merge", "update_insert", "delete_insert"):
        pg.execute("DELETE FROM t")
        on_postgres(sql=select, strategy=strategy)
        before = pg.execute("SELECT xmin, ctid FROM t").fetchall()
        assert on_postgres(sql=select, strategy=strategy, skip_unchanged=True)["unchanged"] == 1
        assert pg.execute("SELECT xmin, ctid FROM t").fetchall() == before
        # 1.0 and 1.00 print differently, so that the row is written.
        assert on_postgres(sql=select.replace("1.0", "1.00"), strategy=strategy, skip_unchanged=True)["updated"] == 1


@on("postgres", "sqlite")  # the double has no CASE_INSENSITIVE columns
def test_text_that_a_collation_holds_equal_is_compared_by_bytes(database: Database, upsert: Run, run_sql: Run) -> None:
    collation = "NOCASE"
    if database.kind == "postgres":
        try:
            run_sql("CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this Postgres was built without ICU")
    run_sql(f"CREATE TABLE t (id int PRIMARY KEY, a varchar(9) COLLATE {collation})", "INSERT INTO t VALUES (1, 'x')")
    assert upsert(rows=[{"id": 1, "a": "X"}], skip_unchanged=True)["updated"] == 1
    assert run_sql("SELECT * FROM t") == [(1, "X")]


@pytest.mark.parametrize(
    "index",
    [
        "CREATE UNIQUE INDEX ON t (id) WHERE a > 0",
        "CREATE UNIQUE INDEX ON t ((id + 0))",
        "CREATE UNIQUE INDEX ON t (id, a)",
        "CREATE INDEX ON t (id)",
        "ALTER TABLE t ADD UNIQUE (id) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE t ADD EXCLUDE (id WITH =)",
    ],
)
def test_an_index_that_on_conflict_cannot_use_is_none(index: str, pg: Any) -> None:
    pg.execute(f"CREATE TABLE t (id int, a int); {index}")
    assert on_postgres(rows=[ROW])["strategy"] == "merge"
    with pytest.raises(AirflowException, match="no unique index that it can use is on exactly id"):
        on_postgres(rows=[ROW], strategy="on_conflict")


@pytest.mark.parametrize(
    "index", ["ADD PRIMARY KEY (a, id)", "ADD UNIQUE (id, a) INCLUDE (b)", "ADD UNIQUE NULLS NOT DISTINCT (a, id)"]
)
def test_an_index_that_on_conflict_can_use_is_found(index: str, pg: Any) -> None:
    pg.execute(f"CREATE TABLE t (id int, a int, b int); ALTER TABLE t {index}")
    outcome = on_postgres(keys=["id", "a"], rows=[{"b": 1, **ROW}])
    assert outcome["strategy"] == "on_conflict"


def test_partitioned_tables_work(pg: Any) -> None:
    pg.execute(
        "CREATE TABLE t (day date, gone int, id int, a int, PRIMARY KEY (id, day)) PARTITION BY LIST (day);"
        "ALTER TABLE t DROP COLUMN gone; CREATE TABLE t1 PARTITION OF t FOR VALUES IN ('2024-01-01');"
        "CREATE TABLE t2 (a int, id int NOT NULL, day date NOT NULL);"
        "ALTER TABLE t ATTACH PARTITION t2 FOR VALUES IN ('2024-01-02')"
    )
    for strategy in ("on_conflict", "merge", "update_insert", "delete_insert"):
        pg.execute("DELETE FROM t; INSERT INTO t (day, id, a) VALUES ('2024-01-01', 1, 1), ('2024-01-02', 2, 2)")
        rows = [{"id": i, "day": f"2024-01-0{1 + (i > 1)}", "a": 5} for i in (1, 2, 3)]
        outcome = on_postgres(keys=["day", "id"], rows=rows, strategy=strategy)
        assert (outcome["inserted"], outcome["updated"]) == (1, 2)
        assert pg.execute("SELECT id, a FROM t ORDER BY id").fetchall() == [(1, 5), (2, 5), (3, 5)]


def test_identities_are_left_alone(pg: Any) -> None:
    pg.execute(
        "CREATE TABLE t (id int UNIQUE, number int GENERATED ALWAYS AS IDENTITY,"
        "free int GENERATED BY DEFAULT AS IDENTITY,"
        "a int, twice int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO t (id, a) VALUES (1, 1)"
    )
    for strategy in ("on_conflict", "merge", "update_insert"):
        on_postgres(rows=[ROW, {"id": 2, "a": 3}], strategy=strategy)
    before = pg.execute("SELECT id, number, a, twice FROM t ORDER BY id").fetchall()
    assert before[0] == (1, 1, 9, 18)
    assert before[1][2:] == (3, 6)
    with pytest.raises(AirflowException, match="column number is an identity: a row would get a new number"):
        on_postgres(rows=[ROW], strategy="delete_insert")
    for column in ("number", "twice"):
        with pytest.raises(AirflowException, match=f"computes {column} itself"):
            on_postgres(rows=[{**ROW, column: 5}])
    assert on_postgres(rows=[{**ROW, "free": 70}])["updated"] == 1
    assert pg.execute("SELECT free FROM t WHERE id = 1").fetchone() == (70,)


def test_identities_of_redshift_are_left_alone(request: pytest.FixtureRequest) -> None:
    redshift = request.getfixturevalue("redshift")
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE t (number bigint IDENTITY(1,1), id int NOT NULL, a int) DISTKEY(id) SORTKEY(number)"
        )
        cursor.execute("INSERT INTO t (id, a) VALUES (1, 1)")
        operator = UpsertOperator(
            task_id="u", conn_id="redshift", table="t", keys=["id"], rows=[ROW, {"id": 2, "a": 3}]
        )
        outcome = operator.execute({})
        assert (outcome["strategy"], outcome["inserted"], outcome["updated"]) == ("update_insert", 1, 1)
        cursor.execute("SELECT number, id, a FROM t ORDER BY id")
        first, second = (tuple(row) for row in cursor.fetchall())
        assert first == (1, 1, 9)
        assert second[1:] == (2, 3)


def test_defaults_apply_to_what_is_not_inserted(upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int, a int DEFAULT 7, b int DEFAULT 8)", "INSERT INTO t VALUES (1, 1, 1)")
    upsert(rows=[{"id": 1, "a": 5}, {"id": 2, "a": 5}])
    assert run_sql("SELECT * FROM t") == [(1, 5, 1), (2, 5, 8)]
    upsert(rows=[{"id": 2, "a": 6}, {"id": 3, "a": 6}], insert_columns=["id"])
    assert run_sql("SELECT * FROM t") == [(1, 5, 1), (2, 6, 8), (3, 7, 8)]
    upsert(rows=[{"id": 3, "a": 1, "b": 1}, {"id": 4, "a": 1, "b": 1}], update_columns=["b"])
    assert run_sql("SELECT * FROM t") == [(1, 5, 1), (2, 6, 8), (3, 7, 1), (4, 1, 1)]


def test_a_column_without_a_value_is_an_error_before_anything_is_staged(upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int, a int, b int NOT NULL, c int NOT NULL DEFAULT 1, d int NOT NULL)")

    def never() -> Any:
        yield [{"id": 1, "a": 1}]
        raise AssertionError("the second batch is not asked for")

    with pytest.raises(AirflowException, match="would have no value for b, d, which may not be NULL"):
        upsert(rows=never)
    with pytest.raises(AirflowException, match="would have no value for d"):
        upsert(rows=[{"id": 1, "b": 1, "d": 1}], insert_columns=["id", "b"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keys": ["no"]}, r"has no key column no\nHint: .*its columns: a, id"),
        ({"update_columns": ["aa"]}, r"supplies no update column aa\nHint: did you mean 'a'\? it supplies: a, id"),
        ({"insert_columns": ["id", "c"]}, r"supplies no insert column c"),
        ({"on_duplicate_keys": "keep_last", "order_by": "c"}, r"supplies no order_by column c"),
    ],
)
def test_columns_that_are_not_there_are_named(
    arguments: dict[str, Any], message: str, upsert: Run, run_sql: Run
) -> None:
    run_sql("CREATE TABLE t (id int, a int)")
    with pytest.raises(AirflowException, match=message):
        upsert(**{"rows": [ROW], **arguments})


def test_a_table_that_does_not_exist_and_what_is_none(upsert: Run, run_sql: Run) -> None:
    with pytest.raises(AirflowException, match=r"there is no table .*nowhere\nHint: create it first"):
        upsert("nowhere", rows=[ROW])
    run_sql("CREATE TABLE t (id int, a int)", "CREATE VIEW v AS SELECT id, a FROM t")
    with pytest.raises(AirflowException, match="v is a view, not a table"):
        upsert("v", rows=[ROW])


def test_delete_insert_is_refused_where_it_loses_something(upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int, a int, b int)", "INSERT INTO t VALUES (1, 1, 1)")
    with pytest.raises(AirflowException, match="column b is not supplied: its values would be lost"):
        upsert(rows=[ROW], strategy="delete_insert")
    with pytest.raises(AirflowException, match="column a is supplied, but not both inserted and updated"):
        upsert(rows=[{**ROW, "b": 1}], strategy="delete_insert", update_columns=["b"])
    assert run_sql("SELECT * FROM t") == [(1, 1, 1)]


def test_delete_insert_is_refused_where_deleting_sets_something_off(pg: Any) -> None:
    pg.execute("CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 1)")
    pg.execute("CREATE TABLE child (id int REFERENCES t ON DELETE CASCADE); INSERT INTO child VALUES (1)")
    with pytest.raises(AirflowException, match=r"changes its rows \(ON DELETE CASCADE\)"):
        on_postgres(rows=[ROW], strategy="delete_insert")
    assert on_postgres(rows=[ROW])["strategy"] == "on_conflict"
    assert pg.execute("SELECT count(*) FROM child").fetchone() == (1,)


def test_null_keys_are_not_for_on_conflict_and_merge(database: Database, upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int UNIQUE, a int)")
    for strategy in {"on_conflict", "merge"} & {*database.session.dialect.strategies}:
        with pytest.raises(AirflowException, match="staged rows have NULL in a key, which equals nothing there"):
            upsert(rows=[{"id": None, "a": 1}], on_null_keys="match", strategy=strategy)


def test_keys_alone_insert_what_is_missing(database: Database, upsert: Run, run_sql: Run) -> None:
    for strategy in ("auto", *database.session.dialect.strategies):
        run_sql("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int PRIMARY KEY, a int)", "INSERT INTO t VALUES (1, 1)")
        if (strategy == "merge" and database.kind == "redshift") or strategy == "delete_insert":
            continue
        outcome = upsert(rows=[{"id": 1}, {"id": 2}], strategy=strategy)
        assert (outcome["inserted"], outcome["updated"], outcome["unchanged"]) == (1, 0, 1)
        assert run_sql("SELECT * FROM t") == [(1, 1), (2, None)]


@on("postgres", "sqlite")  # Redshift has no CHECK
def test_what_the_database_refuses_is_said_and_nothing_is_written(upsert: Run, run_sql: Run) -> None:
    run_sql("CREATE TABLE t (id int PRIMARY KEY, a int CHECK (a < 10))", "INSERT INTO t VALUES (1, 1)")
    for strategy in ("auto", "update_insert", "delete_insert"):
        with pytest.raises(AirflowException, match=r"(?s)could not be upserted into .* by .*Hint: "):
            upsert(rows=[{"id": 1, "a": 5}, {"id": 2, "a": 50}], strategy=strategy)
        assert run_sql("SELECT * FROM t") == [(1, 1)]


def test_several_rows_of_the_table_with_one_key_are_all_updated(
    upsert: Run, run_sql: Run, caplog: pytest.LogCaptureFixture
) -> None:
    run_sql("CREATE TABLE t (id int, a int)", "INSERT INTO t VALUES (1, 1), (1, 2), (2, 1)")
    outcome = upsert(rows=[ROW], strategy="update_insert", skip_unchanged=True)
    assert (outcome["inserted"], outcome["updated"]) == (0, 2)
    assert run_sql("SELECT * FROM t") == [(1, 9), (1, 9), (2, 1)]
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="airflow_dataquality"):
        outcome = upsert(rows=[{"id": 1, "a": 4}, {"id": 3, "a": 1}], strategy="delete_insert")
    assert "t holds 1 rows that share their key with others" in caplog.text
    assert (outcome["inserted"], outcome["updated"]) == (1, 1)
    assert run_sql("SELECT * FROM t") == [(1, 4), (2, 1), (3, 1)]
