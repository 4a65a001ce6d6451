"""Names, functions, types and relations inside a statement: refused, or turned into what Postgres understands."""

from __future__ import annotations

from redshift_double import functions as known
from redshift_double.lexer import NAME_KEY, STRING_KEY, Statement, quoted
from redshift_double.plan import Refused

POSTGRES_NAME_BYTES = 63
_RELATION_BEFORE = {"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "USING"}
_INTERNAL_SCHEMAS = {"rs", "rs_information_schema", "rs_views"}
_SORT_BASED = {"LISTAGG", "PERCENTILE_CONT", "MEDIAN"}


def translate(statement: Statement, start: int = 0, *, calls: bool = True) -> None:
    """Edit the statement from a token on.

    :param calls: whether a word before a parenthesis calls a function: not so in GRANT SELECT (column) or ANALYZE
    :raises Refused: for a function, type or relation that Redshift, or the double, does not have
    """
    _refuse_different_orders(statement)
    # From the last token to the first, so that what stands inside a call is translated before the call.
    for index in range(len(statement) - 1, start - 1, -1):
        token = statement.tokens[index]
        if token.kind == "name":
            _fold(statement, index)
        elif token.kind == "word":
            _word(statement, index, calls=calls)
        elif token.key == "::":
            _cast(statement, index + 1)


def _fold(statement: Statement, index: int) -> None:
    name = statement.identifier(index)
    if len(name.encode()) > POSTGRES_NAME_BYTES:
        raise Refused("long-name", near=name)
    statement.replace(index, index, quoted(name))


def _word(statement: Statement, index: int, *, calls: bool) -> None:
    token, before, after = statement.tokens[index], statement.key(index - 1), statement.key(index + 1)
    if len(token.text) > POSTGRES_NAME_BYTES:
        raise Refused("long-name", near=token.text)
    if token.text.startswith("#"):
        statement.replace(index, index, quoted(token.text.lower()))
    elif after == "(":
        if calls:
            _call(statement, index)
    elif before != "." or statement.key(index - 2) == "PG_CATALOG":
        _relation_or_keyword(statement, index)
    elif statement.key(index - 2) == "INFORMATION_SCHEMA":
        _information_schema(statement, index)


def _relation_or_keyword(statement: Statement, index: int) -> None:
    key, before, after = statement.key(index), statement.key(index - 1), statement.key(index + 1)
    first = index - 2 if before == "." else index
    if key == "SYSDATE":
        statement.replace(index, index, "rs.sysdate()")
    elif key == "MINUS" and after in {"SELECT", "(", "ALL"}:
        statement.replace(index, index, "EXCEPT")
    elif key == "APPROXIMATE":
        statement.replace(index, index, "")
    elif key == "AS" and _in_cast(statement, index):
        _cast(statement, index + 1)
    elif key.lower() in _INTERNAL_SCHEMAS and after == "." and _stands_for_relation(statement, index):
        raise Refused("unknown-relation", near=statement.near(index))
    elif not key.startswith(known.SYSTEM_PREFIXES) or key == "PG_CATALOG":
        return
    elif (after == "." and before != ".") or before == "AS":
        return  # a qualifier or an alias
    elif key in known.CATALOGS | known.SYSTEM_VIEWS:
        statement.replace(first, index, f"rs.{key.lower()}")
    elif _stands_for_relation(statement, first):
        rule = "relation" if key in known.SYSTEM_NOT_MODELLED else "unknown-relation"
        raise Refused(rule, near=key.lower())


def _stands_for_relation(statement: Statement, index: int) -> bool:
    return statement.key(index - 1) in _RELATION_BEFORE | {","}


def _information_schema(statement: Statement, index: int) -> None:
    if statement.key(index) not in known.INFORMATION_SCHEMA:
        raise Refused("relation", near=f"information_schema.{statement.identifier(index)}")
    statement.replace(index - 2, index, f"rs_information_schema.{statement.identifier(index)}")


def _in_cast(statement: Statement, index: int) -> bool:
    """Whether this AS belongs to CAST(… AS …)."""
    depth = statement.depths[index]
    for opening in range(index - 1, 0, -1):
        if statement.keys[opening] == "(" and statement.depths[opening] == depth - 1:
            return statement.key(opening - 1) == "CAST"
    return False


def _cast(statement: Statement, index: int) -> None:
    key = statement.key(index)
    if key == NAME_KEY and statement.identifier(index) == "char":
        return
    if key not in known.CAST_TYPES:
        raise Refused("unknown-type", near=statement.near(index))
    if key in known.TYPES_NOT_MODELLED:
        raise Refused("type", near=statement.near(index))
    if statement.starts("[", "]", at=index + 1):
        raise Refused("unknown-type", near=f"{statement.near(index)}[]")
    replace_type(statement, index)


def replace_type(statement: Statement, index: int) -> None:
    """Write Redshift's name of a type as Postgres'."""
    key, after = statement.key(index), statement.key(index + 1)
    renamed = {"SUPER": "rs.super", "DATETIME": "timestamp", "NVARCHAR": "varchar", "BPCHAR": "bpchar"}
    if key in renamed and after != "(":
        statement.replace(index, index, renamed[key])
    elif key == "NVARCHAR":
        statement.replace(index, index, "varchar")
    elif key in {"NUMERIC", "DECIMAL", "DEC"} and after != "(":
        # https://docs.aws.amazon.com/redshift/latest/dg/r_Numeric_types201.html: 18 digits, none behind the point
        statement.replace(index, index, "numeric(18, 0)")
    if key in {"VARCHAR", "NVARCHAR", "VARYING"} and after == "(" and statement.key(index + 2) == "MAX":
        statement.replace(index + 2, index + 2, "65535")


def _call(statement: Statement, index: int) -> None:
    key, before = statement.key(index), statement.key(index - 1)
    first = index
    if before == ".":
        if statement.key(index - 2) != "PG_CATALOG":
            if _names_relation(statement, index - 3):
                return
            raise Refused("unknown-function", near=f"{statement.near(index - 2)}.{statement.near(index)}")
        first = index - 2
    elif _names_relation(statement, index - 1) or _follows_subquery(statement, index):
        return
    if key in known.REWRITTEN:
        _rewrite(statement, index)
    elif key in known.REDIRECTED:
        _date_part(statement, index)
        statement.replace(first, index, known.REDIRECTED[key])
    elif key in known.NATIVE:
        _date_part(statement, index)
    elif key not in known.SYNTAX and not _names_cte(statement, index):
        raise Refused("function" if key in known.NOT_MODELLED else "unknown-function", near=statement.near(index))


def _names_relation(statement: Statement, before: int) -> bool:
    """Whether what follows this token is a table with a list of columns, or an alias with one."""
    return statement.key(before) in {"INTO", "TABLE", "REFERENCES", "VIEW"} or (
        statement.key(before) == "AS" and not _in_cast(statement, before)
    )


def _follows_subquery(statement: Statement, index: int) -> bool:
    return statement.key(index - 1) == ")" and statement.key(index) not in known.SYNTAX


def _names_cte(statement: Statement, index: int) -> bool:
    end = statement.closing.get(index + 1, len(statement))
    return statement.key(index - 1) in {"WITH", "RECURSIVE", ","} and statement.starts("AS", "(", at=end + 1)


def _date_part(statement: Statement, index: int) -> None:
    part = index + 2
    if statement.key(index) in known.TAKES_DATE_PART and statement.key(part) in known.DATE_PARTS:
        statement.replace(part, part, f"'{statement.key(part).lower()}'")


def _rewrite(statement: Statement, index: int) -> None:
    end = statement.closing.get(index + 1)
    if end is None:
        raise Refused("unreadable", near="(")
    if statement.key(index) == "MEDIAN":
        argument = statement.render(index + 2, end)
        statement.replace(index, end, f"percentile_cont(0.5) WITHIN GROUP (ORDER BY {argument})")
        return
    first = index + 2 + (statement.key(index + 2) == "DISTINCT")
    (start, stop), *separators = statement.split(first, end)
    distinct = "DISTINCT " if first > index + 2 else ""
    separator = statement.render(*separators[0]) if separators else "''"
    order, last = "", end
    if statement.starts("WITHIN", "GROUP", "(", at=end + 1):
        last = statement.closing[end + 3]
        # Postgres orders DISTINCT aggregates by their argument only; so does Redshift.
        order = " " + statement.render(end + 4, last)
        if distinct:
            order = f" ORDER BY ({statement.render(start, stop)})::text"
    statement.replace(index, last, f"string_agg({distinct}({statement.render(start, stop)})::text, {separator}{order})")


def _refuse_different_orders(statement: Statement) -> None:
    """Refuse several sort-based aggregates with different orders in one SELECT.

    https://docs.aws.amazon.com/redshift/latest/dg/r_PERCENTILE_CONT.html
    """
    orders: dict[tuple[int, int], set[tuple[str, ...]]] = {}
    for index, key in enumerate(statement.keys):
        if key not in _SORT_BASED or statement.key(index + 1) != "(":
            continue
        end = statement.closing.get(index + 1, index + 1)
        order: tuple[str, ...] = ()
        if key == "MEDIAN":
            order = tuple(token.text.lower() for token in statement.tokens[index + 2 : end])
        elif statement.starts("WITHIN", "GROUP", "(", "ORDER", "BY", at=end + 1):
            last = statement.closing.get(end + 3, end + 3)
            order = tuple(token.text.lower() for token in statement.tokens[end + 6 : last])
            end = last
        if order and statement.key(end + 1) != "OVER":
            orders.setdefault(_level(statement, index), set()).add(order)
    if any(len(several) > 1 for several in orders.values()):
        raise Refused("within-group")


def _level(statement: Statement, index: int) -> tuple[int, int]:
    """Which SELECT a token belongs to: the last SELECT before it that encloses it."""
    depth = statement.depths[index]
    for before in range(index - 1, -1, -1):
        depth = min(depth, statement.depths[before])
        if statement.keys[before] == "SELECT" and statement.depths[before] <= depth:
            return before, depth
    return -1, 0


def refuse_leader_with_user_tables(statement: Statement) -> None:
    """Refuse leader-node functions and catalogs beside user tables.

    https://docs.aws.amazon.com/redshift/latest/dg/c_SQL_functions_leader_node_only.html
    """
    relations = set(_relations(statement))
    leader = any(
        (key in known.LEADER_ONLY and statement.key(index + 1) == "(") for index, key in enumerate(statement.keys)
    )
    leader = leader or any(name.startswith(("pg_", "information_schema.")) for name in relations)
    if leader and any(not _is_system(name) for name in relations):
        raise Refused("leader-only")


def _is_system(name: str) -> bool:
    return name.startswith(("information_schema.", *(prefix.lower() for prefix in known.SYSTEM_PREFIXES)))


def _relations(statement: Statement) -> list[str]:
    """Relations that a statement reads or writes, without CTEs and derived tables."""
    ctes = {
        statement.identifier(index)
        for index in range(len(statement) - 2)
        if statement.key(index - 1) in {"WITH", "RECURSIVE", ","}
        and (statement.starts("AS", "(", at=index + 1) or _names_cte(statement, index))
    }
    found = []
    for index, key in enumerate(statement.keys):
        if key in {"FROM", "JOIN", "INTO", "UPDATE", "USING", "TABLE"} and not _in_call(statement, index):
            at = index + 1
            while True:
                at += 3 * statement.starts("IF", "NOT", "EXISTS", at=at)
                name, behind = statement.qualified(at)
                if (
                    name
                    and statement.key(at) not in known.SYNTAX
                    and statement.key(behind) != "("
                    and name[0] not in ctes
                ):
                    found.append(".".join(part for part in name if part != "pg_catalog"))
                elif name and key in {"INTO", "TABLE"}:
                    found.append(".".join(name))
                at = _next_in_from(statement, behind) if key in {"FROM", "USING"} else 0
                if not at:
                    break
    return found


def _in_call(statement: Statement, index: int) -> bool:
    """Whether this FROM belongs to EXTRACT(… FROM …), TRIM, SUBSTRING."""
    depth = statement.depths[index]
    for opening in range(index - 1, 0, -1):
        if statement.keys[opening] == "(" and statement.depths[opening] == depth - 1:
            return statement.key(opening - 1) in {"EXTRACT", "TRIM", "SUBSTRING", "OVERLAY"}
    return False


def _next_in_from(statement: Statement, index: int) -> int:
    """Where the next item after a comma of this FROM begins, or 0."""
    if statement.key(index) == "AS":
        index += 1
    if statement.tokens[index : index + 1] and statement.tokens[index].kind in {"word", "name"}:
        index += statement.key(index) not in known.SYNTAX
    return index + 1 if statement.key(index) == "," else 0


def is_string(statement: Statement, index: int) -> bool:
    """Whether a token is a literal."""
    return statement.key(index) == STRING_KEY
