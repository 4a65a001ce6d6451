"""Transforms held against each other and against their SQL: what is declared must be what is read."""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from airflow_dataquality.dialects.scripts import refuse_script
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.lint import Finding
from airflow_dataquality.model import Table
from airflow_dataquality.transforms.cache import Cache
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.lineage import UNTOLD, Facts, facts_of, words_of
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.places import Misfit, Steps, in_sql, in_yaml, text_of
from airflow_dataquality.transforms.rendering import stand_in, unknown_name
from airflow_dataquality.transforms.rules import tables_of_checks

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wrong:
    """A mistake, and the transform that is to be mended.

    :param path: its place in the header
    :param word: its place in the SQL, instead: where this is written; empty for the SQL's beginning
    """

    of: Transform
    message: str
    hint: str
    code: str
    path: Steps = ()
    word: str | None = None

    def finding(self) -> Finding:
        """It, with its file and line."""
        of = self.of
        if self.word is not None and of.sql_path is not None:
            return in_sql(of.sql_path, of.sql or "", of.name, self.word, self.message, self.hint, self.code)
        path = ("sql",) if self.word is not None else self.path
        misfit = Misfit(self.message, hint=self.hint, path=path, code=self.code)
        return in_yaml(of.path, text_of(of.path), of.name, misfit)


@dataclass(frozen=True)
class Patience:
    """How long SQL that nobody has read yet may be read.

    :param seconds: None reads all of it
    :param pipeline: whose SQL is read in any case
    """

    seconds: float | None = None
    pipeline: str | None = None


def enforced(project: Project, cache: Cache, names: Iterable[str] = (), patience: Patience | None = None) -> Project:
    """The project with the facts of its SQL, and with every mistake that shows when its parts are held together."""
    patience = patience or Patience()
    until = math.inf if patience.seconds is None else time.monotonic() + patience.seconds
    facts: dict[str, Facts] = {}
    wrong: list[Wrong] = []
    left = 0
    # First the one that is to be read in any case: what is over then is for the others.
    for each in sorted(project.transforms.values(), key=lambda one: one.pipeline != patience.pipeline):
        if each.sql is None:
            continue
        words = (each.sql, project.dialect, str(each.kind == "sql"), str(each.enforce_inputs), *sorted(names))
        in_time = each.pipeline == patience.pipeline or time.monotonic() < until
        found = cache.get(words, partial(_analysed, each, project.dialect, names) if in_time else None)
        if found is None:
            left += 1
        elif "wrong" in found:
            wrong.append(Wrong(each, **found["wrong"]))
        elif found:
            facts[each.name] = Facts.of_json(found)
    if left:
        log.info("The SQL of %d transforms is new; it is read when the file is parsed again, or a task runs", left)
    known = replace(project, facts=facts)
    wrong += _together(known, {each.name: tables_of_checks(each, cache) for each in known.transforms.values()})
    mistakes: dict[str, list[Finding]] = defaultdict(list)
    for mistake in wrong:
        mistakes[mistake.of.pipeline].append(mistake.finding())
    return replace(
        known,
        pipelines={
            name: replace(each, mistakes=(*each.mistakes, *mistakes[name])) if name in mistakes else each
            for name, each in known.pipelines.items()
        },
    )


def _analysed(each: Transform, dialect: str, names: Iterable[str]) -> dict[str, Any]:
    """Facts of the SQL, or what is wrong with it, as JSON."""
    assert each.sql is not None
    try:
        rendered = stand_in(each.sql, names)
    except SpecError as error:
        return {"wrong": {"message": error.message, "hint": error.hint, "code": "template", "word": ""}}
    if rendered.unknown:
        name = rendered.unknown[0]
        return {"wrong": {"message": f"the template names {name!r}, which nobody gives", "hint": unknown_name(name),
                          "code": "template", "word": name}}  # fmt: skip
    try:
        if not each.enforce_inputs:
            if each.kind == "sql":
                refuse_script(rendered.sql, dialect)
            return {}
        return facts_of(rendered.sql, dialect, script=each.kind == "sql").as_json()
    except SpecError as error:
        word = words_of(error.message)
        return {"wrong": {"message": error.message, "hint": error.hint, "code": "sql", "word": word}}


