"""Transforms that are functions of Python: what they are given, and what they may return."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_dataquality.engine.session import ExchangeSession
from airflow_dataquality.errors import SpecError, TableError, did_you_mean
from airflow_dataquality.model import Partition, Table


@dataclass(frozen=True)
class Input:
    """A table that a function reads.

    :param name: as the header writes it
    :param partition: column → value, of the run; empty for a table that is read as a whole
    """

    name: str
    partition: Mapping[str, Any]
    _session: ExchangeSession = field(repr=False, compare=False)

    @classmethod
    def of(cls, session: ExchangeSession, name: str, partition: Mapping[str, Any]) -> Input:
        """The table, read over a session."""
        return cls(name, partition, session)

    def rows(self, *, whole: bool = False) -> list[dict[str, Any]]:
        """The rows of the run's partition, as column → value.

        :param whole: of the whole table
        :raises TableError: if there is no such table
        """
        table = Table.parse(self.name)
        columns = [column.name for column in self._session.columns(table)]
        if not columns:
            raise TableError(f"there is no table {table}", hint="have what makes it run before")
        sql = self._session.dialect
        part = Partition.of(table, {} if whole else self.partition)
        found = self._session.query(sql.select(columns, table, sql.rows_of(part)))
        return [dict(zip(columns, row, strict=True)) for row in found]

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a SELECT of your own, in the database's SQL. Have it read nothing but inputs."""
        names, rows = self._session.fetch(sql, 2**31 - 1)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Target:
    """The table that a function makes.

    :param partition: column → value, of the run; rows that lack these columns get them
    """

    name: str
    partition: Mapping[str, Any]

    def __str__(self) -> str:
        return self.name


def found(function: str) -> Callable[..., Any]:
    """The function: ``package.module.name``, or ``path/of/a/file.py:name``.

    :raises SpecError: if there is none
    """
    file, colon, name = function.rpartition(":")
    if colon:
        known_as = f"_transform_{hashlib.blake2b(file.encode(), digest_size=8).hexdigest()}_{Path(file).stem}"
        spec = importlib.util.spec_from_file_location(known_as, file)
        if spec is None or spec.loader is None or not Path(file).is_file():
            raise SpecError(f"there is no file {file}", hint="look at `function`")
        module = importlib.util.module_from_spec(spec)
        sys.modules[known_as] = module  # dataclasses and pickle look a class's module up
        spec.loader.exec_module(module)
    else:
        path, _, name = function.rpartition(".")
        try:
            module = importlib.import_module(path)
        except ImportError as error:
            raise SpecError(f"function {function}: {error}", hint="write package.module.name") from error
    made: Any = getattr(module, name, None)
    if not callable(made):
        known = [each for each, value in vars(module).items() if callable(value) and each[0] != "_"]
        raise SpecError(f"there is no function {name!r} in {file or function.rpartition('.')[0]}",
                        hint=did_you_mean(name, known, label="Functions"))  # fmt: skip
    return made  # type: ignore[no-any-return]


def called(
    function: Callable[..., Any], inputs: Mapping[str, Input], output: Target, context: Mapping[str, Any]
) -> Iterable[Mapping[str, Any]]:
    """What a function returns: rows, each with the partition's columns.

    :raises SpecError: if it asks for what nobody gives
    :raises TableError: if it returns no rows
    """
    given = {**context, "inputs": inputs, "output": output}
    wanted = inspect.signature(function).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    unknown = [p.name for p in wanted if p.kind in kinds and p.default is p.empty and p.name not in given]
    if unknown:
        hint = f"it may have inputs, output, and names of the task's context; {did_you_mean(unknown[0], given)}"
        raise SpecError(f"the function asks for {unknown[0]!r}, which nobody gives", hint=hint)
    rows = function(**{p.name: given[p.name] for p in wanted if p.kind in kinds and p.name in given})
    if rows is None or isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
        raise TableError(
            f"the function returned {type(rows).__name__}, no rows",
            hint="return, or yield, mappings of column to value: they are checked before anybody sees them",
        )
    return _keyed(rows, output.partition)


def _keyed(rows: Iterable[Any], key: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise TableError(f"row {number} of the function is a {type(row).__name__}", hint="yield mappings")
        yield {**key, **row}
