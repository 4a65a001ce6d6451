"""The exceptions of the package.

::

    DataQualityError
    ├── SpecError          a check, rule, condition or argument that can never work (also a ValueError)
    ├── TableError         the table, or the SELECT that fills it, does not fit
    │   ├── SchemaDrift    columns missing, unexpected, or of a type that cannot be stored
    │   ├── PartitionError the partition's key or value does not fit the table
    │   ├── MissingPartitions the partitions before it, which a summary continues, are not published
    │   ├── DefinitionChanged published partitions of a summary are made of something else
    │   └── KeyViolation   staged rows have NULL in a key, or share a key
    ├── ChecksFailed       checks blocked the publication; ``outcome`` holds the summary
    ├── DecisionRefused    a blocked publication is not to be decided on so, or not any more
    ├── ChunksFailed       chunks of a backfill failed; ``failed`` names them, production is unchanged
    └── ExchangeError      the staged rows could not be made visible; production is unchanged
        ├── ExchangeRefused  this mode would lose or trigger something; ``losses`` names it
        └── ExchangeTimeout  a lock was not to be had in time

Every message says what is wrong and where, and ends with a ``Hint:`` that says how to mend it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_dataquality.results import Summary


class DataQualityError(Exception):
    """Base of everything that this package raises on purpose.

    :param message: what is wrong, and where
    :param hint: how to mend it
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\nHint: {hint}" if hint else message)


class SpecError(DataQualityError, ValueError):
    """A check, rule, condition or argument that can never work."""


class TableError(DataQualityError):
    """The table, or the SELECT that fills it, does not fit."""


class SchemaDrift(TableError):
    """The SELECT's columns are not the table's columns."""


class PartitionError(TableError):
    """The partition's key or value does not fit the table or the rows."""


class MissingPartitions(TableError):
    """Partitions that a summary continues are not published."""


class DefinitionChanged(TableError):
    """Published partitions of a summary are made of something else, and are not to be mixed."""


class KeyViolation(TableError):
    """Rows to be upserted have NULL in a key, or share a key. Nothing was written."""


class ChecksFailed(DataQualityError):
    """Checks blocked the publication.

    :param outcome: the summary that the operator would have returned
    :param summary: the results themselves
    """

    def __init__(
        self, message: str, *, outcome: Mapping[str, Any], summary: Summary | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome
        self.summary = summary


class DecisionRefused(DataQualityError):
    """A blocked publication is not to be decided on so, or not any more. Nothing was changed."""


class ChunksFailed(DataQualityError):
    """Chunks of a backfill failed. The others stay staged, production is unchanged.

    :param failed: the chunks
    """

    def __init__(self, message: str, *, failed: Iterable[str], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.failed = tuple(failed)


class ExchangeError(DataQualityError):
    """The staged rows could not be made visible. Production is unchanged."""


class ExchangeRefused(ExchangeError):
    """This way of exchanging would lose or trigger something.

    :param losses: one line for each thing that stands in the way
    """

    def __init__(self, message: str, *, losses: Iterable[str] = (), hint: str | None = None) -> None:
        self.losses = tuple(losses)
        listed = "".join(f"\n  - {loss}" for loss in self.losses)
        super().__init__(message + listed, hint=hint)


class ExchangeTimeout(ExchangeError):
    """A lock on the table was not to be had in time."""


def did_you_mean(word: str, candidates: Iterable[str], *, label: str = "Known") -> str:
    """Say which spelling was probably meant, then the candidates.

    >>> did_you_mean("nul_count", ["null_count", "row_count"], label="Checks")
    "did you mean 'null_count'? Checks: null_count, row_count"
    """
    candidates = sorted(set(candidates))
    lower = {c.lower(): c for c in candidates}
    near = difflib.get_close_matches(str(word).lower(), list(lower), n=1)
    listed = f"{label}: {', '.join(candidates) or '(none)'}"
    return f"did you mean {str(lower[near[0]])!r}? {listed}" if near else listed
