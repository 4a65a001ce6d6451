"""What the double does with a statement: refuse it, send it on, or send something in its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from redshift_double.rules import RULES, Rule


class Refused(Exception):
    """Redshift refuses the statement, or the double does not model it."""

    def __init__(self, rule: str, **places: str) -> None:
        self.rule: Rule = RULES[rule]
        self.code = self.rule.code
        self.message = self.rule.message.format(**places)
        self.detail: str | None = None
        super().__init__(self.message)


@dataclass(frozen=True)
class Plan:
    """How to run a statement.

    :param sql: what Postgres is sent, with the client's parameters
    :param script: in its place: statements that are sent together, without parameters
    :param action: in its place: the name of a coroutine of :mod:`redshift_double.loading`, with its arguments
    :param tag: the command tag that the client gets
    :param locks: tables whose writers wait for each other
    :param alone: the rule that refuses the statement inside a transaction
    :param setting: a parameter that this SET changes, with its value and whether it is LOCAL
    :param commits: the statement commits the open transaction, as TRUNCATE does
    :param reads: how the rows are changed on their way: ``explain``
    """

    sql: str = ""
    script: tuple[str, ...] = ()
    action: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    tag: str = ""
    locks: tuple[str, ...] = ()
    alone: str = ""
    setting: tuple[str, str | None, bool] | None = None
    commits: bool = False
    reads: str = ""

    @property
    def internal(self) -> bool:
        """Whether the double runs it, rather than Postgres directly."""
        return bool(self.script or self.action or (not self.sql and self.tag))
