"""The words of the package, as frozen values. See ``docs/pages/concepts.md``.

A check is a metric and the interval it must lie in. A plan is the ordered SQL of one load. Values
are frozen and hashable, so equality deduplicates work: two checks of the same metric measure it once.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_dataquality.baseline import Baseline as Baseline  # noqa: PLC0414 - as below
from airflow_dataquality.errors import SpecError
from airflow_dataquality.interval import Interval as Interval  # noqa: PLC0414 - one of the words, and exported as such
from airflow_dataquality.monitor import Monitor

if TYPE_CHECKING:
    from airflow_dataquality.formula import Formula

Scalar = int | float | Decimal | str | bool | date | datetime | timedelta | None


@dataclass(frozen=True)
class Table:
    """A table's name. ``schema`` is None where the database has none, or until it is resolved."""

    name: str
    schema: str | None = None

    @classmethod
    def parse(cls, text: str, fold: Callable[[str], str] = str.lower) -> Table:
        """Read SQL-quoted identifiers: unquoted parts are folded, as the database folds them.

        :raises SpecError: if the text is not ``name`` or ``schema.name``

        >>> Table.parse('Analytics."Daily Flights"')
        Table(name='Daily Flights', schema='analytics')
        """
        parts = _identifiers(text, fold)
        if len(parts) > 2:  # noqa: PLR2004 - schema and name
            raise SpecError(
                f"table {text!r} names a database as well as a schema",
                hint="the connection chooses the database: write schema.table",
            )
        return cls(parts[-1], parts[0] if parts[1:] else None)

    def __str__(self) -> str:
        return ".".join(_plain(part) for part in (self.schema, self.name) if part is not None)


_IDENTIFIER = re.compile(r'\s*(?:"((?:[^"\x00]|"")+)"|([^\W\d][\w$]*))\s*')


def _identifiers(text: str, fold: Callable[[str], str]) -> list[str]:
    parts: list[str] = []
    position = 0
    while match := _IDENTIFIER.match(text, position):
        quoted, bare = match.groups()
        parts.append(quoted.replace('""', '"') if quoted is not None else fold(bare))
        position = match.end()
        if position == len(text):
            return parts
        if text[position] != ".":
            break
        position += 1
    raise SpecError(
        f"{text!r} is not a table name",
        hint='write schema.table, and quote what is not a plain word: analytics."Daily Flights"',
    )


def _plain(identifier: str) -> str:
    """Quote an identifier only if it needs it, for people to read (never for SQL).

    >>> _plain("flights"), _plain("Daily Flights")
    ('flights', '"Daily Flights"')
    """
    if re.fullmatch(r"[^\W\d A-Z][^\WA-Z]*", identifier):
        return identifier
    return '"' + identifier.replace('"', '""') + '"'


def as_json(key: Iterable[tuple[str, Scalar | Range]]) -> str:
    """Columns and their values as the ledger stores them: JSON, columns sorted.

    >>> as_json([("region", "EU"), ("ds", date(2013, 2, 1))])
    '{"ds": "2013-02-01", "region": "EU"}'
    """
    return json.dumps(dict(key), sort_keys=True, ensure_ascii=False, default=str)


@dataclass(frozen=True)
class Range:
    """The values from one to another, both included, but these: many partitions, as one.

    >>> str(Range("2013-01-01", "2013-12-31"))
    '2013-01-01/2013-12-31'
    """

    first: Scalar
    last: Scalar
    but: tuple[Scalar, ...] = ()

    def __str__(self) -> str:
        return f"{self.first}/{self.last}"


@dataclass(frozen=True)
class Partition:
    """Part of a table: the rows whose columns have these values. An empty key is the whole table."""

    table: Table
    key: tuple[tuple[str, Scalar | Range], ...] = ()

    @classmethod
    def of(cls, table: Table, key: Mapping[str, Scalar | Range] | None) -> Partition:
        return cls(table, tuple((key or {}).items()))

    @property
    def as_dict(self) -> dict[str, Scalar]:
        """Column → value, of one partition."""
        return {column: value for column, value in self.key if not isinstance(value, Range)}

    @property
    def several(self) -> bool:
        """Whether it is a range of partitions."""
        return any(isinstance(value, Range) for _, value in self.key)

    @property
    def json(self) -> str:
        """The key as the ledger stores it: JSON, columns sorted; ``{}`` for a whole table."""
        return as_json(self.key)

    def __str__(self) -> str:
        key = ", ".join(f"{column}={value}" for column, value in self.key)
        return f"{self.table}/{key}" if key else str(self.table)


