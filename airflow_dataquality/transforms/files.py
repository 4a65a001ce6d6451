"""Files as rows: CSV, JSON and Parquet, on this machine or in S3. They are read as they are stored: batch by batch."""

from __future__ import annotations

import contextlib
import csv
import glob
import gzip
import io
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_dataquality.errors import DataQualityError, SpecError, TableError

S3 = "s3://"
BATCH = 10_000
csv.field_size_limit(2**31 - 1)  # a document may stand in a field


@dataclass(frozen=True)
class Files:
    """Files of one format.

    :param address: a path, a pattern, a folder, or ``s3://bucket/prefix``
    :param delimiter: of CSV; by default a comma, and a tab in ``.tsv``
    :param folder: where relative paths begin
    :param aws_conn_id: connection to S3; None takes ``aws_default``
    :param within: the folder that the address may not lead out of; None for any
    """

    address: str
    form: str
    delimiter: str | None = None
    folder: str | None = None
    aws_conn_id: str | None = None
    within: str | None = None

    def batches(self, key: Mapping[str, Any]) -> Iterator[Iterable[Mapping[str, Any]]]:
        """The rows.

        :param key: columns that rows without them get
        :raises TableError: if there is no file, or one cannot be read; naming it
        """
        some = False
        for name, opened in self._opened():
            some = True
            with opened as file:
                try:
                    for batch in _READERS[self.form](file, self._delimiter(name)):
                        yield [{**key, **row} for row in batch] if key else batch
                except (ValueError, csv.Error, EOFError, OSError) as error:
                    hint = "mend the file, or write its format: csv, json, parquet"
                    raise TableError(f"{name} cannot be read as {self.form}: {error}", hint=hint) from error
        if not some:
            raise TableError(f"there is no file {self.address}", hint="look at `files`, and at what writes them")

    def _delimiter(self, name: str) -> str:
        return self.delimiter or _mark_of(name)

    def _opened(self) -> Iterator[tuple[str, contextlib.AbstractContextManager[Any]]]:
        if self.address.startswith(S3):
            yield from self._objects()
            return
        for path in self.paths():
            yield str(path), _unpacked(path.open("rb"), str(path))

    def paths(self) -> list[Path]:
        """The files on this machine, by name.

        :raises SpecError: if the address leads out of the folder that it may be in
        """
        whole = Path(self.folder or "", self.address)
        if self.within is not None and not inside(whole, self.within):
            raise SpecError(f"files is {self.address!r}, which leads out of {self.within}",
                            hint="write the folder itself, and have templates fill in what is in it")  # fmt: skip
        if whole.is_dir():
            return sorted(each for each in whole.rglob("*") if each.is_file() and each.name[0] not in "._")
        if glob.has_magic(str(whole)):
            return sorted(Path(each) for each in glob.glob(str(whole), recursive=True) if Path(each).is_file())  # noqa: PTH207 - of an absolute pattern
        return [whole] if whole.is_file() else []

    def _objects(self) -> Iterator[tuple[str, contextlib.AbstractContextManager[Any]]]:
        try:
            from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        except ImportError:
            hint = "pip install apache-airflow-providers-amazon"
            raise DataQualityError(
                "files in S3 are read by Amazon's provider, which is not installed", hint=hint
            ) from None
        bucket, _, prefix = self.address.removeprefix(S3).partition("/")
        client = S3Hook(aws_conn_id=self.aws_conn_id or "aws_default").get_conn()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix.partition("*")[0])
        for each in (found for page in pages for found in page.get("Contents", ())):
            key = each["Key"]
            if not _wanted(key, prefix):
                continue
            body = client.get_object(Bucket=bucket, Key=key)["Body"]
            yield f"{S3}{bucket}/{key}", _unpacked(body, key)


@contextlib.contextmanager
def _unpacked(file: Any, name: str) -> Iterator[Any]:
    """A file's bytes, and the file closed behind them."""
    with contextlib.closing(file):
        yield gzip.GzipFile(fileobj=file) if name.endswith(".gz") else file


def _wanted(key: str, prefix: str) -> bool:
    """Whether an object holds rows: it fits the pattern, and is neither a folder nor a marker."""
    from fnmatch import fnmatchcase

    named = key.rpartition("/")[2]
    return bool(named) and named[0] not in "._" and ("*" not in prefix or fnmatchcase(key, prefix))


