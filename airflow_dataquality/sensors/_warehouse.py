"""Sensors of what is in a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_dataquality.assets import add_landed
from airflow_dataquality.engine.waiting import Sight, Terms, Watch
from airflow_dataquality.engine.wanted import Wanted, partition_of, without_templates
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.hooks.waiting import WATCHES, Warehouse, connection_of
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.sensors._base import WaitingSensor
from airflow_dataquality.triggers.partition import PartitionTrigger

ON_MISSING_TABLE = ("wait", "fail")


class WarehouseSensor(WaitingSensor):
    """A sensor of tables.

    :param conn_id: the connection
    :param on_missing_table: ``wait`` or ``fail``
    """

    template_fields: Sequence[str] = ("conn_id", "partitions", "database")
    conn_id_field = "conn_id"
    state: str
    ledger_schema = "dataquality"

    def __init__(
        self,
        *,
        conn_id: str,
        partitions: str | Sequence[str],
        on_missing_table: str = "wait",
        database: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(partitions=partitions, **kwargs)
        self.conn_id = conn_id
        self.on_missing_table = on_missing_table
        self.database = database
        self._watch: Watch | None = None
        if not conn_id:
            raise SpecError(f"{type(self).__name__} {self.task_id!r} has no conn_id", hint='write conn_id="warehouse"')
        if on_missing_table not in ON_MISSING_TABLE:
            hint = did_you_mean(str(on_missing_table), ON_MISSING_TABLE)
            raise SpecError(f"on_missing_table is {on_missing_table!r}", hint=hint)
        self._checked(lambda text: self._partition(without_templates(text) if isinstance(text, str) else text))

    def _partition(self, text: str) -> Partition:
        return partition_of(text)

    def _terms(self) -> Terms:
        return Terms()

    @property
    def _warehouse(self) -> Warehouse:
        return Warehouse(str(self.conn_id), self.state, self.ledger_schema, self.database)

    def _seen(self) -> Mapping[Any, Sight]:
        warehouse = self._warehouse
        if self._watch is None:
            self._wanted = [Wanted(self._partition(text)) for text in self._rendered()]
            self._watch = WATCHES[self.state](self.ledger_schema)
        with warehouse.session(connection_of(str(self.conn_id))) as session:
            self._wanted = warehouse.find(session, self._wanted)
            return self._watch.look(session, self._wanted)

    def _trigger(self) -> PartitionTrigger:
        return PartitionTrigger.of(
            self._warehouse, self._wanted, self._terms(), poll_interval=self.poke_interval,
            fail_if_missing=self.on_missing_table == "fail",
        )  # fmt: skip

    def _tell_outlets(self, context: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> None:
        add_landed(context, str(self.conn_id), [(Table.parse(each["table"]), each["key"]) for each in found])
