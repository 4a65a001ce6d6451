"""Fill the pages with what the code says: checks, ledger, metrics, commands, errors, headers of transforms.

A page holds a marker, ``<!-- generated: checks -->``, and MkDocs calls :func:`on_page_markdown` for each page.
The tests call the same functions.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from airflow_dataquality import errors
from airflow_dataquality.engine.tables import TABLES
from airflow_dataquality.grammar import params_of
from airflow_dataquality.telemetry import CATALOGUE, COMMON
from airflow_dataquality.transforms.model import OPTIONS
from airflow_dataquality.vocabulary import KINDS, WRITABLE, Family, Kind, Takes

EXAMPLES: dict[str, dict[str, Any]] = {
    "row_count": {"condition": {"geq_to": 500, "leq_to": 1200}},
    "null_count": {"column": "carrier", "condition": {"equal_to": 0}},
    "null_ratio": {"column": "tailnum", "condition": {"leq_to": 0.05}, "severity": "warn"},
    "true_ratio": {"column": "cancelled", "condition": {"leq_to": 0.2}},
    "distinct_count": {"column": "origin", "condition": {"equal_to": 3}},
    "unique_violations": {"columns": ["ds", "carrier", "origin"], "condition": {"equal_to": 0}},
    "min": {"column": "distance", "condition": {"greater_than": 0}},
    "max": {"column": "ds", "condition": {"leq_to": "2013-12-31"}},
    "mean": {"column": "dep_delay", "condition": {"geq_to": -20, "leq_to": 120}, "severity": "warn"},
    "stddev": {"column": "dep_delay", "condition": {"less_than": 60}},
    "sum": {"column": "flights", "condition": {"equal_to": 900, "tolerance": 25}},
    "quantile": {"column": "arr_delay", "q": 0.9, "condition": {"less_than": 25}},
    "min_length": {"column": "carrier", "condition": {"geq_to": 2}},
    "max_length": {"column": "carrier", "condition": {"leq_to": 2}},
    "empty_count": {"column": "carrier", "condition": {"equal_to": 0}},
    "pattern_violations": {"column": "dest", "pattern": "^[A-Z]{3}$", "condition": {"equal_to": 0}},
    "values_outside": {"column": "origin", "values": ["EWR", "JFK", "LGA"], "condition": {"equal_to": 0}},
    "orphan_count": {
        "column": "carrier",
        "references": "raw.airlines",
        "referenced_columns": ["carrier"],
        "condition": {"equal_to": 0},
    },
    "freshness": {"column": "time_hour", "condition": {"leq_to": "26h"}},
    "table_size_mb": {"condition": {"less_than": 500_000}, "severity": "warn"},
    "unsorted_ratio": {"condition": {"less_than": 0.2}, "severity": "warn"},
    "stats_off": {"condition": {"less_than": 10}, "severity": "warn"},
    "skew_rows": {"condition": {"less_than": 4}, "severity": "warn"},
    "column_count": {"baseline": "auto", "severity": "warn"},
    "schema": {"columns": {"ds": "date", "carrier": "text", "flights": "bigint"}},
    "custom_sql": {
        "name": "cancelled_share",
        "sql": "SELECT sum(cancelled) * 1.0 / sum(flights) FROM {table}",
        "condition": {"leq_to": 0.25},
    },
    "check_statement": {"name": "no_more_cancelled_than_planned", "statement": "cancelled <= flights"},
    "row_count_ratio": {"condition": {"geq_to": 0.8, "leq_to": 1.25}, "severity": "warn"},
    "lost_keys": {"column": "carrier", "condition": {"equal_to": 0}},
    "unseen_values": {"column": "carrier", "condition": {"equal_to": 0}, "severity": "warn"},
    "churn_ratio": {"columns": ["carrier", "origin"], "condition": {"leq_to": 0.2}},
    "mean_shift": {"column": "distance", "condition": {"leq_to": 0.1}, "severity": "warn"},
}
"""A rule for each check that people write. The tests read each in both of the forms shown."""

_CATEGORIES = {"number": "numbers", "text": "text", "time": "dates and timestamps", "boolean": "booleans"}
_STATEMENTS = {
    Family.PLAIN: "Shares one scan with every other plain aggregate.",
    Family.SORTED: "Shares one scan with every other distinct count and quantile.",
    Family.CATALOG: "Reads the catalog, not the table.",
    Family.ALONE: "Runs a statement of its own.",
}


def checks() -> str:
    """The check reference: a table to choose from, then every check with its rules and an example."""
    rows = [f"| [`{word}`](#{word}) | {_summary(KINDS[word])} | {KINDS[word].dimension} |" for word in WRITABLE]
    table = "\n".join(["| check | measures | dimension |", "|---|---|---|", *rows])
    return "\n\n".join([table, *(_check(word) for word in WRITABLE)])


def _summary(kind: Kind) -> str:
    return re.split(r"(?<=[.:;])\s", kind.doc, maxsplit=1)[0].rstrip(".:;").replace("|", "\\|")


def _check(word: str) -> str:
    kind, rule = KINDS[word], {"check": word, **EXAMPLES[word]}
    text = yaml.safe_dump([rule], sort_keys=False, default_flow_style=None, width=100, allow_unicode=True)
    facts = "\n".join(f"- {fact}" for fact in _facts(word, kind))
    return (
        f"## `{word}` {{ #{word} }}\n\n{kind.doc}\n\n{facts}\n\n```python\n{as_python(rule)}\n```\n\n```yaml\n{text}```"
    )


def _facts(word: str, kind: Kind) -> Iterator[str]:
    columns = {Takes.NONE: "No column.", Takes.ONE: "One column", Takes.SOME: "One or several columns"}[kind.takes]
    if kind.takes is not Takes.NONE:
        columns += f" of {_CATEGORIES[kind.category]}." if kind.category else " of any type."
    yield columns
    if kind.params:
        named = [f"`{name}`" for name in params_of(kind)]
        optional = [f"`{name.rstrip('?')}`" for name in kind.params if name.endswith("?")]
        yield f"Parameters: {', '.join(named)}" + (f" ({', '.join(optional)} optional)." if optional else ".")
    if kind.violations:
        yield "Without a condition: `equal_to: 0`."
    elif word == "check_statement":
        yield "Without a condition: `equal_to: 1`."
    if kind.compares:
        yield "Only in the operators that load. Skipped if production holds nothing to compare with."
    elif kind.health:
        yield "Only in `DataQualityCheckOperator`. Skipped if the database says nothing of it, as of an empty table."
    elif not kind.counts_empty:
        yield "Skipped if there are no rows."
    yield _STATEMENTS[kind.family]


def as_python(rule: Mapping[str, Any]) -> str:
    """The rule as a call of ``check``."""
    rest = {key: value for key, value in rule.items() if key not in ("check", "column", "columns", "condition")}
    column = rule.get("column", rule.get("columns"))
    positional = [repr(rule["check"])]
    if isinstance(column, Mapping):
        rest = {"columns": column, **rest}
    elif column is not None:
        positional.append(repr(column))
    named = [f"{key}={value!r}" for key, value in {**rest, **rule.get("condition", {})}.items()]
    return f"check({', '.join([*positional, *named])})".replace("'", '"')


def ledger() -> str:
    """Every table of the ledger, column by column."""
    parts = []
    for table, columns in TABLES.items():
        rows = [f"| `{name}` | {kind} | {doc} |" for name, (kind, doc) in columns.items()]
        parts.append(
            f"### `{table}` {{ #{table} }}\n\n" + "\n".join(["| column | type | holds |", "|---|---|---|", *rows])
        )
    return "\n\n".join(parts)


def cli() -> str:
    """Every command of ``airflow dq``, with its arguments."""
    from airflow_dataquality.cli import get_dq_commands

    parts = []
    for group in get_dq_commands():
        for command in group.subcommands:
            rows = [f"| {_flags(arg)} | {arg.kwargs.get('help', '')} |" for arg in command.args]
            table = "\n".join(["| argument | meaning |", "|---|---|", *rows])
            parts.append(f"## `airflow {group.name} {command.name}`\n\n{command.help}.\n\n{table}")
    return "\n\n".join(parts)


def _flags(arg: Any) -> str:
    shown = arg.kwargs.get("metavar")
    if not arg.flags[0].startswith("-"):
        return f"`{shown or arg.flags[0]}`"
    value = "" if arg.kwargs.get("action") else f" {shown or arg.flags[0].lstrip('-').replace('-', '_').upper()}"
    return ", ".join(f"`{flag}{value}`" for flag in arg.flags)


def error_tree() -> str:
    """The tree of exceptions, as the module draws it."""
    _, _, drawn = (errors.__doc__ or "").partition("::\n\n")
    tree, _, closing = drawn.partition("\n\n")
    return f"```text\n{textwrap.dedent(tree)}\n```\n\n{closing.strip()}"


def metrics() -> str:
    """Every metric of the catalogue."""
    common = ", ".join(f"`{tag}`" for tag in COMMON)
    rows = [
        f"| `{name}` | {known.kind} | {known.unit} | {known.meaning} | {', '.join(f'`{tag}`' for tag in known.tags)} |"
        for name, known in CATALOGUE.items()
    ]
    head = f"Each has the tags {common}, where they are known, and those in the last column."
    return "\n".join([head, "", "| metric | kind | unit | meaning | tags |", "|---|---|---|---|---|", *rows])


KEYS: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "transforms.yaml").read_text(encoding="utf-8"))
"""What the keys of a transform's header mean."""


