"""What a header of each kind needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.measures.grammar import measures_from
from airflow_dataquality.transforms.model import Output
from airflow_dataquality.transforms.places import Misfit

FORMATS = ("csv", "json", "parquet")
ENDINGS: Mapping[str, str] = MappingProxyType(
    {".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
)
"""The format that the name of a file tells; ``.gz`` behind it is read, too."""

_WITHOUT_INDEXES: Mapping[str, str] = MappingProxyType(
    {
        "sql": "leave them out: the statements create the table, so have them create its indexes",
        "incremental_summary": "leave them out: a summary is made with an index on its partition column",
    }
)


@dataclass(frozen=True)
class Given:
    """A header whose keys were read.

    :param beside: the names of the files in its folder
    :param unread: something in it could not be read, and so is not missing
    """

    kind: str
    fields: Mapping[str, Any]
    options: Mapping[str, Any]
    sql: str | None
    file: Path
    beside: set[str]
    unread: bool = False

    @property
    def output(self) -> Output:
        found: Output = self.fields["output"]
        return found


def complete(given: Given) -> None:
    """Refuse a header that lacks what its kind needs.

    :raises Misfit: naming it
    """
    if given.kind in ("create_table_as", "upsert", "sql") and given.sql is None:
        file = given.file.with_suffix(".sql").name
        near = did_you_mean(file, {each for each in given.beside if each.endswith(".sql")}, label="Files")
        hint = f"{near}; or write `sql: SELECT …`"
        raise Misfit(f"no SQL: there is no {file} beside {given.file.name}", hint=hint, path=("kind",))
    if given.unread:
        return
    if "output" not in given.fields:
        if given.kind != "sql":
            raise Misfit("no `output`", hint="write output: {table: schema.name}", path=("kind",))
        return
    if given.output.indexes and given.kind in _WITHOUT_INDEXES:
        hint = _WITHOUT_INDEXES[given.kind]
        raise Misfit(f"indexes of a {given.kind} are not made", hint=hint, path=("output", "indexes"))
    if given.kind in _NEEDS:
        _NEEDS[given.kind](given)


def _keyed(given: Given) -> None:
    if not given.options.get("keys") and not given.output.primary_key:
        hint = "write the columns by which a row is known: primary_key: [id]"
        raise Misfit("an upsert without keys", hint=hint, path=("output",))


def _summary(given: Given) -> None:
    measures = given.options.get("measures")
    if not measures:
        raise Misfit("a summary without `measures`", hint="write measures: {flights: count}", path=("kind",))
    try:
        measures_from(measures, "measures")
    except SpecError as error:
        raise Misfit(error.message, hint=str(error.hint), path=("measures",)) from None
    if len(given.output.partition) != 1:
        hint = "write output: {table: …, partition: ds}"
        raise Misfit("a summary is partitioned by one column", hint=hint, path=("output",))
    column = next(iter(given.output.partition))
    if not given.options.get("keys") and not set(given.output.primary_key) - {column}:
        raise Misfit("a summary without keys", hint="write its subject: keys: [tailnum]", path=("output",))
    inputs = given.fields.get("inputs", ())
    if given.sql is None and len(inputs) != 1:
        hint = "write one table with the facts, or a SELECT of them"
        raise Misfit(f"a summary of {len(inputs)} inputs without SQL", hint=hint, path=("inputs",))


def _function(given: Given) -> None:
    function, file = given.options.get("function"), given.file.with_suffix(".py").name
    if function is None and file not in given.beside:
        hint = "write the file with a function `run(inputs, output)`, or function: package.module.name"
        raise Misfit(f"no function: there is no {file} beside {given.file.name}", hint=hint, path=("kind",))
    if function is None:
        return
    if not isinstance(function, str) or not all(part.isidentifier() for part in function.split(".")):
        hint = "write package.module.name, or the name of one in the file beside"
        raise Misfit(f"function is {function!r}", hint=hint, path=("function",))
    if "." not in function and file not in given.beside:
        hint = f"write package.module.{function}, or the file"
        raise Misfit(f"function {function!r}, and there is no {file}", hint=hint, path=("function",))


def _files(given: Given) -> None:
    files, form = given.options.get("files"), given.options.get("format")
    if not isinstance(files, str) or not files.strip():
        what = "no `files`" if files is None else f"files is {files!r}"
        hint = "write a path, a pattern or an address: s3://bucket/flights/{{ ds }}/"
        raise Misfit(what, hint=hint, path=("files",) if files is not None else ("kind",))
    delimiter = given.options.get("delimiter")
    if delimiter is not None and (not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in "'\"\\\r\n"):
        raise Misfit(f"delimiter is {delimiter!r}", hint='write one character: ";"', path=("delimiter",))
    if form is not None and form not in FORMATS:
        hint = did_you_mean(str(form), FORMATS, label="Formats")
        raise Misfit(f"unknown format {form!r}", hint=hint, path=("format",))
    if form is None and format_of(files) is None:
        raise Misfit(f"no `format`, and {files!r} does not tell", hint=f"write format: {' | '.join(FORMATS)}",
                     path=("files",))  # fmt: skip


def format_of(address: str) -> str | None:
    """The format that an address tells.

    >>> format_of("s3://lake/flights/{{ ds }}.csv.gz"), format_of("s3://lake/flights/")
    ('csv', None)
    """
    return ENDINGS.get(Path(address.removesuffix(".gz")).suffix.lower())


_NEEDS: Mapping[str, Callable[[Given], None]] = {
    "upsert": _keyed, "incremental_summary": _summary, "python": _function, "load": _files,
}  # fmt: skip
