"""HTML of templates, and how numbers, times and statuses read in it."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from markupsafe import Markup
from starlette.convertors import Convertor, register_url_convertor

from airflow_dataquality.ui.access import CSRF_FIELD, CSRF_HEADER, Who, csrf_token

HERE = Path(__file__).parent
NONE = "–"
EXACT = 10**15
"""Up to where floating point tells every integer from the next."""
STATUSES = {
    "pass": "inside its interval",
    "warn": "outside its interval, which is a warning",
    "fail": "outside its interval, which is an error",
    "error": "its query failed",
    "skip": "no data, or too little history to judge",
    "blocked": "not published: its checks failed",
    "published": "published",
    "missing": "nothing was published",
    "running": "still running",
}
"""What each status means. The first five are of checks, the next of partitions."""
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_AGES = ((365 * 86400, "year"), (30 * 86400, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


class NameConvertor(Convertor[str]):
    """A name as one segment of an address, whatever is in it.

    Servers and proxies decode an address before they take it apart, some of them twice. So what they would
    misunderstand is spelled with a tilde: ``a/b`` is ``a~2Fb``.
    """

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return re.sub("~([0-9A-F]{2})", lambda found: chr(int(found[1], 16)), value)

    def to_string(self, value: str) -> str:
        # A segment of dots alone is what browsers take for a way up.
        special = r"\." if set(value) == {"."} else r"[~/%\\\x00-\x1f]"
        return re.sub(special, lambda found: f"~{ord(found[0]):02X}", value)


register_url_convertor("name", NameConvertor())


def link(request: Request, name: str, /, query: Mapping[str, Any] | None = None, **path: Any) -> str:
    """Address of one of the pages, as a path, which is right under a base URL and behind a proxy.

    :param name: of the endpoint's function
    :param query: parameters; those that are None or empty are left out
    """
    address = request.scope.get("root_path", "") + quote(str(request.app.url_path_for(name, **path)), safe="/")
    given = {key: value for key, value in (query or {}).items() if value not in (None, "", [])}
    return f"{address}?{urlencode(given, doseq=True)}" if given else address


def airflow_link(
    request: Request, dag_id: str, run_id: str | None = None, task_id: str | None = None,
    map_index: int | None = None, try_number: int | None = None,
) -> str:  # fmt: skip
    """Address of Airflow's own page of a DAG, a run, or a task, where its log is."""
    parts = [("dags", dag_id), ("runs", run_id), ("tasks", task_id)]
    address = "".join(f"/{kind}/{quote(name, safe='')}" for kind, name in parts if name)
    if task_id and map_index is not None and map_index >= 0:
        address += f"/mapped/{map_index}"
    query = f"?try_number={try_number}" if task_id and try_number else ""
    return f"{home(request)}{address}{query}"


def home(request: Request) -> str:
    """The path under which Airflow itself lives, without the slash at its end."""
    mounted: str = request.scope.get("root_path", "")
    outer: str = request.scope.get("app_root_path", mounted.rpartition("/")[0])
    return outer.rstrip("/")


def number(value: Any, digits: int = 4) -> str:
    """A number to read: thousands apart, and of fractions what matters.

    >>> number(1234567), number(0.012345678), number(12.0), number(None), number(1e300)
    ('1,234,567', '0.01235', '12', '–', '1e+300')
    """
    if value is None or isinstance(value, Undefined):
        return NONE
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return str(value)
    size = abs(float(value))
    if not math.isfinite(size):
        return str(value)
    if size < EXACT and value == int(value):
        return f"{int(value):,}"
    if 10**digits <= size < EXACT:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def percent(value: Any) -> str:
    """A share, as percent; never rounded to a hundred that it is not.

    >>> percent(1), percent(0.98765), percent(0.99999), percent(0), percent(None)
    ('100 %', '98.8 %', '99.9 %', '0 %', '–')
    """
    if value is None or isinstance(value, Undefined):
        return NONE
    share = float(value) * 100
    if 99.9 < share < 100:  # noqa: PLR2004 - what would read as all of it
        return "99.9 %"
    return f"{share:.1f}".removesuffix(".0") + " %"


