"""Run programs for as long as the parent lives, then end them and whatever they started.

A process of its own, for the reasons of :mod:`airflow_dataquality.demo._watchdog`; and because Airflow's programs
start others, which outlive them if they are killed: on Linux those become children of this process, so that it can
find them. Imports the standard library alone.

Arguments: each program as JSON, ``{"command": [...], "log": "..."}``.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

GRACE_SECONDS = 5
"""How long a program may take to end by itself."""
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: https://man7.org/linux/man-pages/man2/prctl.2.html


class _Ended(Exception):
    """The parent is gone, or asks to stop."""


def main(*programs: str) -> int:
    """Start the programs, and stay until the parent or one of them ends; 1 if it was one of them."""
    _adopt_orphans()
    # Ctrl-C is the parent's, which ends us in order. To ignore it would have the programs ignore it, too.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, _end)
    running: set[int] = set()
    try:
        running |= {_start(**json.loads(program)) for program in programs}
        threading.Thread(target=_await_parent, daemon=True).start()
        while True:
            ended, _ = os.waitpid(-1, 0)
            if ended in running:
                running.remove(ended)
                return 1
    except _Ended:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _stop(running)


def _start(command: list[str], log: str) -> int:
    with Path(log).open("ab") as sink:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True).pid


def _await_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


def _end(*_: object) -> None:
    raise _Ended


def _stop(running: set[int]) -> None:
    for program in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(program, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while _reap(running) and running and time.monotonic() < deadline:
        time.sleep(0.05)
    while _reap(running):
        for child in {*running, *_descendants(os.getpid())}:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _reap(running: set[int]) -> bool:
    """Take the programs that ended from the set; whether anything that was started is left."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitpid(-1, os.WNOHANG)[0]:
            running.discard(ended)
        return True
    running.clear()
    return False


def _descendants(ancestor: int) -> set[int]:
    """All processes below one; none where there is no ``/proc``."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            process, _, rest = status.read_text(errors="replace").partition(" (")
            parents[int(process)] = int(rest.rpartition(") ")[2].split()[1])
    found = {ancestor}
    while more := {process for process, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
