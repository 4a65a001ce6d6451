"""Bring a summary up to date: decide which partitions have to be built, build them, and publish what differs."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace

from airflow_dataquality.engine.backfill import Connected, Job, begin, give_up
from airflow_dataquality.engine.chain import before
from airflow_dataquality.engine.compare import has_changed
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.publish import Load, Outcome, publish
from airflow_dataquality.engine.reveal import Outcome as RangeOutcome
from airflow_dataquality.engine.reveal import examine, reveal
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.summary import Summarizing, SummaryLoad
from airflow_dataquality.engine.summary_plan import Span, listed, plan, refuse_others
from airflow_dataquality.engine.timeline import moment, partition_after
from airflow_dataquality.engine.work import Workforce, stage_missing
from airflow_dataquality.errors import ExchangeError, MissingPartitions

log = logging.getLogger(__name__)


def summarize(
    at: Connected, load: SummaryLoad, partition: str, run: Run, workforce: Workforce
) -> Outcome | RangeOutcome:
    """Bring a summary up to date for a partition.

    :param partition: as it was written
    :raises MissingPartitions: if partitions before it are missing
    :raises DefinitionChanged: if published partitions are made of something else
    :raises ChecksFailed: if a check blocks; production is unchanged
    """
    for _ in range(5):
        now = Summarizing(at, load, partition)
        span = _span(now)
        outcome = _alone(now, span, run) if span.alone else _several(now, span, run, workforce)
        stale = [name for name in now.look().stale() if not before(name, now.partition)]
        if not stale:
            return outcome
        # Another run has published the partition before meanwhile. Each looks only after it has published, so that
        # one of the two sees the other.
        log.info("%s continues what was replaced meanwhile: built again", stale[0])
        run = replace(run, run_uid=Run().run_uid)  # another publication
    raise ExchangeError(f"{load.table} keeps changing", hint="run it again when no other run builds it")


def _span(now: Summarizing) -> Span:
    """What has to be built.

    :raises MissingPartitions: if partitions before are missing
    :raises DefinitionChanged: if published partitions are made of something else
    """
    chain, load, here = now.chain, now.load, now.partition
    if not chain.links:
        log.info("%s is new: %s is made of all facts up to it", load.table, here)
        return Span(here, here, here, continues=False)
    if others := chain.others(load.recorded):
        refuse_others(now, others)
        last = chain.last if before(here, chain.last) else here
        return Span(chain.first, last, last, continues=False)
    if before(here, chain.first) and not (load.since or load.facts.without_end):
        log.info("%s begins at %s now: all of it is built again", load.table, here)
        return Span(here, chain.last, chain.last, continues=False)
    if before(here, chain.first):
        log.info("%s begins at %s: %s is made of all facts up to it", load.table, chain.first, here)
        return Span(here, here, here, continues=False)
    missing = chain.missing_before(here)
    if missing and load.on_gap == "rebuild":
        log.info("%s not published: %s is made of all facts up to it", listed(missing), here)
        return Span(here, here, here, continues=False)
    first = min([here, *_also(now, missing)], key=lambda name: str(moment(name)))
    stale, later = chain.stale(), chain.after(here)
    last = chain.last if later else here
    return Span(first, last if stale else here, last, chain.previous(first) in chain.links, frozenset(stale))


def _also(now: Summarizing, missing: Sequence[str]) -> list[str]:
    """Partitions before the one that was asked for, from which on everything has to be built."""
    chain, load, here = now.chain, now.load, now.partition
    if missing and load.on_gap == "fail":
        raise MissingPartitions(
            f"{load.table}: {here} continues {chain.previous(here)}, which is not published; missing: "
            f"{listed(missing)}",
            hint='run them first; or write on_gap="catch_up" to have them built now, or "rebuild" to read all facts',
        )
    found = list(missing[:1])
    if missing:
        log.info("%s not published: built now", listed(missing))
    if stale := [name for name in chain.stale() if not before(here, name)]:
        log.info("%s: what they continue was replaced: built again", listed(stale))
        found.append(stale[0])
    if load.lookback:
        back = partition_after(here, load.grain, -load.lookback)
        found.append(chain.first if before(back, chain.first) else back)
    return found


def _alone(now: Summarizing, span: Span, run: Run) -> Outcome:
    load, previous, built_on = now.load, now.chain.previous(span.here), None
    if span.continues:
        now.confirm(previous)
        built_on = now.chain.links[previous].run_uid
        select = now.continued(span.here, now.rows_of(now.target.table, previous))
    else:
        select = now.anew(span.here)
    return publish(
        now.session, now.at.ledger,
        Load(
            table=load.table,
            source=Select(select, setup=now.sql.summary_setup),
            key={load.column: span.here},
            checks=load.checks,
            fail_on=load.fail_on,
            settings=load.settings,
            keep_staging=load.keep_staging,
            staging_ttl=load.staging_ttl,
            allow_empty=load.allow_empty,
            sorted_by=load.column,
            lineage={"definition": json.dumps(load.recorded), "built_on": built_on},
        ),
        run,
    )  # fmt: skip


def _several(now: Summarizing, span: Span, run: Run, workforce: Workforce) -> RangeOutcome:
    """Build partitions one after the other, and publish those that differ, at once."""
    spec = plan(now, span, workforce.size, unique=run.run_uid)
    job = begin(now.at, spec, run)
    try:
        if span.last != span.here:
            early = _until(job, span.here)
            stage_missing(now.at, early, workforce)
            if span.here in now.chain.links and not has_changed(now.session, job, span.here):
                log.info("%s is as it was published, and so are those that continue it", span.here)
                job = early
        stage_missing(now.at, job, workforce)
    except BaseException as error:
        give_up(now.session, job, error, rejected=False)
        raise
    return reveal(now.at, *examine(now.at, job))


def _until(job: Job, last: str) -> Job:
    """The job without the partitions after one."""
    chunks = [chunk for chunk in job.spec.chunks if not before(last, chunk.first)]
    names = {name: written for name, written in job.names.items() if not before(last, name)}
    return replace(job, spec=replace(job.spec, chunks=chunks), names=names)
