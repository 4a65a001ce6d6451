"""``{{ ds }}`` in runs that have none."""

from __future__ import annotations

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
    says which.
    """

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        """Render the templates, with a date in any case."""
        super().render_template_fields(self._with_date(context), jinja_env)

    def _with_date(self, context: Any) -> Any:
        if context.get("ds"):
            return context
        run: Any = context.get("dag_run")
        key = context.get("partition_key") or getattr(run, "partition_key", None)
        moment: datetime | None = getattr(run, "run_after", None)
        if not key and moment is None:
            return context
        date = str(key) if key else f"{moment:%Y-%m-%d}"
        self.log.info("This run has no logical date: ds is %s, the run's %s", date, "partition key" if key else "run_after")
        return {**context, "ds": date, "ds_nodash": date.replace("-", "")}
