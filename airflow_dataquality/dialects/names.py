"""How names and values become SQL text. Nowhere else do they meet it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from airflow_dataquality.errors import SpecError
from airflow_dataquality.model import Partition, Range, Scalar, Table


class Names:
    """Quoting, as standard SQL has it."""

    fold: Callable[[str], str] = staticmethod(str.lower)
    """What the database does to an identifier without quotes."""
    folds_quoted = False
    """Whether it does the same to identifiers in quotes."""
    max_name_bytes = 128

    def identifier(self, name: str) -> str:
        """A name, quoted.

        :raises SpecError: if no database can have such a name
        """
        if not name or "\x00" in name:
            raise SpecError(f"{name!r} cannot be a name", hint="names have at least one character, and no NUL")
        return '"' + name.replace('"', '""') + '"'

    def identifiers(self, names: Iterable[str], *, of: str = "") -> str:
        """Names in a list: ``"a", "b"``, or of a table's alias: ``t."a", t."b"``."""
        prefix = f"{of}." if of else ""
        return ", ".join(prefix + self.identifier(name) for name in names)

    def table(self, table: Table) -> str:
        """A table's name, quoted."""
        return ".".join(self.identifier(part) for part in (table.schema, table.name) if part is not None)

    def literal(self, value: Any) -> str:
        """A value, as SQL text.

        :raises SpecError: for a type that has no literal, and for text with a NUL
        """
        if value is None:
            return "NULL"
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float | Decimal):
            return repr(value) if isinstance(value, float) and math.isfinite(value) else self.text(str(value))
        if isinstance(value, datetime | date):
            return self.text(value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat())
        if isinstance(value, str):
            return self.text(value)
        raise SpecError(f"{value!r} ({type(value).__name__}) has no SQL literal", hint="use text, a number or a date")

    def text(self, value: str) -> str:
        """Text, quoted."""
        if "\x00" in value:
            raise SpecError(f"the text {value!r} holds a NUL character", hint="no SQL database stores it")
        return "'" + value.replace("'", "''") + "'"

    def rows_of(self, partition: Partition, *, of: str = "") -> str | None:
        """The predicate that is true for the partition's rows; None for a whole table."""
        prefix = f"{of}." if of else ""
        terms = [self._has(prefix + self.identifier(column), value) for column, value in partition.key]
        return " AND ".join(terms) or None

    def _has(self, column: str, value: Scalar | Range) -> str:
        if value is None:
            return f"{column} IS NULL"
        if not isinstance(value, Range):
            return f"{column} = {self.literal(value)}"
        but = ", ".join(map(self.literal, value.but))
        within = f"{column} BETWEEN {self.literal(value.first)} AND {self.literal(value.last)}"
        return within + (f" AND {column} NOT IN ({but})" if but else "")

    def between(self, column: str, low: Any, high: Any) -> str:
        """The predicate of a range of values, the first included and the last not."""
        name = self.identifier(column)
        return f"{name} >= {self.literal(low)} AND {name} < {self.literal(high)}"

    def up_to(self, column: str, last: Any, *, after: Any = None) -> str:
        """The predicate of the values up to ``last``, and above ``after`` if it is given."""
        name = self.identifier(column)
        return f"{name} <= {self.literal(last)}" + ("" if after is None else f" AND {name} > {self.literal(after)}")
