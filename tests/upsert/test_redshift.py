"""Redshift: files in S3, its errors, and what S3ToRedshiftOperator(method="UPSERT") does wrong."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.checks import check
from airflow_dataquality.operators.redshift_upsert import RedshiftUpsertOperator

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

ROLE = "arn:aws:iam::123456789012:role/loader"
CUSTOMER = """
CREATE TABLE public."Customer Data" (
  customer_uuid VARCHAR(36) NOT NULL, "order" INT, city VARCHAR(40) DEFAULT 'unknown', PRIMARY KEY (customer_uuid)
) DISTKEY (customer_uuid) SORTKEY ("order")
"""
TABLE = 'public."Customer Data"'


def run(redshift: RedshiftWarehouse, *statements: str) -> list[tuple[Any, ...]]:
    with redshift.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return sorted(tuple(row) for row in cursor.fetchall()) if cursor.description else []


@pytest.fixture(autouse=True)
def customers(redshift: RedshiftWarehouse) -> None:
    run(redshift, CUSTOMER, f"INSERT INTO {TABLE} VALUES ('a', 1, 'Bonn'), ('b', 2, 'Oslo')")


def upsert(**arguments: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {"conn_id": "redshift", "table": TABLE, "keys": ["customer_uuid"]}
    if "s3_uri" in arguments and "aws_conn_id" not in arguments:
        defaults["iam_role"] = ROLE
    return RedshiftUpsertOperator(task_id="upsert", **{**defaults, **arguments}).execute({})


def csv(s3: Any, text: str, key: str = "in/part.csv") -> str:
    s3.put_object(Bucket="lake", Key=key, Body=text.encode())
    return "s3://lake/in/"


def test_files_in_s3_are_upserted(redshift: RedshiftWarehouse, s3: Any) -> None:
    csv(s3, "b,20,Rome\n", "in/1.csv")
    uri = csv(s3, "c,30,Riga\nd,40,\n", "in/2.csv")
    outcome = upsert(s3_uri=uri, copy_options=["FORMAT AS CSV", "EMPTYASNULL"], checks=[check("row_count", equal_to=3)])
    assert (outcome["rows_staged"], outcome["inserted"], outcome["updated"], outcome["passed"]) == (3, 2, 1, 1)
    assert outcome["strategy"] == "delete_insert"
    assert run(redshift, f"SELECT * FROM {TABLE}") == [
        ("a", 1, "Bonn"), ("b", 20, "Rome"), ("c", 30, "Riga"), ("d", 40, None),
    ]  # fmt: skip
    (copy,) = [sql for sql in redshift.double.statements if sql.startswith("COPY")]
    assert f"FROM 's3://lake/in/' IAM_ROLE '{ROLE}' FORMAT AS CSV EMPTYASNULL COMPUPDATE OFF STATUPDATE OFF" in copy


def test_parquet_in_s3_is_upserted(redshift: RedshiftWarehouse, s3: Any) -> None:
    file = io.BytesIO()
    table = pa.table({"customer_uuid": ["b", "c"], "order": pa.array([5, 6], pa.int32()), "city": ["Rome", None]})
    pq.write_table(table, file)
    s3.put_object(Bucket="lake", Key="in/part.parquet", Body=file.getvalue())
    outcome = upsert(s3_uri="s3://lake/in/", copy_options=["FORMAT AS PARQUET"], skip_unchanged=True)
    assert (outcome["inserted"], outcome["updated"]) == (1, 1)
    again = upsert(s3_uri="s3://lake/in/", copy_options=["FORMAT AS PARQUET"], skip_unchanged=True)
    assert (again["inserted"], again["updated"], again["unchanged"]) == (0, 0, 2)
    copies = [sql for sql in redshift.double.statements if sql.startswith("COPY")]
    assert not any("COMPUPDATE" in sql for sql in copies), "columnar files do not take it"


def test_columns_name_what_the_files_hold(redshift: RedshiftWarehouse, s3: Any) -> None:
    """The peer inserts SELECT * by position."""
    outcome = upsert(s3_uri=csv(s3, "7,b\n8,z\n"), copy_options=["CSV"], columns=["order", "customer_uuid"])
    assert outcome["strategy"] == "update_insert"
    assert run(redshift, f"SELECT * FROM {TABLE}") == [("a", 1, "Bonn"), ("b", 7, "Oslo"), ("z", 8, "unknown")]


def test_keys_that_are_there_twice_or_not_at_all_are_said(redshift: RedshiftWarehouse, s3: Any) -> None:
    """The peer inserts all of them."""
    before = run(redshift, f"SELECT * FROM {TABLE}")
    with pytest.raises(AirflowException, match=r"surplus rows: 1, keys shared: 1: customer_uuid='b' \(2 rows\)"):
        upsert(s3_uri=csv(s3, "b,1,x\nb,2,y\n,3,z\n"), copy_options=["CSV", "EMPTYASNULL"])
    assert run(redshift, f"SELECT * FROM {TABLE}") == before
    outcome = upsert(
        s3_uri="s3://lake/in/",
        copy_options=["CSV"],
        on_duplicate_keys="keep_last",
        order_by="order",
        on_null_keys="drop",
    )
    assert outcome["duplicates"] == 1


def test_a_null_key_matches_a_null_key(redshift: RedshiftWarehouse) -> None:
    """With the peer it never does, and each run inserts the row again."""
    run(redshift, "CREATE TABLE n (k INT, v INT)", "INSERT INTO n VALUES (NULL, 1)")
    for value in (2, 3):
        upsert(table="n", keys=["k"], rows=[{"k": None, "v": value}], on_null_keys="match")
    assert run(redshift, "SELECT * FROM n") == [(None, 3)]


def test_no_statement_and_no_log_holds_a_secret(
    redshift: RedshiftWarehouse,
    s3: Any,
    s3_server: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The peer puts the connection's keys into the SQL text."""
    extra = {"role_arn": ROLE, "region_name": "eu-west-1", "endpoint_url": s3_server}
    secret = {"conn_type": "aws", "login": "AKIAHUSH", "password": "hush-hush", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(secret))
    with caplog.at_level(logging.DEBUG):
        upsert(s3_uri=csv(s3, "b,7,Rome\n"), copy_options=["CSV"], aws_conn_id="lake", explain=True)
    (copy,) = [sql for sql in redshift.double.statements if sql.startswith("COPY")]
    assert f"IAM_ROLE '{ROLE}' REGION 'eu-west-1' CSV" in copy
    said = "\n".join([*redshift.double.statements, caplog.text])
    assert "hush" not in said.lower()
    del secret["extra"]
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(secret))
    with pytest.raises(AirflowException, match="'lake' has no role_arn in its extra"):
        upsert(s3_uri="s3://lake/in/", copy_options=["CSV"], aws_conn_id="lake")


