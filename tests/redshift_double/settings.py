"""Plans for transactions and parameters."""

from __future__ import annotations

import re

from redshift_double import functions as known
from redshift_double.expressions import is_string, translate
from redshift_double.lexer import Statement, literal, quoted, string_value
from redshift_double.plan import Plan, Refused


def begin(statement: Statement) -> Plan:
    """BEGIN [WORK | TRANSACTION] [ISOLATION LEVEL SERIALIZABLE | READ ONLY | READ WRITE].

    Every transaction has the double's isolation, whatever level is asked for, as in Redshift.
    """
    words = statement.keys[1:]
    if statement.key(0) == "START" and words[:1] != ["TRANSACTION"]:
        raise Refused("unknown-statement", near=statement.near(1))
    if words[:1] in (["WORK"], ["TRANSACTION"]):
        words = words[1:]
    text = " ".join(words).replace(" , ", " ")
    if re.fullmatch(r"(?:ISOLATION LEVEL SERIALIZABLE ?)?(?:READ (?:ONLY|WRITE))?", text) is None:
        raise Refused("isolation-level", near=words[-1].lower())
    mode = " READ ONLY" if text.endswith("READ ONLY") else ""
    return Plan(sql=f"BEGIN{mode}")


def end(statement: Statement) -> Plan:
    words = statement.keys[1:]
    if "TO" in words:
        raise Refused("savepoint")
    if words not in ([], ["WORK"], ["TRANSACTION"]):
        raise Refused("unknown-statement", near=statement.near(1))
    return Plan(sql="COMMIT" if statement.key(0) in {"COMMIT", "END"} else "ROLLBACK")


def set_parameter(statement: Statement) -> Plan:
    at = 1
    local = statement.key(1) == "LOCAL"
    at += statement.key(1) in {"LOCAL", "SESSION"}
    if statement.starts("SESSION", "AUTHORIZATION") or statement.key(at) == "AUTHORIZATION":
        return Plan(sql=statement.render())
    if statement.key(at) == "TRANSACTION":
        words = statement.keys[at + 1 :]
        if words not in (["READ", "ONLY"], ["READ", "WRITE"], ["ISOLATION", "LEVEL", "SERIALIZABLE"]):
            raise Refused("isolation-level", near=words[-1].lower() if words else "")
        return Plan(sql=statement.render()) if words[0] == "READ" else Plan(tag="SET")
    if statement.key(at) == "CONSTRAINTS":
        raise Refused("set-constraints", near="constraints")
    if statement.starts("TIME", "ZONE", at=at):
        return Plan(sql=statement.render())
    name = _parameter(statement, at)
    if statement.key(at + 1) not in {"TO", "="} or at + 2 >= len(statement):
        raise Refused("unknown-statement", near=statement.near(at + 1))
    if known.PARAMETERS[name]:
        translate(statement, at + 2)
        return Plan(sql=statement.render())
    token = statement.tokens[at + 2]
    value = string_value(token) if is_string(statement, at + 2) else statement.identifier(at + 2)
    if token.key == "DEFAULT":
        sql = f"SET {'LOCAL ' if local else ''}redshift.{name} TO DEFAULT"
        return Plan(sql=sql, setting=(name, None, local))
    return Plan(sql=f"SET {'LOCAL ' if local else ''}redshift.{name} TO {literal(value)}", setting=(name, value, local))


def _parameter(statement: Statement, at: int) -> str:
    name = statement.identifier(at)
    if name not in known.PARAMETERS:
        raise Refused("unknown-parameter", near=name)
    return name


def reset_parameter(statement: Statement) -> Plan:
    if statement.key(1) == "ALL":
        return Plan(sql="RESET ALL", setting=("all", None, False))
    if statement.starts("SESSION", "AUTHORIZATION", at=1):
        return Plan(sql=statement.render())
    name = _parameter(statement, 1)
    if known.PARAMETERS[name]:
        return Plan(sql=statement.render())
    return Plan(sql=f"RESET redshift.{name}", setting=(name, None, False))


def show(statement: Statement) -> Plan:
    if statement.starts("ALL", at=1) or len(statement) != 2:
        raise Refused("statement", near=statement.near(1))
    name = statement.identifier(1)
    if name in {"server_version", "transaction_isolation", "max_identifier_length", "is_superuser"}:
        return Plan(sql=statement.render())
    name = _parameter(statement, 1)
    return Plan(sql=f"SELECT rs.current_setting({literal(name)}) AS {quoted(name)}", tag="SHOW")
