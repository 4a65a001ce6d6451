"""What goes over the wire: real datagrams, real HTTP bodies; and what an outage costs."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Stats
from metrics.lab import KEY, Agent, FakeDatadog

from airflow_dataquality.hooks.datadog import DatadogMetricsHook, sender
from airflow_dataquality.hooks.datadog_api import Api
from airflow_dataquality.hooks.dogstatsd import UDP_BYTES, UNIX_BYTES
from airflow_dataquality.telemetry import Batch, Event, Level, Observation, ServiceCheck, observe

TAGS = {"table": "w.Orders", "dag": "d"}


def batch() -> Batch:
    return Batch(
        [
            *observe("rows.staged", 3, TAGS),
            *observe("duration.task", 0.25, TAGS),
            *observe("duration.task", 0.5, TAGS),
            *observe("checks.passed", 2, TAGS),
            Observation("my metric", 1e21),
        ],
        [Event("w.t was not published: Größe|x", "a\nb", "error", TAGS, key="k")],
        [ServiceCheck("dataquality.table", Level.CRITICAL, "m: no\nrows", TAGS)],
    )


LINES = [
    "dataquality.rows.staged:3|g|#dag:d,table:w.orders",
    "dataquality.duration.task:0.25|d|#dag:d,table:w.orders",
    "dataquality.duration.task:0.5|d|#dag:d,table:w.orders",
    "dataquality.checks.passed:2|c|#dag:d,table:w.orders",
    "my_metric:1000000000000000000000|g",
    "_e{32,4}:w.t was not published: Größe|x|a\\nb|k:k|s:airflow|t:error|#dag:d,table:w.orders",
    "_sc|dataquality.table|2|#dag:d,table:w.orders|m:m\\: no\\nrows",
]


def flush(batch: Batch, **arguments: Any) -> bool:
    return DatadogMetricsHook("datadog", **arguments).flush(batch)


# -- DogStatsD


@pytest.mark.parametrize("kind", ["agent", "unix"])
def test_lines(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    agent: Agent = request.getfixturevalue(kind)
    monkeypatch.setenv("AIRFLOW__AIRFLOW_DATAQUALITY__ENV", "")
    assert flush(batch())
    (datagram,) = agent.datagrams()
    assert datagram.decode().split("\n") == LINES


@pytest.mark.parametrize(("kind", "most"), [("agent", UDP_BYTES), ("unix", UNIX_BYTES)])
def test_datagrams_are_full_but_not_too_long(kind: str, most: int, request: pytest.FixtureRequest) -> None:
    agent: Agent = request.getfixturevalue(kind)
    observations = [one for n in range(400) for one in observe("rows.staged", n, {"table": f"table_{n}"})]
    assert flush(Batch(observations), max_tag_values=1000)
    datagrams = agent.datagrams()
    sizes = [len(datagram) for datagram in datagrams]
    assert max(sizes) <= most
    assert min(sizes[:-1]) > most - 100
    assert sum(datagram.count(b"\n") + 1 for datagram in datagrams) == 400


def test_the_environment_is_a_tag_of_everything(agent: Agent) -> None:
    assert flush(batch())
    assert all("|#dag:d,env:test,table:w.orders" in line for line in agent.lines() if "my_metric" not in line)
    assert flush(batch(), env="Prod 2")
    assert all("env:prod_2" in line for line in agent.lines())


def test_tags_are_bounded_and_that_is_told_once(agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    observations = [one for n in range(30) for one in observe("rows.checked", 1, {"table": f"t{n}"})]
    assert flush(Batch(observations), max_tag_values=10)
    assert agent.heard().value("rows.checked", table="other") == 20
    (told,) = [text for text in caplog.messages if "Tags" in text]
    assert told == "Tags have more than 10 values: 20 of 'table' became 'other' (max_tag_values)"


def test_a_socket_may_be_in_place_of_the_host(unix: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    path = unix.connection["extra"]["socket"]
    for host in (path, f"unix://{path}"):
        monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps({"conn_type": "dq_datadog", "host": host}))
        assert str(sender("datadog")) == path


def test_an_event_is_cut_to_what_datadog_keeps(agent: Agent) -> None:
    assert flush(Batch(events=[Event("ä" * 300, "ö" * 9000)]))
    ((line,),) = [agent.lines()]
    assert line.startswith("_e{200,8000}:" + "ä" * 100 + "|" + "ö" * 4000 + "|s:airflow|t:info")


# -- the API


def test_bodies(api: FakeDatadog) -> None:
    before = int(time.time())
    assert flush(batch())
    assert [path for path, _, _ in api.requests] == [
        "/api/v2/series", "/api/v1/distribution_points", "/api/v1/events", "/api/v1/check_run",
    ]  # fmt: skip
    assert {headers["dd-api-key"] for _, headers, _ in api.requests} == {KEY}
    assert not any(KEY in path for path, _, _ in api.requests)
    tags = ["dag:d", "table:w.orders"]
    (series,) = api.bodies("/api/v2/series")
    stamps = [point.pop("timestamp") for each in series["series"] for point in each["points"]]
    assert all(before <= stamp <= time.time() for stamp in stamps)
    assert series == {
        "series": [
            {"metric": "dataquality.rows.staged", "type": 3, "points": [{"value": 3.0}], "tags": tags, "unit": "row"},
            {"metric": "dataquality.checks.passed", "type": 1, "points": [{"value": 2.0}], "tags": tags,
             "unit": "check", "interval": 1},
            {"metric": "my_metric", "type": 3, "points": [{"value": 1e21}], "tags": []},
        ]
    }  # fmt: skip
    (points,) = api.bodies("/api/v1/distribution_points")
    assert points["series"][0].pop("points")[0][1] == [0.25, 0.5]
    assert points == {"series": [{"metric": "dataquality.duration.task", "tags": tags}]}
    (event,) = api.bodies("/api/v1/events")
    assert before <= event.pop("date_happened") <= time.time()
    assert event == {
        "title": "w.t was not published: Größe|x", "text": "a\nb", "alert_type": "error", "tags": tags,
        "aggregation_key": "k", "source_type_name": "airflow",
    }  # fmt: skip
    ((check,),) = api.bodies("/api/v1/check_run")
    assert before <= check.pop("timestamp") <= time.time()
    assert check == {
        "check": "dataquality.table", "host_name": socket.gethostname(), "status": 2, "message": "m: no\nrows",
        "tags": tags,
    }  # fmt: skip


def test_a_thousand_metrics_are_one_request(api: FakeDatadog) -> None:
    assert flush(Batch([one for n in range(1000) for one in observe("rows.staged", n, {"table": f"t{n}"})]),
                 max_tag_values=2000)  # fmt: skip
    assert len(api.requests) == 1
    assert len(api.bodies("/api/v2/series")[0]["series"]) == 1000
    assert len(api.requests[0][2]) < 20_000


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ({}, "https://api.datadoghq.com"),
        ({"site": "datadoghq.eu"}, "https://api.datadoghq.eu"),
        ({"api_url": "http://vector:8080/"}, "http://vector:8080"),
    ],
)
def test_sites(extra: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "dq_datadog", "password": KEY, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps(connection))
    found = sender("datadog")
    assert isinstance(found, Api)
    assert (found.url, found.key) == (url, KEY)
    assert KEY not in repr(found) + str(found)


def test_secrets_are_in_no_event(api: FakeDatadog) -> None:
    assert flush(Batch(events=[Event(f"key {KEY}", f"it is {KEY}")], service_checks=[
        ServiceCheck("c", Level.OK, f"is {KEY}"),
    ]))  # fmt: skip
    assert KEY.encode() not in b"".join(body for _, _, body in api.requests)


# -- an outage is a warning, and costs less than a second


@contextmanager
def outage(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Something that is wrong with Datadog, or with the way there."""
    path: Path = request.getfixturevalue("tmp_path")
    connections: dict[str, Any] = {
        "dead agent": {"host": "127.0.0.1", "port": _free_port(socket.SOCK_DGRAM)},
        "no socket": {"extra": {"socket": str(path / "none.socket")}},
        "unknown host": {"host": "agent.invalid"},
        "nobody listens": {"password": KEY, "extra": {"api_url": f"http://127.0.0.1:{_free_port(socket.SOCK_STREAM)}"}},
        "nothing given": {},
    }
    if kind in connections:
        monkeypatch.setenv("AIRFLOW_CONN_DATADOG", json.dumps({"conn_type": "dq_datadog", **connections[kind]}))
    elif kind == "no connection":
        monkeypatch.delenv("AIRFLOW_CONN_DATADOG", raising=False)
    else:
        api: FakeDatadog = request.getfixturevalue("api")
        if kind == "slow answers":
            api.answers.clear()
        else:
            api.status = int(kind)
    yield None


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


