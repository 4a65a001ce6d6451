"""Triggers that wait for partitions. Those of one connection in one triggerer share a poller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_dataquality.engine.waiting import Sight, Terms
from airflow_dataquality.engine.wanted import Wanted
from airflow_dataquality.hooks.waiting import Lake, Prefix, Source, Warehouse
from airflow_dataquality.triggers._poller import waiting


def landed(wanted: Iterable[Any], sights: Mapping[Any, Sight]) -> list[dict[str, Any]]:
    """What there is of each partition, as JSON, for the task that waited."""
    return [{"partition": str(each), **described(each), **(sights[each].facts or {})} for each in wanted]


def described(wanted: Any) -> dict[str, Any]:
    """Table and key of a partition."""
    if not isinstance(wanted, Wanted):
        return {}
    return {"table": str(wanted.partition.table), "key": dict(wanted.partition.key)}


class WaitingTrigger(BaseTrigger):
    """Waits until there is enough of all of its partitions."""

    poll_interval: float

    def _source(self) -> Source:
        """What to ask."""
        raise NotImplementedError

    def _wanted(self) -> list[Any]:
        """For what."""
        raise NotImplementedError

    def unmet(self, sight: Sight) -> str | None:
        """Why what was seen is not enough; None if it is."""
        raise NotImplementedError

    def refuses(self, sight: Sight) -> bool:
        """Whether waiting will not help."""
        return sight.never

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait; then say what there is, or why it can never be."""
        yield TriggerEvent(await self._outcome())  # type: ignore[no-untyped-call]

    async def _outcome(self) -> dict[str, Any]:
        wanted, told = self._wanted(), ""
        with waiting(self._source(), self.poll_interval, wanted) as waiter:
            while True:
                news = await waiter.news()
                if isinstance(news, str):
                    self.log.warning("Cannot tell whether %s landed: %s", ", ".join(map(str, wanted)), news)
                    told = news
                    continue
                unmet = {each: reason for each in wanted if (reason := self.unmet(news[each])) is not None}
                if not unmet:
                    return {"status": "landed", "partitions": landed(wanted, news)}
                for each, reason in unmet.items():
                    if self.refuses(news[each]):
                        return {"status": "refused", "message": f"{each}: {reason}"}
                lines = "; ".join(f"{each}: {reason}" for each, reason in unmet.items())
                if lines != told:
                    self.log.info("Waiting for %s", lines)
                    told = lines


class PartitionTrigger(WaitingTrigger):
    """Waits for partitions of tables.

    :param conn_id: connection to the warehouse
    :param state: ``published``, ``exists`` or ``external``
    :param partitions: what :meth:`~airflow_dataquality.engine.wanted.Wanted.as_dict` wrote
    :param terms: when they are enough
    :param poll_interval: seconds from one look to the next
    :param fail_if_missing: a table that does not exist is an error
    :param ledger_schema: schema of the ledger's tables
    :param database: database to use instead of the connection's
    """

    def __init__(
        self,
        *,
        conn_id: str,
        state: str,
        partitions: list[dict[str, Any]],
        terms: dict[str, Any],
        poll_interval: float = 60,
        fail_if_missing: bool = False,
        ledger_schema: str = "dataquality",
        database: str | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.conn_id = conn_id
        self.state = state
        self.partitions = partitions
        self.terms = terms
        self.poll_interval = poll_interval
        self.fail_if_missing = fail_if_missing
        self.ledger_schema = ledger_schema
        self.database = database

    @classmethod
    def of(cls, warehouse: Warehouse, wanted: Iterable[Wanted], terms: Terms, **arguments: Any) -> PartitionTrigger:
        """One of values that are not JSON."""
        rows = [each.as_dict() for each in wanted]
        return cls(**asdict(warehouse), partitions=rows, terms=asdict(terms), **arguments)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments. What is secret stays in the connection."""
        names = ("conn_id", "state", "partitions", "terms", "poll_interval", "fail_if_missing", "ledger_schema",
                 "database")  # fmt: skip
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    def _source(self) -> Source:
        return Warehouse(self.conn_id, self.state, self.ledger_schema, self.database)

    def _wanted(self) -> list[Wanted]:
        return [Wanted.of(row) for row in self.partitions]

    def unmet(self, sight: Sight) -> str | None:
        return Terms(**self.terms).unmet(sight)

    def refuses(self, sight: Sight) -> bool:
        return sight.never or (sight.missing and self.fail_if_missing)


def too_little(sight: Sight, min_files: int | None, min_bytes: int | None) -> str | None:
    """Why files in S3 are not enough; None if they are."""
    if sight.facts is None:
        return sight.reason
    for word, least in (("files", min_files), ("bytes", min_bytes)):
        if least is not None and (found := sight.facts[word]) < least:
            return f"there are {found:,} of {least:,} {word}"
    return None


class S3PartitionTrigger(WaitingTrigger):
    """Waits for files in S3.

    :param uris: ``s3://bucket/prefix/``
    :param marker: the name of the file that says that all others are there
    :param min_files: fewest files
    :param min_bytes: fewest bytes in them
    :param poll_interval: seconds from one look to the next
    :param aws_conn_id: connection to AWS; None takes what boto3 finds
    """

    def __init__(
        self,
        *,
        uris: list[str],
        marker: str | None = None,
        min_files: int | None = None,
        min_bytes: int | None = None,
        poll_interval: float = 60,
        aws_conn_id: str | None = "aws_default",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.uris = uris
        self.marker = marker
        self.min_files = min_files
        self.min_bytes = min_bytes
        self.poll_interval = poll_interval
        self.aws_conn_id = aws_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The class and its arguments."""
        names = ("uris", "marker", "min_files", "min_bytes", "poll_interval", "aws_conn_id")
        return f"{type(self).__module__}.{type(self).__name__}", {name: getattr(self, name) for name in names}

    def _source(self) -> Source:
        return Lake(self.aws_conn_id)

    def _wanted(self) -> list[Prefix]:
        return [Prefix(uri, self.marker) for uri in self.uris]

    def unmet(self, sight: Sight) -> str | None:
        return too_little(sight, self.min_files, self.min_bytes)
