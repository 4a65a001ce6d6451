"""Wait until partitions are published, or exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow_dataquality.assets import add_partitions
from airflow_dataquality.engine.waiting import Sight, Terms
from airflow_dataquality.engine.wanted import partition_of, without_templates
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import seconds
from airflow_dataquality.hooks.waiting import Lake, Prefix
from airflow_dataquality.model import Partition
from airflow_dataquality.operators import _common as common
from airflow_dataquality.sensors._base import WaitingSensor
from airflow_dataquality.sensors._upstream import is_query, tables_in, written
from airflow_dataquality.sensors._warehouse import WarehouseSensor
from airflow_dataquality.triggers.partition import S3PartitionTrigger

STATES = ("published", "exists")


class PartitionSensor(WarehouseSensor):
    """Wait until partitions of tables are published after their checks passed, or exist.

    A partition is published when the ledger says so, which it does in the transaction that makes the rows visible:
    half of its rows, or rows that were rejected, release nobody. One that is there already is not waited for. Else
    the task is deferred, and all that wait on one connection in one triggerer cost one statement per interval.

    :param conn_id: connection to the warehouse
    :param partitions: ``schema.table/column=value``, or several; with SQL quotes where names need them; for a table
        that is published as a whole ``schema.table`` (templated)
    :param state: ``published``, by the ledger; or ``exists``: the table itself is looked at, for data that others load
    :param min_rows: with ``exists``, fewest rows, by default 1
    :param settle: with ``exists``, how long their number has to stay the same: seconds, timedelta or "5m"
    :param min_score: with ``published``, the least score of the publication, from 0 to 1
    :param max_age: with ``published``, how old the publication may be: seconds, timedelta or "26h"
    :param on_missing_table: ``wait`` until a table exists, or ``fail``
    :param poke_interval: seconds, or a timedelta, from one look to the next
    :param deferrable: wait in the triggerer: by default, unless ``[airflow_dataquality] default_deferrable`` is False
    :param ledger_schema: schema of the ledger's tables
    :param database: database to use instead of the connection's
    :returns: for each partition ``partition``, ``table``, ``key``, ``rows``; with ``published`` also ``run_uid``,
        ``dag_id``, ``task_id``, ``run_id``, ``mode``, ``score``, ``published_at`` and ``age`` in seconds; with
        ``exists`` for how many seconds it is ``unchanged``
    :raises SpecError: when the DAG is parsed, for a partition that cannot be one
    :raises AirflowFailException: if a table has no such column, or is missing and that is to fail
    """

    _facts = ("dag_id", "task_id", "run_id", "run_uid", "mode", "rows", "score", "published_at")

    def __init__(
        self,
        *,
        conn_id: str,
        partitions: str | Sequence[str],
        state: str = "published",
        min_rows: int | None = None,
        settle: float | str | timedelta = 0,
        min_score: float | None = None,
        max_age: float | str | timedelta | None = None,
        on_missing_table: str = "wait",
        poke_interval: timedelta | float = 60,
        deferrable: bool | None = None,
        ledger_schema: str = "dataquality",
        database: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            conn_id=conn_id, partitions=partitions, on_missing_table=on_missing_table, poke_interval=poke_interval,
            deferrable=deferrable, database=database, **kwargs,
        )  # fmt: skip
        self.state = state
        self.min_rows = min_rows
        self.settle = settle
        self.min_score = min_score
        self.max_age = max_age
        self.ledger_schema = ledger_schema
        self._validate()

    def _validate(self) -> None:
        """Refuse now what can never work.

        :raises SpecError: naming the argument
        """
        if self.state not in STATES:
            raise SpecError(f"state is {self.state!r}", hint=did_you_mean(str(self.state), STATES))
        of = {"published": ("min_score", "max_age"), "exists": ("min_rows", "settle")}
        for state, names in of.items():
            given = [name for name in names if getattr(self, name) not in (None, 0)]
            if given and state != self.state:
                raise SpecError(f"{given[0]} beside state={self.state!r}", hint=f"it belongs to state={state!r}")
        if self.min_score is not None and (
            isinstance(self.min_score, bool)
            or not isinstance(self.min_score, int | float)
            or not 0 <= self.min_score <= 1
        ):
            raise SpecError(f"min_score is {self.min_score!r}", hint="write a number from 0 to 1")
        if self.min_rows is not None:
            common.check_number("min_rows", self.min_rows, 1)
        if self._terms().settle and not self.deferrable and self.reschedule:
            hint = 'a task that is rescheduled forgets what it saw: use deferrable=True, or mode="poke"'
            raise SpecError("settle beside mode='reschedule'", hint=hint)

    def _terms(self) -> Terms:
        if self.state == "exists":
            return Terms(min_rows=self.min_rows or 1, settle=seconds(self.settle, "settle"))
        return Terms(self.min_score, None if self.max_age is None else seconds(self.max_age, "max_age"))


class RedshiftExternalPartitionSensor(WarehouseSensor):
    """Wait until partitions of external tables are registered: Redshift Spectrum reads them from then on.

    :param conn_id: connection to Redshift
    :param partitions: ``schema.table/column=value``, or several, with all partition columns of the table (templated)
    :param on_missing_table: ``wait`` until a table exists, or ``fail``
    :param poke_interval: seconds, or a timedelta, from one look to the next
    :param deferrable: wait in the triggerer: by default, unless ``[airflow_dataquality] default_deferrable`` is False
    :param database: database to use instead of the connection's
    :returns: for each partition ``partition``, ``table``, ``key`` and ``location``
    :raises SpecError: when the DAG is parsed, for a partition that cannot be one
    :raises AirflowFailException: if a table's partitions are by other columns, or it is missing and that is to fail
    """

    state = "external"
    _facts = ("location",)

    def __init__(
        self,
        *,
        conn_id: str,
        partitions: str | Sequence[str],
        on_missing_table: str = "wait",
        poke_interval: timedelta | float = 60,
        deferrable: bool | None = None,
        database: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            conn_id=conn_id, partitions=partitions, on_missing_table=on_missing_table, poke_interval=poke_interval,
            deferrable=deferrable, database=database, **kwargs,
        )  # fmt: skip

    def _partition(self, text: str) -> Partition:
        partition = partition_of(text)
        if without_templates(text) == text and (not partition.key or partition.table.schema is None):
            hint = "write schema.table/column=value"
            raise SpecError(f"{text!r} is no partition of an external table", hint=hint)
        return partition


class S3PartitionSensor(WaitingSensor):
    """Wait until the files of partitions are in S3: a marker, or enough of them.

    :param partitions: ``s3://bucket/table/ds={{ ds }}/``, or several (templated)
    :param marker: the name of the file that is written last: ``_SUCCESS``
    :param min_files: fewest files; those whose names begin with ``_`` or ``.`` do not count
    :param min_bytes: fewest bytes in them
    :param aws_conn_id: connection to AWS; None takes what boto3 finds
    :param poke_interval: seconds, or a timedelta, from one look to the next
    :param deferrable: wait in the triggerer: by default, unless ``[airflow_dataquality] default_deferrable`` is False
    :returns: for each partition ``partition``, ``uri``, and ``marker``, or ``files`` and ``bytes``
    :raises SpecError: when the DAG is parsed, for what is no folder in S3
    """

    template_fields: Sequence[str] = ("partitions", "aws_conn_id")
    _facts = ("marker", "files", "bytes")

    def __init__(
        self,
        *,
        partitions: str | Sequence[str],
        marker: str | None = None,
        min_files: int | None = None,
        min_bytes: int | None = None,
        aws_conn_id: str | None = "aws_default",
        poke_interval: timedelta | float = 60,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(partitions=partitions, poke_interval=poke_interval, deferrable=deferrable, **kwargs)
        self.marker = marker
        self.min_files = min_files
        self.min_bytes = min_bytes
        self.aws_conn_id = aws_conn_id
        self._checked(lambda text: Prefix(without_templates(text), marker))
        if (marker is None) == (min_files is None and min_bytes is None):
            hint = 'write marker="_SUCCESS", or min_files=1, or min_bytes=1'
            raise SpecError("a marker, or a number of files or bytes, says that a partition in S3 is whole", hint=hint)
        for name in ("min_files", "min_bytes"):
            if getattr(self, name) is not None:
                common.check_number(name, getattr(self, name), 1)

    def _seen(self) -> Mapping[Any, Sight]:
        self._wanted = [Prefix(uri, self.marker) for uri in self._rendered()]
        with Lake(self.aws_conn_id).opened(None) as look:
            return look(self._wanted)

    def _trigger(self) -> S3PartitionTrigger:
        return S3PartitionTrigger(
            uris=[each.uri for each in self._wanted], marker=self.marker, min_files=self.min_files,
            min_bytes=self.min_bytes, poll_interval=self.poke_interval, aws_conn_id=self.aws_conn_id,
        )  # fmt: skip

    def _tell_outlets(self, context: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> None:
        keys = [re.findall(r"=([^/]+)", each["partition"]) for each in found]
        add_partitions(context, ["|".join(values) for values in keys if values])


def wait_for(
    upstream: str | Iterable[str], *, conn_id: str, partition: Mapping[str, Any] | None = None, **arguments: Any
) -> list[PartitionSensor]:
    """Make a sensor for each partition or table upstream: ``wait_for([…], conn_id="warehouse") >> load``.

    :param upstream: partitions and tables, as :class:`PartitionSensor` takes them; or a SELECT, whose tables are meant
    :param conn_id: connection to the warehouse
    :param partition: the key of tables that are named without one: ``{"ds": "{{ ds }}"}``
    :param arguments: of every :class:`PartitionSensor`
    :returns: the sensors, in that order; ``wait_for_analytics_daily_flights`` waits for ``analytics.daily_flights``
    :raises SpecError: if one is no partition, or the SELECT cannot be read
    """
    texts = [upstream] if isinstance(upstream, str) else list(upstream)
    named = [name for text in texts for name in (tables_in(text) if is_query(text) else [text])]
    tail = "".join(written(column, value) for column, value in (partition or {}).items())
    sensors: dict[str, PartitionSensor] = {}
    for text in dict.fromkeys(named):
        found = partition_of(without_templates(text))
        name = re.sub(r"[\W_]+", "_", f"wait_for_{found.table}").strip("_")
        number = sum(task == name or task.startswith(f"{name}__") for task in sensors)
        task_id = f"{name}__{number + 1}" if number else name
        whole = text if found.key else f"{text}{tail}"
        sensors[task_id] = PartitionSensor(task_id=task_id, conn_id=conn_id, partitions=[whole], **arguments)
    return list(sensors.values())
