"""What Redshift refuses, what the double translates, and what the double does not model: as data.

Refusals with a ``pattern`` are looked for by :mod:`redshift_double.judge`, token by token; the others are raised by
name where a statement is taken apart. Messages follow the documentation and public reports, not a cluster.
"""

from __future__ import annotations

from redshift_double.rules.accepted import GAPS, TRANSLATED
from redshift_double.rules.definitions import DEFINITIONS
from redshift_double.rules.model import Rule, Verdict
from redshift_double.rules.queries import QUERIES
from redshift_double.rules.sessions import DATA, SESSIONS

__all__ = ["PATTERNS", "RULES", "TABLE", "Rule", "Verdict", "markdown"]

TABLE: tuple[Rule, ...] = (*QUERIES, *DATA, *DEFINITIONS, *SESSIONS, *TRANSLATED, *GAPS)
RULES = {rule.name: rule for rule in TABLE}
PATTERNS = tuple((rule, tuple(tuple(key.split("|")) for key in rule.pattern.split())) for rule in TABLE if rule.pattern)


def markdown() -> str:
    """The table of rules for people."""
    lines = ["| rule | what | verdict | example | error |", "|---|---|---|---|---|"]
    for rule in TABLE:
        error = f"{rule.code} {rule.message}".strip().replace("|", "\\|")
        example = rule.example.replace("|", "\\|")
        lines.append(
            f"| {rule.name} | [{rule.what}]({rule.documentation}) | {rule.verdict.name} | `{example}` | {error} |"
        )
    return "\n".join(lines)
