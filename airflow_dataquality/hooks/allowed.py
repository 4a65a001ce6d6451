"""The connections that an administrator allowed: for the pages, and for SQL that people write in forms."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf

SECTION = "airflow_dataquality"


def listed(option: str) -> list[str]:
    """An option of the section ``[airflow_dataquality]`` of Airflow's configuration, with commas between."""
    value = conf.get(SECTION, option, fallback="") or ""
    return [part.strip() for part in value.split(",") if part.strip()]


def allowed() -> list[tuple[str, str]]:
    """Connections and, after a colon, the schemas of their ledgers, in the order of the option ``connections``."""
    pairs = (entry.partition(":") for entry in listed("connections"))
    return [(conn_id.strip(), schema.strip()) for conn_id, _, schema in pairs if conn_id.strip()]


def allowed_connections() -> list[str]:
    """The connections alone."""
    return list(dict.fromkeys(conn_id for conn_id, _ in allowed()))
