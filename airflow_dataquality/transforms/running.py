"""Run a transform here and now: for a date, on a connection, without Airflow's scheduler and metadata."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from airflow_dataquality.errors import DataQualityError
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.operators import anomalies_of, operator_of
from airflow_dataquality.transforms.rendering import dated


def run(
    transform: Transform, *, conn_id: str, day: str | date, project: Project | None = None, anomalies: bool = True,
    **overrides: Any,
) -> dict[str, Any]:  # fmt: skip
    """Run a transform for a day in this process, by the operator that runs it in a DAG.

    Data that others produce (``no_op``) are looked at once, and not waited for.

    :param transform: of :func:`load`
    :param conn_id: an Airflow connection; one in the environment will do: ``AIRFLOW_CONN_WAREHOUSE``
    :param day: of the run: ``2013-01-01``
    :param project: as for :func:`operator_of`
    :param anomalies: look for anomalies, too, if the header asks for it
    :param overrides: arguments of the operator
    :returns: what the operator returns, of a ``no_op`` an empty dict; ``anomalies``, if they were looked for
    :raises DataQualityError: if it fails; :class:`ChecksFailed`, if checks block it
    """
    from airflow.providers.common.compat.sdk import AirflowException

    if transform.waits:
        overrides = {"deferrable": False, "poke_interval": 1, "timeout": 0, **overrides}
    operator = operator_of(transform, conn_id=conn_id, project=project, **overrides)
    try:
        found = _executed(operator, day)
        outcome: dict[str, Any] = dict(found) if isinstance(found, dict) else {}
        if anomalies and (looked := anomalies_of(transform, conn_id=conn_id)) is not None:
            outcome["anomalies"] = _executed(looked, day)["anomalies"]
    except AirflowException as error:
        known = error.__cause__
        if isinstance(known, DataQualityError):
            raise known from None
        missing = getattr(operator, "waiting_for", ())
        if transform.kind == "no_op" and missing:
            hint = "load them, or leave it out of what is run"
            raise DataQualityError(f"not there: {'; '.join(missing)}", hint=hint) from error
        raise DataQualityError(f"{transform}: {error}") from error
    return outcome


def _executed(operator: Any, day: str | date) -> Any:
    context = context_of(day)
    operator.render_template_fields(context)
    return operator.execute(context)


def context_of(day: str | date) -> dict[str, Any]:
    """What templates and functions find in a run of that day."""
    return {**dated(str(day)), "params": {}, "run_id": f"local__{datetime.now(UTC).isoformat()}"}
