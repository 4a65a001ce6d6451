"""A summary as it is now, and the SQL of its partitions: each is made of the one before it and of its own facts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from airflow_dataquality.engine import staging
from airflow_dataquality.engine.backfill import Connected
from airflow_dataquality.engine.chain import Chain, before
from airflow_dataquality.engine.columns import canonical_value, probe
from airflow_dataquality.engine.said import database_error
from airflow_dataquality.engine.settings import Settings
from airflow_dataquality.engine.target import Target, locate
from airflow_dataquality.engine.timeline import moment, partition_after
from airflow_dataquality.errors import DataQualityError, PartitionError, TableError
from airflow_dataquality.model import Check, FailOn, Partition, Table
from airflow_dataquality.plans import summary as plans
from airflow_dataquality.plans.summary import Definition

log = logging.getLogger(__name__)

ON_GAP = ("fail", "catch_up", "rebuild")
ON_DEFINITION_CHANGE = ("fail", "rebuild")


class Facts(Protocol):
    """Where the facts of a summary are."""

    @property
    def described(self) -> str:
        """What they are, as part of the definition."""

    @property
    def without_end(self) -> bool:
        """Whether all of them can be asked for, however old; else the first partition is the beginning."""

    def sample(self, sql: Any, partition: str) -> str:
        """A table expression that has their columns."""

    def between(self, sql: Any, first: str | None, last: str) -> str:
        """A table expression of the facts from one partition to another.

        :param first: None is the beginning
        :raises SpecError: if facts of several partitions cannot be asked for
        """


@dataclass(frozen=True)
class SummaryLoad:
    """A summary, and how it is built.

    :param table: the summary
    :param grain: ``hour``, ``day``, ``week`` or ``month`` from one partition to the next
    :param since: the first partition whose facts count; None counts all
    :param lookback: how many partitions before are built again, as facts may have come late
    :param on_gap: what to do if partitions before are missing: one of :data:`ON_GAP`
    :param on_definition_change: what to do with partitions that are made of something else
    :param checks: of each partition
    :param allow_empty: zero rows may be published
    """

    table: Table
    definition: Definition
    facts: Facts
    grain: str
    since: str | None = None
    lookback: int = 0
    on_gap: str = "fail"
    on_definition_change: str = "fail"
    checks: Sequence[Check] = ()
    fail_on: FailOn = FailOn.ERROR
    settings: Settings = field(default_factory=Settings)
    keep_staging: bool = True
    staging_ttl: timedelta = staging.TTL
    allow_empty: bool = False

    @property
    def column(self) -> str:
        """The partition column."""
        return self.definition.partition_column

    @property
    def recorded(self) -> dict[str, Any]:
        """The definition, as the ledger keeps it."""
        since = {"since": self.since} if self.since else {}
        return {**self.definition.as_dict(), "source": self.facts.described, "grain": self.grain, **since}


class Summarizing:
    """A summary as it is now, and the SQL of its partitions.

    :param types: of the keys and the partition column
    """

    def __init__(self, at: Connected, load: SummaryLoad, partition: str) -> None:
        self.at, self.load, self.session, self.sql = at, load, at.session, at.session.dialect
        at.ledger.ensure()
        load.definition.check(self.sql.max_name_bytes)
        self.target: Target = locate(self.session, load.table, features=False)
        self.types = self._types(partition)
        self.partition = self.name_of(partition)
        self.chain = self.look()

    def _types(self, partition: str) -> dict[str, str]:
        """Those of the summary; if there is none yet, those of the facts."""
        wanted = (*self.load.definition.keys, self.load.column)
        columns = self.session.columns(self.target.table) if self.target.oid is not None else ()
        if not columns:
            sample = self.sql.all_of(self.load.facts.sample(self.sql, partition))
            try:
                columns = probe(self.session, self.target.table, sample)
            except DataQualityError:
                raise
            except Exception as error:
                raise database_error("the facts cannot be read", error, hint="mend source= or sql=") from error
        types = {column.name: column.type for column in columns}
        if absent := [name for name in wanted if name not in types]:
            what = self.target.table if self.target.oid is not None else "the source"
            raise TableError(f"{what} has no column {', '.join(map(repr, absent))}",
                             hint=f"write the exact names; its columns: {', '.join(types)}")  # fmt: skip
        return {name: types[name] for name in wanted}

    def name_of(self, partition: str) -> str:
        """A partition as the database prints it.

        :raises PartitionError: if it is none
        """
        name = str(canonical_value(self.session, self.load.column, partition, self.types[self.load.column]))
        if moment(name) is None or partition_after(name, self.load.grain, 0) != name:
            raise PartitionError(
                f"{self.load.column}={name} is no {self.load.grain}",
                hint='write its beginning: "2013-02-08", "2013-02", …, or name another grain=',
            )
        if self.load.since and before(name, self.load.since):
            raise PartitionError(f"{name} is before since={self.load.since}", hint="there are no facts that count")
        if name.endswith("+00:00") and self.load.grain != "hour" and "T00:00:00" not in name:
            raise PartitionError(
                f"{self.load.column} has a time zone, in which a {self.load.grain} is not always as long: {name}",
                hint="make the partition column a date, or truncate it in UTC",
            )
        return name

    def look(self) -> Chain:
        """What is published now."""
        if self.target.oid is None:
            return Chain({}, self.load.grain)
        return Chain.read(self.at.ledger, self.target.table, self.load.column, self.load.grain)

    def rows_of(self, table: Table, name: str) -> str:
        """A partition's rows, as a table expression."""
        where = self.sql.rows_of(Partition(table, ((self.load.column, name),)))
        return self.sql.nested(self.sql.select(self.load.definition.columns, table, where))

    def value(self, name: str) -> str:
        """A partition's value, as SQL of its type."""
        return self.sql.cast(name, self.types[self.load.column])

    def anew(self, name: str, shard: str | None = None) -> str:
        """A partition made of all facts up to it."""
        return self._of_facts(name, self._beginning(name), shard)

    def shape(self, name: str) -> str:
        """A SELECT that has a partition's columns."""
        return self._of_facts(name, name)

    def _of_facts(self, name: str, first: str | None, shard: str | None = None) -> str:
        d = self.load.definition
        ages = {partition_after(name, self.load.grain, -age): age for age in range(max(d.window, 1))}
        facts = self.load.facts.between(self.sql, first, name)
        return plans.compute(self.sql, d, facts, self.value(name), self.types, ages=ages, shard=shard)

    def _beginning(self, name: str) -> str | None:
        if self.load.since or self.load.facts.without_end:
            return self.load.since
        return self.chain.first if self.chain.links and before(self.chain.first, name) else name

    def continued(self, name: str, previous: str, shard: str | None = None) -> str:
        """A partition made of the one before it, and its own facts.

        :param previous: the rows of the one before, as a table expression
        """
        facts = self.load.facts.between(self.sql, name, name)
        return plans.step(self.sql, self.load.definition, previous, facts, self.value(name), self.types, shard=shard)

    def confirm(self, name: str) -> None:
        """Make sure that a published partition is as it was published, last; look again if that was just now.

        :raises TableError: if rows were added or taken away since
        """
        partition = Partition(self.target.table, ((self.load.column, name),))
        count = self.sql.count_rows(self.target.table, self.sql.rows_of(partition))
        while (rows := int(self.session.query(count)[0][0])) != (published := self.chain.links[name]).rows:
            self.chain = self.look()
            if name in self.chain.links and self.chain.links[name].run_uid != published.run_uid:
                log.info("%s was replaced meanwhile", partition)
                continue
            raise TableError(
                f"{partition} has {rows:,} rows, and {published.rows:,} were published: something else changed it",
                hint=f"run {name} again, which builds it anew",
            )
