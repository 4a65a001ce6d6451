"""Names of the tables and indexes that an exchange needs beside the user's."""

from __future__ import annotations

import hashlib

from airflow_dataquality.model import Table


def beside(table: Table, role: str, unique: str, limit: int) -> Table:
    """A table beside this one: ``daily_flights__dq_stage_3f2a91c04b7d``.

    :param role: ``stage`` or ``prev``
    :param unique: whatever makes this one different from every other
    :param limit: bytes that a name may have
    """
    digest = hashlib.blake2b(f"{table}\x1f{unique}".encode(), digest_size=6).hexdigest()
    return Table(shorten(table.name, f"__dq_{role}_{digest}", limit), table.schema)


def sorting_index(table: Table, limit: int) -> Table:
    """The index by which the partitions of a table that the package made are found: ``aircraft_summary_partition_idx``.

    :param limit: bytes that a name may have
    """
    return Table(shorten(table.name, "_partition_idx", limit), table.schema)


def shorten(name: str, suffix: str, limit: int) -> str:
    """The name, cut at a character so that it fits with the suffix into so many bytes.

    >>> shorten("größe", "_x", 6)
    'grö_x'
    """
    room = limit - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + suffix
