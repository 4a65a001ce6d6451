"""What starts a whole Airflow ends it, whatever happens: shown with programs that do not want to end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from airflow_dataquality.demo import _supervisor

PARENT = """
import json, subprocess, sys, time
supervisor = subprocess.Popen([sys.executable, "-I", "-S", *json.loads(sys.argv[1])], stdin=subprocess.PIPE)
print(supervisor.pid, flush=True)
time.sleep(60)
"""
# Does not end when asked to, and has started a program that is no longer its own.
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
open({ready!r} + str(os.getpid()), "w").close()
time.sleep(60)
"""
QUICK = "import time; time.sleep({seconds})"


def program(code: str, log: Path) -> str:
    return json.dumps({"command": [sys.executable, "-S", "-c", code], "log": str(log)})


def eventually(condition: Callable[[], object], seconds: float = 15) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux alone")
def test_whoever_started_it_is_killed_and_nothing_is_left(tmp_path: Path) -> None:
    stubborn = program(STUBBORN.format(ready=str(tmp_path / "ready-")), tmp_path / "log")
    arguments = json.dumps([_supervisor.__file__, stubborn])
    parent = psutil.Popen([sys.executable, "-c", PARENT, arguments], stdout=subprocess.PIPE)
    supervisor = int(parent.stdout.readline())
    # The program, and the one that left its family.
    assert eventually(lambda: len(list(tmp_path.glob("ready-*"))) == 2)
    family = [psutil.Process(supervisor), *psutil.Process(supervisor).children(recursive=True)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _, left = psutil.wait_procs(family, timeout=_supervisor.GRACE_SECONDS + 10)
    assert not left
    pids = [int(file.name.removeprefix("ready-")) for file in tmp_path.glob("ready-*")]
    assert eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_when_one_program_ends_the_others_do(tmp_path: Path) -> None:
    programs = [program(QUICK.format(seconds=seconds), tmp_path / f"{seconds}.log") for seconds in (0.2, 60)]
    started = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-I", "-S", _supervisor.__file__, *programs], stdin=subprocess.PIPE
    ) as supervisor:
        assert supervisor.wait(10) == 1
    assert time.monotonic() - started < _supervisor.GRACE_SECONDS


@pytest.mark.parametrize("ending", [signal.SIGTERM, "byte"])
def test_it_ends_when_asked_to(tmp_path: Path, ending: signal.Signals | str) -> None:
    command = [sys.executable, "-I", "-S", _supervisor.__file__, program(QUICK.format(seconds=60), tmp_path / "log")]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as supervisor:
        assert eventually((tmp_path / "log").exists)
        if isinstance(ending, signal.Signals):
            supervisor.send_signal(ending)
            assert supervisor.wait(10) == 0
        else:
            supervisor.communicate(b"\n", timeout=10)
            assert supervisor.returncode == 0
