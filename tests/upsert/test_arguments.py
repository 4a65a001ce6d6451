"""What can be known to be wrong when the DAG is parsed, is said then."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, XComArg

from airflow_dataquality.errors import SpecError
from airflow_dataquality.operators._source import COPY_PARAMETERS, role_of
from airflow_dataquality.operators.redshift_upsert import RedshiftUpsertOperator
from airflow_dataquality.operators.upsert import UpsertOperator

ROLE = "arn:aws:iam::123456789012:role/loader"
GOOD: dict[str, Any] = {"task_id": "u", "conn_id": "warehouse", "table": "t", "keys": ["id"]}
SELECT = {"sql": "SELECT 1 AS id"}
S3 = {"s3_uri": "s3://lake/x/", "iam_role": ROLE}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "no source is given\nHint: give exactly one of sql=, rows= and s3_uri="),
    ({**SELECT, "rows": []}, "sql and rows are given"),
    ({**SELECT, **S3}, "sql and s3_uri are given"),
    ({**SELECT, "keys": []}, "keys is empty\nHint: name at least one column"),
    ({**SELECT, "keys": "id"}, "keys is 'id', not a list"),
    ({**SELECT, "keys": ["id", "id"]}, "keys names id twice"),
    ({**SELECT, "keys": [1]}, "keys holds 1, which is not a name"),
    ({**SELECT, "update_columns": ["a", "id"]}, "update_columns holds the key id\nHint: a row keeps its key"),
    ({**SELECT, "insert_columns": ["a"]}, "insert_columns lacks the key id\nHint: a new row needs its key"),
    ({**SELECT, "update_columns": "a"}, "update_columns is 'a', not a list"),
    ({**SELECT, "on_duplicate_keys": "keep_last"}, "keep_last without order_by"),
    ({**SELECT, "order_by": "a"}, "order_by without keep_last"),
    ({**SELECT, "on_duplicate_keys": "keep_lst"}, "on_duplicate_keys is 'keep_lst'\nHint: did you mean 'keep_last'?"),
    ({**SELECT, "on_null_keys": "ignore"}, "on_null_keys is 'ignore'\nHint: "),
    ({**SELECT, "strategy": "on_conflct"}, "strategy is 'on_conflct'\nHint: did you mean 'on_conflict'?"),
    ({**SELECT, "fail_on": "warning"}, "fail_on is 'warning'"),
    ({**SELECT, "lock_timeout": "soon"}, "lock_timeout 'soon' is not a duration"),
    ({**SELECT, "checks": [{"check": "nul_count", "column": "a"}]}, "checks[0]: unknown check 'nul_count'"),
    ({**SELECT, "conn_id": None}, "UpsertOperator 'u' has no conn_id"),
    ({**SELECT, "table": "a.b.c"}, "table 'a.b.c' names a database"),
    ({**SELECT, "columns": ["id"]}, "columns= beside sql="),
    ({"sql": "DELETE FROM t"}, "not a SELECT: it begins with 'delete'"),
    ({"sql": ["SELECT 1"]}, "sql is ['SELECT 1'], not a text"),
    ({"rows": {"id": 1}}, "rows is a dict, not rows"),
    ({"rows": "id"}, "rows is a str, not rows"),
    ({"rows": [], "columns": ["a", "a"]}, "columns names a twice"),
    ({**SELECT, "iam_role": ROLE}, "iam_role without s3_uri"),
    ({**SELECT, "copy_options": ["CSV"]}, "copy_options without s3_uri"),
    ({**S3, "aws_conn_id": "aws_default"}, "iam_role and aws_conn_id are both given"),
    ({"s3_uri": "s3://lake/x"}, "nothing says who may read the files\nHint: give iam_role="),
    ({**S3, "s3_uri": "https://lake/x"}, "s3_uri is 'https://lake/x'\nHint: write \"s3://bucket/prefix\""),
    ({**S3, "s3_uri": "s3://"}, "s3_uri is 's3://'"),
    ({**S3, "iam_role": "loader"}, "iam_role is 'loader'\nHint: write \"arn:aws:iam::"),
    ({**S3, "iam_role": f"{ROLE}' CREDENTIALS 'x"}, "iam_role is "),
    ({**S3, "copy_options": "CSV"}, "copy_options is 'CSV', not a list"),
    ({**S3, "copy_options": ["CSV; DROP TABLE t"]}, "copy_options holds 'CSV; DROP TABLE t', which is more than"),
    ({**S3, "copy_options": ["CSV -- x"]}, "copy_options holds 'CSV -- x', which is more than"),
    ({**S3, "copy_options": ["DELIMITER '"]}, "copy_options holds \"DELIMITER '\", which is more than"),
    ({**S3, "copy_options": ["FORMT CSV"]}, "copy_options: unknown parameter 'FORMT CSV'\nHint: did you mean 'FORMAT'"),
    ({**SELECT, "checks": [{"check": "skew_rows", "condition": {"leq_to": 2}}]}, "checks[0]: skew_rows is of a stored"),
    ({**S3, "copy_options": ["CSV", "MAXERROR 5"]}, "MAXERROR in copy_options skips bad rows silently"),
    ({**S3, "copy_options": ["CSV NOLOAD"]}, "NOLOAD in copy_options loads nothing"),
    ({**S3, "copy_options": ["IAM_ROLE DEFAULT"]}, "IAM_ROLE in copy_options is an argument of its own"),
    ({**S3, "copy_options": [5]}, "copy_options holds 5"),
]  # fmt: skip
SECRETS = [
    "ACCESS_KEY_ID 'AKIA7' SECRET_ACCESS_KEY 'hush'",
    "access_key_id 'AKIA7'",
    "CREDENTIALS 'aws_access_key_id=AKIA7;aws_secret_access_key=hush'",
    "CSV SESSION_TOKEN 'hush'",
    "MASTER_SYMMETRIC_KEY 'hush'",
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_errors_when_the_dag_is_parsed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        UpsertOperator(**{**GOOD, **arguments})
    assert str(error.value).startswith(message)
    assert "Hint: " in str(error.value)


@pytest.mark.parametrize("secret", SECRETS)
def test_credentials_are_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(SpecError, match="copy_options holds credentials") as error:
        UpsertOperator(**{**GOOD, **S3, "copy_options": ["CSV", secret]})
    assert "hush" not in str(error.value)
    assert "AKIA7" not in str(error.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"sql": "{{ params.sql }}"},
        {"sql": "not/yet/there.sql"},
        {**SELECT, "table": "{{ params.table }}", "update_columns": [], "order_by": None},
        {"rows": lambda: iter(())},
        {"rows": (row for row in ())},
        {**S3, "s3_uri": "{{ params.uri }}", "iam_role": "{{ var.value.role }}", "copy_options": ["{{ params.o }}"]},
        {**S3, "iam_role": "default", "copy_options": ["CSV DELIMITER ';'", "NULL AS '\\N'", "ignoreheader 1"]},
        {**S3, "iam_role": f"{ROLE},{ROLE}2"},
        {"s3_uri": "s3://lake", "aws_conn_id": "aws_default"},
        {**S3, "copy_options": list(COPY_PARAMETERS)},
    ],
)
def test_what_is_right_or_known_only_later_is_let_through(arguments: dict[str, Any]) -> None:
    UpsertOperator(**{**GOOD, **arguments})


def test_what_nobody_rendered_is_refused() -> None:
    operator = UpsertOperator(**{**GOOD, "sql": "SELECT '{{ ds }}' AS id"})
    with pytest.raises(Exception, match="sql was not rendered: "):
        operator.execute({})


def test_rows_are_no_template_unless_another_task_returns_them() -> None:
    rows = [{"id": 1, "a": "{{ ds }}"}]
    plain = UpsertOperator(**{**GOOD, "rows": rows})
    plain.render_template_fields({"ds": "2024-01-01"})
    assert plain.rows == rows
    with DAG("d", schedule=None):
        first = UpsertOperator(**{**GOOD, **SELECT, "task_id": "first"})
        second = UpsertOperator(**{**GOOD, "rows": XComArg(first)})
    assert "rows" in second.template_fields
    assert "rows" not in plain.template_fields
    assert second.upstream_task_ids == {"first"}


def test_a_connection_without_a_role_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {"conn_type": "aws", "login": "AKIA7", "password": "hush", "extra": {"region_name": "eu-west-1"}}
    monkeypatch.setenv("AIRFLOW_CONN_KEYS", json.dumps(keys))
    with pytest.raises(SpecError, match=r"'keys' has no role_arn in its extra: its keys would end up in the SQL text"):
        role_of("keys")
    keys["extra"] = {"role_arn": ROLE, "region_name": "eu-west-1"}
    monkeypatch.setenv("AIRFLOW_CONN_KEYS", json.dumps(keys))
    assert role_of("keys") == (ROLE, "eu-west-1")


def test_redshifts_operator_is_the_same_with_its_own_connection() -> None:
    operator = RedshiftUpsertOperator(
        task_id="u", table="public.t", keys=["id"], **S3, copy_options=["FORMAT AS PARQUET"], strategy="merge"
    )
    assert (operator.conn_id, operator.strategy, operator.iam_role) == ("redshift_default", "merge", ROLE)
    assert RedshiftUpsertOperator(task_id="u", table="t", keys=["id"], rows=[], columns=["id"]).columns == ["id"]
