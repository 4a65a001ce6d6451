"""What to say of a task that failed, for whoever sends it: Slack, e-mail, PagerDuty."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from airflow_dataquality.errors import ChecksFailed, DataQualityError
from airflow_dataquality.hooks.secrets import redacted
from airflow_dataquality.results import Result, Status

log = logging.getLogger(__name__)

LONGEST = 2_800
"""Characters of a message, without its link. A section of Slack's holds 3,000."""
LONGEST_LINE = 400
_WORST_FIRST = (Status.FAIL, Status.ERROR, Status.WARN)
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")


def dq_failure_message(context: Mapping[str, Any], *, markup: str = "text", most: int = 10) -> str:
    """Say which table failed, which checks with which values, where the rejected rows are, and where the log is.

    It asks no database, never raises, and shows nothing that Airflow knows to be secret. Of a task of another package
    it says what went wrong. The first line is a title. Braces are written apart, as notifiers take a text for a
    template.

    :param context: what Airflow gives to ``on_failure_callback`` and ``on_retry_callback``
    :param markup: ``text``, ``slack`` (its signs are escaped) or ``html`` (as ``text``, with line breaks)
    :param most: how many checks are named
    """
    try:
        text, link = "\n".join(map(_short, _lines(context, most))), _link(context)
        text = _safe(text if len(text) <= LONGEST else text[: LONGEST - 2] + " …")
    except Exception:  # a message must not hide the failure
        log.warning("The failure cannot be described", exc_info=True)
        text, link = "A task failed; look at its log", None
    return _MARKUPS.get(markup, str)(text + (f"\nLog: {link}" if link else ""))


def _lines(context: Mapping[str, Any], most: int) -> list[str]:
    raised = context.get("exception")
    error = next((each for each in _chain(raised) if isinstance(each, DataQualityError)), None)
    if error is None:
        return [*_plain(raised, context), *_task(context)]
    title, *more = error.message.splitlines() or ["A task failed"]
    outcome: Mapping[str, Any] = getattr(error, "outcome", {})
    summary = error.summary if isinstance(error, ChecksFailed) else None
    if summary is not None:
        bad = [result for status in _WORST_FIRST for result in summary.results if result.status is status]
        more = [f"• {_line(result)}" for result in bad[:most]]
        more += [f"• … and {len(bad) - most} more"] if len(bad) > most else []
    return [title.rstrip(":"), *_table(outcome, context), *more, *_next(outcome, error), *_task(context)]


def _chain(error: Any) -> Iterator[BaseException]:
    """The error, and what led to it."""
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _line(result: Result) -> str:
    named = "" if result.reason.startswith(result.check.name) else f"{result.check.name}: "
    known = f"{named}{result.reason}"
    if isinstance(result.value, int | float | Decimal | date) and str(result.value) not in known:
        known += f"; the value is {result.value}"
    if result.interval not in known and result.status is not Status.ERROR:
        known += f", expected {result.interval}"
    return f"{known} [{result.status}]"


def _table(outcome: Mapping[str, Any], context: Mapping[str, Any]) -> list[str]:
    task = context.get("task")
    table = outcome.get("table") or getattr(task, "table", None) or getattr(task, "summary", None)
    if not isinstance(table, str):
        return []
    key = outcome.get("partition")
    partition = ", ".join(f"{column}={value}" for column, value in key.items()) if isinstance(key, Mapping) else ""
    return [f"Table: {table}" + (f", partition {partition}" if partition else "")]


def _next(outcome: Mapping[str, Any], error: DataQualityError) -> list[str]:
    """Where to look now."""
    kept, hint = outcome.get("staging_table"), error.hint
    hints = [f"Hint: {hint}"] if hint and not (kept and str(kept) in hint) else []
    return [f"Rejected rows: {kept}", *hints] if kept else hints


def _plain(raised: Any, context: Mapping[str, Any]) -> list[str]:
    """What went wrong in a task that is not ours, or was killed."""
    said = str(raised if raised is not None else context.get("reason") or "").strip()
    kind = type(raised).__name__ if isinstance(raised, BaseException) else ""
    return [": ".join(filter(None, (kind, said))) or "A task failed"]


def _task(context: Mapping[str, Any]) -> list[str]:
    instance = context.get("ti") or context.get("task_instance")
    words = {"dag_id": "DAG", "task_id": "task", "run_id": "run", "map_index": "map index", "try_number": "try"}
    known = {word: getattr(instance, name, None) for name, word in words.items()}
    if known["DAG"] is None:
        known["DAG"] = getattr(context.get("dag"), "dag_id", None)
        known["run"] = known["run"] or context.get("run_id")
    told = [f"{word} {value}" for word, value in known.items() if value not in (None, "", -1)]
    return [", ".join(told)] if told else []


def _link(context: Mapping[str, Any]) -> str | None:
    instance = context.get("ti") or context.get("task_instance")
    url = getattr(instance, "log_url", None)
    return url if isinstance(url, str) else None


def _short(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 2] + " …"


def _safe(text: str) -> str:
    shown = _PASSWORD.sub(r"\1:***@", redacted(text))
    return re.sub(r"\{(?=[{%#])", "{ ", shown)


def _slack(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text#escaping."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_MARKUPS: dict[str, Callable[[str], str]] = {
    "text": str,
    "slack": _slack,
    "html": lambda text: html.escape(text).replace("\n", "<br>\n"),
}
