"""The tasks of a DAG of ``backfill_dag``: what a run was given takes the place of the operator's arguments."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_dataquality.engine import held
from airflow_dataquality.engine.backfill import Connected, Job, begin
from airflow_dataquality.engine.chunks import checking_of, missing
from airflow_dataquality.engine.compare import Compared
from airflow_dataquality.engine.forecast import STATEMENTS, plan_of
from airflow_dataquality.engine.job import Job as Described
from airflow_dataquality.engine.job import Order, deal
from airflow_dataquality.engine.parallel import Connect, Pool
from airflow_dataquality.engine.reveal import examine, reveal
from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.engine.work import Workforce, stage_missing
from airflow_dataquality.errors import ChecksFailed, DataQualityError, ExchangeError
from airflow_dataquality.hooks.session import open_exchange
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._backfill import BackfillTask
from airflow_dataquality.operators._metrics import emits
from airflow_dataquality.operators._summary_backfill import SummaryBackfill
from airflow_dataquality.operators.parallel_backfill import ParallelBackfillOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    _Base = ParallelBackfillOperator
else:
    _Base = object

LISTED = 500
"""Partitions whose comparison is kept for the pages."""
PLANNED, BEGUN, COMPARED = "planned", "begun", "compared"
"""Under which keys of XCom the tasks leave for the pages what they found."""


class _Step(_Base):
    """One step of a run. The classes of its operators have the same arguments.

    :param part: ``plan``, ``chunks``, ``compare`` or ``exchange``
    :param described: the job, as its DAG says it to the pages
    :param work: what the plan returned: a process's share, or which backfill it is (templated)
    """

    part: str
    described: str
    work: Any
    template_fields: Sequence[str] = (*BackfillTask.template_fields, "work")
    template_fields_renderers: ClassVar[dict[str, str]] = {"table": "py", "work": "json"}

    @emits
    def execute(self, context: Context) -> Any:
        """Do the step, as far as the run wants it."""
        try:
            wanted = self._take(context)
            with open_exchange(self.get_db_hook()) as session:
                self._session = session
                at = Connected.over(session, self.ledger_schema)
                step = {"plan": self._plan, "chunks": self._chunks_of_mine, "compare": self._compare,
                        "exchange": self._exchange}[self.part]  # fmt: skip
                return step(at, context, wanted)
        except DataQualityError as error:
            if isinstance(error, ChecksFailed) and error.summary is not None:
                self._keep(error.summary, Table.parse(self.table), error.outcome)
            common.fail(self, error)

    def _take(self, context: Context) -> Order:
        """Take the run's parameters for arguments.

        :raises SpecError: if they cannot work
        """
        described = Described.read(self.described)
        assert described is not None
        wanted = described.ordered(context["params"])
        self.max_parallel = wanted.max_parallel
        if described.per:
            self.days_per_chunk = self.partitions_per_chunk = None
            setattr(self, described.per, wanted.per_chunk)
        over = {"compare": ("discard", "plan"), "exchange": ("discard", "plan", "hold")}
        if wanted.finish in over.get(self.part, ()):
            raise AirflowSkipException(f"This run ends with {wanted.finish!r}: there is nothing to {self.part}")
        return wanted

    def _plan(self, at: Connected, context: Context, wanted: Order) -> list[dict[str, Any]]:
        """Make the staging table, or find it again.

        :returns: for each process the numbers of its chunks, and the backfill that they are part of
        """
        spec = self.spec(at, context)
        if wanted.finish in ("plan", "discard"):
            _leave(context, BEGUN, {"backfill": "", "chunks": 0, "table": self.table, "found": 0})
        if wanted.finish == "plan":
            plan = plan_of(at, spec, self.max_parallel)
            self.log.info("%s", plan)
            shown = {str(chunk): spec.select(chunk, Table("staged_rows")) for chunk in spec.chunks[:STATEMENTS]}
            _leave(context, PLANNED, {**plan.as_dict(), "held": plan.held, "sql": shown})
            return []
        if wanted.finish == "discard":
            dropped = held.discard(at, spec, wanted.backfill)
            self.log.info("Discarded what was staged in %s", dropped)
            return []
        job = self._begun(at, context, wanted.backfill or None)
        checking_of(at, job, job.whole).preflight(Partition(job.stage.table))
        lacking = missing(at, job)
        shares = deal(lacking, self.max_parallel)
        self.log.info("%s: %s of %s chunks are to be staged, by %s processes", job.whole, len(lacking),
                      len(job.spec.chunks), len(shares))  # fmt: skip
        chunks = len(job.spec.chunks)
        _leave(context, BEGUN, {"backfill": job.generation, "chunks": chunks, "table": str(job.whole.table),
                                "found": chunks - len(lacking)})  # fmt: skip
        return [
            {"process": number, "of": len(shares), "chunks": share, "backfill": job.generation}
            for number, share in enumerate(shares, 1)
        ]

    def _begun(self, at: Connected, context: Context, generation: str | None) -> Job:
        try:
            return begin(at, self.spec(at, context), common.run_identity(context), generation=generation)
        except ExchangeError as error:
            if generation is None or self.part != "plan":
                raise
            raise ExchangeError(
                f"what was staged is not there any more: {error.message}",
                hint="start the backfill again: what would be published now is not what was compared",
            ) from error

    def _chunks_of_mine(self, at: Connected, context: Context, wanted: Order) -> dict[str, int]:
        """Stage the chunks of this process, one after the other.

        :returns: how many they are, and how many were staged by this run
        """
        job = self._begun(at, context, self.work["backfill"])

        def hired(pool: Pool) -> None:
            self._pool = pool

        workforce = Workforce(
            self._connections(at), 1, self.chunk_retries, self.max_failures, self._report.progress, hired
        )
        staged = stage_missing(at, job, workforce, frozenset(self.work["chunks"]))
        return {"chunks": len(self.work["chunks"]), "staged": staged}

    def _connections(self, at: Connected) -> Connect:
        """The connection that there is; when it broke, another."""
        there, hook = [at.session], self.get_db_hook()

        @contextlib.contextmanager
        def connect() -> Iterator[ExchangeSession]:
            with contextlib.ExitStack() as stack:
                yield there.pop() if there else stack.enter_context(open_exchange(hook))

        return connect

    def _compare(self, at: Connected, context: Context, wanted: Order) -> dict[str, int]:
        """Compare every partition with production's.

        :returns: how many partitions there are, and how many of them differ
        """
        job = self._begun(at, context, self.work["backfill"])
        held.take(at.session, job)
        job, compared = examine(at, job)
        differing = [found for found in compared if found.differs]
        self._report.numbers({"backfill.partitions": len(compared), "backfill.differing": len(differing)})
        counts = {"partitions": len(compared), "differing": len(differing)}
        _leave(context, COMPARED, {
            **counts, "run_uid": job.run.run_uid, "staged": sum(found.staged for found in compared),
            "held": sum(found.held for found in compared), "listed": [_line(found) for found in differing[:LISTED]],
        })  # fmt: skip
        if wanted.finish == "hold":
            self.log.info("What is staged waits in %s. Run the DAG again with finish=exchange or finish=discard, "
                          "the same partitions, and backfill=%s", job.stage.table, job.generation)  # fmt: skip
        return counts

    def _exchange(self, at: Connected, context: Context, wanted: Order) -> Mapping[str, Any]:
        """Make the whole range visible at once, after comparing again: production may have changed since.

        :returns: as :class:`ParallelBackfillOperator`
        """
        job = self._begun(at, context, self.work["backfill"])
        held.take(at.session, job)
        outcome = reveal(at, *examine(at, job))
        return self._tell(context, outcome)


class BackfillStep(_Step, ParallelBackfillOperator):
    """A step of the backfill of a daily load."""

    def __init__(self, *, part: str, described: str = "", work: Any = None, **kwargs: Any) -> None:
        self.part, self.described, self.work = part, described, work
        super().__init__(**kwargs)


class SummaryBackfillStep(_Step, SummaryBackfill):
    """A step of the backfill of a summary."""

    def __init__(self, *, part: str, described: str = "", work: Any = None, **kwargs: Any) -> None:
        self.part, self.described, self.work = part, described, work
        super().__init__(**kwargs)


def _line(found: Compared) -> dict[str, Any]:
    """A partition on both sides, as JSON."""
    checks = {r.check.name: [r.value if isinstance(r.value, int | float) else None, str(r.status)]
              for r in found.summary.results}  # fmt: skip
    name = ", ".join(str(value) for _, value in found.partition.key)
    sides = {"staged": found.staged, "held": found.held, "changed": found.changed}
    return {"partition": name, **sides, "checks": checks}


def _leave(context: Context, key: str, value: Mapping[str, Any]) -> None:
    """Leave something for the pages; outside of a run there are none."""
    instance: Any = context.get("ti")
    if instance is not None:
        instance.xcom_push(key=key, value=dict(value))
