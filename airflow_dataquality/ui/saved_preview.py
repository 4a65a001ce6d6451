"""What the buttons of a test's form do: ask its queries, look up columns, and try it on the days behind us."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_dataquality.baseline import DIRECTIONS, METHODS
from airflow_dataquality.days import Day
from airflow_dataquality.engine.rows import number
from airflow_dataquality.engine.timeline import moment
from airflow_dataquality.engine.trying import Tried
from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.formula import FUNCTIONS, SCOPES
from airflow_dataquality.grammar import params_of
from airflow_dataquality.hooks.bounded import open_bounded
from airflow_dataquality.hooks.connections import hook_of
from airflow_dataquality.model import Column, Table
from airflow_dataquality.operators._table import place
from airflow_dataquality.results import Status
from airflow_dataquality.saved import FORMULA, METRIC, Mistake, SavedTest, select_of
from airflow_dataquality.trial import Trial, answered, suggestions, tried
from airflow_dataquality.ui.access import Who
from airflow_dataquality.ui.saved_form import METRIC_WORDS, PARAMS, WORDS, Form, numbers, sealed
from airflow_dataquality.ui.saved_list import Listed
from airflow_dataquality.ui.warehouses import Warehouse, statement_timeout
from airflow_dataquality.vocabulary import KINDS

MOST_TABLES = 1000


@dataclass
class Shown:
    """What the form shows beside its fields.

    :param rows: of each query: names and values, of which only numbers are shown
    :param day: for which the queries were asked
    :param trial: what the test would have said
    :param series: the same, as a chart
    """

    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    day: str = ""
    suggestions: list[dict[str, Any]] = field(default_factory=list)
    columns: Sequence[Column] = ()
    tables: Sequence[str] = ()
    trial: Trial | None = None
    series: Mapping[str, Any] | None = None


def act(form: Form, action: str, warehouse: Warehouse, shown: Shown, who: Who) -> None:
    """Do what a button says.

    :raises Mistake: naming the field that is in the way
    """
    form.values["seal"] = ""
    if form.kind == METRIC:
        _columns(form, warehouse, shown)
    elif action in ("control", "experiment") or action.startswith("use:"):
        _ask(form, action, shown)
    if action == "preview":
        _try(form, warehouse, shown, who)


def _ask(form: Form, action: str, shown: Shown) -> None:
    """Run the queries up to the step, and go on to the next if they return a row."""
    scopes = SCOPES[:1] if action == "control" else SCOPES
    form.at(1)
    for step, scope in enumerate(scopes, 2):
        name = f"{scope}_sql"
        params = numbers(form["params"])
        _, until = form.days()
        day = Day(str(until or datetime.now(UTC).date() - timedelta(days=1)))
        sql = select_of(name, form[name], params)
        answer = answered(form["conn_id"], sql, day, params)
        if answer.problem:
            raise Mistake(name, f"the {scope} query {answer.problem}", hint=f"it was asked for {day.ds}")
        shown.rows[scope] = [(key, _shown(value)) for key, value in (answer.row or {}).items()]
        shown.day = day.ds
        form.at(step)
    if len(scopes) > 1:
        shown.suggestions = suggestions(*([name for name, _ in shown.rows[scope]] for scope in SCOPES))
    if action.startswith("use:"):
        chosen = action.removeprefix("use:")
        if chosen.isdecimal() and int(chosen) < len(shown.suggestions):
            found = shown.suggestions[int(chosen)]
            form.values["formula"] = found["formula"]
            given = json.loads(found["params"] or "{}")
            form.values["params"] = "\n".join(f"{name} = {value}" for name, value in given.items())


def _shown(value: Any) -> str:
    """A value of a query: a formula is about numbers, and texts may be about people."""
    if isinstance(value, bool):
        return str(value).lower()
    found = number(value)
    return "NULL" if value is None else f"{found:.6g}" if found is not None else f"({type(value).__name__}, not shown)"


def _columns(form: Form, warehouse: Warehouse, shown: Shown) -> None:
    if not form["table"].strip():
        return
    with open_bounded(hook_of(warehouse.conn_id), statement=statement_timeout()) as session:
        try:
            _, shown.columns = place(session, form["table"], {})
        except DataQualityError as error:
            raise Mistake("table", error.message, hint=error.hint) from None
    dated = [column.name for column in shown.columns if column.category == "time"]
    if len(dated) == 1 and not form["partition_column"] and not form["name"]:
        form.values["partition_column"] = dated[0]


def _try(form: Form, warehouse: Warehouse, shown: Shown, who: Who) -> None:
    test = form.test()
    days, until = form.days()
    try:
        shown.trial = tried(
            test, warehouse.conn_id, days=days, until=until, ledger_schema=warehouse.ledger_schema
        )  # fmt: skip
    except Mistake:
        raise
    except DataQualityError as error:
        raise Mistake("table" if test.kind == METRIC else "conn_id", error.message, hint=error.hint) from None
    shown.series = _series(test, shown.trial.days)
    last = shown.trial.days[-1] if shown.trial.days else None
    if last and last.rows:
        shown.day = last.day
        shown.rows = {
            scope: [(name, _shown(value)) for name, value in (row or {}).items()] for scope, row in last.rows.items()
        }
        shown.suggestions = suggestions(*(list(last.rows.get(scope) or {}) for scope in SCOPES))
    form.at(3)
    asked = [each.result for each in shown.trial.days if each.result is not None]
    if asked and all(result.status is Status.ERROR for result in asked):
        reason = asked[-1].reason
        raise Mistake("seal", f"it could not be asked on any day: {reason}", hint="mend it, and preview it again")
    form.values["seal"] = sealed(who, warehouse.conn_id, test)


def _series(test: SavedTest, days: Sequence[Tried]) -> dict[str, Any]:
    """The days as a chart: a number that the test is about, and where it had to lie."""
    made: dict[str, Any] = {
        "x": [each.day for each in days],
        "status": [str(each.result.status) if each.result else None for each in days],
        "title": [each.result.reason[:400] if each.result else "not looked at" for each in days],
    }
    if test.kind == FORMULA:
        assert test.experiment is not None
        named = test.experiment.formula.columns
        own = (named["experiment"] or named["control"])[:1]
        scope = "experiment" if named["experiment"] else "control"
        other = [name for name in named["control"] if name in own] or named["control"][:1]
        made |= {
            "y": [_of_row(each, scope, own) for each in days],
            "expected": [_of_row(each, "control", other) for each in days],
            "label": f"{scope}.{own[0]}" if own else "value",
        }
        return made
    ends = [each.ends for each in days]
    known = [each.result.expectation if each.result else None for each in days]
    return made | {
        "y": [number(each.result.value) if each.result else None for each in days],
        "low": [low for low, _ in ends],
        "high": [high for _, high in ends],
        "expected": [each.expected if each else None for each in known],
        "label": str(test.check.metric),
    }


def _of_row(each: Tried, scope: str, names: Sequence[str]) -> float | None:
    row = {name.lower(): value for name, value in (each.rows.get(scope) or {}).items()}
    return number(row.get(names[0].lower())) if names else None


def series_of(test: Listed) -> dict[str, Any] | None:
    """What a test said in its last runs, as a chart; None without numbers."""
    rows = [row for row in reversed(test.results) if row["value"] is not None]
    if not rows:
        return None
    days = [_day(row["partition"]) for row in rows]
    if None not in days and len(set(days)) == len(days):
        rows = [row for _, row in sorted(zip(days, rows, strict=True), key=lambda pair: str(pair[0]))]
        days.sort(key=str)
    else:
        days = [str(row["checked_at"])[:19] for row in rows]
    return {
        "x": days,
        "y": [row["value"] for row in rows],
        **{name: [row[name] for row in rows] for name in ("low", "high", "expected")},
        "status": [row["status"] for row in rows],
        "title": [str(row["reason"])[:400] for row in rows],
        "label": test.version.name,
    }


def _day(partition: Any) -> str | None:
    """The one value of a partition that is a day."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        found = [str(value) for value in json.loads(partition).values() if moment(value) is not None]
        return found[0] if len(found) == 1 else None
    return None


def choices(form: Form, warehouse: Warehouse) -> dict[str, Any]:
    """What the form offers."""
    kind = KINDS.get(form["check"])
    return {
        "checks": {name: KINDS[name].doc for name in METRIC_WORDS},
        "params": params_of(kind) if kind else (),
        "all_params": {name: [word for word in METRIC_WORDS if name in params_of(KINDS[word])] for name in PARAMS},
        "methods": METHODS,
        "directions": DIRECTIONS,
        "comparisons": WORDS,
        "functions": {name: function.doc for name, function in FUNCTIONS.items()},
        "tables": _tables(warehouse),
    }


def _tables(warehouse: Warehouse) -> list[str]:
    """The tables that can be tested; none where the database does not tell."""
    hook = hook_of(warehouse.conn_id)
    with contextlib.suppress(Exception), open_bounded(hook, statement=statement_timeout()) as session:
        rows = session.query(session.dialect.readable_tables(MOST_TABLES, but=warehouse.ledger_schema))
        return [str(Table(name, schema)) for schema, name in rows]
    return []
