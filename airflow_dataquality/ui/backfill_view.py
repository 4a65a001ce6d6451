"""What the pages of backfills show of a run: where it is, in words and numbers, and what may be done next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_dataquality.engine import backfill_progress as progress
from airflow_dataquality.engine import held
from airflow_dataquality.engine.backfill_progress import Staged
from airflow_dataquality.engine.job import Order
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.timeline import partition_after
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.model import Table
from airflow_dataquality.plans.backfill import Chunk
from airflow_dataquality.ui.access import Who
from airflow_dataquality.ui.jobs import Known, Run, Task, runs
from airflow_dataquality.ui.render import duration, number
from airflow_dataquality.ui.warehouses import NoLedger, reading, warehouses

LISTED = 60
"""Chunks that a page lists; all of them are drawn."""
DRAWN = 240
"""Cells that they are drawn in: of more chunks each cell stands for several."""
RECENT = 200
"""Runs among which is looked for the one that ended what another one held."""
STATES = {"staged": "pass", "running": "running", "failed": "fail", "waiting": "missing"}
"""State of a chunk → the shape and colour that stand for it."""
_FAILED = ("failed", "upstream_failed")


@dataclass(frozen=True)
class Status:
    """A run in a word.

    :param kind: its shape and colour
    """

    kind: str
    word: str
    meaning: str


QUEUED = Status("skip", "waiting to start", "Airflow has not begun it yet")
RUNNING = {
    "plan": Status("running", "planning", "the staging table is made, or found"),
    "chunks": Status("running", "computing", "chunks are computed, checked and staged"),
    "compare": Status("running", "comparing", "each partition is compared with production"),
    "exchange": Status("running", "publishing", "the whole range is made visible at once"),
}
FAILED = Status("fail", "failed", "production is unchanged; what is staged stays staged")
BLOCKED = Status("blocked", "blocked", "the comparison does not allow it; production is unchanged")
ENDED = {
    "exchange": Status("published", "published", "the whole range is visible"),
    "discard": Status("skip", "discarded", "what was staged is dropped"),
    "plan": Status("skip", "planned", "nothing was changed"),
    "hold": Status("warn", "waits for you", "staged and compared, and not visible yet"),
}
OVER = Status("skip", "ended", "what was staged was published, discarded or swept since")


def status_of(run: Run, order: Order | None, *, blocked: bool = False) -> Status:
    """Where a run is."""
    if run.state == "queued":
        return QUEUED
    if run.state == "running":
        open_ = {task.task_id for task in run.tasks if task.state not in ("success", "skipped")}
        return next((status for name, status in RUNNING.items() if name in open_), RUNNING["plan"])
    if run.state == "failed":
        return BLOCKED if blocked else FAILED
    return ENDED[order.finish if order else str(run.conf.get("finish", "hold"))] if _known(run, order) else OVER


def _known(run: Run, order: Order | None) -> bool:
    return order is not None or str(run.conf.get("finish", "hold")) in ENDED


@dataclass(frozen=True)
class Piece:
    """A chunk of a run.

    :param state: ``staged``, ``running``, ``failed`` or ``waiting``
    :param task: the process whose it is, if that is known
    """

    chunk: Chunk
    state: str
    rows: int | None = None
    seconds: float | None = None
    task: Task | None = None

    @property
    def kind(self) -> str:
        """Its shape and colour."""
        return STATES[self.state]


@dataclass
class View:
    """A run, as its page shows it.

    :param pieces: its chunks, in the order in which they are begun
    :param notices: what could not be asked, and why
    :param decidable: whether what it staged can still be published or discarded
    :param successor: the run that ended what this one held
    """

    known: Known
    run: Run
    order: Order | None
    status: Status
    pieces: list[Piece] = field(default_factory=list)
    rows: int = 0
    left: float | None = None
    notices: list[str] = field(default_factory=list)
    decidable: bool = False
    successor: Run | None = None
    rejected: tuple[str, str | None] | None = None
    published: tuple[int, int] | None = None

    @property
    def staged(self) -> int:
        return sum(piece.state == "staged" for piece in self.pieces)

    @property
    def backfill(self) -> str:
        """Which backfill it is, as the ledger records its chunks."""
        return str(self.run.left.get("begun", {}).get("backfill") or "")

    @property
    def again(self) -> dict[str, Any]:
        """What is filled in to start it again."""
        names = ("start", "end", "max_parallel", self.known.job.per, "finish")
        return {name: self.run.conf.get(name) for name in names if name}

    @property
    def words(self) -> str:
        """How far it is."""
        if not self.pieces:
            return self.status.meaning
        parts = [f"{number(self.staged)} of {number(len(self.pieces))} chunks", f"{number(self.rows)} rows"]
        if self.run.active and self.left is not None:
            parts.append(f"about {duration(self.left)} left")
        return ", ".join(parts)

    @property
    def cells(self) -> list[dict[str, Any]]:
        """The chunks in the order of time, drawn."""
        pieces = sorted(self.pieces, key=lambda piece: piece.chunk.number)
        size = max(1, -(-len(pieces) // DRAWN))
        return [_cell(pieces[start : start + size]) for start in range(0, len(pieces), size)]

    @property
    def listed(self) -> list[Piece]:
        """The chunks to list: those that need a look first."""
        places = {"failed": 0, "running": 1, "staged": 2, "waiting": 3}
        return sorted(self.pieces, key=lambda piece: places[piece.state])[:LISTED]


def view_of(who: Who, known: Known, run: Run) -> View:
    """What its page shows of a run."""
    order = run.order(known.job)
    view = View(known, run, order, status_of(run, order))
    staged: dict[int, Staged] = {}
    try:
        if known.job.conn_id in {warehouse.conn_id for warehouse in warehouses()}:
            with reading(known.job.conn_id) as ledger:
                found = _ask(ledger, view)
            staged = {chunk.number: chunk for chunk in who.visible(found, lambda chunk: chunk.dag_id)}
        else:
            view.notices.append(
                f"These pages may not use the connection {known.job.conn_id!r}: what is here is what Airflow knows. "
                "An administrator allows it in [airflow_dataquality] connections."
            )
    except NoLedger as error:
        if view.backfill:  # else it has to be begun, which makes the ledger
            view.notices.append(_sentence(error))
    except DataQualityError as error:
        view.notices.append(_sentence(error))
    if order is not None and order.finish in ("hold", "exchange"):
        view.pieces = _pieces(view, staged)
    view.rows = sum(chunk.rows for chunk in staged.values())
    view.left = _left(view, staged)
    view.status = status_of(run, order, blocked=view.rejected is not None)
    if view.status is ENDED["hold"] and not view.decidable and not view.notices:
        view.status = OVER
        view.successor = _successor(view)
    return view


def _sentence(error: DataQualityError) -> str:
    words = error.message + (f". Hint: {error.hint}" if error.hint else "")
    return words[:1].upper() + words[1:] + "."


def _ask(ledger: Ledger, view: View) -> list[Staged]:
    run = view.run
    if run.state == "failed":
        view.rejected = progress.rejected(ledger, run.dag_id, run.run_id, ("compare", "exchange"))
    if view.status is ENDED["exchange"]:
        place = (run.dag_id, run.run_id)
        view.published = progress.sums(ledger, "publication", [place]).get(place, (0, 0))
    if not view.backfill:
        return []
    if view.status is ENDED["hold"]:
        table = Table.parse(str(run.left["begun"].get("table", view.known.job.table)))
        session: Any = ledger.session  # the staging table's mark is looked at, and nothing is owned
        view.decidable = held.find(session, table, view.backfill) is not None
    return list(progress.staged(ledger, view.backfill).values())


def _pieces(view: View, staged: Mapping[int, Staged]) -> list[Piece]:
    """The chunks of a run, as far as they are known before they are begun."""
    assert view.order is not None
    chunks = view.known.job.chunks(view.order) or [Chunk(s.number, (s.first,), 0) for s in staged.values()]
    processes = {task.map_index: task for task in view.run.tasks if task.task_id == "chunks" and task.map_index >= 0}
    whose = {n: processes.get(index) for index, share in enumerate(view.run.shares) for n in share}
    now: dict[int, int] = {}
    for index, share in enumerate(view.run.shares):
        waiting = [n for n in share if n not in staged]
        task = processes.get(index)
        if waiting and task is not None and task.state == "running":
            now[waiting[0]] = index
    return [_piece(chunk, staged.get(chunk.number), whose.get(chunk.number), chunk.number in now) for chunk in chunks]


def _piece(chunk: Chunk, done: Staged | None, task: Task | None, running: bool) -> Piece:
    if done is not None:
        return Piece(chunk, "staged", done.rows, done.seconds, task)
    if running:
        return Piece(chunk, "running", task=task)
    return Piece(chunk, "failed" if task is not None and task.state in _FAILED else "waiting", task=task)


def _cell(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Chunks beside each other as one cell: what of them needs a look most."""
    states = [piece.state for piece in pieces]
    state = next((each for each in ("failed", "running", "waiting") if each in states), "staged")
    rows = f", {number(sum(piece.rows or 0 for piece in pieces))} rows" if "staged" in states else ""
    done = f"{states.count('staged')} of {len(pieces)} chunks staged" if len(pieces) > 1 else state
    title = f"{pieces[0].chunk.first} to {pieces[-1].chunk.last}: {done}{rows}"
    return {"status": STATES[state], "title": title, "href": None}


