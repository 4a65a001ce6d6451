"""The checks of a transform: where they are, what they are, and which tables they look into."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Check, Table
from airflow_dataquality.monitor import monitor as read_monitor
from airflow_dataquality.spec import checks_from, find_file
from airflow_dataquality.transforms.cache import Cache
from airflow_dataquality.transforms.files import inside
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.places import text_of
from airflow_dataquality.transforms.rendering import is_template


def checks_of(transform: Transform) -> tuple[Check, ...]:
    """The checks of a transform: those of its file, or its own; each with the monitor that it has, or the transform's.

    :raises SpecError: naming the file, and the rule in it
    """
    if transform.checks is None:
        return ()
    rules = transform.checks
    if isinstance(rules, list):
        rules = {"rules": rules}
    checks = checks_from(rules, folders=folders_of_checks(transform))
    if transform.monitor is None:
        return checks
    monitor = read_monitor(transform.monitor, "monitor")
    return tuple(each if each.monitor is not None else replace(each, monitor=monitor) for each in checks)


def root_of(transform: Transform) -> Path:
    """The project's folder."""
    return transform.path.parents[transform.pipeline.count(".") + 1]


def folders_of_checks(transform: Transform) -> list[str]:
    """Where the file of a transform's rules is looked for.

    :raises SpecError: if its name leads out of the project
    """
    folders, found = [transform.path.parent, transform.path.parent.parent], transform.checks
    if isinstance(found, str):
        folders = [folder for folder in folders if inside(folder / found, root_of(transform))]
    if not folders:
        raise SpecError(f"checks: {found!r} leads out of the project", hint="move the file: checks/orders.yaml")
    return [str(folder) for folder in folders]


def file_of_checks(transform: Transform) -> Path:
    """The file with a transform's rules, if they are in one.

    :raises SpecError: if there is none, or it is outside of the project
    """
    return Path(find_file(transform.checks, folders_of_checks(transform), what="rule set"))


def tables_of_checks(transform: Transform, cache: Cache) -> Sequence[str]:
    """The tables that its checks look into beside its own; none, if they cannot be read: whoever runs them says why."""
    if transform.checks is None:
        return ()
    try:
        is_file = isinstance(transform.checks, str)
        text = text_of(file_of_checks(transform)) if is_file else json.dumps(transform.checks, default=str)
        found: Sequence[str] = cache.get(("checks", text), partial(_referenced, transform))
    except SpecError:
        return ()
    return found


def _referenced(transform: Transform) -> list[str]:
    params = (dict(check.metric.params) for check in checks_of(transform))
    names = {str(found["references"]) for found in params if "references" in found}
    return sorted(str(Table.parse(name)) for name in names if not is_template(name))
