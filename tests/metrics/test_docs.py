"""The documentation of metrics, and how Airflow knows of the connection."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from airflow.providers.common.compat.sdk import Connection

from airflow_dataquality.hooks.datadog import Configured, DatadogMetricsHook
from airflow_dataquality.provider_info import get_provider_info
from airflow_dataquality.telemetry import CATALOGUE, MAX_TAG_VALUES

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_metric_has_an_entry() -> None:
    spec = importlib.util.spec_from_file_location("docs_hooks_of_metrics", DOCS / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)
    text = hooks.on_page_markdown((DOCS / "pages" / "reference" / "metrics.md").read_text(encoding="utf-8"))
    for name, known in CATALOGUE.items():
        assert f"| `{name}` | {known.kind} | {known.unit} | {known.meaning} |" in text


def test_the_configuration_has_its_defaults() -> None:
    options = get_provider_info()["config"]["airflow_dataquality"]["options"]
    assert options["max_tag_values"]["default"] == str(MAX_TAG_VALUES)
    assert Configured.read() == Configured()


def test_airflow_finds_the_connection_type() -> None:
    (described,) = get_provider_info()["connection-types"]
    assert described["connection-type"] == DatadogMetricsHook.conn_type
    assert described["hook-name"] == DatadogMetricsHook.hook_name
    connection = Connection(conn_id="datadog", conn_type="dq_datadog", host="localhost")
    assert isinstance(connection.get_hook(), DatadogMetricsHook)
