"""Monitors and a dashboard of Datadog, as the JSON that its API, its UI and Terraform take.

Queries name metrics of :data:`airflow_dataquality.telemetry.CATALOGUE`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Severity, Table
from airflow_dataquality.telemetry import CATALOGUE, SERVICE_CHECK, Described, Kind, clean_tag

STATUS = "dataquality.check.status"
BAD_FROM = {Severity.WARN: 1, Severity.ERROR: 2}
"""The status from which on a check of that severity is told of."""
WINDOW = "last_15m"
"""How far a monitor looks back. A task sends its numbers once; between its runs the monitor keeps its last state."""
VARIABLES = ("env", "dag", "table", "check")


def monitors_of(checks: Iterable[Check], *, table: str | None = None, tags: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The monitors of those checks that have one, for ``POST /api/v1/monitor``.

    https://docs.datadoghq.com/api/latest/monitors/#create-a-monitor

    :param table: whose checks they are; None watches the check on every table that has it
    :param tags: only what carries these is watched: ``env:prod``
    """
    return [_monitor(check, table, tags) for check in checks if check.monitor is not None]


def in_dags(path: str) -> list[tuple[str | None, Sequence[Check]]]:
    """The checks of every task in a DAG file, with the table that they are of; None if only a run knows it.

    :raises SpecError: if the file cannot be imported
    """
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # before Airflow 3.2
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]

    if not Path(path).is_file():
        raise SpecError(f"there is no file {path!r}", hint="give the path of a DAG file")
    bag = DagBag(dag_folder=path)
    if bag.import_errors:
        raise SpecError(f"{path} cannot be imported: {next(iter(bag.import_errors.values()))}", hint="mend the DAG")
    tasks = [task for dag in bag.dags.values() for task in dag.tasks]
    return [(_table_of(task), task._checks) for task in tasks if hasattr(task, "_checks")]  # noqa: SLF001 - its own


def _table_of(task: Any) -> str | None:
    name = getattr(task, "table", None) or getattr(task, "summary", None)
    return str(Table.parse(name)) if isinstance(name, str) and "{" not in name else None


def _monitor(check: Check, table: str | None, tags: Sequence[str]) -> dict[str, Any]:
    wanted, level = check.monitor, BAD_FROM[check.severity]
    assert wanted is not None
    named = [clean_tag("check", check.name), *([clean_tag("table", table)] if table else [])]
    # Every task reports the check in its own time, so a window need not be full; see WINDOW.
    options: dict[str, Any] = {
        "thresholds": {"critical": level},
        "include_tags": True,
        "notify_no_data": False,
        "require_full_window": False,
    }
    if wanted.renotify is not None:
        options |= {"renotify_interval": wanted.renotify, "renotify_statuses": ["alert"]}
    return {
        "name": f"{table or '{{table.name}}'}: {check.name} did not pass",
        "type": "query alert",
        "query": f"max({WINDOW}):max:{STATUS}{{{','.join([*named, *tags])}}} by {{table}} >= {level}",
        "message": _message(check),
        "tags": ["source:airflow_dataquality", *named, *wanted.tags],
        **({} if wanted.priority is None else {"priority": wanted.priority}),
        "options": options,
    }


def _message(check: Check) -> str:
    wanted = check.monitor
    assert wanted is not None
    what = f"The check `{_unmarked(check.name)}` of {{{{table.name}}}} did not pass: expected {check.expect}."
    said = [what, *map(_unmarked, filter(None, (check.description, wanted.message)))]
    return "\n".join([*said, *([" ".join(wanted.notify)] if wanted.notify else [])])


def _unmarked(text: str) -> str:
    """The text without what would be a variable of Datadog's."""
    return text.replace("{{", "{ {")


def dashboard() -> dict[str, Any]:
    """A dashboard of every metric in the catalogue, for ``POST /api/v1/dashboard`` or "Import dashboard JSON".

    https://docs.datadoghq.com/api/latest/dashboards/#create-a-new-dashboard
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for name, metric in CATALOGUE.items():
        groups.setdefault(name.split(".")[1], []).append(_timeseries(name, metric))
    tables = {
        "type": "check_status", "title": "Tables", "check": SERVICE_CHECK, "grouping": "cluster",
        "group_by": ["table"], "tags": [f"${name}" for name in ("env", "dag", "table")],
    }  # fmt: skip
    return {
        "title": "Data quality",
        "description": "What airflow-provider-dataquality published, checked and blocked.",
        "layout_type": "ordered",
        "template_variables": [{"name": name, "prefix": name, "default": "*"} for name in VARIABLES],
        "widgets": [{"definition": tables}, *(_group(title, widgets) for title, widgets in groups.items())],
    }


def _group(title: str, widgets: list[dict[str, Any]]) -> dict[str, Any]:
    definition = {"type": "group", "layout_type": "ordered", "title": title.capitalize(), "widgets": widgets}
    return {"definition": definition}


def _timeseries(name: str, metric: Described) -> dict[str, Any]:
    scope = ",".join(f"${each}" for each in VARIABLES if each != "check" or each in metric.tags)
    by = ",".join(["table", *(each for each in metric.tags if each != "severity")])
    query = {
        Kind.COUNT: f"sum:{name}{{{scope}}} by {{{by}}}.as_count()",
        Kind.GAUGE: f"max:{name}{{{scope}}} by {{{by}}}",
        Kind.DISTRIBUTION: f"max:{name}{{{scope}}} by {{{by}}}",
    }[metric.kind]
    display = "bars" if metric.kind is Kind.COUNT else "line"
    request = {"q": query, "display_type": display}
    title = f"{name}: {metric.meaning}"
    return {"definition": {"type": "timeseries", "title": title, "show_legend": False, "requests": [request]}}