def _left(view: View, staged: Mapping[int, Staged]) -> float | None:
    """Seconds until all chunks are staged, if they go on as they did."""
    begun = [task.started for task in view.run.tasks if task.task_id == "chunks" and task.started]
    fresh = sum(chunk.run_id == view.run.run_id for chunk in staged.values())
    waiting = len(view.pieces) - len(staged)
    if not begun or not fresh or waiting <= 0:
        return None
    return (datetime.now(UTC) - min(begun)).total_seconds() / fresh * waiting


def _successor(view: View) -> Run | None:
    """The run that ended what this one held."""
    later, _ = runs([view.run.dag_id], states=["success"], most=RECENT)
    return next((run for run in later if view.backfill and run.conf.get("backfill") == view.backfill), None)


def statuses(known: Mapping[str, Known], found: Sequence[Run]) -> list[Status]:
    """Where runs are, for a list of them: also whether another one has ended what one held."""
    waiting = [run.dag_id for run in found if status_of(run, run.order(known[run.dag_id].job)) is ENDED["hold"]]
    later = runs(set(waiting), states=["success"], most=RECENT)[0] if waiting else []
    shown = []
    for run in found:
        status = status_of(run, run.order(known[run.dag_id].job))
        if status is ENDED["hold"] and any(_ends(other, run) for other in later):
            status = OVER
        shown.append(status)
    return shown


def _ends(other: Run, run: Run) -> bool:
    same = all(other.conf.get(name) == run.conf.get(name) for name in ("start", "end")) and other.dag_id == run.dag_id
    after = bool(other.asked and run.asked and other.asked > run.asked)
    return same and after and other.conf.get("finish") in ("exchange", "discard")


def production(who: Who, known: Known, order: Order) -> dict[str, Any] | None:
    """What the ledger knows to be published of a range; None if it cannot be asked.

    :returns: ``partitions``, ``rows`` and ``published_at``, of what the visitor may see
    """
    job = known.job
    if job.conn_id not in {warehouse.conn_id for warehouse in warehouses()}:
        return None
    with reading(job.conn_id) as ledger:
        table = Table.parse(job.table)
        table = table if table.schema else Table(table.name, "public")
        after = partition_after(order.end, job.grain)
        found = progress.published(ledger, table, job.partition_column, order.start, after, job.most_partitions)
    seen = who.visible(found, lambda row: row["dag_id"])
    last = max((row["published_at"] for row in seen), default=None)
    return {"partitions": len(seen), "rows": sum(int(row["rows"] or 0) for row in seen), "published_at": last}
