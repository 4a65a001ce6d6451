"""The header of a transform: each key of it, validated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.model import Table
from airflow_dataquality.monitor import monitor as read_monitor
from airflow_dataquality.transforms.model import COMMON, KINDS, OPTIONS, Declared, Output
from airflow_dataquality.transforms.places import Misfit, Steps
from airflow_dataquality.transforms.schedules import schedule_of

SETTINGS = ("description", "owner", "schedule", "tags", "retries", "start_date", "catchup", "max_active_runs")
"""Keys of ``pipeline.yaml``."""
_OUTPUT = ("table", "partition", "indexes", "primary_key", "columns")
_COLUMN = ("description", "type")


def kind_of(data: Mapping[str, Any]) -> str:
    """The header's kind.

    :raises Misfit: if it has none, or an unknown one
    """
    kind = data.get("kind")
    if kind is None:
        raise Misfit("no `kind`", hint=f"write one: {', '.join(KINDS)}")
    if kind not in KINDS:
        raise Misfit(f"unknown kind {kind!r}", hint=did_you_mean(str(kind), KINDS, label="Kinds"), path=("kind",))
    return str(kind)


def options_of(data: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """The keys of a kind.

    :raises Misfit: for one that is unknown, or another kind's
    """
    known = OPTIONS[kind]
    for key in data:
        if key in COMMON or key in known:
            continue
        others = [other for other, names in OPTIONS.items() if key in names]
        if others:
            message = f"`{key}` is for {' and '.join(others)}, and this is a {kind}"
            raise Misfit(message, hint=f"leave it out; a {kind} has {', '.join(known)}", path=(key,))
        hint = did_you_mean(str(key), (*COMMON, *known), label="Keys")
        raise Misfit(f"unknown key {key!r}", hint=hint, path=(key,))
    return {key: plain(data[key]) for key in known if key in data}


def output_of(found: Any) -> Output:
    """The table that is made.

    :raises Misfit: naming the place in it
    """
    if isinstance(found, str):
        found = {"table": found}
    if not isinstance(found, Mapping):
        raise Misfit(f"output is {found!r}, no mapping", hint="write output: {table: schema.name}", path=("output",))
    for key in found:
        if key not in _OUTPUT:
            hint = did_you_mean(str(key), _OUTPUT, label="Keys of an output")
            raise Misfit(f"unknown key of an output {key!r}", hint=hint, path=("output", key))
    if "table" not in found:
        raise Misfit("output without `table`", hint="write output: {table: schema.name}", path=("output",))
    partition = _partition(found.get("partition"))
    return Output(
        table_of(found["table"], ("output", "table")),
        partition,
        tuple(_names(each, ("output", "indexes")) for each in _listed(found.get("indexes"), ("output", "indexes"))),
        _names(found.get("primary_key") or (), ("output", "primary_key")),
        _columns(found.get("columns")),
    )


def table_of(found: Any, path: Steps) -> str:
    """A table's name, which has a schema.

    :raises Misfit: if it is none
    """
    try:
        if not isinstance(found, str):
            raise SpecError(f"{found!r} is no table")  # noqa: TRY301 - told of as what Table.parse says
        parsed = Table.parse(found)
    except SpecError as error:
        raise Misfit(error.message, hint="write schema.table", path=path) from None
    if parsed.schema is None:
        raise Misfit(f"table {found!r} has no schema", hint=f"write its schema: analytics.{found}", path=path)
    return found


def _partition(found: Any) -> Mapping[str, Any]:
    path = ("output", "partition")
    if found is None:
        return {}
    if isinstance(found, Mapping):
        bad = next((key for key in found if not isinstance(key, str)), None)
        if bad is not None or not found:
            raise Misfit(f"partition has the column {bad!r}", hint='write {ds: "{{ ds }}"}', path=path)
        return MappingProxyType({key: plain(value) for key, value in found.items()})
    names = _names(found, path)
    if len(names) > 1:
        hint = "write {" + ", ".join(f'{name}: "…"' for name in names) + "}"
        raise Misfit("a partition of several columns does not say their values", hint=hint, path=path)
    return MappingProxyType({names[0]: "{{ ds }}"}) if names else {}


def _columns(found: Any) -> Mapping[str, Declared]:
    path: Steps = ("output", "columns")
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise Misfit("columns is no mapping", hint='write {cancelled: "flights without departure"}', path=path)
    return MappingProxyType({str(name): _column(str(name), value, (*path, name)) for name, value in found.items()})


def _column(name: str, found: Any, path: Steps) -> Declared:
    if found is None or isinstance(found, str):
        return Declared(name, found)
    if not isinstance(found, Mapping):
        raise Misfit(f"column {name} is {found!r}", hint="write a description, or {type: integer}", path=path)
    for key in found:
        if key not in _COLUMN:
            hint = did_you_mean(str(key), _COLUMN, label="Keys of a column")
            raise Misfit(f"unknown key of a column {key!r}", hint=hint, path=(*path, key))
    for key, value in found.items():
        if not isinstance(value, str) or not value.strip():
            raise Misfit(f"{key} of the column {name} is {value!r}, no text", hint="write a text", path=(*path, key))
    return Declared(name, found.get("description"), found.get("type"))


def inputs_of(found: Any) -> tuple[str, ...]:
    """The tables that are read.

    :raises Misfit: naming the one that is none, or is there twice
    """
    listed = [found] if isinstance(found, str) else _listed(found, ("inputs",))
    seen: dict[Table, int] = {}
    for number, each in enumerate(listed):
        table = Table.parse(table_of(each, ("inputs", number)))
        if table in seen:
            raise Misfit(f"input {each} is there twice", hint="leave one out", path=("inputs", number))
        seen[table] = number
    return tuple(listed)


def _listed(found: Any, path: Steps) -> Sequence[Any]:
    if found is None:
        return ()
    if isinstance(found, str) or not isinstance(found, Sequence):
        raise Misfit(f"{path[-1]} is {found!r}, no list", hint=f"write a list: [{found}]", path=path)
    return found


def _names(found: Any, path: Steps) -> tuple[str, ...]:
    listed = [found] if isinstance(found, str) else _listed(found, path)
    bad = [each for each in listed if not isinstance(each, str) or not each.strip()]
    if bad:
        raise Misfit(f"{path[-1]} holds {bad[0]!r}, no column", hint="write the columns' exact names", path=path)
    twice = sorted({each for each in listed if listed.count(each) > 1})
    if twice:
        raise Misfit(f"{path[-1]} names {twice[0]} twice", hint="name each column once", path=path)
    return tuple(listed)


def _text(key: str) -> Callable[[Any], str]:
    def read(found: Any) -> str:
        if not isinstance(found, str) or not found.strip():
            raise Misfit(f"{key} is {found!r}, no text", hint="write a text, or leave it out", path=(key,))
        return found.strip()

    return read


def _tags(found: Any) -> tuple[str, ...]:
    listed = [found] if isinstance(found, str) else _listed(found, ("tags",))
    for number, each in enumerate(listed):
        if not isinstance(each, str) or not each.strip() or "," in each:
            raise Misfit(f"tag {each!r} is no word", hint="write a list of words: [nightly]", path=("tags", number))
    return tuple(listed)


def _whole(key: str, least: int) -> Callable[[Any], int]:
    def read(found: Any) -> int:
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            raise Misfit(f"{key} is {found!r}", hint=f"write a whole number, from {least} on", path=(key,))
        return found

    return read


def _anomalies(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, Mapping):
        raise Misfit(f"anomalies is {found!r}, no mapping", hint="write {metrics: auto}", path=("anomalies",))
    return MappingProxyType(dict(plain(found)))


def _monitor(found: Any) -> Mapping[str, Any]:
    try:
        read_monitor(found, "")
    except SpecError as error:
        raise Misfit(error.message.removeprefix(": "), hint=str(error.hint), path=("monitor",)) from None
    return MappingProxyType(dict(found))


def _flag(key: str) -> Callable[[Any], bool]:
    def read(found: Any) -> bool:
        if not isinstance(found, bool):
            raise Misfit(f"{key} is {found!r}", hint="write true or false", path=(key,))
        return found

    return read


def _date(found: Any) -> str:
    try:
        return date.fromisoformat(str(plain(found))).isoformat()
    except ValueError:
        raise Misfit(f"start_date is {found!r}", hint="write a day: 2013-01-01", path=("start_date",)) from None


def plain(value: Any) -> Any:
    """What YAML made of a text that looks like a date, as that text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


READERS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "description": _text("description"),
        "owner": _text("owner"),
        "inputs": inputs_of,
        "output": output_of,
        "anomalies": _anomalies,
        "monitor": _monitor,
        "schedule": schedule_of,
        "tags": _tags,
        "retries": _whole("retries", 0),
        "start_date": _date,
        "catchup": _flag("catchup"),
        "enforce_inputs": _flag("enforce_inputs"),
        "max_active_runs": _whole("max_active_runs", 1),
        "checks": plain,
    }
)
"""How each key is read. None is as if it was not there."""
