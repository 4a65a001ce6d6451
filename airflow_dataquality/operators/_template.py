"""One SQL text for the daily run and for the backfill: rendered for a chunk, with the task's context and its dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.engine.timeline import moment, partition_after
from airflow_dataquality.errors import SpecError
from airflow_dataquality.operators import _common as common
from airflow_dataquality.spec import find_file

if TYPE_CHECKING:
    from airflow.providers.common.sql.operators.sql import BaseSQLOperator
    from jinja2 import Environment, Template

_ENDS = ({"start_date", "end_date"}, {"data_interval_start", "data_interval_end"})
"""Variables by which a text reads a whole chunk."""


@dataclass(frozen=True)
class SqlTemplate:
    """The text of a SELECT, with what Jinja has to do in it.

    :param text: as it was written
    :param name: its file's name, or ``sql``
    """

    text: str
    name: str
    _template: Template
    _variables: frozenset[str]

    @classmethod
    def of(cls, operator: BaseSQLOperator, sql: str, argument: str = "sql") -> SqlTemplate:
        """Read the text, or the ``.sql`` file with it.

        :raises SpecError: if it is no template
        """
        text = sql
        if sql.endswith(".sql"):
            text = find_file(sql, common.search_folders(operator), what="SQL file").read_text(encoding="utf-8")
        env: Environment = operator.get_template_env()
        name = sql if text is not sql else argument
        template, variables = compiled(env, text, name)
        return cls(text, name, template, variables)

    @property
    def reads_ranges(self) -> bool:
        """Whether the text reads all partitions of a chunk, and not one alone."""
        return any(ends <= self._variables for ends in _ENDS) or "*" in self._variables

    def render(self, context: Mapping[str, Any], first: str, last: str, grain: str, *, backfill: bool = True) -> str:
        """The SELECT for partitions from the first to the last.

        :raises SpecError: if a variable is missing, or what comes out is not one SELECT
        """
        from jinja2 import TemplateError

        try:
            rendered = self._template.render({**context, **dates(first, last, grain), "backfill": backfill})
        except TemplateError as error:
            raise SpecError(f"{self.name} cannot be rendered for {first}: {error}", hint="mend the template") from error
        return single_select(rendered)


def compiled(env: Environment, text: str, name: str) -> tuple[Template, frozenset[str]]:
    """The template, and the variables that it reads; ``*`` if another file may read more.

    :raises SpecError: if it is no template
    """
    from jinja2 import TemplateError, meta

    try:
        tree = env.parse(text)
        others = any(meta.find_referenced_templates(tree))
        return env.from_string(text), frozenset(meta.find_undeclared_variables(tree) | ({"*"} if others else set()))
    except TemplateError as error:
        raise SpecError(f"{name} is no template: {error}", hint="look at its {{ }} and {% %}") from error


def dates(first: str, last: str, grain: str) -> dict[str, Any]:
    """What a template may say of a chunk: the variables of a daily run, as that run would have them, and the ends.

    >>> dates("2013-02-01", "2013-02-07", "day")["end_date"]
    '2013-02-07'
    """
    import pendulum

    begin, end = (pendulum.instance(_time(value), tz="UTC") for value in (first, partition_after(last, grain)))
    return {
        "ds": f"{begin:%Y-%m-%d}",
        "ds_nodash": f"{begin:%Y%m%d}",
        "ts": begin.isoformat(),
        "ts_nodash": begin.strftime("%Y%m%dT%H%M%S"),
        "logical_date": begin,
        "data_interval_start": begin,
        "data_interval_end": end,
        "start_date": first,
        "end_date": last,
    }


def _time(value: str) -> Any:
    found = moment(value)
    assert found is not None
    return found
