"""One client: its messages are judged, and answered by the Postgres below under Redshift's rules."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redshift_double import loading
from redshift_double.errors import translated_error
from redshift_double.explain import in_redshifts_look
from redshift_double.faults import DROPPED, SERIALIZATION, Phase
from redshift_double.judge import judge
from redshift_double.lexer import literal
from redshift_double.plan import Plan, Refused
from redshift_double.startup import ISOLATION, log_in, read_startup
from redshift_double.wire import (
    JSONB_OID,
    SUPER_OID,
    SYNC,
    Backend,
    Frame,
    PostgresRefusedError,
    error_body,
    frame,
    read_frame,
    text,
    until_zero,
)  # fmt: skip

if TYPE_CHECKING:
    from redshift_double.server import RedshiftDouble

CASE_SENSITIVE = "enable_case_sensitive_identifier"


class Disconnected(Exception):
    """The connection ends here, by a fault or because Postgres ended it."""


@dataclass
class Prepared:
    """A named statement of the client."""

    sql: str
    plan: Plan
    in_backend: bool


class Session:
    """The conversation with one client. One batch of messages, up to Sync, is answered at a time."""

    def __init__(self, double: RedshiftDouble, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.double, self.reader, self.writer = double, reader, writer
        self.backend: Backend
        self.database = self.user = ""
        self._prepared: dict[str, Prepared] = {}
        self._unsent: list[bytes] = []
        # enable_case_sensitive_identifier: now, at the transaction's end, and if it is rolled back
        self._case = [False, False, False]

    async def run(self) -> None:
        """Serve the client until it leaves."""
        try:
            given = await read_startup(self.double.postgres.port, self.reader, self.writer)
            if given is None:
                return
            self.user, self.database = given["user"], given.get("database", given["user"])
            isolation = ISOLATION[self.double.isolation]
            settings = {"default_transaction_isolation": isolation, "TimeZone": self.double.time_zone}
            self.backend = await log_in(self.double.postgres.port, given, settings, self.reader, self.writer)
            self._ready()
            await self._flush()
            while await self._batch():
                pass
        except Disconnected:
            self.writer.transport.abort()
        except PostgresRefusedError as refused:
            self._send(b"E", refused.body)
            with contextlib.suppress(ConnectionError):
                await self._flush()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if hasattr(self, "backend"):
                self.backend.abort()
            self.writer.close()

    # Messages --------------------------------------------------------------------------------------------------------

    def _send(self, kind: bytes, body: bytes = b"") -> None:
        self._unsent.append(frame(kind, body))

    async def _flush(self) -> None:
        """Send what is to be sent, at once: a packet for each message would wake the client for each."""
        self.writer.write(b"".join(self._unsent))
        self._unsent.clear()
        await self.writer.drain()

    def _ready(self) -> None:
        self._send(b"Z", self.backend.status)

    async def _batch(self) -> bool:
        """Read messages up to Sync and answer them; False at the end of the conversation."""
        batch: list[Frame] = []
        while True:
            kind, body = await read_frame(self.reader)
            if kind == b"X":
                return False
            if kind == b"Q":
                await self._simple(until_zero(body)[0])
                break
            if kind == b"S":
                await self._extended(batch)
                break
            if kind != b"H":  # redshift_connector sends Flush after each message, and Sync before it waits
                batch.append((kind, body))
        self._ready()
        await self._flush()
        return True

    async def _extended(self, batch: list[Frame]) -> None:
        try:
            for kind, body in batch:
                if kind == b"P":
                    self._parse(body)
            bound = next((until_zero(until_zero(body)[1])[0] for kind, body in batch if kind == b"B"), None)
            named = bound if bound is not None else next((until_zero(b)[0] for k, b in batch if k == b"P"), None)
            prepared = self._prepared.get(named) if named is not None else None
            if any(kind == b"E" for kind, _ in batch) and prepared is not None:
                await self._execute(prepared, batch)
            else:
                await self._prepare(prepared, batch)
        except Refused as refused:
            await self._fail(refused.code, refused.message, refused.detail)
        except (Disconnected, asyncio.IncompleteReadError, ConnectionError):
            raise
        except PostgresRefusedError as refused:
            if self.backend.status == b"T":  # raised here, not by Postgres
                await self._fail(refused.fields["C"], refused.fields["M"])
            else:
                self._send_error(refused.body)
            if refused.fields.get("S") == "FATAL":
                await self._flush()
                raise Disconnected from refused
        except Exception as error:  # noqa: BLE001 - a mistake of the double shall be read where the statement is
            await self._fail("XX000", f"the double failed: {type(error).__name__}: {error}")

    def _parse(self, body: bytes) -> None:
        name, rest = until_zero(body)
        sql = until_zero(rest)[0]
        plan = judge(sql, case_sensitive=self._case[0])
        if isinstance(plan, Refused):
            self.double.journal.receive(sql)
            raise plan
        self._prepared[name] = Prepared(sql, plan, in_backend=not plan.internal)

    async def _prepare(self, prepared: Prepared | None, batch: list[Frame]) -> None:
        """Answer a batch without Execute: Parse and Describe, or Close."""
        if prepared is not None and not prepared.in_backend:
            self._answer_locally(batch)
            return
        if prepared is not None and self.backend.status == b"T":
            # Parsing takes the transaction's snapshot, which must not be older than the lock.
            await self._lock(prepared.plan)
        frames = await self._forward(prepared, batch)
        if any(kind == b"E" for kind, _ in frames) and prepared is not None:
            self.double.journal.receive(prepared.sql)
        self._relay(frames, prepared.plan if prepared else None)

    def _answer_locally(self, batch: list[Frame]) -> None:
        for kind, body in batch:
            if kind == b"D":
                if body[:1] == b"S":
                    self._send(b"t", struct.pack("!h", 0))
                self._send(b"n")
            elif kind in b"PBC":
                self._send({b"P": b"1", b"B": b"2", b"C": b"3"}[kind])

    async def _forward(self, prepared: Prepared | None, batch: list[Frame]) -> list[Frame]:
        messages = []
        for kind, body in batch:
            sent = body
            if kind == b"P" and prepared is not None:
                name, rest = until_zero(body)
                sent = text(name, prepared.plan.sql) + until_zero(rest)[1]
            messages.append(frame(kind, sent))
        return await self.backend.exchange(b"".join(messages) + SYNC)

    def _relay(self, frames: list[Frame], plan: Plan | None) -> None:
        for kind, body in frames:
            if kind == b"E":
                self._send_error(body)
            elif kind == b"T" and JSONB_OID in body:
                self._send(kind, body.replace(JSONB_OID, SUPER_OID))
            elif kind == b"C" and plan is not None and plan.tag:
                self._send(kind, text(plan.tag))
            elif kind == b"C" and body.startswith(b"MERGE"):
                self._send(kind, text("MERGE"))
            else:
                self._send(kind, body)

    # Statements ------------------------------------------------------------------------------------------------------

    async def _execute(self, prepared: Prepared, batch: list[Frame]) -> None:
        number = self.double.journal.receive(prepared.sql)
        if await self._struck(prepared.sql, number, "before"):
            return
        frames = await self._run(prepared, batch)
        failed = any(kind == b"E" for kind, _ in frames)
        if not failed:
            self._remember(prepared.plan)
        if not failed and await self._struck(prepared.sql, number, "after"):
            return
        self._relay(frames, prepared.plan)

    async def _run(self, prepared: Prepared, batch: list[Frame]) -> list[Frame]:
        plan = prepared.plan
        if plan.alone and self.backend.status == b"T":
            raise Refused(plan.alone)
        own = self.backend.status == b"I" and (plan.locks or plan.action)
        if own:
            await self.backend.query("BEGIN")
        try:
            await self._lock(plan)
            frames = await self._internal(plan, batch) if plan.internal else await self._forward(prepared, batch)
            if plan.reads == "explain" and self.backend.status != b"E":
                frames = await in_redshifts_look(frames, self.backend)
        except Exception:
            if own and self.backend.status != b"I":
                await self.backend.query("ROLLBACK")
            raise
        if own:
            failed = any(kind == b"E" for kind, _ in frames)
            await self.backend.query("ROLLBACK" if failed else "COMMIT")
        return frames

    async def _internal(self, plan: Plan, batch: list[Frame]) -> list[Frame]:
        """Run a script or an action, and return the frames that answer the batch."""
        if self.backend.status == b"E":
            message = "current transaction is aborted, commands ignored until end of transaction block"
            raise PostgresRefusedError(error_body("25P02", message))
        tag = plan.tag
        if plan.action:
            await loading.copy(self, **plan.arguments)
        elif plan.script:
            _, last = await self.backend.query(";\n".join(plan.script))
            del last
            if plan.commits and self.backend.status == b"T":
                await self.backend.query("COMMIT")
        answers = {b"P": b"1", b"B": b"2"}
        frames = [(answers[kind], b"") for kind, _ in batch if kind in answers]
        described = [(b"n", b"") for kind, _ in batch if kind == b"D"]
        return [*frames, *described, (b"C", text(tag))]

    async def _lock(self, plan: Plan) -> None:
        """Take the write locks of a statement. In Redshift, writers of one table wait for each other.

        https://docs.aws.amazon.com/redshift/latest/dg/r_LOCK.html
        """
        if self.backend.status != b"T":
            return
        for table in plan.locks:
            try:
                await self.backend.query(
                    f"SAVEPOINT rs_lock; LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE; RELEASE SAVEPOINT rs_lock"
                )
            except PostgresRefusedError as refused:
                # The statement itself will say that there is no such table, or no privilege: INSERT alone does not
                # give Postgres' right to this lock.
                if refused.fields.get("C") not in {"42P01", "42501", "3F000", "42809"}:
                    raise
                await self.backend.query("ROLLBACK TO SAVEPOINT rs_lock; RELEASE SAVEPOINT rs_lock")

    def _remember(self, plan: Plan) -> None:
        """Follow the one parameter that changes how later statements are read."""
        if plan.setting and plan.setting[0] in {CASE_SENSITIVE, "all"}:
            value = (plan.setting[1] or "").lower() in {"on", "true", "t", "1", "yes"}
            self._case[0] = value
            if not plan.setting[2]:
                self._case[1] = value
        if self.backend.status == b"I":
            end = 2 if plan.sql == "ROLLBACK" else 1
            self._case = [self._case[end]] * 3

    # Errors ----------------------------------------------------------------------------------------------------------

    async def _struck(self, sql: str, number: int, phase: Phase) -> bool:
        """Whether a fault has answered in the place of the statement."""
        while fault := self.double.journal.fault(sql, number, phase):
            if fault.kind == "slow":
                await asyncio.sleep(fault.seconds)
                continue
            if fault.kind == "disconnect":
                raise Disconnected
            if self.backend.status == b"T" and judged_commit(sql):
                await self.backend.query("ROLLBACK")
            await self._fail(*(SERIALIZATION if fault.kind == "1023" else DROPPED))
            return True
        return False

    async def _fail(self, code: str, message: str, detail: str | None = None) -> None:
        """Raise an error in the client's own transaction, so that it is aborted."""
        if self.backend.status == b"T":
            with contextlib.suppress(PostgresRefusedError):
                await self.backend.query(f"SELECT rs.raise({literal(code)}, {literal(message)}, {literal(detail)})")
        self._send(b"E", error_body(code, message, detail))

    def _send_error(self, body: bytes) -> None:
        self._send(b"E", translated_error(body))

    async def _simple(self, sql: str) -> None:
        """A Query message, one statement: psql and psycopg send it."""
        batch = [(b"P", text("", sql) + b"\0\0"), (b"D", b"S\0"), (b"B", b"\0\0" + bytes(6)), (b"E", b"\0" + bytes(4))]
        batch[1:2] = []
        batch.insert(2, (b"D", b"P\0"))
        held, self._send = self._send, self._send_simple  # type: ignore[method-assign]
        try:
            await self._extended(batch)
        finally:
            self._send = held  # type: ignore[method-assign]

    def _send_simple(self, kind: bytes, body: bytes = b"") -> None:
        if kind not in b"12nt":
            self._unsent.append(frame(kind, body))


def judged_commit(sql: str) -> bool:
    """Whether a statement commits: a failing COMMIT leaves no transaction open."""
    plan = judge(sql)
    return isinstance(plan, Plan) and plan.sql == "COMMIT"
