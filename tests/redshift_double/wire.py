"""The messages of the protocol, and the connection to the Postgres below.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import struct

PROTOCOL_3 = 196608
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
_AUTHENTICATED, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 10, 11, 12
JSONB_OID, SUPER_OID = struct.pack("!i", 3802), struct.pack("!i", 4000)

Frame = tuple[bytes, bytes]


def frame(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def text(*values: str) -> bytes:
    return b"".join(value.encode() + b"\0" for value in values)


SYNC, READ_COMPLETE = frame(b"S"), frame(b"H")


def error_body(code: str, message: str, detail: str | None = None, severity: str = "ERROR") -> bytes:
    """Body of an ErrorResponse."""
    body = b"S" + text(severity) + b"C" + text(code) + b"M" + text(message)
    return body + (b"D" + text(detail) if detail else b"") + b"\0"


def error_fields(body: bytes) -> dict[str, str]:
    """Fields of an ErrorResponse by their letters: S, C, M, D."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def until_zero(body: bytes) -> tuple[str, bytes]:
    """A text at the begin of a body, and the rest."""
    value, rest = body.split(b"\0", 1)
    return value.decode(), rest


def row_values(body: bytes) -> list[str | None]:
    """Values of a DataRow in text format."""
    values: list[str | None] = []
    position = 2
    for _ in range(struct.unpack_from("!h", body)[0]):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        values.append(None if length < 0 else body[position : position + length].decode())
        position += max(length, 0)
    return values


def row(value: str) -> bytes:
    """Body of a DataRow with one value."""
    data = value.encode()
    return struct.pack("!hi", 1, len(data)) + data


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    header = await reader.readexactly(5)
    (length,) = struct.unpack("!i", header[1:])
    return header[:1], await reader.readexactly(length - 4)


class PostgresRefusedError(Exception):
    """An ErrorResponse of the Postgres below."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.fields = error_fields(body)
        super().__init__(self.fields.get("M", ""))


class Backend:
    """One connection to Postgres, as the client's own user."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = b"I"
        self.greeting: list[Frame] = []

    @classmethod
    async def connect(cls, port: int, startup: dict[str, str], password: str) -> Backend:
        """Connect and authenticate.

        :raises PostgresRefusedError: if Postgres does not let the user in
        """
        backend = cls(*await asyncio.open_connection("127.0.0.1", port))
        try:
            pairs = b"".join(text(key, value) for key, value in startup.items()) + b"\0"
            body = struct.pack("!i", PROTOCOL_3) + pairs
            backend.writer.write(struct.pack("!i", len(body) + 4) + body)
            await backend._authenticate(password)
            backend.greeting = await backend.responses()
        except BaseException:
            backend.abort()
            raise
        return backend

    async def _authenticate(self, password: str) -> None:
        proof = _Scram(password)
        while True:
            kind, body = await read_frame(self.reader)
            if kind == b"E":
                raise PostgresRefusedError(body)
            (request,) = struct.unpack_from("!i", body)
            if request == _AUTHENTICATED:
                return
            if request == _SASL:
                first = proof.first()
                self.writer.write(frame(b"p", text("SCRAM-SHA-256") + struct.pack("!i", len(first)) + first))
            elif request == _SASL_CONTINUE:
                self.writer.write(frame(b"p", proof.final(body[4:])))

    async def responses(self) -> list[Frame]:
        """What Postgres says until it is ready again."""
        frames = []
        while True:
            kind, body = await read_frame(self.reader)
            if kind == b"Z":
                self.status = body
                return frames
            frames.append((kind, body))
            if kind == b"E" and error_fields(body).get("S") in {"FATAL", "PANIC"}:
                raise PostgresRefusedError(body)

    async def exchange(self, messages: bytes) -> list[Frame]:
        """Send messages that end with Sync or are one Query, and return what Postgres says."""
        self.writer.write(messages)
        return await self.responses()

    async def query(self, sql: str, data: bytes | None = None) -> tuple[list[list[str | None]], str]:
        """Run statements in the client's transaction; the rows, and the last command tag.

        :param data: what a COPY … FROM STDIN reads
        :raises PostgresRefusedError: if one fails
        """
        message = frame(b"Q", text(sql))
        if data is not None:
            message += frame(b"d", data) + frame(b"c")
        rows, tag, error = [], "", None
        for kind, body in await self.exchange(message):
            if kind == b"D":
                rows.append(row_values(body))
            elif kind == b"C":
                tag = until_zero(body)[0]
            elif kind == b"E" and error is None:
                error = PostgresRefusedError(body)
        if error is not None:
            raise error
        return rows, tag

    def abort(self) -> None:
        """Cut the connection: Postgres rolls the open transaction back."""
        self.writer.transport.abort()


class _Scram:
    """SCRAM-SHA-256: https://www.rfc-editor.org/rfc/rfc5802."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._bare = f"n=,r={secrets.token_urlsafe(18)}"

    def first(self) -> bytes:
        return f"n,,{self._bare}".encode()

    def final(self, challenge: bytes) -> bytes:
        server = challenge.decode()
        parts = dict(part.split("=", 1) for part in server.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(parts["s"]), int(parts["i"]))
        without_proof = f"c=biws,r={parts['r']}"
        signed = f"{self._bare},{server},{without_proof}".encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = bytes(left ^ right for left, right in zip(key, signature, strict=True))
        return f"{without_proof},p={base64.b64encode(proof).decode()}".encode()
