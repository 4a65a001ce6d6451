"""Templates of transforms, rendered without Airflow: with stand-ins to be read, or for a date to be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.transforms.model import Transform

NAMES = frozenset({
    "backfill", "conn", "context", "dag", "dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash",
    "end_date", "expanded_ti_count", "inlet_events", "inlets", "logical_date", "macros", "map_index_template",
    "outlet_events", "outlets", "params", "partition_key", "prev_data_interval_end_success",
    "prev_data_interval_start_success", "prev_end_date_success", "prev_start_date_success", "run_id", "start_date",
    "task", "task_instance", "task_instance_key_str", "task_reschedule_count", "test_mode", "ti",
    "triggering_asset_events", "ts", "ts_nodash", "ts_nodash_with_tz", "var", "range", "dict", "lipsum", "cycler",
    "joiner", "namespace",
})  # fmt: skip
"""What a template may name: https://airflow.apache.org/docs/apache-airflow/stable/templates-ref.html."""
_DAY = "2013-01-01"
_MERE_NAME = re.compile(r"\{\{-?\s*([A-Za-z]\w*)\s*-?\}\}")


@dataclass(frozen=True)
class Rendered:
    """SQL without templates.

    :param unknown: names in it that nobody gives
    """

    sql: str
    unknown: tuple[str, ...] = ()


def stand_in(text: str, names: Iterable[str] = ()) -> Rendered:
    """The SQL as it may look: dates are dates, and what only a run knows is ``x``.

    :param names: further ones that the DAG gives to templates
    :raises SpecError: if it is no template

    >>> stand_in("SELECT * FROM t WHERE ds = '{{ ds }}' AND n < {{ params.most }}").sql
    "SELECT * FROM t WHERE ds = '2013-01-01' AND n < x"
    """
    simple, names_in = _plainly(text)
    if simple is not None:
        return Rendered(simple, tuple(sorted(names_in - NAMES - set(names))))
    from jinja2 import TemplateError, meta

    if included := re.search(r"\{%-?\s*(include|import|from|extends)\b", text):
        hint = "write it into the text itself: each is read, run and tested alone"
        raise SpecError(f"the template has `{included[1]}`, and no other file is looked for", hint=hint)
    try:
        found = meta.find_undeclared_variables(_environment().parse(text))
        sql = _environment().from_string(text).render(dated(_DAY))
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        raise SpecError(f"no template: {error}", hint=f"look at its {{{{ }}}} and {{% %}}{where}") from error
    return Rendered(sql, tuple(sorted(found - NAMES - set(names))))


def _plainly(text: str) -> tuple[str | None, set[str]]:
    """A text whose templates are mere names, as most are, without compiling it: that takes as long as parsing SQL."""
    values, found = dated(_DAY), set[str]()

    def value(match: re.Match[str]) -> str:
        found.add(match[1])
        return str(values.get(match[1], "x"))

    filled = _MERE_NAME.sub(value, text)
    return (None, found) if is_template(filled) else (filled, found)


def unknown_name(name: str) -> str:
    """The hint for a name that nobody gives."""
    near = did_you_mean(name, NAMES).partition("? ")
    return f"{near[0]}?" if near[1] else "see Airflow's templates reference; give what is yours as params.…"


def rendered(text: str, day: str | date, **more: Any) -> str:
    """A template for a day, with what a run of that day has, and what is given.

    :raises SpecError: if it is no template

    >>> rendered("ds = '{{ macros.ds_add(ds, -1) }}'", "2013-03-01")
    "ds = '2013-02-28'"
    """
    from jinja2 import TemplateError

    try:
        return str(_environment().from_string(text).render({**dated(str(day)), **more}))
    except TemplateError as error:
        raise SpecError(f"it cannot be rendered for {day}: {error}", hint="look at its {{ }} and {% %}") from error


def rendered_sql(transform: Transform, day: str | date, **more: Any) -> str:
    """The SQL of a transform for a day.

    :param more: what its template names beside what Airflow gives
    :raises SpecError: if it has none, or cannot be rendered
    """
    if transform.sql is None:
        raise SpecError(f"{transform.name} is a {transform.kind} without SQL", hint="look at its header")
    return rendered(transform.sql, day, **more)


def dated(day: str) -> dict[str, Any]:
    """What a template finds in a daily run: dates, and Airflow's macros of dates."""
    begin = datetime.combine(date.fromisoformat(day[:10]), time(), UTC)
    return {
        "ds": f"{begin:%Y-%m-%d}",
        "ds_nodash": f"{begin:%Y%m%d}",
        "ts": begin.isoformat(),
        "ts_nodash": begin.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": begin.strftime("%Y%m%dT%H%M%S+0000"),
        "logical_date": begin,
        "data_interval_start": begin,
        "data_interval_end": begin + timedelta(days=1),
        "start_date": f"{begin:%Y-%m-%d}",
        "end_date": f"{begin:%Y-%m-%d}",
        "backfill": False,
        "partition_key": None,
        "macros": _Macros(),
    }


class _Macros:
    """Airflow's macros of dates."""

    datetime = datetime
    timedelta = timedelta

    @staticmethod
    def ds_add(ds: str, days: int) -> str:
        return f"{date.fromisoformat(str(ds)) + timedelta(days=int(days)):%Y-%m-%d}"

    @staticmethod
    def ds_format(ds: str, given: str, wanted: str) -> str:
        return datetime.strptime(str(ds), given).strftime(wanted)  # noqa: DTZ007 - a day has no time zone


@cache
def _environment() -> Any:
    from jinja2 import Undefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import SandboxedEnvironment
    from jinja2.utils import missing

    class StandIn(Undefined):
        """What only a run knows: whatever is asked of it is one again."""

        unsafe_callable = alters_data = False  # as the sandbox asks

        def __init__(self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: Any = None) -> None:
            if exc is not None and issubclass(exc, SecurityError):
                raise exc(hint)  # what the sandbox keeps from templates, it keeps from them here, too
            super().__init__(hint, obj, name)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return self

        def __str__(self) -> str:
            return "x"

        def __iter__(self) -> Iterator[Any]:
            return iter(())

        def __bool__(self) -> bool:
            return True

        def __call__(self, *_: Any, **__: Any) -> Any:
            return self

        __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __mod__ = __call__

    environment = SandboxedEnvironment(undefined=StandIn, keep_trailing_newline=True)
    environment.filters |= _filters()
    return environment


def _filters() -> Mapping[str, Any]:
    """Airflow's filters of dates."""

    def formatted(pattern: str) -> Any:
        return lambda value: value.strftime(pattern) if isinstance(value, datetime) else str(value)

    return {
        "ds": formatted("%Y-%m-%d"),
        "ds_nodash": formatted("%Y%m%d"),
        "ts": lambda value: value.isoformat() if isinstance(value, datetime) else str(value),
        "ts_nodash": formatted("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": formatted("%Y%m%dT%H%M%S%z"),
    }


def is_template(text: str) -> bool:
    """Whether Jinja has something to do in a text."""
    return re.search(r"\{[{%#]", text) is not None
