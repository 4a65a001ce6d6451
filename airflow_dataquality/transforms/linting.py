"""Everything that can be found in a project before it runs: mistakes, and what is suspicious."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.lint import ERROR, Finding, lint_within, place_of
from airflow_dataquality.lint import lint as lint_rules
from airflow_dataquality.spec import SUFFIXES, find_file
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.loading import load
from airflow_dataquality.transforms.model import Transform

_CONNECTION = "warehouse"
"""Stands for one: nothing is connected to."""


def lint(project: Project | str | os.PathLike[str], **arguments: Any) -> list[Finding]:
    """What is wrong with a project, or suspicious in it, by file and line. No database is asked.

    :param project: or its folder
    :param arguments: of :func:`load`, for a folder
    """
    known = project if isinstance(project, Project) else load(project, **arguments)
    found = [*known.mistakes]
    for each in known.transforms.values():
        found += [] if each.checks is None else _of_checks(each)
        if not any(finding.severity == ERROR for finding in found if finding.rule == each.name):
            found += operator_mistakes(each, known)
    return sorted(dict.fromkeys(found), key=lambda one: (one.file, one.line, one.column))


def _of_checks(transform: Transform) -> Iterator[Finding]:
    """What is to be said of a rule set, in its file or in the header."""
    checks = transform.checks
    if isinstance(checks, str):
        root = transform.path.parent
        try:
            file = find_file(checks, [str(root), str(root.parent)], what="rule set")
            if not checks.endswith(SUFFIXES):
                raise SpecError(f"checks: {checks!r} is no rule set", hint=f"its name ends in {', '.join(SUFFIXES)}")  # noqa: TRY301
        except SpecError as error:
            yield in_header(transform, error, ("checks",))
            return
        yield from (replace(each, rule=each.rule or transform.name) for each in lint_rules(str(file)))
        return
    if isinstance(checks, list):
        text = transform.path.read_text(encoding="utf-8")
        found = lint_within(str(transform.path), text, "checks", checks)
        yield from (replace(each, rule=transform.name) for each in found)


def operator_mistakes(transform: Transform, project: Project, conn_id: str = _CONNECTION) -> Iterator[Finding]:
    """What the operators refuse: arguments that can never work."""
    from airflow_dataquality.transforms.operators import anomalies_of, operator_of

    try:
        operator_of(transform, conn_id=conn_id, project=project)
        anomalies_of(transform, conn_id=conn_id)
    except (DataQualityError, TypeError) as error:
        yield in_header(transform, error)


def in_header(transform: Transform, error: Exception, path: tuple[str | int, ...] = ()) -> Finding:
    """An error of an operator as a finding: at the key that it names, in the file that it names."""
    message, hint = getattr(error, "message", str(error)), getattr(error, "hint", None)
    message = message.removeprefix(f"{transform.path}: ")
    text = transform.path.read_text(encoding="utf-8")
    named = path or _named(transform, message)
    line, column, written = place_of(text, named)
    return Finding(str(transform.path), line, column, written, transform.name, "argument", ERROR, message, hint)


def _named(transform: Transform, message: str) -> tuple[str | int, ...]:
    keys = ("checks", "anomalies", "measures", *transform.options)
    if Path(message.partition(":")[0]).suffix in SUFFIXES:
        return ("checks",)
    return next(((key,) for key in keys if message.startswith((f"{key}:", f"{key} ", f"{key}[", f"{key}."))), ("kind",))
