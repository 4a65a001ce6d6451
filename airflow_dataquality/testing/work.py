"""One run of a transform in a sandbox, and what its failure says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_dataquality.dialects import sandbox as sql_of
from airflow_dataquality.engine.said import said
from airflow_dataquality.errors import TableError
from airflow_dataquality.model import Partition, Table
from airflow_dataquality.testing.sandbox import Sandbox
from airflow_dataquality.transforms.model import Output, Transform
from airflow_dataquality.transforms.rendering import is_template, rendered, rendered_sql

if TYPE_CHECKING:
    from airflow_dataquality.testing.kit import Kit


@dataclass
class Work:
    """One run of a transform.

    :param more: further names for its templates; ``files`` replaces those of a ``load``
    """

    kit: Kit
    box: Sandbox
    transform: Transform
    day: str
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> Output:
        assert self.transform.output is not None
        return self.transform.output

    @property
    def target(self) -> Table:
        return self.output.name

    @cached_property
    def sql(self) -> str:
        """The SQL as it is rendered."""
        return rendered_sql(self.transform, self.day, **self.more)

    @cached_property
    def moved(self) -> str:
        """The same in the sandbox."""
        return self.box.moved(self.sql, self.transform.reads)

    @cached_property
    def key(self) -> dict[str, Any]:
        """The partition that is made."""
        return {name: rendered(value, self.day, **self.more) if is_template(str(value)) else value
                for name, value in self.output.partition.items()}  # fmt: skip

    @property
    def inside(self) -> str | None:
        """The predicate of its rows."""
        found: str | None = self.box.sql.rows_of(Partition.of(self.box.own(self.target), self.key))
        return found

    def place(self, line: int | None = None) -> str:
        """Where to look: the file with the SQL, and a line of it if rendering moved none."""
        path = self.transform.sql_path or self.transform.path
        if line is None or self.transform.sql_path is None:
            return str(path)
        same = (self.transform.sql or "").count("\n") == self.sql.count("\n")
        return f"{path}:{line}" if same else f"{path}, line {line} once rendered"


def keyed(work: Work) -> None:
    """Have the primary key that the header declares."""
    if not work.output.primary_key:
        return
    own = work.box.own(work.target)
    try:
        with work.box.session.transaction():
            work.box.session.execute(sql_of.primary_key(work.box.sql, own, work.output.primary_key))
    except Exception as error:
        key = ", ".join(work.output.primary_key)
        raise TableError(
            f"the rows do not have the primary key ({key}): {work.box.plain(str(said(error)))}",
            hint="mend the SELECT: a key is there once, and is not NULL; or declare another primary_key",
        ) from error


def failed(work: Work, error: Exception, executed: str, before: int = 1) -> TableError:
    """The database's words, and the line that it means.

    :param executed: what was sent
    :param before: how many lines of it are not the transform's
    """
    known = said(error)
    position = getattr(getattr(error, "diag", None), "statement_position", None)
    line = executed.count("\n", 0, int(position) - 1) + 1 - before if position else None
    lines = work.sql.splitlines()
    shown = f"\n    {lines[line - 1].strip()}" if line is not None and 0 < line <= len(lines) else ""
    message = f"{work.place(line if shown else None)}: {work.transform}: {work.box.plain(str(known))}{shown}"
    hint = work.box.plain(known.hint) if known.hint else "mend the SQL there, or the rows that are given"
    return TableError(message, hint=hint)
