"""A transform in a test: what it is given, and what it makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow_dataquality.dialects import sandbox as sql_of
from airflow_dataquality.dialects.sandbox import Typed
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.model import Table
from airflow_dataquality.results import Summary
from airflow_dataquality.testing import kinds
from airflow_dataquality.testing.found import Found
from airflow_dataquality.testing.judging import judged
from airflow_dataquality.testing.parts import Parts
from airflow_dataquality.testing.rows import Rows, as_text
from airflow_dataquality.testing.sandbox import Sandbox
from airflow_dataquality.testing.work import Work, failed
from airflow_dataquality.transforms.model import SELECTS, Transform
from airflow_dataquality.transforms.rendering import is_template, rendered

if TYPE_CHECKING:
    from airflow_dataquality.testing.kit import Kit


class Run:
    """What a run made.

    :param sql: as it was rendered; empty for a transform without SQL
    """

    def __init__(self, subject: Subject, sql: str, found: Found | None) -> None:
        self.sql = sql
        self._subject, self._found = subject, found

    @property
    def rows(self) -> Found:
        """The rows that it made, of a partition if the output has such: a sequence of mappings, and equal to ``rows``.

        :raises SpecError: if it makes no table
        """
        if self._found is None:
            raise SpecError(f"{self._subject.transform} has no output", hint="declare the table that it writes: output")
        return self._found

    @property
    def count(self) -> int:
        """How many they are."""
        return len(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """Their columns, in order."""
        return tuple(column.name for column in self.rows.columns)

    @property
    def types(self) -> dict[str, str]:
        """The columns' types, as Postgres writes them."""
        return {column.name: column.type for column in self.rows.columns}

    def checks(self) -> Summary:
        """What the transform's checks say of the table as it is now; a baseline, which has no past here, is skipped."""
        return self._subject.checks()


@dataclass(frozen=True)
class Part:
    """A CTE or a subquery, which can run alone.

    :param kind: ``cte`` or ``subquery``
    """

    subject: Subject
    kind: str
    name: str | int

    def run(self, *, ds: str | date | None = None, **more: Any) -> Run:
        """Run it on the rows that the transform is given.

        :param ds: the day, as for :meth:`Subject.run`
        :raises DataQualityError: if there is no such part, or the database refuses it
        """
        return self.subject._run_part(self, ds, more)  # noqa: SLF001 - the two are one


