"""COPY and UNLOAD taken apart: https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html."""

from __future__ import annotations

from redshift_double.lexer import Statement, rendered_name, string_value
from redshift_double.plan import Plan, Refused

_AUTHORIZATION = {"IAM_ROLE", "CREDENTIALS", "ACCESS_KEY_ID"}
# Parameters without a value, and with one.
_FLAGS = {
    "GZIP",
    "BZIP2",
    "MANIFEST",
    "EMPTYASNULL",
    "BLANKSASNULL",
    "TRUNCATECOLUMNS",
    "ACCEPTANYDATE",
    "REMOVEQUOTES",
    "IGNOREBLANKLINES",
    "TRIMBLANKS",
    "ROUNDEC",
    "EXPLICIT_IDS",
    "FILLRECORD",
    "NOLOAD",
    "ESCAPE",
}
_VALUES = {
    "IGNOREHEADER",
    "DELIMITER",
    "NULL",
    "DATEFORMAT",
    "TIMEFORMAT",
    "REGION",
    "MAXERROR",
    "ENCODING",
    "ACCEPTINVCHARS",
    "QUOTE",
    "IAM_ROLE",
    "CREDENTIALS",
    "ACCESS_KEY_ID",
    "SECRET_ACCESS_KEY",
    "SESSION_TOKEN",
    "COMPUPDATE",
    "STATUPDATE",
    "JSON",
}
_OPTIONAL_VALUE = {"COMPUPDATE", "STATUPDATE", "ACCEPTINVCHARS"}
_DOCUMENTED = {
    "AVRO",
    "ORC",
    "SHAPEFILE",
    "FIXEDWIDTH",
    "LZOP",
    "ZSTD",
    "ENCRYPTED",
    "SSH",
    "READRATIO",
    "COMPROWS",
    "MASTER_SYMMETRIC_KEY",
    "ROUNDEC",
    "EXPLICIT_IDS",
    "FILLRECORD",
    "NOLOAD",
    "ESCAPE",
    "QUOTE",
    "BZIP2",
    "MAXERROR",
    "ACCEPTANYDATE",
    "REMOVEQUOTES",
    "ACCEPTINVCHARS",
}
_FORMATS = {"CSV", "PARQUET", "JSON", "TEXT"}


def copy(statement: Statement) -> Plan:
    """COPY table [(columns)] FROM 's3://…' authorization [parameters]."""
    table, at = statement.qualified(1)
    columns: list[str] | None = None
    if statement.key(at) == "(":
        end = statement.closing[at]
        columns = [statement.identifier(start) for start, _ in statement.split(at + 1, end)]
        at = end + 1
    if statement.key(at) != "FROM":
        raise Refused("unknown-statement", near=statement.near(at))
    if statement.key(at + 1) != "'" or not string_value(statement.tokens[at + 1]).startswith("s3://"):
        raise Refused("copy-source")
    options = _options(statement, at + 2)
    if not _AUTHORIZATION & set(options):
        raise Refused("copy-authorization")
    arguments = {
        "table": rendered_name(table),
        "columns": columns,
        "uri": string_value(statement.tokens[at + 1]),
        "options": options,
    }
    return Plan(action="copy", arguments=arguments, tag="COPY", locks=(rendered_name(table),))


def _options(statement: Statement, at: int) -> dict[str, str]:
    options: dict[str, str] = {}
    while at < len(statement):
        key, at = statement.key(at), at + 1
        if key == "WITH":
            continue
        if key == "FORMAT":
            at += statement.key(at) == "AS"
            key, at = statement.key(at), at + 1
        if key in _DOCUMENTED:
            raise Refused("copy-option", near=key.lower())
        if key in _FORMATS:
            options["FORMAT"] = key
        if key in _VALUES:
            at += statement.key(at) == "AS"
            options[key], at = _value(statement, at, key)
        elif key in _FLAGS | _FORMATS:
            options.setdefault(key, "")
        else:
            raise Refused("copy-parameter", near=key.lower())
    return options


def _value(statement: Statement, at: int, key: str) -> tuple[str, int]:
    found = statement.key(at)
    if found == "'":
        return string_value(statement.tokens[at]), at + 1
    if found in {"DEFAULT", "ON", "OFF", "TRUE", "FALSE", "PRESET"} or found.isdigit():
        return found, at + 1
    if key in _OPTIONAL_VALUE:
        return "", at
    if key == "JSON":
        return "noshred", at
    raise Refused("copy-parameter", near=statement.near(at))


def unload(statement: Statement) -> Plan:
    """UNLOAD: not modelled."""
    raise Refused("statement", near="unload")