def header() -> str:
    """The keys of every header, of its output, and of ``pipeline.yaml``."""
    parts = {"header": "In a header", "output": "In `output`", "pipeline": "In `pipeline.yaml`"}
    return "\n\n".join(f"### {title}\n\n{_keys(KEYS[part].items())}" for part, title in parts.items())


def _keys(rows: Iterable[tuple[str, ...]], *more: str) -> str:
    shown = (f"| `{key}` | {' | '.join(told)} |" for key, *told in rows)
    return "\n".join([f"| {' | '.join(('key', 'meaning', *more))} |", "|---" * (2 + len(more)) + "|", *shown])


def kinds() -> str:
    """The keys of each kind of transform; those that several have stand at the end."""
    having = {key: [kind for kind, keys in OPTIONS.items() if key in keys] for keys in OPTIONS.values() for key in keys}
    parts = []
    for kind, keys in OPTIONS.items():
        own = [(key, _said(kind, key)) for key in keys if len(having[key]) == 1 or key in _own(kind)]
        if own:
            parts.append(f"### Of `{kind}`\n\n{_keys(own)}")
    shared = [
        (key, _said(of[0], key), ", ".join(f"`{kind}`" for kind in of))
        for key, of in having.items()
        if len(of) > 1 and not any(key in _own(kind) for kind in of)
    ]
    return "\n\n".join([*parts, f"### Of several kinds\n\n{_keys(shared, 'kinds')}"])


