"""What every task that publishes rows says of them, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from airflow_dataquality.errors import ChecksFailed, DataQualityError
from airflow_dataquality.model import Table
from airflow_dataquality.operators import _common as common
from airflow_dataquality.operators._lineage import TellsLineage
from airflow_dataquality.operators._metrics import Emitting


class Publishing(TellsLineage, Emitting):
    """A task that publishes rows."""

    checks: Any

    def _tell(self, context: Mapping[str, Any], outcome: Any) -> dict[str, Any]:
        """Tell metrics, listeners and assets what was published; the outcome as JSON."""
        found: dict[str, Any] = outcome.as_dict()
        self._report.loaded(outcome)
        self._keep(outcome.summary, outcome.table, found)
        common.attach_to_outlets(
            context, found, ruleset=common.ruleset_name(self.checks), published=common.published_by(outcome)
        )
        return found

    def _fail(self, error: DataQualityError, table: str) -> NoReturn:
        """Tell listeners what blocked, and fail.

        :raises AirflowException: always
        """
        if isinstance(error, ChecksFailed) and error.summary is not None:
            self._keep(error.summary, Table.parse(table), error.outcome)
        common.fail(self, error)
