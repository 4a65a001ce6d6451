"""The connections that an administrator allowed for SQL that people write in forms."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

SECTION = "airflow_dataquality"


def allowed_connections() -> list[str]:
    """Those of ``connections`` in the section ``[airflow_dataquality]`` of Airflow's configuration, in its order."""
    entries = (conf.get(SECTION, "connections", fallback="") or "").split(",")
    return list(dict.fromkeys(name for entry in entries if (name := entry.partition(":")[0].strip())))