@dataclass(frozen=True)
class Metric:
    """A number measured on a partition: what to measure, not how.

    :param kind: a word of :data:`airflow_dataquality.vocabulary.KINDS`
    :param columns: the columns it is measured on
    :param params: its other parameters, as sorted pairs
    :param where: a predicate in the warehouse's SQL that narrows the rows
    :param group: the value of a dimension, as column and value, whose rows alone are measured
    :param label: the name of the check that it is of, where its parameters do not fit into a name
    """

    kind: str
    columns: tuple[str, ...] = ()
    params: tuple[tuple[str, Any], ...] = ()
    where: str | None = None
    group: tuple[tuple[str, Scalar], ...] = ()
    label: str | None = None

    def param(self, name: str) -> Any:
        return dict(self.params)[name]

    def __str__(self) -> str:
        return self._words + (f" {as_json(self.group)}" if self.group else "")

    @property
    def _words(self) -> str:
        extra = (f"q={self.param('q')}",) if self.kind == "quantile" else ()
        inside = ", ".join((*self.columns, *extra))
        return self.kind + (f"({inside})" if inside else "") + (f" where {self.where}" if self.where else "")

    @property
    def series(self) -> str:
        """What its past is kept under: as it is said, and what tells it from others that are said alike.

        >>> Metric("mean", ("fare",)).series, Metric("custom_sql", params=(("sql", "SELECT 1"),), label="late").series
        ('mean(fare)', 'custom_sql [late]')
        """
        unsaid = [(name, value) for name, value in self.params if name != "q"]
        if not unsaid:
            return str(self)
        known = self.label or hashlib.blake2s(repr(unsaid).encode(), digest_size=4).hexdigest()
        return f"{self._words} [{known}]" + (f" {as_json(self.group)}" if self.group else "")


class Severity(enum.StrEnum):
    """What a check outside its interval does: ERROR blocks, WARN is reported."""

    ERROR = "error"
    WARN = "warn"


class FailOn(enum.StrEnum):
    """From which severity on a check outside its interval fails the task."""

    ERROR = "error"
    WARN = "warn"
    NEVER = "never"


@dataclass(frozen=True)
class Check:
    """A metric and the interval it must lie in, given or computed from the metric's past; or a formula of two queries.

    :param source: where it was written, for error messages: ``checks/flights.yaml: rules[2]``
    :param named: the name was given by hand
    :param folds: its columns are bare SQL identifiers, which the database folds, not exact names
    :param null_is_zero: a NULL counts as 0, as in Airflow's SQLColumnCheckOperator
    :param implied: made by the package, so that it counts only when it fails
    :param monitor: who is told when it fails
    """

    name: str
    metric: Metric
    expect: Interval | Baseline | Formula
    severity: Severity = Severity.ERROR
    description: str | None = None
    dimension: str | None = None
    source: str | None = field(default=None, compare=False)
    named: bool = field(default=False, compare=False)
    folds: bool = field(default=False, compare=False)
    null_is_zero: bool = field(default=False, compare=False)
    implied: bool = field(default=False, compare=False)
    monitor: Monitor | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Column:
    """A column as the catalog describes it.

    :param type: the full type, as the database prints it: ``numeric(10,2)``
    :param category: ``number``, ``text``, ``time``, ``boolean``, ``other``; None if the database cannot tell
    :param generated: computed by the database, so no SELECT may supply it
    :param identity: filled by the database when the SELECT does not supply it
    :param bytewise: equal text means equal bytes (false for case-insensitive collations)
    """

    name: str
    type: str
    category: str | None = None
    generated: bool = False
    identity: bool = False
    bytewise: bool = True


@dataclass(frozen=True)
class Statement:
    """One SQL statement of a plan, and what it is for.

    :param counts: its row count is the number of rows that the plan is about
    """

    sql: str
    purpose: str = ""
    counts: bool = False


@dataclass(frozen=True)
class Plan:
    """Ordered SQL of one load step: data, printable without a connection.

    :param atomic: run in one transaction
    """

    statements: tuple[Statement, ...]
    atomic: bool = True

    @classmethod
    def of(cls, *statements: Statement | Iterable[Statement], atomic: bool = True) -> Plan:
        flat: list[Statement] = []
        for item in statements:
            flat.extend([item] if isinstance(item, Statement) else item)
        return cls(tuple(flat), atomic)

    def __str__(self) -> str:
        lines = [f"{s.sql};" + (f"  -- {s.purpose}" if s.purpose else "") for s in self.statements]
        return "\n".join(["BEGIN;", *lines, "COMMIT;"] if self.atomic else lines)
