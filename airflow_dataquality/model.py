"""The words of the package, as frozen values. See ``docs/pages/concepts.md``.

A check is a metric and the interval it must lie in. A plan is the ordered SQL of one load. Values
are frozen and hashable, so equality deduplicates work: two checks of the same metric measure it once.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow_dataquality.errors import SpecError
from airflow_dataquality.interval import Interval as Interval  # noqa: PLC0414 - one of the words, and exported as such

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


@dataclass(frozen=True)
class Partition:
    """Part of a table: the rows whose columns have these values. An empty key is the whole table."""

    table: Table
    key: tuple[tuple[str, Scalar], ...] = ()

    @classmethod
    def of(cls, table: Table, key: Mapping[str, Scalar] | None) -> Partition:
        return cls(table, tuple((key or {}).items()))

    @property
    def as_dict(self) -> dict[str, Scalar]:
        return dict(self.key)

    @property
    def json(self) -> str:
        """The key as the ledger stores it: JSON, columns sorted; ``{}`` for a whole table."""
        return json.dumps(self.as_dict, sort_keys=True, ensure_ascii=False, default=str)

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
    """

    kind: str
    columns: tuple[str, ...] = ()
    params: tuple[tuple[str, Any], ...] = ()
    where: str | None = None

    def param(self, name: str) -> Any:
        return dict(self.params)[name]

    def __str__(self) -> str:
        extra = (f"q={self.param('q')}",) if self.kind == "quantile" else ()
        inside = ", ".join((*self.columns, *extra))
        return self.kind + (f"({inside})" if inside else "") + (f" where {self.where}" if self.where else "")


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
    """A metric and the interval it must lie in.

    :param source: where it was written, for error messages: ``checks/flights.yaml: rules[2]``
    :param named: the name was given by hand
    :param folds: its columns are bare SQL identifiers, which the database folds, not exact names
    :param null_is_zero: a NULL counts as 0, as in Airflow's SQLColumnCheckOperator
    :param implied: made by the package, so that it counts only when it fails
    """

    name: str
    metric: Metric
    expect: Interval
    severity: Severity = Severity.ERROR
    description: str | None = None
    dimension: str | None = None
    source: str | None = field(default=None, compare=False)
    named: bool = field(default=False, compare=False)
    folds: bool = field(default=False, compare=False)
    null_is_zero: bool = field(default=False, compare=False)
    implied: bool = field(default=False, compare=False)


class Status(enum.StrEnum):
    """What was found. SKIP ("no data", "cannot tell yet") and ERROR (the query failed) are not PASS."""

    PASS = "pass"  # noqa: S105 - a status
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


@dataclass(frozen=True)
class Measurement:
    """What a metric's query gave: a value; or why there is none.

    :param rows: rows in the metric's scope, None where that has no meaning
    :param error: the database's words, if the query failed
    :param absent: why there is nothing to measure ("production has no such partition")
    :param detail: what a number counts, in words: "missing: carrier"
    """

    value: Any = None
    rows: int | None = None
    error: str | None = None
    absent: str | None = None
    detail: str | None = None


@dataclass(frozen=True)
class Result:
    """A check, judged."""

    check: Check
    value: Any
    status: Status
    reason: str


@dataclass(frozen=True)
class Summary:
    """The results of one run, counted."""

    results: tuple[Result, ...]

    def count(self, status: Status) -> int:
        return sum(result.status is status for result in self.results)

    def names(self, *statuses: Status) -> list[str]:
        return [result.check.name for result in self.results if result.status in statuses]

    @property
    def score(self) -> float:
        """1 − failures / checks, a warning counting a quarter. Without checks, 1.

        The formula of Airflow's ``common.dataquality``, so that consumers gate on either.
        """
        if not self.results:
            return 1.0
        lost = self.count(Status.FAIL) + self.count(Status.ERROR) + 0.25 * self.count(Status.WARN)
        return round(1 - lost / len(self.results), 4)

    def blocking(self, fail_on: FailOn) -> list[Result]:
        """The results that fail the task.

        A check whose query failed always does: what could not be asked was not answered.
        """
        blocked = {FailOn.ERROR: {Status.FAIL}, FailOn.WARN: {Status.FAIL, Status.WARN}, FailOn.NEVER: set()}
        return [r for r in self.results if r.status is Status.ERROR or r.status in blocked[fail_on]]

    def as_dict(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "passed": self.count(Status.PASS),
            "warned": self.count(Status.WARN),
            "failed": self.count(Status.FAIL),
            "errored": self.count(Status.ERROR),
            "skipped": self.count(Status.SKIP),
            "failed_rules": self.names(Status.FAIL, Status.ERROR),
            "warned_rules": self.names(Status.WARN),
        }


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
