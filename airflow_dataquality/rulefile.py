"""A rule set as a file for people to edit: YAML, with a comment for each rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Rule = tuple[Mapping[str, Any], str]
"""A rule, and what to say of it."""
_BREAKS = frozenset("\x85\u2028\u2029")
"""Ends of lines to YAML 1.1, which are lost unless they are escaped."""


def on_one_line(text: str) -> str:
    """A text that can stand in a comment."""
    return "".join(character if character.isprintable() else "�" for character in text)


def as_yaml(
    name: str, head: Sequence[str], rules: Sequence[Rule], decisions: Sequence[Rule] = (), foot: Sequence[str] = ()
) -> str:
    """A rule set, with comments that say why each rule is in it.

    :param head: comments above
    :param rules: each with its comment
    :param decisions: rules that are commented out
    :param foot: comments below
    """
    lines = [f"# {on_one_line(line)}" for line in head]
    lines += [*_entry("name", name), "rules:" if rules else "rules: []"]
    for rule, comment in rules:
        lines += [f"  # {on_one_line(comment)}", *_written(rule)]
    if decisions:
        lines += ["", "  # To be decided on, as the rows alone do not tell:"]
        for rule, comment in decisions:
            lines += [f"  # {on_one_line(comment)}", *(f"  # {line[2:]}" for line in _written(rule))]
    if foot:
        lines += ["", "# Nothing is proposed for:", *(f"#   {on_one_line(line)}" for line in foot)]
    return "\n".join(lines) + "\n"


def _written(rule: Mapping[str, Any]) -> list[str]:
    """A rule as an item of the list of rules."""
    lines = [line for key, value in rule.items() for line in _entry(key, value)]
    return [f"  - {lines[0]}", *(f"    {line}" for line in lines[1:])]


def _characters(value: Any) -> str:
    """Every character in a value."""
    if isinstance(value, Mapping):
        return "".join(f"{key}{_characters(item)}" for key, item in value.items())
    return "".join(map(str, value)) if isinstance(value, list) else str(value)


def _entry(key: str, value: Any) -> list[str]:
    """A key and its value: a list or a mapping in one line, as far as it fits."""
    import yaml

    nested = isinstance(value, list | dict)
    text: str = yaml.safe_dump(
        {key: value}, sort_keys=False, allow_unicode=_BREAKS.isdisjoint(_characters(value)), width=100,
        default_flow_style=None if nested else False,
    )  # fmt: skip
    return text.rstrip("\n").split("\n")
