"""The published partitions of a summary: each continues a publication of the one before it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.timeline import moment, partition_after, partitions_between
from airflow_dataquality.errors import PartitionError
from airflow_dataquality.model import Table


@dataclass(frozen=True)
class Link:
    """A published partition.

    :param run_uid: of its last publication
    :param definition: what it is made of; None if something else published it
    :param built_on: run_uid of the publication of the partition before that it continues; None if it was made of facts
        alone
    """

    run_uid: str
    rows: int
    definition: Mapping[str, Any] | None
    built_on: str | None


@dataclass(frozen=True)
class Chain:
    """The partitions of a summary, as the database prints them, in the order of time.

    :param grain: from one to the next
    """

    links: Mapping[str, Link]
    grain: str

    @classmethod
    def read(cls, ledger: Ledger, table: Table, column: str, grain: str) -> Chain:
        """What the ledger knows of a table."""
        found: dict[str, Link] = {}
        for text, row in ledger.publications(table).items():
            key = json.loads(text)
            name = key.get(column)
            if key.keys() == {column} and isinstance(name, str) and moment(name) is not None:
                found[name] = Link(row["run_uid"], int(row["rows"]), row["definition"], row["built_on"])
        return cls(dict(sorted(found.items(), key=lambda item: str(moment(item[0])))), grain)

    @property
    def first(self) -> str:
        """The first partition."""
        return next(iter(self.links))

    @property
    def last(self) -> str:
        """The last partition."""
        return list(self.links)[-1]

    def previous(self, name: str) -> str:
        """The partition before another, published or not."""
        return partition_after(name, self.grain, -1)

    def missing_before(self, name: str) -> list[str]:
        """The partitions between the last that was published before another one, and that.

        :raises PartitionError: if there is no whole number of periods between them
        """
        published = [known for known in self.links if before(known, name)]
        if not published or published[-1] == self.previous(name):
            return []
        _, *missing, last = partitions_between(published[-1], name, self.grain)
        if last != name:
            raise PartitionError(
                f"{name} does not lie whole {self.grain}s after {published[-1]}",
                hint=f"partitions of a {self.grain} begin on the same weekday, or hour: {last}, …",
            )
        return missing

    def stale(self) -> list[str]:
        """The partitions that continue what is no longer published."""
        return [
            name
            for name, link in self.links.items()
            if link.built_on is not None
            and (continued := self.links.get(self.previous(name))) is not None
            and continued.run_uid != link.built_on
        ]

    def others(self, definition: Mapping[str, Any]) -> list[str]:
        """The partitions that are made of something else."""
        return [name for name, link in self.links.items() if link.definition != definition]

    def after(self, name: str) -> list[str]:
        """The published partitions after another one."""
        return [known for known in self.links if before(name, known)]


def before(name: str, other: str) -> bool:
    """Whether a partition is earlier than another.

    >>> before("2013-01-31", "2013-02-01")
    True
    """
    return str(moment(name)) < str(moment(other))
