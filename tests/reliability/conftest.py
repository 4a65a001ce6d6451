"""What the kill matrix has to say."""

from __future__ import annotations

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print at how many statements the process was killed."""
    reports = terminalreporter.getreports("passed")
    loads = [value for report in reports for name, value in report.user_properties if name == "killed"]
    if loads:
        points = sum(load["statements"] for load in loads)
        distinct = len({statement for load in loads for statement in load["distinct"]})
        terminalreporter.section("kill matrix")
        terminalreporter.line(
            f"{len(loads)} loads, killed before and after sending each of {points} statements ({distinct} distinct)"
        )
