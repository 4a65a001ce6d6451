"""The check vocabulary: every metric that a check can name, as data.

The SQL of each kind is the dialect's (:mod:`airflow_dataquality.dialects`); the reference page in the
docs is generated from this table.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Family(enum.Enum):
    """With what a metric shares a statement."""

    PLAIN = "one scan, beside every other plain aggregate"
    SORTED = "one scan, beside every other distinct count and quantile"
    CATALOG = "the catalog, without reading the table"
    ALONE = "a statement of its own"


class Takes(enum.Enum):
    """How many columns a metric is measured on."""

    NONE = "no column"
    ONE = "one column"
    SOME = "one or several columns"


@dataclass(frozen=True)
class Kind:
    """A word of the vocabulary.

    :param doc: what is measured, and what happens to NULL
    :param takes: how many columns it wants
    :param category: the category of column it is defined on, None for any
    :param params: names of its own parameters; a trailing ``?`` marks an optional one
    :param violations: it counts what is wrong, so that its condition defaults to ``equal_to: 0``
    :param value: type of the value: ``number``, ``scalar`` (whatever the column holds), ``duration`` (seconds)
    :param counts_empty: zero rows are an answer, not "no data"
    :param compares: with what production holds now, so that it needs a staged load
    :param health: of the stored table and not of its rows, so that neither a partition nor staged rows have it
    :param momentary: depends on when it is measured, so that an old partition cannot tell what it was
    :param scale: what its past is judged as: a ``count``, a ``rate`` from 0 to 1, or a ``value``
    :param implied: made by the operators, not written by users
    """

    doc: str
    dimension: str
    family: Family = Family.PLAIN
    takes: Takes = Takes.ONE
    category: str | None = None
    params: tuple[str, ...] = ()
    violations: bool = False
    value: str = "number"
    counts_empty: bool = False
    compares: bool = False
    health: bool = False
    momentary: bool = False
    scale: str = "value"
    implied: bool = False


DIMENSIONS = ("completeness", "consistency", "freshness", "uniqueness", "validity", "volume")

KINDS: dict[str, Kind] = {
    "row_count": Kind("Number of rows.", "volume", takes=Takes.NONE, counts_empty=True, scale="count"),
    "null_count": Kind("Rows in which the column is NULL.", "completeness", violations=True),
    "null_ratio": Kind("Share of rows in which the column is NULL, 0 to 1.", "completeness", scale="rate"),
    "true_ratio": Kind(
        "Share of the known values that are true, 0 to 1; NULLs are ignored.",
        "validity",
        category="boolean",
        scale="rate",
    ),
    "distinct_count": Kind(
        "Different values of the column; NULL is not one.", "uniqueness", Family.SORTED, scale="count"
    ),
    "unique_violations": Kind(
        "Surplus rows: rows with a key, minus different keys. A key with NULL in any of its columns repeats "
        "nothing and is not counted, as in a UNIQUE constraint; add `null_count` to forbid it. With several "
        "columns the key is the combination.",
        "uniqueness",
        Family.SORTED,
        Takes.SOME,
        violations=True,
    ),
    "min": Kind("Smallest value; NULLs are ignored.", "validity", value="scalar"),
    "max": Kind("Largest value; NULLs are ignored.", "validity", value="scalar"),
    "mean": Kind("Arithmetic mean, computed in floating point; NULLs are ignored.", "validity", category="number"),
    "stddev": Kind(
        "Sample standard deviation (n − 1); NULLs are ignored, and fewer than two values have none.",
        "validity",
        category="number",
    ),
    "sum": Kind("Sum; NULLs are ignored.", "validity", category="number"),
    "quantile": Kind(
        "The `q` quantile, 0 to 1, interpolated as SQL's PERCENTILE_CONT does; NULLs are ignored.",
        "validity",
        Family.SORTED,
        category="number",
        params=("q",),
    ),
    "min_length": Kind("Characters in the shortest text; NULLs are ignored.", "validity", category="text"),
    "max_length": Kind("Characters in the longest text; NULLs are ignored.", "validity", category="text"),
    "empty_count": Kind(
        "Rows whose text is empty (`''`). NULL and blanks are not.", "completeness", category="text", violations=True
    ),
    "pattern_violations": Kind(
        "Rows whose text does not match the regular expression `pattern` anywhere (anchor it with ^ and $); "
        "NULL is no violation. The syntax is the database's: POSIX on Postgres, Python's on SQLite.",
        "validity",
        category="text",
        params=("pattern",),
        violations=True,
    ),
    "values_outside": Kind(
        "Rows whose value is not one of `values`; NULL is no violation.",
        "validity",
        params=("values",),
        violations=True,
    ),
    "orphan_count": Kind(
        "Rows whose key is missing in the table `references` (in its `referenced_columns`, by default the same "
        "names). A key with NULL in it refers to nothing and is not counted, as in a FOREIGN KEY.",
        "consistency",
        Family.ALONE,
        Takes.SOME,
        params=("references", "referenced_columns?"),
        violations=True,
    ),
    "freshness": Kind(
        "Age of the newest timestamp, in seconds before now; negative if it lies in the future. A condition may be "
        'written as "90s", "15m", "26h" or "2d". A timestamp without zone is read in the session\'s time zone.',
        "freshness",
        category="time",
        value="duration",
        momentary=True,
    ),
    "schema": Kind(
        "Differences between the table's columns and `columns` (names, or names with types): missing, unexpected, "
        "or of another type. Order does not matter.",
        "consistency",
        Family.CATALOG,
        Takes.NONE,
        params=("columns",),
        violations=True,
        counts_empty=True,
    ),
    "column_count": Kind(
        "Number of the table's columns.",
        "consistency",
        Family.CATALOG,
        Takes.NONE,
        counts_empty=True,
        scale="count",
        momentary=True,
    ),
    "custom_sql": Kind(
        "The one value that `sql` returns; `{table}` in it names what is being checked: the staged rows, the "
        "table, or its partition.",
        "validity",
        Family.ALONE,
        Takes.NONE,
        params=("sql",),
        value="scalar",
        counts_empty=True,
    ),
    "check_statement": Kind(
        "1 if the boolean SQL expression `statement` holds, for every row or as an aggregate, else 0 (the "
        "`check_statement` of Airflow's SQLTableCheckOperator). About the rows of an empty table it says nothing, and "
        "is skipped. Its condition defaults to `equal_to: 1`.",
        "validity",
        Family.ALONE,
        Takes.NONE,
        params=("statement",),
    ),
    "row_count_ratio": Kind(
        "Rows staged, divided by the rows that production holds of the same partition now; skipped if it holds none.",
        "volume",
        Family.ALONE,
        Takes.NONE,
        counts_empty=True,
        compares=True,
        momentary=True,
    ),
    "lost_keys": Kind(
        "Keys that production holds of the same partition and the staged rows do not. NULL is a value here.",
        "completeness",
        Family.ALONE,
        Takes.SOME,
        violations=True,
        counts_empty=True,
        compares=True,
        momentary=True,
    ),
    "unseen_values": Kind(
        "Different staged values that production, in any partition, does not hold. NULL is not one.",
        "validity",
        Family.ALONE,
        compares=True,
        momentary=True,
        violations=True,
    ),
    "churn_ratio": Kind(
        "Keys lost plus keys gained, divided by the keys that production holds of the same partition: 0 if "
        "nothing changed; skipped if it holds none. NULL is a value here.",
        "consistency",
        Family.ALONE,
        Takes.SOME,
        counts_empty=True,
        compares=True,
        momentary=True,
    ),
    "mean_shift": Kind(
        "How far the mean of the staged values is from production's of the same partition, in standard deviations of "
        "production's values: 0.1 is a shift that few would notice; skipped if production holds none.",
        "consistency",
        Family.ALONE,
        category="number",
        compares=True,
        momentary=True,
    ),
    "table_size_mb": Kind(
        "Size of the stored table on disk, in MB of 1,048,576 bytes, with its indexes and TOAST on Postgres. "
        "On Redshift and Postgres.",
        "volume",
        Family.ALONE,
        Takes.NONE,
        counts_empty=True,
        health=True,
        momentary=True,
    ),
    "unsorted_ratio": Kind(
        "Share of the stored rows that are not in the order of the sort key, 0 to 1; skipped for a table without one. "
        "VACUUM sorts them. On Redshift.",
        "consistency",
        Family.ALONE,
        Takes.NONE,
        counts_empty=True,
        health=True,
        momentary=True,
    ),
    "stats_off": Kind(
        "How stale the planner's statistics of the stored table are: 0 is current, 100 out of date. ANALYZE renews "
        "them. On Redshift.",
        "consistency",
        Family.ALONE,
        Takes.NONE,
        counts_empty=True,
        health=True,
        momentary=True,
    ),
    "skew_rows": Kind(
        "Rows on the slice that stores most of them, divided by the rows on the slice that stores fewest; skipped for "
        "a table that is not distributed by a key. On Redshift.",
        "consistency",
        Family.ALONE,
        Takes.NONE,
        counts_empty=True,
        health=True,
        momentary=True,
    ),
    "outside_partition": Kind(
        "Staged rows that do not belong to the named partition.",
        "validity",
        takes=Takes.SOME,
        params=("key",),
        violations=True,
        counts_empty=True,
        implied=True,
    ),
}


def scale_of(kind: Kind) -> str:
    """What the kind's past is judged as: what counts violations is a count."""
    return "count" if kind.violations else kind.scale


WRITABLE = tuple(name for name, kind in KINDS.items() if not kind.implied)
