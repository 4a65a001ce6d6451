"""Judge a statement: a plan for it, or a refusal. Whatever is not known is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable

from redshift_double import settings
from redshift_double import statements as on
from redshift_double.copying import copy, unload
from redshift_double.lexer import Statement, UnreadableError
from redshift_double.plan import Plan, Refused
from redshift_double.rules import PATTERNS

HANDLERS: dict[str, Callable[[Statement], Plan]] = {
    "SELECT": on.query,
    "WITH": on.query,
    "(": on.query,
    "INSERT": on.insert,
    "UPDATE": on.update,
    "DELETE": on.delete,
    "MERGE": on.merge,
    "CREATE": on.create,
    "ALTER": on.alter,
    "DROP": on.drop,
    "BEGIN": settings.begin,
    "START": settings.begin,
    "COMMIT": settings.end,
    "END": settings.end,
    "ROLLBACK": settings.end,
    "ABORT": settings.end,
    "SET": settings.set_parameter,
    "RESET": settings.reset_parameter,
    "SHOW": settings.show,
    "GRANT": on.grant,
    "REVOKE": on.grant,
    "COMMENT": on.comment,
    "COPY": copy,
    "UNLOAD": unload,
    "ANALYZE": on.analyze,
    "ANALYSE": on.analyze,
    "VACUUM": on.vacuum,
    "TRUNCATE": on.truncate,
    "LOCK": on.lock,
    "EXPLAIN": on.explain,
    "CANCEL": on.cancel,
}
_NOT_MODELLED = {"CALL", "DECLARE", "FETCH", "CLOSE", "PREPARE", "EXECUTE", "DEALLOCATE", "USE", "REFRESH", "ATTACH"}
_MOST_JUDGEMENTS = 20_000


def judge(sql: str, *, case_sensitive: bool = False) -> Plan | Refused:
    """What to do with a statement."""
    return _judge(sql, case_sensitive)


@functools.lru_cache(_MOST_JUDGEMENTS)
def _judge(sql: str, case_sensitive: bool) -> Plan | Refused:
    try:
        return _plan(Statement(sql, case_sensitive=case_sensitive))
    except UnreadableError as error:
        return Refused("unreadable", near=str(error))
    except Refused as refused:
        return refused
    except (IndexError, KeyError, ValueError):
        # The statement ends where a handler expects more of it.
        return Refused("unknown-statement", near="end of input")


def _plan(statement: Statement) -> Plan:
    if not statement.tokens:
        return Plan(sql="")
    if ";" in statement.keys:
        raise Refused("several-statements", near=";")
    refuse_patterns(statement)
    first = statement.key(0)
    handler = HANDLERS.get(first)
    if handler is None:
        raise Refused("statement" if first in _NOT_MODELLED else "unknown-statement", near=statement.near(0))
    return handler(statement)


def refuse_patterns(statement: Statement) -> None:
    """Refuse what a rule's pattern finds.

    :raises Refused: by the first rule that does
    """
    keys = statement.keys
    present = set(keys)
    for rule, pattern in PATTERNS:
        if rule.within and keys[0] not in rule.within:
            continue
        if not all(key == ("*",) or present.intersection(key) for key in pattern):
            continue
        for index in range(len(keys) - len(pattern) + 1):
            if all("*" in wanted or keys[index + at] in wanted for at, wanted in enumerate(pattern)):
                if rule.name == "values-table" and keys[index - 1] in {"INSERT", "INTO"}:
                    continue
                raise Refused(rule.name, near=statement.near(index + len(pattern) - 1))
