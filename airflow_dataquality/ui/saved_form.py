"""The form of a test: its fields as text, the definition that they say, and the seal of what was previewed."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from airflow.api_fastapi.auth.tokens import get_signing_key

from airflow_dataquality.engine.saved_tests import Version
from airflow_dataquality.grammar import COMPARISONS, CONDITION, params_of
from airflow_dataquality.saved import FORMULA, KINDS, Mistake, SavedTest, read
from airflow_dataquality.trial import DAYS, MOST_DAYS
from airflow_dataquality.ui.access import Who
from airflow_dataquality.vocabulary import KINDS as METRICS

SEAL_SECONDS = 12 * 3600
"""How long a preview counts."""
EARLIEST, LATEST = date(1900, 1, 1), date(2200, 1, 1)
PARAMS = ("q", "pattern", "values", "sql", "statement", "references", "referenced_columns")
"""Parameters of checks, as fields of the same name. That of ``schema`` is ``expected_columns``."""
BASELINE = ("method", "threshold", "direction", "window", "min_history")
DEFAULTS = {
    "kind": FORMULA, "warehouse": "", "conn_id": "", "step": "1", "severity": "error", "days": str(DAYS), "until": "",
    "check": "row_count", "judged": "condition", "method": "auto", "threshold": "3.5", "direction": "both",
    "window": "90", "min_history": "14", "partition_value": "{{ ds }}", "version": "",
    **dict.fromkeys(("name", "description", "owner", "tags", "table", "partition_column", "note", "seal"), ""),
    **dict.fromkeys(("control_sql", "experiment_sql", "formula", "params", "column", "partition_clause"), ""),
    **dict.fromkeys((*CONDITION, *PARAMS, "expected_columns"), ""),
}  # fmt: skip
"""Every field, and what it holds at first."""
WORDS = {
    "equal_to": "equals", "geq_to": "is at least", "greater_than": "is more than", "leq_to": "is at most",
    "less_than": "is less than",
}  # fmt: skip


@dataclass
class Form:
    """What is in the fields. All of it is text, as it was typed.

    :param wrong: what is wrong, by field: message and hint
    """

    values: dict[str, str] = field(default_factory=lambda: dict(DEFAULTS))
    wrong: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, sent: Mapping[str, Any]) -> Form:
        """The fields that were sent; what is no field is ignored."""
        given = {name: str(value).replace("\r\n", "\n") for name, value in sent.items() if name in DEFAULTS}
        return cls({**DEFAULTS, **given})

    @classmethod
    def about(cls, version: Version, warehouse: str) -> Form:
        """A test that is there."""
        given = dict(version.definition)
        partition = given.get("partition") or {}
        column, value = next(iter(partition.items()), ("", DEFAULTS["partition_value"]))
        found = {
            "kind": version.kind, "warehouse": warehouse, "name": version.name, "version": str(version.version),
            "step": "3", "partition_column": column, "partition_value": value,
            "params": "\n".join(f"{name} = {number}" for name, number in (given.get("formula_params") or {}).items()),
            "tags": ", ".join(version.tags), **_condition_fields(given), **_baseline_fields(given),
        }  # fmt: skip
        if given.get("check") == "schema":
            found["expected_columns"] = _listed(given.get("columns"))
            given.pop("columns", None)
        plain = {name: _listed(value) for name, value in given.items() if name in DEFAULTS and name not in found}
        return cls({**DEFAULTS, **plain, **{name: str(value) for name, value in found.items()}})

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    @property
    def step(self) -> int:
        return int(self["step"]) if self["step"] in ("1", "2", "3") else 1

    @property
    def kind(self) -> str:
        return self["kind"] if self["kind"] in KINDS else FORMULA

    def at(self, step: int) -> None:
        """Show the form up to a step."""
        self.values["step"] = str(step)

    def mistake(self, error: Mistake) -> None:
        """Say what is wrong, beside its field."""
        self.wrong[_FIELDS.get(error.field, error.field)] = (error.message, error.hint)

    def test(self) -> SavedTest:
        """The test that the fields define.

        :raises Mistake: naming the definition's field
        """
        return read(self["name"] or "preview", self.kind, self.definition())

    def definition(self) -> dict[str, Any]:
        """What the fields say, as it is saved.

        :raises Mistake: if numbers are none
        """
        column, value = self["partition_column"].strip(), self["partition_value"].strip()
        given: dict[str, Any] = {
            "description": self["description"].strip(),
            "owner": self["owner"].strip(),
            "tags": _split(self["tags"]),
            "table": self["table"].strip() or None,
            "partition": {column: value or DEFAULTS["partition_value"]} if column else {},
            "severity": self["severity"],
        }
        return given | (self._formula() if self.kind == FORMULA else self._metric())

    def _formula(self) -> dict[str, Any]:
        return {
            "conn_id": self["conn_id"],
            "control_sql": self["control_sql"],
            "experiment_sql": self["experiment_sql"],
            "formula": self["formula"].strip(),
            "formula_params": numbers(self["params"]),
        }

    def _metric(self) -> dict[str, Any]:
        kind = METRICS.get(self["check"])
        names = params_of(kind) if kind else ()
        given: dict[str, Any] = {"check": self["check"], "column": _split(self["column"])}
        for name in PARAMS:
            if name in names:
                given[name] = self[name].strip() or None
        if "q" in names:
            given["q"] = _bound(self["q"])
        if "values" in names:
            given["values"] = [_bound(part) for part in _split(self["values"])]
        if "referenced_columns" in names:
            given["referenced_columns"] = _split(self["referenced_columns"])
        if "columns" in names:
            given["columns"] = _split(self["expected_columns"])
        given["partition_clause"] = self["partition_clause"].strip()
        return given | (self._baseline() if self["judged"] == "baseline" else self._condition())

    def _condition(self) -> dict[str, Any]:
        given = {name: _bound(self[name]) for name in CONDITION if self[name].strip()}
        return {"condition": given}

    def _baseline(self) -> dict[str, Any]:
        options = {name: _bound(self[name]) for name in BASELINE[1:] if self[name].strip()}
        return {"baseline": {self["method"]: options}}

    def days(self) -> tuple[int, date | None]:
        """How many days are previewed, and the last of them.

        :raises Mistake: if they are none
        """
        try:
            count = int(self["days"] or DAYS)
        except ValueError:
            count = 0
        if not 1 <= count <= MOST_DAYS:
            raise Mistake(
                "days", f"{self['days'][:20]!r} is no number of days", hint=f"1 to {MOST_DAYS} can be previewed"
            )
        try:
            until = date.fromisoformat(self["until"]) if self["until"] else None
        except ValueError:
            until = LATEST
        if until is not None and not EARLIEST <= until < LATEST:
            raise Mistake("until", f"{self['until'][:20]!r} is no day", hint="write 2013-02-28")
        return count, until


_FIELDS = {"formula_params": "params", "columns": "expected_columns", "baseline": "threshold",
           "condition": "geq_to", "partition": "partition_column", "definition": "kind"}  # fmt: skip
"""Where a part of the definition is said in the form, if under another name."""


def numbers(text: str) -> dict[str, Any]:
    """Names and numbers, as they are typed: one a line, or with commas between.

    :raises Mistake: if a line says something else

    >>> numbers("z_score = 3, share: 0.5")
    {'z_score': 3, 'share': 0.5}
    """
    found: dict[str, Any] = {}
    for part in text.replace("\n", ",").split(","):
        name, sign, value = part.partition("=" if "=" in part else ":")
        if not part.strip():
            continue
        number = _bound(value)
        if not sign or not isinstance(number, int | float):
            raise Mistake("formula_params", f"{part.strip()[:60]!r} is no name and number", hint="write z_score = 3")
        found[name.strip()] = number
    return found


def _bound(text: str) -> Any:
    """A number, if it is one; text in quotes is text, whatever is in it.

    >>> _bound("3"), _bound("0.5"), _bound("26h"), _bound("'007'"), _bound("nan")
    (3, 0.5, '26h', '007', 'nan')
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    try:
        return int(text) if text.lstrip("+-").isdecimal() else _finite(float(text), text)
    except ValueError:
        return text


