"""The arguments that say where rows come from: ``sql``, ``rows`` or ``s3_uri``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook, XComArg

from airflow_dataquality.dialects.lexer import single_select
from airflow_dataquality.engine.source import S3, Rows, Select, Source
from airflow_dataquality.errors import SpecError, did_you_mean
from airflow_dataquality.operators import _common as common
from airflow_dataquality.spec import find_file

if TYPE_CHECKING:
    from airflow.providers.common.sql.operators.sql import BaseSQLOperator

TEMPLATED = ("sql", "s3_uri", "copy_options", "iam_role", "columns")
"""The arguments that are templates. ``rows`` is one only as the result of another task: data are no templates."""

# https://docs.aws.amazon.com/redshift/latest/dg/r_COPY-parameters.html
COPY_PARAMETERS = (
    "ACCEPTANYDATE", "ACCEPTINVCHARS", "AVRO", "BLANKSASNULL", "BZIP2", "COMPROWS", "COMPUPDATE", "CSV", "DATEFORMAT",
    "DELIMITER", "EMPTYASNULL", "ENCODING", "ENCRYPTED", "ESCAPE", "EXPLICIT_IDS", "FILLRECORD", "FIXEDWIDTH", "FORMAT",
    "GZIP", "IGNOREBLANKLINES", "IGNOREHEADER", "JSON", "LZOP", "MANIFEST", "NULL", "ORC", "PARQUET", "QUOTE", "REGION",
    "REMOVEQUOTES", "ROUNDEC", "SHAPEFILE", "STATUPDATE", "TIMEFORMAT", "TRIMBLANKS", "TRUNCATECOLUMNS", "ZSTD",
)  # fmt: skip
_SECRETS = (
    "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CREDENTIALS", "MASTER_SYMMETRIC_KEY", "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY", "AWS_IAM_ROLE",
)  # fmt: skip
_REFUSED = {
    "NOLOAD": ("loads nothing", "leave it out"),
    "MAXERROR": ("skips bad rows silently", "mend the files: a row that cannot be read is not to be lost"),
    "IGNOREALLERRORS": ("skips bad rows silently", "mend the files: a row that cannot be read is not to be lost"),
    "IAM_ROLE": ("is an argument of its own", "write iam_role=…"),
}
_TEXTS = re.compile(r"'(?:[^']|'')*'")
_ROLE = re.compile(r"arn:[\w-]+:iam::\d*:role/[^\s',]+(,arn:[\w-]+:iam::\d*:role/[^\s',]+)*")


@dataclass(frozen=True)
class SourceArguments:
    """The arguments of one operator: exactly one of ``sql``, ``rows`` and ``s3_uri``, and what belongs to it."""

    sql: Any = None
    rows: Any = None
    s3_uri: Any = None
    columns: Any = None
    copy_options: Any = ()
    iam_role: Any = None
    aws_conn_id: Any = None

    @classmethod
    def of(cls, operator: BaseSQLOperator) -> SourceArguments:
        """Those of the operator as they are now."""
        return cls(**{name: getattr(operator, name, None) for name in cls.__dataclass_fields__})

    def check(self) -> None:
        """Refuse what can never work. Templates are let through.

        :raises SpecError: naming the argument
        """
        given = [name for name in ("sql", "rows", "s3_uri") if getattr(self, name) is not None]
        if len(given) != 1:
            what = " and ".join(given) + " are given" if given else "no source is given"
            raise SpecError(f"{what}", hint="give exactly one of sql=, rows= and s3_uri=")
        names(self.columns, "columns", twice=False)
        if self.columns is not None and self.sql is not None:
            raise SpecError("columns= beside sql=", hint="name the columns in the SELECT, with AS")
        self._check_rows()
        self._check_select()
        self._check_s3()

    def _check_rows(self) -> None:
        rows = self.rows
        if rows is None or callable(rows) or isinstance(rows, XComArg):
            return
        if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
            raise SpecError(
                f"rows is a {type(rows).__name__}, not rows",
                hint="give an iterable of mappings (or of sequences, with columns=), or a function that yields batches",
            )

    def _check_select(self) -> None:
        if self.sql is None:
            return
        if not isinstance(self.sql, str | XComArg):
            raise SpecError(f"sql is {self.sql!r}, not a text", hint="write one SELECT, or the path of a .sql file")
        if isinstance(self.sql, str) and not common.is_template(self.sql) and not self.sql.endswith(".sql"):
            single_select(self.sql)

    def _check_s3(self) -> None:
        alone = [name for name in ("copy_options", "iam_role", "aws_conn_id") if getattr(self, name)]
        if self.s3_uri is None:
            if alone:
                raise SpecError(f"{', '.join(alone)} without s3_uri", hint="they say how to read files in S3")
            return
        if not common.is_template(self.s3_uri) and not re.match(r"s3://[^/\s]+", str(self.s3_uri)):
            raise SpecError(f"s3_uri is {self.s3_uri!r}", hint='write "s3://bucket/prefix"')
        if bool(self.iam_role) == bool(self.aws_conn_id):
            raise SpecError(
                "iam_role and aws_conn_id are both given" if self.iam_role else "nothing says who may read the files",
                hint='give iam_role="arn:aws:iam::…" or "default", or the aws_conn_id of a connection with role_arn',
            )
        if self.iam_role and not common.is_template(self.iam_role):
            check_role(self.iam_role)
        check_options(self.copy_options)

    def source(self, folders: Sequence[str]) -> Source:
        """The source, of rendered arguments.

        :param folders: where a .sql file is looked for
        :raises SpecError: if they cannot work
        """
        self.check()
        if self.sql is not None:
            return Select(single_select(self._text(folders)))
        if self.rows is not None:
            return Rows(self.rows, self.columns or ())
        role, region = role_of(self.aws_conn_id) if self.aws_conn_id else (self.iam_role, None)
        check_role(role)
        return S3(
            self.s3_uri, iam_role=role, region=region, options=self.copy_options or (), columns=self.columns or ()
        )

    def _text(self, folders: Sequence[str]) -> str:
        """The SELECT; from its file if Airflow did not render the task, as in a unit test."""
        if not self.sql.endswith(".sql"):
            return str(self.sql)
        text = find_file(self.sql, folders, what="SQL file").read_text(encoding="utf-8")
        common.refuse_templates({"sql": text})
        return text


def names(value: Any, what: str, *, empty: bool = True, twice: bool = True) -> None:
    """Refuse what is no list of columns.

    :param empty: None and an empty list will do
    :param twice: whether a name may be there twice
    :raises SpecError: naming the argument
    """
    if common.is_template(value):
        return
    if isinstance(value, str) or not isinstance(value, Sequence | None):
        raise SpecError(f"{what} is {value!r}, not a list", hint=f"write a list of columns: {what}=[…]")
    if not value:
        if empty:
            return
        raise SpecError(f"{what} is empty", hint=f"name at least one column: {what}=[…]")
    bad = [name for name in value if not isinstance(name, str) or not name]
    if bad:
        raise SpecError(f"{what} holds {bad[0]!r}, which is not a name", hint="write the columns' exact names")
    repeated = sorted({name for name in value if value.count(name) > 1})
    if repeated and not twice:
        raise SpecError(f"{what} names {', '.join(repeated)} twice", hint="name each column once")


def check_role(role: Any) -> None:
    """Refuse what is no role.

    :raises SpecError: saying what one looks like
    """
    if not isinstance(role, str) or not (role.lower() == "default" or _ROLE.fullmatch(role)):
        raise SpecError(
            f"iam_role is {role!r}", hint='write "arn:aws:iam::123456789012:role/name", or "default" for the cluster\'s'
        )


def check_options(options: Any) -> None:
    """Refuse parameters of COPY that do not exist, lose rows, or would show a secret.

    :raises SpecError: naming the parameter
    """
    if isinstance(options, str) or not isinstance(options, Sequence | None):
        raise SpecError(f"copy_options is {options!r}, not a list", hint='write a list: ["FORMAT AS PARQUET"]')
    for option in options or ():
        if not common.is_template(option):
            _check_option(option)


def _check_option(option: Any) -> None:
    if not isinstance(option, str) or not option.strip():
        raise SpecError(f"copy_options holds {option!r}", hint='write parameters of COPY: "FORMAT AS PARQUET"')
    if any(word in option.upper() for word in _SECRETS):
        # The option is not shown: the log is read by many.
        raise SpecError(
            "copy_options holds credentials, which would end up in the SQL text and in every log of it",
            hint="use iam_role=, or aws_conn_id= of a connection with role_arn",
        )
    bare = _TEXTS.sub("''", option)
    if ";" in bare or "--" in bare or "/*" in bare or "'" in bare.replace("''", ""):
        raise SpecError(f"copy_options holds {option!r}, which is more than a parameter", hint="write one a piece")
    words = re.findall(r"\w+", bare.upper())
    for word in words:
        if word in _REFUSED:
            why, hint = _REFUSED[word]
            raise SpecError(f"{word} in copy_options {why}", hint=hint)
    if not words or words[0] not in COPY_PARAMETERS:
        raise SpecError(
            f"copy_options: unknown parameter {option!r}",
            hint=did_you_mean(words[0] if words else option, COPY_PARAMETERS, label="Parameters"),
        )


def role_of(conn_id: str) -> tuple[str, str | None]:
    """The role and the region of an AWS connection. Its keys are not looked at.

    :raises SpecError: if it has no role
    """
    extra = BaseHook.get_connection(conn_id).extra_dejson
    role, region = extra.get("role_arn"), extra.get("region_name") or extra.get("region")
    if not role:
        raise SpecError(
            f"the connection {conn_id!r} has no role_arn in its extra: its keys would end up in the SQL text, and in "
            "every log of it",
            hint="give the connection a role_arn that the cluster may assume, or use iam_role=",
        )
    return str(role), str(region) if region else None
