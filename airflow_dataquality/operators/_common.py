"""What the operators share: the task's identity, where files are looked for, templates in checks, results."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    Asset,
    XComArg,
)

from airflow_dataquality.assets import add_partitions, partition_key
from airflow_dataquality.engine.ledger import Run
from airflow_dataquality.errors import ChecksFailed, PartitionError, SpecError
from airflow_dataquality.model import Check, FailOn, Metric, Partition, Table
from airflow_dataquality.operators._dates import with_date
from airflow_dataquality.results import Result, Status, Summary
from airflow_dataquality.vocabulary import KINDS

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.common.sql.operators.sql import BaseSQLOperator, SQLCheckResult

RESULT_KEY = "airflow.dataquality.result"
"""Under which key of an asset event's ``extra`` consumers find the summary."""

_IDENTITY = ("dag_id", "task_id", "run_id", "map_index", "try_number")
_RENDERED_PARAMS = ("sql", "values", "pattern", "statement")


def run_identity(context: Mapping[str, Any]) -> Run:
    """Who runs: the task instance of the context. Outside Airflow only ``run_uid`` is known."""
    instance: Any = context.get("ti") or context.get("task_instance")
    known: dict[str, Any] = {name: getattr(instance, name, None) for name in _IDENTITY}
    return replace(Run(), **known)


def search_folders(operator: BaseSQLOperator) -> list[str]:
    """Where relative paths of an operator are looked for."""
    return folders_of(operator.get_dag())


def folders_of(dag: Any) -> list[str]:
    """Where relative paths are looked for: the DAG file's folder, its ``template_searchpath``, the working folder."""
    if dag is None:
        return [str(Path.cwd())]
    paths = dag.template_searchpath or []
    return [dag.folder, *([paths] if isinstance(paths, str) else paths), str(Path.cwd())]


def render_checks(operator: BaseSQLOperator, checks: Iterable[Check], context: Context) -> tuple[Check, ...]:
    """Render the templates in ``partition_clause``, ``sql``, ``values``, ``pattern`` and ``statement``.

    :raises SpecError: if one is left, because there is no context to render it with
    """
    return tuple(_rendered(operator, check, context) for check in checks)


def _rendered(operator: BaseSQLOperator, check: Check, context: Context) -> Check:
    metric = check.metric
    params = {name: value for name, value in metric.params if name in _RENDERED_PARAMS}
    if not any(map(is_template, (metric.where, *params.values()))):
        return check
    if context:
        context, render = with_date(operator, context), operator.render_template
        params = {name: render(value, context) for name, value in params.items()}
        metric = replace(
            metric,
            where=render(metric.where, context),
            params=tuple(sorted({**dict(metric.params), **params}.items())),
        )
    place = check.source or check.name
    refuse_templates({f"{place}: {name}": text for name, text in {**params, "partition_clause": metric.where}.items()})
    return replace(check, metric=metric)


def is_template(value: Any) -> bool:
    """Whether Jinja has something to do in the value, or in one of the values in it."""
    if isinstance(value, XComArg):
        return True
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(map(is_template, value.values()))
    return isinstance(value, list | tuple) and any(map(is_template, value))


