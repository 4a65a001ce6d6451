"""Everything that can be found in a project before it runs: mistakes, and what is suspicious."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from airflow_dataquality.dialects.lexer import bare
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.lint import ERROR, WARNING, Finding, lint_within, place_of
from airflow_dataquality.lint import lint as lint_rules
from airflow_dataquality.spec import SUFFIXES
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.loading import load
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.places import in_sql, text_of
from airflow_dataquality.transforms.rules import checks_of, file_of_checks

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
        found += [*_of_schedules(each, known), *_of_monitor(each), *_of_clock(each)]
        if not any(finding.severity == ERROR for finding in found if finding.rule == each.name):
            mistakes = [*operator_mistakes(each, known)]
            found += mistakes or _unenforced(each, known)
    return sorted(dict.fromkeys(found), key=lambda one: (one.file, one.line, one.column))


def _of_checks(transform: Transform) -> Iterator[Finding]:
    """What is to be said of a rule set, in its file or in the header."""
    checks = transform.checks
    if isinstance(checks, str):
        try:
            file = file_of_checks(transform)
            if not checks.endswith(SUFFIXES):
                raise SpecError(f"checks: {checks!r} is no rule set", hint=f"its name ends in {', '.join(SUFFIXES)}")  # noqa: TRY301
        except SpecError as error:
            yield in_header(transform, error, ("checks",))
            return
        yield from (replace(each, rule=each.rule or transform.name) for each in lint_rules(str(file)))
        return
    if isinstance(checks, list):
        text = text_of(transform.path)
        found = lint_within(str(transform.path), text, "checks", checks)
        yield from (replace(each, rule=transform.name) for each in found)


def _of_schedules(transform: Transform, project: Project) -> Iterator[Finding]:
    """Pipelines of other schedules: a run waits for the partition of its own date, and for no other."""
    own = project.pipelines[transform.pipeline].schedule
    for number, table in enumerate(transform.reads):
        made = project.producer(table)
        other = project.pipelines[made.pipeline].schedule if made is not None else None
        if made is None or made.pipeline == transform.pipeline or None in (own, other) or own == other:
            continue
        if made.output is None or not made.output.partition or made.kind == "upsert":
            continue
        message = f"{transform.name} runs {own}, and its input {table} is made {other} by {made.name}"
        hint = "a run waits for the partition of its own {{ ds }} alone: give both pipelines one schedule"
        yield _warning(transform, ("inputs", number), "schedule", message, hint)


def _of_monitor(transform: Transform) -> Iterator[Finding]:
    if transform.monitor is not None and transform.checks is None:
        message, hint = "a monitor without checks watches nothing", "write checks, or leave it out"
        yield _warning(transform, ("monitor",), "monitor", message, hint)


_CLOCK = re.compile(
    r"\b(current_date|current_time(?:stamp)?|localtime(?:stamp)?|sysdate"
    r"|(?:now|getdate|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|random)(?=\s*\())",
    re.IGNORECASE,
)


def _of_clock(transform: Transform) -> Iterator[Finding]:
    """SQL of one partition that depends on when it runs: again, or for a day of last year, it makes other rows."""
    if transform.sql is None or transform.output is None or not transform.output.partition:
        return
    if match := _CLOCK.search(bare(transform.sql)):
        word = match[1]
        message = f"a partition is made with {word}: run again, or late, it holds something else"
        hint = "write '{{ ds }}', the day of the run, in its place"
        if transform.sql_path is None:
            yield _warning(transform, ("sql",), "clock", message, hint)
        else:
            found = in_sql(transform.sql_path, transform.sql, transform.name, word, message, hint, "clock")
            yield replace(found, severity=WARNING)


def _warning(transform: Transform, path: tuple[str | int, ...], code: str, message: str, hint: str) -> Finding:
    line, column, written = place_of(text_of(transform.path), path)
    return Finding(str(transform.path), line, column, written, transform.name, code, WARNING, message, hint)


def _unenforced(transform: Transform, project: Project) -> Iterator[Finding]:
    """Redshift enforces no key: https://docs.aws.amazon.com/redshift/latest/dg/t_Defining_constraints.html."""
    key = transform.output.primary_key if transform.output else ()
    if project.dialect != "redshift" or transform.kind not in ("create_table_as", "python", "load") or not key:
        return
    if any(c.metric.kind == "unique_violations" and {*c.metric.columns} <= {*key} for c in checks_of(transform)):
        return
    rule = f"{{check: unique_violations, columns: [{', '.join(key)}]}}"
    message = "nothing on Redshift keeps a primary key unique"
    yield _warning(transform, ("output", "primary_key"), "key", message, f"add the check {rule}")


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
    text = text_of(transform.path)
    line, column, written = place_of(text, path or _named(transform, message)) if text else (1, 1, "")
    return Finding(str(transform.path), line, column, written, transform.name, "argument", ERROR, message, hint)


def _named(transform: Transform, message: str) -> tuple[str | int, ...]:
    keys = ("checks", "anomalies", "measures", *transform.options)
    if Path(message.partition(":")[0]).suffix in SUFFIXES:
        return ("checks",)
    if quoted := next((key for key in keys if f"`{key}`" in message), None):
        return (quoted,)
    return next(((key,) for key in keys if message.startswith((f"{key}:", f"{key} ", f"{key}[", f"{key}."))), ("kind",))
