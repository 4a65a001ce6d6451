"""Run a server for as long as the parent lives, then stop it and remove its directory.

A process of its own, because a parent killed with SIGKILL runs no handler, while the pipe to our standard
input closes however it ends. Imports the standard library alone and runs as ``python -I -S``: 20 ms.

Arguments: the directory, the uid to run under (or ``-``), then each command as one JSON list. The last command
is the server; the ones before it prepare the directory.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import Any

FAST_SHUTDOWN_SECONDS = 10


def main(directory: str, uid: str, *commands: str) -> int:
    """Run the commands in order; return the exit code of the first that fails, or of the server."""
    account: dict[str, Any] = {} if uid == "-" else {"user": int(uid), "group": int(uid), "extra_groups": []}
    *preparations, server = (json.loads(command) for command in commands)
    try:
        for command in preparations:
            if code := subprocess.run(command, stdin=subprocess.DEVNULL, cwd="/", check=False, **account).returncode:
                return code
        return _serve(server, account)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _serve(command: list[str], account: dict[str, Any]) -> int:
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd="/", **account)
    signal.signal(signal.SIGTERM, lambda *_: server.send_signal(signal.SIGINT))
    threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
    return server.wait()


def _stop_with_parent(server: subprocess.Popen[bytes]) -> None:
    os.read(0, 1)
    server.send_signal(signal.SIGINT)  # Postgres: "fast", disconnects its clients
    try:
        server.wait(FAST_SHUTDOWN_SECONDS)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)  # "immediate", kills what does not react


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
