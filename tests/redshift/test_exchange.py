"""Stage, check and exchange on Redshift: on the double here, on a cluster with ``make test-redshift``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.checks import check
from airflow_dataquality.maintenance import rollback, sweep
from publishing import publish as publish_on

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

pytestmark = pytest.mark.live

SALES = """
CREATE TABLE public.sales (
  id BIGINT NOT NULL ENCODE az64, day DATE ENCODE az64, region VARCHAR(20) ENCODE zstd, amount NUMERIC(10,2) DEFAULT 0,
  PRIMARY KEY (id)
) DISTSTYLE KEY DISTKEY (id) COMPOUND SORTKEY (day, id)
"""
OLD = [(1, "2024-01-01", "EU", "1.00"), (2, "2024-01-02", "US", "2.00")]
NEW = """
SELECT 7 AS id, CAST('2024-01-01' AS DATE) AS day, 'EU' AS region, 7.5 AS amount
UNION ALL SELECT 8, CAST('2024-01-03' AS DATE), NULL, NULL
"""
NEW_ROWS = [(7, "2024-01-01", "EU", "7.50"), (8, "2024-01-03", None, None)]
DAY = "SELECT 9 AS id, CAST('2024-01-02' AS DATE) AS day, 'US' AS region, 9 AS amount"
STRUCTURE = """
SELECT "column", type, encoding, distkey, sortkey, "notnull" FROM pg_table_def
WHERE schemaname = 'public' AND tablename = '{}' ORDER BY "column"
"""


def publish(table: str, sql: str, **arguments: Any) -> dict[str, Any]:
    return publish_on(table, sql, conn_id="redshift", **arguments)


def run(redshift: RedshiftWarehouse, *statements: str, user: str | None = None) -> list[tuple[Any, ...]]:
    """Run statements, each for itself; the rows of the last."""
    with redshift.connect(user) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def sales(redshift: RedshiftWarehouse) -> list[tuple[Any, ...]]:
    found = run(redshift, "SELECT id, day, region, amount FROM public.sales ORDER BY id")
    return [(key, str(day), region, None if amount is None else str(amount)) for key, day, region, amount in found]


@pytest.fixture
def table(redshift: RedshiftWarehouse) -> RedshiftWarehouse:
    values = ", ".join(f"({key}, '{day}', '{region}', {amount})" for key, day, region, amount in OLD)
    run(redshift, SALES, f"INSERT INTO public.sales VALUES {values}")
    return redshift


def beside(redshift: RedshiftWarehouse) -> list[str]:
    """The tables of ours beside the user's."""
    return [name for (name,) in run(redshift, "SELECT relname FROM pg_class WHERE relname LIKE '%__dq_%'")]


def publications(redshift: RedshiftWarehouse) -> list[tuple[Any, ...]]:
    return run(redshift, "SELECT mode, rows, partition FROM dataquality.publication ORDER BY published_at")


def test_a_table_that_does_not_exist_is_created(redshift: RedshiftWarehouse) -> None:
    outcome = publish("public.sales", NEW)
    assert (outcome["exchange"], outcome["rows"]) == ("create", 2)
    assert [row[0] for row in sales(redshift)] == [7, 8]
    assert beside(redshift) == []
    assert publications(redshift) == [("create", 2, "{}")]


def test_auto_swaps_only_for_a_user_who_sees_everything(
    table: RedshiftWarehouse, caplog: pytest.LogCaptureFixture
) -> None:
    ((sees,),) = run(table, "SELECT usesuper FROM pg_user WHERE usename = current_user")
    with caplog.at_level("INFO"):
        assert publish("public.sales", NEW)["exchange"] == ("swap" if sees else "overwrite")
    assert ("does not see who reads the table" in caplog.text) is not sees
    assert sales(table) == NEW_ROWS
    assert beside(table) == []


def test_again_is_the_same(table: RedshiftWarehouse) -> None:
    for _ in range(2):
        publish("public.sales", NEW)
    assert sales(table) == NEW_ROWS
    assert len(publications(table)) == 2


def test_a_partition_is_overwritten_and_the_rest_stays(table: RedshiftWarehouse) -> None:
    outcome = publish("public.sales", DAY, partition={"day": "2024-01-02"})
    assert (outcome["exchange"], outcome["partition"]) == ("overwrite", {"day": "2024-01-02"})
    assert sales(table) == [OLD[0], (9, "2024-01-02", "US", "9.00")]


def test_rows_of_another_partition_are_refused(table: RedshiftWarehouse) -> None:
    with pytest.raises(AirflowException, match=r"1 rows are not of day=2024-01-05, but of 2024-01-02|day=2024-01-02"):
        publish("public.sales", DAY, partition={"day": "2024-01-05"})
    assert sales(table) == OLD


