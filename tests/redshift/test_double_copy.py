"""COPY from moto's S3, in its forms."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redshift_connector

from redshift_double import RedshiftWarehouse

ROLE = "IAM_ROLE 'arn:aws:iam::123456789012:role/Load'"


@pytest.fixture
def cursor(redshift: RedshiftWarehouse) -> Iterator[Any]:
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE t (id bigint IDENTITY(1, 1), a int, b varchar(10), c timestamp DEFAULT '2024-01-01')"
        )
        yield cursor


def put(s3: Any, key: str, data: str | bytes) -> None:
    s3.put_object(Bucket="lake", Key=key, Body=data.encode() if isinstance(data, str) else data)


def rows(cursor: Any) -> list[list[Any]]:
    cursor.execute("SELECT a, b FROM t ORDER BY a")
    return [list(row) for row in cursor.fetchall()]


@pytest.mark.parametrize(
    ("data", "parameters"),
    [
        ('a,b\n1,"x, y"\n2,\\N\n', "CSV IGNOREHEADER 1"),
        ("1|x, y\n2|\\N\n", ""),
        ("1;x, y\n2;none\n", "DELIMITER ';' NULL AS 'none'"),
        ("1;x, y\n2;\n", "DELIMITER AS ';' EMPTYASNULL TIMEFORMAT 'auto' DATEFORMAT 'auto' REGION 'us-east-1'"),
        ('{"a": 1, "b": "x, y"} {"b": null, "a": 2, "z": 3}', "FORMAT AS JSON 'auto' COMPUPDATE OFF STATUPDATE ON"),
        (gzip.compress(b"1|x, y\n2|\\N\n"), "GZIP"),
    ],
    ids=["csv", "text", "null", "empty", "json", "gzip"],
)
def test_formats(s3: Any, cursor: Any, data: str | bytes, parameters: str) -> None:
    put(s3, "in/part-0", data)
    cursor.execute(f"COPY t (a, b) FROM 's3://lake/in/' {ROLE} {parameters}")
    assert rows(cursor) == [[1, "x, y"], [2, None]]
    cursor.execute("SELECT pg_last_copy_count()")
    assert list(cursor.fetchone()) == [2]
    cursor.execute("SELECT min(id), max(id), min(date_trunc('day', c))::varchar FROM t")
    assert list(cursor.fetchone()) == [1, 2, "2024-01-01 00:00:00"]


def test_parquet(s3: Any, cursor: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    data = io.BytesIO()
    parquet.write_table(pyarrow.table({"a": [1, 2], "b": ["x", None]}), data)
    put(s3, "in.parquet", data.getvalue())
    cursor.execute("COPY t (a, b) FROM 's3://lake/in.parquet' IAM_ROLE default FORMAT AS PARQUET")
    assert rows(cursor) == [[1, "x"], [2, None]]


def test_a_manifest_names_the_files(s3: Any, cursor: Any) -> None:
    put(s3, "in/1", "1|x\n")
    put(s3, "in/2", "2|y\n")
    put(s3, "manifest", json.dumps({"entries": [{"url": "s3://lake/in/2", "mandatory": True}]}))
    cursor.execute(f"COPY t (a, b) FROM 's3://lake/manifest' {ROLE} MANIFEST")
    assert rows(cursor) == [[2, "y"]]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("1|x\n2\n", "Delimiter not found"),
        ("1|x\n2|y|z\n", "Extra column(s) found"),
        ("1|x\nzwei|y\n", "invalid input syntax for type integer"),
        ("1|x\n2|much too long a text\n", "value too long"),
    ],
)
def test_bad_lines_are_in_stl_load_errors(s3: Any, cursor: Any, data: str, reason: str) -> None:
    put(s3, "in", data)
    cursor.execute("BEGIN")
    with pytest.raises(redshift_connector.Error, match="stl_load_errors") as refused:
        cursor.execute(f"COPY t (a, b) FROM 's3://lake/in' {ROLE}")
    assert refused.value.args[0]["M"].startswith("Load into table 't' failed.")
    with pytest.raises(redshift_connector.Error, match="25P02"):
        cursor.execute("SELECT 1")
    cursor.execute("ROLLBACK")
    assert rows(cursor) == []
    cursor.execute("SELECT trim(filename), line_number, trim(err_reason) FROM stl_load_errors")
    (file, line, why), *others = cursor.fetchall()
    assert (file, line, others) == ("s3://lake/in", 2, [])
    assert reason in why


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (f"COPY t (a, b) FROM 's3://lake/nothing' {ROLE}", "The specified S3 prefix 'nothing' does not exist"),
        (f"COPY t (a, b) FROM 's3://sea/in' {ROLE}", "The specified bucket does not exist"),
        (f"COPY t (a, q) FROM 's3://lake/in' {ROLE}", "does not exist"),
        (f"COPY nowhere FROM 's3://lake/in' {ROLE}", "does not exist"),
        ("COPY t (a, b) FROM 's3://lake/in'", "authorization"),
        (f"COPY t (a, b) FROM 's3://lake/in' {ROLE} HEADER", "syntax error"),
        (f"COPY t (a, b) FROM 's3://lake/in' {ROLE} ORC", "the double does not model"),
    ],
)
def test_what_cannot_be_copied_is_refused(s3: Any, cursor: Any, statement: str, message: str) -> None:
    put(s3, "in", "1|x\n")
    with pytest.raises(redshift_connector.Error) as refused:
        cursor.execute(statement)
    assert message in refused.value.args[0]["M"]
    assert rows(cursor) == []


def test_copy_is_part_of_its_transaction(s3: Any, cursor: Any, redshift: RedshiftWarehouse) -> None:
    put(s3, "in", "1|x\n")
    cursor.execute("BEGIN")
    cursor.execute(f"COPY t (a, b) FROM 's3://lake/in' {ROLE}")
    assert len(rows(cursor)) == 1
    cursor.execute("ROLLBACK")
    assert rows(cursor) == []
    redshift.double.inject("1023", when="^COPY")
    with pytest.raises(redshift_connector.Error, match="1023"):
        cursor.execute(f"COPY t (a, b) FROM 's3://lake/in' {ROLE}")


def test_airflow_reaches_the_same_s3(s3: Any) -> None:
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook

    put(s3, "in/part-0", "1|x\n")
    assert S3Hook().list_keys("lake", prefix="in/") == ["in/part-0"]


def test_copy_never_leaves_for_the_real_s3(cursor: Any, redshift: RedshiftWarehouse) -> None:
    assert redshift.double.s3_endpoint is None
    with pytest.raises(redshift_connector.Error, match="the double has no S3"):
        cursor.execute(f"COPY t (a, b) FROM 's3://lake/in' {ROLE}")
    assert rows(cursor) == []
