"""What people do by hand beside the DAGs: sweep what was left behind, and roll back to a previous version."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.columns import canonical_key
from airflow_dataquality.engine.ledger import Ledger, Run
from airflow_dataquality.engine.publish import Load, publish
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.target import locate
from airflow_dataquality.errors import TableError
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.model import Partition, Scalar, Table


def sweep(
    conn_id: str,
    *,
    schema: str | None = None,
    ttl: timedelta = staging.TTL,
    dry_run: bool = False,
) -> list[str]:
    """Drop staging tables whose run is gone, and rejected rows older than ``ttl``.

    :param schema: look in this schema only
    :returns: the tables dropped, or with ``dry_run`` those that would be
    """
    with connected(conn_id, publishing=True) as session:
        return [str(table) for table in staging.sweep(session, schema, ttl=ttl, dry_run=dry_run)]


def rollback(
    conn_id: str,
    table: str,
    *,
    partition: dict[str, Scalar] | None = None,
    ledger_schema: str = "dataquality",
    dry_run: bool = False,
) -> dict[str, Any]:
    """Publish the newest previous version again, through the same exchange, with its own row in the ledger.

    What is replaced becomes a previous version in its turn: rolling back twice ends where it began.

    :param partition: the partition to roll back; None is the whole table
    :returns: the publication's summary, and ``from``: the table that held the rows
    :raises TableError: if no previous version is kept
    """
    with connected(conn_id, publishing=True) as session:
        target = locate(session, Table.parse(table, session.dialect.fold))
        columns = session.columns(target.table)
        key = canonical_key(session, partition or {}, columns)
        where = Partition.of(target.table, key)
        versions = staging.previous_versions(session, where)
        if not versions:
            raise TableError(
                f"no previous version of {where} is kept", hint="publish with keep_previous=1 to keep one from then on"
            )
        newest = versions[0]
        if dry_run:
            return {"table": str(target.table), "partition": key, "from": str(newest), "published": False}
        supplied = [c.name for c in session.columns(newest)]
        writable = [c.name for c in columns if c.name in supplied and not c.generated]
        load = Load(
            table=target.table,
            source=Select(session.dialect.select(writable, newest)),
            key=key,
            allow_empty=True,
            settings=Settings(keep_previous=len(versions) + 1),
        )
        outcome = publish(session, Ledger(session, ledger_schema), load, Run())
        staging.drop(session, newest)
        return {**outcome.as_dict(), "from": str(newest)}