def test_swap_keeps_what_is_on_the_table(table: RedshiftWarehouse) -> None:
    """Distribution, sort keys, encodings, NOT NULL, defaults, keys, comments, grants."""
    run(
        table,
        "COMMENT ON TABLE public.sales IS 'It''s \"sales\"'",
        "COMMENT ON COLUMN public.sales.amount IS 'in euros'",
        "CREATE GROUP analysts",
        'CREATE USER "Bob Ü" PASSWORD DISABLE',
        "GRANT SELECT ON public.sales TO GROUP analysts",
        'GRANT SELECT, INSERT ON public.sales TO "Bob Ü"',
        "GRANT SELECT ON public.sales TO PUBLIC",
        user="awsuser",
    )
    grants = (
        "SELECT identity_type, identity_name, privilege_type, admin_option FROM svv_relation_privileges "
        "WHERE namespace_name = 'public' AND relation_name = 'sales' ORDER BY 1, 2, 3"
    )
    comments = (
        "SELECT m.objsubid, m.description FROM pg_description m JOIN pg_class c ON c.oid = m.objoid "
        "WHERE c.relname = 'sales' ORDER BY 1"
    )
    keys = (
        "SELECT k.contype, k.conkey FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid "
        "WHERE c.relname = 'sales'"
    )
    questions = (STRUCTURE.format("sales"), grants, comments, keys)
    before = [run(table, question, user="awsuser") for question in questions]
    assert publish("public.sales", NEW, exchange="swap")["exchange"] == "swap"
    assert [run(table, question, user="awsuser") for question in questions] == before
    assert all(before)
    assert sales(table) == NEW_ROWS
    assert beside(table) == []
    run(table, "INSERT INTO public.sales (id) VALUES (99)")
    assert str(run(table, "SELECT amount FROM public.sales WHERE id = 99")[0][0]) == "0.00"


def test_swap_is_refused_below_a_view_and_not_below_a_late_binding_one(table: RedshiftWarehouse) -> None:
    run(table, "CREATE VIEW public.late AS SELECT id FROM public.sales WITH NO SCHEMA BINDING")
    assert publish("public.sales", NEW, exchange="swap")["exchange"] == "swap"
    assert run(table, "SELECT id FROM public.late ORDER BY id") == [(7,), (8,)]
    run(table, "CREATE VIEW public.bound AS SELECT id FROM public.sales")
    with pytest.raises(AirflowException, match=r"view public\.bound"):
        publish("public.sales", DAY, exchange="swap")
    assert publish("public.sales", DAY)["exchange"] == "overwrite"
    assert run(table, "SELECT id FROM public.bound") == run(table, "SELECT id FROM public.late") == [(9,)]


@pytest.mark.parametrize("mode", ["swap", "overwrite"])
def test_checks_block_and_the_rows_are_kept(table: RedshiftWarehouse, mode: str) -> None:
    with pytest.raises(AirflowException, match=r"was not published(.|\n)*null_count\(region\)"):
        publish("public.sales", NEW, exchange=mode, checks=[check("null_count", "region")])
    assert sales(table) == OLD
    (kept,) = beside(table)
    assert run(table, f"SELECT COUNT(*) FROM public.{kept}") == [(2,)]
    assert publish("public.sales", NEW, exchange=mode)["published"]
    assert beside(table) == []


def test_a_not_null_column_refuses_at_the_stage(table: RedshiftWarehouse) -> None:
    with pytest.raises(AirflowException, match="the SELECT failed"):
        publish("public.sales", NEW.replace("SELECT 8", "SELECT NULL"))
    assert sales(table) == OLD
    assert beside(table) == []


def test_an_identity_is_left_to_the_table(redshift: RedshiftWarehouse) -> None:
    run(
        redshift,
        "CREATE TABLE public.log (n BIGINT IDENTITY(1,1), line VARCHAR(10))",
        "INSERT INTO public.log (line) VALUES ('a')",
    )
    assert publish("public.log", "SELECT 'b' AS line")["exchange"] == "overwrite"
    ((number, line),) = run(redshift, "SELECT n, line FROM public.log")
    assert (number is not None, line) == (True, "b")
    with pytest.raises(AirflowException, match="identity column n"):
        publish("public.log", "SELECT 'c' AS line", exchange="swap")
    with pytest.raises(AirflowException, match="computed by the table, so not to be selected: n"):
        publish("public.log", "SELECT 5 AS n, 'c' AS line")


def test_columns_that_do_not_fit_are_named(table: RedshiftWarehouse) -> None:
    with pytest.raises(AirflowException, match=r"missing from the SELECT: amount; not in the table: amont"):
        publish("public.sales", NEW.replace("AS amount", "AS amont"))


def test_new_columns_can_be_appended(table: RedshiftWarehouse) -> None:
    wider = f"SELECT id, day, region, amount, 1 AS n, 'x' AS note FROM ({NEW}) AS q"
    assert publish("public.sales", wider, on_schema_change="append_columns")["published"]
    assert run(table, "SELECT id, n, note FROM public.sales ORDER BY id") == [(7, 1, "x"), (8, 1, "x")]


