"""What was found of a table, as facets of OpenLineage: https://openlineage.io/docs/spec/facets/.

Imported only where the ``openlineage`` provider is installed. What its client does not know yet is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from attr import fields
from openlineage.client import facet_v2
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset

from airflow_dataquality.results import Result, Status

if TYPE_CHECKING:
    from airflow_dataquality.operators._lineage import Found

Facets = dict[str, Any]

COLUMN_METRICS = {"null_count": "nullCount", "distinct_count": "distinctCount", "sum": "sum", "min": "min",
                  "max": "max"}  # fmt: skip
"""Metrics of a column for which the specification has a word."""


def read(name: tuple[str, str]) -> Dataset:
    """A table or file that was read."""
    return InputDataset(*name)


def described(namespace: str, name: str, found: Found, *, written: bool) -> Dataset:
    """The table that the task is about, with its rows and checks.

    Of a table that is looked at, the specification has checks in an input's facets. Of one that is written it has no
    place for them but the dataset's own, where Airflow's operators put them, too.

    :param written: the task makes it, and does not only look at it
    """
    of_checks = _assertions(found)
    if written:
        of_data = {**of_checks, **_metrics(found, facet_v2.data_quality_metrics_dataset)}
        of_output = {**_written(found.outcome), **_subset(found.outcome, written=True)}
        return OutputDataset(namespace, name, facets=of_data, outputFacets=of_output)
    of_data = _metrics(found, facet_v2.data_quality_metrics_input_dataset)
    of_input = {**of_checks, **of_data, **_subset(found.outcome, written=False)}
    return InputDataset(namespace, name, inputFacets=of_input)


def tests(found: Iterable[Found]) -> Facets:
    """The checks of a run that is about no table."""
    if not hasattr(facet_v2, "test_run"):
        return {}
    kind = facet_v2.test_run.TestExecution
    executed = []
    for result in (result for each in found for result in _judged(each)):
        known = _assertion(result)
        named = {"status": "pass" if known.pop("success") else "fail", "type": known.pop("assertion")}
        executed.append(kind(**_fitting(kind, {**known, **named})))
    return {"test": facet_v2.test_run.TestRunFacet(tests=executed)} if executed else {}


def _judged(found: Found) -> list[Result]:
    """The checks that told something: one that was skipped asserts nothing."""
    return [result for result in found.summary.results if result.status is not Status.SKIP]


def _assertions(found: Found) -> Facets:
    kind = facet_v2.data_quality_assertions_dataset
    made = [kind.Assertion(**_fitting(kind.Assertion, _assertion(result))) for result in _judged(found)]
    return {"dataQualityAssertions": kind.DataQualityAssertionsDatasetFacet(assertions=made)} if made else {}


def _assertion(result: Result) -> dict[str, Any]:
    check = result.check
    sql = dict(check.metric.params).get("sql")
    return {
        "assertion": check.metric.kind,
        "success": result.status is Status.PASS,
        "column": ", ".join(check.metric.columns) or None,
        "severity": str(check.severity),
        "name": check.name,
        "description": check.description or result.reason,
        "expected": result.interval,
        "actual": None if result.value is None else str(result.value),
        "content": sql or str(check.metric),
        "contentType": "sql" if sql else "expression",
        "params": {"status": str(result.status), "reason": result.reason, "dimension": check.dimension},
    }


def _fitting(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that this version of the client has a place for."""
    known = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in known}


def _metrics(found: Found, words: Any) -> Facets:
    """What was measured of all rows, as far as the specification has words for it.

    :param words: the module that has the facet, for inputs or for other datasets
    """
    columns: dict[str, dict[str, Any]] = {}
    for metric, value in found.values.items():
        if not _is_number(value) or metric.where or metric.group or len(metric.columns) != 1:
            continue
        (column,) = metric.columns
        if metric.kind in COLUMN_METRICS:
            number = int(value) if metric.kind.endswith("_count") else float(value)
            columns.setdefault(column, {})[COLUMN_METRICS[metric.kind]] = number
        elif metric.kind == "quantile":
            columns.setdefault(column, {}).setdefault("quantiles", {})[str(metric.param("q"))] = float(value)
    rows = found.outcome.get("rows", found.outcome.get("rows_staged"))
    if rows is None and not columns:
        return {}
    named = {column: words.ColumnMetrics(**known) for column, known in columns.items()}
    kind = getattr(words, "DataQualityMetricsInputDatasetFacet", None) or words.DataQualityMetricsDatasetFacet
    return {"dataQualityMetrics": kind(rowCount=rows, columnMetrics=named)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _written(outcome: Mapping[str, Any]) -> Facets:
    """The rows that became visible, if any did."""
    rows = outcome.get("rows") if outcome.get("published") else None
    if outcome.get("strategy"):
        rows = outcome["inserted"] + outcome["updated"]
    kind = facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
    return {} if rows is None else {"outputStatistics": kind(rowCount=rows)}


def _subset(outcome: Mapping[str, Any], *, written: bool) -> Facets:
    """Which partition it is that was looked at or written."""
    key = outcome.get("partition")
    if not key or not hasattr(facet_v2, "base_subset_dataset"):
        return {}
    kind = facet_v2.base_subset_dataset
    named = {column: None if value is None else str(value) for column, value in key.items()}
    partitions = kind.PartitionSubsetCondition(partitions=[kind.Partition(dimensions=named)])
    if written:
        return {"subset": kind.OutputSubsetOutputDatasetFacet(outputCondition=partitions)}
    return {"subset": kind.InputSubsetInputDatasetFacet(inputCondition=partitions)}
