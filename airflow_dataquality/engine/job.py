"""What a backfill DAG says of itself, so that a page can plan a run of it without running the DAG's file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Any

from airflow_dataquality.engine.timeline import moment, partitions_between
from airflow_dataquality.errors import PartitionError, SpecError, did_you_mean
from airflow_dataquality.plans.backfill import Chunk, chunks

FINISHES = {
    "hold": "compute, compare with production, and keep the rows until somebody decides",
    "exchange": "compute what is missing, compare, and make the range visible",
    "discard": "drop what is staged",
    "plan": "only say what would be done",
}
"""How a run of a backfill DAG may end."""
MOST_PARTITIONS = 4_000
"""Partitions of one backfill, unless the DAG allows more: eleven years of days."""
MOST_PARALLEL = 16
MOST_PER_CHUNK = 366
_DATE = (r"\d{4}-\d{2}-\d{2}", "2013-01-31")
SPELLED = {
    "hour": (r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?", "2013-01-31T00:00Z"),
    "day": _DATE,
    "week": _DATE,
    "month": (r"\d{4}-\d{2}", "2013-01"),
}
"""How a partition of each grain is written: a pattern, and one of them."""
_LONG = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1), "month": timedelta(days=28)}


@dataclass(frozen=True)
class Order:
    """What a run is to do.

    :param per_chunk: days, or partitions, of a chunk; 0 if the job cuts its chunks itself
    :param backfill: the held backfill that it is about; empty if it may begin one
    """

    start: str
    end: str
    max_parallel: int
    per_chunk: int
    finish: str
    backfill: str = ""

    def overlaps(self, other: Order) -> bool:
        """Whether they have a partition in common."""
        mine, theirs = ([moment(each.start), moment(each.end)] for each in (self, other))
        if None in (*mine, *theirs):
            return False
        return mine[0] <= theirs[1] and theirs[0] <= mine[1]  # type: ignore[operator]


@dataclass(frozen=True)
class Job:
    """A job whose partitions can be computed anew.

    :param table: as it was written in the DAG, perhaps a template
    :param grain: ``hour``, ``day``, ``week`` or ``month``
    :param per: the name of the run's parameter for the size of a chunk; empty if the job cuts its chunks itself
    :param per_chunk: days, or partitions, of a chunk, unless the run says otherwise
    :param most_per_chunk: 1 if its SQL reads one partition alone
    :param sql: the text, with its templates; empty if there is none to show
    :param checks: in words, of each chunk's rows
    :param compare: in words, of each partition beside production's
    """

    table: str
    conn_id: str
    ledger_schema: str
    partition_column: str
    grain: str
    order: str = "newest_first"
    per: str = "days_per_chunk"
    per_chunk: int = 1
    most_per_chunk: int = MOST_PER_CHUNK
    max_parallel: int = 4
    most_partitions: int = MOST_PARTITIONS
    finish: str = "hold"
    sql: str = ""
    checks: tuple[str, ...] = ()
    compare: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As JSON."""
        return json.dumps({"airflow_dataquality.backfill": asdict(self)}, indent=1, ensure_ascii=False)

    @classmethod
    def read(cls, text: str | None) -> Job | None:
        """The job in a text; None if there is none that can be read."""
        try:
            found = json.loads(text or "")["airflow_dataquality.backfill"]
            known = {name: found[name] for name in found.keys() & cls.__dataclass_fields__.keys()}
            lists = {name: tuple(map(str, known.get(name, ()))) for name in ("checks", "compare")}
            return cls(**{**known, **lists})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def ordered(self, given: Mapping[str, Any]) -> Order:
        """What a run is to do, by its parameters, if that can be done.

        :raises SpecError: naming the parameter
        :raises PartitionError: naming the partition
        """
        finish = str(given.get("finish") or self.finish)
        if finish not in FINISHES:
            raise SpecError(f"finish is {finish!r}", hint=did_you_mean(finish, FINISHES, label="Known"))
        wanted = Order(
            start=self._spelled("start", "first", given.get("start")),
            end=self._spelled("end", "last", given.get("end")),
            max_parallel=_number("max_parallel", given.get("max_parallel", self.max_parallel), MOST_PARALLEL),
            per_chunk=_number(self.per, given.get(self.per, self.per_chunk), self.most_per_chunk) if self.per else 0,
            finish=finish,
            backfill=str(given.get("backfill") or ""),
        )
        self._refuse_range(wanted)
        return wanted

    def _spelled(self, name: str, which: str, value: Any) -> str:
        pattern, example = SPELLED[self.grain]
        if not isinstance(value, str) or not value:
            raise PartitionError(f"there is no {which} partition ({name})", hint=f"write it so: {example}")
        if not re.fullmatch(pattern, value) or moment(value) is None:
            raise PartitionError(f"{value[:40]!r}, the {which} partition, is no {self.grain}",
                                 hint=f"write it so: {example}")  # fmt: skip
        return value

    def _refuse_range(self, wanted: Order) -> None:
        begin, end = moment(wanted.start), moment(wanted.end)
        assert begin is not None
        assert end is not None
        if begin > end:
            raise PartitionError(f"the range ends ({wanted.end}) before it starts ({wanted.start})",
                                 hint="write the earlier one first")  # fmt: skip
        about = int((end - begin) / _LONG[self.grain]) + 1
        if end.year > 9990 or about > self.most_partitions * 2:  # noqa: PLR2004 - the calendar ends soon after
            count = about
        else:
            count = len(partitions_between(wanted.start, wanted.end, self.grain))
        if count > self.most_partitions or end.year > 9990:  # noqa: PLR2004 - as above
            raise PartitionError(
                f"{wanted.start} to {wanted.end} is about {count:,} partitions, and this job allows "
                f"{self.most_partitions:,}",
                hint="mend the dates, do it in parts, or give backfill_dag(most_partitions=…) in the DAG's file",
            )

    def partitions(self, wanted: Order) -> list[str]:
        """The partitions of a run."""
        return partitions_between(wanted.start, wanted.end, self.grain)

    def chunks(self, wanted: Order) -> tuple[Chunk, ...]:
        """The chunks of a run, in the order in which they are begun; none if only a connection tells them."""
        if not self.per:
            return ()
        hours = 24 if self.grain == "hour" and self.per == "days_per_chunk" else 1
        return chunks(self.partitions(wanted), wanted.per_chunk * hours, self.order)

    def conf(self, wanted: Order) -> dict[str, Any]:
        """The parameters of a run, as Airflow takes them."""
        size = {self.per: wanted.per_chunk} if self.per else {}
        of = {"start": wanted.start, "end": wanted.end, "max_parallel": wanted.max_parallel, **size}
        return {**of, "finish": wanted.finish, "backfill": wanted.backfill}

    def finishing(self, wanted: Order, finish: str, backfill: str) -> Order:
        """The run that ends what another one held."""
        return replace(wanted, finish=finish, backfill=backfill)


def deal(missing: Sequence[Chunk], processes: int) -> list[list[int]]:
    """Which process computes which chunks, by their numbers: in turns, and those of one lane by one process.

    >>> deal([Chunk(n, (str(n),), n) for n in (5, 4, 3, 2, 1)], 2)
    [[5, 3, 1], [4, 2]]
    """
    lanes: dict[int, list[int]] = {}
    for chunk in missing:
        lanes.setdefault(chunk.lane, []).append(chunk.number)
    dealt: list[list[int]] = [[] for _ in range(min(processes, len(lanes)))]
    for turn, numbers in enumerate(lanes.values()):
        dealt[turn % len(dealt)] += numbers
    return dealt


def _number(name: str, value: Any, most: int) -> int:
    try:
        found = int(value) if isinstance(value, str) else value
    except ValueError:
        found = None
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= most:
        said = "1: its SQL reads one partition at a time" if most == 1 else f"a whole number from 1 to {most}"
        raise SpecError(f"{name} is {str(value)[:40]!r}", hint=f"write {said}")
    return found
