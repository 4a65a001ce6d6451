"""The words of transforms, as frozen values.

A transform makes one table of others: a SELECT, or a function, or files, and a header in YAML that says what goes in,
what comes out, who owns it and what must hold. A pipeline is a folder of them; a project is a folder of pipelines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from airflow_dataquality.lint import Finding
from airflow_dataquality.model import Table

COMMON = ("kind", "description", "owner", "inputs", "output", "checks", "anomalies", "monitor", "schedule", "tags",
          "retries", "enforce_inputs")  # fmt: skip
"""Keys of every header."""
LOADING = ("fail_on", "ledger_schema", "lock_timeout", "exchange_timeout", "explain")
_STAGED = (*LOADING, "exchange", "keep_staging", "staging_ttl", "keep_previous", "on_schema_change", "allow_empty",
           "allow_side_effects")  # fmt: skip
OPTIONS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "create_table_as": ("sql", *_STAGED),
        "upsert": ("sql", "keys", "strategy", "on_duplicate_keys", "order_by", "on_null_keys", "skip_unchanged",
                   "update_columns", "insert_columns", *LOADING),
        "incremental_summary": ("sql", "keys", "measures", "grain", "since", "lookback_days", "on_gap",
                                "on_definition_change", "max_parallel", "exchange", "keep_staging", "staging_ttl",
                                "allow_empty", "allow_side_effects", "fail_on", "ledger_schema", "lock_timeout",
                                "exchange_timeout"),
        "sql": ("sql", "fail_on", "ledger_schema", "allow_empty", "exchange_timeout"),
        "python": ("function", *(name for name in _STAGED if name != "explain")),
        "load": ("files", "format", "delimiter", "file_columns", "aws_conn_id", "iam_role", "copy_options",
                 *(name for name in _STAGED if name != "explain")),
        "no_op": ("wait", "state", "min_rows", "min_score", "max_age", "poke_interval", "timeout"),
    }
)  # fmt: skip
"""The keys that a header of each kind has beside the common ones."""
KINDS = tuple(OPTIONS)
SELECTS = ("create_table_as", "upsert", "incremental_summary")
"""The kinds whose SQL is one SELECT."""
WITH_SQL = (*SELECTS, "sql")


@dataclass(frozen=True)
class Declared:
    """A column of an output, as its header has it.

    :param type: as the database writes it; a table of files or of Python values is created by it
    """

    name: str
    description: str | None = None
    type: str | None = None


@dataclass(frozen=True)
class Output:
    """The table that a transform makes.

    :param table: as the header writes it: ``analytics.daily_flights``
    :param partition: column → value, a template: ``{"ds": "{{ ds }}"}``; empty if the table is published as a whole
    :param indexes: columns of each index that the table is created with
    :param primary_key: columns, empty for none
    :param columns: name → what the header says of it; not all columns need be there
    """

    table: str
    partition: Mapping[str, Any] = field(default_factory=dict)
    indexes: tuple[tuple[str, ...], ...] = ()
    primary_key: tuple[str, ...] = ()
    columns: Mapping[str, Declared] = field(default_factory=dict)

    @cached_property
    def name(self) -> Table:
        """The table, its name folded as the database does."""
        return Table.parse(self.table)

    @property
    def types(self) -> Mapping[str, str]:
        """Column → type, if each has a type, so that the header means to name all of them; else empty."""
        found = {each.name: each.type for each in self.columns.values() if each.type}
        return found if len(found) == len(self.columns) else {}


@dataclass(frozen=True)
class Transform:
    """One transform.

    :param name: ``pipeline.name``; the latter is the name of its file
    :param kind: a word of :data:`KINDS`
    :param path: of the header
    :param inputs: the tables that it reads, as the header writes them
    :param output: None for a ``sql`` that makes no table
    :param sql: the text, a Jinja template; None for kinds without one
    :param sql_path: the file that it is in; None if it is in the header
    :param checks: what the header has: rules, or a path relative to the header's folder
    :param anomalies: arguments of ``ZScoreAnomalyOperator``; None for no test of anomalies
    :param monitor: who is told when one of its checks fails, unless the check has a monitor of its own
    :param owner: the header's, or the pipeline's
    :param schedule: the header's; :attr:`Pipeline.schedule` is the one that counts
    :param tags: the pipeline's, and the header's
    :param retries: the header's, or the pipeline's
    :param enforce_inputs: what its SQL reads must be what ``inputs`` says; False for SQL that cannot be read
    :param options: key of its kind → value, as far as the header has them
    """

    name: str
    kind: str
    path: Path
    inputs: tuple[str, ...] = ()
    output: Output | None = None
    sql: str | None = None
    sql_path: Path | None = None
    description: str = ""
    owner: str | None = None
    checks: Any = None
    anomalies: Mapping[str, Any] | None = None
    monitor: Mapping[str, Any] | None = None
    schedule: Any = None
    tags: tuple[str, ...] = ()
    retries: int | None = None
    enforce_inputs: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def pipeline(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def short_name(self) -> str:
        return self.name.rpartition(".")[2]

    @cached_property
    def reads(self) -> tuple[Table, ...]:
        """The tables of ``inputs``, their names folded."""
        return tuple(Table.parse(each) for each in self.inputs)

    @property
    def waits(self) -> bool:
        """Whether data of others (``no_op``) are waited for."""
        return self.kind == "no_op" and bool(self.options.get("wait", True))

    @property
    def function_path(self) -> str:
        """Where its function (``python``) is: ``package.module.name``, or ``path/of/a/file.py:name``."""
        function = str(self.options.get("function", "run"))
        return function if "." in function else f"{self.path.with_suffix('.py')}:{function}"

    @property
    def writes(self) -> Table | None:
        """The table of ``output``, its name folded."""
        return None if self.output is None else self.output.name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Settings:
    """What ``pipeline.yaml`` says for a whole pipeline; each transform may say otherwise, but of the schedule."""

    description: str = ""
    owner: str | None = None
    schedule: Any = None
    tags: tuple[str, ...] = ()
    retries: int | None = None
    start_date: str | None = None
    catchup: bool = False
    max_active_runs: int | None = None


@dataclass(frozen=True)
class Pipeline:
    """A folder of transforms: one DAG.

    :param name: its path in the project, with dots
    :param transforms: those whose headers can be used, by name
    :param mistakes: in any of its files; a pipeline with one does not run
    :param promised: tables that unusable headers seem to make: nobody else is to blame for reading them
    """

    name: str
    path: Path
    settings: Settings = field(default_factory=Settings)
    transforms: tuple[Transform, ...] = ()
    mistakes: tuple[Finding, ...] = ()
    promised: frozenset[Table] = frozenset()

    @property
    def schedule(self) -> Any:
        """The one schedule of its DAG: a second one is a mistake."""
        if self.settings.schedule is not None:
            return self.settings.schedule
        return next((each.schedule for each in self.transforms if each.schedule is not None), None)
