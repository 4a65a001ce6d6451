"""``{{ ds }}`` in runs that have none."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.sql.operators.sql import BaseSQLOperator

    _Base = BaseSQLOperator
else:
    _Base = object


class RendersDate(_Base):
    """Renders ``ds`` and ``ds_nodash`` also in manual and asset-triggered runs, where Airflow has neither.

    A run for an asset partition takes the partition's key; another one the day after which it was to run. The log
    says which. A text that serves backfills, too, finds ``backfill`` false, and its own date as both ends.
    """

    def _do_render_template_fields(
        self, parent: Any, template_fields: Iterable[str], context: Any, *args: Any, **kwargs: Any
    ) -> None:
        # Here and not in render_template_fields, which Airflow does not call for a mapped task.
        super()._do_render_template_fields(parent, template_fields, with_date(self, context), *args, **kwargs)


def with_date(operator: BaseSQLOperator, context: Any) -> Any:
    """The context, with what a text for backfills asks for; and with a date if it has none and its run tells one."""
    if not context:
        return context  # there is nothing to render with
    dated = _dated(operator, context)
    ends = {"start_date": dated["ds"], "end_date": dated["ds"]} if dated.get("ds") else {}
    return {"backfill": False, **ends, **dated}


def _dated(operator: BaseSQLOperator, context: Any) -> Any:
    if context.get("ds"):
        return context
    run: Any = context.get("dag_run")
    key = context.get("partition_key") or getattr(run, "partition_key", None)
    moment: datetime | None = getattr(run, "run_after", None)
    if not key and moment is None:
        return context
    date = str(key) if key else f"{moment:%Y-%m-%d}"
    operator.log.info(
        "This run has no logical date: ds is %s, the run's %s", date, "partition key" if key else "run_after"
    )
    return {**context, "ds": date, "ds_nodash": date.replace("-", "")}
