"""Transforms whose rows come from the client: of a function, of files."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import DataQualityError, TableError, did_you_mean
from airflow_dataquality.model import Table
from airflow_dataquality.testing.rows import as_text
from airflow_dataquality.testing.work import Work, keyed
from airflow_dataquality.transforms.rendering import rendered


def of_function(work: Work) -> str | None:
    """What the function returns."""
    from airflow_dataquality.transforms.functions import Input, Target, called, found
    from airflow_dataquality.transforms.running import context_of

    box = work.box

    class Inside(Input):
        """An input that is read in the sandbox."""

        def rows(self, *, whole: bool = False) -> list[dict[str, Any]]:
            return Input.of(box.session, str(box.own(Table.parse(self.name))), self.partition).rows(whole=whole)

        def query(self, sql: str) -> list[dict[str, Any]]:
            return super().query(box.moved(sql, work.transform.reads))

    inputs = {name: Inside.of(box.session, name, _partition_of(work, name)) for name in work.transform.inputs}
    context = {**context_of(work.day), **work.more}
    try:
        _store(work, called(found(work.transform.function_path), inputs, Target(work.output.table, work.key), context))
    except DataQualityError:
        raise
    except Exception as error:
        raise _broken(work, error) from error
    return None


def _broken(work: Work, error: Exception) -> TableError:
    """What a function raised, and the line of its file."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if Path(each.filename).parent.resolve() == work.transform.path.parent.resolve()]
    place = f"{work.transform.path.parent / Path(own[-1].filename).name}:{own[-1].lineno}" if own else work.place()
    shown = f"\n    {own[-1].line}" if own else ""
    message = f"{place}: {work.transform}: {type(error).__name__}: {work.box.plain(str(said(error)))}{shown}"
    return TableError(message, hint="mend the function there, or the rows that are given")


def _partition_of(work: Work, name: str) -> dict[str, Any]:
    key = work.kit.project.partition(name)
    return {column: rendered(str(value), work.day, **work.more) for column, value in key.items()}


def of_files(work: Work) -> str | None:
    """What the files hold."""
    from airflow_dataquality.transforms.files import Files
    from airflow_dataquality.transforms.needs import format_of

    options = work.transform.options
    address = str(work.more.get("files") or rendered(options["files"], work.day, **work.more))
    form = options.get("format") or format_of(address) or "csv"
    files = Files(address, form, options.get("delimiter"), str(work.transform.path.parent), options.get("aws_conn_id"))
    _store(work, (row for batch in files.batches(work.key) for row in batch))
    return None


def _store(work: Work, found: Iterable[Mapping[str, Any]]) -> None:
    """Rows of Python values, in place of those that are there."""
    columns = work.kit.shapes.of(work.target)
    if work.target not in work.box.tables:
        work.box.create(work.target, columns)
        keyed(work)
    known = {column.name: column for column in columns}
    texts = []
    for number, row in enumerate(found, 1):
        wrong = next((name for name in row if name not in known), None)
        if wrong is not None:
            hint = did_you_mean(str(wrong), known, label="Columns")
            raise TableError(f"row {number} has {wrong!r}, which {work.target} has not", hint=hint)
        texts.append([None if row.get(name) is None else as_text(row[name], array=column.is_array)
                      for name, column in known.items()])  # fmt: skip
    work.box.fill(work.target, list(known), texts, what=f"the rows for {work.target}")
