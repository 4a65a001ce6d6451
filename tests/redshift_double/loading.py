"""COPY from S3: objects become rows in the client's transaction."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redshift_double.lexer import literal, quoted
from redshift_double.wire import PostgresRefusedError, error_body

if TYPE_CHECKING:
    from redshift_double.session import Session

_NULL = "\\N"
_FAILED = "Load into table '{}' failed.  Check 'stl_load_errors' system table for details."


@dataclass
class LoadError(Exception):
    """A line that cannot be loaded."""

    file: str
    line: int
    reason: str
    code: int = 1202
    raw: str = ""
    column: str = ""


Rows = Iterator[tuple[str, int, list[str | None]]]


async def copy(session: Session, table: str, columns: list[str] | None, uri: str, options: dict[str, str]) -> None:
    """Load the objects below a prefix into a table.

    :raises PostgresRefusedError: if there is none, or if one does not fit
    """
    backend = session.backend
    found, _ = await backend.query(
        "SELECT a.attname, a.attidentity, a.atttypid::regtype::text FROM pg_catalog.pg_attribute AS a"
        f" WHERE a.attrelid = {literal(table)}::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
    names = columns or [str(name) for name, identity, _ in found if identity == ""]
    types = {str(name): str(kind) for name, _, kind in found}
    plain_name = table.rsplit(".", maxsplit=1)[-1].strip('"')
    try:
        objects = await asyncio.to_thread(_objects, session, uri, options)
        rows = list(_rows(objects, names, options))
        for name in (name for name in names if name not in types):
            raise PostgresRefusedError(
                error_body("42703", f'column "{name}" of relation "{plain_name}" does not exist')
            )
        data = io.StringIO()
        writer = csv.writer(data)
        writer.writerows([_NULL if value is None else value for value in values] for _, _, values in rows)
        listed = ", ".join(map(quoted, names))
        # A backslash is a letter here, because the literal of NULL AS is read with standard_conforming_strings off.
        sql = f"COPY {table} ({listed}) FROM STDIN WITH (FORMAT csv, NULL {literal(_NULL)})"
        await _send(backend, sql, data.getvalue().encode(), rows)
    except LoadError as error:
        await asyncio.to_thread(_note, session, table, error)
        raise PostgresRefusedError(error_body("XX000", _FAILED.format(plain_name))) from error
    await backend.query(f"SELECT pg_catalog.set_config('redshift.last_copy_count', '{len(rows)}', false)")


async def _send(backend: Any, sql: str, data: bytes, rows: list[tuple[str, int, list[str | None]]]) -> None:
    try:
        await backend.query(sql, data)
    except PostgresRefusedError as refused:
        code = refused.fields.get("C", "")
        if code[:2] not in {"22", "23"}:
            raise
        where = refused.fields.get("W", "")
        line = int("".join(c for c in where.split("line ")[-1].split(",")[0].split(":")[0] if c.isdigit()) or 1)
        file, number, values = rows[min(line, len(rows)) - 1] if rows else ("", 0, [])
        column = where.split("column ")[1].split(":")[0] if "column " in where else ""
        raw = ",".join("" if value is None else value for value in values)
        raise LoadError(file, number, refused.fields["M"][:100], 1207, raw, column) from refused


def _objects(session: Session, uri: str, options: dict[str, str]) -> list[tuple[str, bytes]]:
    """Names and contents of the objects that are to be loaded."""
    if session.double.s3_endpoint is None:
        raise PostgresRefusedError(error_body("XX000", "the double has no S3: ask for the fixture s3 in this test"))
    with contextlib.closing(session.double.s3_client()) as client:
        try:
            objects = list(_read_objects(client, uri, "MANIFEST" in options))
        except client.exceptions.NoSuchBucket:
            message = "S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket"
            raise PostgresRefusedError(error_body("XX000", message)) from None
    return [(name, gzip.decompress(data) if "GZIP" in options else data) for name, data in objects]


def _read_objects(client: Any, uri: str, manifest: bool) -> Iterator[tuple[str, bytes]]:
    bucket, prefix = uri.removeprefix("s3://").split("/", 1)
    if manifest:
        entries = json.loads(client.get_object(Bucket=bucket, Key=prefix)["Body"].read())["entries"]
        wanted = [
            (*entry["url"].removeprefix("s3://").split("/", 1), entry.get("mandatory", False)) for entry in entries
        ]
    else:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        wanted = [(bucket, item["Key"], True) for page in pages for item in page.get("Contents", [])]
    if not wanted:
        raise PostgresRefusedError(error_body("XX000", f"The specified S3 prefix '{prefix}' does not exist"))
    for in_bucket, key, mandatory in wanted:
        try:
            yield f"s3://{in_bucket}/{key}", client.get_object(Bucket=in_bucket, Key=key)["Body"].read()
        except client.exceptions.NoSuchKey:
            if mandatory:
                message = f"S3ServiceException:The specified key does not exist.,Status 404,Error NoSuchKey,Key {key}"
                raise PostgresRefusedError(error_body("XX000", message)) from None


def _rows(objects: list[tuple[str, bytes]], names: list[str], options: dict[str, str]) -> Rows:
    for file, data in objects:
        for line, values in _read(file, data, names, options):
            if len(values) < len(names):
                raise LoadError(file, line, "Delimiter not found", 1214, _raw(values))
            if len(values) > len(names):
                raise LoadError(file, line, "Extra column(s) found", 1202, _raw(values))
            yield file, line, [None if _is_null(value, options) else value for value in values]


def _raw(values: list[str | None]) -> str:
    return ",".join(value or "" for value in values)


def _is_null(value: str | None, options: dict[str, str]) -> bool:
    return (
        value is None
        or value == options.get("NULL", _NULL)
        or (value == "" and "EMPTYASNULL" in options)
        or ("BLANKSASNULL" in options and not value.strip())
    )


def _read(file: str, data: bytes, names: list[str], options: dict[str, str]) -> Iterator[tuple[int, list[str | None]]]:
    if options.get("FORMAT") == "PARQUET":
        yield from _parquet(data)
    elif options.get("FORMAT") == "JSON":
        yield from _json(file, data, names)
    else:
        skipped = int(options.get("IGNOREHEADER", 0))
        is_csv = options.get("FORMAT") == "CSV"
        delimiter = options.get("DELIMITER", "," if is_csv else "|")
        quoting = csv.QUOTE_MINIMAL if is_csv else csv.QUOTE_NONE
        for line, values in enumerate(
            csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter, quoting=quoting), 1
        ):
            if line > skipped and values:
                yield line, list(values)


def _json(file: str, data: bytes, names: list[str]) -> Iterator[tuple[int, list[str | None]]]:
    decoder, content, position, line = json.JSONDecoder(), data.decode(), 0, 0
    while content[position:].strip():
        position += len(content[position:]) - len(content[position:].lstrip())
        line += 1
        try:
            value, position = decoder.raw_decode(content, position)
        except ValueError as error:
            raise LoadError(file, line, "Invalid value", 1208, content[position : position + 100]) from error
        # JSON 'auto' matches keys with names exactly; names are lower case.
        yield line, [_text(value.get(name)) for name in names]


def _parquet(data: bytes) -> Iterator[tuple[int, list[str | None]]]:
    from pyarrow import parquet

    for line, values in enumerate(parquet.read_table(io.BytesIO(data)).to_pylist(), 1):
        yield line, [_text(value) for value in values.values()]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _note(session: Session, table: str, error: LoadError) -> None:
    """Write a row of stl_load_errors, which outlives the client's transaction."""
    import psycopg

    with psycopg.connect(session.double.postgres.uri(session.database), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO rs.load_errors (userid, slice, tbl, starttime, session, query, filename, line_number, colname,"
            " type, col_length, position, raw_line, raw_field_value, err_code, err_reason, is_partial, start_offset)"
            " SELECT (SELECT oid::int FROM pg_roles WHERE rolname = %s), 0,"
            " coalesce(to_regclass(%s)::oid::int, 0), now(), 0,"
            " coalesce((SELECT max(query) FROM rs.load_errors), 0) + 1, %s, %s, %s, '', '', 0, %s, '', %s, %s, 0, 0",
            (session.user, table, error.file, error.line, error.column, error.raw, error.code, error.reason),
        )