def _own(kind: str) -> Mapping[str, str]:
    return KEYS["kinds"].get(kind) or {}


def _said(kind: str, key: str) -> str:
    """What a key means: as an argument of the operator, as far as nothing else is written."""
    known = _own(kind).get(key) or _own("all").get(key)
    return known or re.sub(r", (or a timedelta(?=,)|timedelta)", "", _parameters(kind)[key]).replace("``", "`")


_PARAMETER = re.compile(r":param (\w+):(.*?)(?=^\s*:\w|\Z)", re.DOTALL | re.MULTILINE)


def _parameters(kind: str) -> dict[str, str]:
    """The arguments of a kind's operator, by its docstring, and by those of what it is made of."""
    from airflow_dataquality.operators.incremental_summary import IncrementalSummaryOperator
    from airflow_dataquality.operators.stage_check_exchange import StageCheckExchangeOperator
    from airflow_dataquality.operators.upsert import UpsertOperator
    from airflow_dataquality.sensors.partition import PartitionSensor
    from airflow_dataquality.transforms.tasks import LoadFilesOperator, PythonTransformOperator, SqlScriptOperator

    operator = {
        "upsert": UpsertOperator, "incremental_summary": IncrementalSummaryOperator, "sql": SqlScriptOperator,
        "python": PythonTransformOperator, "load": LoadFilesOperator, "no_op": PartitionSensor,
    }.get(kind, StageCheckExchangeOperator)  # fmt: skip
    found = {}
    for of in reversed(operator.__mro__):
        for match in _PARAMETER.finditer(of.__dict__.get("__doc__") or ""):
            found[match[1]] = " ".join(match[2].split())
    return found


GENERATED: dict[str, Callable[[], str]] = {
    "checks": checks, "ledger": ledger, "cli": cli, "errors": error_tree, "metrics": metrics,
    "header": header, "kinds": kinds,
}  # fmt: skip

_MARKER = re.compile(r"<!-- generated: (\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put what is generated in the place of its marker."""
    return _MARKER.sub(lambda marker: GENERATED[marker[1]](), markdown)


_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):<code>(?:~[\w.]*\.)?")


def on_page_content(html: str, **_: Any) -> str:
    """Show a name in a docstring without Sphinx's word for what it is."""
    return _ROLE.sub("<code>", html)