@pytest.mark.parametrize("mode", ["swap", "overwrite"])
def test_the_previous_version_is_kept_and_comes_back(table: RedshiftWarehouse, mode: str) -> None:
    publish("public.sales", NEW, exchange=mode, keep_previous=1)
    assert len(beside(table)) == 1
    assert sweep("redshift", schema="public") == []
    assert rollback("redshift", "public.sales")["rows"] == 2
    assert sales(table) == OLD


def test_rejected_rows_are_swept_when_their_time_is_over(table: RedshiftWarehouse) -> None:
    with pytest.raises(AirflowException):
        publish("public.sales", NEW, checks=[check("row_count", equal_to=5)])
    (kept,) = beside(table)
    from datetime import timedelta

    assert sweep("redshift", ttl=timedelta(days=1)) == []
    assert sweep("redshift", ttl=timedelta(0)) == [f"public.{kept}"]
    assert beside(table) == []


def test_names_are_folded_as_redshift_folds_them(redshift: RedshiftWarehouse) -> None:
    """Quoted names too, so that a table has one name in the ledger however it is written."""
    publish('public."Daily Sales"', 'SELECT 1 AS "Group", \'ä\' AS "sélect"')
    outcome = publish('public."daily sales"', 'SELECT 2 AS "group", \'"\' AS "sélect"')
    assert run(redshift, 'SELECT "group", "sélect" FROM public."daily sales"') == [(2, '"')]
    assert outcome["table"] == 'public."daily sales"'
    assert run(redshift, "SELECT DISTINCT table_name FROM dataquality.publication") == [("daily sales",)]


@pytest.mark.parametrize("text", ["it's", "back\\slash", "\\'; DROP TABLE public.sales; --", '"', "%s $1 {}"])
def test_values_are_values(table: RedshiftWarehouse, text: str) -> None:
    """A backslash escapes in Redshift's literals."""
    run(table, "CREATE TABLE public.texts (t VARCHAR(50), n INT)")
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    outcome = publish(
        "public.texts",
        f"SELECT {quoted} AS t, 1 AS n",
        partition={"t": text},
        checks=[check("values_outside", "t", values=[text])],
    )
    assert outcome["passed"] == 1
    assert run(table, "SELECT t FROM public.texts") == [(text,)]
    assert sales(table) == OLD


def test_the_stage_is_private_until_it_is_checked(redshift: RedshiftWarehouse) -> None:
    run(redshift, "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC")
    with pytest.raises(AirflowException, match="was not published"):
        publish("public.sales", NEW, checks=[check("row_count", equal_to=5)])
    (kept,) = beside(redshift)
    question = (
        "SELECT identity_type FROM svv_relation_privileges "
        "WHERE identity_type = 'public' AND privilege_type = 'SELECT' AND relation_name = '{}'"
    )
    assert run(redshift, question.format(kept)) == []
    publish("public.sales", NEW)
    assert run(redshift, question.format("sales")) == [("public",)]


def test_a_partition_key_has_one_spelling(table: RedshiftWarehouse) -> None:
    for day in ("2024-01-02", "Jan 2 2024", "2024-01-02 00:00:00"):
        publish("public.sales", DAY, partition={"day": day})
    assert {key for _, _, key in publications(table)} == {'{"day": "2024-01-02"}'}
    with pytest.raises(AirflowException, match="does not fit column 'day'"):
        publish("public.sales", DAY, partition={"day": "yesterday-ish"})


def test_health_of_a_table(table: RedshiftWarehouse) -> None:
    from airflow_dataquality.operators.check import DataQualityCheckOperator

    words = ("table_size_mb", "unsorted_ratio", "stats_off", "skew_rows")
    operator = DataQualityCheckOperator(
        task_id="health",
        conn_id="redshift",
        table="public.sales",
        checks=[check(word, geq_to=0) for word in words],
        partition={"day": "2024-01-01"},
        partition_clause="id > 0",
    )
    outcome = operator.execute({})
    assert (outcome["failed"], outcome["errored"]) == (0, 0)
    assert outcome["passed"] >= 2
    run(table, "CREATE TABLE public.nothing (a INT)")
    empty = DataQualityCheckOperator(
        task_id="health", conn_id="redshift", table="public.nothing", checks=[check(word, geq_to=0) for word in words]
    ).execute({})
    assert empty["skipped"] == len(words)


def test_explain_warns_of_slow_steps(table: RedshiftWarehouse, caplog: pytest.LogCaptureFixture) -> None:
    cross = "SELECT a.id, a.day, a.region, a.amount FROM public.sales AS a, public.sales AS b WHERE a.amount < b.amount"
    with caplog.at_level("INFO"):
        publish("public.sales", cross, exchange="overwrite", explain=True)
    assert re.search(r"Nested Loop: .*join on an equality", caplog.text)
    assert "XN" in caplog.text
