"""Tests that every transform has to pass, without anybody writing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from airflow_dataquality.errors import DataQualityError, did_you_mean
from airflow_dataquality.lint import Finding
from airflow_dataquality.model import Table
from airflow_dataquality.results import Result, Status
from airflow_dataquality.testing.found import Found
from airflow_dataquality.testing.kit import Kit
from airflow_dataquality.testing.reasons import TESTS, Said
from airflow_dataquality.testing.rows import Rows
from airflow_dataquality.testing.sandbox import Sandbox
from airflow_dataquality.testing.subject import Run, Subject
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.places import found_at

_INPUTS = frozenset({"undeclared", "unused", "unknown-input", "doubled", "cycle", "output"})
_COLUMNS = frozenset({"vanished", "column"})


class Failure(DataQualityError):
    """A structural test does not pass."""


class Excused(Exception):
    """A structural test cannot tell, and says why."""


def tests_of(transform: Transform) -> tuple[str, ...]:
    """The structural tests that mean something for a transform."""
    if transform.kind == "no_op":
        return ("columns",)
    names = [name for name in TESTS if transform.checks is not None or not name.startswith("checks")]
    if transform.kind == "load":
        names.remove("inputs")
    if transform.output is None:
        names = [name for name in names if name in ("renders", "inputs")]
    return tuple(names)


def check(kit: Kit, transform: Transform, test: str, said: Said) -> None:
    """Run one structural test.

    :raises Failure: naming file, place and fix
    :raises Excused: if it cannot tell
    """
    own = [each for each in kit.project.mistakes if each.rule == transform.name]
    codes = _INPUTS if test == "inputs" else _COLUMNS if test == "columns" else None
    if test == "renders":
        _refuse([each for each in own if each.code not in _INPUTS | _COLUMNS])
    elif codes is not None:
        _refuse([each for each in own if each.code in codes])
    elif own:
        raise Excused(f"it has a mistake, which another test tells: {own[0].message}")
    _TESTS[test](kit, transform, said)


def _refuse(mistakes: list[Finding]) -> None:
    if mistakes:
        raise Failure("\n".join(map(str, mistakes)))


def _renders(kit: Kit, transform: Transform, _: Said) -> None:
    """For a day, and the database runs it on empty inputs."""
    if any(each.rule == transform.name for each in kit.project.mistakes):
        return  # another test tells
    with kit.sandbox() as box:
        _run(_empty(kit, box, transform), transform)


def _inputs(kit: Kit, transform: Transform, _: Said) -> None:
    """What it declares is what it reads, and somebody makes it: load() found no mistake; and it has columns."""
    for table in transform.reads:
        if table != transform.writes:
            kit.shapes.of(table)


def _columns(kit: Kit, transform: Transform, _: Said) -> None:
    """Its output has the columns that others read of it, in whichever pipeline they are."""
    table, project = transform.writes, kit.project
    readers = [each for each in project.downstream(transform) if project.facts.get(each.name) is not None]
    if table is None or not readers:
        return
    known = [column.name for column in kit.shapes.of(table)]
    wrong = []
    for reader in readers:
        for use in project.facts[reader.name].uses:
            if use.tables == (str(table),) and use.column not in known:
                line = found_at(reader.sql or "", use.column)[0]
                hint = did_you_mean(use.column, known, label="Columns")
                where = f"{reader.sql_path}:{line}" if reader.sql_path else str(reader.path)
                place = transform.sql_path or transform.path
                wrong.append(f"{where}: {reader.name} reads {use.column} of {table}, which has no such column\n"
                             f"    Hint: {hint}; or have {place} make it")  # fmt: skip
    if wrong:
        raise Failure("\n".join(dict.fromkeys(wrong)))


def _idempotent(kit: Kit, transform: Transform, said: Said) -> None:
    """Run twice, in transactions of their own, it makes the same rows."""
    with kit.sandbox() as box:
        subject = _one_row(kit, box, transform, said)
        first = _run(subject, transform).rows
        box.keep()
        second = _run(subject, transform).rows
        if first == second:
            return
        differing = list(_differing(first, second))
        sql, path = transform.sql or "", transform.sql_path or transform.path
        line = found_at(sql, differing[0])[0] if differing and transform.sql_path else 1
        lines = second.difference(Rows(tuple(c.name for c in first.columns), tuple(first.texts)))
        what = f"in {', '.join(differing)}" if differing else f"{len(first)} the first time, {len(second)} the second"
        hint = "delete, before the INSERT, what an earlier run of the same day has inserted"
        if differing:
            hint = "have nothing in it depend on the time of the run, on chance, or on an untold order: now(), random()"
        raise Failure(
            "\n".join([f"{path}:{line}: {transform.name} run twice makes other rows, {what}", *lines]), hint=hint
        )


def _differing(first: Found, second: Found) -> Iterator[str]:
    """Columns whose values differ, if the rows are as many."""
    if len(first) != len(second):
        return
    for number, column in enumerate(first.columns):
        if sorted(str(row[number]) for row in first.texts) != sorted(str(row[number]) for row in second.texts):
            yield column.name


def _checks_on_empty(kit: Kit, transform: Transform, _: Said) -> None:
    with kit.sandbox() as box:
        made = _run(_empty(kit, box, transform), transform)
        blocked = _blocked(made)
        if blocked and not made.count and all(each.check.metric.kind == "row_count" for each in blocked):
            raise Excused(f"it refuses to be empty, as it says: {_listed(blocked)}")
        _accept(transform, blocked, "checks_on_empty", "empty inputs")


def _checks_on_one_row(kit: Kit, transform: Transform, said: Said) -> None:
    with kit.sandbox() as box:
        blocked = _blocked(_run(_one_row(kit, box, transform, said), transform))
        _accept(transform, blocked, "checks_on_one_row", "inputs of one row")


def _blocked(made: Run) -> list[Result]:
    return [each for each in made.checks().results if each.status in (Status.FAIL, Status.ERROR)]


def _listed(results: list[Result]) -> str:
    return "; ".join(f"{each.check.name}: {each.reason}" for each in results)


def _accept(transform: Transform, blocked: list[Result], test: str, what: str) -> None:
    if not blocked:
        return
    place = next((each.check.source for each in blocked if each.check.source), None)
    values = " or give it better values there: one_row" if test == "checks_on_one_row" else ""
    said_there = (
        f'{transform.path.parent / "tests" / "structural.yaml"}: {transform.short_name}: {{skip: {{{test}: "…"}}}}'
    )
    raise Failure(
        f"{transform.path}: {transform.name}: with {what}, its checks do not pass: {_listed(blocked)}"
        + (f"\n    at {place}" if place else ""),
        hint=f"mend the SQL or the check; or say why not, in {said_there};{values}".rstrip(";"),
    )


def _empty(kit: Kit, box: Sandbox, transform: Transform) -> Subject:
    return Subject(kit, box, transform)


def _one_row(kit: Kit, box: Sandbox, transform: Transform, said: Said) -> Subject:
    subject = Subject(kit, box, transform)
    rows = {Table.parse(name): row for name, row in said.one_row.items()}
    for table in transform.reads:
        if table != transform.writes:
            subject.given(str(table), [rows.pop(table, {})])
    for table, row in rows.items():
        subject.given(str(table), [row])
    return subject


def _run(subject: Subject, transform: Transform) -> Run:
    try:
        return subject.run()
    except DataQualityError as error:
        if transform.kind == "load" and "there is no file" in error.message:
            raise Excused(f"{error.message.partition('there is')[1]}{error.message.partition('there is')[2]}: "
                          "test it with some, t.run(files=…)") from error  # fmt: skip
        raise


_TESTS: Mapping[str, Callable[[Kit, Transform, Said], None]] = MappingProxyType(
    {
        "renders": _renders,
        "inputs": _inputs,
        "columns": _columns,
        "idempotent": _idempotent,
        "checks_on_empty": _checks_on_empty,
        "checks_on_one_row": _checks_on_one_row,
    }
)
