"""The keys of staged rows: which are NULL, which are there twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.engine.fit import Upsert
from airflow_dataquality.engine.said import database_error
from airflow_dataquality.engine.session import Session
from airflow_dataquality.errors import DataQualityError, KeyViolation
from airflow_dataquality.model import Table
from airflow_dataquality.plans.upsert import NO_NULLS


@dataclass(frozen=True)
class Keys:
    """What is known of the keys of the staged rows.

    :param staged: rows staged
    :param surplus: rows that another row of the same key replaces
    :param dropped: rows left out as they have NULL in a key
    :param patterns: the sets of keys that are NULL together, in the rows that stay
    """

    staged: int = 0
    surplus: int = 0
    dropped: int = 0
    patterns: tuple[frozenset[str], ...] = ()

    @property
    def rows(self) -> int:
        """Rows that stay."""
        return self.staged - self.surplus - self.dropped

    @property
    def leave(self) -> bool:
        """Whether rows leave the stage."""
        return self.rows < self.staged

    @classmethod
    def of(cls, session: Session, stage: Table, work: Upsert, table: Table) -> Keys:
        """Look at the stage, in two statements.

        :raises KeyViolation: if there are keys that are to be errors, with all that is wrong
        """
        sql, keys = session.dialect, work.keys
        try:
            patterns = {
                frozenset(key for key, null in zip(keys, flags, strict=True) if null): int(rows)
                for *flags, rows in session.query(sql.null_patterns(stage, keys))
            }
            samples = session.query(sql.duplicates(stage, keys, table, known=work.on_null_keys != "match"))
        except DataQualityError:
            raise
        except Exception as error:
            raise database_error(
                f"{', '.join(keys)} cannot be compared", error, hint="choose keys with an equality"
            ) from error
        surplus = int(samples[0][-2]) if samples else 0
        nulls = {pattern: rows for pattern, rows in patterns.items() if pattern}
        problems = []
        if nulls and work.on_null_keys == "error":
            problems.append(_null_keys(nulls))
        if surplus and work.on_duplicate_keys == "error":
            problems.append(_shared_keys(keys, samples, surplus))
        staged = sum(patterns.values())
        if problems:
            raise _violation(table, staged, problems)
        if work.on_null_keys == "drop":
            return cls(staged, surplus, sum(nulls.values()), tuple({NO_NULLS} & patterns.keys()))
        return cls(staged, surplus, 0, tuple(sorted(patterns, key=sorted)))


_Problem = tuple[str, str]


def _null_keys(nulls: dict[frozenset[str], int]) -> _Problem:
    patterns = sorted((sorted(pattern), rows) for pattern, rows in nulls.items())
    where = "; ".join(f"{' and '.join(pattern)}: {rows:,}" for pattern, rows in patterns)
    return (
        f"rows with NULL in a key: {sum(nulls.values()):,} ({where})",
        'on_null_keys="drop" leaves rows without a key out, "match" has NULL equal NULL',
    )


def _shared_keys(keys: Sequence[str], samples: Sequence[Sequence[Any]], surplus: int) -> _Problem:
    several = int(samples[0][-1])
    shown = "; ".join(
        ", ".join(f"{key}={value!r}" for key, value in zip(keys, sample, strict=False)) + f" ({sample[-3]:,} rows)"
        for sample in samples
    )
    more = "; …" if several > len(samples) else ""
    return (
        f"surplus rows: {surplus:,}, keys shared: {several:,}: {shown}{more}",
        'on_duplicate_keys="keep_last" with order_by= keeps the last row of each key',
    )


def _violation(table: Table, staged: int, problems: Sequence[_Problem]) -> KeyViolation:
    lines = "".join(f"\n  - {line}" for line, _ in problems)
    return KeyViolation(
        f"the keys of {staged:,} rows staged for {table} are not in order; nothing was written:{lines}",
        hint="; ".join(hint for _, hint in problems),
    )
