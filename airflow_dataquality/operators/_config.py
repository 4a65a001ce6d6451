"""The arguments of an operator in a file: YAML or HOCON."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator
from airflow.providers.common.sql.operators.sql import BaseSQLOperator
from airflow.sdk.definitions._internal.contextmanager import DagContext

from airflow_dataquality.errors import DataQualityError, SpecError
from airflow_dataquality.grammar import only
from airflow_dataquality.measures.grammar import measures_from
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._metrics import Emitting
from airflow_dataquality.spec import find_file, load_yaml

HOCON = (".conf", ".hocon")
SUFFIXES = (".yaml", ".yml", ".json", *HOCON)
_Operator = TypeVar("_Operator", bound=BaseSQLOperator)
_ELSEWHERE = ("self", "kwargs", "dag", "task_group", "default_args")
"""Parameters that a file cannot give."""


def made(kind: type[_Operator], path: str | os.PathLike[str], given: Mapping[str, Any]) -> _Operator:
    """An operator of a file's arguments.

    :param given: arguments that take the place of the file's
    :raises SpecError: naming the file, and the path inside it
    """
    dag = given.get("dag") or DagContext.get_current()
    stem, found = read(kind, path, common.folders_of(dag))
    arguments = {"task_id": stem, **found, **given}
    lacking = _required(kind) - arguments.keys() - (dag.default_args or {} if dag else {}).keys()
    if lacking:
        raise SpecError(f"{os.fspath(path)}: no {', '.join(sorted(lacking))}", hint="add what is missing")
    try:
        return kind(**arguments)
    except SpecError as error:
        raise SpecError(f"{os.fspath(path)}: {error.message}", hint=error.hint) from error


def read(kind: type[_Operator], path: str | os.PathLike[str], folders: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The file's name without its ending, and the operator's arguments in it.

    Keys that begin with ``_`` are the file's own: for anchors and substitutions.

    :raises SpecError: naming the file, and the path inside it
    """
    name = os.fspath(path)
    if not name.endswith(SUFFIXES):
        raise SpecError(f"{name!r} is no configuration file", hint=f"its name should end in {', '.join(SUFFIXES)}")
    file = find_file(name, folders, what="configuration")
    found = _hocon(file, name) if name.endswith(HOCON) else load_yaml(file)
    if not isinstance(found, Mapping):
        raise SpecError(f"{name}: no arguments at the top", hint="write one to a line: `summary: analytics.aircraft`")
    arguments = {key: _plain(value, f"{name}: {key}") for key, value in found.items() if not str(key).startswith("_")}
    only(arguments, _arguments_of(kind), name, "argument")
    if "measures" in arguments:
        arguments["measures"] = measures_from(arguments["measures"], f"{name}: measures")
    return file.stem, arguments


def _required(kind: type[_Operator]) -> set[str]:
    found = inspect.signature(kind).parameters.values()
    return {p.name for p in found if p.kind is p.KEYWORD_ONLY and p.default is p.empty}


def _arguments_of(kind: type[_Operator]) -> list[str]:
    known = (kind, Emitting, BaseSQLOperator, BaseOperator)
    names = (name for each in known for name in inspect.signature(each).parameters)
    return [name for name in names if name not in _ELSEWHERE]


def _plain(value: Any, where: str) -> Any:
    """Dates as the texts that they were written as, and HOCON's durations as timedeltas."""
    if isinstance(value, Mapping):
        return {key: _plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, f"{where}[{number}]") for number, each in enumerate(value)]
    if isinstance(value, date):
        return value.isoformat()
    if type(value).__name__ != "relativedelta":
        return value
    if value.years or value.months:
        raise SpecError(f"{where}: months and years differ in length", hint="write days: 30 days")
    return timedelta(days=value.days, hours=value.hours, minutes=value.minutes, seconds=value.seconds,
                     microseconds=value.microseconds)  # fmt: skip


def _hocon(file: Path, name: str) -> Any:
    """The content of a file of HOCON.

    :raises SpecError: naming the file, and the line where the parser tells
    :raises DataQualityError: if the library is not installed
    """
    try:
        from pyhocon import ConfigFactory, ConfigTree
        from pyhocon.exceptions import ConfigException
        from pyparsing import ParseBaseException
    except ImportError:
        raise DataQualityError(
            f"{name} is HOCON, whose parser is not installed",
            hint="pip install 'airflow-provider-dataquality[hocon]'",
        ) from None
    try:
        found = ConfigFactory.parse_file(str(file))
    except ParseBaseException as error:  # its text is the grammar
        raise SpecError(f"{name} is not valid HOCON, in line {error.lineno}: {error.line.strip()!r}",
                        hint="put texts with other signs than letters and digits into quotes") from error  # fmt: skip
    except (ConfigException, OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{name} is not valid HOCON: {error}", hint="mend the file") from error
    return found.as_plain_ordered_dict() if isinstance(found, ConfigTree) else found
