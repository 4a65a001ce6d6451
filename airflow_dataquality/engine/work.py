"""A backfill from its first chunk to its exchange, in one process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

from airflow_dataquality.engine.backfill import Backfill, Connected, Job, begin, give_up
from airflow_dataquality.engine.chunks import checking_of, missing, stage_chunk
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.parallel import Connect, Failure, Pool, in_parallel
from airflow_dataquality.engine.progress import Gauge, Progress, no_gauge
from airflow_dataquality.engine.reveal import Outcome, examine, reveal
from airflow_dataquality.errors import ChunksFailed
from airflow_dataquality.model import Partition
from airflow_dataquality.plans.backfill import Chunk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workforce:
    """How the chunks are worked off.

    :param connect: opens a connection
    :param size: chunks at the same time
    :param retries: how often a chunk that failed is tried again
    :param max_failures: after more failures than that no other chunk is begun; None begins all
    :param gauge: told of the progress
    :param hired: told of the connections, so that they can be cancelled
    """

    connect: Connect
    size: int = 1
    retries: int = 1
    max_failures: int | None = None
    gauge: Gauge = no_gauge
    hired: Callable[[Pool], None] | None = None


def backfill(at: Connected, spec: Backfill, run: Run, workforce: Workforce) -> Outcome:
    """Stage what is missing, compare, and exchange the whole range.

    :raises ChunksFailed: naming the chunks that failed, and why; the others stay staged, production is unchanged
    :raises ChecksFailed: if the comparison with production blocks; production is unchanged
    :raises TableError: if the SELECT or the partitions do not fit the table, or there are no rows at all
    :raises ExchangeError: if the rows cannot be made visible; production is unchanged
    """
    job = begin(at, spec, run)
    try:
        checking_of(at, job, job.whole).preflight(Partition(job.stage.table))
        stage_missing(at, job, workforce)
    except BaseException as error:
        give_up(at.session, job, error, rejected=False)
        raise
    job, compared = examine(at, job)
    return reveal(at, job, compared)


def stage_missing(at: Connected, job: Job, workforce: Workforce, only: Collection[int] | None = None) -> int:
    """Stage the chunks that are not staged yet, several at a time; how many they are.

    :param only: of the chunks with these numbers
    :raises ChunksFailed: naming those that failed, and why
    """
    chunks = [chunk for chunk in missing(at, job) if only is None or chunk.number in only]
    total = len(job.spec.chunks if only is None else only)
    progress = Progress(total, total - len(chunks), workforce.gauge)
    if not chunks:
        return 0
    size = min(workforce.size, len({chunk.lane for chunk in chunks}))
    log.info("%s: %s of %s chunks to be staged, %s at a time", job.whole, len(chunks), progress.total, size)
    schema = at.ledger.schema

    with Pool(workforce.connect, size) as pool:
        if workforce.hired is not None:
            workforce.hired(pool)
        failures = in_parallel(
            chunks, lambda session, chunk: stage_chunk(Connected.over(session, schema), job, chunk), pool,
            done=progress.finished, retries=workforce.retries, max_failures=workforce.max_failures,
        )  # fmt: skip
    if failures:
        raise chunks_failed(job, failures, progress)
    return len(chunks)


def chunks_failed(job: Job, failures: list[Failure], progress: Progress) -> ChunksFailed:
    """What to raise when chunks failed."""
    listed = "".join(f"\n  - {failure}" for failure in sorted(failures, key=_number))
    left = progress.total - progress.done - len(failures)
    begun = f"; {left} were not begun" if left else ""
    return ChunksFailed(
        f"{job.whole}: {len(failures)} of {progress.total} chunks failed{begun}; production is unchanged{listed}",
        failed=[str(failure.chunk) for failure in failures],
        hint="mend what they name and run it again: what is staged stays staged",
    )


def _number(failure: Failure) -> int:
    chunk: Chunk = failure.chunk
    return chunk.number
