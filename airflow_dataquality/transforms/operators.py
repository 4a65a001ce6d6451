"""Each kind of transform as the operator that runs it. What is new about a transform ends here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow_dataquality.engine.new_table import NewTable
from airflow_dataquality.errors import SpecError
from airflow_dataquality.measures.grammar import measures_from
from airflow_dataquality.model import Check
from airflow_dataquality.transforms.graph import Project
from airflow_dataquality.transforms.model import Transform
from airflow_dataquality.transforms.needs import format_of
from airflow_dataquality.transforms.rules import checks_of, root_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator

Made = tuple[Callable[..., Any], dict[str, Any]]


class _Ruleset(tuple[Check, ...]):  # noqa: SLOT001 - a tuple has none
    """Checks that were read before, with what asset events call them."""

    ruleset: str | None = None


def operator_of(
    transform: Transform, *, conn_id: str, project: Project | None = None, task_id: str | None = None, **overrides: Any
) -> BaseOperator:
    """The operator that runs a transform, for a DAG of your own. Nothing is connected to.

    :param transform: of :func:`load`
    :param conn_id: connection to the warehouse
    :param project: that it is of. A function (``python``) is given the partitions of its inputs, which are in their
        headers; without the project, it is given whole tables
    :param task_id: by default what the operator does: ``publish``, ``upsert``, ``load``, ``run``, ``wait``
    :param overrides: arguments of the operator, which take the place of those of the header
    :raises SpecError: for an argument that can never work
    """
    kind, arguments = _MAKERS[transform.kind](transform, project)
    verb = {"no_op": "wait", "sql": "run", "upsert": "upsert", "load": "load"}.get(transform.kind, "publish")
    given = {"task_id": task_id or verb, "conn_id": conn_id, **arguments, **overrides}
    try:
        made: BaseOperator = kind(**given)
    except SpecError as error:
        raise SpecError(f"{transform.path}: {error.message}", hint=error.hint) from error
    return made


def anomalies_of(transform: Transform, *, conn_id: str, **overrides: Any) -> ZScoreAnomalyOperator | None:
    """The operator that looks for anomalies in what a transform made; None if its header does not ask for it.

    :raises SpecError: for an argument that can never work
    """
    from airflow_dataquality.operators.zscore_anomaly import ZScoreAnomalyOperator

    if transform.anomalies is None or transform.output is None:
        return None
    output = transform.output
    given = {"task_id": "anomalies", "table": output.table, "partition": dict(output.partition) or None,
             "conn_id": conn_id, **transform.anomalies, **overrides}  # fmt: skip
    try:
        return ZScoreAnomalyOperator(**given)
    except (SpecError, TypeError) as error:
        message, hint = getattr(error, "message", str(error)), getattr(error, "hint", "see ZScoreAnomalyOperator")
        raise SpecError(f"{transform.path}: anomalies: {message}", hint=hint) from error


def _text(transform: Transform) -> str | None:
    # Airflow takes a text that ends in ".sql" for the name of a file.
    return None if transform.sql is None else transform.sql.rstrip() + "\n"


def _common(transform: Transform) -> dict[str, Any]:
    from airflow_dataquality.operators._common import ruleset_name

    assert transform.output is not None
    checks = _Ruleset(checks_of(transform))
    checks.ruleset = ruleset_name(transform.checks) or transform.name
    return {"table": transform.output.table, **({"checks": checks} if checks else {})}


def new_table(transform: Transform) -> NewTable:
    """What the table of a transform is created with."""
    output = transform.output
    assert output is not None
    columns = output.columns.values()
    return NewTable(
        types={each.name: each.type for each in columns if each.type},
        primary_key=output.primary_key,
        indexes=output.indexes,
        comment=transform.description or None,
        comments={each.name: each.description for each in columns if each.description},
    )


def _staged(transform: Transform) -> dict[str, Any]:
    assert transform.output is not None
    return {
        **_common(transform),
        "partition": dict(transform.output.partition) or None,
        "new_table": new_table(transform),
        **transform.options,
    }


def _create_table_as(transform: Transform, _: Project | None) -> Made:
    from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator

    return StageCheckExchangeOperator, {"explain": True, **_staged(transform), "sql": _text(transform)}


def _upsert(transform: Transform, _: Project | None) -> Made:
    from airflow_dataquality.operators.upsert import UpsertOperator

    assert transform.output is not None
    options = dict(transform.options)
    keys = options.pop("keys", None) or transform.output.primary_key
    made = {"explain": True, **_common(transform), "keys": _listed(keys), "new_table": new_table(transform), **options}
    return UpsertOperator, {**made, "sql": _text(transform)}


def _summary(transform: Transform, _: Project | None) -> Made:
    from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator

    assert transform.output is not None
    options = dict(transform.options)
    column, value = next(iter(transform.output.partition.items()))
    keys = options.pop("keys", None) or [each for each in transform.output.primary_key if each != column]
    arguments = _common(transform)
    return IncrementalSummaryOperator, {
        "summary": arguments.pop("table"),
        **arguments,
        "keys": _listed(keys),
        "partition_column": column,
        "partition": value,
        "measures": measures_from(options.pop("measures"), f"{transform.path}: measures"),
        **({"sql": _text(transform)} if transform.sql is not None else {"source": transform.inputs[0]}),
        **options,
    }


def _sql(transform: Transform, _: Project | None) -> Made:
    from airflow_dataquality.transforms.tasks import SqlScriptOperator

    output = transform.output
    made = {} if output is None else {**_common(transform), "partition": dict(output.partition) or None}
    return SqlScriptOperator, {**made, **transform.options, "sql": _text(transform), "inputs": transform.inputs}


def _python(transform: Transform, project: Project | None) -> Made:
    from airflow_dataquality.transforms.tasks import PythonTransformOperator

    inputs = {name: {} if project is None else dict(project.partition(name)) for name in transform.inputs}
    return PythonTransformOperator, {**_staged(transform), "function": transform.function_path, "inputs": inputs}


def _load(transform: Transform, _: Project | None) -> Made:
    from airflow_dataquality.transforms.tasks import LoadFilesOperator

    arguments = {"folder": str(transform.path.parent), "root": str(root_of(transform)), **_staged(transform)}
    return LoadFilesOperator, {**arguments, "format": arguments.get("format") or format_of(arguments["files"])}


def _no_op(transform: Transform, _: Project | None) -> Made:
    if not transform.waits:
        from airflow.providers.standard.operators.empty import EmptyOperator

        def empty(*, conn_id: str, **arguments: Any) -> EmptyOperator:  # noqa: ARG001 - as the others
            return EmptyOperator(**arguments)

        return empty, {}
    from airflow_dataquality.sensors.partition import PartitionSensor

    options = {name: value for name, value in transform.options.items() if name != "wait"}
    return PartitionSensor, {"partitions": [partition_text(transform)], "state": "exists", **options}


def partition_text(transform: Transform) -> str:
    """What a transform makes in a run, as sensors take it: ``raw.flights/ds={{ ds }}``."""
    from airflow_dataquality.sensors._upstream import written

    assert transform.output is not None
    key = {} if transform.kind == "upsert" else transform.output.partition
    return transform.output.table + "".join(written(column, value) for column, value in key.items())


def _listed(found: Any) -> list[str]:
    return [found] if isinstance(found, str) else list(found)


_MAKERS: Mapping[str, Callable[[Transform, Project | None], Made]] = MappingProxyType(
    {
        "create_table_as": _create_table_as,
        "upsert": _upsert,
        "incremental_summary": _summary,
        "sql": _sql,
        "python": _python,
        "load": _load,
        "no_op": _no_op,
    }
)
"""Of each kind the operator, and its arguments."""
