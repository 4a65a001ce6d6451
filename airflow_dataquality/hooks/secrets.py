"""What Airflow knows to be secret."""

from __future__ import annotations


def redacted(text: str) -> str:
    """The text without what Airflow knows to be secret."""
    try:
        from airflow.sdk.log import redact  # type: ignore[attr-defined]
    except ImportError:  # before Airflow 3.1
        from airflow.sdk.execution_time.secrets_masker import redact  # type: ignore[no-redef]

    return str(redact(text))