def _together(project: Project, checked: Mapping[str, Sequence[str]]) -> Iterator[Wrong]:
    yield from _doubled(project)
    yield from _circles(project)
    promised = {table for pipeline in project.pipelines.values() for table in pipeline.promised}
    for each in project.transforms.values():
        yield from _looked_into(each, checked[each.name])
        yield from _declared(project, each, checked[each.name])
        yield from _known(project, each, promised)
        yield from _selected(project, each)
        yield from _vanished(project, each)
        if project.dialect == "redshift":
            yield from _on_redshift(each)


def _on_redshift(each: Transform) -> Iterator[Wrong]:
    """What Redshift has not: https://docs.aws.amazon.com/redshift/latest/dg/c_unsupported-postgresql-features.html."""
    if each.output is not None and each.output.indexes:
        hint = "leave them out: there, rows are found by the sort key that CREATE TABLE … SORTKEY gives a table"
        yield Wrong(each, "Redshift has no indexes", hint, "index", ("output", "indexes"))
    role = each.options.get("iam_role") or each.options.get("aws_conn_id")
    if str(each.options.get("files", "")).startswith("s3://") and not role:
        hint = 'write iam_role: "arn:aws:iam::…" or default, or the aws_conn_id of a connection with role_arn'
        yield Wrong(each, "nothing says who may read the files", hint, "argument", ("files",))


def _doubled(project: Project) -> Iterator[Wrong]:
    makers: dict[Table, list[Transform]] = defaultdict(list)
    for each in project.transforms.values():
        if each.writes is not None:
            makers[each.writes].append(each)
    for table, several in makers.items():
        for each in several if len(several) > 1 else ():
            others = ", ".join(f"{other.name} ({other.path})" for other in several if other is not each)
            hint = "have one transform write a table: give one of them another"
            yield Wrong(each, f"the output {table} is written by {others}, too", hint, "doubled", ("output", "table"))


def _circles(project: Project) -> Iterator[Wrong]:
    for circle in project.cycles:
        way = " → ".join(each.name for each in (*circle, circle[0]))
        for each in circle:
            before = next(up for up in project.upstream(each) if up in circle)
            number = next(n for n, table in enumerate(each.reads) if table == before.writes)
            yield Wrong(each, f"a cycle: {way}", "have one of them read something else", "cycle", ("inputs", number))


def _looked_into(each: Transform, checked: Sequence[str]) -> Iterator[Wrong]:
    """What the checks read, too, must be what the header declares."""
    known = {str(table) for table in (*each.reads, each.writes)}
    for name in checked:
        if name not in known:
            hint = f"add it to inputs: [{', '.join((*each.inputs, name))}], so that it is there first"
            yield Wrong(each, f"a check reads {name}, which is no input", hint, "undeclared", ("checks",))


def _declared(project: Project, each: Transform, checked: Sequence[str]) -> Iterator[Wrong]:
    """What the SQL reads must be what the header declares."""
    facts = project.facts.get(each.name)
    if facts is None:
        return
    declared = {str(table): number for number, table in enumerate(each.reads)}
    own = str(each.writes)
    for name in facts.tables:
        if name not in declared and not (name == own and each.kind != "create_table_as"):
            hint = f"add it to inputs: [{', '.join((*each.inputs, name))}]{_like(name, declared)}"
            if "." not in name:
                hint = f"write its schema in the SQL{_same_name(name, declared)}"
            elif not mentioned(name, each.sql or ""):
                hint = f"a template makes this name; write one table, with its days as a column, or: {UNTOLD}"
            yield Wrong(each, f"the SQL reads {name}, which is no input", hint, "undeclared", word=name)
    for name, number in declared.items():
        if name not in facts.tables and name not in checked:
            hint = did_you_mean(name, [table for table in facts.tables if table not in declared], label="It reads also")
            what = "the SQL does not read it" if not hint.startswith("did") else hint
            yield Wrong(each, f"the input {name} is not read by the SQL", f"leave it out: {what}", "unused",
                        ("inputs", number))  # fmt: skip
    if each.kind == "sql":
        yield from _written(each, facts)


