"""Stage, check and exchange of files in S3: a real HTTP server, and COPY as the Redshift double reads it."""

from __future__ import annotations

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_dataquality.checks import check
from airflow_dataquality.errors import SpecError
from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse

ROLE = "arn:aws:iam::123456789012:role/loader"
CSV = "1,2024-01-01,a\n2,2024-01-02,\n"
FILES: dict[str, tuple[list[str], bytes]] = {
    "csv": (["FORMAT AS CSV", "EMPTYASNULL"], CSV.encode()),
    "csv with a header": (["CSV", "IGNOREHEADER 1", "EMPTYASNULL"], f"id,day,name\n{CSV}".encode()),
    "gzip": (["CSV", "GZIP", "EMPTYASNULL"], gzip.compress(CSV.encode())),
    "json": (
        ["FORMAT AS JSON 'auto'"],
        b'{"id": 1, "day": "2024-01-01", "name": "a"}\n{"id": 2, "day": "2024-01-02", "name": null}\n',
    ),
}


@pytest.fixture
def table(redshift: RedshiftWarehouse) -> RedshiftWarehouse:
    run(redshift, "CREATE TABLE public.t (id BIGINT NOT NULL, day DATE, name VARCHAR(10)) DISTKEY (id) SORTKEY (day)")
    run(redshift, "INSERT INTO public.t VALUES (9, '2023-01-01', 'old')")
    return redshift


def run(redshift: RedshiftWarehouse, sql: str) -> list[tuple[Any, ...]]:
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def rows(redshift: RedshiftWarehouse) -> list[tuple[Any, ...]]:
    return [(key, str(day), name) for key, day, name in run(redshift, "SELECT id, day, name FROM public.t ORDER BY id")]


def load(**arguments: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"task_id": "load", "conn_id": "redshift", "table": "public.t", "s3_uri": "s3://lake/day/"}
    if "aws_conn_id" not in arguments:
        given["iam_role"] = ROLE
    return StageCheckExchangeOperator(**{**given, **arguments}).execute({})


NEW = [(1, "2024-01-01", "a"), (2, "2024-01-02", None)]
OLD = [(9, "2023-01-01", "old")]


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("mode", ["swap", "overwrite"])
def test_files_of_every_format(table: RedshiftWarehouse, s3: Any, kind: str, mode: str) -> None:
    options, body = FILES[kind]
    s3.put_object(Bucket="lake", Key="day/part-0", Body=body)
    outcome = load(copy_options=options, exchange=mode, checks=[check("unique_violations", "id")])
    assert (outcome["rows"], outcome["exchange"], rows(table)) == (2, mode, NEW)


def test_parquet(table: RedshiftWarehouse, s3: Any) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = BytesIO()
    columns = {"id": [1, 2], "day": pa.array(["2024-01-01", "2024-01-02"]).cast(pa.date32()), "name": ["a", None]}
    parquet.write_table(pa.table(columns), file)
    s3.put_object(Bucket="lake", Key="day/part-0.parquet", Body=file.getvalue())
    assert load(copy_options=["FORMAT AS PARQUET"])["rows"] == 2
    assert rows(table) == NEW


def test_a_manifest(table: RedshiftWarehouse, s3: Any) -> None:
    for name, line in (("a", "1,2024-01-01,a\n"), ("b", "2,2024-01-02,\n"), ("c", "3,2024-01-02,c\n")):
        s3.put_object(Bucket="lake", Key=f"parts/{name}", Body=line.encode())
    entries = [{"url": f"s3://lake/parts/{name}", "mandatory": True} for name in "ab"]
    s3.put_object(Bucket="lake", Key="day.manifest", Body=json.dumps({"entries": entries}).encode())
    load(s3_uri="s3://lake/day.manifest", copy_options=["CSV", "MANIFEST", "EMPTYASNULL"])
    assert rows(table) == NEW


def test_columns_may_be_named(table: RedshiftWarehouse, s3: Any) -> None:
    s3.put_object(Bucket="lake", Key="day/part-0", Body=b"a,1,2024-01-01\n")
    load(copy_options=["CSV"], columns=["name", "id", "day"])
    assert rows(table) == NEW[:1]


