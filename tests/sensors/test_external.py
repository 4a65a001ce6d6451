"""Partitions of external tables, as the double's catalog lists them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_dataquality.sensors.partition import RedshiftExternalPartitionSensor
from sensors.lab import INTERVAL, all_fired, deferred, running, sensor
from support import Warehouse

if TYPE_CHECKING:
    from redshift_double import RedshiftWarehouse


def external(partitions: Any, **arguments: Any) -> RedshiftExternalPartitionSensor:
    given = {"task_id": "wait", "conn_id": "redshift", "partitions": partitions, "poke_interval": INTERVAL}
    return RedshiftExternalPartitionSensor(**given | arguments)


def register(redshift: RedshiftWarehouse, *values: str) -> None:
    with redshift.superuser() as connection:
        for each in values:
            place = 'INSERT INTO rs.svv_external_partitions (schemaname, tablename, "values", location) VALUES '
            connection.execute(f"{place} ('spectrum', 'sales', %s, 's3://lake/' || %s)", [each, each])


@pytest.fixture
def sales(redshift: RedshiftWarehouse) -> RedshiftWarehouse:
    """The external table ``spectrum.sales``, partitioned by month and region."""
    with redshift.superuser() as connection:
        for number, (name, place) in enumerate([("amount", 0), ("region", 2), ("month", 1)]):
            columns = "schemaname, tablename, columnname, columnnum, part_key"
            row = ["spectrum", "sales", name, number, place]
            connection.execute(f"INSERT INTO rs.svv_external_columns ({columns}) VALUES (%s, %s, %s, %s, %s)", row)
    return redshift


def test_waits_until_it_is_registered(sales: RedshiftWarehouse) -> None:
    register(sales, '["2013-01","EU"]', '["2013-02","US"]', '["2013-020","EU"]')

    async def go() -> None:
        async with running(deferred(external("Spectrum.Sales/region=EU/month=2013-02"))) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            assert not tasks[0].done()
            register(sales, '["2013-02", "EU"]')
            (event,) = await all_fired(tasks)
            (found,) = event["partitions"]
            assert (found["partition"], found["location"]) == (
                "spectrum.sales/region=EU, month=2013-02", 's3://lake/["2013-02", "EU"]'
            )  # fmt: skip

    asyncio.run(go())
    both = ["spectrum.sales/month=2013-01/region=EU", "spectrum.sales/month=2013-02/region=US"]
    assert len(external(both, deferrable=False).execute({})) == 2


def test_a_table_of_which_the_catalog_knows_nothing(sales: RedshiftWarehouse) -> None:
    with pytest.raises(AirflowFailException, match=r"spectrum\.none does not exist yet"):
        external("spectrum.none/month=1", on_missing_table="fail").execute({})
    assert deferred(external("spectrum.none/month=1"))


def test_columns_by_which_it_is_not_partitioned(sales: RedshiftWarehouse) -> None:
    with pytest.raises(AirflowFailException, match=r"are by month, region\nHint: did you mean 'month'"):
        external("spectrum.sales/mont=2013-02/region=EU").execute({})
    with pytest.raises(AirflowFailException, match="are by month, region"):
        external("spectrum.sales/month=2013-02").execute({})


def test_another_database(warehouse: Warehouse) -> None:
    with pytest.raises(AirflowFailException, match="external tables are Redshift's, and this is postgres"):
        external("spectrum.sales/month=1", conn_id="warehouse").execute({})


def test_published_on_redshift(redshift: RedshiftWarehouse) -> None:

    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.t (ds DATE, id INTEGER)")
        cursor.execute("CREATE TABLE public.source (ds DATE, id INTEGER)")
        cursor.execute("INSERT INTO public.source VALUES ('2013-02-08', 1)")
    from publishing import publish

    def go() -> None:
        publish("public.t", "SELECT ds, id FROM public.source", conn_id="redshift", partition={"ds": "2013-02-08"})

    async def wait() -> None:
        waiting = [sensor(f"public.{name}/ds={day}", conn_id="redshift", max_age="1h") for name, day in
                   (("t", "20130208"), ('"T"', "2013-02-08"))]  # fmt: skip
        async with running(*map(deferred, waiting)) as tasks:
            await asyncio.sleep(2 * INTERVAL)
            assert not any(task.done() for task in tasks)
            await asyncio.to_thread(go)
            for event in await all_fired(tasks):
                assert event["partitions"][0]["mode"] == "overwrite"

    asyncio.run(wait())