def mentioned(name: str, sql: str) -> bool:
    """Whether the text has the name, and not a template that makes it."""
    return name.rpartition(".")[2].strip('"').lower() in sql.lower()


def _same_name(name: str, declared: Iterable[str]) -> str:
    same = [each for each in declared if each.endswith(f".{name}")]
    return f": {same[0]}" if same else ""


def _like(name: str, declared: Iterable[str]) -> str:
    near = did_you_mean(name, declared)
    return f"; {near}" if near.startswith("did") else ""


def _written(each: Transform, facts: Facts) -> Iterator[Wrong]:
    own = str(each.writes) if each.writes is not None else None
    for name in facts.writes:
        if name != own:
            known = f"; the output is {own}" if own else ""
            hint = f"write output: {{table: {name}}}, or have a transform of its own write it"
            yield Wrong(each, f"the SQL writes {name}, which is no output{known}", hint, "output", word=name)
    if own is not None and facts.writes and own not in facts.writes:
        hint = did_you_mean(own, facts.writes, label="It writes")
        yield Wrong(each, f"the output {own} is not written by the SQL", hint, "output", ("output", "table"))


def _known(project: Project, each: Transform, promised: set[Table]) -> Iterator[Wrong]:
    """An input is some transform's output."""
    for number, table in enumerate(each.reads):
        if table == each.writes and each.kind not in ("upsert", "sql", "python"):
            hint = "leave it out: a summary and a partition read their own past by themselves"
            yield Wrong(each, f"{table} is read and written", hint, "cycle", ("inputs", number))
        elif project.producer(table) is None and table not in promised:
            hint = f"{_near(project, table)}model it: kind: no_op, output: {{table: {table}}}"
            yield Wrong(each, f"the input {table} is no transform's output", hint, "unknown-input",
                        ("inputs", number))  # fmt: skip


def _near(project: Project, table: Table) -> str:
    """The output that was probably meant; of hundreds, the others are not listed."""
    made = [str(each.writes) for each in project.transforms.values() if each.writes is not None]
    near = did_you_mean(str(table), made)
    return f"{near.partition('? ')[0]}? Or " if near.startswith("did") else ""


def _selected(project: Project, each: Transform) -> Iterator[Wrong]:
    """The columns that the output names come out of the SELECT."""
    output = each.output
    if output is None or each.kind not in ("create_table_as", "upsert"):
        return
    columns = project.columns(output.name)
    if columns is None or each.name not in project.facts:
        return
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        yield Wrong(each, f"the SELECT yields {twice[0]} twice", "give one of them another name, with AS", "column",
                    word=twice[0])  # fmt: skip
    named: list[tuple[str, Steps]] = [
        *((column, ("output", "partition")) for column in output.partition),
        *((column, ("output", "primary_key")) for column in output.primary_key),
        *((column, ("output", "indexes", number)) for number, index in enumerate(output.indexes) for column in index),
        *((column, ("output", "columns", column)) for column in output.columns),
    ]
    for column, path in named:
        if column not in columns:
            hint = did_you_mean(column, columns, label="Columns")
            yield Wrong(each, f"{'.'.join(map(str, path[:2]))} names {column}, which the SELECT does not yield", hint,
                        "column", path)  # fmt: skip


def _vanished(project: Project, each: Transform) -> Iterator[Wrong]:
    """The columns that are read are there, as far as it can be told."""
    facts = project.facts.get(each.name)
    for use in facts.uses if facts is not None else ():
        if any(table == str(each.writes) for table in use.tables):
            continue
        columns = [project.columns(table) for table in use.tables]
        if not all(columns) or any(use.column in (found or ()) for found in columns):
            continue
        of = " or ".join(use.tables)
        made = ", ".join(f"{maker.name} ({maker.path})" for t in use.tables if (maker := project.producer(t)))
        known = sorted({column for found in columns for column in found or ()})
        yield Wrong(each, f"the SQL reads {use.column} of {of}, which has no such column; it is made by {made}",
                    did_you_mean(use.column, known, label="Columns"), "vanished", word=use.column)  # fmt: skip