def _finite(number: float, text: str) -> float | str:
    return number if abs(number) < float("inf") else text


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", ",").split(",") if part.strip()]


def _listed(value: Any) -> str:
    """A part of a definition as it is typed."""
    if isinstance(value, Mapping):
        return ", ".join(map(str, value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_quoted(part) for part in value)
    return "" if value is None else str(value)


def _quoted(part: Any) -> str:
    return f"'{part}'" if isinstance(part, str) and _bound(part) != part else str(part)


def _condition_fields(given: Mapping[str, Any]) -> dict[str, str]:
    condition = given.get("condition") or {}
    return {name: "" if condition.get(name) is None else _quoted(condition[name]) for name in CONDITION}


def _baseline_fields(given: Mapping[str, Any]) -> dict[str, str]:
    found = given.get("baseline")
    if not found:
        return {"judged": "condition"}
    method, options = (found, {}) if isinstance(found, str) else next(iter(found.items()))
    return {
        "judged": "baseline",
        "method": str(method),
        **{k: str(v) for k, v in (options or {}).items() if k in BASELINE},
    }


def in_words(definition: Mapping[str, Any]) -> str:
    """The rule of a metric test, as a sentence.

    >>> in_words({"check": "null_ratio", "column": ["tail"], "condition": {"leq_to": 0.05}})
    'null_ratio of tail is at most 0.05'
    """
    column = _listed(definition.get("column"))
    said = f"{definition.get('check')}" + (f" of {column}" if column else "")
    condition = definition.get("condition") or {}
    bounds = [f"{WORDS[name]} {condition[name]}" for name in COMPARISONS if name in condition]
    if definition.get("baseline"):
        bounds = [f"is as its past lets expect ({_baseline_in_words(definition['baseline'])})"]
    if condition.get("tolerance"):
        bounds.append(f"give or take {condition['tolerance']} %")
    clause = f", where {definition['partition_clause']}" if definition.get("partition_clause") else ""
    return f"{said} {' and '.join(bounds) or 'is as it should be'}{clause}"


def _baseline_in_words(given: Any) -> str:
    method, options = (given, {}) if isinstance(given, str) else next(iter(given.items()))
    named = {name: value for name, value in (options or {}).items() if name in BASELINE}
    return ", ".join([f"{method} baseline", *(f"{name} {value}" for name, value in named.items())])


def sealed(who: Who, warehouse: str, test: SavedTest) -> str:
    """What the form carries of a test that was previewed."""
    issued = f"{int(time.time()):x}"
    return f"{issued}.{_signature(who, warehouse, test, issued)}"


def is_sealed(who: Who, warehouse: str, test: SavedTest, seal: str) -> bool:
    """Whether this user has previewed this very test, not long ago."""
    issued, _, signature = seal.partition(".")
    if not hmac.compare_digest(_signature(who, warehouse, test, issued).encode(), signature.encode()):
        return False
    return time.time() - int(issued, 16) < SEAL_SECONDS


def _signature(who: Who, warehouse: str, test: SavedTest, issued: str) -> str:
    key = hashlib.blake2b(get_signing_key("api", "secret_key").encode(), person=b"dq-preview").digest()
    said = json.dumps([issued, str(who.user.get_id()), warehouse, test.digest])
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


METRIC_WORDS = [name for name, kind in METRICS.items() if not (kind.implied or kind.compares)]
"""Checks of a metric test."""
