"""Several partitions of a summary as a backfill: each continues the one before it, in shards of the subjects."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_dataquality.engine.backfill import Backfill, Connected
from airflow_dataquality.engine.chain import before
from airflow_dataquality.engine.summary import Summarizing, SummaryLoad
from airflow_dataquality.engine.timeline import partitions_between
from airflow_dataquality.errors import DefinitionChanged
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
        log.info("%s continue %s, and are built again, too", listed(later), end)
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
    load = now.load
    names = partitions_between(span.first, span.last, load.grain)
    shards = _shards(now, connections) if len(names) > 1 else 1
    previous = now.chain.previous(span.first)
    if span.continues:
        now.confirm(previous)
    base = now.chain.links[previous].run_uid if span.continues else None
    how = f"in {shards} shards of the subjects over as many connections" if shards > 1 else "over one connection"
    log.info("Builds %s to %s, each from the one before it, %s", span.first, span.last, how)

    return Backfill(
        table=load.table,
        column=load.column,
        chunks=[Chunk(n * shards + lane + 1, (name,), lane) for n, name in enumerate(names) for lane in range(shards)],
        select=_Select(now, span, shards),
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
class _Select:
    """The rows of a partition, or of a shard of it: made of those of the one before it, or of all facts."""

    now: Summarizing
    span: Span
    shards: int

    def __call__(self, chunk: Chunk, stage: Table) -> str:
        now, name = self.now, chunk.first
        keys = now.load.definition.keys
        shard = now.sql.shard(keys, chunk.lane, self.shards, now.types) if self.shards > 1 else None
        if name == self.span.first and not self.span.continues:
            return now.anew(name, shard)
        held = now.target.table if name == self.span.first else stage
        return now.continued(name, now.rows_of(held, now.chain.previous(name)), shard)


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


def listed(names: Sequence[str], most: int = 10) -> str:
    """Names in a row, the first of them if they are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
