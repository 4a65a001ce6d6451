"""Bring a summary up to date: decide which partitions have to be built, build them, and publish what differs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_dataquality.engine.backfill import Backfill, Connected, Job, begin, give_up
from airflow_dataquality.engine.chain import before
from airflow_dataquality.engine.compare import has_changed
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.publish import Load, Outcome, publish
from airflow_dataquality.engine.reveal import Outcome as RangeOutcome
from airflow_dataquality.engine.reveal import examine, reveal
from airflow_dataquality.engine.source import Select
from airflow_dataquality.engine.summary import Summarizing, SummaryLoad
from airflow_dataquality.engine.timeline import moment, partition_after, partitions_between
from airflow_dataquality.engine.work import Workforce, stage_missing
from airflow_dataquality.errors import DefinitionChanged, ExchangeError, MissingPartitions
from airflow_dataquality.model import Check, Table
from airflow_dataquality.plans.backfill import Chunk, identity

log = logging.getLogger(__name__)

MOST_SHARDS = 8


@dataclass(frozen=True)
class Span:
    """The partitions that are to be built, as the database prints them.

    :param here: the one that was asked for; those after it are built only if it has changed
    :param continues: whether the first continues the published one before it; else it is made of all facts
    :param always: built on what was replaced, so that they are published even if their rows are the same
    """

    first: str
    here: str
    last: str
    continues: bool
    always: frozenset[str] = frozenset()

    @property
    def alone(self) -> bool:
        """Whether it is the one that was asked for, and no other."""
        return self.first == self.here == self.last


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
        log.info("%s not published: %s is made of all facts up to it", _listed(missing), here)
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
            f"{_listed(missing)}",
            hint='run them first; or write on_gap="catch_up" to have them built now, or "rebuild" to read all facts',
        )
    found = list(missing[:1])
    if missing:
        log.info("%s not published: built now", _listed(missing))
    if stale := [name for name in chain.stale() if not before(here, name)]:
        log.info("%s: what they continue was replaced: built again", _listed(stale))
        found.append(stale[0])
    if load.lookback:
        back = partition_after(here, load.grain, -load.lookback)
        found.append(chain.first if before(back, chain.first) else back)
    return found


def refuse_others(now: Summarizing, others: Sequence[str]) -> None:
    """Refuse to mix partitions of two definitions, unless all of them are to be built again.

    :raises DefinitionChanged: saying what has changed
    """
    load, was = now.load, now.chain.links[others[-1]].definition
    lines = "\n".join(f"  - {line}" for line in differences(load, was))
    if load.on_definition_change == "rebuild":
        log.info("%s is made of something else now, all of it is built again:\n%s", load.table, lines)
        return
    raise DefinitionChanged(
        f"{load.table}: {len(others)} published partitions ({others[0]} to {others[-1]}) are made of something else, "
        f"and nothing was mixed with them:\n{lines}",
        hint='on_definition_change="rebuild" builds all of them again; so does '
        f'ParallelBackfillOperator.of(…, start="{now.chain.first}", end="{now.chain.last}")',
    )


def differences(load: SummaryLoad, was: Mapping[str, Any] | None) -> list[str]:
    """What has changed since a definition was recorded, in words."""
    if was is None:
        return ["something else published them"]
    now = load.recorded
    rest = [word for word in ("source", "grain", "since") if was.get(word) != now.get(word)]
    return [*load.definition.differences(was), *(f"{word}: was {was.get(word)}, is {now.get(word)}" for word in rest)]


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


def plan_range(
    at: Connected, load: SummaryLoad, first: str, last: str, connections: int, *, compare: Sequence[Check] = (),
    skip_unchanged: bool = False, resume: bool = True,
) -> Backfill:  # fmt: skip
    """The partitions from one to another as a backfill, and those after it, which continue it.

    :param first: as it was written, as ``last`` is
    :raises DefinitionChanged: if partitions before are made of something else
    """
    now = Summarizing(at, load, last)
    chain, begun = now.chain, now.name_of(first)
    others = chain.others(load.recorded)
    if earlier := [name for name in others if before(name, begun)]:
        refuse_others(now, earlier)
        begun = chain.first
    end = now.partition
    if later := chain.after(end):
        log.info("%s continue %s, and are built again, too", _listed(later), end)
        end = chain.last
    continues = not others and chain.previous(begun) in chain.links
    span = Span(begun, end, end, continues=continues, always=frozenset(chain.stale()))
    found = plan(now, span, connections, compare=compare, skip_unchanged=skip_unchanged)
    return replace(found, resume=resume)


def plan(
    now: Summarizing, span: Span, connections: int, *, unique: str | None = None, compare: Sequence[Check] = (),
    skip_unchanged: bool = True,
) -> Backfill:  # fmt: skip
    """The partitions of a span as a backfill: day by day, in shards of the subjects if there are connections for them.

    :param unique: makes it a backfill of one run, which no other goes on with
    """
    load, d = now.load, now.load.definition
    names = partitions_between(span.first, span.last, load.grain)
    shards = _shards(now, connections) if len(names) > 1 else 1
    previous = now.chain.previous(span.first)
    if span.continues:
        now.confirm(previous)
    how = f"in {shards} shards of the subjects over as many connections" if shards > 1 else "over one connection"
    log.info("Builds %s to %s, each from the one before it, %s", span.first, span.last, how)

    def select(chunk: Chunk, stage: Table) -> str:
        shard = now.sql.shard(d.keys, chunk.lane, shards, now.types) if shards > 1 else None
        if chunk.first != span.first:
            return now.continued(chunk.first, now.rows_of(stage, now.chain.previous(chunk.first)), shard)
        if span.continues:
            return now.continued(chunk.first, now.rows_of(now.target.table, previous), shard)
        return now.anew(chunk.first, shard)

    base = now.chain.links[previous].run_uid if span.continues else None
    return Backfill(
        table=load.table,
        column=load.column,
        chunks=[Chunk(n * shards + lane + 1, (name,), lane) for n, name in enumerate(names) for lane in range(shards)],
        select=select,
        identity=identity(load.table, span.first, span.last, shards, load.recorded, base, unique),
        shape=now.shape(span.first),
        judged=load.checks,
        compare=compare,
        fail_on=load.fail_on,
        settings=replace(load.settings, mode="auto") if load.settings.mode == "attach" else load.settings,
        skip_unchanged=skip_unchanged and not now.chain.others(load.recorded),
        linked=True,
        always=span.always | {name for name in names if name not in now.chain.links},
        empty=load.allow_empty,
        kept=unique is None,
        keep_staging=load.keep_staging,
        ttl=load.staging_ttl,
        sorted_by=load.column,
        setup=now.sql.summary_setup,
        direct=True,
        lineage=_Lineage(now, span),
    )


def _shards(now: Summarizing, connections: int) -> int:
    """In how many shards the subjects are built."""
    question = now.sql.can_shard
    able = now.sql.shards and (question is None or now.session.query(question)[0][0])
    return min(connections, MOST_SHARDS) if able else 1


@dataclass(frozen=True)
class _Lineage:
    """What the ledger keeps of each partition: what it is made of, and which publication it continues."""

    now: Summarizing
    span: Span

    def __call__(self, published: Sequence[str], run_uid: str) -> dict[str, dict[str, Any]]:
        chain, definition = self.now.chain, json.dumps(self.now.load.recorded)
        uids = {name: link.run_uid for name, link in chain.links.items()} | dict.fromkeys(published, run_uid)
        of_facts = None if self.span.continues else self.span.first
        return {
            name: {
                "definition": definition,
                "built_on": None if name == of_facts else uids.get(chain.previous(name)),
            }
            for name in published
        }


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