def test_a_file_that_cannot_be_read_is_said(redshift: RedshiftWarehouse, s3: Any) -> None:
    with pytest.raises(AirflowException, match="COPY from s3://lake/in/ failed: "):
        upsert(s3_uri=csv(s3, "b,no number,Rome\n"), copy_options=["CSV"])
    with pytest.raises(AirflowException, match="COPY from s3://lake/nothing/ failed: "):
        upsert(s3_uri="s3://lake/nothing/", copy_options=["CSV"])


@pytest.mark.parametrize("kind", ["1023", "dropped"])
@pytest.mark.parametrize(
    "when", ["^DELETE FROM .public", "^INSERT INTO .public", "^INSERT INTO .*publication", "VALUES"]
)
def test_a_conflict_has_the_whole_transaction_done_again(
    kind: Any, when: str, redshift: RedshiftWarehouse, caplog: pytest.LogCaptureFixture
) -> None:
    upsert(rows=[{"customer_uuid": "a", "order": 1, "city": "Bonn"}])
    rows = [{"customer_uuid": key, "order": 9, "city": "Rome"} for key in "abc"]
    fault = redshift.double.inject(kind, when=when, phase="after")
    with caplog.at_level(logging.INFO, logger="airflow_dataquality"):
        outcome = upsert(rows=rows, skip_unchanged=True)
    assert fault.times == 0
    assert "again in" in caplog.text
    assert (outcome["inserted"], outcome["updated"], outcome["unchanged"]) == (1, 2, 0)
    assert run(redshift, f"SELECT * FROM {TABLE}") == [(key, 9, "Rome") for key in "abc"]
    published = run(redshift, "SELECT rows FROM dataquality.publication")
    assert published == [(1,), (3,)]


def test_rows_are_inserted_many_at_a_time(redshift: RedshiftWarehouse) -> None:
    rows = [{"customer_uuid": f"k{number}", "order": number, "city": None} for number in range(2_500)]
    outcome = upsert(rows=rows)
    assert outcome["inserted"] == 2_500
    inserts = [sql for sql in redshift.double.statements if sql.startswith("INSERT INTO") and "'k1'" in sql]
    assert len(inserts) == 1
    assert len([sql for sql in redshift.double.statements if "__dq_stage" in sql and "VALUES" in sql]) == 3
