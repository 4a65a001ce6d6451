"""``make ui`` as a program of its own, and a browser that is logged in there."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

from airflow_dataquality.demo.server import Client

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BASE_PATH = "/airflow"
START_SECONDS = 420
STOP_SECONDS = 30


@dataclass(frozen=True)
class Running:
    """What ``make ui`` printed, and what it started.

    :param url: of Airflow, without a slash at its end
    :param password: of its user ``admin``
    :param warehouse: address of the database with the flights
    """

    program: psutil.Popen
    url: str
    password: str
    warehouse: str

    @property
    def client(self) -> Client:
        """Airflow's API: ``client.run("dq_publish_daily_flights", day)``, ``client.api("GET", "/dags")``."""
        return Client(self.url, {"admin": self.password})

    @contextlib.contextmanager
    def logged_in(self, browser: Browser, *, width: int = 1280, theme: str = "light") -> Iterator[Page]:
        """A tab of somebody who came through Airflow's page to log in."""
        context = browser.new_context(viewport={"width": width, "height": 800}, locale="en-GB")
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.goto(f"{self.url}/auth/login")
        page.locator("input[name=username]").fill("admin")
        page.locator("input[name=password]").fill(self.password)
        page.get_by_role("button").first.click()
        page.wait_for_url(lambda url: "/auth/" not in url)
        yield page
        context.close()


@contextlib.contextmanager
def running() -> Iterator[Running]:
    """Start it, and afterwards stop it with Ctrl-C: then nothing of it may be left."""
    command = [sys.executable, "-m", "airflow_dataquality.demo.ui", "--base-path", BASE_PATH]
    # An environment of its own: that of the tests' Airflow is not for it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    program = psutil.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        said = _read(program, until="Ctrl-C stops it")
        told = dict(re.findall(r"^(\w[\w ]+?)\s{2,}(\S+)$", said, re.MULTILINE))
        yield Running(program, told["Airflow"], told["Password"], told["Warehouse"])
        started = program.children(recursive=True)
        program.send_signal(signal.SIGINT)
        assert program.wait(STOP_SECONDS) == 0
        assert not [process for process in started if process.is_running()], "something is left of it"
    finally:
        if program.poll() is None:
            program.kill()
        program.stdout.close()


def _read(program: Any, until: str) -> str:
    said, deadline = "", time.monotonic() + START_SECONDS
    while until not in said:
        assert time.monotonic() < deadline, said
        if select.select([program.stdout], [], [], 1)[0]:
            read = os.read(program.stdout.fileno(), 65536).decode()
            assert read, f"it ended: {said}"
            said += read
    return said
