"""The columns, with their types, of the tables that transforms read and write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow_dataquality.dialects.sandbox import Typed
from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.model import Table
from airflow_dataquality.testing import kinds
from airflow_dataquality.testing.work import Work
from airflow_dataquality.transforms.model import SELECTS, Output, Transform
from airflow_dataquality.transforms.places import Misfit, in_yaml

if TYPE_CHECKING:
    from airflow_dataquality.testing.kit import Kit

Shape = tuple[Typed, ...]


class Shapes:
    """Finds each table's columns once.

    Those that its header declares with their types; those that its transform makes of empty tables; or those that a
    database has.
    """

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._known: dict[Table, Shape] = {}
        self._asked: list[Table] = []

    def of(self, table: Table) -> Shape:
        """The columns of a table.

        :raises DataQualityError: if they cannot be told, naming the header and what to write there
        """
        if table not in self._known:
            if table in self._asked:
                circle = " → ".join(map(str, (*self._asked, table)))
                raise SpecError(f"the columns of {table} follow from themselves: {circle}", hint="declare their types")
            self._asked.append(table)
            try:
                self._known[table] = self._found(table)
            finally:
                self._asked.pop()
        return self._known[table]

    def _found(self, table: Table) -> Shape:
        made = self._kit.project.producer(table)
        if made is None:
            found = self._reflected(table)
            if found is None:
                hint = (
                    f"model it: kind: no_op, output: {{table: {table}, columns: {{…: {{type: …}}}}}}{self._elsewhere()}"
                )
                raise SpecError(f"nobody tells the columns of {table}: it is no transform's output", hint=hint)
            return found
        assert made.output is not None
        if made.output.types and made.kind not in SELECTS:
            return self._declared(made, table, made.output.types)
        if made.kind in kinds.RUNS_SQL:
            return self._made(made, table)
        return self._reflected(table) or self._untold(made, made.output)

    def _declared(self, made: Transform, table: Table, types: Mapping[str, str]) -> Shape:
        try:
            with self._kit.scratch() as box:
                return box.create_typed(table, types)
        except Exception as error:
            bad = next((name for name, of in types.items() if not self._is_type(of)), None)
            what = f"the type {types[bad]!r} of {bad} is none" if bad else "its columns are no table"
            misfit = Misfit(
                f"{what}: {said(error)}", hint="write it as Postgres does: integer, text, numeric(10,2), text[]",
                path=("output", "columns", *((bad,) if bad else ())),
            )  # fmt: skip
            raise _located(made, misfit) from error

    def _is_type(self, name: str) -> bool:
        try:
            with self._kit.scratch() as box:
                box.create_typed(Table("probe"), {"probe": name})
        except Exception:  # noqa: BLE001 - whatever the driver raises, it is none
            return False
        return True

    def _made(self, made: Transform, table: Table) -> Shape:
        """What its SQL makes of empty tables."""
        try:
            inputs = {each: self.of(each) for each in made.reads if each != table}
            with self._kit.scratch() as box:
                for each, columns in inputs.items():
                    box.create(each, columns)
                kinds.run(Work(self._kit, box, made, self._kit.day))
                return box.look(table)
        except DataQualityError as error:
            found = self._reflected(table)
            if found is not None:
                return found
            raise type(error)(f"the columns of {table} cannot be told: {error.message}", hint=error.hint) from error

    def _reflected(self, table: Table) -> Shape | None:
        session = self._kit.reflected
        if session is None:
            return None
        columns = session.columns(table)
        if not columns:
            return None
        with self._kit.scratch() as box:
            return box.create_typed(table, {column.name: column.type for column in columns})

    def _untold(self, made: Transform, output: Output) -> Shape:
        lacking = [name for name, column in output.columns.items() if not column.type]
        what = f"no type of {', '.join(lacking)}" if lacking else "no columns"
        first = lacking[0] if lacking else "id"
        path: tuple[str, ...] = ("output", "columns", first) if lacking else ("output",)
        hint = f"write columns: {{{first}: {{type: integer}}, …}}{self._elsewhere()}"
        raise _located(made, Misfit(f"nobody tells what {output.table} looks like: {what}", hint=hint, path=path))

    def _elsewhere(self) -> str:
        if self._kit.reflected is not None:
            return "; the database that is looked at has no such table"
        return "; or have the warehouse looked at: pytest --dq-reflect=warehouse"


def _located(made: Transform, misfit: Misfit) -> SpecError:
    """The mistake, with its file and line."""
    found = in_yaml(made.path, made.path.read_text(encoding="utf-8"), made.name, misfit, ())
    return SpecError(f"{found.file}:{found.line}: {made.name}: {found.message}", hint=found.hint)