def duration(value: Any) -> str:
    """Seconds to read, in two units at most.

    >>> duration(0.25), duration(95), duration(90000), duration(None)
    ('0.25 s', '1 min 35 s', '1 d 1 h', '–')
    """
    if value is None or isinstance(value, Undefined):
        return NONE
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 10:  # noqa: PLR2004 - where fractions matter
        return f"{seconds:.2g} s"
    parts, rest = [], round(seconds)
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])


def moment(value: Any) -> datetime | None:
    """A time of the ledger, in UTC: some databases have it as text, some without a zone."""
    if value is None or isinstance(value, Undefined) or value == "":
        return None
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def ago(value: Any, now: datetime | None = None) -> str:
    """How long ago, with the exact time behind it.

    >>> print(ago("2013-02-01 10:00:00", datetime(2013, 2, 1, 12, 5, tzinfo=UTC)))
    <time datetime="2013-02-01T10:00:00+00:00" title="2013-02-01 10:00:00 UTC">2 hours ago</time>
    """
    when = moment(value)
    if when is None:
        return NONE
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    exact = f"{when:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(when.isoformat(), exact, _age(seconds))


def _age(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in _AGES if abs(seconds) >= size), (0, ""))
    if not unit:
        return "now"
    count = int(abs(seconds) // size)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{words} ago" if seconds > 0 else f"in {words}"


def partition(value: Any) -> str:
    """A partition of the ledger, in words.

    >>> partition('{"ds": "2013-02-01", "region": "EU"}'), partition("{}"), partition("?")
    ('ds 2013-02-01, region EU', 'whole table', '?')
    """
    try:
        key = json.loads(value) if isinstance(value, str) else dict(value)
        return ", ".join(f"{column} {part}" for column, part in key.items()) or "whole table"
    except (ValueError, TypeError, AttributeError):
        return str(value)


def status(value: Any, text: str | None = None) -> Markup:
    """A badge: a shape, a word, a colour, and what it means as its title.

    :param text: instead of the status' own word
    """
    known = str(value) if str(value) in STATUSES else "unknown"
    return Markup('<span class="status is-{}" title="{}"><i class="shape" aria-hidden="true"></i>{}</span>').format(
        known, STATUSES.get(known, ""), text or value
    )


def as_json(value: Any, **options: Any) -> str:
    """JSON that browsers read: what is not finite is null."""
    return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, default=str, **options)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.policies["json.dumps_function"] = as_json
    found.policies["json.dumps_kwargs"] = {}
    found.filters |= {
        "number": number,
        "percent": percent,
        "duration": duration,
        "ago": ago,
        "partition": partition,
        "status": status,
    }
    found.globals |= {"version": static_version(), "STATUSES": STATUSES, "NONE": NONE}
    return found


def page(request: Request, who: Who, template: str, *, status_code: int = 200, **context: Any) -> HTMLResponse:
    """A page, or with htmx a part of one.

    :param template: file in ``templates/``
    :param context: its variables. One that it uses and that is not here is an error
    """

    def to(name: str, /, query: Mapping[str, Any] | None = None, **path: Any) -> str:
        return link(request, name, query, **path)

    def to_airflow(dag_id: str, *place: Any, **more: Any) -> str:
        return airflow_link(request, dag_id, *place, **more)

    token = csrf_token(who)
    field = Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token)
    given = {
        "request": request,
        "who": who,
        "link": to,
        "airflow": to_airflow,
        "home": home(request),
        "csrf": field,
        "csrf_headers": as_json({CSRF_HEADER: token}),
        "here": request.url.path,
    }
    return HTMLResponse(_environment().get_template(template).render(**given, **context), status_code=status_code)


@cache
def static_version() -> str:
    """Changes when one of the static files does, so that browsers may keep them for ever."""
    digest = hashlib.blake2b(digest_size=6)
    for file in sorted((HERE / "static").rglob("*")):
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()


@cache
def plain_style() -> str:
    """The style of pages for those who may not load ours, as nobody knows them."""
    return (HERE / "templates" / "unknown.css").read_text()


def plain(template: str, **context: Any) -> str:
    """A template that needs to know nothing of the visitor."""
    return _environment().get_template(template).render(**context)
