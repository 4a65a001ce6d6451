"""What a database said when it refused, whichever driver passed it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_dataquality.errors import TableError


@dataclass(frozen=True)
class Said:
    """The fields of a server's error message.

    :param message: the first line, without the statement and the position
    :param sqlstate: the five characters of the standard; None if the driver does not tell, or no server spoke
    """

    message: str
    sqlstate: str | None = None
    detail: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return self.message + (f" ({self.detail})" if self.detail else "")


def said(error: BaseException) -> Said:
    """Read a driver's exception.

    psycopg keeps the fields in ``diag``; redshift_connector passes the wire's letters on as a dict
    (https://www.postgresql.org/docs/current/protocol-error-fields.html); of others only the text is known.
    """
    letters = error.args[0] if error.args else None
    if isinstance(letters, Mapping) and "M" in letters:
        message = str(letters["M"]).strip() or type(error).__name__
        return Said(message.splitlines()[0], letters.get("C"), letters.get("D"), letters.get("H"))
    diagnostic = getattr(error, "diag", None)
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    message = getattr(diagnostic, "message_primary", None) or str(error).strip() or type(error).__name__
    detail = getattr(diagnostic, "message_detail", None)
    hint = getattr(diagnostic, "message_hint", None)
    return Said(message.splitlines()[0], str(state) if state else None, detail, hint)


_HINTS = {
    "42501": "grant the right to the connection's user, or use another connection",
    "57014": "the statement was cancelled: look for a statement_timeout, or for who did it",
}


def database_error(what: str, error: BaseException, *, hint: str | None = None) -> TableError:
    """The database's own message and hint, under our name.

    :param hint: what to do if neither the database nor the kind of its error says
    """
    known = said(error)
    return TableError(f"{what}: {known}", hint=known.hint or _HINTS.get(known.sqlstate or "") or hint)
