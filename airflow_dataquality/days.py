"""The templates of tests that people saved: dates and numbers, and nothing else of Jinja2 or of Airflow.

Anyone who may save a test writes them, and they are rendered where secrets are at hand. So a template is no program:
every node of its syntax tree is on a list, and the sandbox that renders it knows only the words of a day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_dataquality.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from jinja2 import Environment, Template
    from jinja2.nodes import Node

WORDS = ("ds", "ds_nodash", "start", "end", "params")
"""What a template may name."""
HINT = "a template holds {{ ds }}, {{ ds_nodash }}, {{ start }}, {{ end }} and {{ params.name }}"
_PLAIN = re.compile(r"[\w:.+ -]{1,40}")


@dataclass(frozen=True)
class Day:
    """The day that a test is about.

    :param ds: as ``2013-02-08``, or how the run's partition is called
    :raises SpecError: if it is no plain text, which stands in SQL
    """

    ds: str

    def __post_init__(self) -> None:
        if not _PLAIN.fullmatch(self.ds) or "--" in self.ds:
            raise SpecError(f"{self.ds!r} is no day", hint="a day is written 2013-02-08")

    @property
    def words(self) -> dict[str, str]:
        """What templates name: ``end`` is the day after, which is no part of the day.

        >>> Day("2013-02-08").words
        {'ds': '2013-02-08', 'ds_nodash': '20130208', 'start': '2013-02-08', 'end': '2013-02-09'}
        """
        try:
            end = str(date.fromisoformat(self.ds[:10]) + timedelta(days=1))
        except (ValueError, OverflowError):
            end = self.ds
        return {"ds": self.ds, "ds_nodash": self.ds.replace("-", ""), "start": self.ds, "end": end}


def check_template(text: Any, place: str, params: Mapping[str, Any]) -> None:
    """Refuse a template of anything but days and numbers.

    :param place: what to call it in an error
    :param params: the numbers that it may name
    :raises SpecError: saying what it may hold
    """
    if not isinstance(text, str):
        raise SpecError(f"{place} is {text!r}, not a text", hint=HINT)
    for name in _named(text, place):
        if name not in params:
            raise SpecError(f"{place}: no parameter {name!r}", hint=did_you_mean(name, params, label="Parameters"))


def render(text: str, day: Day, params: Mapping[str, Any], place: str) -> str:
    """The text with the day in it.

    :raises SpecError: if it is no template of days and numbers

    >>> render("SELECT * FROM t WHERE ds = '{{ ds }}' LIMIT {{ params.n }}", Day("2013-02-08"), {"n": 3}, "sql")
    "SELECT * FROM t WHERE ds = '2013-02-08' LIMIT 3"
    """
    check_template(text, place, params)
    return _compiled(text).render(**day.words, params=dict(params))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    for builtins in (made.globals, made.filters, made.tests):
        builtins.clear()
    return made


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Template:
    return _environment().from_string(text)


@lru_cache(maxsize=4096)
def _named(text: str, place: str) -> tuple[str, ...]:
    """The parameters that a template names.

    :raises SpecError: if it holds anything else than :data:`WORDS`
    """
    from jinja2 import TemplateSyntaxError

    try:
        tree = _environment().parse(text)
    except (TemplateSyntaxError, RecursionError) as error:
        raise SpecError(f"{place}: not a template: {str(error)[:200]}", hint=HINT) from None
    return tuple(_of(node, place) for output in tree.body for node in _pieces(output, place) if node is not None)


def _pieces(output: Node, place: str) -> list[Any]:
    """What an output prints, without the text and the words that need no more to be known of."""
    from jinja2 import nodes

    if not isinstance(output, nodes.Output):
        raise SpecError(f"{place}: {type(output).__name__.lower()!r} is not part of these templates", hint=HINT)
    return [
        None if isinstance(node, nodes.TemplateData) or _is_word(node) else node for node in output.nodes
    ]  # fmt: skip


def _is_word(node: Any) -> bool:
    from jinja2 import nodes

    return isinstance(node, nodes.Name) and node.ctx == "load" and node.name in WORDS and node.name != "params"


def _of(node: Any, place: str) -> str:
    """The parameter that a node names."""
    from jinja2 import nodes

    if isinstance(node, nodes.Getattr) and isinstance(node.node, nodes.Name) and node.node.name == "params":
        return str(node.attr)
    name = repr(node.name) if isinstance(node, nodes.Name) else f"{type(node).__name__.lower()!r}"
    raise SpecError(f"{place}: {name} is not part of these templates", hint=HINT)
