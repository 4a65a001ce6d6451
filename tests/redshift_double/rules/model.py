"""A row of the table of rules, and short ways to write one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

DOCUMENTATION = "https://docs.aws.amazon.com/redshift/latest/dg/"
SYNTAX = "42601"
UNSUPPORTED = "0A000"
IN_TRANSACTION = "25001"
SYNTAX_MESSAGE = 'syntax error at or near "{near}"'


class Verdict(Enum):
    """What becomes of a statement."""

    REFUSE = "Redshift refuses it, and so does the double"
    TRANSLATE = "Redshift accepts it, and the double does what Redshift does"
    NOT_MODELLED = "Redshift accepts it, and the double refuses it because it cannot do what Redshift does"


@dataclass(frozen=True)
class Rule:
    """A row of the table.

    :param page: page of the documentation, below :data:`DOCUMENTATION`, without ``.html``
    :param example: a statement to which the rule applies, over the tables ``t`` and ``s (a int, b varchar)``
    :param pattern: keys that follow each other, ``|`` between alternatives, ``*`` for any
    :param within: leading keywords of the statements in which the pattern counts; empty for all
    """

    name: str
    what: str
    page: str
    verdict: Verdict
    example: str
    code: str = ""
    message: str = ""
    pattern: str = ""
    within: tuple[str, ...] = ()

    @property
    def documentation(self) -> str:
        return f"{DOCUMENTATION}{self.page}.html"


UNSUPPORTED_PAGE = "c_unsupported-postgresql-features"


def syntax(name: str, what: str, page: str, example: str, pattern: str = "", within: tuple[str, ...] = ()) -> Rule:
    return Rule(name, what, page, Verdict.REFUSE, example, SYNTAX, SYNTAX_MESSAGE, pattern, within)


def refuse(name: str, what: str, page: str, example: str, code: str, message: str, pattern: str = "") -> Rule:
    return Rule(name, what, page, Verdict.REFUSE, example, code, message, pattern)


def translate(name: str, what: str, page: str, example: str) -> Rule:
    return Rule(name, what, page, Verdict.TRANSLATE, example)


def not_modelled(name: str, what: str, page: str, example: str, pattern: str = "") -> Rule:
    message = f"the double does not model {what}: {{near}}"
    return Rule(name, what, page, Verdict.NOT_MODELLED, example, UNSUPPORTED, message, pattern)
