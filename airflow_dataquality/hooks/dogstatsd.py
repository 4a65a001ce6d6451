"""DogStatsD: text lines in datagrams, to an agent that listens on a port or on a Unix socket.

https://docs.datadoghq.com/extend/dogstatsd/datagram_shell

Written here and not left to the ``datadog`` package, whose client neither cleans names nor tells that an agent is dead,
and keeps threads and telemetry of its own: what is left is the four lines of text below.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from airflow_dataquality.telemetry import Batch, Event, Kind, Observation, ServiceCheck, clean_name, clean_tags

PORT = 8125
UDP_BYTES = 1432
"""What fits into one Ethernet frame."""
UNIX_BYTES = 8192
"""What an agent reads at once (``dogstatsd_buffer_size``)."""
TITLE, TEXT = 100, 4000
"""Characters of an event that Datadog keeps."""

_TYPES = {Kind.GAUGE: "g", Kind.COUNT: "c", Kind.DISTRIBUTION: "d"}


class Sender(Protocol):
    """A way to Datadog."""

    @property
    def remote(self) -> bool:
        """Whether it may take its time."""

    def send(self, batch: Batch, seconds: float) -> None:
        """Send a batch.

        :param seconds: what it may take at most, as far as the way can tell
        :raises Exception: if it cannot be sent
        """


@dataclass(frozen=True)
class DogStatsD:
    """An agent.

    :param host: its host; None if it listens on a Unix socket
    :param path: the Unix socket
    """

    host: str | None = None
    port: int = PORT
    path: str | None = None
    remote: ClassVar[bool] = True

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    def send(self, batch: Batch, seconds: float) -> None:
        """Send a batch, in as few datagrams as it takes.

        :raises OSError: if nobody listens, where the system tells that
        """
        with self._connected() as connection:
            connection.settimeout(seconds)
            for datagram in packed(lines(batch), UNIX_BYTES if self.path else UDP_BYTES):
                connection.send(datagram)
            if self.path is None:
                # That nobody listens comes back as an answer to a datagram, and is told by the next call.
                connection.settimeout(0.001)
                with contextlib.suppress(TimeoutError):
                    connection.recv(1)

    def _connected(self) -> socket.socket:
        if self.path is not None:
            connection, address = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), self.path
        else:
            family, kind, protocol, _, address = socket.getaddrinfo(  # type: ignore[assignment]
                self.host, self.port, type=socket.SOCK_DGRAM
            )[0]
            connection = socket.socket(family, kind, protocol)
        try:
            connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return connection


def lines(batch: Batch) -> Iterator[str]:
    """The batch as lines of the protocol."""
    yield from map(_metric, batch.observations)
    yield from map(_event, batch.events)
    yield from map(_service_check, batch.service_checks)


def packed(texts: Iterable[str], most: int) -> Iterator[bytes]:
    r"""Lines as datagrams of at most so many bytes; a line that is longer has one of its own.

    >>> list(packed(["a:1|g", "b:2|g", "c:3|g"], 11))
    [b'a:1|g\nb:2|g', b'c:3|g']
    """
    held = b""
    for line in (text.encode() for text in texts):
        if held and len(held) + 1 + len(line) > most:
            yield held
            held = b""
        held = held + b"\n" + line if held else line
    if held:
        yield held


def number(value: float) -> str:
    """A number as text; a whole one without a point.

    >>> number(3.0), number(0.25)
    ('3', '0.25')
    """
    return str(int(value)) if value.is_integer() else repr(value)


def _metric(each: Observation) -> str:
    return f"{clean_name(each.name)}:{number(each.value)}|{_TYPES[each.kind]}{_tags(each.tags)}"


def _tags(tags: object) -> str:
    cleaned = clean_tags(tags)  # type: ignore[arg-type]
    return f"|#{','.join(cleaned)}" if cleaned else ""


def _event(event: Event) -> str:
    title, text = _escaped(event.title[:TITLE]), _escaped(event.text[:TEXT])
    key = f"|k:{_flat(event.key)[:TITLE]}" if event.key else ""
    sizes = f"{len(title.encode())},{len(text.encode())}"
    return f"_e{{{sizes}}}:{title}|{text}{key}|s:airflow|t:{event.alert_type}{_tags(event.tags)}"


def _service_check(check: ServiceCheck) -> str:
    message = f"|m:{_flat(check.message)[:TEXT]}" if check.message else ""
    return f"_sc|{clean_name(check.name)}|{int(check.level)}{_tags(check.tags)}{message}"


def _escaped(text: str) -> str:
    return text.replace("\n", "\\n")


def _flat(text: str) -> str:
    # A message ends its line, and a field ends at a bar.
    return text.replace("m:", "m\\:").replace("\n", "\\n").replace("|", "/")
