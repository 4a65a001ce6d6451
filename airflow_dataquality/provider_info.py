"""What Airflow reads to find the provider's parts."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Data Quality"


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
                    "airflow_dataquality.operators.stage_check_exchange",
                    "airflow_dataquality.operators.table_statistics",
                    "airflow_dataquality.operators.upsert",
                    "airflow_dataquality.operators.zscore_anomaly",
                ],
            }
        ],
        "hooks": [
            {
                "integration-name": INTEGRATION,
                "python-modules": ["airflow_dataquality.hooks.session"],
            }
        ],
        "cli": ["airflow_dataquality.cli.get_dq_commands"],
    }
