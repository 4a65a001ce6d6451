"""Datadog's HTTP API: what the bodies of its requests hold, and how they are sent."""

from __future__ import annotations

import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from airflow_dataquality.hooks.dogstatsd import TEXT, TITLE
from airflow_dataquality.telemetry import Batch, Event, Kind, Observation, ServiceCheck, clean_name, clean_tags

SITE = "datadoghq.com"
SERIES = 5000
"""Metrics of one request: unpacked, its body may have 5 MB."""

_TYPES = {Kind.COUNT: 1, Kind.GAUGE: 3}


class Refused(Exception):
    """Datadog did not take what was sent."""


@dataclass(frozen=True)
class Request:
    """A request, as it is sent.

    :param body: packed, if ``encoding`` says how
    """

    path: str
    body: bytes
    encoding: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Its headers, but for the key."""
        packed = {"Content-Encoding": self.encoding} if self.encoding else {}
        return {"Content-Type": "application/json", **packed}


@dataclass(frozen=True)
class Api:
    """The API of a site, or what stands before it.

    :param key: the API key; it goes into a header, and nowhere else
    """

    url: str
    key: str = field(repr=False)
    remote: ClassVar[bool] = True

    def __str__(self) -> str:
        return self.url

    def send(self, batch: Batch, seconds: float) -> None:
        """Send a batch, all of its metrics at once.

        :raises Refused: if one request is not taken; the others are not sent then
        :raises requests.RequestException: if there is no answer
        """
        import requests

        deadline = time.monotonic() + seconds
        with requests.Session() as session:
            for each in requests_of(batch, time.time()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                answer = session.post(
                    self.url + each.path, data=each.body, headers={**each.headers, "DD-API-KEY": self.key},
                    timeout=left, allow_redirects=False,
                )  # fmt: skip
                if answer.status_code // 100 != 2:  # noqa: PLR2004 - the class of a status
                    raise Refused(f"{answer.status_code} {answer.reason} ({each.path})")


def requests_of(batch: Batch, now: float) -> Iterator[Request]:
    """What is sent for a batch: metrics together, then distributions, events one by one, and service checks.

    https://docs.datadoghq.com/api/latest/metrics/#submit-metrics
    """
    at = int(now)
    plain = [each for each in batch.observations if each.kind is not Kind.DISTRIBUTION]
    for start in range(0, len(plain), SERIES):
        body = _json({"series": [_series(each, at) for each in plain[start : start + SERIES]]})
        yield Request("/api/v2/series", gzip.compress(body, mtime=0), "gzip")
    if points := _points(batch, at):
        yield Request("/api/v1/distribution_points", zlib.compress(_json({"series": points})), "deflate")
    for event in batch.events:
        yield Request("/api/v1/events", _json(_event(event, at)))
    if batch.service_checks:
        host = socket.gethostname()
        checks = [_service_check(check, at, host) for check in batch.service_checks]
        yield Request("/api/v1/check_run", _json(checks))


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _series(each: Observation, at: int) -> dict[str, Any]:
    unit = {"unit": each.unit} if each.unit else {}
    interval = {"interval": 1} if each.kind is Kind.COUNT else {}
    return {
        "metric": clean_name(each.name),
        "type": _TYPES[each.kind],
        "points": [{"timestamp": at, "value": each.value}],
        "tags": clean_tags(each.tags),
        **unit,
        **interval,
    }


def _points(batch: Batch, at: int) -> list[dict[str, Any]]:
    """Distributions: the values of a name and its tags together."""
    found: dict[tuple[str, tuple[str, ...]], list[float]] = {}
    for each in batch.observations:
        if each.kind is Kind.DISTRIBUTION:
            found.setdefault((clean_name(each.name), tuple(clean_tags(each.tags))), []).append(each.value)
    return [{"metric": name, "points": [[at, values]], "tags": list(tags)} for (name, tags), values in found.items()]


def _event(event: Event, at: int) -> dict[str, Any]:
    key = {"aggregation_key": event.key[:TITLE]} if event.key else {}
    return {
        "title": event.title[:TITLE],
        "text": event.text[:TEXT],
        "alert_type": event.alert_type,
        "source_type_name": "airflow",
        "date_happened": at,
        "tags": clean_tags(event.tags),
        **key,
    }


def _service_check(check: ServiceCheck, at: int, host: str) -> dict[str, Any]:
    return {
        "check": clean_name(check.name),
        "host_name": host,
        "status": int(check.level),
        "timestamp": at,
        "message": check.message[:TEXT],
        "tags": clean_tags(check.tags),
    }
