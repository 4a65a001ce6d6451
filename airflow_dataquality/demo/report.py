"""What the ledger says of a run, and how it looks on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import psycopg

    from airflow_dataquality.engine.backtest import Series

_STYLES = {"published": "green", "BLOCKED": "bold red", "checked": "green", "failed": "bold red"}

_RUN = """
SELECT r.run_uid,
       count(*) FILTER (WHERE status = 'pass') AS passed,
       count(*) FILTER (WHERE status = 'warn') AS warned,
       count(*) FILTER (WHERE status IN ('fail', 'error')) AS failed,
       count(*) FILTER (WHERE status = 'skip') AS skipped,
       (SELECT max(value)::bigint FROM dataquality.metric m WHERE m.run_uid = r.run_uid AND m.metric = 'row_count')
FROM dataquality.check_result r
WHERE dag_id = %s AND run_id = %s
GROUP BY r.run_uid
ORDER BY max(checked_at) DESC
LIMIT 1
"""
_PUBLICATION = "SELECT rows, mode FROM dataquality.publication WHERE run_uid = %s"
_PROBLEMS = """
SELECT check_name, status, value_text, interval
FROM dataquality.check_result
WHERE run_uid = %s AND status IN ('warn', 'fail', 'error')
ORDER BY status = 'warn', check_name
"""
# A kept staging table says in its comment what it is and whose.
_KEPT = """
SELECT format('%%I.%%I', n.nspname, c.relname)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL obj_description(c.oid, 'pg_class') AS mark
WHERE mark LIKE '{"airflow_dataquality":%%"role": "rejected"%%' AND position(%s IN mark) > 0
"""


@dataclass(frozen=True)
class Problem:
    """A check outside its interval."""

    check: str
    status: str
    value: str
    interval: str

    def __str__(self) -> str:
        return f"{self.check}: {_short(self.value)}, must be {self.interval}"


@dataclass(frozen=True)
class Outcome:
    """One DAG run, as the ledger recorded it.

    :param seconds: how long its tasks took
    :param mode: how the rows became visible; None if they did not
    :param kept: the table that keeps the rejected rows
    """

    day: date
    succeeded: bool
    seconds: float
    passed: int = 0
    warned: int = 0
    failed: int = 0
    skipped: int = 0
    rows: int | None = None
    mode: str | None = None
    problems: tuple[Problem, ...] = ()
    kept: str | None = None

    @property
    def status(self) -> str:
        if self.mode:
            return "published"
        if self.succeeded:
            return "checked"
        return "BLOCKED" if self.failed else "failed"


def read(connection: psycopg.Connection[Any], dag_run: Any, day: date) -> Outcome:
    """Ask the ledger what became of a DAG run."""
    succeeded = str(dag_run.state) == "success"
    seconds = sum(task.duration or 0 for task in dag_run.get_task_instances())
    run = connection.execute(_RUN, [dag_run.dag_id, dag_run.run_id]).fetchone()
    if run is None:
        return Outcome(day, succeeded, seconds)
    run_uid, passed, warned, failed, skipped, measured = run
    rows, mode = connection.execute(_PUBLICATION, [run_uid]).fetchone() or (measured, None)
    problems = tuple(Problem(*row) for row in connection.execute(_PROBLEMS, [run_uid]))
    kept = connection.execute(_KEPT, [run_uid]).fetchone()
    return Outcome(
        day, succeeded, seconds, passed, warned, failed, skipped, rows, mode, problems, kept[0] if kept else None
    )


def table(title: str, outcomes: Iterable[Outcome]) -> Table:
    """A line for each run."""
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in ("day", "rows", "checks", "status", "mode", "seconds", "outside their interval"):
        shown.add_column(column, justify="right" if column in {"rows", "seconds"} else "left", overflow="fold")
    for outcome in outcomes:
        shown.add_row(
            str(outcome.day),
            "" if outcome.rows is None else f"{outcome.rows:,}",
            _counts(outcome),
            Text(outcome.status, style=_STYLES[outcome.status]),
            outcome.mode or "",
            f"{outcome.seconds:.2f}",
            "\n".join(problem.check for problem in outcome.problems),
        )
    return shown


def blocked(outcome: Outcome, production: str, before: str, after: str) -> Panel:
    """What was blocked, why, where the rejected rows are, and that production did not change."""
    untouched = before == after
    lines = [
        *(f"{problem.status}  {problem}" for problem in outcome.problems),
        "",
        f"rejected rows    kept in {outcome.kept}" if outcome.kept else "rejected rows    not kept",
        f"{production}    before {before}",
        f"{' ' * len(production)}    after  {after}  {'untouched' if untouched else 'CHANGED'}",
    ]
    return Panel("\n".join(lines), title=f"{outcome.day} was blocked", title_align="left", border_style="red")


def anomalies(title: str, found: Series, expected: Collection[str]) -> Table:
    """A line for each day on which a share is an anomaly.

    :param expected: the days that are to be found
    """
    shown = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for column in ("day", "share", "expected", "at most", "sigma"):
        shown.add_column(column, justify="left" if column == "day" else "right")
    shown.add_column("")
    for index in found.outside.nonzero()[0]:
        shares = (f"{share[index]:.1%}" for share in (found.values, found.expected, found.high))
        day = found.days[index]
        shown.add_row(day, *shares, f"{found.score[index]:.1f}", "the blizzard" if day in expected else "")
    return shown


def verdicts(expectations: Sequence[tuple[str, bool]]) -> Text:
    """A line for each thing that was to happen, and whether it did."""
    text = Text()
    for expectation, held in expectations:
        text.append("  ✓ " if held else "  ✗ ", style="green" if held else "bold red")
        text.append(f"{expectation}\n")
    return text


def _counts(outcome: Outcome) -> str:
    counts = {"passed": outcome.passed, "warned": outcome.warned, "failed": outcome.failed, "skipped": outcome.skipped}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _short(value: str | None) -> str:
    try:
        return f"{float(value or ''):.4g}"
    except ValueError:
        return str(value)
