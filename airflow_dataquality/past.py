"""What the ledger knows of a table: what was published of it, and what its checks found."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.session import Session
from airflow_dataquality.errors import DataQualityError, SpecError, TableError, did_you_mean
from airflow_dataquality.hooks.connections import connected
from airflow_dataquality.model import Partition, Scalar, Table, as_json

PUBLICATIONS = ("partition", "mode", "rows", "score", "passed", "warned", "failed", "errored", "skipped",
                "previous_version", "dag_id", "task_id", "run_id", "try_number", "run_uid")  # fmt: skip
RESULTS = ("partition", "check_name", "metric", "column_name", "value", "value_text", "interval", "expected", "low",
           "high", "score", "status", "severity", "reason", "dag_id", "task_id", "run_id", "try_number",
           "run_uid")  # fmt: skip


def history(
    conn_id: str,
    table: str,
    check: str | None = None,
    *,
    partition: Mapping[str, Scalar] | None = None,
    partition_column: str | None = None,
    limit: int = 20,
    ledger_schema: str = "dataquality",
    ledger_conn_id: str | None = None,
) -> dict[str, Any]:
    """Read the ledger, the newest first. The table itself need not be there any more.

    :param check: the results of this check alone
    :param partition: of this partition alone
    :param partition_column: of partitions by this column alone, the last partition first, and not what was done last
    :param limit: rows of each kind, at most
    :returns: ``table``, ``publications`` (none if ``check`` is given), ``results``
    :raises DataQualityError: if there is no ledger, or nothing in it of that table or check
    """
    if limit < 1:
        raise SpecError(f"limit is {limit}, not a number of rows", hint="20 is usual")
    with ExitStack() as stack:
        session: Session = stack.enter_context(connected(conn_id))
        of = _located(session, table)
        other = session if ledger_conn_id is None else stack.enter_context(connected(ledger_conn_id))
        ledger = Ledger(other, ledger_schema)
        if not other.columns(ledger.table("ledger_version")):
            raise DataQualityError(
                f"there is no ledger in schema {ledger_schema!r}",
                hint="name its schema with --ledger-schema, and its connection with --ledger-conn-id",
            )
        where = {"table_schema": of.schema, "table_name": of.name}
        where |= {"partition": as_json(partition.items())} if partition else {}
        asked = _Reader(ledger, where, partition_column, limit)
        results = asked.rows("check_result", RESULTS, {"check_name": check} if check else {})
        publications = [] if check else asked.rows("publication", PUBLICATIONS)
        if not results and not publications:
            raise _nothing(ledger, of, check, partition)
    return {"table": str(of), "check": check, "publications": publications, "results": results}


class _Reader:
    """Reads the newest rows of the ledger's tables."""

    def __init__(self, ledger: Ledger, where: Mapping[str, Any], partition_column: str | None, limit: int) -> None:
        self.ledger, self.where, self.partition_column, self.limit = ledger, where, partition_column, limit

    def rows(self, name: str, columns: Sequence[str], more: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        clock = {"publication": "published_at", "check_result": "checked_at"}[name]
        question = self.ledger.dialect.newest(
            self.ledger.table(name), columns, clock, self.limit, {**self.where, **(more or {})}, self.partition_column
        )
        return [
            {**dict(zip([*columns, clock], row, strict=True)), "partition": json.loads(row[0])}
            for row in self.ledger.session.query(question)
        ]


def _located(session: Session, name: str) -> Table:
    """The table, with the schema in which the database finds a bare name."""
    table = Table.parse(name, session.dialect.fold)
    question = session.dialect.schema_of(table)
    if table.schema is None and question and (found := session.query(question)):
        return Table(table.name, found[0][0])
    return table


def _nothing(
    ledger: Ledger, table: Table, check: str | None, partition: Mapping[str, Scalar] | None
) -> DataQualityError:
    """Why nothing was found."""
    kinds = [ledger.table(name) for name in ("publication", "check_result")]
    known = [str(Table(row[1], row[0])) for row in ledger.session.query(ledger.dialect.tables_known(kinds))]
    if str(table) not in known:
        return TableError(f"nothing is recorded of {table}", hint=did_you_mean(str(table), known, label="Recorded"))
    checks = [str(row[0]) for row in ledger.session.query(ledger.dialect.checks_known(kinds[1], table))]
    if check is not None and check not in checks:
        return SpecError(f"no check {check!r} is recorded of {table}", hint=did_you_mean(check, checks, label="Checks"))
    what = Partition.of(table, partition) if partition else table
    return TableError(f"nothing is recorded of {what}", hint="leave out --partition, or --partition-column")
