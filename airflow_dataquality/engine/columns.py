"""What the SELECT supplies, held against what the table wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_dataquality.engine.new_table import NewTable
from airflow_dataquality.engine.said import said
from airflow_dataquality.engine.session import ExchangeSession, Session
from airflow_dataquality.engine.source import Select, Source
from airflow_dataquality.engine.target import Target
from airflow_dataquality.errors import PartitionError, SchemaDrift, TableError, did_you_mean
from airflow_dataquality.model import Column, Range, Scalar, Table
from airflow_dataquality.plans.features import Features
from airflow_dataquality.plans.names import beside, sorting_index


@dataclass(frozen=True)
class Shape:
    """The columns of a stage.

    :param supplied: those of the SELECT, in its order
    :param appended: those that the table does not have yet → type
    :param table: the table that the stage is for
    :param features: of the table; None if it does not exist
    :param select: what the table will look like that does not exist
    :param new: what tells its types, if there is no SELECT
    """

    table: Table
    supplied: Sequence[str]
    appended: dict[str, str]
    features: Features | None
    select: str = ""
    new: NewTable | None = None

    def statements(self, sql: Any, stage: Table, *, sorted_by: str | None = None) -> list[str]:
        """What makes the empty stage.

        :param sorted_by: the column by which rows of a new table are looked for
        """
        index = sorting_index(stage, sql.max_name_bytes)
        if self.features is None and self.new is not None:
            return self.new.creation(sql, stage, self.supplied)
        if self.features is None:
            if sorted_by:
                return list(sql.create_sorted_as(stage, self.select, sorted_by, index))
            return [sql.create_stage_as(stage, self.select)]
        statements: list[str] = sql.create_stage(
            stage, self.table, self.features.columns, supplied=self.supplied, appended=self.appended,
            relation=self.features.relation, defaults=self._defaults(sql),
        )  # fmt: skip
        return [*statements, *(sql.sort_by(stage, sorted_by, index) if sorted_by else ())]

    def _defaults(self, sql: Any) -> dict[str, str]:
        """Identities that the SELECT leaves to the database continue the table's own sequence."""
        assert self.features is not None
        return {
            detail["column"]: sql.next_value(name)
            for name, detail in self.features.of("sequence").items()
            if detail["identity"] and detail["column"] not in self.supplied
        }


def shape_of(session: ExchangeSession, target: Target, load: Any) -> Shape:
    """Describe the SELECT, without running it, and compare its columns with the table's.

    :raises TableError: if the SELECT is not one, or names a column twice or not at all
    :raises SchemaDrift: if its columns are not the table's
    :raises PartitionError: if it lacks a column of the partition
    """
    held = session.columns(target.table) if target.features is not None else load.new.columns
    names = load.source.names(session, held)
    missing_keys = [column for column in load.key if column not in names]
    if missing_keys:
        raise PartitionError(
            f"what is loaded into {target.table} has no partition column {', '.join(map(repr, missing_keys))}",
            hint=f"supply it, too; {did_you_mean(missing_keys[0], names, label='its columns')}",
        )
    if target.features is None:
        if load.new.types and not isinstance(load.source, Select):
            return Shape(target.table, names, {}, None, new=load.new)
        return Shape(target.table, names, {}, None, _select(load.source, target, "the table does not exist"))
    extra = _drift(target, names, append=load.append_columns)
    types = (
        _types(session, target, _select(load.source, target, f"it lacks {', '.join(extra)}"), extra) if extra else {}
    )
    return Shape(target.table, names, types, target.features)


def _select(source: Source, target: Target, missing: str) -> str:
    """The SELECT, whose result has types; values of Python and files do not say theirs.

    :raises TableError: if there is none
    """
    if isinstance(source, Select):
        return source.sql
    raise TableError(
        f"{target.table}: {missing}, and {source} does not tell of which type", hint="create it first, with SQL"
    )


def _drift(target: Target, names: Sequence[str], *, append: bool) -> list[str]:
    """The SELECT's columns that the table lacks, if it may have them.

    :raises SchemaDrift: naming every column that does not fit
    """
    assert target.features is not None
    columns = target.features.columns
    optional = {name for name, c in columns.items() if c["generated"] or c["identity"]}
    missing = [name for name in columns if name not in names and name not in optional]
    computed = [name for name in names if name in columns and columns[name]["generated"]]
    extra = [name for name in names if name not in columns]
    problems = [f"missing from the SELECT: {', '.join(missing)}"] if missing else []
    if extra and not append:
        problems.append(f"not in the table: {', '.join(extra)}")
    if computed:
        problems.append(f"computed by the table, so not to be selected: {', '.join(computed)}")
    if problems:
        near = did_you_mean(extra[0], missing, label="missing") + "; " if extra and missing else ""
        raise SchemaDrift(
            f"the SELECT does not fit {target.table}: {'; '.join(problems)}",
            hint=f'{near}change the SELECT or the table; on_schema_change="append_columns" adds new columns to it',
        )
    return extra


def _types(session: ExchangeSession, target: Target, select: str, extra: Sequence[str]) -> dict[str, str]:
    types = {column.name: column.type for column in probe(session, target.table, select)}
    return {name: types[name] for name in extra}


def probe(session: ExchangeSession, table: Table, select: str) -> tuple[Column, ...]:
    """The columns that a SELECT would give a table, made and rolled back.

    :param table: the one beside which it is made
    """
    made = beside(table, "probe", "probe", session.dialect.max_name_bytes)
    session.execute(session.dialect.begin)
    try:
        session.execute(session.dialect.create_stage_as(made, select))
        return session.columns(made)
    finally:
        session.execute("ROLLBACK")


def canonical_key(
    session: Session, key: Mapping[str, Scalar | Range], columns: Sequence[Column]
) -> dict[str, Scalar | Range]:
    """The partition's values as their columns' types print them: one spelling for one partition.

    :raises PartitionError: if a value is not of its column's type
    """
    types = {column.name: column.type for column in columns}

    def canonical(column: str, value: Scalar | Range) -> Scalar | Range:
        if isinstance(value, Range):
            first, last = (canonical_value(session, column, end, types[column]) for end in (value.first, value.last))
            return replace(value, first=first, last=last)
        return canonical_value(session, column, value, types[column])

    return {column: canonical(column, value) for column, value in key.items()}


def canonical_values(session: Session, column: str, values: Sequence[Scalar], type_name: str) -> list[Any]:
    """Many values as their column's type prints them.

    :raises PartitionError: if one is not of that type
    """
    questions = [session.dialect.canonical(value, type_name) for value in values]
    size = session.dialect.max_select_items
    found: list[Any] = []
    for start in range(0, len(values), size):
        asked = [question for question in questions[start : start + size] if question]
        if len(asked) < len(values[start : start + size]):
            return list(values)
        try:
            found.extend(session.query(session.dialect.answers(asked))[0])
        except Exception:  # noqa: BLE001 - asked one by one, the one that does not fit is named
            return [canonical_value(session, column, value, type_name) for value in values]
    return found


def canonical_value(session: Session, column: str, value: Scalar, type_name: str) -> Scalar:
    """A value as its column's type prints it.

    :raises PartitionError: if it is not of that type
    """
    question = None if value is None else session.dialect.canonical(value, type_name)
    if question is None:
        return value
    try:
        found: Scalar = session.query(question)[0][0]
    except Exception as error:
        raise PartitionError(
            f"partition value {value!r} does not fit column {column!r} ({type_name}): {said(error)}",
            hint="in a manual run `ds` may be missing: use {{ ds or dag_run.run_after | ds }}",
        ) from error
    return found