class Subject:
    """One transform, and the rows that its inputs hold. Each method that takes rows returns it, to be chained."""

    def __init__(self, kit: Kit, sandbox: Sandbox, transform: Transform) -> None:
        self.kit, self.sandbox, self.transform = kit, sandbox, transform
        self._day = kit.day
        self._dated: dict[Table, dict[str, Any]] = {}

    def __repr__(self) -> str:
        return f"transform({self.transform.name!r})"

    def given(self, table: str, rows: Any) -> Subject:
        """Have an input, or the output as it was before, hold these rows alone.

        Columns that they do not name get a value of their type: 0, an empty text, 1970-01-01; those by which a table is
        partitioned get the day of the run.

        :param rows: of the fixture ``rows``, or mappings of column to value
        :raises SpecError: for a table or a column that is not there, or a value that is not of its type
        """
        of = self._table(table)
        given = Rows.of(rows)
        columns = self.kit.shapes.of(of)
        known = {column.name: column for column in columns}
        for name in given.columns:
            if name not in known:
                hint = did_you_mean(name, known, label="Columns")
                raise SpecError(f"{of} has no column {name!r}", hint=hint)
        self.sandbox.create(of, columns)
        omitted = [column for column in columns if column.name not in given.columns]
        texts = [[*(_text(known[name], cell) for name, cell in zip(given.columns, row, strict=True)),
                  *(column.default for column in omitted)] for row in given.cells]  # fmt: skip
        names = [*given.columns, *(column.name for column in omitted)]
        self.sandbox.fill(of, names, texts, what=str(of))
        self._dated[of] = {name: value for name, value in self._partition(of).items() if name not in given.columns}
        return self

    def run(self, *, ds: str | date | None = None, **more: Any) -> Run:
        """Run it on what it is given; inputs that nobody gave are empty.

        :param ds: the day of the run: ``2013-01-01``; by default that of the run before, or 2013-01-01
        :param more: further names for templates: ``params={"most": 3}``; for a ``load`` also ``files=``
        :raises DataQualityError: if it fails, naming the file and the line
        """
        work = self._prepared(ds, more)
        inside = kinds.run(work)
        sql = work.sql if self.transform.sql is not None else ""
        if self.transform.output is None:
            return Run(self, sql, None)
        columns = self.sandbox.tables[work.target]
        texts = self.sandbox.texts(work.target, inside)
        return Run(self, sql, Found(self.sandbox, str(self.transform), columns, texts))

    def cte(self, name: str) -> Part:
        """One CTE alone, with those before it: ``t.cte("delays").run().count``."""
        return Part(self, "cte", name)

    def subquery(self, name: str | int) -> Part:
        """One subquery alone, by its alias, or by its number: the first is 0."""
        return Part(self, "subquery", name)

    def checks(self) -> Summary:
        """What the checks say of the output as it is now.

        :raises SpecError: if it has none, or did not run
        """
        return judged(self.sandbox, self.transform, self._day)

    def _run_part(self, part: Part, ds: str | date | None, more: Mapping[str, Any]) -> Run:
        if self.transform.sql is None or self.transform.kind not in SELECTS:
            hint = f"it is of kind {self.transform.kind}: run all of it"
            raise SpecError(f"{self.transform} is no SELECT, and has no parts", hint=hint)
        work = self._prepared(ds, more)
        try:
            sql = Parts(work.sql).cte(str(part.name)) if part.kind == "cte" else Parts(work.sql).subquery(part.name)
        except SpecError as error:
            raise SpecError(f"{work.place()}: {self.transform}: {error.message}", hint=error.hint) from error
        table, box = Table("dq_part"), self.sandbox
        moved = box.moved(sql, self.transform.reads)
        try:
            columns = box.create_as(table, moved)
        except Exception as error:
            raise failed(work, error, sql_of.create_as(box.sql, box.own(table), moved)) from error
        what = f"{self.transform}, {part.kind} {part.name},"
        return Run(self, sql, Found(box, what, columns, box.texts(table)))

    def _prepared(self, ds: str | date | None, more: Mapping[str, Any]) -> Work:
        """Have all inputs there, for that day."""
        self._day = _day(ds) if ds is not None else self._day
        for table in self.transform.reads:
            if table != self.transform.writes or self.transform.kind != "sql":
                self.sandbox.create(table, self.kit.shapes.of(table))
        for table, values in self._dated.items():
            dated = [(name, rendered(value, self._day, **more)) for name, value in values.items()]
            if dated:
                own = self.sandbox.own(table)
                self.sandbox.session.execute(sql_of.assign(self.sandbox.sql, own, dated))
        return Work(self.kit, self.sandbox, self.transform, self._day, more)

    def _partition(self, table: Table) -> dict[str, Any]:
        """The columns of a table's partition whose values follow from the day."""
        return {name: value for name, value in self.kit.project.partition(table).items() if is_template(value)}

    def _table(self, name: str) -> Table:
        known = [*self.transform.reads, *([self.transform.writes] if self.transform.writes is not None else [])]
        found = Table.parse(name)
        if found in known:
            return found
        hint = did_you_mean(str(found), map(str, known), label="Its inputs, and its output")
        raise SpecError(f"{self.transform} does not read {found} ({self.transform.path})", hint=hint)


def _text(column: Typed, cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else as_text(cell, array=column.is_array)


def _day(ds: str | date) -> str:
    try:
        return date.fromisoformat(str(ds)[:10]).isoformat()
    except ValueError:
        raise SpecError(f"ds is {ds!r}, no day", hint='write ds="2013-01-01"') from None
