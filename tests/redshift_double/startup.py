"""How a conversation begins: start-up message, password, and the parameters that the driver reads."""

from __future__ import annotations

import asyncio
import struct

from redshift_double.wire import (
    CANCEL_REQUEST,
    GSS_REQUEST,
    PROTOCOL_3,
    SSL_REQUEST,
    Backend,
    frame,
    read_frame,
    text,
)

# The driver's other start-up parameters (client_protocol_version, driver_version …) are unknown to Postgres.
_KEPT = {"user", "database", "application_name", "client_encoding"}
_SETTINGS = {
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "DateStyle": "ISO",
    "extra_float_digits": "0",
    "client_min_messages": "warning",
}
# Redshift's version, and the text protocol, which needs no types translated.
_ANNOUNCED = {"server_version": "8.0.2", "server_protocol_version": "0"}
_CLEAR_TEXT_PASSWORD, _AUTHENTICATED = struct.pack("!i", 3), struct.pack("!i", 0)

ISOLATION = {"serializable": "serializable", "snapshot": "repeatable read"}


async def read_startup(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str] | None:
    """The parameters with which a client begins; None if it came to cancel another one's statement."""
    while True:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        body = await reader.readexactly(length - 4)
        (code,) = struct.unpack_from("!i", body)
        if code in {SSL_REQUEST, GSS_REQUEST}:
            writer.write(b"N")
            continue
        if code == CANCEL_REQUEST:
            _, below = await asyncio.open_connection("127.0.0.1", port)
            below.write(struct.pack("!i", length) + body)
            await below.drain()
            below.close()
            return None
        assert code == PROTOCOL_3
        values = body[4:].rstrip(b"\0").decode().split("\0")
        return dict(zip(values[::2], values[1::2], strict=False))


async def log_in(
    port: int, given: dict[str, str], settings: dict[str, str], reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> Backend:  # fmt: skip
    """Ask for the password, and connect with it to the Postgres below.

    :param settings: of the session
    :raises PostgresRefusedError: if Postgres does not let the user in
    """
    options = " ".join("-c " + f"{key}={value}".replace(" ", "\\ ") for key, value in {**_SETTINGS, **settings}.items())
    startup = {key: value for key, value in given.items() if key in _KEPT} | {"options": options}
    writer.write(frame(b"R", _CLEAR_TEXT_PASSWORD))
    kind, password = await read_frame(reader)
    assert kind == b"p"
    backend = await Backend.connect(port, startup, password.rstrip(b"\0").decode())
    said = [each for each in backend.greeting if not (each[0] == b"S" and each[1].startswith(b"server_version\0"))]
    announced = [(b"S", text(key, value)) for key, value in _ANNOUNCED.items()]
    writer.write(b"".join(frame(*each) for each in [(b"R", _AUTHENTICATED), *said, *announced]))
    return backend