def refuse_templates(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that Airflow did not render.

    :raises SpecError: naming the argument
    """
    for name, value in arguments.items():
        if is_template(value):
            raise SpecError(
                f"{name} was not rendered: {value!r}",
                hint="Airflow renders templates when it runs the task; called by hand, give the value itself",
            )


def require_connection(operator: BaseSQLOperator) -> None:
    """Refuse an operator without a connection.

    :raises SpecError: saying how to give one
    """
    if not operator.conn_id:
        name = f"{type(operator).__name__} {operator.task_id!r}"
        raise SpecError(f"{name} has no conn_id", hint='write conn_id="warehouse"')


def check_number(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number, or too small.

    :raises SpecError: naming the argument
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SpecError(f"{name} is {value!r}", hint=f"write a whole number, from {least} on")


def listed(name: str, value: Any) -> tuple[str, ...]:
    """A list of names.

    :raises SpecError: if it is one text
    """
    if isinstance(value, str):
        raise SpecError(f"{name} is the text {value!r}", hint=f"write a list: [{value!r}]")
    return tuple(value)


def checked_table(table: Any, name: str = "table") -> None:
    """Refuse a table's name that cannot be one. A template is let through.

    :param name: of the argument
    :raises SpecError: if it is no name
    """
    if is_template(table):
        return
    if not isinstance(table, str):
        raise SpecError(f"{name} is {table!r}, not a text", hint=f'write {name}="schema.table"')
    Table.parse(table)


def checked_partition(partition: Any) -> dict[str, Any]:
    """The partition's key, if it is columns and plain values. Templates are let through.

    :raises PartitionError: naming the column
    """
    if partition is None or isinstance(partition, XComArg):
        return {}
    if not isinstance(partition, Mapping):
        raise PartitionError(f"partition {partition!r} is not a mapping", hint='write {"ds": "{{ ds }}"}')
    for column, value in partition.items():
        if not isinstance(column, str) or not column:
            raise PartitionError(f"partition column {column!r} is not a name", hint="write the column's exact name")
        if not is_template(value) and not _is_plain(value):
            raise PartitionError(
                f"partition {column}={value!r} is not a plain value", hint="give text, a number, a date, a bool or None"
            )
    return dict(partition)


def _is_plain(value: Any) -> bool:
    if isinstance(value, float | Decimal):
        return math.isfinite(value)
    return isinstance(value, str | int | date | None)


def refuse_health(checks: Iterable[Check]) -> None:
    """Refuse checks of how a table is stored, where staged rows are checked.

    :raises SpecError: naming the check
    """
    for check in checks:
        if KINDS[check.metric.kind].health:
            raise SpecError(
                f"{check.source or check.name}: {check.metric.kind} is of a stored table, and not of staged rows",
                hint="use it in DataQualityCheckOperator, after the load",
            )


def narrowed(check: Check, where: str | None) -> Check:
    """The check on fewer rows."""
    return replace(check, metric=replace(check.metric, where=where))


def failure(summary: Summary, partition: Partition, fail_on: FailOn, outcome: Mapping[str, Any]) -> ChecksFailed | None:
    """What to raise for the summary; None if nothing in it fails the task."""
    blocking = summary.blocking(fail_on)
    if not blocking:
        return None
    lines = "".join(f"\n  - {_line(result)}" for result in blocking)
    return ChecksFailed(
        f"{len(blocking)} of {len(summary.results)} checks on {partition} did not pass:{lines}",
        outcome=outcome,
        summary=summary,
    )


def _line(result: Result) -> str:
    named = "" if result.reason.startswith(result.check.name) else f"{result.check.name}: "
    return f"{named}{result.reason} ({result.check.severity})"


def fail(operator: BaseSQLOperator, error: Exception) -> NoReturn:
    """Fail the task: for good, if ``retry_on_failure`` is off.

    :raises AirflowException: always
    """
    if operator.retry_on_failure:
        raise AirflowException(str(error)) from error
    raise AirflowFailException(str(error)) from error


def check_results(summary: Summary, table: Table) -> list[SQLCheckResult]:
    """The results as common.sql's operators keep them, for listeners and OpenLineage."""
    try:
        from airflow.providers.common.sql.operators.sql import SQLCheckResult
    except ImportError:  # common.sql before 2.0 has no such thing, and nobody who reads it
        return []
    return [
        SQLCheckResult(
            name=result.check.name,
            check_type=result.check.metric.kind,
            success=result.status in (Status.PASS, Status.SKIP),
            severity=str(result.check.severity),
            column=", ".join(result.check.metric.columns) or None,
            table=str(table),
            expected=result.interval,
            actual=None if result.value is None else str(result.value),
            content=str(result.check.metric),
            description=result.check.description or result.reason,
            params={"status": str(result.status), "dimension": result.check.dimension},
        )
        for result in summary.results
    ]


def attach_to_outlets(
    context: Mapping[str, Any],
    outcome: Mapping[str, Any],
    *,
    ruleset: str | None = None,
    published: Iterable[Partition] = (),
) -> None:
    """Put the summary into the asset events of the task's outlets, where consumers gate on it.

    :param published: partitions that the events are to be of, too
    """
    events = context.get("outlet_events")
    if events is None:
        return
    keys = ("table", "run_uid", "score", "passed", "warned", "failed", "errored", "failed_rules", "warned_rules")
    extra = {key: outcome[key] for key in keys} | {"ruleset": ruleset}
    for outlet in getattr(context.get("task"), "outlets", None) or ():
        if isinstance(outlet, Asset):
            events[outlet].extra[RESULT_KEY] = extra
    add_partitions(context, [partition_key(each.as_dict) for each in published if each.key and not each.several])


def published_by(outcome: Any) -> Sequence[Partition]:
    """The partitions that a load published: none if it has a whole table, or nothing."""
    changed: Sequence[Partition] | None = getattr(outcome, "changed", None)
    if changed is not None:
        return changed
    return () if getattr(outcome, "mode", None) is None else (outcome.partition,)


def ruleset_name(checks: Any) -> str | None:
    """What to call the rule set: its name, or its file's."""
    if isinstance(named := getattr(checks, "ruleset", None), str):
        return named
    if isinstance(checks, Mapping):
        name = checks.get("name") if "rules" in checks else None
        return str(name) if name else None
    return Path(checks).stem if isinstance(checks, str | os.PathLike) else None


def row_count(where: str | None = None) -> Metric:
    """The metric that says how many rows were looked at."""
    return Metric("row_count", where=where)
