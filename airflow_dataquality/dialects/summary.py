"""SQL of a summary: aggregates of facts, their merge with the summary before, and what a reader sees of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from airflow_dataquality.dialects.names import Names

AGGREGATES: Mapping[str, tuple[str, str]] = {
    "sum": ("SUM({x})", "COALESCE({a} + {b}, {a}, {b})"),
    "count": ("COUNT({x})", "COALESCE({a} + {b}, {a}, {b})"),
    "min": ("MIN({x})", "LEAST({a}, {b})"),
    "max": ("MAX({x})", "GREATEST({a}, {b})"),
    "bit_or": ("BIT_OR({x})", "COALESCE({a} | {b}, {a}, {b})"),
}
"""By its word: how a state is computed over facts, and how two of it are merged, of which either may be NULL."""

ALWAYS, NEVER = "1 = 1", "1 = 0"
"""What is true of each fact, and of none."""

# A value of the type by whose name it is found: an equal one is told apart by whether it is NULL.
_NEUTRAL: Mapping[str, str] = {
    r"(small|big)?int|integer|int[248]|(numeric|decimal)\b.*|real|double precision|float[48]?": "0",
    r"text|name|bytea|(\w+\.)?citext|(n?var)?char\b.*|character\b.*|bpchar\b.*": "''",
    r"interval.*": "'0'",
    r"date|timestamp(?!tz|\(\d\) with t|.* with t).*": "'1970-01-01'",
    r"timestamp.*": "'1970-01-01 00:00:00+00'",
    r"bool(ean)?": "FALSE",
    r"uuid": "'00000000-0000-0000-0000-000000000000'",
}
# Partial sums of bits, in pairs, fours and bytes: Warren, Hacker's Delight, 2nd edition, 5-1.
_PAIRS, _FOURS, _BYTES = 0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F


@dataclass(frozen=True)
class Typed:
    """SQL of a value, and the type it has, as the catalog spells it."""

    sql: str
    type: str

    def __str__(self) -> str:
        return self.sql


class SummarySql(Names):
    """How a dialect computes, merges and finishes the states of measures."""

    summary_setup: Sequence[str] = ()
    """Statements before those of a summary, in their transaction."""
    shards = False
    """Whether :meth:`shard` tells subjects apart, so that several connections can share the work."""
    can_shard: str | None = None
    """A query for whether this server knows what :meth:`shard` says, where not all do."""

    def shard(self, keys: Sequence[str], number: int, of: int, types: Mapping[str, str] | None = None) -> str:
        """The predicate of the subjects that fall into one of so many shards, of facts as of summaries.

        :param types: of the keys in the summary: an equal number of another type falls elsewhere
        """
        raise AssertionError(f"{type(self).__name__} has no such predicate")

    # -- states

    def aggregate(self, word: str, of: str, when: str = ALWAYS) -> str:
        """A state, computed over the facts of which the predicate is true."""
        if when != ALWAYS:
            of = f"CASE WHEN {when} THEN {'1' if of == '*' else of} END"
        return AGGREGATES[word][0].format(x=of)

    def merged(self, word: str, a: str, b: str) -> str:
        """Two states as one. LEAST and GREATEST ignore NULL, as COALESCE does here."""
        return AGGREGATES[word][1].format(a=a, b=b)

    def merged_all(self, word: str, states: Sequence[str]) -> str:
        """Many states as one, each said no more than twice."""
        if word in ("min", "max"):
            return f"{'LEAST' if word == 'min' else 'GREATEST'}({', '.join(states)})"
        operator = " | " if word == "bit_or" else " + "
        total = operator.join(f"COALESCE({state}, 0)" for state in states)
        return f"CASE WHEN COALESCE({', '.join(states)}) IS NOT NULL THEN {total} END"

    def known(self, *values: str) -> str:
        """The first that is known."""
        return f"COALESCE({', '.join(values)})"

    def unless_zero(self, number: str) -> str:
        """The number, or NULL."""
        return f"NULLIF({number}, 0)"

    def or_zero(self, number: str) -> str:
        """The number, or 0."""
        return f"COALESCE({number}, 0)"

    def ratio(self, total: str, count: str) -> str:
        """A mean: cast before the division, which is one of integers otherwise."""
        return f"CAST({total} AS DOUBLE PRECISION) / NULLIF({count}, 0)"

    def of_one(self, when: str, value: str) -> str:
        """The value of the one fact of which the predicate is true."""
        return f"MAX(CASE WHEN {when} THEN {value} END)"

    def after(self, one: Sequence[str], other: Sequence[str]) -> str:
        """Whether one list of values comes after the other, element by element, NULL before everything."""
        (a, *rest), (b, *others) = one, other
        later = f"{a} > {b} OR ({b} IS NULL AND {a} IS NOT NULL)"
        if not rest:
            return later
        return f"{later} OR (({a} = {b} OR ({a} IS NULL AND {b} IS NULL)) AND ({self.after(rest, others)}))"

    def either(self, when: str, value: str, otherwise: str) -> str:
        """One of two values."""
        return f"CASE WHEN {when} THEN {value} ELSE {otherwise} END"

    def days_between(self, later: Typed, earlier: str) -> str:
        """How many days lie between two values of a partition column.

        Of text and integers the digits are read as year, month, day: ``2013-02-01``, ``20130201``, ``2013-02``. What is
        left out is 01; what follows is the time.
        """
        return f"{self.day_of(later)} - {self.day_of(Typed(earlier, later.type))}"

    def day_of(self, value: Typed) -> str:
        """The day of a value of a partition column."""
        if value.type == "date":
            return value.sql
        if value.type.startswith("timestamp"):
            with_zone = value.type.startswith("timestamptz") or value.type.endswith("with time zone")
            return f"CAST({value} AT TIME ZONE 'UTC' AS DATE)" if with_zone else f"CAST({value} AS DATE)"
        return f"CAST(RPAD(REPLACE({self.as_text(value.sql)}, '-', ''), 8, '01') AS DATE)"

    def as_text(self, value: str) -> str:
        """The value as text."""
        return f"CAST({value} AS VARCHAR)"

    def as_type(self, value: str, kind: str) -> str:
        """The value in a type; text stays as it is, as it might be cut."""
        return value if "char" in kind or kind == "text" else f"CAST({value} AS {kind})"

    # -- days as bits

    def bit(self, number: int) -> str:
        return f"CAST({1 << number} AS BIGINT)"

    def bits_of(self, seen: Mapping[str, str]) -> str:
        """A bitmap over facts: the bits whose predicate is true of some fact, by the bit."""
        if ALWAYS in seen.values():
            return next(bit for bit, when in seen.items() if when == ALWAYS)
        cases = " ".join(f"WHEN {when} THEN {bit}" for bit, when in seen.items() if when != NEVER)
        return f"COALESCE(BIT_OR(CASE {cases} END), 0)" if cases else "CAST(0 AS BIGINT)"

    def shifted(self, bits: str, by: int, width: int) -> str:
        """The lowest ``width`` bits, after a shift to the left. Arithmetic, so that a sign is never touched."""
        if by >= width:
            return f"{bits} * 0"
        return f"({bits} % {self.bit(width - by)}) * {self.bit(by)}"

    def count_bits(self, bits: str) -> str:
        """How many bits are set in a BIGINT that is not negative. Only Postgres has bit_count, from 14 on."""
        pairs = f"({bits} - ({bits} / 2 & {_PAIRS}))"
        fours = f"(({pairs} & {_FOURS}) + ({pairs} / 4 & {_FOURS}))"
        return f"({fours} + {fours} / 16 & {_BYTES}) % 255"

    # -- rows

    def summary_rows(
        self, columns: Mapping[str, str], source: str, alias: str = "", *, where: str | None = None,
        group_by: Iterable[str] = (),
    ) -> str:  # fmt: skip
        """Rows of a table expression: names → SQL, those that are grouped by given by name."""
        listed = ",\n  ".join(
            name if name == value else f"{value} AS {name}"
            for name, value in ((self.identifier(column), value) for column, value in columns.items())
        )
        named = f" AS {alias}" if alias else ""
        condition = f"\nWHERE {where}" if where else ""
        grouped = self.identifiers(group_by)
        return f"SELECT\n  {listed}\nFROM {source}{named}{condition}" + (f"\nGROUP BY {grouped}" if grouped else "")

    def nested(self, select: str) -> str:
        """A SELECT as a table expression; not indented, as a text in it may have lines."""
        return f"(\n{select}\n)"

    def rank(self, keys: Sequence[str], order: Sequence[str]) -> str:
        """1 for the last fact of a subject, NULL before everything."""
        last = ", ".join(f"{value} DESC NULLS LAST" for value in order)
        return f"ROW_NUMBER() OVER (PARTITION BY {self.identifiers(keys)} ORDER BY {last})"

    def paired(self, left: str, right: str, keys: Mapping[str, str]) -> str:
        """All rows of ``a`` and ``b``, those of one subject side by side, NULL being one.

        :param keys: their types, as no database joins all rows by ``IS NOT DISTINCT FROM``
        """
        on = " AND ".join(term for key, kind in keys.items() for term in self._subject(self.identifier(key), kind))
        return f"{left} AS a\nFULL JOIN {right} AS b\nON {on}"

    def _subject(self, key: str, kind: str) -> list[str]:
        neutral = self.neutral(kind)
        a, b = (f"{of}.{key}" if neutral else self.as_text(f"{of}.{key}") for of in "ab")
        value = neutral or "''"
        return [
            f"COALESCE({a}, {value}) = COALESCE({b}, {value})",
            f"{self._is_null('a', key)} = {self._is_null('b', key)}",
        ]

    def _is_null(self, alias: str, key: str) -> str:
        return f"CASE WHEN {alias}.{key} IS NULL THEN 1 ELSE 0 END"

    def neutral(self, kind: str) -> str | None:
        """Some value of a type, as SQL; None if it is not known to have one.

        >>> SummarySql().neutral("numeric(10,2)"), SummarySql().neutral("int4range")
        ('0', None)
        """
        return next((value for types, value in _NEUTRAL.items() if re.fullmatch(types, kind)), None)
