"""Files in S3: a real HTTP server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from airflow_dataquality.sensors.partition import S3PartitionSensor
from sensors.lab import INTERVAL, all_fired, deferred, running


def files(**arguments: Any) -> S3PartitionSensor:
    given = {"task_id": "wait", "partitions": "s3://lake/t/ds=2013-02-08/", "poke_interval": INTERVAL}
    return S3PartitionSensor(**given | arguments)


def put(s3: Any, name: str, body: bytes = b"") -> None:
    s3.put_object(Bucket="lake", Key=f"t/{name}", Body=body)


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        ({"marker": "_SUCCESS"}, "ds=2013-02-08/_SUCCESS"),
        ({"min_files": 2}, "ds=2013-02-08/part-1"),
        ({"min_files": 2, "min_bytes": 10}, "ds=2013-02-08/part-1"),
        ({"marker": "_SUCCESS", "partitions": "s3://lake/t/ds=2013-02-08"}, "ds=2013-02-08/_SUCCESS"),
    ],
)
def test_waits_for_the_last_file(s3: Any, arguments: dict[str, Any], last: str) -> None:
    put(s3, "ds=2013-02-08/")
    put(s3, "ds=2013-02-08/_committed", b"0123456789")
    put(s3, "ds=2013-02-08/part-0", b"01234567")
    put(s3, "ds=2013-02-080/_SUCCESS")
    put(s3, "ds=2013-02-08/_SUCCESSFUL")

    async def go() -> dict[str, Any]:
        async with running(deferred(files(**arguments))) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            assert not tasks[0].done()
            put(s3, last, b"01234567")
            return (await all_fired(tasks))[0]

    event = asyncio.run(go())
    (found,) = event["partitions"]
    if "marker" in arguments:
        assert found["marker"] == "_SUCCESS"
    else:
        assert (found["files"], found["bytes"]) == (2, 16)
    assert files(**arguments).execute({}) == event["partitions"], "and does not wait for what is there"


def test_a_page_is_not_all(s3: Any) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: put(s3, f"ds=2013-02-08/part-{number}"), range(1005)))
    assert files(min_files=1005).execute({})[0]["files"] == 1005


def test_a_bucket_that_does_not_exist(s3: Any) -> None:
    waiting = files(partitions="s3://none/ds=1/", marker="_SUCCESS", deferrable=False)
    assert waiting._look()[0] is None
    assert [sight.reason for sight in waiting._seen().values()] == ["the bucket 'none' does not exist"]


def test_without_an_airflow_connection(s3: Any, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    put(s3, "ds=2013-02-08/part-0", b"x")

    async def go() -> None:
        for conn_id in (None, "aws_default"):
            async with running(deferred(files(min_files=2, aws_conn_id=conn_id))) as tasks:
                put(s3, f"ds=2013-02-08/part-{conn_id}", b"x")
                await all_fired(tasks)
            s3.delete_object(Bucket="lake", Key=f"t/ds=2013-02-08/part-{conn_id}")

    asyncio.run(go())
