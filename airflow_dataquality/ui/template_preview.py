"""The SQL of a chunk, as far as it can be shown without running what a DAG's author wrote.

Airflow runs nothing of a DAG in its API server. So a text is rendered here only if it does nothing but insert a chunk's
dates and choose by them; of another one the text itself is shown.
"""

from __future__ import annotations

from jinja2 import TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from airflow_dataquality.operators._template import dates
from airflow_dataquality.plans.backfill import Chunk

_PLAIN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.If, nodes.CondExpr, nodes.Const, nodes.Compare,
    nodes.Operand, nodes.Not, nodes.And, nodes.Or,
)  # fmt: skip
"""What takes no longer than the text is long: no loops, no calls, no attributes, no arithmetic."""
MOST = 100_000
"""Characters that are shown."""


def sql_of(text: str, chunk: Chunk, grain: str) -> tuple[str, bool]:
    """The SQL of a chunk, and whether that is it; else it is the text with its templates."""
    environment = ImmutableSandboxedEnvironment(autoescape=False)  # of SQL, which the page escapes
    known = {**dates(chunk.first, chunk.last, grain), "backfill": True}
    try:
        tree = environment.parse(text)
        plain = all(isinstance(node, _PLAIN) for node in tree.find_all(nodes.Node))
        if not plain or not {name.name for name in tree.find_all(nodes.Name)} <= known.keys():
            return text[:MOST], False
        return environment.from_string(text).render(known)[:MOST], True
    except (TemplateError, ValueError, TypeError, RecursionError):
        return text[:MOST], False
