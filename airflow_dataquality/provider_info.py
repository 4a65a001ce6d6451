"""What Airflow reads to find the provider's parts."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Data Quality"

_TEXT = {"type": ["string", "null"]}
_DATADOG = {
    "connection-type": "dq_datadog",
    "hook-class-name": "airflow_dataquality.hooks.datadog.DatadogMetricsHook",
    "hook-name": "Datadog (data quality metrics)",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "login"],
        "relabeling": {"host": "DogStatsD host", "port": "DogStatsD port", "password": "API key"},
        "placeholders": {"host": "localhost; empty for the API", "port": "8125", "password": "without a host"},
    },
    "conn-fields": {
        "socket": {"label": "DogStatsD socket", "description": "Instead of a host: a Unix socket", "schema": _TEXT},
        "site": {"label": "Datadog site", "description": "datadoghq.com, datadoghq.eu …", "schema": _TEXT},
        "api_url": {"label": "API address", "description": "Instead of a site: of a proxy", "schema": _TEXT},
    },
}
_OPTIONS = {
    "default_deferrable": {
        "description": "Whether sensors wait in the triggerer; False where there is none.",
        "version_added": None,
        "type": "boolean",
        "example": None,
        "default": "True",
    },
    "datadog_conn_id": {
        "description": "Connection of type dq_datadog for the metrics of all operators that name none.",
        "version_added": None,
        "type": "string",
        "example": "datadog",
        "default": "",
    },
    "env": {
        "description": "The tag env of all metrics, events and service checks.",
        "version_added": None,
        "type": "string",
        "example": "prod",
        "default": "",
    },
    "connections": {
        "description": "Warehouses that the data quality pages show: connections, with commas between; each with "
        "the schema of its ledger behind a colon, if that is not dataquality.",
        "version_added": None,
        "type": "string",
        "example": "warehouse, lake:dq_ledger",
        "default": "",
    },
    "page_statement_timeout": {
        "description": "Seconds that a statement of a page may take.",
        "version_added": None,
        "type": "float",
        "example": None,
        "default": "10",
    },
    "page_row_limit": {
        "description": "Rows of a list that a page shows at most.",
        "version_added": None,
        "type": "integer",
        "example": None,
        "default": "500",
    },
    "sample_columns": {
        "description": "Columns whose values the pages may show of rows that checks blocked, as schema.table.column "
        "with * for any, and commas between. None are shown by default.",
        "version_added": None,
        "type": "string",
        "example": "analytics.*.*",
        "default": "",
    },
    "pii_columns": {
        "description": "Columns whose values the pages never show, written in the same way.",
        "version_added": None,
        "type": "string",
        "example": "*email*, *.passenger.*",
        "default": "",
    },
    "tests_dag_id": {
        "description": "The DAG of tests_dag(): whoever may read it may see saved tests on the pages, and whoever may "
        "edit it may write them.",
        "version_added": None,
        "type": "string",
        "example": None,
        "default": "data_quality_tests",
    },
    "max_tag_values": {
        "description": "How many values of a tag one task may send; the others become 'other'.",
        "version_added": None,
        "type": "integer",
        "example": None,
        "default": "100",
    },
}


def get_provider_info() -> dict[str, Any]:
    """Describe the provider, in the terms of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-dataquality",
        "name": INTEGRATION,
        "description": "Stage, check and exchange: publish data only after it passed its checks.",
        "integrations": [
            {"integration-name": INTEGRATION, "tags": ["software"]},
        ],
        "operators": [
            {
                "integration-name": INTEGRATION,
                "python-modules": [
                    "airflow_dataquality.operators.anomaly_test",
                    "airflow_dataquality.operators.check",
                    "airflow_dataquality.operators.incremental_summary",
                    "airflow_dataquality.operators.parallel_backfill",
                    "airflow_dataquality.operators.redshift_upsert",
                    "airflow_dataquality.operators.saved_tests",
                    "airflow_dataquality.operators.stage_check_exchange",
                    "airflow_dataquality.operators.table_statistics",
                    "airflow_dataquality.operators.upsert",
                    "airflow_dataquality.operators.zscore_anomaly",
                    "airflow_dataquality.transforms.tasks",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": INTEGRATION,
                "python-modules": ["airflow_dataquality.sensors.partition"],
            }
        ],
        "triggers": [
            {
                "integration-name": INTEGRATION,
                "python-modules": ["airflow_dataquality.triggers.partition"],
            }
        ],
        "hooks": [
            {
                "integration-name": INTEGRATION,
                "python-modules": ["airflow_dataquality.hooks.datadog", "airflow_dataquality.hooks.session"],
            }
        ],
        "connection-types": [_DATADOG],
        "notifications": ["airflow_dataquality.notifications.datadog.DatadogNotifier"],
        "config": {"airflow_dataquality": {"description": "Settings of airflow_dataquality.", "options": _OPTIONS}},
        "cli": ["airflow_dataquality.cli.get_dq_commands"],
    }
