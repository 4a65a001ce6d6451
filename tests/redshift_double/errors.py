"""Postgres' errors as Redshift says them."""

from __future__ import annotations

from redshift_double.faults import SERIALIZATION
from redshift_double.wire import error_body, error_fields


def translated_error(body: bytes) -> bytes:
    """Postgres' error as Redshift says it."""
    fields = error_fields(body)
    code, message = fields.get("C", ""), fields.get("M", "")
    if code == "40001":
        return error_body(*SERIALIZATION)
    if code == "23505" and "pg_class_relname_nsp_index" in message:  # Postgres looks for the name too early
        return error_body("42P07", "relation already exists")
    if code == "428C9":
        return error_body("0A000", "cannot set an identity column to a value")
    if code == "21000" and "MERGE" in message:
        return error_body("XX000", "Found multiple matches to update the same tuple.")
    if code == "23514" and "rs_bytes_" in message:
        length = message.split('"rs_bytes_')[-1].split('"')[0].split("_")[-1]
        return error_body("22001", f"value too long for type character varying({length})")
    return body
