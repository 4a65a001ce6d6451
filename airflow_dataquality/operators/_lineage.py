"""What a task read, wrote and found, as OpenLineage has it.

Nothing here is imported by a deployment without the ``openlineage`` provider, and nothing asks the database, but
which schema a bare name means.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine import lineage
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.session import Session
from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Metric, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.results import Summary

if TYPE_CHECKING:
    from airflow.providers.common.sql.operators.sql import BaseSQLOperator
    from airflow.providers.openlineage.extractors import OperatorLineage

    _Base = BaseSQLOperator
else:
    _Base = object


@dataclass(frozen=True)
class Reads:
    """What a task reads over one connection.

    :param sql: SELECTs
    :param files: addresses of files: ``s3://bucket/prefix``
    :param conn_id: the connection, if it is not the task's own
    """

    sql: Sequence[str] = ()
    tables: Sequence[Table] = ()
    files: Sequence[str] = ()
    conn_id: str | None = None


@dataclass(frozen=True)
class Found:
    """What a task found out about a table.

    :param outcome: what the task returned, or would have
    :param values: what was measured
    """

    table: Table
    summary: Summary = field(default_factory=lambda: Summary(()))
    outcome: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[Metric, Any] = field(default_factory=dict)


class TellsLineage(_Base):
    """Tells OpenLineage what the task read and wrote, how many rows, and what its checks found; also if it failed."""

    ledger_schema: Any
    _writes = True
    """Whether the table is what the task makes, and not what it looks at."""
    _found: tuple[Found, ...] = ()

    def _keep(
        self, summary: Summary, table: Table, outcome: Mapping[str, Any], measured: Mapping[Metric, Any] | None = None
    ) -> None:
        """Keep what was found, for whoever listens to the task.

        :param measured: numbers of which none was judged
        """
        values = {result.check.metric: result.value for result in summary.results} if measured is None else measured
        self._found = (*self._found, Found(table, summary, outcome, values))
        self.check_results = common.check_results(summary, table)

    def lineage_reads(self) -> Sequence[Reads]:
        """What the task reads, beside the table that it looks at."""
        return ()

    def _record_reads(self, session: Session, table: Table, context: Mapping[str, Any]) -> None:
        """Keep in the ledger what a table was made of; only where it can be told which tables a SELECT reads."""
        if importlib.util.find_spec("sqlglot") is None:
            return
        from airflow_dataquality.sensors._upstream import tables_in

        reads = [each for each in self.lineage_reads() if each.conn_id in (None, self.conn_id)]
        lineage.record(
            Ledger(session, self.ledger_schema), common.run_identity(context), table, tables_in,
            selects=[sql for each in reads for sql in each.sql], files=[file for each in reads for file in each.files],
            tables=[of for each in reads for of in each.tables],
        )  # fmt: skip

    def _table_named(self) -> str | None:
        """The table that the task is about."""
        return getattr(self, "table", None)

    def get_openlineage_facets_on_start(self) -> OperatorLineage[Any, Any] | None:
        """What the task is going to read and write."""
        return self._lineage()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What it read and wrote, and what the checks found."""
        return self._lineage()

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """As when it succeeds: without rows, and with the checks that failed."""
        return self._lineage()

    def _lineage(self) -> OperatorLineage[Any, Any] | None:
        try:
            from airflow.providers.openlineage.extractors import OperatorLineage
            from openlineage.client.facet_v2 import sql_job
        except ImportError:
            return None
        from airflow_dataquality.operators import _facets as facets

        reads, about = self.lineage_reads(), self._about()
        own = self.conn_id or (reads[0].conn_id if reads else None)
        places = {conn_id: self._place(conn_id) for conn_id in {own, *(each.conn_id or own for each in reads)}}
        names = [places[own].named(found.table) for found in about]
        known = zip(names, about, strict=True)
        tables = [facets.described(*name, found, written=self._writes) for name, found in known]
        inputs = {name: facets.read(name) for each in reads for name in places[each.conn_id or own].read(each)}
        if not self._writes:
            inputs |= zip(names, tables, strict=True)
        texts = list(dict.fromkeys(text for each in reads for text in each.sql))
        return OperatorLineage(
            inputs=list(inputs.values()),
            outputs=tables if self._writes else [],
            run_facets={} if about else facets.tests(self._found),
            job_facets={"sql": sql_job.SQLJobFacet(query=";\n".join(texts))} if texts else {},
        )

    def _place(self, conn_id: str | None) -> Place:
        hook: Any = self.get_db_hook() if conn_id in (None, self.conn_id) else self.get_hook(str(conn_id))
        return Place.of(hook)

    def _about(self) -> Sequence[Found]:
        """The tables that the task is about, with what was found of them."""
        name = self._table_named()
        if self._found or name is None:
            return () if name is None else self._found
        with contextlib.suppress(SpecError):  # a template that was not rendered, say
            return [Found(Table.parse(name))]
        return ()


@dataclass(frozen=True)
class Place:
    """Where a connection's tables are, as OpenLineage names them.

    https://github.com/OpenLineage/OpenLineage/blob/main/spec/Naming.md

    :param hook: knows which schema a bare name means; None if there are no schemas
    """

    namespace: str
    database: str | None
    dialect: str
    hook: Any

    @classmethod
    def of(cls, hook: Any) -> Place:
        """The place, named as the hook's provider names it; or by the connection, if that names none."""
        connection = hook.get_connection(hook.get_conn_id())
        dialect = hook.get_openlineage_database_dialect(connection)
        info = hook.get_openlineage_database_info(connection)
        if info is not None:
            namespace = f"{info.scheme}://{info.authority}" if info.authority else str(info.scheme)
            return cls(namespace, info.database, dialect, hook)
        port = f":{connection.port}" if connection.port else ""
        return cls(f"{connection.conn_type}://{connection.host or ''}{port}", connection.schema or None, dialect, None)

    def named(self, table: Table) -> tuple[str, str]:
        """A table's namespace and name."""
        parts = (self.database, table.schema or self._default_schema(), table.name)
        return self.namespace, ".".join(part for part in parts if part)

    def read(self, reads: Reads) -> list[tuple[str, str]]:
        """Namespace and name of each table and file that is read."""
        tables = [*reads.tables, *(table for text in reads.sql for table in self._tables(text))]
        return [*map(self.named, tables), *map(_file, reads.files)]

    def _tables(self, sql: str) -> list[Table]:
        """The tables that a SELECT reads; none if it cannot be told."""
        from airflow.providers.openlineage.sqlparser import SQLParser

        parsed = SQLParser(dialect=self.dialect).parse([sql])
        found = [] if parsed is None else parsed.in_tables
        return [_table(each, sql) for each in found if each.schema or not _is_function(each.name, sql)]

    def _default_schema(self) -> str | None:
        if self.hook is None:
            return None
        with contextlib.suppress(Exception):  # a database that is down is told of already
            schema = self.hook.get_openlineage_default_schema()
            return str(schema) if schema else None
        return None


def _is_function(name: str, sql: str) -> bool:
    """Whether what the parser took for a table yields rows by being called."""
    return re.search(rf'\b{re.escape(name)}"?\s*\(', sql, re.IGNORECASE) is not None


def _table(found: Any, sql: str) -> Table:
    """The table as the database folds its name, which the parser does not."""

    def folded(name: str) -> str:
        return name if f'"{name}"' in sql else name.lower()

    return Table(folded(found.name), folded(found.schema) if found.schema else None)


def _file(address: str) -> tuple[str, str]:
    scheme, _, rest = address.partition("://")
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", key.rstrip("/") or "/"
