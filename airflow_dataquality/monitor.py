"""Who is told when a check fails: a monitor in Datadog, written next to the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_dataquality.errors import SpecError, did_you_mean

KEYS = ("notify", "renotify", "message", "priority", "tags")
HINT = 'write {"notify": "@pagerduty-data", "renotify": 60}'
PRIORITIES = range(1, 6)


@dataclass(frozen=True)
class Monitor:
    """A monitor of one check. ``airflow dq monitors`` exports it.

    :param notify: whom Datadog tells: ``@pagerduty-data``, ``@slack-data-alerts``, ``@ann@example.com``
    :param renotify: minutes after which it tells again, if nothing is better; None tells once
    :param message: what to say beside what is known
    :param priority: 1 (critical) to 5 (info)
    :param tags: of the monitor
    """

    notify: tuple[str, ...] = ()
    renotify: int | None = None
    message: str | None = None
    priority: int | None = None
    tags: tuple[str, ...] = ()


def monitor(given: Any, where: str) -> Monitor | None:
    """Read a monitor; None if there is none.

    :param where: what to call the place in an error
    :raises SpecError: naming the place, the mistake and the candidates

    >>> monitor({"notify": "@pagerduty-data", "renotify": 60}, "rules[0]").notify
    ('@pagerduty-data',)
    """
    if given is None or isinstance(given, Monitor):
        return given
    if not isinstance(given, Mapping):
        raise SpecError(f"{where}: monitor {given!r} is not a mapping", hint=HINT)
    if unknown := [key for key in given if key not in KEYS]:
        raise SpecError(f"{where}: unknown key of a monitor {unknown[0]!r}", hint=did_you_mean(str(unknown[0]), KEYS))
    notify = _texts(given.get("notify"), f"{where}: monitor.notify")
    if strange := [each for each in notify if not each.startswith("@") or " " in each]:
        raise SpecError(f"{where}: monitor.notify {strange[0]!r} is no handle of Datadog",
                        hint='handles begin with @: "@pagerduty-data", "@slack-data", "@ann@example.com"')  # fmt: skip
    message = given.get("message")
    if message is not None and (not isinstance(message, str) or not message.strip()):
        raise SpecError(f"{where}: monitor.message {message!r} is not a text", hint="write one, or leave it out")
    renotify, priority = (_whole(given.get(key), f"{where}: monitor.{key}") for key in ("renotify", "priority"))
    if priority is not None and priority not in PRIORITIES:
        raise SpecError(f"{where}: monitor.priority is {priority}", hint="write 1 (critical) to 5 (info)")
    return Monitor(notify, renotify, message, priority, _texts(given.get("tags"), f"{where}: monitor.tags"))


def _texts(value: Any, where: str) -> tuple[str, ...]:
    listed = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(listed, Sequence) or not all(isinstance(each, str) and each.strip() for each in listed):
        raise SpecError(f"{where} {value!r} is neither a text nor a list of texts", hint=HINT)
    return tuple(each.strip() for each in listed)


def _whole(value: Any, where: str) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise SpecError(f"{where} is {value!r}, not a whole number from 1 on", hint=HINT)
    return value
