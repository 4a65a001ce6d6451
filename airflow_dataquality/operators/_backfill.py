"""What the backfill operator and the tasks of its group share: the arguments, and what they are a backfill of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline
from airflow_dataquality.engine.backfill import Backfill, Connected
from airflow_dataquality.engine.compare import refuse_others
from airflow_dataquality.engine.parallel import Pool
from airflow_dataquality.engine.settings import MODES, Settings
from airflow_dataquality.engine.timeline import UNITS, grain_of, partitions_between
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.grammar import one_of, seconds
from airflow_dataquality.hooks.session import DbApiSession
from airflow_dataquality.model import Check, FailOn, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._lineage import Reads
from airflow_dataquality.operators._publishing import Publishing
from airflow_dataquality.operators._template import SqlTemplate
from airflow_dataquality.plans.backfill import ORDERS, Chunk, chunks, identity
from airflow_dataquality.spec import checks_from

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

DAYS = 7
"""Partitions of a chunk, if nothing says how many and the SQL reads ranges."""
MODES_OF_RANGES = ("auto", "create", "overwrite")


class BackfillTask(Publishing):
    """A task that does a backfill, or a part of it. Its arguments are those of :class:`ParallelBackfillOperator`."""

    template_fields: Sequence[str] = ("conn_id", "table", "start", "end", "database", "hook_params")
    template_ext: Sequence[str] = ()

    def __init__(
        self,
        *,
        table: str,
        sql: str,
        partition_column: str,
        start: str,
        end: str,
        grain: str = "auto",
        days_per_chunk: int | None = None,
        partitions_per_chunk: int | None = None,
        order: str = "newest_first",
        checks: Any = (),
        compare_with_production: Any = (),
        exchange: str = "auto",
        fail_on: str = "error",
        skip_unchanged: bool = False,
        resume: bool = True,
        keep_staging: bool = True,
        staging_ttl: float | str | timedelta = "7d",
        lock_timeout: float | str | timedelta = 0.1,
        exchange_timeout: float | str | timedelta = 60,
        allow_side_effects: Sequence[str] = (),
        ledger_schema: str = "dataquality",
        conn_id: str | None = None,
        database: str | None = None,
        retry_on_failure: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(conn_id=conn_id, database=database, retry_on_failure=retry_on_failure, **kwargs)
        self.table = table
        self.sql = sql
        self.partition_column = partition_column
        self.start = start
        self.end = end
        self.grain = grain
        self.days_per_chunk = days_per_chunk
        self.partitions_per_chunk = partitions_per_chunk
        self.order = order
        self.checks = checks
        self.compare_with_production = compare_with_production
        self.exchange = exchange
        self.fail_on = fail_on
        self.skip_unchanged = skip_unchanged
        self.resume = resume
        self.keep_staging = keep_staging
        self.staging_ttl = staging_ttl
        self.lock_timeout = lock_timeout
        self.exchange_timeout = exchange_timeout
        self.allow_side_effects = allow_side_effects
        self.ledger_schema = ledger_schema
        self._session: DbApiSession | None = None
        self._pool: Pool | None = None
        self._example: str | None = None
        self._checks, self._compared = self._validated()

    def _validated(self) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
        """Refuse now what can never work; the checks, read.

        :raises SpecError: naming the argument
        """
        common.require_connection(self)
        common.checked_table(self.table)
        _check_text(self.sql, "sql", 'write a SELECT, or the path of a .sql file: "sql/daily_flights.sql"')
        _check_text(self.partition_column, "partition_column", 'write the column\'s exact name: "ds"')
        if self.order not in ORDERS:
            raise SpecError(f"order is {self.order!r}", hint=did_you_mean(str(self.order), ORDERS, label="Orders"))
        if self.grain != "auto" and self.grain not in UNITS:
            raise SpecError(f"grain is {self.grain!r}", hint=did_you_mean(str(self.grain), ("auto", *UNITS)))
        one_of(FailOn, self.fail_on, "fail_on")
        seconds(self.staging_ttl, "staging_ttl")
        self._settings()
        if not common.is_template([self.start, self.end]):
            self._chunks(reads_ranges=True)
        elif self.days_per_chunk is not None and self.partitions_per_chunk is not None:
            raise SpecError("both days_per_chunk and partitions_per_chunk", hint="give one of them")
        return self._validated_checks()

    def _validated_checks(self) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
        folders = common.search_folders(self)
        checks = checks_from(() if self.checks is None else self.checks, folders=folders)
        compared = checks_from(self.compare_with_production or (), folders=folders)
        common.refuse_health(checks)
        refuse_others(compared)
        for check in (*checks, *compared):
            if isinstance(check.expect, Baseline):
                raise SpecError(f"{check.source or check.name}: a chunk has no past to be judged by",
                                hint="compare with production instead, or give an interval")  # fmt: skip
        return checks, compared

    def _settings(self) -> Settings:
        if self.exchange not in MODES_OF_RANGES:
            known = f"{self.exchange!r} does not fit a range of partitions" if self.exchange in MODES else ""
            raise SpecError(f"exchange is {known or repr(self.exchange)}",
                            hint=did_you_mean(str(self.exchange), MODES_OF_RANGES))  # fmt: skip
        return Settings(
            mode=self.exchange,
            lock_timeout=seconds(self.lock_timeout, "lock_timeout"),
            exchange_timeout=seconds(self.exchange_timeout, "exchange_timeout"),
            allow_side_effects=common.listed("allow_side_effects", self.allow_side_effects),
            clock=self._clock,
        )

    def _grain(self) -> str:
        return grain_of(str(self.start)) if self.grain == "auto" else self.grain

    def _chunks(self, *, reads_ranges: bool) -> tuple[Chunk, ...]:
        """The chunks of the range.

        :param reads_ranges: whether the SQL reads several partitions at once
        :raises SpecError: if the arguments, or the SQL, do not allow chunks of that size
        """
        grain = self._grain()
        size = self._size(grain)
        if size is None:
            size = DAYS if reads_ranges else 1
        elif size > 1 and not reads_ranges:
            raise SpecError(
                f"the SQL reads one partition, by its ds, and a chunk would be {size}: the others would be missing",
                hint="read from start_date to end_date, {% if backfill %} … BETWEEN '{{ start_date }}' AND "
                "'{{ end_date }}' {% endif %}, or write days_per_chunk=1",
            )
        return chunks(partitions_between(str(self.start), str(self.end), grain), size, self.order)

    def _size(self, grain: str) -> int | None:
        days, partitions = self.days_per_chunk, self.partitions_per_chunk
        if days is not None and partitions is not None:
            raise SpecError("both days_per_chunk and partitions_per_chunk", hint="give one of them")
        for name, value in (("days_per_chunk", days), ("partitions_per_chunk", partitions)):
            if value is not None:
                common.check_number(name, value, 1)
        if days is None or grain == "day":
            return partitions if days is None else days
        if grain == "hour":
            return 24 * days
        raise SpecError(f"days_per_chunk={days}, and a partition is a {grain}", hint="write partitions_per_chunk=")

    def spec(self, at: Connected | None, context: Context) -> Backfill:
        """What is to be done, with every chunk's SQL rendered.

        :param at: a connection, if there is one
        :raises SpecError: if Airflow did not render the arguments, or they cannot work
        """
        if not context:
            common.refuse_templates({name: getattr(self, name) for name in ("table", "start", "end")})
        template = SqlTemplate.of(self, self.sql)
        grain, cut = self._grain(), self._chunks(reads_ranges=template.reads_ranges)
        rendered = {chunk: template.render(context, chunk.first, chunk.last, grain) for chunk in cut}
        self._example = next(iter(rendered.values()))
        in_time = (rendered[chunk] for chunk in sorted(cut, key=lambda chunk: chunk.number))
        table = Table.parse(self.table)
        return Backfill(
            table=table,
            column=self.partition_column,
            chunks=cut,
            select=lambda chunk, _stage: rendered[chunk],
            identity=identity(table, self.partition_column, self.start, self.end, grain, statements=in_time),
            checks=common.render_checks(self, self._checks, context),
            compare=common.render_checks(self, self._compared, context),
            fail_on=FailOn(self.fail_on),
            settings=self._settings(),
            skip_unchanged=self.skip_unchanged,
            resume=self.resume,
            keep_staging=self.keep_staging,
            ttl=timedelta(seconds=seconds(self.staging_ttl, "staging_ttl")),
        )

    def lineage_reads(self) -> Sequence[Reads]:
        """What OpenLineage is told of as inputs."""
        return [Reads(sql=[self._example] if self._example else ())]

    def on_kill(self) -> None:
        """Cancel the statements that run; what is staged stays staged."""
        if self._pool is not None:
            self._pool.stop()
        if self._session is not None:
            self._session.cancel()


def _check_text(value: Any, name: str, hint: str) -> None:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{name} is {value!r}, not a text", hint=hint)