OUTAGES = {
    "dead agent": "ConnectionRefusedError",
    "no socket": "FileNotFoundError",
    "unknown host": "gaierror|TimeoutError",
    "nobody listens": "ConnectionError",
    "nothing given": "has no host, no socket and no API key",
    "no connection": "datadog",
    "403": "Refused: 403 Forbidden",
    "500": "Refused: 500 Internal Server Error",
    "302": "Refused: 302 Found",
    "slow answers": "TimeoutError|Timeout",
}


@pytest.mark.parametrize("kind", OUTAGES)
def test_an_outage(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with outage(kind, request, monkeypatch):
        started = time.monotonic()
        assert not flush(batch())
        assert time.monotonic() - started < 1
    (told,) = [record for record in caplog.records if record.name.startswith("airflow_dataquality")]
    assert told.levelno == logging.WARNING
    assert told.getMessage().startswith("Metrics were not sent, which changes nothing else: ")
    assert any(word in told.getMessage() for word in OUTAGES[kind].split("|"))
    assert KEY not in caplog.text


def test_after_a_refusal_no_more_is_sent(api: FakeDatadog) -> None:
    api.status = 403
    assert not flush(batch())
    assert len(api.requests) == 1


def test_one_hook_changes_nothing_of_another(api: FakeDatadog, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {"conn_type": "dq_datadog", "password": KEY[::-1], "extra": {"api_url": f"http://127.0.0.1:{api.port}"}}
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(other))
    first, second = DatadogMetricsHook("datadog"), DatadogMetricsHook("other")
    for hook in (first, second, first):
        assert hook.flush(Batch(observe("rows.staged", 1)))
    assert [headers["dd-api-key"] for _, headers, _ in api.requests] == [KEY, KEY[::-1], KEY]


def test_nothing_to_say_is_not_sent(api: FakeDatadog) -> None:
    assert flush(Batch())
    assert api.requests == []


# -- without a connection


def test_without_a_connection_airflows_metrics_are_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []

    def told_of(kind: str) -> Callable[..., None]:
        return lambda name, value, *, tags: told.append((kind, name, value, tags))

    monkeypatch.setattr(Stats, "gauge", told_of("gauge"))
    monkeypatch.setattr(Stats, "incr", told_of("incr"))
    assert DatadogMetricsHook(env="test").flush(batch())
    tags = {"table": "w.orders", "dag": "d", "env": "test"}
    assert told == [
        ("gauge", "dataquality.rows.staged", 3.0, tags),
        ("gauge", "dataquality.duration.task", 0.25, tags),
        ("gauge", "dataquality.duration.task", 0.5, tags),
        ("incr", "dataquality.checks.passed", 2, tags),
        ("gauge", "my_metric", 1e21, {"env": "test"}),
    ]