def folder_of(written: str, folder: str | None, root: str | None) -> str | None:
    """The folder that files may not lead out of.

    :param written: the address, up to its first template
    :raises SpecError: if a relative one leads out of the root

    >>> folder_of("files/day-", "/project/flights", "/project"), folder_of("/landing/", None, None)
    ('/project/flights/files', '/landing')
    """
    if written.startswith(S3):
        return None
    whole = Path(folder or "", written)
    if folder and not Path(written).is_absolute() and not inside(whole, root or folder):
        hint = "move the files, or write an absolute path"
        raise SpecError(f"files: {written!r} leads out of the project", hint=hint)
    # Of the beginning of a name, or of a pattern, the folder before it.
    beginning = f"{folder or '.'}/{written}" if not Path(written).is_absolute() else written
    return os.path.normpath(beginning.partition("*")[0].rpartition("/")[0] or "/")


def inside(path: str | Path, folder: str | Path) -> bool:
    """Whether a path stays in a folder; by its text, so that a link in it may lead anywhere."""
    inner, outer = os.path.abspath(path), os.path.abspath(folder)  # noqa: PTH100 - links are not followed
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


_FORMAT = re.compile(r"\b(?:FORMAT|CSV|JSON|PARQUET|AVRO|ORC|FIXEDWIDTH|SHAPEFILE)\b", re.IGNORECASE)


def copy_options(form: str, delimiter: str | None, address: str, more: Sequence[str] = ()) -> Sequence[str]:
    """Parameters of Redshift's COPY for a format: as other databases read such files, an empty field is NULL.

    :param more: further ones; with a format among them, these alone
    """
    if any(_FORMAT.search(option) for option in more):
        return more
    made = {"json": ["FORMAT AS JSON 'auto'"], "parquet": ["FORMAT AS PARQUET"]}.get(form)
    if made is None:
        mark = delimiter or _mark_of(address)
        made = ["FORMAT AS CSV", "IGNOREHEADER 1", "EMPTYASNULL", *([f"DELIMITER '{mark}'"] if mark != "," else [])]
    packed = address.endswith(".gz") and not any("GZIP" in option.upper() for option in more)
    return [*made, *(["GZIP"] if packed else []), *more]


def _mark_of(address: str) -> str:
    return "\t" if ".tsv" in address else ","


def _batched(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _csv(file: Any, delimiter: str) -> Iterator[list[Mapping[str, Any]]]:
    """Rows by the names in the first line; an empty field is NULL, as in Postgres' own CSV."""
    text = io.TextIOWrapper(io.BufferedReader(_Body(file)), encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    names = next(reader, [])

    def rows() -> Iterator[Mapping[str, Any]]:
        for fields in reader:
            if len(fields) != len(names) and fields:
                raise ValueError(f"line {reader.line_num} has {len(fields)} fields, not {len(names)}")
            if fields:
                yield {name: field if field != "" else None for name, field in zip(names, fields, strict=True)}

    yield from _batched(rows())


class _Body(io.RawIOBase):
    """A file that is read once: bodies of S3 lack most of what files have."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def _json(file: Any, _: str) -> Iterator[list[Mapping[str, Any]]]:
    """Objects: one a line, or a list of them."""
    lines = io.TextIOWrapper(io.BufferedReader(_Body(file)), encoding="utf-8-sig")
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("["):
        rows = json.loads(first + lines.read())
        yield from _batched(_object(row, number) for number, row in enumerate(rows, 1))
        return
    yield from _batched(_object(json.loads(line), n) for n, line in enumerate([first, *lines], 1) if line.strip())


def _object(row: Any, number: int) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"object {number} is a {type(row).__name__}")
    return row


def _parquet(file: Any, _: str) -> Iterator[list[Mapping[str, Any]]]:
    try:
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise DataQualityError(
            "Parquet is read by pyarrow, which is not installed", hint="pip install pyarrow"
        ) from None
    content = file if hasattr(file, "seek") and file.seekable() else io.BytesIO(file.read())
    for batch in pyarrow.parquet.ParquetFile(content).iter_batches(BATCH):
        yield batch.to_pylist()


_READERS = {"csv": _csv, "json": _json, "parquet": _parquet}
