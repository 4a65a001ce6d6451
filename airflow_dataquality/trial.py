"""Try a test that is not saved yet on the days behind us, to see when it would have fired."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from airflow_dataquality.days import Day, render
from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.engine.experiment import Answer, Evidence, ask, compare, plain
from airflow_dataquality.engine.judge import resolve
from airflow_dataquality.engine.ledger import Ledger
from airflow_dataquality.engine.measure import measure
from airflow_dataquality.engine.timeline import moment
from airflow_dataquality.engine.trying import Tried, Trying
from airflow_dataquality.errors import SpecError
from airflow_dataquality.experiments import Experiment
from airflow_dataquality.formula import SCOPES
from airflow_dataquality.hooks.bounded import BoundedSession, open_bounded
from airflow_dataquality.hooks.connections import hook_of
from airflow_dataquality.model import Check, Metric, Partition
from airflow_dataquality.operators._table import place
from airflow_dataquality.saved import FORMULA, SavedTest

DAYS, MOST_DAYS = 14, 90
STATEMENT, TOGETHER = 10.0, 30.0
"""Seconds that a statement of a preview, and all of them, may take."""


@dataclass(frozen=True)
class Trial:
    """What a test would have said.

    :param days: the oldest first
    :param notes: what there is to say of it, for people
    :param seconds: how long it took
    """

    days: Sequence[Tried]
    notes: Sequence[str] = field(default_factory=tuple)
    seconds: float = 0.0

    @property
    def fired(self) -> int:
        """On how many days it would have told somebody."""
        return sum(day.fired for day in self.days)

    @property
    def judged(self) -> int:
        """How many days it was tried on."""
        return sum(day.result is not None for day in self.days)


def tried(
    test: SavedTest, conn_id: str, *, days: int = DAYS, until: date | None = None, ledger_schema: str = "dataquality",
    statement: float = STATEMENT, together: float = TOGETHER,
) -> Trial:  # fmt: skip
    """Run a test for each of the last days. Nothing is written, neither in a table nor in the ledger.

    :param conn_id: the warehouse of a metric test; a formula test names its own connection
    :param until: the last day; None is the newest of its table, or yesterday
    :param statement: seconds that a statement may take
    :param together: seconds after which no other day is looked at
    :raises DataQualityError: if the connection, the table or a column does not exist
    """
    if not 1 <= days <= MOST_DAYS:
        raise SpecError(f"days is {days}", hint=f"from 1 to {MOST_DAYS} days can be previewed")
    started = time.monotonic()
    name = test.conn_id if test.kind == FORMULA else conn_id
    with open_bounded(hook_of(str(name)), statement=statement, together=together) as session:
        if test.kind == FORMULA:
            listed, notes = _formula(session, test, until or _yesterday(), days)
        else:
            listed, notes = _metric(session, test, until, days, ledger_schema)
    return Trial(listed, notes, time.monotonic() - started)


def answered(
    conn_id: str, sql: str, day: Day, params: Mapping[str, Any], *, statement: float = STATEMENT
) -> Answer:  # fmt: skip
    """The row that a query returns for a day; or why there is none.

    :raises SpecError: if it is no query
    """
    rendered = single_select(render(sql, day, params, "the query"))
    with open_bounded(hook_of(conn_id), statement=statement, together=statement) as session:
        return ask(session, rendered)


def _yesterday() -> date:
    return datetime.now(UTC).date() - timedelta(days=1)


def _formula(session: BoundedSession, test: SavedTest, until: date, days: int) -> tuple[list[Tried], list[str]]:
    listed: list[Tried] = []
    known: dict[Experiment, Tried] = {}
    notes = []
    for ago in range(days):
        day = str(until - timedelta(days=ago))
        experiment = test.experiment_on(Day(day))
        if experiment not in known:
            if session.left <= 0:
                notes = [f"stopped after {ago} of {days} days: the time was over"]
                break
            (result,) = compare([experiment], dict.fromkeys(SCOPES, session)).results
            rows = result.value.rows if isinstance(result.value, Evidence) else {}
            known[experiment] = Tried(day, result, {scope: plain(row) if row else None for scope, row in rows.items()})
        listed.append(Tried(day, known[experiment].result, known[experiment].rows))
    if len(known) == 1 < len(listed):
        notes.append("neither query names {{ ds }}, so that each day is the same")
    return [*reversed(listed)], notes


def _metric(
    session: BoundedSession, test: SavedTest, until: date | None, days: int, ledger_schema: str
) -> tuple[list[Tried], list[str]]:
    table = test.definition["table"]
    what, columns = place(session, table, {})
    notes: list[str] = []
    if until is None:
        until = _newest(session, test, what, columns, notes)
    resolved: dict[str, Check] = {}
    places: dict[str, Partition] = {}

    def check_on(day: str) -> Check:
        if day not in resolved:
            (resolved[day],) = resolve([test.check_on(Day(day))], columns, dialect=session.dialect)
        return resolved[day]

    def what_on(day: str) -> Partition:
        if day not in places:
            places[day], _ = place(session, table, test.key(Day(day)))
        return places[day]

    ledger = Ledger(session, ledger_schema)
    known = bool(session.columns(ledger.table("ledger_version")))
    trying = Trying(session, ledger if known else None, columns, check_on, what_on, lambda: session.left, notes)
    return trying.days(until, days), trying.notes


def _newest(session: BoundedSession, test: SavedTest, what: Partition, columns: Any, notes: list[str]) -> date:
    """The newest day of the table, by the column whose value is a day."""
    dated = [column for column, value in test.partition if "{{" in value]
    names = {column.name for column in columns}
    if len(dated) == 1 and dated[0] in names:
        newest = Metric("max", (dated[0],))
        with contextlib.suppress(OverflowError):
            found = moment(measure(session, [newest], what, columns=columns)[newest].value)
            if found is not None:
                return min(found.date(), datetime.now(UTC).date())
        notes.append(f"the newest {dated[0]} of the table is no day: these are the days until yesterday")
    return _yesterday() if test.partition else datetime.now(UTC).date()


def suggestions(control: Sequence[str], experiment: Sequence[str]) -> list[dict[str, Any]]:
    """Formulas that fit the columns of two queries: ``formula``, ``params`` as JSON, and what it says, in words."""
    return [
        {"formula": formula, "params": json.dumps(params) if params else "", "words": words}
        for formula, params, words in _suggested(control, experiment)
    ]


def _suggested(control: Sequence[str], experiment: Sequence[str]) -> Iterator[tuple[str, dict[str, float], str]]:
    both = [name for name in experiment if name in control and _nameable(name)]
    spread = next((name for name in control if name.lower() in ("stddev", "sd", "std", "sigma")), None)
    for name in both:
        if spread and name != spread:
            yield (f"abs(experiment.{name} - control.{name}) <= z_score * control.{spread}", {"z_score": 3},
                   f"{name} is within three standard deviations of normal")  # fmt: skip
        yield (f"abs(experiment.{name} - control.{name}) <= share * abs(control.{name})", {"share": 0.2},
               f"{name} is within 20 % of the control")  # fmt: skip
        yield f"experiment.{name} >= share * control.{name}", {"share": 0.5}, f"{name} is at least half of the control"
        yield f"experiment.{name} == control.{name}", {}, f"{name} is the same in both"
    for name in experiment:
        if name not in both and _nameable(name):
            yield f"experiment.{name} == 0", {}, f"{name} is zero"


def _nameable(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not name.startswith("_")
