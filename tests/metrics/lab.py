"""What the tests of metrics share: agents that listen, an API that answers, and a look at what was sent."""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import socket
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"

CONTEXT: Any = {
    "ti": SimpleNamespace(dag_id="flights", task_id="t", run_id="manual", map_index=-1, try_number=1, log_url=None)
}
TAGS = {"dag": "flights", "env": "test"}


@dataclass
class Agent:
    """A DogStatsD agent: a real socket, bound."""

    socket: socket.socket
    connection: dict[str, Any]

    def datagrams(self) -> list[bytes]:
        """What has arrived and was not looked at yet. Over the loopback it is there once it was sent."""
        found = []
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.socket.recv(65536))
        return found

    def lines(self) -> list[str]:
        return [line for datagram in self.datagrams() for line in datagram.decode().split("\n")]

    def heard(self) -> Heard:
        return Heard.of(self.lines())


@dataclass(frozen=True)
class Metric:
    """A metric as it was sent."""

    name: str
    value: float
    type: str
    tags: dict[str, str]


@dataclass(frozen=True)
class Heard:
    """Lines of DogStatsD, taken apart."""

    metrics: list[Metric] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    service_checks: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, lines: list[str]) -> Heard:
        metrics = [_metric(line) for line in lines if not line.startswith("_")]
        events = [line for line in lines if line.startswith("_e{")]
        return cls(metrics, events, [line for line in lines if line.startswith("_sc|")])

    @property
    def names(self) -> set[str]:
        return {metric.name for metric in self.metrics}

    def all(self, name: str, **tags: str) -> list[Metric]:
        wanted = tags.items()
        return [each for each in self.metrics if each.name == f"dataquality.{name}" and wanted <= each.tags.items()]

    def value(self, name: str, **tags: str) -> float:
        (metric,) = self.all(name, **tags)
        return metric.value


def _metric(line: str) -> Metric:
    match = re.fullmatch(r"([a-zA-Z][\w.]*):(-?[\d.]+(?:e[+-]?\d+)?)\|([gcd])(?:\|#(.*))?", line, re.ASCII)
    assert match is not None, line
    tags = dict(tag.split(":", 1) for tag in (match[4] or "").split(",") if tag)
    return Metric(match[1], float(match[2]), match[3], tags)


def udp_agent() -> Agent:
    """An agent on a free port."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    bound.bind(("127.0.0.1", 0))
    return Agent(bound, {"conn_type": "dq_datadog", "host": "127.0.0.1", "port": bound.getsockname()[1]})


def unix_agent(path: str) -> Agent:
    """An agent on a Unix socket."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    bound.bind(path)
    return Agent(bound, {"conn_type": "dq_datadog", "extra": {"socket": path}})


@dataclass
class FakeDatadog:
    """Datadog's API: it keeps what it is sent, and answers as it is told."""

    port: int = 0
    status: int = 202
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    answers: threading.Event = field(default_factory=threading.Event)

    @property
    def connection(self) -> dict[str, Any]:
        return {"conn_type": "dq_datadog", "password": KEY, "extra": {"api_url": f"http://127.0.0.1:{self.port}/"}}

    def bodies(self, path: str) -> list[Any]:
        """The bodies sent to a path, unpacked."""
        unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}
        return [
            json.loads(unpack[headers.get("content-encoding")](body))
            for where, headers, body in self.requests
            if where == path
        ]


@contextlib.contextmanager
def fake_datadog() -> Iterator[FakeDatadog]:
    """The API, on a free port, for as long as the block runs."""
    api = FakeDatadog()
    api.answers.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            api.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            api.answers.wait(10)
            with contextlib.suppress(OSError):  # nobody waits any more
                self.send_response(api.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield api
        finally:
            api.answers.set()
            server.shutdown()
            thread.join()
