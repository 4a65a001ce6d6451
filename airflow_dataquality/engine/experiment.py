"""Compare an experiment with its control: run both queries, and judge what they returned by the formula."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from airflow_dataquality.engine.judge import outside
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.engine.measure import confirm_alive
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import Session
from airflow_dataquality.errors import SpecError
from airflow_dataquality.experiments import Experiment
from airflow_dataquality.formula import SCOPES, CannotTell, Misfit
from airflow_dataquality.model import Partition
from airflow_dataquality.results import Result, Status, Summary

LONGEST = 4000
"""Characters that a text of the ledger holds on every database."""

WHOLE = 10**30
"""Up to which a decimal without fraction is written as a whole number."""


@dataclass(frozen=True)
class Answer:
    """What a query gave: one row; or why there is none.

    :param error: the database's words, or what else is wrong with the query
    """

    row: Mapping[str, Any] | None = None
    error: str | None = None

    @property
    def problem(self) -> str | None:
        """Why there is no row, as it goes on after "the control query"."""
        return self.error or ("returned no row" if self.row is None else None)


@dataclass(frozen=True)
class Evidence:
    """The rows that were compared, and the formula with their values. As text it is JSON, for the ledger.

    :param named: the columns that the formula names
    """

    rows: Mapping[str, Mapping[str, Any] | None]
    formula: str
    named: Mapping[str, list[str]]

    def __str__(self) -> str:
        whole = json.dumps(plain(self.rows), ensure_ascii=False)
        if len(whole) <= LONGEST:
            return whole
        used = {
            scope: {n: v for n, v in (row or {}).items() if n in self.named[scope]} for scope, row in self.rows.items()
        }
        return json.dumps(plain(used), ensure_ascii=False)[:LONGEST]


def compare(experiments: Iterable[Experiment], sessions: Mapping[str, Session]) -> Summary:
    """Run the queries, each once however many tests share it, and judge.

    :param sessions: where the queries of ``control`` and of ``experiment`` run
    """
    answers: dict[tuple[int, str], Answer] = {}
    results = []
    for experiment in experiments:
        found = {}
        for scope in SCOPES:
            session, sql = sessions[scope], experiment.sql(scope)
            key = (id(session), sql)
            if key not in answers:
                answers[key] = ask(session, sql)
            found[scope] = answers[key]
        results.append(_judged(experiment, found))
    return Summary(tuple(results))


def ask(session: Session, sql: str) -> Answer:
    """The row of a query that somebody wrote; or why there is none."""
    try:
        names, rows = _fetch(session, session.dialect.query(sql))
    except SpecError as error:
        return Answer(error=f"is {error.message}")
    except Exception as error:  # noqa: BLE001 - each driver has its own exceptions
        confirm_alive(session, error)
        return Answer(error=f"failed: {said(error).message}")
    if len(rows) > 1:
        return Answer(error="returned more than one row")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        return Answer(error=f"returned several columns named {', '.join(twice)}: name them with AS")
    return Answer(dict(zip(names, rows[0], strict=True)) if rows else None)


def _fetch(session: Session, sql: str) -> tuple[list[str], list[Any]]:
    """The columns' names, and two rows at most. What a query changed nevertheless is rolled back."""
    begin = session.dialect.begin_read
    if begin:
        session.execute(begin)
    try:
        for statement in session.dialect.read_setup:
            session.query(statement)
        return session.fetch(sql, 2)
    finally:
        if begin:
            with contextlib.suppress(Exception):  # a broken connection has rolled back by itself
                session.execute("ROLLBACK")


def _judged(experiment: Experiment, found: Mapping[str, Answer]) -> Result:
    check, formula, params = experiment.check, experiment.formula, dict(experiment.params)
    rows = {scope: answer.row or {} for scope, answer in found.items()}
    with_values = formula.with_values(rows, params)
    evidence = Evidence({scope: answer.row for scope, answer in found.items()}, with_values, formula.columns)
    problems = [f"the {scope} query {answer.problem}" for scope, answer in found.items() if answer.problem]
    if problems:
        status = Status.ERROR if any(answer.error for answer in found.values()) else Status.SKIP
        return Result(check, evidence, status, f"could not tell: {'; '.join(problems)}")
    try:
        well = formula.holds(rows, params)
    except CannotTell as error:
        status = Status.ERROR if isinstance(error, Misfit) else Status.SKIP
        return Result(check, evidence, status, f"could not tell: {error}: {with_values}")
    return Result(check, evidence, Status.PASS if well else outside(check), f"{with_values} is {str(well).lower()}")


def document(summary: Summary, run: Run, what: Partition, day: str | None) -> dict[str, Any]:
    """The results of one run, for other tools: plain values that strict JSON has.

    :param day: the date that the run is for, if it has one
    """
    run_of = {"date": day, "table": str(what.table), "partition": plain(what.as_dict), **asdict(run)}
    return {
        **run_of,
        "written_at": datetime.now(UTC).isoformat(),
        **summary.as_dict(),
        "results": [{**_record(result), **run_of} for result in summary.results],
    }


def _record(result: Result) -> dict[str, Any]:
    evidence: Evidence = result.value
    told = {Status.PASS: True, Status.WARN: False, Status.FAIL: False}
    return {
        "name": result.check.name,
        "description": result.check.description,
        "severity": str(result.check.severity),
        "status": str(result.status),
        "success": told.get(result.status),
        **{scope: plain(row) for scope, row in evidence.rows.items()},
        "formula_template": str(result.check.expect),
        "formula": evidence.formula,
        "reason": result.reason,
    }


def plain(value: Any) -> Any:
    """A value as strict JSON has it: what is no finite number is text, a duration seconds, bytes are hex.

    >>> plain({"n": Decimal("2"), "day": date(2013, 2, 1), "z": float("nan"), "gone": None})
    {'n': 2, 'day': '2013-02-01', 'z': 'NaN', 'gone': None}
    """
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, float | Decimal):
        return _plain_number(value)
    return value if isinstance(value, bool | int | str | None) else str(value)


def _plain_number(value: float | Decimal) -> int | float | str:
    if value != value:  # noqa: PLR0124 - NaN alone differs from itself
        return "NaN"
    if isinstance(value, Decimal):
        whole = abs(value) < WHOLE and value == int(value)
        value = int(value) if whole else float(value)
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"
