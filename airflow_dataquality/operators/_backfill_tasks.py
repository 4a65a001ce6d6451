"""The tasks of the group ``parallel_backfill``: the same steps as the operator's, each of them a task of its own."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.backfill import Connected, begin
from airflow_dataquality.engine.chunks import checking_of, missing, stage_chunk
from airflow_dataquality.engine.reveal import examine, reveal
from airflow_dataquality.errors import ChecksFailed, DataQualityError
from airflow_dataquality.hooks.session import open_exchange
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._backfill import BackfillTask
from airflow_dataquality.operators._metrics import emits

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class _Step(BackfillTask):
    """One step, over a connection of its own."""

    _writes = False

    @emits
    def execute(self, context: Context) -> Any:
        """Do the step."""
        try:
            with open_exchange(self.get_db_hook()) as session:
                self._session = session
                return self.step(Connected.over(session, self.ledger_schema), context)
        except DataQualityError as error:
            if isinstance(error, ChecksFailed) and error.summary is not None:
                self._keep(error.summary, Table.parse(self.table), error.outcome)
            common.fail(self, error)

    @abc.abstractmethod
    def step(self, at: Connected, context: Context) -> Any:
        """The work itself; what it returns is the task's XCom."""


class PlanBackfill(_Step):
    """Make the staging table, or find it again.

    :returns: the chunks, for the mapped task: ``number``, ``first``, ``last``, and ``backfill``, which they are part of
    """

    def step(self, at: Connected, context: Context) -> list[dict[str, Any]]:
        job = begin(at, self.spec(at, context), common.run_identity(context))
        checking_of(at, job, job.whole).preflight(Partition(job.stage.table))
        self.log.info("%s: %s of %s chunks are to be staged", job.whole, len(missing(at, job)), len(job.spec.chunks))
        return [
            {"number": chunk.number, "first": chunk.first, "last": chunk.last, "backfill": job.generation}
            for chunk in job.spec.chunks
        ]


class StageChunk(_Step):
    """Compute one chunk, check it, and stage its rows.

    :param chunk: as the plan returned it (templated)
    :returns: ``number`` and ``rows``
    """

    template_fields: Sequence[str] = (*BackfillTask.template_fields, "chunk")

    def __init__(self, *, chunk: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chunk = chunk

    def step(self, at: Connected, context: Context) -> dict[str, Any]:
        spec = self.spec(at, context)
        job = begin(at, spec, common.run_identity(context), generation=self.chunk["backfill"])
        (chunk,) = (chunk for chunk in spec.chunks if chunk.number == self.chunk["number"])
        if chunk not in missing(at, job):
            self.log.info("Chunk %s is staged already", chunk)
            return {"number": chunk.number, "rows": at.ledger.chunks(job.generation)[chunk.number]}
        rows = stage_chunk(at, job, chunk)
        self._report.numbers({"rows.staged": rows})
        self.log.info("Staged chunk %s: %s rows", chunk, f"{rows:,}")
        return {"number": chunk.number, "rows": rows}


class CompareBackfill(_Step):
    """Compare every partition with production's.

    :param plan: what the plan returned (templated)
    :returns: the counts of the results, and how many partitions differ
    """

    template_fields: Sequence[str] = (*BackfillTask.template_fields, "plan")

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def step(self, at: Connected, context: Context) -> Mapping[str, Any]:
        job = begin(at, self.spec(at, context), common.run_identity(context), generation=self.plan[0]["backfill"])
        _, compared = examine(at, job)
        differing = sum(found.differs for found in compared)
        self._report.numbers({"backfill.partitions": len(compared), "backfill.differing": differing})
        return {"partitions": len(compared), "differing": differing}


class ExchangeBackfill(CompareBackfill):
    """Make the whole range visible at once, after comparing again: production may have changed since.

    :returns: as :class:`ParallelBackfillOperator`
    """

    _writes = True

    def step(self, at: Connected, context: Context) -> Mapping[str, Any]:
        job = begin(at, self.spec(at, context), common.run_identity(context), generation=self.plan[0]["backfill"])
        outcome = reveal(at, *examine(at, job))
        return self._tell(context, outcome)