def test_a_partition(table: RedshiftWarehouse, s3: Any) -> None:
    s3.put_object(Bucket="lake", Key="day/part-0", Body=b"1,2024-01-01,a\n")
    assert load(copy_options=["CSV"], partition={"day": "2024-01-01"})["exchange"] == "overwrite"
    assert rows(table) == [NEW[0], *OLD]
    with pytest.raises(AirflowException, match=r"1 rows are not of day=2024-01-09, but of day=2024-01-01"):
        load(copy_options=["CSV"], partition={"day": "2024-01-09"})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (None, r"COPY from s3://lake/day/ failed: .*does not exist"),
        (b"1,2024-01-01\n", r"COPY from s3://lake/day/ failed: .*Check(.|\n)*Hint: .*which file and line"),
        (b"x,2024-01-01,a\n", r"COPY from s3://lake/day/ failed"),
        (b"1,2024-01-01,a name that is too long\n", r"COPY from s3://lake/day/ failed"),
        (b"1,2024-01-01,a\n", r"was not published"),
    ],
)
def test_nothing_changes_when_files_cannot_be_read_or_checks_block(
    table: RedshiftWarehouse, s3: Any, body: bytes | None, message: str
) -> None:
    if body is not None:
        s3.put_object(Bucket="lake", Key="day/part-0", Body=body)
    with pytest.raises(AirflowException, match=message):
        load(copy_options=["CSV"], checks=[check("row_count", geq_to=100)])
    assert rows(table) == OLD


def test_a_slow_copy_keeps_nobody_waiting_and_its_stage_is_not_swept(table: RedshiftWarehouse, s3: Any) -> None:
    s3.put_object(Bucket="lake", Key="day/part-0", Body=CSV.encode())
    s3.put_object(Bucket="lake", Key="other/part-0", Body=b"7,2024-01-07,g\n")
    table.double.inject("slow", when="^COPY .*day/", seconds=3)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(load, copy_options=["CSV", "EMPTYASNULL"])
        while not any(sql.startswith("COPY") for sql in table.double.statements):
            time.sleep(0.01)
        load(copy_options=["CSV"], s3_uri="s3://lake/other/")
        assert not slow.done()
        assert [key for key, _, _ in rows(table)] == [7]
        assert slow.result()["rows"] == 2
    assert rows(table) == NEW


@pytest.mark.parametrize("kind", ["1023", "dropped"])
def test_a_copy_that_is_contradicted_is_done_again(table: RedshiftWarehouse, s3: Any, kind: Any) -> None:
    s3.put_object(Bucket="lake", Key="day/part-0", Body=CSV.encode())
    table.double.inject(kind, when="^COPY")
    assert load(copy_options=["CSV", "EMPTYASNULL"])["rows"] == 2
    assert rows(table) == NEW


def test_a_table_that_does_not_exist_has_no_types(redshift: RedshiftWarehouse, s3: Any) -> None:
    with pytest.raises(AirflowException, match=r"public\.t: the table does not exist(.|\n)*Hint: create it first"):
        load(columns=["id"])


def test_no_statement_and_no_log_line_shows_a_secret(
    table: RedshiftWarehouse, s3: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection = {
        "conn_type": "aws",
        "login": "AKIANOTTOBESEEN",
        "password": "not-to-be-seen",
        "extra": {"role_arn": ROLE, "region_name": "eu-central-1"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    s3.put_object(Bucket="lake", Key="day/part-0", Body=CSV.encode())
    with caplog.at_level("DEBUG"):
        load(aws_conn_id="lake", copy_options=["CSV", "EMPTYASNULL"], explain=True)
    (copy,) = [sql for sql in table.double.statements if sql.startswith("COPY")]
    assert f"IAM_ROLE '{ROLE}'" in copy
    assert "REGION 'eu-central-1'" in copy
    told = "\n".join([*table.double.statements, caplog.text])
    assert "not-to-be-seen" not in told
    assert "AKIANOTTOBESEEN" not in told
    assert table.double.password not in told
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({**connection, "extra": {}}))
    with pytest.raises(AirflowException, match="its keys would end up in the SQL text"):
        load(aws_conn_id="lake", copy_options=["CSV"])


@pytest.mark.parametrize(
    "option",
    ["ACCESS_KEY_ID 'AKIA'", "CREDENTIALS 'aws_access_key_id=AKIA'", "session_token 'x'", "MAXERROR 10", "NOLOAD"],
)
def test_options_that_lose_rows_or_secrets_are_refused_when_the_dag_is_parsed(option: str) -> None:
    with pytest.raises(SpecError) as error:
        load(copy_options=[option])
    assert "AKIA" not in str(error.value)


def test_s3_is_for_redshift(warehouse: Any) -> None:
    with warehouse.connect() as connection:
        connection.execute("CREATE TABLE public.t (id int)")
    with pytest.raises(AirflowException, match=r"postgres does not load from S3(.|\n)*rows="):
        load(conn_id="warehouse")
